package chatd

import (
	"testing"
	"time"
)

// none fails when a frame of a type comes before one of another.
func (p *page) none(kind, before string) frame {
	p.t.Helper()
	limit := time.After(p.wait)
	for {
		select {
		case f, ok := <-p.in:
			switch {
			case !ok:
				p.t.Fatalf("the server hung up (%v) before it sent %q", p.err, before)
			case f["t"] == kind:
				p.t.Errorf("told %v", f)
			case f["t"] == before:
				return f
			}
		case <-limit:
			p.t.Fatalf("the server did not send %q", before)
		}
	}
}

func TestWhoWritesIsToldAcrossAndForgotten(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, h *house) {
		desk, foreign := h.desk(alice), h.desk(carol)
		bob := h.reader(offer, "Bob", 0, 0)
		bob.expect("joined")
		bob.send(frame{"t": "typing"}) // a page that nobody has touched
		bob.send(frame{"t": "intent"})
		conv := desk.none("typing", "visit")["conv"].(string)
		for range 50 { // however fast
			bob.send(frame{"t": "typing"})
		}
		if f := desk.expect("typing"); f["conv"] != conv || f["from"] != "visitor" {
			t.Errorf("typing: %v", f)
		}
		bob.send(frame{"t": "say", "cid": "1", "text": "There"})
		bob.none("typing", "ack") // he knows himself
		f := desk.none("typing", "event")
		for f["kind"] == "join" {
			f = desk.none("typing", "event")
		}
		if f["text"] != "There" || f["n"] != 2.0 { // nothing of it became an event
			t.Errorf("then %v", f)
		}
		time.Sleep(typingEvery)
		bob.send(frame{"t": "typing"})
		desk.expect("typing")
		bob.cut()
		bob = h.reader(offer, "Bob", 0, 0)
		bob.expect("joined")
		time.Sleep(typingEvery)
		bob.send(frame{"t": "typing"}) // a page that has come back, and that nobody has touched yet
		bob.send(frame{"t": "say", "cid": "1b", "text": "Back"})
		for desk.none("typing", "event")["text"] != "Back" {
		}
		desk.send(frame{"t": "typing", "conv": conv})
		if f := bob.expect("typing"); f["from"] != "owner" {
			t.Errorf("typing: %v", f)
		}
		desk.send(frame{"t": "end", "conv": conv})
		bob.expect("call")
		time.Sleep(typingEvery)
		bob.send(frame{"t": "typing"})
		bob.send(frame{"t": "say", "cid": "2", "text": "too late"})
		bob.expect("error")
		desk.send(frame{"t": "rest", "on": true})
		for desk.none("typing", "rest")["on"] != true {
		}
		foreign.send(frame{"t": "rest", "on": true})
		for foreign.none("typing", "rest")["on"] != true {
		}
		foreign.send(frame{"t": "typing", "conv": conv})
		foreign.refused("refused")
	})
}

func TestBothSidesAreToldHowFarTheOtherHasCome(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	reach := func(p *page, got, seen float64) {
		t.Helper()
		if f := p.expect("reach"); f["got"] != got || f["seen"] != seen {
			t.Errorf("told %v, want got %v and seen %v", f, got, seen)
		}
	}
	desk := h.desk(alice)
	early := h.reader(offer, "Bob", 0, 0)
	early.expect("joined")
	early.send(frame{"t": "seen", "n": 7}) // there is nothing yet
	early.cut()
	bob, conv := h.talking(offer, "Bob")
	bob.send(frame{"t": "say", "cid": "1", "text": "Does it include the scaffolding?"})
	bob.none("reach", "ack")
	desk.send(frame{"t": "open", "conv": conv, "last": 0})
	desk.said(0, "Does it include the scaffolding?")
	desk.send(frame{"t": "got", "conv": conv, "n": 2})
	reach(bob, 2, 0)
	desk.send(frame{"t": "seen", "conv": conv, "n": 1 << 40}) // nobody has seen what was never said
	reach(bob, 2, 2)
	desk.send(frame{"t": "seen", "conv": conv, "n": 1}) // late, and no step back
	desk.send(frame{"t": "say", "conv": conv, "cid": "a", "text": "It does"})
	desk.none("reach", "ack")
	bob.said(2, "It does")
	bob.send(frame{"t": "got", "n": 3})
	reach(desk, 3, 0)
	bob.send(frame{"t": "seen", "n": 3})
	reach(desk, 3, 3)
	bob.send(frame{"t": "got", "n": 3})
	bob.send(frame{"t": "seen", "n": 3})
	bob.cut()
	h.stop() // what was seen stays seen
	h.start()
	bob = h.reader(offer, "Bob", 0, 0)
	reach(bob, 2, 2)
	desk = h.desk(alice)
	desk.send(frame{"t": "open", "conv": conv, "last": 0})
	reach(desk, 3, 3)
	foreign := h.desk(carol)
	foreign.send(frame{"t": "got", "conv": conv, "n": 3})
	foreign.refused("refused")
}
