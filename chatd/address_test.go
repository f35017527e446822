package chatd

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"chmail/internal/address"
)

// leaves has a visitor leave an address, and returns what he is told.
func (p *page) leaves(address string) string {
	p.send(frame{"t": "address", "text": address, "lang": "ko"})
	return fmt.Sprint(p.expect("address")["state"])
}

// proves has him type a code.
func (p *page) proves(code string) string {
	p.send(frame{"t": "proof", "text": code})
	return fmt.Sprint(p.expect("address")["state"])
}

func TestWhoLeavesAnAddressAndProvesItIsAnsweredByMail(t *testing.T) {
	transcribing(t, func(t *testing.T, h *house, p *postbox) {
		bob, conv := h.talking(offer, "Bob")
		bob.send(frame{"t": "say", "cid": "1", "text": "Does it include the scaffolding?"})
		bob.expect("ack")
		if s := bob.leaves("Bob@example.com"); s != "sent" {
			t.Errorf("told %s", s)
		}
		code, _ := p.lastCode()
		desk := h.desk(alice)
		desk.send(frame{"t": "open", "conv": conv, "last": 0})
		if s := bob.proves(code[:4] + " " + code[4:]); s != "proved" {
			t.Errorf("told %s", s)
		}
		if f := desk.expect("address"); f["address"] != "Bob@example.com" || f["conv"] != conv {
			t.Errorf("the desk is told %v", f)
		}
		h.broker.until(t, "that he has proved an address", func() bool { return h.broker.visits[len(h.broker.visits)-1].Proved == "Bob@example.com" })
		if s := bob.proves(code); s != "wrong" {
			t.Errorf("a code works twice: %s", s)
		}
		desk.send(frame{"t": "say", "conv": conv, "cid": "a", "text": "He is here to read this."})
		desk.expect("ack")
		bob.send(frame{"t": "seen", "n": 100})
		bob.expect("event")
		time.Sleep(time.Hour)
		p.answered(t)
		bob.cut()
		time.Sleep(10 * time.Minute)
		desk.send(frame{"t": "say", "conv": conv, "cid": "b", "text": "It does,"})
		desk.expect("ack")
		time.Sleep(30 * time.Second)
		p.answered(t)
		desk.send(frame{"t": "say", "conv": conv, "cid": "c", "text": "for two weeks."})
		desk.expect("ack")
		time.Sleep(2 * time.Minute)
		p.answered(t, "Bob@example.com ko | owner: It does, | owner: for two weeks.")
		for i := range 5 {
			desk.send(frame{"t": "say", "conv": conv, "cid": fmt.Sprint("d", i), "text": fmt.Sprint("and ", i)})
			desk.expect("ack")
			time.Sleep(2 * time.Minute)
		}
		p.answered(t)
		time.Sleep(10 * time.Minute)
		p.answered(t, "Bob@example.com ko | owner: and 0 | owner: and 1 | owner: and 2 | owner: and 3 | owner: and 4")
		time.Sleep(24 * time.Hour)
		p.answered(t)
		h.stop()
		h.start(p.options) // he is known, and nothing is said twice
		p.answered(t)
		bob = h.reader(offer, "Bob", 0, 0)
		if f := bob.expect("address"); f["state"] != "proved" {
			t.Errorf("who comes back is told %v", f)
		}
		n := len(h.broker.visited())
		bob.send(frame{"t": "intent"})
		h.broker.until(t, "who comes back", func() bool { return len(h.broker.visits) > n && h.broker.visits[n].Proved != "" })
	})
}

func TestAnAnswerIsMailedByTheNextStart(t *testing.T) {
	transcribing(t, func(t *testing.T, h *house, p *postbox) {
		bob, conv := h.talking(offer, "Bob")
		bob.leaves("bob@example.com")
		code, _ := p.lastCode()
		bob.proves(code)
		bob.cut()
		time.Sleep(time.Minute)
		desk := h.desk(alice)
		desk.send(frame{"t": "say", "conv": conv, "cid": "a", "text": "Are you still there?"})
		desk.expect("ack")
		h.stop()
		h.start(p.options)
		p.answered(t, "bob@example.com ko | owner: Are you still there?")
	})
}

func TestACodeIsGuessedFiveTimes(t *testing.T) {
	transcribing(t, func(t *testing.T, h *house, p *postbox) {
		bob, _ := h.talking(offer, "Bob")
		bob.leaves("bob@example.com")
		code, _ := p.lastCode()
		wrong := "00000000"
		if code == wrong {
			wrong = "00000001"
		}
		for range proofTries {
			if s := bob.proves(wrong); s != "wrong" {
				t.Errorf("told %s", s)
			}
		}
		if s := bob.proves(code); s != "wrong" {
			t.Errorf("after too many tries: %s", s)
		}
		bob.leaves("bob@example.com")
		code, _ = p.lastCode()
		time.Sleep(proofLife)
		if s := bob.proves(code); s != "wrong" {
			t.Errorf("after its time: %s", s)
		}
		mina, _ := h.talking(offer, "Mina") // another's code is none
		bob.leaves("bob@example.com")
		code, _ = p.lastCode()
		if s := mina.proves(code); s != "wrong" {
			t.Errorf("another's code: %s", s)
		}
		if s := bob.proves(code); s != "proved" {
			t.Errorf("the right one: %s", s)
		}
	})
}

func TestTheServerMailsNoStrangers(t *testing.T) {
	transcribing(t, func(t *testing.T, h *house, p *postbox) {
		looks := h.reader(offer, "Mina", 0, 0)
		looks.expect("joined")
		looks.send(frame{"t": "address", "text": "bob@example.com"}) // nobody has shown that he is there
		looks.refused("refused")
		bob, _ := h.talking(offer, "Bob")
		for typed, want := range map[string]string{
			"stranger@elsewhere.test": "unreachable", "": "bad", "bob": "bad", "bob@example.com\r\nBcc: x@y.test": "bad", "<bob@example.com>, x@example.com": "bad",
		} {
			if s := bob.leaves(typed); s != want {
				t.Errorf("%q: %s, want %s", typed, s, want)
			}
		}
		for i := range proofPerNet + 3 {
			s := bob.leaves(fmt.Sprintf("box%d@example.com", i))
			if want := map[bool]string{true: "sent", false: "busy"}[i < proofPerNet]; s != want {
				t.Errorf("the %dth code: %s", i+1, s)
			}
		}
		if _, n := p.lastCode(); n != proofPerNet {
			t.Errorf("%d codes were mailed", n)
		}
		for i := range proofPerBox + 3 {
			time.Sleep(proofWindow + time.Second)
			bob.send(frame{"t": "address", "text": []string{"often@example.com", "Often@Example.com", "OFTEN@example.com"}[i%3]}) // one mailbox
			bob.expect("address")
		}
		if _, n := p.lastCode(); n != proofPerNet+proofPerBox {
			t.Errorf("%d codes were mailed after many to one address", n)
		}
		bob.send(frame{"t": "copy"}) // nothing is proved
		bob.refused("refused")
	})
}

func TestTheWholeConversationIsMailedToWhomAsksForIt(t *testing.T) {
	transcribing(t, func(t *testing.T, h *house, p *postbox) {
		bob, conv := h.talking(offer, "Bob")
		desk := h.desk(alice)
		bob.send(frame{"t": "say", "cid": "1", "text": "one"})
		bob.expect("ack")
		desk.send(frame{"t": "say", "conv": conv, "cid": "1", "text": "two"})
		desk.expect("ack")
		bob.leaves("bob@example.com")
		code, _ := p.lastCode()
		bob.proves(code)
		for i := range 4 {
			bob.send(frame{"t": "copy"})
			if f := bob.expect("address"); i < 3 && f["state"] != "copied" || i == 3 && f["state"] != "busy" {
				t.Errorf("asked %d times: %v", i+1, f)
			}
			synctest.Wait()
		}
		all := "bob@example.com ko | all | visitor: one | owner: two"
		p.answered(t, all, all, all)
	})
}

func TestAMailboxIsOneWhateverStandsBehindItsPlus(t *testing.T) {
	t.Parallel()
	key := func(a string) int64 {
		parsed, err := address.Parse(a)
		if err != nil {
			t.Fatal(err)
		}
		return boxKey(parsed)
	}
	if key("bob+1@example.com") != key("Bob+chat.2@EXAMPLE.com") || key("bob+1@example.com") != key("bob@example.com") || key("bob@example.com") == key("bob@example.org") || key("bob@example.com") == key("rob@example.com") {
		t.Error("mailboxes are told apart in a wrong way")
	}
	p, now := newPosts(), time.Now()
	for i := range proofPerBox {
		if !p.allow(int64(i), 7, now, func() bool { return true }) {
			t.Fatalf("code %d is one too many", i)
		}
	}
	asked := false
	if p.allow(99, 7, now, func() bool { asked = true; return true }) || asked || p.links.over(99, now) || p.links.count[99] != 0 {
		t.Error("what one limit refuses uses up another")
	}
}
