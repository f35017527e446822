package chatd

import (
	"fmt"
	"slices"
	"testing"

	"chmail/internal/call"
	"chmail/internal/sqldb"
)

// history is what an Archive tells of a conversation, in short.
func (h *house) history(conv string) (all []string) {
	h.t.Helper()
	archive := NewArchive(h.db)
	for after := int64(0); ; {
		page, err := archive.Events(h.t.Context(), alice, conv, after)
		if err != nil {
			h.t.Fatal(err)
		}
		if len(page) == 0 {
			return all
		}
		for _, e := range page {
			what := e.Kind
			if e.Text != "" {
				what += " " + e.Text
			}
			all = append(all, what)
			after = e.N
		}
	}
}

func TestHowCallsWentIsKeptWithTheConversation(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	bob, conv := h.talking(offer, "Bob")
	state := func(s call.State) {
		t.Helper()
		h.srv.Tell(conv, s)
		for bob.expect("call")["state"] != string(s) {
		}
	}
	state(call.Ringing)
	bob.send(frame{"t": "say", "cid": "1", "text": "Are you there?"})
	bob.expect("ack")
	state(call.Retrying)
	state(call.Ringing)
	state(call.Ringing) // told again, and no move
	state(call.Noticed)
	kept := func(want ...string) {
		t.Helper()
		h.stop() // all that was told is kept by then
		h.start()
		if got := slices.DeleteFunc(h.history(conv), func(s string) bool { return s == "leave" }); !slices.Equal(got, want) {
			t.Errorf("history: %q, want %q", got, want)
		}
	}
	want := []string{"join", "call opened", "call ringing", "say Are you there?", "call retrying", "call ringing", "call noticed"}
	kept(want...)

	desk, foreign := h.desk(alice), h.desk(carol)
	desk.send(frame{"t": "open", "conv": conv, "last": 0})
	var shown []string
	for _, m := range desk.expect("moves")["moves"].([]any) {
		m := m.(map[string]any)
		shown = append(shown, fmt.Sprint(m["n"], " ", m["state"]))
		if m["at"] == "" || m["at"] == nil {
			t.Errorf("a move without a time: %v", m)
		}
	}
	if fmt.Sprint(shown) != "[1 opened 1 ringing 2 retrying 2 ringing 2 noticed]" {
		t.Errorf("the desk is shown %v", shown)
	}
	foreign.send(frame{"t": "open", "conv": conv, "last": 0})
	foreign.refused("refused")

	h.srv.Tell(conv, call.Back) // nobody is there
	kept(append(want, "call back")...)
}

func TestMovesAreBoundedAndGoWithTheirConversation(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	_, conv := h.talking(offer, "Bob")
	rec, err := h.srv.store.own(t.Context(), conv)
	if err != nil {
		t.Fatal(err)
	}
	count := func() (n, newest int) {
		t.Helper()
		if err := h.db.View(t.Context(), func(tx *sqldb.Tx) error {
			return tx.QueryRow(`SELECT count(*), coalesce(max(k), 0) FROM chatd_move`).Scan(&n, &newest)
		}); err != nil {
			t.Fatal(err)
		}
		return n, newest
	}
	_, before := count()
	for i := range maxMoves + 50 {
		if err := h.srv.store.setState(t.Context(), conv, []call.State{call.Ringing, call.Retrying}[i%2]); err != nil {
			t.Fatal(err)
		}
	}
	if n, newest := count(); n != maxMoves || newest < before+maxMoves+49 {
		t.Errorf("%d moves up to the %dth", n, newest)
	}
	if deleted, err := NewArchive(h.db).Delete(t.Context(), rec.login, conv, rec.at.AddDate(1, 0, 0)); err != nil || !deleted {
		t.Fatal(deleted, err)
	}
	if n, _ := count(); n != 0 {
		t.Errorf("%d moves are left of a deleted conversation", n)
	}
}
