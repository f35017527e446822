package chbroker

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"chmail/internal/call"
	"chmail/internal/message"
	"chmail/internal/sqldb"
)

// pages checks one page of alice's mails, by their subjects.
func (h *house) pages(older, newer int64, more bool, want ...string) []call.Link {
	h.t.Helper()
	mails, got, err := h.Mails(h.t.Context(), alice, older, newer, 2)
	if err != nil {
		h.t.Fatal(err)
	}
	var subjects []string
	for _, l := range mails {
		subjects = append(subjects, l.Mail.Subject)
	}
	if !slices.Equal(subjects, want) || got != more {
		h.t.Errorf("older than %d, newer than %d: %q (more: %v), want %q (%v)", older, newer, subjects, got, want, more)
	}
	return mails
}

func TestTheMailsOfALoginArePagedThrough(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		for indexed := range 6 { // so many mails were written when the index was brought up to date
			h := openHouse(t)
			h.pages(0, 0, false)
			for i := range 5 {
				if i == indexed {
					h.listed()
				}
				h.link(alice, fmt.Sprint("mail ", i+1))
				h.link(bob, "somebody else's")
			}
			if indexed == 5 {
				h.listed()
			}
			first := h.pages(0, 0, true, "mail 5", "mail 4")
			second := h.pages(first[1].ID, 0, true, "mail 3", "mail 2")
			third := h.pages(second[1].ID, 0, false, "mail 1")
			h.pages(third[0].ID, 0, false)
			h.pages(0, third[0].ID, true, "mail 3", "mail 2")
			h.pages(0, second[0].ID, false, "mail 5", "mail 4")
			h.pages(0, first[0].ID, false)
			if err := h.Revoke(t.Context(), alice, first[0].ID); err != nil {
				t.Fatal(err)
			}
			if mails := h.pages(0, 0, true, "mail 5", "mail 4"); !mails[0].Revoked || mails[1].Revoked {
				t.Errorf("which one is switched off: %+v", mails)
			}
			h.remove(alice)
			after(time.Second) // and whoever gets the address next
			h.link(alice, "a new life")
			h.pages(0, 0, false, "a new life")
		}
	})
}

// listed has the index take in everything, and checks that it did.
func (h *house) listed() {
	h.t.Helper()
	if err := h.index(h.t.Context()); err != nil {
		h.t.Fatal(err)
	}
	if n := h.unlisted(); n != 0 {
		h.t.Errorf("%d links are not in the index", n)
	}
}

func (h *house) unlisted() (n int) {
	h.t.Helper()
	if err := h.db.View(h.t.Context(), func(tx *sqldb.Tx) error {
		return tx.QueryRow(`SELECT count(*) FROM chbroker_link l WHERE id > (SELECT coalesce(max(link), 0) FROM chbroker_indexed)
			OR NOT EXISTS (SELECT 1 FROM chbroker_token WHERE link = l.id AND hash = substr(l.hash, 1, 16)) OR NOT EXISTS (SELECT 1 FROM chbroker_mail WHERE login = l.login AND link = l.id)`).Scan(&n)
	}); err != nil {
		h.t.Fatal(err)
	}
	return n
}

func TestTheIndexOfLinksFollowsWithinMinutes(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := openHouse(t)
		write := func(n int) {
			t.Helper()
			c, err := h.Card(t.Context(), alice)
			if err != nil {
				t.Fatal(err)
			}
			if err := h.db.Update(t.Context(), func(tx *sqldb.Tx) error {
				for i := range n {
					c.Hash[0], c.Hash[1] = byte(i), byte(i>>8)
					if err := h.Keep(tx, c, message.Summary{}, time.Now()); err != nil {
						return err
					}
				}
				return nil
			}); err != nil {
				t.Fatal(err)
			}
		}
		write(2*indexPiece + 1)
		if n := h.unlisted(); n != 2*indexPiece+1 {
			t.Errorf("%d links wait for the index: a mail has paid for it", n)
		}
		for range 2 {
			time.Sleep(indexEvery + time.Second)
			synctest.Wait()
			if n := h.unlisted(); n != 0 {
				t.Errorf("%d links are not in the index", n)
			}
			write(1)
		}
	})
}

func TestTheLatestAddressIsHadWithoutTheMaps(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := openHouse(t)
		is := func(want string) {
			t.Helper()
			ip, err := h.Latest(t.Context(), alice)
			if err != nil || want == "" && ip.IsValid() || want != "" && ip != netip.MustParseAddr(want) {
				t.Errorf("alice was seen at %v, %v; want %q", ip, err, want)
			}
		}
		is("")
		h.Seen(t.Context(), call.Sign{Login: alice, Source: call.SMTP, IP: netip.MustParseAddr("::ffff:192.0.2.7"), Host: "laptop.example"})
		is("192.0.2.7")
		time.Sleep(time.Second)
		h.Seen(t.Context(), call.Sign{Login: alice, Source: call.Desk, Device: "d1", IP: netip.MustParseAddr("2001:db8::7")})
		is("2001:db8::7")
		time.Sleep(day) // its evidence has run out; where it was is still known
		is("2001:db8::7")
		h.restart()
		is("2001:db8::7")
		h.remove(alice)
		is("")
	})
}
