package account

import (
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"chmail/internal/sqldb"
)

func TestAnAccountFromItsFirstDayToItsLast(t *testing.T) {
	t.Parallel()
	var gone, changed []string
	h := newHouse(t, func(o *Options) {
		o.OnRemove = func(tx *sqldb.Tx, login string) error {
			gone = append(gone, login)
			return nil
		}
		o.OnPassword = func(tx *sqldb.Tx, login string) error {
			changed = append(changed, login)
			return nil
		}
	})
	ctx := t.Context()
	h.must(h.Add(ctx, "Alice@EXAMPLE.com", alicesPassword, " Alice Example "))
	if err := h.Add(ctx, alice, alicesPassword, ""); !errors.Is(err, ErrExists) {
		t.Errorf("a second account of the same login: %v", err)
	}
	a, ok, err := h.Lookup(ctx, "ALICE@example.com")
	if err != nil || !ok || a.Login != alice || a.Name != "Alice Example" || !a.HasPassword || a.Created.IsZero() || !a.Changed.Equal(a.Created) {
		t.Errorf("alice is %+v (%v, %v)", a, ok, err)
	}
	v1, ok, err := h.Version(ctx, strings.ToUpper(alice)) // as it may be typed
	if err != nil || !ok || v1 == "" {
		t.Errorf("version %q, %v, %v", v1, ok, err)
	}
	h.must(h.Set(ctx, alice, map[string]string{"name": "Alice Liddell"}))
	if v, _, _ := h.Version(ctx, alice); v != v1 {
		t.Error("a new name signs out everywhere")
	}
	h.must(h.SetPassword(ctx, alice, "a second password"))
	if !slices.Equal(changed, []string{alice}) {
		t.Errorf("other rooms were told of new passwords of %q", changed)
	}
	v2, _, _ := h.Version(ctx, alice)
	if v2 == v1 {
		t.Error("a new password leaves the old sessions signed in")
	}
	h.expect(false, alice, alicesPassword, home)
	h.expect(true, alice, "a second password", home)
	h.must(h.Add(ctx, bob, bobsPassword, ""))
	all, err := h.List(ctx)
	if err != nil || len(all) != 2 || all[0].Login != alice || all[0].Name != "Alice Liddell" || all[1].Login != bob {
		t.Errorf("listed %+v, %v", all, err)
	}
	h.must(h.Remove(ctx, "Alice@example.com"))
	if !slices.Equal(gone, []string{alice}) {
		t.Errorf("other rooms were told that %q are gone", gone)
	}
	h.expect(false, alice, "a second password", home)
	if _, ok, _ := h.Lookup(ctx, alice); ok {
		t.Error("alice is still there")
	}
	h.must(h.Add(ctx, alice, "a second password", ""))
	if v, _, _ := h.Version(ctx, alice); v == v2 || v == v1 {
		t.Error("a session of the removed account would be one of the new account")
	}
}

func TestWhatOtherRoomsCannotRemoveStays(t *testing.T) {
	t.Parallel()
	h := newHouse(t, func(o *Options) {
		o.OnRemove = func(*sqldb.Tx, string) error { return errors.New("the disk is on fire") }
	}).with([2]string{alice, alicesPassword})
	if err := h.Remove(t.Context(), alice); err == nil || !strings.Contains(err.Error(), alice) {
		t.Errorf("removing: %v", err)
	}
	h.expect(true, alice, alicesPassword, home)
}

func TestVerbsOnStrangersSayThatThereIsNoSuchAccount(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	ctx := t.Context()
	for what, err := range map[string]error{
		"password": h.SetPassword(ctx, alice, alicesPassword), "name": h.Set(ctx, alice, map[string]string{"name": "A"}), "removal": h.Remove(ctx, alice),
	} {
		if !errors.Is(err, ErrNoAccount) || !strings.Contains(err.Error(), alice) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if n := h.hashes.Load(); n != 0 {
		t.Errorf("%d passwords hashed for nothing", n)
	}
}

func TestLoginsAreFullAddressesOfOurDomains(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	ctx := t.Context()
	for _, login := range []string{
		"", "alice", "alice@elsewhere.example", "@example.com", "a b@example.com", `"a b"@example.com`, "alice@example.com.", "<alice@example.com>",
		"alice@[192.0.2.1]", "alice\r\n@example.com", strings.Repeat("Ⱥ", 32) + "@example.com",
	} {
		if err := h.Add(ctx, login, alicesPassword, ""); !errors.Is(err, ErrBadLogin) {
			t.Errorf("%q: %v, want ErrBadLogin", login, err)
		}
	}
	for login, want := range map[string]string{
		"Bob.B+shop@Bücher.test": "bob.b+shop@xn--bcher-kva.test", "ME\u0301@example.com": "m\u00e9@example.com",
	} {
		h.must(h.Add(ctx, login, alicesPassword, ""))
		if a, ok, err := h.Lookup(ctx, login); err != nil || !ok || a.Login != want {
			t.Errorf("%q became %q (%v, %v), want %q", login, a.Login, ok, err, want)
		}
		h.expect(true, login, alicesPassword, home)
		h.expect(true, strings.ToUpper(want[:1])+want[1:], alicesPassword, home)
	}
}

func TestPasswordsThatProtectNobodyAreRefused(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	ctx := t.Context()
	for _, password := range []string{
		"", "short", "alice@example.com", "ALICE@example.com", strings.Repeat("x", 1025), "with\ttab", "with\x00nul", "line\r\nend", "bad\xffbytes",
	} {
		err := h.Add(ctx, alice, password, "")
		if !errors.Is(err, ErrWeakPassword) {
			t.Errorf("%q: %v, want ErrWeakPassword", password, err)
		} else if password != "" && strings.Contains(strings.ToLower(err.Error()), password) {
			t.Errorf("the error tells the password: %v", err)
		}
	}
	for _, name := range []string{"a\r\nBcc: x", "a\x00", "\xff", strings.Repeat("n", 201), "gnp\u202efdp"} {
		if err := h.Add(ctx, alice, alicesPassword, name); !errors.Is(err, ErrBadName) {
			t.Errorf("name %q: %v, want ErrBadName", name, err)
		}
	}
}

func TestAPasswordIsTheSameOnEveryKeyboard(t *testing.T) {
	t.Parallel()
	h := newHouse(t).with([2]string{alice, "ma\u0301laga 2026 ß"})
	h.expect(true, alice, "m\u00e1laga\u00a02026 ß", home) // composed, and a no-break space as some systems type it
	h.expect(false, alice, "M\u00e1laga 2026 ß", home)
	h.expect(false, alice, "m\u00e1laga 2026 ss", home)
}

func TestAccountsOutliveTheProcess(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "account.db")
	first := openHouse(t, path).with([2]string{alice, alicesPassword})
	v1, _, err := first.Version(t.Context(), alice)
	first.must(err)
	first.must(first.db.Close())
	second := openHouse(t, path)
	second.expect(true, alice, alicesPassword, home)
	if v, ok, err := second.Version(t.Context(), alice); v != v1 || !ok || err != nil {
		t.Errorf("a restart signs everybody out: version %q, was %q (%v)", v, v1, err)
	}
}

func TestMailFindsItsMaildrop(t *testing.T) {
	t.Parallel()
	h := newHouse(t).with([2]string{alice, alicesPassword})
	ctx := t.Context()
	postmaster, err := h.EnsurePostmaster(ctx)
	if err != nil || postmaster != "postmaster@example.com" {
		t.Fatalf("postmaster %q, %v", postmaster, err)
	}
	for to, want := range map[string]struct {
		login string
		local bool
	}{
		"alice@example.com": {alice, true}, "ALICE@Example.COM": {alice, true}, "nobody@example.com": {"", true},
		"alice@bücher.test": {"", true}, "alice@elsewhere.example": {"", false}, "alice@[192.0.2.1]": {"", false},
		"postmaster": {postmaster, true}, "Postmaster@Example.com": {postmaster, true}, "postmaster@bücher.test": {postmaster, true},
		"abuse@example.com": {postmaster, true}, "ABUSE@bücher.test": {postmaster, true}, "postmaster@elsewhere.example": {"", false}, "": {"", false},
	} {
		for range 2 { // from the database, from memory
			logins, local, err := h.Recipients(ctx, mail(t, to))
			login := strings.Join(logins, " ")
			if err != nil || login != want.login || local != want.local {
				t.Errorf("mail for %q goes to %q (local %v, %v), want %q (%v)", to, login, local, err, want.login, want.local)
			}
		}
	}
	for from, want := range map[string]bool{"Alice@Example.com": true, bob: false, "postmaster@example.com": false, "alice@elsewhere.example": false, "": false} {
		if owns, err := h.Owns(ctx, alice, mail(t, from)); err != nil || owns != want {
			t.Errorf("alice may write as %q: %v (%v), want %v", from, owns, err, want)
		}
	}
	if owns, err := h.Owns(ctx, postmaster, mail(t, "abuse@bücher.test")); err != nil || !owns {
		t.Errorf("the postmaster cannot answer as abuse@: %v, %v", owns, err)
	}
}

func TestThePostmasterWhoIsNamedGetsHisMail(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "account.db")
	before := openHouse(t, path)
	_, err := before.EnsurePostmaster(t.Context())
	before.must(err)
	before.must(before.db.Close())

	h := openHouse(t, path, func(o *Options) { o.Postmaster = "Alice@example.com" })
	ctx := t.Context()
	login, err := h.EnsurePostmaster(ctx)
	if err != nil || login != alice {
		t.Fatalf("postmaster %q, %v", login, err)
	}
	h.expect(false, alice, "", home)
	if err := h.Remove(ctx, alice); !errors.Is(err, ErrPostmaster) {
		t.Errorf("removing the postmaster: %v", err)
	}
	h.must(h.Add(ctx, alice, alicesPassword, "Alice")) // the maildrop made for her waits for its password
	if err := h.Add(ctx, alice, bobsPassword, ""); !errors.Is(err, ErrExists) {
		t.Errorf("taking alice's account over by adding it again: %v", err)
	}
	h.expect(true, alice, alicesPassword, home)
	for _, to := range []string{"postmaster", "postmaster@example.com", "abuse@example.com"} {
		if got, _, err := h.Recipients(ctx, mail(t, to)); err != nil || len(got) != 1 || got[0] != alice {
			t.Errorf("mail for %s goes to %q (%v), want alice", to, got, err)
		}
	}
	h.must(h.Add(ctx, "abuse@example.com", bobsPassword, ""))
	if got, _, err := h.Recipients(ctx, mail(t, "abuse@example.com")); err != nil || len(got) != 1 || got[0] != "abuse@example.com" {
		t.Errorf("an account that was made for abuse@ does not get its mail: %q, %v", got, err)
	}
}

// TestAnAliasWithTheNameOfAnAccountThatWasRemovedIsAnother: what was for the account is not for those to whom the alias leads.
func TestAnAliasWithTheNameOfAnAccountThatWasRemovedIsAnother(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t).with([2]string{alice, alicesPassword}, [2]string{bob, bobsPassword})
		stands := func(since time.Time, want bool) {
			t.Helper()
			if err := h.db.View(t.Context(), func(tx *sqldb.Tx) error {
				if got, err := h.Stands(tx, alice, since); err != nil || got != want {
					t.Errorf("%s stands since %v: %v, %v", alice, since, got, err)
				}
				return nil
			}); err != nil {
				t.Error(err)
			}
		}
		before := time.Now()
		time.Sleep(time.Minute)
		h.must(h.Remove(t.Context(), alice))
		stands(before, false)
		time.Sleep(time.Minute)
		between := time.Now()
		time.Sleep(time.Minute)
		h.must(h.AddAlias(t.Context(), alice, []string{bob}, false))
		stands(before, false)
		stands(between, false)
		made := time.Now()
		time.Sleep(time.Minute)
		h.must(h.Add(t.Context(), "carla@example.com", bobsPassword, ""))
		h.must(h.AddAlias(t.Context(), alice, []string{"carla@example.com"}, false))
		stands(made, true) // it led somewhere
		time.Sleep(25 * time.Hour)
		stands(time.Now(), true)
		h.must(h.Add(t.Context(), "dora@example.com", bobsPassword, ""))
		h.must(h.Remove(t.Context(), "dora@example.com")) // alice's removal is forgotten
		stands(before, false)
		stands(time.Now(), true)
	})
}

func TestAnAccountThatIsRemovedAndMadeAnewIsAnother(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t).with([2]string{alice, alicesPassword})
		remains := func(login string, since time.Time, want bool) {
			t.Helper()
			if err := h.db.View(t.Context(), func(tx *sqldb.Tx) error {
				if got, err := h.Remains(tx, login, since); err != nil || got != want {
					t.Errorf("%s remains since %v: %v, %v", login, since, got, err)
				}
				return nil
			}); err != nil {
				t.Error(err)
			}
		}
		before := time.Now()
		time.Sleep(time.Minute)
		remains(alice, before, true)
		h.must(h.SetPassword(t.Context(), alice, bobsPassword))
		remains(alice, before, true)
		for range 2 { // removed twice, she was removed at the last time
			h.must(h.Remove(t.Context(), alice))
			remains(alice, before, false)
			h.must(h.Add(t.Context(), alice, alicesPassword, ""))
			remains(alice, before, false)
			time.Sleep(time.Minute)
			before = time.Now()
			time.Sleep(time.Minute)
			remains(alice, before, true)
		}
		h.must(h.Remove(t.Context(), alice))
		h.removals = removals{} // another process, which has to read who was removed
		remains(alice, before, false)
		h.must(h.Add(t.Context(), alice, alicesPassword, ""))
		remains(alice, before, false)
		time.Sleep(25 * time.Hour)
		h.must(h.Add(t.Context(), bob, bobsPassword, ""))
		h.must(h.Remove(t.Context(), bob))
		if err := h.db.View(t.Context(), func(tx *sqldb.Tx) error {
			var n int
			err := tx.QueryRow(`SELECT count(*) FROM account_removed`).Scan(&n)
			if n != 1 {
				t.Errorf("%d removals are known after a day", n)
			}
			return err
		}); err != nil {
			t.Error(err)
		}
		remains(alice, before, false) // a mail may wait for days before there is something to tell of it
		remains(alice, time.Now().Add(-24*time.Hour), true)
	})
}

func TestNewRefusesWhatCannotWork(t *testing.T) {
	t.Parallel()
	for what, o := range map[string]Options{
		"no domain": {}, "bad domain": {Domains: []string{"exa mple"}}, "foreign postmaster": {Domains: []string{"example.com"}, Postmaster: "a@b.test"},
	} {
		if _, err := New(o); err == nil {
			t.Errorf("%s: no error", what)
		}
	}
}
