package sqldb

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"time"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// ErrClosed is what Update and View answer after Close.
var ErrClosed = errors.New("the database is closed")

// DB is the open database. All methods may be called from many goroutines.
type DB struct {
	path    string
	w       *writer
	idle    chan *conn    // the read-only connections that nobody uses; nil is one that was not opened yet
	closing chan struct{} // closed by Close
	close   func() error
}

// Open opens the database at path, creates it where it does not exist (its folder must), and carries every room's tables forward. The errors
// are ErrNewer, ErrOther, a file that is no database or somebody else's, a file system without the locks or the durability needed.
func Open(ctx context.Context, path string, schemas ...Schema) (*DB, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	// SQLite itself syncs with fdatasync on Linux; the transpiled library has to be told. Elsewhere it does what it always does.
	if _, err := sqlite.Fdatasync(true); err != nil && !errors.Is(err, sqlite.ErrFdatasyncUnavailable) {
		return nil, fmt.Errorf("opening database %s: %w", path, err)
	}
	if err := create(path); err != nil {
		return nil, fmt.Errorf("opening database %s: %w", path, err)
	}
	c, err := openConn(path, false)
	if err != nil {
		return nil, fmt.Errorf("opening database %s: %w", path, err)
	}
	if err := prepare(c, schemas); err != nil {
		return nil, errors.Join(fmt.Errorf("opening database %s: %w", path, err), c.close())
	}
	db := &DB{path: path, w: newWriter(c), closing: make(chan struct{})}
	db.idle = make(chan *conn, max(4, 2*runtime.GOMAXPROCS(0)))
	for range cap(db.idle) {
		db.idle <- nil
	}
	db.close = sync.OnceValue(db.shut)
	go db.w.work()
	return db, nil
}

// prepare makes sure of what durability rests on, and of the tables.
func prepare(c *conn, schemas []Schema) error {
	for name, want := range map[string]string{"journal_mode": "wal", "synchronous": "2", "foreign_keys": "1"} {
		switch got, err := c.pragma(name); {
		case err != nil:
			return err
		case got != want:
			return fmt.Errorf("%s is %q, not %q: does the file system lack shared memory or locks?", name, got, want)
		}
	}
	return migrate(c, schemas)
}

// create makes the file where there is none, for its owner's eyes only; SQLite gives the log the same mode. A new
// file's name must survive a power cut as its content does, so the folder is synced, also after an earlier start that did not get to it.
func create(path string) error {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	switch {
	case errors.Is(err, os.ErrExist):
	case err != nil:
		return err
	default:
		if err := f.Close(); err != nil {
			return err
		}
	}
	d, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// Update runs f in a transaction that is committed, to the disk, when Update returns nil. Any error means that nothing of f's work is there:
// f's own error, that of the commit, ErrClosed, or the error of ctx, which ends the waiting for f's turn and nothing after it. See
// the package's comment for what f may do. A panic in f is passed on to the caller and harms no other closure.
func (db *DB) Update(ctx context.Context, f func(*Tx) error) error {
	return db.w.update(ctx, f)
}

// View runs f with a consistent reading of what has been committed. The end of ctx ends the waiting for a connection, and fails f's next
// statement or row. Writing in f is an error.
func (db *DB) View(ctx context.Context, f func(*Tx) error) (err error) {
	if err := ctx.Err(); err != nil {
		return err
	}
	var c *conn
	select {
	case <-db.closing:
		return ErrClosed
	case <-ctx.Done():
		return ctx.Err()
	case c = <-db.idle:
	}
	if c == nil {
		if c, err = openConn(db.path, true); err != nil {
			db.idle <- nil
			return fmt.Errorf("opening database %s for reading: %w", db.path, err)
		}
	}
	clean := false // after a panic, or when the transaction does not end, the connection is not used again
	defer func() {
		if !clean {
			err = errors.Join(err, c.close())
			c = nil
		}
		db.idle <- c
	}()
	tx := &Tx{c: c, ctx: ctx}
	if err := c.control("BEGIN"); err != nil {
		return err
	}
	err = f(tx)
	ferr := errors.Join(tx.finish(), c.control("COMMIT"))
	clean = ferr == nil
	if err == nil {
		err = ferr
	}
	return err
}

// Watch has f called for every commit from now on, by the goroutine that all commits wait for: how many closures shared it, how long it took, the writing to the disk
// above all, and whether it failed. Nil: nobody watches.
func (db *DB) Watch(f func(closures int, took time.Duration, err error)) {
	if f == nil {
		db.w.watch.Store(nil)
		return
	}
	db.w.watch.Store(&f)
}

// Close waits for the batch in work and for open Views, moves the write-ahead log into the database, and closes it. Updates that still wait
// for their turn get ErrClosed. Calling it again returns the same answer.
func (db *DB) Close() error { return db.close() }

func (db *DB) shut() error {
	close(db.closing)
	db.w.halt()
	var errs []error
	for range cap(db.idle) {
		if c := <-db.idle; c != nil {
			errs = append(errs, c.close())
		}
	}
	// Readers first: the last connection to close can then empty the log.
	errs = append(errs, db.w.shut())
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("closing database %s: %w", db.path, err)
	}
	return nil
}

// IsFull tells whether err means that the disk, or the quota on it, is full: time for a reply that invites to try later.
func IsFull(err error) bool { return code(err)&0xff == sqlite3.SQLITE_FULL }

// IsUnique tells whether err means that a row with this key is there already.
func IsUnique(err error) bool {
	c := code(err)
	return c == sqlite3.SQLITE_CONSTRAINT_UNIQUE || c == sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY || c == sqlite3.SQLITE_CONSTRAINT_ROWID
}

// IsForeign tells whether err means that a row which this one belongs to is not there.
func IsForeign(err error) bool { return code(err) == sqlite3.SQLITE_CONSTRAINT_FOREIGNKEY }

func code(err error) int {
	var e *sqlite.Error
	if errors.As(err, &e) {
		return e.Code()
	}
	return 0
}
