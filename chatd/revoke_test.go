package chatd

import (
	"testing"

	"chmail/internal/call"
)

func TestALinkIsRevokedFromItsConversation(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	bob, conv := h.talking(offer, "Bob")
	looking := h.reader(offer, "Mina", 0, 0)
	looking.expect("joined")
	desk, phone := h.desk(alice), h.desk(alice)
	desk.send(frame{"t": "open", "conv": conv, "last": 0})
	if f := desk.expect("link"); f["conv"] != conv || f["works"] != true {
		t.Errorf("before: %v", f)
	}
	phone.expect("list")
	desk.send(frame{"t": "revoke", "conv": conv})
	for _, p := range []*page{desk, phone} {
		if f := p.expect("link"); f["conv"] != conv || f["works"] != false {
			t.Errorf("revoked: %v", f)
		}
	}
	h.reader(offer, "Carla", 0, 0).refused("link")
	looking.send(frame{"t": "intent"}) // he had only looked
	looking.refused("link")
	bob.send(frame{"t": "say", "cid": "1", "text": "still here"}) // and he talks
	bob.expect("ack")
	desk.send(frame{"t": "open", "conv": conv, "last": 0})
	if f := desk.expect("link"); f["works"] != false {
		t.Errorf("after: %v", f)
	}
	other, _ := h.talking(gutters, "Bob")
	other.send(frame{"t": "revoke"})
	other.refused("refused")
}

func TestAnOwnerSaysOnWhatTermsALinkRings(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	_, conv := h.talking(offer, "Bob")
	desk, phone := h.desk(alice), h.desk(alice)
	phone.expect("list")
	for _, terms := range []call.Terms{call.Proved, call.AfterWords, ""} {
		desk.send(frame{"t": "terms", "conv": conv, "text": terms})
		for _, p := range []*page{desk, phone} {
			f := p.expect("link")
			if said, _ := f["terms"].(string); f["conv"] != conv || f["works"] != true || call.Terms(said) != terms {
				t.Errorf("%q: %v", terms, f)
			}
		}
		h.broker.mu.Lock()
		if l := h.broker.links[offer]; l.Terms != terms {
			t.Errorf("the link's terms are %q, not %q", l.Terms, terms)
		}
		h.broker.mu.Unlock()
	}
	desk.send(frame{"t": "terms", "conv": conv, "text": "proved"})
	desk.expect("link")
	desk.send(frame{"t": "open", "conv": conv, "last": 0})
	if f := desk.expect("link"); f["terms"] != "proved" {
		t.Errorf("who opens the conversation is told %v", f)
	}
	desk.send(frame{"t": "revoke", "conv": conv})
	desk.expect("link")
	desk.send(frame{"t": "terms", "conv": conv, "text": "at-once"})
	if f := desk.expect("link"); f["works"] != false {
		t.Errorf("a link that is off: %v", f)
	}
	desk.send(frame{"t": "terms", "conv": conv, "text": "never"})
	desk.refused("frame")
	carols := h.desk(carol)
	carols.send(frame{"t": "terms", "conv": conv, "text": "at-once"})
	carols.refused("refused")
	bob, _ := h.talking(gutters, "Bob")
	bob.send(frame{"t": "terms", "text": "at-once"})
	bob.refused("refused")
}
