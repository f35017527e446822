package chbroker

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"chmail/internal/call"
	"chmail/internal/message"
	"chmail/internal/sqldb"
)

func (h *house) remove(login string) {
	h.t.Helper()
	if err := h.db.Update(h.t.Context(), func(tx *sqldb.Tx) error { return h.Remove(tx, login) }); err != nil {
		h.t.Fatal(err)
	}
}

// rows counts what a table has of a login.
func (h *house) rows(table, login string) (n int) {
	h.t.Helper()
	synctest.Wait()
	if err := h.db.View(h.t.Context(), func(tx *sqldb.Tx) error {
		return tx.QueryRow(`SELECT count(*) FROM `+table+` WHERE login = ?`, login).Scan(&n)
	}); err != nil {
		h.t.Error(err)
	}
	return n
}

func (h *house) nothingOf(login string) {
	h.t.Helper()
	for _, table := range []string{"chbroker_call", "chbroker_seen", "chbroker_port"} {
		if n := h.rows(table, login); n != 0 {
			h.t.Errorf("%s has %d rows of %s", table, n, login)
		}
	}
}

// Whoever is given the address next is told nothing that was meant for the one before.
func TestAnAccountThatIsRemovedTakesItsCallsAlong(t *testing.T) {
	story(t, func(t *testing.T, h *house) {
		h.postOffice(false)
		l := h.link(alice, "Secret matter")
		h.mailLogin(alice)
		h.comes("waits", l, time.Minute)
		h.comes("left", l, time.Minute)
		after(10 * time.Second)
		h.Gone("left")
		after(time.Minute)
		h.comes("young", l, 0)
		h.comes("other", h.link(bob, "Roof"), time.Minute)
		h.remove(alice)
		h.nothingOf(alice)
		h.is(alice, Unknown)
		if s, ok := h.State("waits"); ok {
			t.Errorf("the call is still there: %s", s)
		}
		h.Gone("waits")
		h.Gone("young")
		h.Visit(call.Visit{Conv: "late", Link: l}) // a page that was open meanwhile
		after(time.Minute)
		h.nothingOf(alice)

		h.postOffice(true) // and the address is another person's
		h.desk(alice, "new", true).shows()
		after(10 * time.Minute)
		h.left(1) // bob's
		h.restart()
		h.desk(alice, "new", true).shows()
		h.comes("fresh", h.link(alice, "New"), time.Minute)
		h.hears("fresh", call.Opened, call.Ringing)
		if n := h.rows("chbroker_call", alice); n != 1 {
			t.Errorf("%d calls of the new owner are saved", n)
		}
	})
}

func TestADeskRingsForNobodyWhileItsAccountGoes(t *testing.T) {
	story(t, func(t *testing.T, h *house) {
		d := h.desk(alice, "study", true)
		l := h.link(alice, "Roof")
		h.comes("c1", l, time.Minute)
		d.shows("visit c1", "ring c1")
		h.comes("c2", l, time.Minute)
		d.shows("visit c2")
		h.remove(alice)
		d.shows("silence c1", "silence c2")
		after(time.Hour)
		h.left()
		h.nothingOf(alice)
	})
}

// A mail that was on its way while its sender's account went.
func TestALinkOfARemovedAccountIsNotKept(t *testing.T) {
	story(t, func(t *testing.T, h *house) {
		keep := func(c call.Card, at time.Time) error {
			return h.db.Update(t.Context(), func(tx *sqldb.Tx) error { return h.Keep(tx, c, message.Summary{}, at) })
		}
		card := func() call.Card {
			c, err := h.Card(t.Context(), alice)
			if err != nil {
				t.Fatal(err)
			}
			return c
		}
		early, came := card(), time.Now()
		after(time.Second)
		h.remove(alice)
		late := card() // of the same mail
		after(time.Second)
		for _, c := range []call.Card{early, late} {
			if err := keep(c, came); err == nil {
				t.Error("the link is kept")
			}
		}
		if err := keep(early, time.Now()); err == nil {
			t.Error("the link of an early card is kept")
		}
		if n := h.rows("chbroker_link", alice); n != 0 {
			t.Errorf("%d links are there", n)
		}
		h.link(alice, "of whoever has the address now")
	})
}

// That an account is gone may be heard of late, when somebody else has its address already.
func TestWhatIsOfTheNextOwnerStays(t *testing.T) {
	story(t, func(t *testing.T, h *house) {
		gone := time.Now()
		after(time.Second)
		h.postOffice(false)
		l := h.link(alice, "New")
		h.comes("missed", l, time.Minute)
		after(20 * time.Second)
		h.Gone("missed")
		after(time.Minute)
		h.comes("waits", l, time.Minute)
		after(5 * time.Minute)
		h.board.post(forgetEvent{alice, gone})
		if s, ok := h.State("waits"); !ok || s != call.Opened {
			t.Errorf("who waits is told %q, %v", s, ok)
		}
		h.postOffice(true)
		after(10 * time.Minute)
		h.left(1, 1)
		h.hears("waits", call.Opened, call.Unknown)
		h.desk(alice, "study", true).shows("missed missed", "visit waits", "ring waits")
	})
}

// A removal whose transaction fails is none.
func TestARemovalThatFailsTakesNothing(t *testing.T) {
	story(t, func(t *testing.T, h *house) {
		d := h.desk(alice, "study", true)
		l := h.link(alice, "Roof")
		h.comes("c1", l, time.Minute)
		full := errors.New("the disk is full")
		if err := h.db.Update(t.Context(), func(tx *sqldb.Tx) error { return errors.Join(h.Remove(tx, alice), full) }); !errors.Is(err, full) {
			t.Fatal(err)
		}
		d.shows("visit c1", "ring c1")
		after(6 * time.Second)
		h.Gone("c1")
		after(time.Minute)
		h.restart()
		h.comes("c2", l, time.Minute)
		h.hears("c2", call.Opened, call.Noticed)
		if n := h.rows("chbroker_call", alice); n != 2 {
			t.Errorf("%d calls are saved, want 2", n)
		}
	})
}

func TestWordThatIsRefusedForGoodEnds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var tries atomic.Int32
		var refusal atomic.Pointer[message.Refusal]
		refusal.Store(message.Refuse(451, [3]int{4, 3, 0}, "later"))
		h := openHouse(t, func(o *Options) {
			o.Word = func(context.Context, call.Word) error { tries.Add(1); return refusal.Load() }
		})
		h.comes("c1", h.link(alice, "Roof"), time.Minute)
		after(time.Minute)
		if n := tries.Load(); n < 3 {
			t.Errorf("a refusal that may pass was tried %d times", n)
		}
		refusal.Store(message.Refuse(550, [3]int{5, 1, 1}, "no such mailbox"))
		after(10 * time.Minute)
		was := tries.Load()
		after(time.Hour)
		h.Gone("c1")
		after(time.Hour)
		h.restart()
		after(time.Hour)
		if n := tries.Load(); n != was {
			t.Errorf("what was refused for good was tried %d times more", n-was)
		}
	})
}

// The database is asked which link a call had; a link of another login is never the answer.
func TestACallIsNotGivenAnothersLink(t *testing.T) {
	story(t, func(t *testing.T, h *house) {
		l := h.link(alice, "Roof")
		l.Login = bob // as if the number had been given again
		h.desk(bob, "study", false)
		h.comes("c1", l, time.Minute)
		after(6 * time.Second)
		h.Gone("c1")
		after(time.Minute)
		h.restart()
		calls, err := h.loadCalls(t.Context())
		if err != nil || len(calls) != 1 {
			t.Fatalf("%d calls: %v", len(calls), err)
		}
		if got := calls[0].link; got.Login != bob || got.Mail.Subject != "" {
			t.Errorf("the call's link: %+v", got)
		}
	})
}

func TestALinksNumberIsNotGivenAgain(t *testing.T) {
	t.Parallel()
	h := openHouse(t)
	first := h.link(alice, "Roof").ID
	if err := h.db.Update(t.Context(), func(tx *sqldb.Tx) error {
		_, err := tx.Exec(`DELETE FROM chbroker_link`)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	if next := h.link(bob, "Other").ID; next <= first {
		t.Errorf("link %d has gone, and the next one is %d", first, next)
	}
}
