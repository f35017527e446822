package chbroker

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"chmail/internal/call"
	"chmail/internal/message"
	"chmail/internal/sqldb"
)

// works checks whether a link can be followed.
func (h *house) works(token string, want bool) {
	h.t.Helper()
	if _, err := h.Resolve(context.Background(), token); err != nil && !errors.Is(err, call.ErrNoLink) || (err == nil) != want {
		h.t.Errorf("a link answers %v; does it work: %v", err, want)
	}
}

// token keeps a link of a mail and gives its token.
func (h *house) token(login string) string {
	h.t.Helper()
	c, err := h.Card(h.t.Context(), login)
	if err != nil {
		h.t.Fatal(err)
	}
	h.keep(c, message.Summary{Date: time.Now()})
	return tokenOf(c)
}

// keepMany keeps links, all in one commit.
func (h *house) keepMany(login string, n int) {
	h.t.Helper()
	cards := make([]call.Card, n)
	for i := range cards {
		var err error
		if cards[i], err = h.Card(h.t.Context(), login); err != nil {
			h.t.Fatal(err)
		}
	}
	if err := h.db.Update(h.t.Context(), func(tx *sqldb.Tx) error {
		for _, c := range cards {
			if err := h.Keep(tx, c, message.Summary{Date: time.Now()}, time.Now()); err != nil {
				return err
			}
		}
		return nil
	}); err != nil {
		h.t.Fatal(err)
	}
}

func (h *house) count(query string, args ...any) (n int) {
	h.t.Helper()
	if err := h.db.View(context.Background(), func(tx *sqldb.Tx) error { return tx.QueryRow(`SELECT count(*) FROM `+query, args...).Scan(&n) }); err != nil {
		h.t.Error(err)
	}
	return n
}

// A link works from its commit on, whatever the indexes have of it and wherever the program was cut off.
func TestALinkWorksBeforeWhileAndAfterItIsIndexed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := openHouse(t)
		first, second := h.token(alice), h.token(bob)
		check := func() {
			t.Helper()
			h.works(first, true)
			h.works(second, true)
		}
		check()
		h.restart()
		check()
		links, err := h.unindexed(t.Context(), -1)
		if err != nil || len(links) != 2 {
			t.Fatalf("%d links wait, %v", len(links), err)
		}
		if err := h.indexPieces(t.Context(), links[1:], func(tx *sqldb.Tx, u *unindexed) error { // and no further
			_, err := tx.Exec(`INSERT INTO chbroker_token (hash, link) VALUES (?, ?)`, u.key[:], u.id)
			return err
		}); err != nil {
			t.Fatal(err)
		}
		h.restart()
		check()
		h.listed()
		check()
		if n := len(h.fresh.links); n != 0 {
			t.Errorf("%d links are remembered that the index has", n)
		}
		h.restart()
		check()
		h.works(h.token(alice), true)
	})
}

func TestTheIndexesAreFilledAsSoonAsARoundsWorthWaits(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := openHouse(t)
		h.keepMany(alice, indexRound-1)
		synctest.Wait()
		if n := h.unlisted(); n != indexRound-1 {
			t.Errorf("%d links wait for the index", n)
		}
		h.keepMany(alice, 1)
		synctest.Wait()
		if n := h.unlisted(); n != 0 {
			t.Errorf("%d links still wait for the index", n)
		}
	})
}

func TestTheIndexesForgetExpiredLinks(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := openHouse(t, func(o *Options) { o.LinkLife = time.Hour })
		h.keepMany(alice, 3)
		after(2 * indexEvery)
		if n := h.count(`chbroker_token`); n != 3 {
			t.Errorf("the index of tokens has %d links, want 3", n)
		}
		after(linkGrace + 2*time.Hour)
		synctest.Wait()
		if n := h.count(`chbroker_token`) + h.count(`chbroker_mail`) + h.count(`chbroker_link`); n != 0 {
			t.Errorf("%d rows are left of expired links", n)
		}
	})
}

// The links of a removed account stay dead as long as they are there, also when its address has been given to somebody else.
func TestTheLinksOfARemovedAccountStayDead(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := openHouse(t, func(o *Options) { o.LinkLife = time.Hour })
		in := h.token(alice)
		h.listed()
		out := h.token(alice)
		h.remove(alice)
		after(time.Second)
		next := h.token(alice)
		check := func() {
			t.Helper()
			h.works(in, false)
			h.works(out, false)
			h.works(next, true)
			if mails, _, err := h.Mails(t.Context(), alice, 0, 0, 10); err != nil || len(mails) != 1 {
				t.Errorf("the next holder of the address sees %d mails, %v", len(mails), err)
			}
		}
		check()
		h.restart()
		check()
		after(day + 30*time.Minute) // what was under way is over, and the links are still there
		synctest.Wait()
		if n := h.count(`chbroker_removed`); n != 1 {
			t.Errorf("%d removed logins are remembered while there are links of theirs", n)
		}
		h.works(in, false)
		after(time.Hour)
		synctest.Wait()
		if n := h.count(`chbroker_removed`); n != 0 {
			t.Errorf("%d removed logins are remembered after the last of their links", n)
		}
	})
}
