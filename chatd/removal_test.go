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
