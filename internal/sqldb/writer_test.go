package sqldb

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"modernc.org/sqlite"
)

var errChangedMind = errors.New("changed my mind")

// hold keeps the writer in a closure until release is called: meanwhile others gather for one batch.
func (d *desk) hold() (release func()) {
	held, free, done := make(chan struct{}), make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		var once sync.Once
		if err := d.Update(context.Background(), func(*Tx) error {
			once.Do(func() { close(held); <-free })
			return nil
		}); err != nil {
			d.t.Error(err)
		}
	}()
	<-held
	return func() { close(free); <-done }
}

// queue starts an Update whose closure is in the writer's queue when queue returns; the channel brings its outcome.
func (d *desk) queue(ctx context.Context, f func(*Tx) error) <-chan error {
	out, before := make(chan error, 1), len(d.w.queue)
	go func() {
		defer func() {
			if v := recover(); v != nil {
				out <- v.(error)
			}
		}()
		out <- d.Update(ctx, f)
	}()
	for len(d.w.queue) == before {
		runtime.Gosched()
	}
	return out
}

// commits counts how many transactions the writer commits.
func (d *desk) commits(verdict func(n int64) bool) *atomic.Int64 {
	var n atomic.Int64
	d.w.c.raw.(interface{ RegisterCommitHook(sqlite.CommitHookFn) }).RegisterCommitHook(func() int32 {
		if i := n.Add(1); verdict != nil && !verdict(i) {
			return 1
		}
		return 0
	})
	return &n
}

func TestManyWritersShareACommit(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	n := d.commits(nil)
	release := d.hold()
	var outs []<-chan error
	var want []string
	for i := range 20 {
		want = append(want, fmt.Sprintf("note %02d", i))
		outs = append(outs, d.queue(t.Context(), write(want[i])))
	}
	release()
	for _, out := range outs {
		if err := <-out; err != nil {
			t.Error(err)
		}
	}
	d.expect(want...)
	if n.Load() > 2 {
		t.Errorf("20 notes and their opener took %d commits", n.Load())
	}
}

func TestAClosureThatFailsLeavesNothingAndHurtsNobody(t *testing.T) {
	t.Parallel()
	for _, failing := range []struct {
		name string
		f    func(*Tx) error
		is   func(error) bool
	}{
		{"its own mind", func(tx *Tx) error {
			if err := write("never")(tx); err != nil {
				return err
			}
			return errChangedMind
		}, func(err error) bool { return errors.Is(err, errChangedMind) }},
		{"a panic", func(tx *Tx) error {
			if err := write("never")(tx); err != nil {
				return err
			}
			panic(errChangedMind)
		}, func(err error) bool {
			var p *Panic
			return errors.As(err, &p) && errors.Is(err, errChangedMind) && strings.Contains(string(p.Stack), "writer_test.go")
		}},
		{"a key taken already", write("first"), IsUnique},
		{"a row that belongs to none", func(tx *Tx) error { _, err := tx.Exec(`INSERT INTO note_mark VALUES (77)`); return err }, IsForeign},
		{"a broken statement", func(tx *Tx) error { _, err := tx.Exec(`INSERT INTO nowhere VALUES (1)`); return err },
			func(err error) bool { return err != nil && strings.Contains(err.Error(), "nowhere") }},
		{"its own COMMIT", func(tx *Tx) error { _, err := tx.Exec(` commit;`); return err },
			func(err error) bool { return err != nil }},
		{"a closed transaction's use", func(tx *Tx) error {
			if err := write("never")(tx); err != nil {
				return err
			}
			tx.over = true
			return write("never")(tx)
		}, func(err error) bool { return errors.Is(err, ErrTxDone) }},
	} {
		t.Run(failing.name, func(t *testing.T) {
			t.Parallel()
			d := newDesk(t)
			release := d.hold()
			first := d.queue(t.Context(), write("first"))
			bad := d.queue(t.Context(), failing.f)
			last := d.queue(t.Context(), write("last"))
			release()
			if err := errors.Join(<-first, <-last); err != nil {
				t.Error(err)
			}
			if err := <-bad; !failing.is(err) {
				t.Errorf("the failing closure's caller got: %v", err)
			}
			d.expect("first", "last")
		})
	}
}

// A full disk takes the whole transaction away, not the statement alone: without the writer's care the closures that follow
// would commit by themselves, statement by statement, and those before would be lost though answered.
func TestAFullDiskFailsOnlyWhoeverDoesNotFit(t *testing.T) {
	t.Parallel()
	for _, notices := range []bool{true, false} {
		t.Run(fmt.Sprintf("noticed=%v", notices), func(t *testing.T) {
			t.Parallel()
			d := newDesk(t)
			var pages int
			if err := d.Update(t.Context(), func(tx *Tx) error {
				if err := tx.QueryRow(`PRAGMA page_count`).Scan(&pages); err != nil {
					return err
				}
				var limit int
				return tx.QueryRow(fmt.Sprintf(`PRAGMA max_page_count = %d`, pages+2)).Scan(&limit)
			}); err != nil {
				t.Fatal(err)
			}
			release := d.hold()
			var ran atomic.Int32
			first := d.queue(t.Context(), func(tx *Tx) error { ran.Add(1); return write("first")(tx) })
			big := d.queue(t.Context(), func(tx *Tx) error {
				_, err := tx.Exec(`INSERT INTO note_page (text, body) VALUES ('big', ?)`, make([]byte, 10*pageSize))
				if notices {
					return err
				}
				// It goes on, and what it writes now must not be committed either.
				if err := write("after the disk was full")(tx); err == nil {
					t.Error("a statement ran outside of any transaction")
				}
				return nil
			})
			last := d.queue(t.Context(), write("last"))
			release()
			if err := errors.Join(<-first, <-last); err != nil {
				t.Error(err)
			}
			if err := <-big; !IsFull(err) {
				t.Errorf("the mail that does not fit: %v", err)
			}
			if ran.Load() != 2 {
				t.Errorf("the first closure ran %d times, want twice: its transaction was taken away", ran.Load())
			}
			d.expect("first", "last")
		})
	}
}

func TestWhoeverMakesTheCommitFailFailsAlone(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	release := d.hold()
	first := d.queue(t.Context(), write("first"))
	// A deferred constraint is looked at by COMMIT only.
	bad := d.queue(t.Context(), func(tx *Tx) error {
		_, err := tx.Exec(`INSERT INTO note_link (page) VALUES (4711)`)
		return err
	})
	last := d.queue(t.Context(), write("last"))
	release()
	if err := errors.Join(<-first, <-last); err != nil {
		t.Error(err)
	}
	if err := <-bad; err == nil || !strings.Contains(err.Error(), "committing") {
		t.Errorf("the closure that breaks the commit: %v", err)
	}
	d.expect("first", "last")
}

func TestAFailingCommitIsAnErrorAndTheNextOneIsFine(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	d.commits(func(n int64) bool { return n > 1 })
	after := false
	err := d.Update(t.Context(), func(tx *Tx) error {
		tx.AfterCommit(func() { after = true })
		return write("lost")(tx)
	})
	if err == nil || after {
		t.Errorf("the commit failed, its caller got %v; AfterCommit ran: %v", err, after)
	}
	if err := d.note("kept"); err != nil {
		t.Error(err)
	}
	d.expect("kept")
}

func TestACallerThatStopsWaitingLeavesTheQueue(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	release := d.hold()
	ctx, cancel := context.WithCancel(t.Context())
	gone := d.queue(ctx, write("nobody waits for this"))
	stays := d.queue(t.Context(), write("stays"))
	cancel()
	if err := <-gone; !errors.Is(err, context.Canceled) {
		t.Errorf("a cancelled caller got %v", err)
	}
	release()
	if err := <-stays; err != nil {
		t.Error(err)
	}
	d.expect("stays")
	if err := d.Update(ctx, write("nor for this")); !errors.Is(err, context.Canceled) {
		t.Errorf("a caller that came cancelled got %v", err)
	}
	d.expect("stays")
}

func TestACallersContextDoesNotTouchItsRunningClosure(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	ctx, cancel := context.WithCancel(t.Context())
	err := d.Update(ctx, func(tx *Tx) error {
		if err := write("before")(tx); err != nil {
			return err
		}
		cancel()
		return write("after")(tx)
	})
	if err != nil {
		t.Errorf("the closure had begun: %v", err)
	}
	d.expect("before", "after")
}

func TestAClosureThatEndsItsGoroutineEndsTheCallersOnly(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	release := d.hold()
	first := d.queue(t.Context(), write("first"))
	gone := make(chan struct{})
	before := len(d.w.queue)
	go func() {
		defer close(gone)
		err := d.Update(context.Background(), func(tx *Tx) error {
			rows, err := tx.Query(`SELECT id FROM note_page`)
			if err != nil {
				return err
			}
			rows.Next()
			runtime.Goexit() // what t.Fatal does
			return nil
		})
		t.Errorf("Update returned %v to a goroutine that had ended", err)
	}()
	for len(d.w.queue) == before {
		runtime.Gosched()
	}
	last := d.queue(t.Context(), write("last"))
	release()
	<-gone
	if err := errors.Join(<-first, <-last); err != nil {
		t.Error(err)
	}
	d.expect("first", "last")
}

func TestAfterCommitRunsOnceWhenTheWorkIsThere(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	var seen [][]string
	err := d.Update(t.Context(), func(tx *Tx) error {
		tx.AfterCommit(func() { seen = append(seen, d.texts()) })
		return write("a note")(tx)
	})
	if err != nil || len(seen) != 1 || !slices.Equal(seen[0], []string{"a note"}) {
		t.Errorf("after the commit there was %v, error %v", seen, err)
	}
	if err := d.Update(t.Context(), func(tx *Tx) error {
		tx.AfterCommit(func() { t.Error("AfterCommit ran without a commit") })
		return errChangedMind
	}); !errors.Is(err, errChangedMind) {
		t.Error(err)
	}
}

func TestTheLogStaysShort(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	text := strings.Repeat("x", 64<<10)
	for i := range 400 { // 25 MiB: six times what the log may hold
		if err := d.note(fmt.Sprint(i, text)); err != nil {
			t.Fatal(err)
		}
	}
	log, err := os.Stat(d.path + "-wal")
	if err != nil {
		t.Fatal(err)
	}
	if limit := int64(logPages+32) * (pageSize + 64); log.Size() > limit { // one commit may go beyond
		t.Errorf("the log holds %d octets, want at most %d", log.Size(), limit)
	}
}
