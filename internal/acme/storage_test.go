package acme

import (
	"context"
	"errors"
	"io/fs"
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
