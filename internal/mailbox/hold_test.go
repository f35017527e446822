package mailbox

import (
	"bytes"
	"context"
	"io"
	"os"
	"testing"
	"time"

	"chmail/internal/sqldb"
)

func TestAMessageStaysAsLongAsSomebodyHoldsIt(t *testing.T) {
	t.Parallel()
	for _, size := range []int{1000, 200 << 10} { // in its row, and as a blob
		o := newOffice(t)
		want := letter("For others as well", size)
		m := o.put(want)
		var id int64
		if err := o.db.Update(context.Background(), func(tx *sqldb.Tx) (err error) {
			id, err = o.Deliver(tx, m, to(alice), 2, time.Now())
			return err
		}); err != nil {
			t.Fatal(err)
		}
		release := func() {
			t.Helper()
			if err := o.db.Update(context.Background(), func(tx *sqldb.Tx) error { return o.Release(tx, id) }); err != nil {
				t.Fatal(err)
			}
		}
		release()
		o.restart()
		b, err := o.Body(context.Background(), id)
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(io.NewSectionReader(b, 0, b.Size()))
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("read %d octets of %d, %v", len(got), len(want), err)
		}
		if err := b.Close(); err != nil {
			t.Error(err)
		}
		release()
		if n := o.number(`SELECT refs FROM mailbox_message WHERE id = ?`, id); n != 1 {
			t.Errorf("%d hold it, and one maildrop does", n)
		}
		release() // as the janitor does for the maildrop
		if n := o.number(`SELECT count(*) FROM mailbox_message`); n != 0 {
			t.Errorf("%d messages that nobody holds", n)
		}
		if _, err := o.Body(context.Background(), id); err == nil {
			t.Error("a message that is gone can be read")
		}
	}
}

// Whoever copies the database and then its blobs finds them all: none goes meanwhile, and all of them afterwards, also over a restart.
func TestNoBlobGoesWhileABackupIsMade(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	send := func(name string) (id int64) {
		t.Helper()
		m := o.put(letter(name, inRow+1))
		if err := o.db.Update(t.Context(), func(tx *sqldb.Tx) (err error) { id, err = o.Deliver(tx, m, nil, 1, time.Now()); return err }); err != nil {
			t.Fatal(err)
		}
		return id
	}
	release := func(id int64) {
		t.Helper()
		if err := o.db.Update(t.Context(), func(tx *sqldb.Tx) error { return o.Release(tx, id) }); err != nil {
			t.Fatal(err)
		}
	}
	stays, before, meanwhile := send("stays"), send("before"), send("meanwhile")
	o.backup.Store(true)
	named := make(map[string]int64)
	if err := o.db.View(t.Context(), func(tx *sqldb.Tx) error {
		return Blobs(tx, func(name string, size int64) error { named[name] = size; return nil })
	}); err != nil || len(named) != 3 {
		t.Fatalf("%d are named, %v", len(named), err)
	}
	there := func(when string) {
		t.Helper()
		for name, size := range named {
			if info, err := os.Stat(o.blobs.path(name)); err != nil || info.Size() != size {
				t.Errorf("%s: %v", when, err)
			}
		}
	}
	release(before)
	there("let go")
	o.restart()
	release(meanwhile)
	if done, err := o.janitor.sweepBlobs(); done || err != nil {
		t.Errorf("the blobs of the earlier run: %v, %v", done, err)
	}
	if err := o.janitor.drain(t.Context()); err != nil {
		t.Error(err)
	}
	there("after a restart")
	o.backup.Store(false)
	if err := o.janitor.drain(t.Context()); err != nil {
		t.Error(err)
	}
	if done, err := o.janitor.sweepBlobs(); !done || err != nil {
		t.Errorf("the blobs of the earlier run: %v, %v", done, err)
	}
	if n := len(o.files()); n != 1 {
		t.Errorf("%d blobs are there, want the one that is named", n)
	}
	release(stays)
	if n := len(o.files()); n != 0 {
		t.Errorf("%d blobs are left", n)
	}
}
