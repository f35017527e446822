package chatd

import (
	"slices"
	"strings"
	"testing"

	"chmail/internal/call"
)

// blocked are the conversations by which a desk is told whom its owner has blocked.
func (p *page) blocked() (convs []string) {
	p.t.Helper()
	talks, _ := p.expect("blocked")["talks"].([]any)
	for _, b := range talks {
		convs = append(convs, b.(map[string]any)["conv"].(string))
	}
	return convs
}

// visited are all visits so far.
func (b *fakeBroker) visited() []call.Visit {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.visits)
}

func TestABlockedVisitorFindsNoLink(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	bob, conv := h.talking(offer, "Bob")
	more, other := h.talking(gutters, "Bob") // in another mail of hers
	mina, _ := h.talking(offer, "Mina")
	looking := h.reader(offer, "Bob", 1, 0) // replaces his first page, and has shown nothing yet
	looking.expect("joined")
	bob.expect("bye")
	desk, phone := h.desk(alice), h.desk(alice)
	for _, p := range []*page{desk, phone} {
		if convs := p.blocked(); len(convs) != 0 {
			t.Errorf("at first: %v", convs)
		}
	}
	desk.send(frame{"t": "block", "conv": conv})
	for _, p := range []*page{desk, phone} {
		if convs := p.blocked(); !slices.Equal(convs, []string{conv}) {
			t.Errorf("blocked: %v", convs)
		}
	}
	looking.refused("link")
	more.refused("link")
	h.broker.until(t, "that both have ended", func() bool { return slices.Contains(h.broker.ended, conv) && slices.Contains(h.broker.ended, other) })
	before := h.broker.visited()
	for _, token := range []string{offer, gutters} {
		h.reader(token, "Bob", 0, 0).refused("link")
	}
	if yes, err := h.srv.Blocked(t.Context(), alice, cookieOf("Bob")); !yes || err != nil {
		t.Errorf("blocked: %v, %v", yes, err)
	}
	carols, _ := h.talking(quote, "Bob") // another owner's link is none of Alice's business
	carols.send(frame{"t": "say", "cid": "1", "text": "hello"})
	carols.expect("ack")
	mina.send(frame{"t": "say", "cid": "1", "text": "hello"})
	mina.expect("ack")
	for _, v := range h.broker.visited()[len(before):] {
		if v.Conv == conv || v.Conv == other {
			t.Errorf("he calls her: %v", v)
		}
	}

	h.stop()
	h.start()
	h.reader(offer, "Bob", 0, 0).refused("link")
	desk = h.desk(alice)
	desk.blocked()
	desk.send(frame{"t": "unblock", "conv": conv})
	if convs := desk.blocked(); len(convs) != 0 {
		t.Errorf("unblocked: %v", convs)
	}
	h.reader(offer, "Bob", 0, 0).refused("link") // by which he came: it ended, in every browser
	h.reader(offer, "Stranger", 0, 0).refused("link")
	bob = h.reader(gutters, "Bob", 0, 0)
	bob.expect("joined")
	if s := bob.expect("call")["state"]; s != string(call.Ended) { // that one is over
		t.Errorf("the conversation is %v", s)
	}
	h.removeRows(alice)
	desk.send(frame{"t": "unblock", "conv": conv})
	desk.refused("refused")
}

func TestATerminalIsToldThatItIsOver(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	port := h.at(alice)
	bob, desk := h.connect(port), h.desk(alice)
	bob.say("JOIN " + offer + " Bob\n")
	greeting := strings.Fields(bob.expect("OK "))
	bob.expect("* 1 ") // he has come in
	desk.send(frame{"t": "end", "conv": greeting[0]})
	bob.expectAll("! ended", "* 2 Alice Example: /ended")
	bob.say("one more\n")
	bob.expect("! not sent: this conversation has ended")
	desk.send(frame{"t": "block", "conv": greeting[0]})
	bob.expect("- this link does not work")
	bob.rest()
	bob = h.connect(port)
	bob.say("RESUME " + greeting[1] + " 2\n")
	bob.expect("- this link does not work")
}

func TestWhoIsBlockedWhileHeComesInCallsNobody(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	_, conv := h.talking(gutters, "Bob")
	desk := h.desk(alice)
	bob := h.reader(offer, "Bob", 0, 0)
	bob.expect("joined")
	before, done := h.broker.visited(), make(chan struct{})
	h.broker.mu.Lock()
	h.broker.resolved = func() { // his link is being looked up again
		h.broker.mu.Lock()
		h.broker.resolved = nil
		h.broker.mu.Unlock()
		desk.send(frame{"t": "block", "conv": conv})
		for len(desk.blocked()) == 0 {
		}
		close(done)
	}
	h.broker.mu.Unlock()
	bob.send(frame{"t": "intent"})
	bob.refused("link")
	<-done
	h.stop() // whatever was under way has come to its end
	h.start()
	if more := h.broker.visited()[len(before):]; len(more) != 0 {
		t.Errorf("he calls her: %v", more)
	}
}

// TestNobodyIsBlockedWhoseLinkStillWorks: or he would be back by it, while the desk says that he is gone.
func TestNobodyIsBlockedWhoseLinkStillWorks(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	bob, conv := h.talking(offer, "Bob")
	desk := h.desk(alice)
	desk.blocked()
	h.broker.stick(true)
	desk.send(frame{"t": "block", "conv": conv})
	desk.expect("bye") // a failure of ours
	if yes, err := h.srv.Blocked(t.Context(), alice, cookieOf("Bob")); yes || err != nil {
		t.Errorf("blocked: %v, %v", yes, err)
	}
	bob.send(frame{"t": "say", "cid": "1", "text": "hello"})
	bob.expect("ack")
	h.broker.stick(false)
	desk = h.desk(alice)
	desk.blocked()
	desk.send(frame{"t": "block", "conv": conv})
	if convs := desk.blocked(); !slices.Equal(convs, []string{conv}) {
		t.Errorf("blocked: %v", convs)
	}
	bob.refused("link")
}

// stick has no link be revoked, as when the database is away.
func (b *fakeBroker) stick(yes bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.stuck = yes
}
