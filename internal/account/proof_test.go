package account

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/xdg-go/scram"

	ours "chmail/internal/scram"
	"chmail/internal/sqldb"
)

// prove signs in by SCRAM, as a mail client does.
func (h *house) prove(user, password string, from netip.Addr) (login string, ok bool) {
	h.t.Helper()
	client, err := scram.SHA256.NewClient(user, password, "")
	h.must(err)
	return h.proves(client, from)
}

func (h *house) proves(client *scram.Client, from netip.Addr) (login string, ok bool) {
	x := ours.Begin(ours.Mechanism, tls.ConnectionState{}, ours.Bound, ours.Asks{
		Salt: func(user string) ([]byte, error) { return h.ProofSalt(h.t.Context(), user) },
		Prove: func(user string, fits func(ours.Keys) bool) (err error) {
			if login, ok, err = h.Prove(h.t.Context(), user, from, fits); err == nil && !ok {
				return errors.New("wrong")
			}
			h.must(err)
			return err
		},
	})
	c := client.NewConversation()
	for challenge := []byte(nil); ; {
		said, err := c.Step(string(challenge))
		h.must(err)
		var done bool
		if challenge, done, err = x.Next([]byte(said)); err != nil || done {
			return login, err == nil && ok && c.Valid()
		}
	}
}

// client signs in as a mail client does, by both ways. They have to agree where the password is an app password.
func (h *house) client(want bool, user, password string, from netip.Addr) {
	h.t.Helper()
	login, ok, err := h.AuthenticateClient(h.t.Context(), user, password, from)
	if ok != want || err != nil || ok && login != alice {
		h.t.Errorf("%s by PLAIN: let in %v as %q (%v), want %v", user, ok, login, err, want)
	}
	if login, ok := h.prove(user, password, from); ok != want || ok && login != alice {
		h.t.Errorf("%s by SCRAM: let in %v as %q, want %v", user, ok, login, want)
	}
}

func (h *house) app(login, name string) string {
	h.t.Helper()
	password, err := h.AddAppPassword(h.t.Context(), login, name)
	h.must(err)
	return password
}

func (h *house) proving(want bool) {
	h.t.Helper()
	if is, err := h.Proving(h.t.Context()); err != nil || is != want {
		h.t.Errorf("SCRAM is offered: %v (%v), want %v", is, err, want)
	}
}

func TestAnAppPasswordFetchesAndSendsMailAndOpensNoDesk(t *testing.T) {
	t.Parallel()
	synctest.Test(t, appPasswords)
}

func appPasswords(t *testing.T) {
	path := filepath.Join(t.TempDir(), "account.db")
	h := openHouse(t, path).with([2]string{alice, alicesPassword}, [2]string{bob, bobsPassword})
	ctx := t.Context()
	h.proving(false)
	phone, laptop := h.app("Alice@Example.com", " telephone "), h.app(alice, "laptop")
	h.proving(false) // or mail clients of others, who have a password alone, would try in vain
	if phone == laptop || len(phone) != 34 || strings.Count(phone, "-") != 6 {
		t.Errorf("app passwords are %q and %q", phone, laptop)
	}
	h.client(true, alice, phone, home)
	h.client(true, "ALICE@example.COM", laptop, home)
	if n := h.hashes.Load(); n != 0 {
		t.Errorf("%d costly hashes for passwords that need none", n)
	}
	h.client(false, bob, phone, home)
	h.client(false, alice, newAppPassword(), street)
	h.expect(false, alice, phone, home) // at the desk
	h.expect(true, alice, alicesPassword, home)

	// The account's password changes, by which they stay; they end one by one, at once, and for good.
	h.must(h.SetPassword(ctx, alice, "another password"))
	h.client(true, alice, phone, home)
	h.must(h.RemoveAppPassword(ctx, alice, "telephone"))
	h.client(false, alice, phone, cafe)
	h.client(true, alice, laptop, home)
	openHouse(t, path).client(true, alice, laptop, home) // after a restart the salts are the same
	h.must(h.Remove(ctx, alice))
	h.must(h.Add(ctx, alice, alicesPassword, ""))
	h.client(false, alice, laptop, street)
	h.proving(false)
}

func TestARemovedAppPasswordEndsTheSessionsOfMailClients(t *testing.T) {
	t.Parallel()
	h := newHouse(t).with([2]string{alice, alicesPassword}, [2]string{bob, bobsPassword})
	h.app(alice, "telephone")
	version := func(login string) (client, desk string) {
		t.Helper()
		client, ok, err := h.ClientVersion(t.Context(), login)
		desk, is, derr := h.Version(t.Context(), login)
		if err != nil || derr != nil || !ok || !is {
			t.Fatal(err, derr, ok, is)
		}
		return client, desk
	}
	client, desk := version(alice)
	other, _ := version(bob)
	h.must(h.RemoveAppPassword(t.Context(), alice, "telephone"))
	if c, d := version(alice); c == client || d != desk {
		t.Errorf("mail clients %q, then %q; the desk %q, then %q", client, c, desk, d)
	}
	if c, _ := version(bob); c != other {
		t.Error("somebody else's sessions end too")
	}
	client, _ = version(alice)
	h.must(h.SetPassword(t.Context(), alice, "another password"))
	if c, d := version(alice); c == client || d == desk {
		t.Error("a new password ends nothing")
	}
}

func TestAppPasswordsAreListedWithTheirLastUse(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t).with([2]string{alice, alicesPassword})
		began := time.Now()
		phone := h.app(alice, "telephone")
		h.app(alice, "laptop")
		used := func(want time.Time) {
			t.Helper()
			all, err := h.AppPasswords(t.Context(), alice)
			if err != nil || len(all) != 2 || all[0].Name != "laptop" || !all[0].Used.IsZero() || all[1].Name != "telephone" || !all[1].Created.Equal(began) || !all[1].Used.Equal(want) {
				t.Errorf("listed %+v, %v; want the telephone's last use at %v", all, err, want)
			}
		}
		used(time.Time{})
		time.Sleep(time.Minute)
		h.client(true, alice, phone, home)
		used(began.Add(time.Minute))
		time.Sleep(time.Minute)
		h.client(true, alice, phone, home)
		used(began.Add(time.Minute)) // a poll is no reason to write to the disk
		time.Sleep(time.Hour)
		if _, ok := h.prove(alice, phone, home); !ok {
			t.Error("not let in")
		}
		used(began.Add(time.Hour + 2*time.Minute))
	})
}

func TestWhatCannotBeAnAppPasswordIsRefusedWithItsReason(t *testing.T) {
	t.Parallel()
	h := newHouse(t).with([2]string{alice, alicesPassword})
	ctx := t.Context()
	h.app(alice, "telephone")
	h.must(h.Add(ctx, "postmaster@example.com", alicesPassword, ""))
	h.must(h.db.Update(ctx, func(tx *sqldb.Tx) error {
		_, err := tx.Exec(`UPDATE account_login SET hash = '' WHERE login = 'postmaster@example.com'`)
		return err
	}))
	for _, tt := range []struct {
		login, name string
		is          error
	}{
		{alice, "telephone", ErrAppPasswordExists}, {alice, " ", ErrBadName}, {alice, "a\nb", ErrBadName}, {bob, "telephone", ErrNoAccount}, {"alice", "telephone", ErrBadLogin},
		{"postmaster@example.com", "telephone", ErrNoAccount},
	} {
		if password, err := h.AddAppPassword(ctx, tt.login, tt.name); password != "" || !errors.Is(err, tt.is) {
			t.Errorf("%s %q: %v, want %v", tt.login, tt.name, err, tt.is)
		}
	}
	for name, is := range map[string]error{alice: ErrNoAppPassword, bob: ErrNoAccount} {
		if err := h.RemoveAppPassword(ctx, name, "laptop"); !errors.Is(err, is) {
			t.Errorf("removing one of %s: %v, want %v", name, err, is)
		}
	}
	if _, err := h.AppPasswords(ctx, bob); !errors.Is(err, ErrNoAccount) {
		t.Errorf("listing bob's: %v", err)
	}
	h.must(h.db.Update(ctx, func(tx *sqldb.Tx) error { // as AddAppPassword would, with less work
		for i := range MaxAppPasswords - 1 {
			if _, err := tx.Exec(`INSERT INTO account_app_password (login, name, hash, stored, server, created) VALUES (?, ?, ?3, ?3, ?3, 0)`, alice, fmt.Sprint(i), []byte(fmt.Sprint(i))); err != nil {
				return err
			}
		}
		return nil
	}))
	if _, err := h.AddAppPassword(ctx, alice, "one more"); !errors.Is(err, ErrTooMany) {
		t.Errorf("the 51st: %v", err)
	}
}

func TestTheDatabaseAndTheLogHoldNoAppPassword(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	h := newHouse(t, func(o *Options) { o.Log = slog.New(slog.NewTextHandler(&log, nil)) }).with([2]string{alice, alicesPassword})
	phone := h.app(alice, "telephone")
	h.client(true, alice, phone, home)
	h.must(h.RemoveAppPassword(t.Context(), alice, "telephone"))
	phone = h.app(alice, "telephone")
	var row string
	h.must(h.db.View(t.Context(), func(tx *sqldb.Tx) error {
		return tx.QueryRow(`SELECT login || name || CAST(hash AS TEXT) || CAST(stored AS TEXT) || CAST(server AS TEXT) FROM account_app_password`).Scan(&row)
	}))
	if strings.Contains(row, phone) || strings.Contains(row, strings.ReplaceAll(phone, "-", "")) || strings.Contains(log.String(), phone) {
		t.Error("it can be read there")
	}
}

func TestAnAccountsOwnPasswordIsProvedWhereThatIsWanted(t *testing.T) {
	t.Parallel()
	synctest.Test(t, theirOwnPassword)
}

func theirOwnPassword(t *testing.T) {
	h := newHouse(t).with([2]string{alice, alicesPassword})
	ctx := t.Context()
	proved := func(want bool, password string) {
		t.Helper()
		if _, ok := h.prove(alice, password, home); ok != want {
			t.Errorf("proved %q: %v, want %v", password, ok, want)
		}
	}
	h.expect(true, alice, alicesPassword, home)
	proved(false, alicesPassword)
	h.set(alice, map[string]string{"scram": "on"})
	proved(false, alicesPassword) // nobody knows it here until it is said
	h.expect(true, alice, alicesPassword, home)
	proved(true, alicesPassword)
	h.proving(true)
	h.must(h.SetPassword(ctx, alice, "a second password"))
	proved(true, "a second password")
	proved(false, alicesPassword)
	// Keys that were not made anew with the password, since the server died in between, are of no use.
	h.must(h.db.Update(ctx, func(tx *sqldb.Tx) error {
		_, err := tx.Exec(`UPDATE account_scram SET version = 'another'`)
		return err
	}))
	proved(false, "a second password")
	time.Sleep(recordLife)
	h.expect(true, alice, "a second password", home)
	proved(true, "a second password")
	if a, _, err := h.Lookup(ctx, alice); err != nil || !a.Scram {
		t.Errorf("alice is %+v, %v", a, err)
	}
	h.set(alice, map[string]string{"scram": "off"})
	proved(false, "a second password")
	h.proving(false)
	h.set(alice, map[string]string{"scram": "on"})
	h.must(h.Remove(ctx, alice))
	h.must(h.Add(ctx, alice, alicesPassword, ""))
	h.expect(true, alice, alicesPassword, home)
	proved(false, alicesPassword)
}

// Whoever asks learns from neither salt nor time nor words who lives here, and what for (hazard 31).
func TestAStrangersNameProvesAsAnAccountDoes(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t).with([2]string{alice, alicesPassword}, [2]string{bob, bobsPassword})
		ctx := t.Context()
		salts := func() (all []string) {
			for _, user := range []string{alice, "ALICE@example.com", bob, "mallory@example.com", "not an address", ""} {
				salt, err := h.ProofSalt(ctx, user)
				h.must(err)
				all = append(all, string(salt))
			}
			return all
		}
		before := salts()
		for i := range 5 {
			h.app(alice, fmt.Sprint(i))
		}
		if after := salts(); strings.Join(before, "|") != strings.Join(after, "|") || before[0] != before[1] || before[0] == before[2] || before[3] == before[2] {
			t.Errorf("salts %q, then %q", before, after)
		}
		for i, user := range []string{alice, bob, "mallory@example.com", "not an address"} {
			from := netip.AddrFrom4([4]byte{203, 0, 113, byte(i)})
			began := time.Now()
			if _, ok := h.prove(user, "wrong", from); ok {
				t.Errorf("%s is let in", user)
			}
			if took := time.Since(began); took != proofTime {
				t.Errorf("%s is told so after %v, want %v", user, took, proofTime)
			}
		}
	})
}

func TestGuessingByProofsIsSlowedDownAsByPasswords(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t).with([2]string{alice, alicesPassword})
		h.set(alice, map[string]string{"scram": "on"})
		h.expect(true, alice, alicesPassword, home)
		began := time.Now()
		for i := range 6 {
			if _, ok := h.prove(alice, fmt.Sprint("guess ", i), cafe); ok {
				t.Error("a guess is right")
			}
		}
		if took, want := time.Since(began), 250*time.Millisecond*(1+2+4+8); took < want {
			t.Errorf("six guesses took %v, want at least %v", took, want)
		}
		// A burst is looked at in turn: all but a few still wait when the time for them is over.
		var looked atomic.Int64
		var crowd sync.WaitGroup
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		defer cancel()
		for range 200 {
			crowd.Go(func() {
				_, ok, err := h.Prove(ctx, alice, street, func(ours.Keys) bool {
					looked.Add(1)
					time.Sleep(time.Millisecond) // so that everybody comes by who may
					return false
				})
				if ok {
					t.Errorf("let in %v, %v", ok, err)
				}
			})
		}
		crowd.Wait()
		if n := looked.Load(); n > int64(4*runtime.NumCPU()) {
			t.Errorf("%d proofs of a burst were looked at within two seconds", n)
		}
		if _, ok := h.prove(alice, alicesPassword, home); !ok {
			t.Error("alice, at home, is kept out by it")
		}
	})
}

func TestATroubledDatabaseIsNoWrongProof(t *testing.T) {
	t.Parallel()
	h := newHouse(t).with([2]string{alice, alicesPassword})
	phone := h.app(alice, "telephone")
	if _, err := h.ProofSalt(t.Context(), alice); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, ok, err := h.Prove(ctx, alice, home, func(ours.Keys) bool { return true }); ok || err == nil {
		t.Errorf("proved %v, %v", ok, err)
	}
	if _, ok, err := h.AuthenticateClient(ctx, alice, phone, home); ok || err == nil {
		t.Errorf("signed in %v, %v", ok, err)
	}
}

func TestTheAdministratorIsToldOfAClientThatNoPasswordHelps(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	h := newHouse(t, func(o *Options) { o.Log = slog.New(slog.NewTextHandler(&log, nil)) }).with([2]string{alice, alicesPassword})
	h.prove("mallory@example.com", "guess", cafe)
	if strings.Contains(log.String(), "scram=on") {
		t.Errorf("of a stranger the log says:\n%s", &log)
	}
	for _, with := range []string{"nothing else", "an app password"} {
		log.Reset()
		h.prove(alice, alicesPassword, home)
		if !strings.Contains(log.String(), "chmail account set alice@example.com scram=on") {
			t.Errorf("with %s the log says:\n%s", with, &log)
		}
		h.app(alice, with)
	}
}
