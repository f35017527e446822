package sqldb

import (
	"context"
	"errors"
	"path/filepath"
	"runtime"
	"sync"
	"testing"
	"time"
)

// TestCommitsAreWatched: how many share one, that it took time, and nothing once nobody watches.
func TestCommitsAreWatched(t *testing.T) {
	t.Parallel()
	db, err := Open(t.Context(), filepath.Join(t.TempDir(), "chmail.db"), notes())
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	var mu sync.Mutex
	commits, changes := 0, 0
	db.Watch(func(n int, took time.Duration, err error) {
		mu.Lock()
		defer mu.Unlock()
		commits, changes = commits+1, changes+n
		if took <= 0 || err != nil {
			t.Errorf("took %v: %v", took, err)
		}
	})
	held, free := make(chan struct{}), make(chan struct{})
	var all sync.WaitGroup
	update := func(f func(*Tx) error) {
		all.Go(func() {
			if err := db.Update(context.Background(), f); err != nil && !errors.Is(err, context.Canceled) {
				t.Error(err)
			}
		})
	}
	update(func(*Tx) error { close(held); <-free; return nil })
	<-held
	for i := range 9 {
		update(func(tx *Tx) error {
			_, err := tx.Exec(`INSERT INTO note_page (text) VALUES (?)`, i)
			return err
		})
	}
	for len(db.w.queue) < 9 { // all wait for their turn
		runtime.Gosched()
	}
	close(free)
	all.Wait()
	mu.Lock()
	if commits != 1 || changes != 10 {
		t.Errorf("%d changes in %d commits, want 10 in one", changes, commits)
	}
	mu.Unlock()
	db.Watch(nil)
	if err := db.Update(t.Context(), func(*Tx) error { return nil }); err != nil {
		t.Fatal(err)
	}
	mu.Lock()
	defer mu.Unlock()
	if commits != 1 {
		t.Error("nobody watches, and hears of it")
	}
}
