package chatd

import (
	"context"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"

	"chmail/internal/call"
)

// took fails unless something took as long as it should, to the second.
func took(t *testing.T, began time.Time, want time.Duration) {
	t.Helper()
	if d := time.Since(began); d < want || d > want+time.Second {
		t.Errorf("that took %v, want %v", d, want)
	}
}

func TestAPortClosesAfterAMinuteWithoutAnybody(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, h *house) {
		h.broker.give(alice, 24001)
		h.follow(offer, cookieOf("Bob"))
		time.Sleep(50 * time.Second)
		h.follow(offer, cookieOf("Mina")) // another visitor, another minute
		time.Sleep(59 * time.Second)
		if got := h.srv.Listening(); !slices.Equal(got, []int{24001}) {
			t.Fatalf("listening on %v", got)
		}
		bob := h.reader(offer, "Bob", 0, 24001)
		bob.expect("joined")
		time.Sleep(time.Hour) // as long as somebody is there
		if got := h.srv.Listening(); !slices.Equal(got, []int{24001}) {
			t.Fatalf("listening on %v", got)
		}
		bob.cut()
		time.Sleep(58 * time.Second)
		if len(h.srv.Listening()) != 1 {
			t.Error("closed before the minute was over")
		}
		time.Sleep(3 * time.Second)
		if got := h.srv.Listening(); len(got) != 0 {
			t.Errorf("listening on %v", got)
		}
		if _, err := h.net.dial(t.Context(), "tcp", "127.0.0.1:24001"); err == nil {
			t.Error("the closed port answers")
		}
		h.follow(offer, cookieOf("Bob")) // the next GET opens it again
		h.reader(offer, "Bob", 0, 24001).expect("joined")
		h.broker.give(carol, 24002)
		h.follow(quote, "")
		time.Sleep(40 * time.Second)
		h.follow(quote, "")
		time.Sleep(61 * time.Second) // two GETs and nobody
		if got := h.srv.Listening(); !slices.Equal(got, []int{24001}) {
			t.Errorf("listening on %v", got)
		}
	})
}

func TestWhoSaysNothingIsHungUpOn(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, h *house) {
		h.broker.give(alice, 24001)
		h.follow(offer, cookieOf("Bob"))
		for first, limit := range map[string]time.Duration{"": sniffWithin, "JOI": sniffWithin, "JOIN AAAA": greetWithin, "GET /ws HTTP/1.1\r\nHost: x\r\n": greetWithin} {
			p := h.connect(24001)
			p.conn.SetDeadline(time.Time{})
			began := time.Now()
			p.say(first)
			if answer := p.rest(); (answer != "- "+greetingHelp+"\r\n") != strings.HasPrefix(first, "GET") {
				t.Errorf("%q is answered %q", first, answer)
			}
			took(t, began, limit)
		}
		p, err := h.dial(h.socket(24001), who("Bob"))
		if err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		p.hungUp()
		took(t, began, joinWithin)
	})
}

func TestPlainLinesAreForThisComputerOnly(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, h *house) {
		h.broker.give(alice, 24001)
		h.follow(offer, cookieOf("Bob"))
		h.net.from = "203.0.113.9"
		for first, answer := range map[string]string{"JOIN " + offer + "\n": "- this port speaks TLS", "GET /ws HTTP/1.1\r\nHost: localhost\r\n\r\n": "HTTP/1.1 403 "} {
			p := h.connect(24001)
			p.say(first)
			if got := p.rest(); !strings.HasPrefix(got, answer) {
				t.Errorf("%q is answered %q", first, got)
			}
		}
	})
}

func TestAPeerThatHasGoneSilentIsNoticed(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, h *house) {
		bob, conv := h.talking(offer, "Bob")
		time.Sleep(10 * time.Minute) // answering pings is enough
		bob.send(frame{"t": "say", "cid": "1", "text": "still here"})
		bob.expect("ack")
		// A connection that neither breaks nor answers, as when a phone leaves the network.
		o := h.dialOptions("Mina")
		o.OnPingReceived = func(context.Context, []byte) bool { return false }
		dead, _, err := websocket.Dial(t.Context(), h.socket(0), o)
		if err != nil {
			t.Fatal(err)
		}
		defer dead.CloseNow()
		go func() {
			for {
				if _, _, err := dead.Read(t.Context()); err != nil {
					return
				}
			}
		}()
		if err := dead.Write(t.Context(), websocket.MessageText, []byte(`{"t":"join","v":1,"token":"`+offer+`"}`)); err != nil {
			t.Fatal(err)
		}
		if err := dead.Write(t.Context(), websocket.MessageText, []byte(`{"t":"intent"}`)); err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		h.broker.until(t, "gone", func() bool { return len(h.broker.gone) == 1 && h.broker.gone[0] != conv })
		took(t, began, pingEvery+pongWithin)
	})
}

func TestComingAndGoingIsRecordedAfterAWhile(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, h *house) {
		desk := h.desk(alice)
		synctest.Wait()
		bob, conv := h.talking(offer, "Bob")
		desk.send(frame{"t": "answer", "call": "call of " + conv})
		desk.send(frame{"t": "open", "conv": conv, "last": 0})
		happens := func(p *page, kind, from string) {
			t.Helper()
			if e := p.expect("event"); e["kind"] != kind || e["from"] != from {
				t.Errorf("event %v, want %s of %s", e, kind, from)
			}
		}
		happens(bob, "join", "owner")
		bob.cut()
		time.Sleep(10 * time.Second) // a reload, or a tunnel
		bob = h.reader(offer, "Bob", 2, 0)
		bob.expect("joined")
		bob.send(frame{"t": "intent"})
		time.Sleep(time.Hour)
		bob.cut()
		began := time.Now()
		for desk.expect("event")["kind"] != "leave" {
		}
		took(t, began, visitorGrace)
		bob = h.reader(offer, "Bob", 3, 0)
		bob.expect("joined")
		bob.send(frame{"t": "intent"})
		happens(bob, "join", "visitor")
		desk.cut()
		time.Sleep(20 * time.Second)
		desk = h.desk(alice) // a reload
		time.Sleep(time.Hour)
		desk.cut()
		began = time.Now()
		happens(bob, "leave", "owner")
		took(t, began, ownerGrace)
	})
}

// Whoever says that he leaves has left at once; whose connection breaks is waited for.
func TestWhoSaysThatHeLeavesIsNotWaitedFor(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, h *house) {
		desk := h.desk(alice)
		synctest.Wait()
		bob, conv := h.talking(offer, "Bob")
		desk.send(frame{"t": "open", "conv": conv, "last": 0})
		h.landed(desk.invited(conv, true), "Carla")
		carla := h.guest(conv, "Carla", 0)
		bob.told("join", "guest", 1)
		began := time.Now()
		carla.send(frame{"t": "leave"})
		bob.told("leave", "guest", 1)
		took(t, began, 0)
		bob.send(frame{"t": "leave"})
		for desk.expect("reader")["here"] != false {
		}
		took(t, began, 0)
		for _, p := range []*page{carla, bob} {
			for range p.in { // until the server hangs up
			}
		}
		bob = h.reader(offer, "Bob", 3, 0)
		bob.expect("joined")
		if f := bob.expect("event"); f["kind"] != "leave" || f["from"] != "visitor" {
			t.Errorf("when he comes back he finds %v", f)
		}
	})
}

func TestTheDeskKnowsWhetherTheReaderIsHere(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, h *house) {
		desk := h.desk(alice)
		synctest.Wait()
		bob, conv := h.talking(offer, "Bob")
		tells := func(p *page, here bool) {
			t.Helper()
			if f := p.expect("reader"); f["conv"] != conv || f["here"] != here {
				t.Errorf("the desk is told %v, want here: %v", f, here)
			}
		}
		lists := func(here bool) *page {
			t.Helper()
			p := h.desk(alice)
			if f := p.expect("list")["talks"].([]any)[0].(map[string]any); f["here"] != here {
				t.Errorf("the desk lists %v, want here: %v", f, here)
			}
			return p
		}
		tells(desk, true)
		lists(true).cut()
		spoke := time.Now()
		bob.cut()
		time.Sleep(visitorGrace - time.Second)
		lists(true).cut() // he may only be reloading
		time.Sleep(2 * time.Second)
		tells(desk, false)
		late := lists(false)
		late.send(frame{"t": "open", "conv": conv, "last": 0})
		tells(late, false)
		if talk, err := h.srv.Conversation(t.Context(), alice, conv); err != nil || talk.Here || !talk.At.Equal(spoke.Truncate(time.Millisecond)) {
			t.Errorf("the conversation stands at %+v, %v; its last word was at %v", talk, err, spoke)
		}
		time.Sleep(time.Hour) // the room has gone to rest
		lists(false).cut()
		bob = h.reader(offer, "Bob", 0, 0)
		if j := bob.expect("joined"); j["name"] != nil {
			t.Errorf("joined: %v", j)
		}
		bob.send(frame{"t": "name", "name": "Bob"})
		bob.send(frame{"t": "intent"})
		tells(desk, true)
		bob.cut()
		if j := h.reader(offer, "Bob", 0, 0).expect("joined"); j["name"] != "Bob" {
			t.Errorf("who has given a name is greeted with %v", j)
		}
		h.stop()
		h.start() // he was here, and nobody has seen him go
		lists(false).cut()
	})
}

func TestARoomRestsAndWakes(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, h *house) {
		desk := h.desk(alice)
		bob, conv := h.talking(offer, "Bob")
		desk.send(frame{"t": "open", "conv": conv, "last": 0})
		desk.expect("event")
		bob.cut()
		time.Sleep(visitorGrace + lingerTime + time.Second)
		if r := h.srv.rooms.living(conv); r != nil {
			t.Fatal("the room lives on although nobody is in it")
		}
		// The broker speaks of a conversation that is not live; the desk, which has it open, goes on where it was.
		h.srv.Tell(conv, call.Noticed)
		synctest.Wait()
		h.broker.mu.Lock()
		delete(h.broker.states, conv)
		h.broker.mu.Unlock()
		if one, err := h.srv.Conversation(t.Context(), alice, conv); err != nil || one.State != "noticed" {
			t.Errorf("listed as %+v, %v", one, err)
		}
		desk.send(frame{"t": "say", "conv": conv, "cid": "1", "text": "for later"})
		bob = h.reader(offer, "Bob", 0, 0)
		bob.said(0, "for later")
		bob.send(frame{"t": "say", "cid": "1", "text": "here again"})
		desk.said(2, "for later", "here again")
	})
}

func TestTheAgeOfThePageIsTold(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, h *house) {
		opened := time.Now()
		h.follow(offer, cookieOf("Bob"))
		time.Sleep(5 * time.Second)
		h.talking(offer, "Bob")
		h.broker.until(t, "the visit", func() bool { return len(h.broker.visits) == 1 })
		if !h.broker.visits[0].Peer.IsValid() {
			t.Error("the broker is not told where the reader is, so it cannot limit calls from one network")
		}
		if got := h.broker.visits[0].Opened; !got.Equal(opened) {
			t.Errorf("opened %v ago, want 5 s", time.Since(got))
		}
		joined := time.Now()
		mina := h.reader(offer, "Mina", 0, 0) // nobody saw her page being opened
		mina.expect("joined")
		time.Sleep(3 * time.Second)
		mina.send(frame{"t": "intent"})
		h.broker.until(t, "the visit", func() bool { return len(h.broker.visits) == 2 })
		if got := h.broker.visits[1].Opened; !got.Equal(joined) {
			t.Errorf("opened %v ago, want 3 s", time.Since(got))
		}
	})
}

func TestGuessingTokensBecomesSlow(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, h *house) {
		began := time.Now()
		for range missesPerMinute {
			h.reader("DDDDDDDDDDDDDDDDDDDDDD", "Bob", 0, 0).refused("link")
		}
		if d := time.Since(began); d > 5*time.Second {
			t.Errorf("the first %d took %v", missesPerMinute, d)
		}
		began = time.Now()
		for range 10 {
			h.reader("DDDDDDDDDDDDDDDDDDDDDD", "Bob", 0, 0).refused("link")
		}
		if d := time.Since(began); d < 10*time.Second {
			t.Errorf("the next 10 took only %v", d)
		}
		began = time.Now()
		h.reader(offer, "Bob", 0, 0).expect("joined") // right guesses wait alike
		if d := time.Since(began); d < time.Second {
			t.Errorf("a right guess took only %v", d)
		}
		time.Sleep(3 * time.Minute)
		began = time.Now()
		h.reader(offer, "Bob", 0, 0).expect("joined")
		took(t, began, 0)
	})
}

func TestWhoIsTooFastIsReadMoreSlowlyAndLosesNothing(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, h *house) {
		bob, _ := h.talking(offer, "Bob")
		began := time.Now()
		go func() { // the server may not take it all at once
			for i := range 300 {
				bob.send(frame{"t": "say", "cid": strings.Repeat("x", i%50+1) + time.Duration(i).String(), "text": "spam"})
			}
		}()
		for range 300 {
			bob.expect("ack")
		}
		took(t, began, (300-saysBurst)*saysEach)
	})
}
