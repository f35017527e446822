package chatd

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"chmail/internal/call"
	"chmail/internal/sqldb"
)

// filled makes conversations as full as a column's value makes them; nothing is live meanwhile.
func (h *house) filled(column string, value int64) {
	h.t.Helper()
	h.stop()
	h.start()
	if err := h.db.Update(h.t.Context(), func(tx *sqldb.Tx) error {
		_, err := tx.Exec(`UPDATE chatd_conversation SET `+column+` = ?`, value)
		return err
	}); err != nil {
		h.t.Fatal(err)
	}
}

func TestWhatAFullConversationAcknowledgedItAcknowledgesAgain(t *testing.T) {
	t.Parallel()
	for column, value := range map[string]int64{"last": maxEvents, "size": maxSize} {
		t.Run(column, func(t *testing.T) {
			t.Parallel()
			h := newHouse(t)
			bob, conv := h.talking(offer, "Bob")
			bob.send(frame{"t": "say", "cid": "1", "text": "kept"})
			first := bob.expect("ack")
			bob.cut()
			h.filled(column, value)
			last := 2
			if column == "last" {
				last = maxEvents
			}
			bob = h.reader(offer, "Bob", last, 0)
			bob.expect("joined")
			bob.send(frame{"t": "say", "cid": "1", "text": "kept"})
			if again := bob.expect("ack"); again["n"] != first["n"] {
				t.Errorf("acknowledged as %v, then as %v", first["n"], again["n"])
			}
			desk := h.desk(alice)
			desk.send(frame{"t": "say", "conv": conv, "cid": "1", "text": "no more"})
			if f := desk.expect("error"); f["code"] != "full" || f["cid"] != "1" {
				t.Errorf("error: %v", f)
			}
			bob.send(frame{"t": "say", "cid": "2", "text": "no more"})
			bob.refused("full")
		})
	}
}

func TestTheSizeOfAConversationIsCounted(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	_, conv := h.talking(offer, "Bob")
	h.stop()
	h.start()
	h.fill(conv, 3)
	rec, err := h.srv.store.own(t.Context(), conv)
	if want := int64(3 * len("message 0")); err != nil || rec.size != want {
		t.Errorf("%d bytes, %v, want %d", rec.size, err, want)
	}
}

func TestAPanicEndsItsRoomAndNothingElse(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	mina, _ := h.talking(gutters, "Mina")
	bob, conv := h.talking(offer, "Bob")
	r := h.srv.rooms.living(conv)
	r.post(t.Context(), wants{call.Visit{Conv: conv, Who: clumsy}, nil})
	h.srv.rooms.release(r)
	if f := bob.expect("bye"); f["reason"] != "trouble" {
		t.Errorf("bye: %v", f)
	}
	bob.hungUp()
	<-r.done
	mina.send(frame{"t": "say", "cid": "1", "text": "what was that?"})
	mina.expect("ack")
	bob = h.reader(offer, "Bob", 0, 0)
	if j := bob.expect("joined"); j["conv"] != conv {
		t.Errorf("joined: %v", j)
	}
	bob.send(frame{"t": "say", "cid": "1", "text": "here again"})
	bob.expect("ack")
}

// A stumbler is a voice with a fault.
type stumbler struct{ recorder }

func (*stumbler) send(context.Context, any) error { panic("stumbled") }

func TestAPanicInAWriterEndsItsConnectionOnly(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	ctx, hang := context.WithCancel(t.Context())
	c := newClient(&stumbler{}, hang)
	done, ok := h.srv.admit(ctx, c)
	if !ok {
		t.Fatal("not let in")
	}
	c.put(seenFrame{})
	<-c.ended
	<-ctx.Done() // whoever reads from it is told
	done()
	h.talking(offer, "Bob")
}

func TestTheLastStateIsKeptWhenTheServerStops(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	_, live := h.talking(offer, "Bob")
	mina, resting := h.talking(gutters, "Mina")
	mina.cut()
	for range 3 {
		h.srv.Tell(live, call.Ringing)
		h.srv.Tell(resting, call.Ringing)
	}
	h.srv.Tell(live, call.Noticed)
	h.srv.Tell(resting, call.Declined)
	h.stop()
	h.start()
	h.broker.mu.Lock()
	h.broker.states = map[string]call.State{}
	h.broker.mu.Unlock()
	for conv, want := range map[string]string{live: "noticed", resting: "declined"} {
		if one, err := h.srv.Conversation(t.Context(), alice, conv); err != nil || one.State != want {
			t.Errorf("%+v, %v, want %s", one, err, want)
		}
	}
}

func TestNothingComesToLifeInAServerThatHasStopped(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	_, conv := h.talking(offer, "Bob")
	h.stop()
	if _, err := h.srv.rooms.take(t.Context(), conv); !errors.Is(err, errLeft) {
		t.Errorf("taking a room: %v", err)
	}
	h.srv.Tell(conv, call.Noticed)
	h.start()
}

// What the database refuses is not so: it is neither told nor believed, and a leave is tried again.
func TestWhatIsNotSavedHasNotHappened(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, h *house) {
		desk := h.desk(alice)
		bob, conv := h.talking(offer, "Bob")
		desk.send(frame{"t": "open", "conv": conv, "last": 0})
		desk.expect("event")
		h.run(`CREATE TRIGGER jam BEFORE UPDATE ON chatd_conversation BEGIN SELECT raise(ABORT, 'jammed'); END`)
		desk.send(frame{"t": "seen", "conv": conv, "n": 1})
		bob.send(frame{"t": "name", "name": "Robert"})
		bob.cut()
		time.Sleep(visitorGrace + time.Second)
		synctest.Wait()
		h.run(`DROP TRIGGER jam`)
		time.Sleep(visitorGrace)
		for e := desk.expect("event"); e["kind"] != "leave"; e = desk.expect("event") {
			if e["n"] != 1.0 {
				t.Errorf("told %v", e)
			}
		}
		one, err := h.srv.Conversation(t.Context(), alice, conv)
		if err != nil || strings.Contains(one.Who, "Robert") || one.Last != 2 {
			t.Errorf("listed as %+v, %v", one, err)
		}
	})
}

// run runs a statement.
func (h *house) run(statement string) {
	h.t.Helper()
	if err := h.db.Update(h.t.Context(), func(tx *sqldb.Tx) error {
		_, err := tx.Exec(statement)
		return err
	}); err != nil {
		h.t.Fatal(err)
	}
}

func TestADeskHearsOfAnyNumberOfConversations(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	link := h.broker.link(offer)
	var some *room
	for i := range 3 * queueLength {
		id, err := h.srv.store.create(t.Context(), link, terminalVisitor(strconv.Itoa(i)), "x", time.Now())
		if err != nil {
			t.Fatal(err)
		}
		r, err := h.srv.rooms.take(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		defer h.srv.rooms.release(r)
		some = r
	}
	for range 5 {
		desk := h.desk(alice)
		desk.expect("list") // what was before it is in it
		some.post(t.Context(), named{"Bob " + strconv.FormatInt(some.tail.newest(), 10)})
		if e := desk.expect("event"); e["conv"] != some.id {
			t.Errorf("heard of %v", e)
		}
		desk.cut()
	}
}

// What the broker tells while a room is being loaded is neither lost nor undone by it. With -race, this also sees whoever looks at a room too early.
func TestAStateToldWhileARoomLoadsIsKept(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	bob, conv := h.talking(offer, "Bob")
	bob.cut()
	h.broker.mu.Lock()
	delete(h.broker.states, conv) // which would go before what is kept
	h.broker.mu.Unlock()
	for i := range 20 {
		h.stop()
		h.start()
		want := []call.State{call.Noticed, call.Declined}[i%2]
		told := make(chan struct{})
		go func() {
			defer close(told)
			if r, err := h.srv.rooms.take(context.WithoutCancel(t.Context()), conv); err == nil {
				r.post(context.WithoutCancel(t.Context()), named{"Bob " + strconv.Itoa(i)})
				h.srv.rooms.release(r)
			}
		}()
		h.srv.Tell(conv, want)
		<-told
		h.stop()
		h.start()
		if one, err := h.srv.Conversation(t.Context(), alice, conv); err != nil || one.State != string(want) {
			t.Fatalf("round %d: %q, %v, want %q", i, one.State, err, want)
		}
	}
}
