package chatd

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"

	"chmail/internal/sqldb"
)

func TestASlowDeskHoldsUpNobody(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, h *house) {
		o := h.dialOptions("")
		o.HTTPHeader.Set("Login", alice)
		stuck, _, err := websocket.Dial(t.Context(), strings.Replace(h.socket(0), "/ws", "/desk/ws", 1), o) // and never read
		if err != nil {
			t.Fatal(err)
		}
		defer stuck.CloseNow()
		desk := h.desk(alice)
		synctest.Wait()
		bob, conv := h.talking(offer, "Bob")
		desk.send(frame{"t": "open", "conv": conv, "last": 0})
		began := time.Now()
		var want []string
		for i := range saysBurst {
			want = append(want, fmt.Sprint("message ", i))
			bob.send(frame{"t": "say", "cid": fmt.Sprint(i), "text": want[i]})
			bob.expect("ack")
		}
		desk.said(0, want...)
		took(t, began, 0)
		h.broker.until(t, "the stuck desk is gone", func() bool { return len(h.broker.devices) == 1 })
		took(t, began, takeWithin)
	})
}

func TestAFullQueueEndsAConnection(t *testing.T) {
	t.Parallel()
	c := newClient(nil, func() {})
	for range queueLength + 5 {
		c.put(ackFrame{})
	}
	if f, ok := (<-c.last).(farewell); !ok || f.Reason != "slow" || f.AfterMS == 0 {
		t.Errorf("the client is told %v", f)
	}
}

func TestReadersFromOneNetworkAreBounded(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.stop()
	h.start(func(o *Options) { o.PerNet = 3 })
	var in []*page
	for i := range 3 {
		p := h.reader(offer, fmt.Sprint("visitor", i), 0, 0)
		p.expect("joined")
		in = append(in, p)
	}
	more := h.reader(offer, "one too many", 0, 0)
	if f := more.expect("bye"); f["reason"] != "busy" || f["after_ms"].(float64) < 1000 {
		t.Errorf("bye: %v", f)
	}
	more.hungUp()
	l := h.srv.limits
	if _, ok := l.enter(netip.MustParseAddr("2001:db8::1")); !ok {
		t.Error("another network is kept out")
	}
	in[0].cut()
	for began := time.Now(); ; { // the server notices in its own time
		if leave, ok := l.enter(netip.MustParseAddr("127.0.0.1")); ok {
			leave()
			break
		}
		if time.Since(began) > patience {
			t.Fatal("who has left still counts")
		}
		runtime.Gosched()
	}
}

func TestConversationsAreNotMadeWithoutEnd(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, h *house) {
		for i := range freshPerNet {
			p, _ := h.talking(offer, fmt.Sprint("visitor", i))
			p.cut()
		}
		synctest.Wait()
		p := h.reader(offer, "one too many", 0, 0)
		p.expect("joined")
		p.send(frame{"t": "intent"})
		if f := p.expect("bye"); f["reason"] != "busy" {
			t.Errorf("bye: %v", f)
		}
		p.hungUp()
		p, _ = h.talking(offer, "visitor0") // an old one goes on
		p.cut()
		talks, err := h.srv.Conversations(t.Context(), alice, 1000)
		if err != nil || len(talks) != freshPerNet {
			t.Errorf("%d conversations, %v", len(talks), err)
		}
		time.Sleep(20 * time.Minute)
		h.talking(offer, "one too many")
	})
	links := &tally{window: time.Hour, max: 2}
	now := time.Now()
	for i, want := range []bool{true, true, false} {
		if links.hit(1, now) != want {
			t.Errorf("conversation %d through a link: want %v", i, want)
		}
	}
	if !links.hit(2, now) || !links.hit(1, now.Add(2*time.Hour)) {
		t.Error("another link, or another hour, is kept out")
	}
}

func TestDesksOfOneLoginAreBounded(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	for range desksPerLogin {
		h.desk(alice)
	}
	h.broker.until(t, "all desks", func() bool { return len(h.broker.devices) == desksPerLogin })
	more := h.desk(alice)
	if f := more.expect("bye"); f["reason"] != "busy" {
		t.Errorf("bye: %v", f)
	}
	h.desk(carol)
	h.broker.until(t, "Carol's", func() bool { return len(h.broker.devices) == desksPerLogin+1 })
	if _, err := h.dial(strings.Replace(h.socket(0), "/ws", "/desk/ws", 1), func(http.Header) {}); err == nil {
		t.Error("a desk without a login is opened")
	}
}

func TestAConversationHasOneOwner(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	bob, conv := h.talking(offer, "Bob")
	bob.send(frame{"t": "say", "cid": "1", "text": "here"})
	bob.expect("ack")
	want := h.fill(conv, 3) // another process takes it over, and writes
	bob.send(frame{"t": "say", "cid": "2", "text": "and here?"})
	if f := bob.expect("bye"); f["reason"] != "moved" {
		t.Errorf("bye: %v", f)
	}
	bob.hungUp()
	bob = h.reader(offer, "Bob", 0, 0) // it is taken back
	bob.expect("joined")
	bob.send(frame{"t": "say", "cid": "2", "text": "and here?"})
	bob.expect("ack")
	again := h.reader(offer, "Bob", 0, 0)
	again.said(0, append([]string{"here"}, append(want, "and here?")...)...)
}

func TestWhoWasReplacedWritesNothing(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	_, conv := h.talking(offer, "Bob")
	first, err := h.srv.store.own(t.Context(), conv)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := h.srv.store.own(t.Context(), conv); err != nil {
		t.Fatal(err)
	}
	first.seen = 1
	if _, err := h.srv.store.save(t.Context(), &first, nil); !errors.Is(err, errMoved) {
		t.Errorf("saving: %v", err)
	}
	if _, err := h.srv.store.save(t.Context(), &first, []*event{{Kind: kindSay, From: owner, Text: "x"}}); !errors.Is(err, errMoved) {
		t.Errorf("saving: %v", err)
	}
	if _, err := h.srv.store.own(t.Context(), "no such"); !errors.Is(err, ErrNoConversation) {
		t.Errorf("taking what is not there: %v", err)
	}
}

func TestWhatADeskAskedForGoesOnWhereItWas(t *testing.T) {
	t.Parallel()
	r := newRoom(nil, "c")
	c := newClient(nil, func() {})
	c.take(follow{room: r, last: 9})
	c.take(follow{room: r, last: 3, opened: true})
	c.take(follow{room: r, last: 9})
	if f := c.follows["c"]; f.last != 3 || !f.opened {
		t.Errorf("goes on at %+v", f)
	}
}

// A recorder is a voice that remembers what it said.
type recorder struct{ said []any }

func (r *recorder) send(_ context.Context, f any) error { r.said = append(r.said, f); return nil }
func (r *recorder) flush(context.Context) error         { return nil }
func (r *recorder) ping(context.Context) error          { return nil }
func (r *recorder) close(last any)                      { r.said = append(r.said, last) }

func TestAnAcknowledgementComesAfterTheEventsBeforeIt(t *testing.T) {
	t.Parallel()
	r, heard := newRoom(nil, "c"), &recorder{}
	c := newClient(heard, func() {})
	c.take(follow{room: r})
	one, two := &event{N: 1}, &event{N: 2}
	r.tail.publish([]*event{one, two})
	ack := ackFrame{Conv: "c", N: 2}
	if err := c.deliver(t.Context(), ack); err != nil {
		t.Fatal(err)
	}
	c.put(seenFrame{N: 1})
	c.leave(bye("over", 0))
	c.leave(bye("another reason", 0))
	c.write(t.Context())
	if want := []any{one, two, ack, seenFrame{N: 1}, bye("over", 0)}; !slices.Equal(heard.said, want) {
		t.Errorf("the client heard %v, want %v", heard.said, want)
	}
}

func TestWhatCannotBeKeptIsNotAcknowledged(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	bob, conv := h.talking(offer, "Bob")
	desk := h.desk(alice)
	desk.send(frame{"t": "open", "conv": conv, "last": 0})
	desk.send(frame{"t": "say", "conv": conv, "cid": "0", "text": "kept"})
	desk.expect("ack") // all that was asked for before has been done
	if err := h.db.Close(); err != nil {
		t.Fatal(err)
	}
	bob.send(frame{"t": "say", "cid": "1", "text": "lost?"})
	if f := bob.expect("bye"); f["reason"] != "trouble" {
		t.Errorf("bye: %v", f)
	}
	desk.send(frame{"t": "say", "conv": conv, "cid": "1", "text": "lost?"})
	if f := desk.expect("bye"); f["reason"] != "trouble" {
		t.Errorf("bye: %v", f)
	}
	h.reader(offer, "Bob", 0, 0).expect("bye")
	if err := h.srv.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	h.start()
	bob = h.reader(offer, "Bob", 0, 0)
	bob.expect("joined")
	bob.send(frame{"t": "say", "cid": "1", "text": "not lost"})
	bob.said(0, "kept", "not lost")
	if _, err := h.srv.resolve(t.Context(), "broken", netip.Addr{}, 0); err == nil || errors.Is(err, faultLink) {
		t.Errorf("a broker's failure is %v", err)
	}
}

func TestAFullConversation(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	bob, conv := h.talking(offer, "Bob")
	desk := h.desk(alice)
	desk.send(frame{"t": "open", "conv": conv, "last": 0})
	desk.expect("event")
	bob.cut()
	h.stop()
	h.start()
	if err := h.db.Update(t.Context(), func(tx *sqldb.Tx) error {
		_, err := tx.Exec(`UPDATE chatd_conversation SET last = ?`, maxEvents)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	desk = h.desk(alice)
	desk.send(frame{"t": "say", "conv": conv, "cid": "1", "text": "no more"})
	if f := desk.expect("error"); f["code"] != "full" || f["cid"] != "1" || f["conv"] != conv {
		t.Errorf("error: %v", f)
	}
	desk.send(frame{"t": "input"}) // the desk goes on
	h.broker.until(t, "input", func() bool { return h.broker.inputs == 1 })
	bob = h.reader(offer, "Bob", maxEvents, 0)
	bob.expect("joined")
	bob.send(frame{"t": "say", "cid": "1", "text": "no more"})
	bob.refused("full")
}

func TestAnEventThatIsMissingIsToldAsAGap(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	_, conv := h.talking(offer, "Bob")
	h.stop()
	h.start()
	h.fill(conv, 10)
	if err := h.db.Update(t.Context(), func(tx *sqldb.Tx) error {
		_, err := tx.Exec(`DELETE FROM chatd_event WHERE n = 3`)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	h.reader(offer, "Bob", 2, 0).refused("gap")
	bob := h.reader(offer, "Bob", 3, 0)
	bob.said(3, "message 2")
}

func TestARemovedAccountLeavesNothing(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.talking(offer, "Bob")
	_, carols := h.talking(quote, "Bob")
	h.stop()
	h.start()
	if err := h.db.Update(t.Context(), func(tx *sqldb.Tx) error { return Remove(tx, alice) }); err != nil {
		t.Fatal(err)
	}
	if talks, err := h.srv.Conversations(t.Context(), alice, 10); err != nil || len(talks) != 0 {
		t.Errorf("Alice still has %v, %v", talks, err)
	}
	if _, err := h.srv.Conversation(t.Context(), carol, carols); err != nil {
		t.Errorf("Carol's: %v", err)
	}
}

func TestNames(t *testing.T) {
	t.Parallel()
	for given, want := range map[string]string{
		"": "", "  Bob   Brown ": "Bob Brown", "a\tb\nc": "a b c", "\u202egnp": "gnp", "\x1b[31mred": "[31mred", "\u200d": "", "\u200e \u200f": "",
		"\xffBob": "Bob", "山田 太郎": "山田 太郎", "👩\u200d🚀": "👩\u200d🚀", strings.Repeat("x", 100): strings.Repeat("x", maxName),
		strings.Repeat("xy ", 40): strings.TrimSpace(strings.Repeat("xy ", 20)), "می\u200cخواهم": "می\u200cخواهم",
	} {
		if got := cleanName(given); got != want {
			t.Errorf("%q becomes %q, want %q", given, got, want)
		}
	}
	if got := beginning(" a  b\nc"+strings.Repeat("d", 500), 5); got != "a b c" {
		t.Errorf("beginning %q", got)
	}
}
