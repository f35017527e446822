package account

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"chmail/internal/message"
	"chmail/internal/sqldb"
)

const (
	sales = "sales@example.com"
	carol = "carol@bücher.test"
)

// leads checks where mail to an address goes, from the database and from memory.
func (h *house) leads(address string, want ...string) {
	h.t.Helper()
	for range 2 {
		if got, _, err := h.Recipients(h.t.Context(), mail(h.t, address)); err != nil || !slices.Equal(got, want) {
			h.t.Errorf("mail for %s goes to %v (%v), want %v", address, got, err, want)
		}
	}
}

func (h *house) writesAs(login, address string, want bool) {
	h.t.Helper()
	if got, err := h.Owns(h.t.Context(), login, mail(h.t, address)); err != nil || got != want {
		h.t.Errorf("%s may write as %s: %v (%v), want %v", login, address, got, err, want)
	}
}

// company is alice and bob, who read the mail for sales, and carol of another domain.
func company(t *testing.T) *house {
	h := newHouse(t).with([2]string{alice, alicesPassword}, [2]string{bob, bobsPassword}, [2]string{carol, bobsPassword})
	h.must(h.AddAlias(t.Context(), "Sales@Example.com", []string{"Alice@example.com", bob}, false))
	return h
}

func TestAnAliasLeadsToItsAccounts(t *testing.T) {
	t.Parallel()
	h, ctx := company(t), t.Context()
	h.leads("SALES@example.com", alice, bob)
	h.leads(alice, alice)
	h.leads("sales@bücher.test")

	h.must(h.AddAlias(ctx, sales, []string{carol, bob}, false)) // one more, and one who is there
	h.leads(sales, alice, bob, "carol@xn--bcher-kva.test")
	h.must(h.RemoveAlias(ctx, sales, []string{bob}))
	h.leads(sales, alice, "carol@xn--bcher-kva.test")

	h.must(h.Remove(ctx, alice))
	h.leads(sales, "carol@xn--bcher-kva.test")
	h.must(h.Add(ctx, alice, bobsPassword, "")) // the address's next holder has nothing to do with it
	h.leads(sales, "carol@xn--bcher-kva.test")
	h.must(h.Remove(ctx, carol))
	h.leads(sales)
	if all, err := h.Aliases(ctx); err != nil || len(all) != 0 {
		t.Errorf("an alias that leads nowhere is left: %v, %v", all, err)
	}
	h.must(h.Add(ctx, sales, bobsPassword, "")) // the address is free
	h.leads(sales, sales)
}

func TestAnAddressIsAnAccountOrAnAlias(t *testing.T) {
	t.Parallel()
	h, ctx := company(t), t.Context()
	_, err := h.EnsurePostmaster(ctx)
	h.must(err)
	for what, c := range map[string]struct {
		err  error
		is   error
		says string
	}{
		"an account of an alias's name": {h.Add(ctx, sales, bobsPassword, ""), ErrAlias, "chmail alias remove sales@example.com"},
		"an alias of an account's name": {h.AddAlias(ctx, bob, []string{alice}, false), ErrExists, "another name"},
		"an alias to an alias":          {h.AddAlias(ctx, "shop@example.com", []string{sales}, false), ErrAlias, "name the accounts"},
		"an alias to itself":            {h.AddAlias(ctx, "shop@example.com", []string{"Shop@example.com"}, false), ErrBadAlias, "itself"},
		"an alias to nobody":            {h.AddAlias(ctx, "shop@example.com", []string{alice, "ghost@example.com"}, true), ErrNoAccount, "ghost"},
		"an alias without a target":     {h.AddAlias(ctx, "shop@example.com", nil, false), ErrBadAlias, "lead to an account"},
		"a way out":                     {h.AddAlias(ctx, "shop@example.com", []string{"bob@elsewhere.example"}, false), ErrBadAlias, "accounts of this server"},
		"an alias of a foreign domain":  {h.AddAlias(ctx, "shop@elsewhere.example", []string{alice}, false), ErrBadAlias, "configured domains"},
		"an alias for the postmaster's": {h.AddAlias(ctx, "postmaster@example.com", []string{alice}, false), ErrBadAlias, "`postmaster:`"},
		"removing what is not there":    {h.RemoveAlias(ctx, "shop@example.com", nil), ErrNoAlias, "shop"},
		"removing who is not in it":     {h.RemoveAlias(ctx, sales, []string{carol}), ErrNoAlias, "does not lead"},
		"a grant for nobody":            {h.AddGrant(ctx, "ghost@example.com", sales), ErrNoAccount, "ghost"},
		"a grant on nothing":            {h.AddGrant(ctx, alice, "shop@example.com"), ErrNoAlias, "nobody would get the answers"},
		"a grant on another's domain":   {h.AddGrant(ctx, alice, "bob@elsewhere.example"), ErrBadLogin, "configured domains"},
		"a grant on oneself":            {h.AddGrant(ctx, alice, alice), ErrExists, "own address"},
		"ending what was not granted":   {h.RemoveGrant(ctx, alice, sales), ErrNoGrant, sales},
	} {
		if !errors.Is(c.err, c.is) || !strings.Contains(c.err.Error(), c.says) {
			t.Errorf("%s: %v, want %v with %q", what, c.err, c.is, c.says)
		}
	}
	h.leads(sales, alice, bob)
	h.leads("shop@example.com")
	if grants, err := h.Grants(ctx); err != nil || len(grants) != 0 {
		t.Errorf("refused, and yet granted: %v, %v", grants, err)
	}
	crowd := make([]string, maxTargets+1)
	h.must(h.db.Update(ctx, func(tx *sqldb.Tx) error {
		for i := range crowd {
			crowd[i] = fmt.Sprintf("u%d@example.com", i)
			if _, err := tx.Exec(`INSERT INTO account_login (login, name, hash, version, created, changed) VALUES (?, '', '', '', 0, 0)`, crowd[i]); err != nil {
				return err
			}
		}
		return nil
	}))
	if err := h.AddAlias(ctx, "all@example.com", crowd, false); !errors.Is(err, ErrBadAlias) {
		t.Errorf("an alias for %d: %v", len(crowd), err)
	}
	h.leads("all@example.com")
}

func TestAbuseCanBeAnAlias(t *testing.T) {
	t.Parallel()
	h, ctx := company(t), t.Context()
	postmaster, err := h.EnsurePostmaster(ctx)
	h.must(err)
	h.leads("abuse@example.com", postmaster)
	h.must(h.AddAlias(ctx, "abuse@example.com", []string{alice, bob}, false))
	h.leads("Abuse@example.com", alice, bob)
	h.leads("abuse@bücher.test", postmaster)
	h.writesAs(postmaster, "abuse@example.com", false)
	h.writesAs(postmaster, "abuse@bücher.test", true)
	h.must(h.RemoveAlias(ctx, "abuse@example.com", nil))
	h.leads("abuse@example.com", postmaster)

	late := openHouse(t, filepath.Join(t.TempDir(), "account.db"), func(o *Options) { o.Postmaster = alice }).with([2]string{alice, alicesPassword})
	late.must(late.AddAlias(ctx, sales, []string{alice}, false))
	late.postmaster = sales // configured later
	if _, err := late.EnsurePostmaster(ctx); !errors.Is(err, ErrAlias) {
		t.Errorf("an alias becomes the postmaster's account: %v", err)
	}
}

func TestWhoMayWriteAsWhom(t *testing.T) {
	t.Parallel()
	h, ctx := company(t), t.Context()
	h.writesAs(alice, sales, false) // to get its mail is no grant
	h.must(h.AddAlias(ctx, "alone@example.com", []string{alice}, false))
	h.writesAs(alice, "alone@example.com", false) // nor to get all of it
	h.must(h.RemoveAlias(ctx, "alone@example.com", nil))
	h.must(h.AddGrant(ctx, alice, "Sales@Example.com"))
	h.must(h.AddGrant(ctx, alice, sales))
	h.must(h.AddGrant(ctx, carol, alice))
	h.writesAs(alice, "SALES@example.com", true)
	h.writesAs(bob, sales, false)
	h.writesAs("carol@xn--bcher-kva.test", alice, true)
	h.writesAs(alice, carol, false)
	h.writesAs("", sales, false)
	if all, err := h.Aliases(ctx); err != nil || len(all) != 1 || !slices.Equal(all[0].Send, []string{alice}) {
		t.Errorf("the list says %+v, %v", all, err)
	}
	h.must(h.RemoveGrant(ctx, alice, sales))
	h.writesAs(alice, sales, false)

	// Whoever leaves an alias, loses his grant on it; with the alias all grants on it go, with an account those of and on it.
	h.must(h.AddAlias(ctx, sales, []string{bob}, true))
	h.must(h.AddGrant(ctx, carol, sales))
	h.writesAs(bob, sales, true)
	h.must(h.RemoveAlias(ctx, sales, []string{bob}))
	h.writesAs(bob, sales, false)
	h.writesAs("carol@xn--bcher-kva.test", sales, true)
	h.must(h.Remove(ctx, alice))
	h.must(h.Add(ctx, alice, alicesPassword, ""))
	h.must(h.Add(ctx, sales, alicesPassword, ""))
	h.writesAs("carol@xn--bcher-kva.test", sales, false)
	h.writesAs("carol@xn--bcher-kva.test", alice, false)
	if grants, err := h.Grants(ctx); err != nil || len(grants) != 0 {
		t.Errorf("left are %v, %v", grants, err)
	}
}

// An administrator's verb may change the data while the server is not asked, as long as none runs; and what was looked up just before a change must not outlive it.
func TestAnAliasIsForgottenInTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "account.db")
		h := openHouse(t, path).with([2]string{alice, alicesPassword}, [2]string{bob, bobsPassword})
		h.must(h.AddAlias(t.Context(), sales, []string{alice}, false))
		h.leads(sales, alice)
		other := openHouse(t, path)
		other.must(other.RemoveAlias(t.Context(), sales, nil))
		time.Sleep(recordLife)
		h.leads(sales)
	})
}

func TestAMaildropIsSetByItsAccountOrTheConfiguration(t *testing.T) {
	t.Parallel()
	h := newHouse(t, func(o *Options) { o.Quota = 5 << 20 }).with([2]string{alice, alicesPassword})
	is := func(want message.Box) {
		t.Helper()
		got, err := h.Box(t.Context(), alice)
		a, _, err2 := h.Lookup(t.Context(), alice)
		if err != nil || err2 != nil || got != want || a.Box != want {
			t.Errorf("the maildrop is set %+v, and shown %+v (%v, %v); want %+v", got, a.Box, err, err2, want)
		}
	}
	is(message.Box{Quota: 5 << 20})
	h.set(alice, map[string]string{"quota": "2GiB", "sent": "on"})
	is(message.Box{Quota: 2 << 30, Own: true, Sent: true})
	h.set(alice, map[string]string{"quota": "none"})
	is(message.Box{Own: true, Sent: true})
	h.set(alice, map[string]string{"quota": "default", "sent": "off"})
	is(message.Box{Quota: 5 << 20})
	for _, wrong := range []string{"", "2TB?", "-1", "10", "much"} {
		if err := h.Set(t.Context(), alice, map[string]string{"quota": wrong}); !errors.Is(err, ErrBadSetting) || !strings.Contains(err.Error(), "2GiB") {
			t.Errorf("quota=%s: %v", wrong, err)
		}
	}
	is(message.Box{Quota: 5 << 20})
	if b, err := h.Box(t.Context(), bob); err != nil || b != (message.Box{}) {
		t.Errorf("the maildrop of nobody: %+v, %v", b, err)
	}
}
