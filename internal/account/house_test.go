package account

import (
	"fmt"
	"log/slog"
	"net/netip"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"chmail/internal/address"
	"chmail/internal/sqldb"
)

const (
	alice, alicesPassword = "alice@example.com", "a fine long password"
	bob, bobsPassword     = "bob@example.com", "another long password"
)

var (
	home   = netip.MustParseAddr("192.0.2.7")
	cafe   = netip.MustParseAddr("198.51.100.20")
	street = netip.MustParseAddr("2001:db8:1:2::77")
)

// house is a set of accounts whose hashing is cheap and counted.
type house struct {
	*Accounts
	t      testing.TB
	db     *sqldb.DB
	hashes atomic.Int64
}

func newHouse(t testing.TB, with ...func(*Options)) *house {
	t.Helper()
	return openHouse(t, filepath.Join(t.TempDir(), "account.db"), with...)
}

func openHouse(t testing.TB, path string, with ...func(*Options)) *house {
	t.Helper()
	db, err := sqldb.Open(t.Context(), path, Schema())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	o := Options{DB: db, Domains: []string{"example.com", "bücher.test"}, Log: slog.New(slog.DiscardHandler)}
	for _, f := range with {
		f(&o)
	}
	s, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	h := &house{Accounts: s, t: t, db: db}
	h.hasher.params = params{memory: 64, passes: 1, threads: 1}
	derive := h.hasher.derive
	h.hasher.derive = func(password, salt []byte, passes, memory uint32, threads uint8, length uint32) []byte {
		h.hashes.Add(1)
		return derive(password, salt, passes, memory, threads, length)
	}
	return h
}

// slow makes every hash take what it takes in earnest; for tests inside a synctest bubble.
func (h *house) slow() {
	derive := h.hasher.derive
	h.hasher.derive = func(password, salt []byte, passes, memory uint32, threads uint8, length uint32) []byte {
		time.Sleep(25 * time.Millisecond)
		return derive(password, salt, passes, memory, threads, length)
	}
}

// with adds accounts and forgets the work that took.
func (h *house) with(people ...[2]string) *house {
	h.t.Helper()
	for _, p := range people {
		h.must(h.Add(h.t.Context(), p[0], p[1], ""))
	}
	h.hashes.Store(0)
	return h
}

func (h *house) must(err error) {
	h.t.Helper()
	if err != nil {
		h.t.Fatal(err)
	}
}

// enter signs in and returns how long that took.
func (h *house) enter(user, password string, from netip.Addr) (ok bool, took time.Duration) {
	h.t.Helper()
	began := time.Now()
	_, ok, err := h.Authenticate(h.t.Context(), user, password, from)
	if err != nil {
		h.t.Errorf("%s from %s: %v", user, from, err)
	}
	return ok, time.Since(began)
}

func (h *house) expect(want bool, user, password string, from netip.Addr) {
	h.t.Helper()
	if ok, _ := h.enter(user, password, from); ok != want {
		h.t.Errorf("%s with %q from %s: let in %v, want %v", user, password, from, ok, want)
	}
}

// guess tries wrong passwords one after the other.
func (h *house) guess(n int, user string, from netip.Addr) {
	h.t.Helper()
	for i := range n {
		h.expect(false, user, fmt.Sprintf("guess number %d", i), from)
	}
}

func mail(t testing.TB, s string) address.Address {
	t.Helper()
	a, err := address.FromSMTP(s)
	if err != nil {
		t.Fatal(err)
	}
	return a
}
