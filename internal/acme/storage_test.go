package acme

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"chmail/internal/sqldb"
)

func TestTheStorageIsAFolderInTheDatabase(t *testing.T) {
	t.Parallel()
	s, ctx := NewStorage(newHouse(t).db, nil), t.Context()
	for key, text := range map[string]string{"a/b/one": "1", "a/b/two": "2", "a/c": "3", "ab/c": "4", "a-b": "5"} {
		for _, text := range []string{"old", text} {
			if err := s.Store(ctx, key, []byte(text)); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, c := range []struct {
		path      string
		recursive bool
		want      []string
	}{
		{"a", false, []string{"a/b", "a/c"}}, {"a", true, []string{"a/b/one", "a/b/two", "a/c"}}, {"a/b", false, []string{"a/b/one", "a/b/two"}}, {"", false, []string{"a", "a-b", "ab"}},
	} {
		got, err := s.List(ctx, c.path, c.recursive)
		if err != nil {
			t.Error(err)
		}
		seen := map[string]bool{}
		for _, k := range got {
			seen[k] = true
		}
		if len(got) != len(c.want) || len(seen) != len(c.want) {
			t.Errorf("in %q (%t): %v", c.path, c.recursive, got)
		}
		for _, k := range c.want {
			if !seen[k] {
				t.Errorf("in %q (%t): %v", c.path, c.recursive, got)
			}
		}
	}
	if text, err := s.Load(ctx, "a/b/one"); err != nil || string(text) != "1" {
		t.Errorf("%q, %v", text, err)
	}
	if info, err := s.Stat(ctx, "a/c"); err != nil || !info.IsTerminal || info.Size != 1 || info.Modified.IsZero() {
		t.Errorf("a file: %+v, %v", info, err)
	}
	if info, err := s.Stat(ctx, "a/b"); err != nil || info.IsTerminal || !s.Exists(ctx, "a/b") {
		t.Errorf("a folder: %+v, %v", info, err)
	}
	if err := errors.Join(s.Delete(ctx, "a"), s.Delete(ctx, "never was")); err != nil {
		t.Error(err)
	}
	for _, key := range []string{"a", "a/b/one", "a/c"} {
		if _, err := s.Load(ctx, key); !errors.Is(err, fs.ErrNotExist) || s.Exists(ctx, key) {
			t.Errorf("%s after it was removed: %v", key, err)
		}
	}
	if _, err := s.List(ctx, "a", true); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a list of nothing: %v", err)
	}
	if !s.Exists(ctx, "ab/c") || !s.Exists(ctx, "a-b") {
		t.Error("a neighbour went with it")
	}
	if err := s.Store(ctx, "large", make([]byte, maxValue+1)); err == nil {
		t.Error("there is no bound")
	}
}

// lock is the row of one that another process has taken.
func lock(t *testing.T, s *Storage, name, holder string, until time.Duration) {
	t.Helper()
	if _, err := s.change(context.Background(), `INSERT INTO acme_lock (name, holder, until) VALUES (?, ?, ?) ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, until = excluded.until`, name, holder, time.Now().Add(until)); err != nil {
		t.Fatal(err)
	}
}

// holder is whose a lock is by the database; "" for nobody's.
func holder(t *testing.T, s *Storage, name string) (who string) {
	t.Helper()
	if err := s.db.View(context.Background(), func(tx *sqldb.Tx) error {
		return tx.QueryRow(`SELECT coalesce(max(holder), '') FROM acme_lock WHERE name = ?`, name).Scan(&who)
	}); err != nil {
		t.Fatal(err)
	}
	return who
}

// TestALockFromBeforeTheClockWasPutBackIsFree: a process was killed while its clock was a year ahead.
func TestALockFromBeforeTheClockWasPutBackIsFree(t *testing.T) {
	t.Parallel()
	s := NewStorage(newHouse(t).db, nil)
	for name, c := range map[string]struct {
		until time.Duration
		free  bool
	}{"of next year": {365 * 24 * time.Hour, true}, "of now": {leaseTime, false}, "by a clock that is a little ahead": {leaseTime + leaseTime/2, false}, "dead": {-time.Second, true}} {
		lock(t, s, name, "another process", c.until)
		if ok, err := s.TryLock(t.Context(), name); ok != c.free || err != nil {
			t.Errorf("%s: taken %t, %v", name, ok, err)
		} else if ok {
			if err := s.Unlock(t.Context(), name); err != nil {
				t.Error(err)
			}
		}
	}
}

// TestALockThatWasLostIsLeftToWhomeverHasIt: its holder stood still for too long, and neither keeps it alive for the other nor takes it from him.
func TestALockThatWasLostIsLeftToWhomeverHasIt(t *testing.T) {
	t.Parallel()
	within(t, func(t *testing.T, db *sqldb.DB, said *words) {
		s, ctx := NewStorage(db, slog.New(slog.NewTextHandler(said, nil))), context.Background()
		for _, name := range []string{"kept", "given back"} {
			if err := s.Lock(ctx, name); err != nil {
				t.Fatal(err)
			}
			lock(t, s, name, "another process", leaseTime)
		}
		if err := s.Unlock(ctx, "given back"); !errors.Is(err, errLost) || holder(t, s, "given back") != "another process" {
			t.Errorf("given back: %v, and it is %q's", err, holder(t, s, "given back"))
		}
		time.Sleep(leaseTime / 2)
		synctest.Wait()
		said.until(t, "was lost")
		// It is held here all the same: one who does not know that he has lost it may still be at work.
		if ok, err := s.TryLock(ctx, "kept"); ok || err != nil {
			t.Errorf("taken twice here: %t, %v", ok, err)
		}
		time.Sleep(leaseTime)
		if ok, err := s.TryLock(ctx, "kept"); ok || err != nil {
			t.Errorf("taken twice here, though nobody keeps its row: %t, %v", ok, err)
		}
		other := NewStorage(db, nil) // the other has died: his lease was not moved on for him
		if ok, err := other.TryLock(ctx, "kept"); !ok || err != nil {
			t.Errorf("a dead one's lock is kept alive by who has lost it: %v", err)
		}
		if err := s.Unlock(ctx, "kept"); !errors.Is(err, errLost) {
			t.Errorf("given back: %v", err)
		}
		if err := other.Unlock(ctx, "kept"); err != nil {
			t.Errorf("it was taken from who has it: %v", err)
		}
	})
}

func TestOneAloneHoldsALockAndADeadOneLosesIt(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "locks.db")
	synctest.Test(t, func(t *testing.T) {
		db, err := sqldb.Open(context.Background(), path, Schema())
		if err != nil {
			t.Fatal(err)
		}
		defer db.Close()
		one, two := NewStorage(db, nil), NewStorage(db, nil)
		ctx := context.Background()
		must := func(err error) {
			t.Helper()
			if err != nil {
				t.Fatal(err)
			}
		}
		must(one.Lock(ctx, "issue"))
		if ok, err := two.TryLock(ctx, "issue"); ok || err != nil {
			t.Fatalf("two hold it: %v", err)
		}
		must(two.Lock(ctx, "another"))
		must(two.Unlock(ctx, "another"))

		// It is held for as long as its holder lives, well beyond a lease.
		short, cancel := context.WithTimeout(ctx, 10*leaseTime)
		defer cancel()
		if err := two.Lock(short, "issue"); !errors.Is(err, context.DeadlineExceeded) {
			t.Fatalf("while it is held: %v", err)
		}
		began := time.Now()
		time.AfterFunc(500*time.Millisecond, func() { must(one.Unlock(ctx, "issue")) })
		must(two.Lock(ctx, "issue"))
		if waited := time.Since(began); waited > 2*time.Second {
			t.Errorf("waited %v for a lock that was free after half a second", waited)
		}
		if one.Unlock(ctx, "issue") == nil {
			t.Error("who does not hold it gives it back")
		}

		// Its holder is killed: nobody keeps the lease any more.
		close(two.locks.held["issue"].stop)
		began = time.Now()
		must(one.Lock(ctx, "issue"))
		if waited := time.Since(began); waited < leaseTime/2 || waited > leaseTime+2*lockLook {
			t.Errorf("a dead one's lock was free after %v", waited)
		}
		must(one.Unlock(ctx, "issue"))
		must(one.idle(ctx))
	})
}
