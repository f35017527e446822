package chbroker

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"chmail/internal/call"
	"chmail/internal/message"
	"chmail/internal/sqldb"
)

func TestALinkLeadsToItsMailAndOwner(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) { // on its own clock: a port is waited for no longer than a mail may wait
		h := openHouse(t)
		sent := time.Now().Add(-time.Minute).Truncate(time.Millisecond)
		m := message.Summary{MessageID: "<1@example.com>", Subject: "Angebot fürs Dach", References: "<0@example.com>", FromName: "Al", Recipients: 3, Stamp: "header-only: no text body", Date: sent}
		c, err := h.Card(t.Context(), alice)
		if err != nil {
			t.Fatal(err)
		}
		if c.Login != alice || c.Name != "Alice" || c.Host != "chat.example.com" || c.Port != 24000 || len(c.Hash) != 32 ||
			!strings.HasPrefix(c.URL, "https://chat.example.com/c/") || len(tokenOf(c)) != 22 {
			t.Errorf("the card: %+v", c)
		}
		if _, err := h.Resolve(t.Context(), tokenOf(c)); !errors.Is(err, call.ErrNoLink) {
			t.Errorf("a link that was not kept: %v", err)
		}
		h.keep(c, m)
		l, err := h.Resolve(t.Context(), tokenOf(c))
		if err != nil {
			t.Fatal(err)
		}
		if l.Login != alice || l.Name != "Alice" || l.Host != "chat.example.com" || l.Port != 24000 || l.ID == 0 || l.Expires.Sub(l.Created).Round(time.Minute) != 30*day {
			t.Errorf("the link: %+v", l)
		}
		if l.Mail.Date = l.Mail.Date.UTC(); !l.Mail.Date.Equal(sent) {
			t.Errorf("the mail's date: %v, want %v", l.Mail.Date, sent)
		}
		if l.Mail.Date = m.Date; l.Mail != m {
			t.Errorf("the mail: %+v, want %+v", l.Mail, m)
		}
	})
}

func TestALinkAppearsWithItsMailOrNotAtAll(t *testing.T) {
	t.Parallel()
	h := openHouse(t)
	c, err := h.Card(t.Context(), alice)
	if err != nil {
		t.Fatal(err)
	}
	full := errors.New("the disk is full")
	if err := h.db.Update(t.Context(), func(tx *sqldb.Tx) error {
		return errors.Join(h.Keep(tx, c, message.Summary{}, time.Now()), full)
	}); !errors.Is(err, full) {
		t.Fatal(err)
	}
	if _, err := h.Resolve(t.Context(), tokenOf(c)); !errors.Is(err, call.ErrNoLink) {
		t.Errorf("a link whose mail failed: %v", err)
	}
	c.Hash = c.Hash[:31]
	if err := h.db.Update(t.Context(), func(tx *sqldb.Tx) error { return h.Keep(tx, c, message.Summary{}, time.Now()) }); err == nil {
		t.Error("a hash that is none is kept")
	}
}

func TestTheDatabaseHoldsNoToken(t *testing.T) {
	t.Parallel()
	h := openHouse(t)
	c, err := h.Card(t.Context(), alice)
	if err != nil {
		t.Fatal(err)
	}
	h.keep(c, message.Summary{Subject: "Roof"})
	raw, err := base64.RawURLEncoding.Strict().DecodeString(tokenOf(c))
	if err != nil || len(raw) != 16 {
		t.Fatalf("token of %d octets: %v", len(raw), err)
	}
	if sum := sha256.Sum256(raw); string(sum[:]) != string(c.Hash) {
		t.Error("what is kept is not the token's SHA-256")
	}
	if err := h.db.View(t.Context(), func(tx *sqldb.Tx) error {
		var n int
		err := tx.QueryRow(`SELECT count(*) FROM chbroker_link WHERE instr(hash, ?) OR instr(subject || refs || message_id || from_name, ?)`, raw, tokenOf(c)).Scan(&n)
		if err == nil && n != 0 {
			err = errors.New("the token is in the database")
		}
		return err
	}); err != nil {
		t.Error(err)
	}
}

// Whatever does not work gets one answer, and nobody learns which it was.
func TestTokensThatDoNotWork(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := openHouse(t, func(o *Options) { o.LinkLife = time.Hour })
		kept := func() (string, int64) {
			c, err := h.Card(t.Context(), alice)
			if err != nil {
				t.Fatal(err)
			}
			h.keep(c, message.Summary{})
			l, err := h.Resolve(t.Context(), tokenOf(c))
			if err != nil {
				t.Fatal(err)
			}
			return tokenOf(c), l.ID
		}
		good, _ := kept()
		revoked, id := kept()
		if err := h.Revoke(t.Context(), bob, id); err != nil {
			t.Fatal(err)
		}
		works := func(login string, want bool) {
			t.Helper()
			if works, _, err := h.Works(t.Context(), login, id); works != want || err != nil {
				t.Errorf("%s's link works: %v, %v", login, works, err)
			}
		}
		works(alice, true)
		works(bob, false)
		defer works(alice, false)
		if _, err := h.Resolve(t.Context(), revoked); err != nil {
			t.Errorf("bob has revoked alice's link: %v", err)
		}
		if err := h.Revoke(t.Context(), alice, id); err != nil {
			t.Fatal(err)
		}
		last := good[len(good)-1]
		for _, token := range []string{
			revoked, "", "x", good + "A", good[1:], good + "=", good[:21] + "\n", "\n" + good, good[:11] + "\r\n" + good[11:], strings.ToUpper(good),
			good[:21] + string(last+1), good[:20] + "+/", strings.Repeat("A", 22), strings.Repeat("é", 11), strings.Repeat("A", 1<<20), "AAAAAAAAAAAAAAAAAAAAAA",
		} {
			if token == good {
				continue
			}
			if _, err := h.Resolve(t.Context(), token); !errors.Is(err, call.ErrNoLink) || err.Error() != call.ErrNoLink.Error() {
				t.Errorf("token %.30q: %v", token, err)
			}
		}
		after(59 * time.Minute)
		if _, err := h.Resolve(t.Context(), good); err != nil {
			t.Errorf("a minute before it expires: %v", err)
		}
		after(time.Minute)
		if _, err := h.Resolve(t.Context(), good); !errors.Is(err, call.ErrNoLink) {
			t.Errorf("an expired link: %v", err)
		}
		count := func() (n int) {
			if err := h.db.View(t.Context(), func(tx *sqldb.Tx) error { return tx.QueryRow(`SELECT count(*) FROM chbroker_link`).Scan(&n) }); err != nil {
				t.Error(err)
			}
			return n
		}
		if n := count(); n != 2 {
			t.Errorf("%d links are stored, want 2", n)
		}
		after(day + 2*time.Minute)
		synctest.Wait()
		if n := count(); n != 0 {
			t.Errorf("%d links are stored a day after they expired", n)
		}
	})
}

func TestManyExpiredLinksGoInPieces(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := openHouse(t, func(o *Options) { o.LinkLife = time.Minute })
		if err := h.db.Update(t.Context(), func(tx *sqldb.Tx) error {
			for i := range 3*janitorPace + 1 {
				hash := sha256.Sum256([]byte(fmt.Sprint(i)))
				c := call.Card{Login: alice, Hash: hash[:], Expires: time.Now().Add(-linkGrace)}
				if err := h.Keep(tx, c, message.Summary{}, time.Now()); err != nil {
					return err
				}
			}
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		after(2 * cleanEvery)
		synctest.Wait()
		if err := h.db.View(t.Context(), func(tx *sqldb.Tx) error {
			var id int
			return tx.QueryRow(`SELECT id FROM chbroker_link`).Scan(&id)
		}); !errors.Is(err, sql.ErrNoRows) {
			t.Errorf("links are left: %v", err)
		}
	})
}

// manyLinks writes links of a login, all of which expire at the same moment.
func (h *house) manyLinks(login string, n int, expires time.Time) {
	h.t.Helper()
	for begin := 0; begin < n; begin += 5000 {
		if err := h.db.Update(context.Background(), func(tx *sqldb.Tx) error {
			for i := begin; i < min(begin+5000, n); i++ {
				hash := sha256.Sum256(fmt.Append(nil, login, i, expires))
				if _, err := tx.Exec(`INSERT INTO chbroker_link (hash, login, message_id, subject, refs, from_name, recipients, stamp, sent, created, expires)
					VALUES (?, ?, '<1@example.com>', 'Offer for the roof', '', 'Alice', 1, '', 0, 0, ?)`, hash[:], login, expires); err != nil {
					return err
				}
			}
			return nil
		}); err != nil {
			h.t.Fatal(err)
		}
	}
}

// After link_life was made shorter, links expire before others that are older.
func TestExpiredLinksGoAlsoFromBehindOnesThatWork(t *testing.T) {
	t.Parallel()
	h := openHouse(t)
	now := time.Now()
	has := func(want map[string]int) {
		t.Helper()
		for login, n := range want {
			if got := h.stored(login); got != n {
				t.Errorf("%s has %d links, want %d", login, got, n)
			}
		}
	}
	h.manyLinks("before@example.com", 2*linkWindow+3, now)
	h.manyLinks(alice, linkWindow, now.Add(365*day)) // a whole window that stays
	h.manyLinks(bob, linkWindow+3, now)
	h.manyLinks(carol, 3, now.Add(365*day))
	var swept int64
	clean := func() {
		if err := h.cleanLinks(t.Context(), now.Add(time.Second), &swept); err != nil {
			t.Fatal(err)
		}
	}
	clean()
	has(map[string]int{"before@example.com": 0, alice: linkWindow, carol: 3})
	for range 2 {
		clean()
	}
	has(map[string]int{alice: linkWindow, bob: 0, carol: 3})
	if swept != 0 {
		t.Errorf("the next round begins behind link %d", swept)
	}
}

// stored counts the links of a login, without a bubble.
func (h *house) stored(login string) (n int) {
	h.t.Helper()
	if err := h.db.View(context.Background(), func(tx *sqldb.Tx) error {
		return tx.QueryRow(`SELECT count(*) FROM chbroker_link WHERE login = ?`, login).Scan(&n)
	}); err != nil {
		h.t.Error(err)
	}
	return n
}

func TestASummaryOfAnyLengthIsBounded(t *testing.T) {
	t.Parallel()
	h := openHouse(t)
	c, err := h.Card(t.Context(), alice)
	if err != nil {
		t.Fatal(err)
	}
	long := strings.Repeat("ü", 1<<20)
	h.keep(c, message.Summary{Subject: long, References: long, MessageID: long, FromName: long})
	l, err := h.Resolve(t.Context(), tokenOf(c))
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range []string{l.Mail.Subject, l.Mail.References, l.Mail.MessageID, l.Mail.FromName} {
		if len(s) > maxReferences || len(s) < maxMessageID-1 || strings.Trim(s, "ü") != "" {
			t.Errorf("%d octets were kept, or a character was cut", len(s))
		}
	}
}

// A mail is not held up by what its card would need: it goes out with fewer fields.
func TestACardComesInTimeWhateverIsSlow(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		asked := make(chan struct{})
		h := openHouse(t, func(o *Options) {
			o.Maps = hung{NewMemory()}
			o.Names = func(ctx context.Context, _ string) (string, error) {
				select {
				case <-asked:
					return "Alice", nil
				case <-ctx.Done():
					return "", ctx.Err()
				}
			}
		})
		writing, written := make(chan struct{}), make(chan error, 1)
		go func() {
			written <- h.db.Update(t.Context(), func(*sqldb.Tx) error { <-writing; return nil })
		}()
		synctest.Wait()
		began := time.Now()
		c, err := h.Card(t.Context(), alice)
		if took := time.Since(began); err != nil || took > 60*time.Millisecond || c.Port != 0 || c.Name != "" || c.URL == "" {
			t.Errorf("with everything slow: %+v %v after %v", c, err, took)
		}
		close(writing)
		close(asked)
		if err := <-written; err != nil {
			t.Error(err)
		}
		after(time.Minute)
		if c, err := h.Card(t.Context(), alice); err != nil || c.Port != 24000 || c.Name != "Alice" {
			t.Errorf("later: %+v %v", c, err)
		}
	})
}

func FuzzToken(f *testing.F) {
	f.Add("AAAAAAAAAAAAAAAAAAAAAA")
	f.Add("AAAAAAAAAAAAAAAAAAAAAB")
	f.Add("AAAAAAAAAAA\nAAAAAAAAAA")
	f.Add("_-_-_-_-_-_-_-_-_-_-_w")
	f.Add("")
	f.Fuzz(func(t *testing.T, token string) {
		hash, ok := hashToken(token)
		raw, err := base64.RawURLEncoding.Strict().DecodeString(token)
		if ok != (err == nil && len(raw) == tokenBytes && len(token) == tokenLength) {
			t.Fatalf("%q is a token: %v", token, ok)
		}
		if ok && (hash != sha256.Sum256(raw) || base64.RawURLEncoding.EncodeToString(raw) != token) {
			t.Errorf("%q has another spelling or hash", token)
		}
	})
}

func TestAMailWithoutALinkIsNotedForItsSender(t *testing.T) {
	t.Parallel()
	h := openHouse(t)
	if err := h.db.Update(t.Context(), func(tx *sqldb.Tx) error {
		return h.Note(tx, alice, message.Summary{Subject: "Quiet", Stamp: "skipped: the sender's wish"}, time.Now())
	}); err != nil {
		t.Fatal(err)
	}
	mails, more, err := h.Mails(t.Context(), alice, 0, 0, 10)
	if err != nil || more || len(mails) != 1 || mails[0].Mail.Subject != "Quiet" || mails[0].Mail.Stamp != "skipped: the sender's wish" {
		t.Errorf("%+v, %v, %v", mails, more, err)
	}
}

func TestWhoseLinkItIs(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := openHouse(t, func(o *Options) { o.LinkLife = time.Hour })
		const place = "https://chat.example.com/c/"
		hers, his := place+h.token(alice), place+h.token(bob)
		is := func(login, link string, want bool) {
			t.Helper()
			if got, err := h.Wrote(t.Context(), login, link); err != nil || got != want {
				t.Errorf("%s wrote the mail of %s: %v, %v", login, link, got, err)
			}
		}
		is(alice, hers, true)
		is(alice, his, false)
		is(bob, hers, false)
		for _, link := range []string{"", place, place + "AAAAAAAAAAAAAAAAAAAAAA", "https://chat.example.org/c/" + hers[len(place):], hers + "x"} {
			is(alice, link, false)
		}
		h.listed()
		is(alice, hers, true)
		after(2 * time.Hour) // it does not work any more, and is hers all the same
		is(alice, hers, true)
		h.remove(alice)
		is(alice, hers, false)
	})
}
