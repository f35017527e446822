package chatd

import (
	"slices"
	"testing"

	"chmail/internal/call"
)

func TestAConversationThatHasEndedIsReadAndNothingElse(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	bob, conv := h.talking(offer, "Bob")
	desk := h.desk(alice)
	desk.send(frame{"t": "open", "conv": conv, "last": 0})
	bob.send(frame{"t": "say", "cid": "1", "text": "one"})
	n := bob.expect("ack")["n"]
	desk.send(frame{"t": "end", "conv": conv})
	for _, p := range []*page{bob, desk} {
		for p.expect("call")["state"] != string(call.Ended) {
		}
	}
	desk.send(frame{"t": "end", "conv": conv}) // to say so twice changes nothing
	h.broker.until(t, "that it has ended", func() bool { return slices.Contains(h.broker.ended, conv) })
	calls := func() int {
		h.broker.mu.Lock()
		defer h.broker.mu.Unlock()
		return len(h.broker.visits)
	}
	before := calls()

	nothingMore := func(bob *page, desk *page) {
		t.Helper()
		bob.send(frame{"t": "intent"})
		bob.send(frame{"t": "name", "name": "Robert"})
		bob.send(frame{"t": "say", "cid": "1", "text": "one"}) // its acknowledgement was lost
		if a := bob.expect("ack"); a["cid"] != "1" || a["n"] != n {
			t.Errorf("said again: %v", a)
		}
		bob.send(frame{"t": "say", "cid": "2", "text": "two"})
		desk.send(frame{"t": "say", "conv": conv, "cid": "2", "text": "three"})
		for _, p := range []*page{bob, desk} {
			if f := p.expect("error"); f["code"] != "ended" || f["cid"] != "2" || f["conv"] != conv {
				t.Errorf("said into it: %v", f)
			}
		}
		if now := calls(); now != before {
			t.Errorf("it calls: %d visits more", now-before)
		}
	}
	nothingMore(bob, desk)
	h.srv.Tell(conv, call.Noticed) // was on its way

	h.stop()
	h.start()
	bob, desk = h.reader(offer, "Bob", 0, 0), h.desk(alice)
	if talks, _ := desk.expect("list")["talks"].([]any); len(talks) != 1 || talks[0].(map[string]any)["state"] != string(call.Ended) {
		t.Errorf("the list: %v", talks)
	}
	bob.expect("joined")
	desk.send(frame{"t": "open", "conv": conv, "last": 0})
	for _, p := range []*page{bob, desk} {
		if s := p.expect("call")["state"]; s != string(call.Ended) {
			t.Errorf("whoever comes later is told %v", s)
		}
		var kinds []string
		for len(kinds) == 0 || kinds[len(kinds)-1] != kindEnded {
			kinds = append(kinds, p.expect("event")["kind"].(string))
		}
		if !slices.Equal(kinds, []string{kindJoin, kindSay, kindEnded}) {
			t.Errorf("what happened: %v", kinds)
		}
	}
	nothingMore(bob, desk)
}
