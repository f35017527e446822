package chatd

import (
	"slices"
	"testing"

	"chmail/internal/sqldb"
)

// What an owner's account was is gone; who talked to him must not end up with somebody else.

// removeRows takes a login's rows out as the removal of its account does, without the server hearing of it.
func (h *house) removeRows(login string) {
	h.t.Helper()
	if err := h.db.Update(h.t.Context(), func(tx *sqldb.Tx) error { return Remove(tx, login) }); err != nil {
		h.t.Fatal(err)
	}
}

// texts is everything that was ever said to a login.
func (h *house) texts(login string) (list []string) {
	h.t.Helper()
	if err := h.db.View(h.t.Context(), func(tx *sqldb.Tx) error {
		list = nil
		rows, err := tx.Query(`SELECT e.text FROM chatd_event e JOIN chatd_conversation c ON c.key = e.conv WHERE c.login = ? AND e.kind = 'say' ORDER BY e.conv, e.n`, login)
		if err != nil {
			return err
		}
		for rows.Next() {
			var text string
			if err := rows.Scan(&text); err != nil {
				return err
			}
			list = append(list, text)
		}
		return rows.Err()
	}); err != nil {
		h.t.Fatal(err)
	}
	return list
}

func TestARoomWhoseRowIsGoneWritesIntoNobodyElses(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	bob, conv := h.talking(offer, "Bob")
	bob.send(frame{"t": "say", "cid": "1", "text": "one"})
	bob.expect("ack")
	h.removeRows(alice)
	h.talking(quote, "Dave") // the next row is Carol's
	bob.send(frame{"t": "say", "cid": "2", "text": "for Alice only"})
	if f := bob.expect("bye"); f["reason"] != "moved" {
		t.Errorf("bye: %v", f)
	}
	bob.hungUp()
	if got := h.texts(carol); len(got) != 0 {
		t.Errorf("Carol is told %q", got)
	}
	// Even with the same key and epoch a row is somebody else's when its id is.
	_, other := h.talking(gutters, "Bob")
	rec, err := h.srv.store.own(t.Context(), other)
	if err != nil {
		t.Fatal(err)
	}
	rec.id = conv
	if _, err := h.srv.store.save(t.Context(), &rec, []*event{{Kind: kindSay, From: visitor, Text: "astray"}}); err == nil {
		t.Error("one conversation's room wrote into another's row")
	}
}

func TestALinksNumberAloneLeadsIntoNoConversation(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	bob, conv := h.talking(offer, "Bob")
	bob.send(frame{"t": "say", "cid": "1", "text": "for Alice"})
	bob.expect("ack")
	bob.cut()
	h.broker.mu.Lock()
	l := h.broker.links[quote]
	l.ID = h.broker.links[offer].ID // Carol's link has got the number that Alice's had
	h.broker.links[quote] = l
	h.broker.mu.Unlock()
	again := h.reader(quote, "Bob", 0, 0)
	if j := again.expect("joined"); j["conv"] != "" {
		t.Errorf("joined: %v", j)
	}
	again.send(frame{"t": "say", "cid": "1", "text": "for Carol"})
	if a := again.expect("ack"); a["conv"] == conv {
		t.Errorf("acknowledged in Alice's conversation: %v", a)
	}
	if a, c := h.texts(alice), h.texts(carol); !slices.Equal(a, []string{"for Alice"}) || !slices.Equal(c, []string{"for Carol"}) {
		t.Errorf("Alice is told %q, Carol %q", a, c)
	}
}

func TestARemovedLoginsReadersAndDesksAreDismissed(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	port := h.at(alice)
	desk, carols := h.desk(alice), h.desk(carol)
	h.broker.until(t, "both desks", func() bool { return len(h.broker.devices) == 2 })
	bob, _ := h.talking(offer, "Bob")
	mina := h.reader(offer, "Mina", 0, 0) // has only looked so far
	mina.expect("joined")
	phone := h.connect(port)
	phone.say("JOIN " + offer + " Tess\n")
	phone.expect("OK ")
	dave, theirs := h.talking(quote, "Dave")
	h.removeRows(alice)
	h.srv.Dismiss(alice)
	bob.refused("link")
	mina.refused("link")
	phone.expect("- this link does not work")
	desk.refused("signed-out")
	if got := h.srv.Listening(); len(got) != 0 {
		t.Errorf("still listening on %v", got)
	}
	h.broker.until(t, "her desk is gone", func() bool { return len(h.broker.devices) == 1 })
	dave.send(frame{"t": "say", "cid": "1", "text": "and we go on"})
	dave.expect("ack")
	carols.send(frame{"t": "open", "conv": theirs, "last": 0})
	carols.said(0, "and we go on")
}

// A conversation that is being made at the moment at which the account goes does not stay behind for the next owner of the address.
func TestWhatIsMadeWhileALoginIsRemovedDoesNotStay(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	bob := h.reader(offer, "Bob", 0, 0)
	bob.expect("joined")
	h.broker.mu.Lock()
	h.broker.resolved = func() { // the link was good a moment ago
		h.removeRows(alice)
		h.srv.Dismiss(alice)
	}
	h.broker.mu.Unlock()
	bob.send(frame{"t": "intent"})
	bob.refused("link")
	h.stop() // every room has ended
	h.start()
	if talks, err := h.srv.Conversations(t.Context(), alice, 10); err != nil || len(talks) != 0 {
		t.Errorf("the next owner finds %+v, %v", talks, err)
	}
}

func TestALinkIsLookedUpAgainBeforeAnybodyIsCalled(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	port := h.at(alice)
	known, conv := h.talking(offer, "Bob")
	known.cut()
	h.broker.until(t, "gone", func() bool { return slices.Contains(h.broker.gone, conv) })
	var in []*page
	for _, p := range []*page{h.reader(offer, "Bob", 0, 0), h.reader(offer, "Mina", 0, 0), h.reader(offer, "Tess", 0, port)} {
		p.expect("joined")
		in = append(in, p)
	}
	h.broker.mu.Lock()
	link := h.broker.links[offer]
	delete(h.broker.links, offer) // it expires, or is revoked, while the pages stay open
	h.broker.mu.Unlock()
	in[0].send(frame{"t": "intent"})
	in[0].refused("link")
	in[1].send(frame{"t": "say", "cid": "1", "text": "hello?"})
	in[1].refused("link")
	link.ID = 77 // the token cannot come to stand for another mail; if it did, it would not be that conversation's
	h.broker.mu.Lock()
	h.broker.links[offer] = link
	h.broker.mu.Unlock()
	in[2].send(frame{"t": "intent"})
	in[2].refused("link")
	h.broker.mu.Lock()
	defer h.broker.mu.Unlock()
	if n := len(h.broker.visits); n != 1 {
		t.Errorf("the broker heard of %d visits", n)
	}
}
