package chatd

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"chmail/internal/call"
)

// readersOf are the other readers of a conversation's mail, as conversation:name, the latest first.
func (p *page) readersOf(conv string) (all []string) {
	p.t.Helper()
	p.send(frame{"t": "readers", "conv": conv})
	f := p.expect("readers")
	if f["conv"] != conv {
		p.t.Errorf("told of %v", f["conv"])
	}
	list, _ := f["list"].([]any)
	for _, r := range list {
		r := r.(map[string]any)
		all = append(all, fmt.Sprint(r["conv"], ":", r["who"]))
	}
	return all
}

func TestTheOwnerSeesWhoElseReadsAMail(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	_, bobs := h.talking(offer, "Bob")
	desk := h.desk(alice)
	if all := desk.readersOf(bobs); len(all) != 0 {
		t.Errorf("nobody is %q", all)
	}
	mina, minas := h.talking(offer, "Mina")
	mina.send(frame{"t": "name", "name": "Mina"})
	for f := mina.expect("event"); f["kind"] != "name"; f = mina.expect("event") {
	}
	_, daves := h.talking(offer, "Dave")
	_, ended := h.talking(offer, "Eve")
	_, blocked := h.talking(offer, "Mallory")
	h.talking(gutters, "Frank") // of another mail of hers
	h.talking(quote, "Grace")   // of another owner's
	desk.send(frame{"t": "end", "conv": ended})
	desk.send(frame{"t": "open", "conv": ended, "last": 0})
	for f := desk.expect("event"); f["kind"] != "ended"; f = desk.expect("event") {
	}
	all := desk.readersOf(bobs)
	if len(all) != 3 || !slices.Contains(all, blocked+":") || !slices.Contains(all, daves+":") || !slices.Contains(all, minas+":Mina") {
		t.Errorf("the readers are %q", all)
	}
	// Whom she has blocked is nobody whom she would bring in. (By the store alone: to block somebody ends the link, and with it this story.)
	if _, err := h.srv.store.block(t.Context(), alice, blocked, time.Now()); err != nil {
		t.Fatal(err)
	}
	if all := desk.readersOf(bobs); len(all) != 2 {
		t.Errorf("with a blocked one the readers are %q", all)
	}
	carols := h.desk(carol)
	carols.send(frame{"t": "readers", "conv": bobs})
	carols.refused("refused")
}

// An invitation to another reader is a code that stands in what the owner says to him: it works as any.
func TestAnotherReaderComesByTheCodeThatHeWasWritten(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	bob, bobs := h.talking(offer, "Bob")
	mina, minas := h.talking(offer, "Mina")
	desk := h.desk(alice)
	code := desk.invited(bobs, false)
	desk.send(frame{"t": "say", "conv": minas, "cid": "invite.reader.1", "on": true, "text": "Come: https://chat.example.com/join?code=" + code})
	for f := mina.expect("event"); f["kind"] != "say"; f = mina.expect("event") {
		if f["kind"] == "join" && f["from"] == "owner" {
			t.Error("Mina is told that Alice is there, who cannot talk with her now")
		}
	}
	if s, _ := h.broker.State(minas); s == call.Answered { // Alice is elsewhere
		t.Error("to write an invitation answers her call")
	}
	h.landed(code, "Mina")
	guest := h.guest(bobs, "Mina", 0)
	guest.expect("joined")
	bob.told("join", "guest", 1)
	guest.says("1", "hello both", nil)
	bob.told("say", "guest", 1)
}
