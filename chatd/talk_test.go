package chatd

import (
	"fmt"
	"runtime"
	"slices"
	"testing"
	"time"

	"chmail/internal/call"
)

func TestTwoPeopleTalk(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	desk, other := h.desk(alice), h.desk(alice)
	h.broker.until(t, "both desks", func() bool { return len(h.broker.devices) == 2 })

	bob := h.reader(offer, "Bob", 0, 0)
	if j := bob.expect("joined"); j["conv"] != "" || j["last"] != 0.0 || j["owner"] != "Alice Example" || j["about"] != "Offer for the roof" {
		t.Errorf("joined: %v", j)
	}
	bob.send(frame{"t": "name", "name": "  Bob\u202e Brown "})
	bob.send(frame{"t": "intent"})
	if c := bob.expect("call"); c["state"] != "opened" {
		t.Errorf("call: %v", c)
	}
	visit := desk.expect("visit")
	if visit["who"] != "Bob Brown" || visit["about"] != "Offer for the roof" || visit["at"] == nil {
		t.Errorf("visit: %v", visit)
	}
	conv := visit["conv"].(string)
	desk.send(frame{"t": "rung", "call": visit["call"]})
	h.broker.until(t, "rung", func() bool { return slices.Contains(h.broker.rung, visit["call"].(string)) })
	desk.send(frame{"t": "answer", "call": visit["call"]})
	desk.send(frame{"t": "open", "conv": conv, "last": 0})
	if c := bob.expect("call"); c["state"] != "answered" {
		t.Errorf("call: %v", c)
	}
	if s := other.expect("silence"); s["call"] != visit["call"] {
		t.Errorf("silence: %v", s)
	}

	bob.send(frame{"t": "say", "cid": "b1", "text": "Does it include the scaffolding?"})
	ack := bob.expect("ack")
	if ack["cid"] != "b1" {
		t.Errorf("ack: %v", ack)
	}
	n := desk.said(0, "Does it include the scaffolding?")
	if n != int(ack["n"].(float64)) {
		t.Errorf("acknowledged as %v, told as %d", ack["n"], n)
	}
	desk.send(frame{"t": "say", "conv": conv, "cid": "a1", "text": "It does,\nfor two weeks."})
	if a := desk.expect("ack"); a["cid"] != "a1" || a["conv"] != conv {
		t.Errorf("ack: %v", a)
	}
	for _, p := range []*page{bob, other} {
		for {
			if e := p.expect("event"); e["from"] == "owner" && e["kind"] == "say" {
				if e["text"] != "It does,\nfor two weeks." || e["conv"] != conv || e["at"] == "" {
					t.Errorf("event: %v", e)
				}
				break
			}
		}
	}
}

func TestWhoComesBackGetsTheRest(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	bob, conv := h.talking(offer, "Bob")
	bob.cut()
	h.stop()
	h.start()
	want := h.fill(conv, 500) // more than a page, more than is kept in memory
	again := h.reader(offer, "Bob", 0, 0)
	if j := again.expect("joined"); j["conv"] != conv || j["last"] != 501.0 {
		t.Errorf("joined: %v", j)
	}
	again.said(0, want...)
	again.cut()
	rest := h.reader(offer, "Bob", 499, 0)
	rest.expect("joined")
	rest.said(499, want[498:]...)
	desk := h.desk(alice)
	desk.send(frame{"t": "open", "conv": conv, "last": 3})
	desk.said(3, want[2:]...)
	h.reader(offer, "Bob", 502, 0).refused("gap")
	h.reader(offer, "Somebody else", 1, 0).refused("gap")
}

// fill says n things in a conversation that is not live.
func (h *house) fill(conv string, n int) (texts []string) {
	h.t.Helper()
	rec, err := h.srv.store.own(h.t.Context(), conv)
	if err != nil {
		h.t.Fatal(err)
	}
	var list []*event
	for i := range n {
		texts = append(texts, fmt.Sprint("message ", i))
		list = append(list, &event{Kind: kindSay, From: visitor, CID: fmt.Sprint("c", i), Text: texts[i], At: time.Now()})
	}
	if _, err := h.srv.store.save(h.t.Context(), &rec, list); err != nil {
		h.t.Fatal(err)
	}
	return texts
}

func TestSendingAgainIsHarmless(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	bob, conv := h.talking(offer, "Bob")
	say := frame{"t": "say", "cid": "same", "text": "hello"}
	bob.send(say)
	first := bob.expect("ack")
	bob.send(say)
	if again := bob.expect("ack"); again["n"] != first["n"] {
		t.Errorf("acknowledged as %v, then as %v", first["n"], again["n"])
	}
	bob.cut()
	bob = h.reader(offer, "Bob", 0, 0)
	bob.expect("joined")
	bob.send(say)
	bob.send(frame{"t": "say", "cid": "next", "text": "and more"})
	if again := bob.expect("ack"); again["n"] != first["n"] {
		t.Errorf("after a break acknowledged as %v", again["n"])
	}
	bob.expect("ack")
	desk := h.desk(alice)
	desk.send(frame{"t": "open", "conv": conv, "last": 0})
	desk.said(0, "hello", "and more")
	desk.send(frame{"t": "say", "conv": conv, "cid": "same", "text": "the owner's ids are his own"})
	desk.said(3, "the owner's ids are his own")
	if s := h.srv.Stats(); s.Messages != 3 || s.Desks != 1 || s.Readers != 1 || s.Terminals != 0 || s.Files != 0 {
		t.Errorf("counted: %+v", s)
	}
}

func TestEveryAcknowledgedMessageIsThereAfterARestart(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	var acked []string
	last := 0
	for round := range 3 {
		bob := h.reader(offer, "Bob", last, 0)
		bob.expect("joined")
		for i := range 20 {
			text := fmt.Sprintf("message %d of round %d", i, round)
			bob.send(frame{"t": "say", "cid": text[len("message "):][:1] + fmt.Sprint(round, "-", i), "text": text})
			last = int(bob.expect("ack")["n"].(float64))
			acked = append(acked, text)
		}
		h.stop()
		if f := bob.expect("bye"); f["reason"] != "restart" || f["after_ms"].(float64) < 1000 {
			t.Errorf("bye: %v", f)
		}
		h.start()
	}
	bob := h.reader(offer, "Bob", 0, 0)
	bob.expect("joined")
	bob.said(0, acked...)
}

func TestBeforeIntentNothingIsMade(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	bob := h.reader(offer, "Bob", 0, 0)
	bob.expect("joined")
	if talks, err := h.srv.Conversations(t.Context(), alice, 10); err != nil || len(talks) != 0 {
		t.Errorf("conversations %v, %v", talks, err)
	}
	// Who says something is there.
	bob.send(frame{"t": "say", "cid": "1", "text": "hello"})
	bob.expect("ack")
	h.broker.until(t, "visit", func() bool { return len(h.broker.visits) == 1 })
	bob.send(frame{"t": "intent"})
	bob.send(frame{"t": "say", "cid": "2", "text": "hello"})
	bob.expect("ack")
	h.broker.mu.Lock()
	defer h.broker.mu.Unlock()
	if n := len(h.broker.visits); n != 1 {
		t.Errorf("the broker heard of %d visits", n)
	}
}

func TestTheBrokerHearsWhoComesAndGoes(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.follow(offer, "unused")
	bob, conv := h.talking(offer, "Bob")
	second := h.reader(offer, "Bob", 0, 0) // another window of the same browser
	second.expect("joined")
	if f := bob.expect("bye"); f["reason"] != "replaced" {
		t.Errorf("bye: %v", f)
	}
	bob.hungUp()
	second.send(frame{"t": "intent"})
	h.broker.until(t, "second visit", func() bool { return len(h.broker.visits) == 2 })
	second.send(frame{"t": "name", "name": "Bob Brown"})
	h.broker.until(t, "the name", func() bool { return len(h.broker.visits) == 3 && h.broker.visits[2].Who == "Bob Brown" })
	h.broker.mu.Lock()
	if len(h.broker.gone) != 0 {
		t.Error("gone although somebody is there")
	}
	h.broker.mu.Unlock()
	second.cut()
	h.broker.until(t, "gone", func() bool { return slices.Equal(h.broker.gone, []string{conv}) })
	third := h.reader(offer, "Bob", 0, 0) // looks in without a sign, and leaves
	third.expect("joined")
	third.cut()
	fourth := h.reader(offer, "Bob", 0, 0)
	fourth.expect("joined")
	fourth.send(frame{"t": "intent"})
	h.broker.until(t, "who it is", func() bool { return len(h.broker.visits) == 4 && h.broker.visits[3].Who == "Bob Brown" })
	fourth.cut()
	h.broker.until(t, "gone", func() bool { return len(h.broker.gone) == 2 })
	bob, conv = h.talking(gutters, "Bob")
	bob.cut()
	h.broker.until(t, "gone", func() bool { return slices.Contains(h.broker.gone, conv) })
	h.broker.mu.Lock()
	defer h.broker.mu.Unlock()
	if len(h.broker.gone) != 3 {
		t.Errorf("gone: %v", h.broker.gone)
	}
}

func TestSayingSomethingAnswersTheCall(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	desk := h.desk(alice)
	h.broker.until(t, "the desk", func() bool { return len(h.broker.devices) == 1 })
	bob, conv := h.talking(offer, "Bob")
	desk.expect("visit")
	desk.send(frame{"t": "say", "conv": conv, "cid": "1", "text": "hello"})
	for {
		if c := bob.expect("call"); c["state"] == "answered" {
			break
		}
	}
	if s, _ := h.broker.State(conv); s != call.Answered {
		t.Errorf("the call is %s", s)
	}
	desk.expect("silence") // the desk that he wrote at rings no more either
	late := desk
	late.send(frame{"t": "answer", "call": "call of " + conv})
	late.expect("silence")
	late.send(frame{"t": "decline", "call": "call of " + conv})
	late.expect("silence")
	late.send(frame{"t": "input"})
	late.send(frame{"t": "input"})
	h.broker.until(t, "input", func() bool { return h.broker.inputs == 1 })
}

func TestTheDeskListsWhatIsUnread(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	bob, conv := h.talking(offer, "Bob")
	mina, other := h.talking(gutters, "Mina")
	say := func(p *page, cid, text string) {
		p.send(frame{"t": "say", "cid": cid, "text": text})
		p.expect("ack")
	}
	say(bob, "1", "first")
	say(mina, "1", "second")
	for now := time.Now().UnixMilli(); time.Now().UnixMilli() == now; { // times are kept in milliseconds
		runtime.Gosched()
	}
	say(bob, "2", "third")
	bob.send(frame{"t": "name", "name": "Bob"})
	for bob.expect("event")["kind"] != "name" {
	}
	list := func() []Talk {
		t.Helper()
		talks, err := h.srv.Conversations(t.Context(), alice, 10)
		if err != nil {
			t.Fatal(err)
		}
		return talks
	}
	desk, second := h.desk(alice), h.desk(alice)
	told := second.expect("list")["talks"].([]any) // how things stand, when the line comes up
	if first := told[0].(map[string]any); len(told) != 2 || first["conv"] != conv || first["who"] != "Bob" || first["about"] != "Offer for the roof" ||
		first["text"] != "third" || first["unread"] != 2.0 || first["last"] != 4.0 || first["state"] != "opened" {
		t.Errorf("the desk is told %v", told)
	}
	desk.send(frame{"t": "open", "conv": conv, "last": 0})
	desk.said(0, "first", "third")
	desk.expect("event") // the name
	talks := list()
	if len(talks) != 2 || talks[0].ID != conv || talks[0].Unread != 2 || talks[0].Text != "third" || talks[0].Who != "Bob" || talks[0].About != "Offer for the roof" {
		t.Errorf("listed: %+v", talks)
	}
	if talks[1].ID != other || talks[1].Unread != 1 || talks[1].Text != "second" || talks[1].State != "opened" {
		t.Errorf("listed: %+v", talks[1])
	}
	desk.send(frame{"t": "seen", "conv": conv, "n": 2})
	if s := second.expect("seen"); s["conv"] != conv || s["n"] != 2.0 {
		t.Errorf("seen: %v", s)
	}
	desk.send(frame{"t": "seen", "conv": conv, "n": 1}) // late, and no step back
	desk.send(frame{"t": "say", "conv": conv, "cid": "a", "text": "I see"})
	desk.expect("ack")
	if talks := list(); talks[0].Unread != 1 || talks[0].Text != "I see" {
		t.Errorf("listed: %+v", talks[0])
	}
	desk.send(frame{"t": "seen", "conv": conv, "n": 1 << 50})
	second.expect("seen")
	desk.send(frame{"t": "say", "conv": conv, "cid": "b", "text": "all"})
	desk.expect("ack")
	if talks := list(); talks[0].Unread != 0 {
		t.Errorf("listed: %+v", talks[0])
	}
	if one, err := h.srv.Conversation(t.Context(), alice, other); err != nil || one.ID != other {
		t.Errorf("one: %+v, %v", one, err)
	}
}
