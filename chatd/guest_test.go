package chatd

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// invited is a code that a desk has asked for, for a guest of a conversation.
func (p *page) invited(conv string, all bool) string {
	p.t.Helper()
	p.send(frame{"t": "invite", "conv": conv, "cid": "invite", "all": all})
	f := p.expect("code")
	if f["conv"] != conv || f["cid"] != "invite" {
		p.t.Fatalf("a code: %v", f)
	}
	return f["code"].(string)
}

// guest is the page of a guest who has what is before last+1.
func (h *house) guest(conv, name string, last int) *page {
	h.t.Helper()
	p, err := h.dial(h.socket(0), who(name))
	if err != nil {
		h.t.Fatal(err)
	}
	p.send(frame{"t": "join", "v": 1, "conv": conv, "last": last})
	return p
}

// told expects an event of a kind and returns it.
func (p *page) told(kind, from string, who int) frame {
	p.t.Helper()
	for {
		f := p.expect("event")
		n, _ := f["who"].(float64)
		if f["kind"] == kind && f["from"] == from && int(n) == who {
			return f
		}
	}
}

func (p *page) says(cid, text string, more frame) int {
	p.t.Helper()
	f := frame{"t": "say", "cid": cid, "text": text}
	for k, v := range more {
		f[k] = v
	}
	p.send(f)
	return int(p.expect("ack")["n"].(float64))
}

func TestTheOwnerBringsSomebodyIn(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	bob, conv := h.talking(offer, "Bob")
	secret := bob.says("1", "between the two of us", nil)
	desk := h.desk(alice)
	desk.send(frame{"t": "open", "conv": conv, "last": 0})
	code := desk.invited(conv, false)
	if to := h.landed(code, "Carla"); to != (Landing{Conv: conv}) {
		t.Fatalf("it leads to %v", to)
	}
	h.useless("used", code, "Mina")
	carla := h.guest(conv, "Carla", 0)
	if f := carla.expect("joined"); f["who"] != 1.0 || f["first"] != float64(secret+1) || f["owner"] != "Alice Example" || f["about"] != "Offer for the roof" {
		t.Errorf("joined: %v", f)
	}
	for _, p := range []*page{bob, desk, carla} {
		p.told("join", "guest", 1)
	}
	carla.send(frame{"t": "name", "name": "Carla\u202e  Builder"})
	for _, p := range []*page{bob, desk, carla} {
		if f := p.told("name", "guest", 1); f["text"] != "Carla Builder" {
			t.Errorf("named: %v", f)
		}
	}
	hers := carla.says("1", "I know about roofs", nil) // the same id as one of Bob's
	for _, p := range []*page{bob, desk} {
		if f := p.told("say", "guest", 1); f["text"] != "I know about roofs" || f["name"] != "Carla Builder" {
			t.Errorf("said: %v", f)
		}
	}
	bob.send(frame{"t": "edit", "cid": "2", "n": secret, "text": "still between us"})
	bob.expect("ack")
	if f := carla.told("edit", "visitor", 0); f["text"] != nil || f["n"] == nil {
		t.Errorf("she sees what a message says that she does not have: %v", f)
	}
	if f := desk.told("edit", "visitor", 0); f["text"] != "still between us" {
		t.Errorf("the owner sees %v", f)
	}
	for i, n := range []int{secret, 1, hers - 1} {
		for _, verb := range []string{"edit", "delete"} {
			cid := fmt.Sprint(verb, i)
			carla.send(frame{"t": verb, "cid": cid, "n": n, "text": "never said"})
			if f := carla.expect("error"); f["code"] != "refused" || f["cid"] != cid {
				t.Errorf("%s of %d: %v", verb, n, f)
			}
		}
	}
	bob.send(frame{"t": "delete", "cid": "3", "n": hers})
	if f := bob.expect("error"); f["code"] != "refused" {
		t.Errorf("Bob takes back what she said: %v", f)
	}
	carla.send(frame{"t": "edit", "cid": "9", "n": hers, "text": "I know everything about roofs"})
	carla.expect("ack")
	talks, err := h.srv.Conversations(t.Context(), alice, 10)
	if err != nil || len(talks) != 1 || talks[0].Unread != 2 || talks[0].Text != "I know everything about roofs" {
		t.Errorf("listed: %+v, %v", talks, err)
	}
	h.guest(conv, "Carla", secret-1).refused("gap") // before her time
	h.guest(conv, "Carla", 1000).refused("gap")

	h.stop()
	h.start()
	h.guestComesBack(t, conv, secret, hers)
}

// guestComesBack reads from the database what Carla, who has come after event number before, has said as event number hers.
func (h *house) guestComesBack(t *testing.T, conv string, before, hers int) {
	carla := h.guest(conv, "Carla", hers-1)
	carla.expect("joined")
	carla.said(hers-1, "I know everything about roofs")
	carla.told("edit", "guest", 1)
	late := h.guest(conv, "Carla", 0)
	late.expect("joined")
	for {
		f := late.expect("event")
		if n := int(f["n"].(float64)); n <= before || strings.Contains(fmt.Sprint(f["text"]), "between") {
			t.Errorf("from the database she hears %v", f)
		} else if n >= hers {
			break
		}
	}
	bob := h.reader(offer, "Bob", 0, 0)
	bob.expect("joined")
	if f := bob.told("say", "guest", 1); f["name"] != "Carla Builder" {
		t.Errorf("from the database Bob hears %v", f)
	}
	events, err := NewArchive(h.db).Events(t.Context(), alice, conv, 0)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range events {
		if e.N == int64(hers) && (e.From != "guest" || e.Who != 1 || e.Name != "Carla Builder") {
			t.Errorf("in the archive: %+v", e)
		}
	}
}

func TestAGuestSeesAllWhenTheOwnerSaysSo(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	bob, conv := h.talking(offer, "Bob")
	bob.says("1", "from the beginning", nil)
	desk := h.desk(alice)
	h.landed(desk.invited(conv, false), "Carla")
	carla := h.guest(conv, "Carla", 0)
	if f := carla.expect("joined"); f["first"] != 3.0 {
		t.Errorf("joined: %v", f)
	}
	h.landed(desk.invited(conv, true), "Carla") // later she may see the rest
	carla = h.guest(conv, "Carla", 0)
	if f := carla.expect("joined"); f["first"] != 1.0 || f["who"] != 1.0 {
		t.Errorf("joined: %v", f)
	}
	carla.said(0, "from the beginning")
}

func TestAGuestIsSentAway(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	bob, conv := h.talking(offer, "Bob")
	desk := h.desk(alice)
	desk.send(frame{"t": "open", "conv": conv, "last": 0})
	h.landed(desk.invited(conv, false), "Carla")
	carla := h.guest(conv, "Carla", 0)
	carla.expect("joined")
	bob.told("join", "guest", 1)
	desk.send(frame{"t": "remove", "conv": conv, "who": 1})
	carla.refused("removed")
	bob.told("removed", "guest", 1)
	desk.told("removed", "guest", 1)
	h.guest(conv, "Carla", 0).refused("removed")
	h.useless("of a guest who was sent away", desk.invited(conv, true), "Carla")
	if _, err := h.srv.Guest(t.Context(), conv, cookieOf("Carla")); err == nil {
		t.Error("her page still works")
	}
	h.useless("of him who is there already", desk.invited(conv, true), "Bob")
	h.stop()
	h.start()
	h.guest(conv, "Carla", 0).refused("removed")
	desk = h.desk(alice)
	desk.send(frame{"t": "remove", "conv": conv, "who": 2})
	desk.refused("refused")
}

func TestWhoIsNoGuestFindsNothing(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	bob, conv := h.talking(offer, "Bob")
	bob.says("1", "hello", nil)
	desk := h.desk(alice)
	h.landed(desk.invited(conv, true), "Carla")
	for _, name := range []string{"Mallory", "Bob"} {
		h.guest(conv, name, 0).refused("link")
	}
	h.guest("AAAAAAAAAAAAAAAAAAAAAA", "Carla", 0).refused("link")
	_, minas := h.talking(gutters, "Mina")
	h.guest(minas, "Carla", 0).refused("link")
	for _, verb := range []frame{{"t": "invite", "conv": conv, "cid": "1"}, {"t": "remove", "conv": conv, "who": 1}, {"t": "carry", "cid": "1"}, {"t": "end", "conv": conv}, {"t": "say", "conv": minas, "cid": "2", "text": "x"}, {"t": "block", "conv": conv}} {
		p := h.guest(conv, "Carla", 0)
		p.expect("joined")
		p.send(verb)
		p.refused("refused")
	}
	for _, verb := range []frame{{"t": "invite", "cid": "1"}, {"t": "remove", "who": 1}} {
		verb["conv"] = conv
		d := h.desk(carol)
		d.send(verb)
		d.refused("refused")
		p := h.reader(offer, "Bob", 0, 0)
		p.expect("joined")
		p.send(verb)
		p.refused("refused")
	}
}

func TestWhatEndsAConversationEndsItForItsGuests(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	_, conv := h.talking(offer, "Bob")
	desk := h.desk(alice)
	h.landed(desk.invited(conv, true), "Carla")
	carla := h.guest(conv, "Carla", 0)
	carla.expect("joined")
	code := desk.invited(conv, true)
	desk.send(frame{"t": "end", "conv": conv})
	carla.told("ended", "owner", 0)
	carla.send(frame{"t": "say", "cid": "1", "text": "one more"})
	if f := carla.expect("error"); f["code"] != "ended" || f["cid"] != "1" {
		t.Errorf("after the end: %v", f)
	}
	h.useless("of what has ended", code, "Dave")
	desk.send(frame{"t": "invite", "conv": conv, "cid": "late"})
	if f := desk.expect("error"); f["code"] != "ended" || f["cid"] != "late" {
		t.Errorf("an invitation to what has ended: %v", f)
	}

	_, minas := h.talking(gutters, "Mina")
	h.landed(desk.invited(minas, true), "Dave")
	dave := h.guest(minas, "Dave", 0)
	dave.expect("joined")
	_, daves := h.talking(offer, "Dave") // with a link he is a visitor like any other
	desk.send(frame{"t": "block", "conv": daves})
	dave.refused("removed")
	h.guest(minas, "Dave", 0).refused("removed")

	h.landed(desk.invited(minas, true), "Eve")
	eve := h.guest(minas, "Eve", 0)
	eve.expect("joined")
	if done, err := NewArchive(h.db).Delete(t.Context(), alice, minas, time.Time{}); !done || err != nil {
		t.Fatal(done, err)
	}
	h.srv.Deleted(t.Context(), alice, minas)
	eve.hungUp()
	h.guest(minas, "Eve", 0).refused("link")
	h.removeRows(alice)
	if n := h.rows("chatd_guest") + h.rows("chatd_code"); n != 0 {
		t.Errorf("%d rows are left", n)
	}
}

func TestThereIsRoomForSoManyGuests(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	_, conv := h.talking(offer, "Bob")
	desk := h.desk(alice)
	for i := range maxGuests {
		h.landed(desk.invited(conv, false), fmt.Sprint("Guest ", i))
		if i%10 == 9 {
			h.srv.limits.guesses = newLimits(1).guesses // as if ten minutes had passed
		}
	}
	desk.send(frame{"t": "invite", "conv": conv, "cid": "more"})
	if f := desk.expect("error"); f["code"] != "guests" || f["cid"] != "more" {
		t.Errorf("one more: %v", f)
	}
	desk.send(frame{"t": "remove", "conv": conv, "who": 3})
	h.landed(desk.invited(conv, false), "Late")
	late := h.guest(conv, "Late", 0)
	if f := late.expect("joined"); f["who"] != float64(maxGuests+1) {
		t.Errorf("joined: %v", f)
	}
}

func TestATerminalPrintsWhatAGuestSays(t *testing.T) {
	t.Parallel()
	if guestNumber(guestSide(12)) != 12 || guestNumber(visitor) != 0 || guestNumber("guest.x") != 0 || GuestCalled("", 2) != "Guest 2" {
		t.Error("sides of guests")
	}
	h := newSecureHouse(t)
	port := h.at(alice)
	bob := h.connect(port)
	bob.say("JOIN " + offer + " Bob\n")
	conv := strings.Fields(bob.expect("OK "))[0]
	bob.expect("* 1 ") // he has come in
	desk := h.desk(alice)
	h.landed(desk.invited(conv, false), "Carla")
	carla := h.guest(conv, "Carla", 0)
	carla.expect("joined")
	carla.says("1", "hello", nil)
	bob.expectAll("* 2 Guest 1: /join", "* 3 Guest 1: hello")
}
