package mailbox

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"chmail/internal/sqldb"
)

func truncate(path string) error { return os.Truncate(path, inRow) }

var errDiskOnFire = errors.New("the disk is on fire")

// The order is what makes a blob safe: on the disk before the database names it, removed after the database has let it go.
func TestABlobIsThereBeforeTheCommitAndGoesWhenItFails(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	body := letter("large", inRow+1)
	m := o.put(body)
	if m.Body != nil || m.Size != int64(len(body)) || !slices.Equal(o.files(), []string{m.Blob}) {
		t.Fatalf("put %d octets as %q, files %v", m.Size, m.Blob, o.files())
	}
	err := o.db.Update(t.Context(), func(tx *sqldb.Tx) error {
		if _, err := o.Deliver(tx, m, to(alice), 0, time.Now()); err != nil {
			return err
		}
		return errDiskOnFire
	})
	if !errors.Is(err, errDiskOnFire) {
		t.Fatal(err)
	}
	o.Discard(m)
	o.Discard(o.put(letter("small", 10)))
	o.look(alice).expect()
	o.audit()
}

func TestAMessageThatIsNotWhatItsSizeSaysIsRefused(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	for name, size := range map[string]int64{"small": 100, "large": inRow + 100, "several pieces": 3 * copyPiece} {
		whole := bytes.Repeat([]byte{'x'}, int(size))
		for what, r := range map[string]io.Reader{
			"shorter": bytes.NewReader(whole[1:]), "longer": io.MultiReader(bytes.NewReader(whole), strings.NewReader("y")),
			"broken":            io.MultiReader(bytes.NewReader(whole[:size/2]), iotest.ErrReader(errDiskOnFire)),
			"broken at its end": io.MultiReader(bytes.NewReader(whole), iotest.ErrReader(errDiskOnFire)),
		} {
			m, err := o.Put(t.Context(), r, size)
			if err == nil || m.Blob != "" || m.Body != nil {
				t.Errorf("%s, %s: stored as %q, error %v", name, what, m.Blob, err)
			}
			if broken := strings.HasPrefix(what, "broken"); broken != errors.Is(err, errDiskOnFire) {
				t.Errorf("%s, %s: %v", name, what, err)
			}
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := o.Put(ctx, bytes.NewReader(whole), size); !errors.Is(err, context.Canceled) {
			t.Errorf("%s, given up: %v", name, err)
		}
	}
	if _, err := o.Put(t.Context(), strings.NewReader(""), -1); err == nil {
		t.Error("a message of -1 octets was stored")
	}
	if files := o.files(); len(files) != 0 {
		t.Errorf("refused messages have left %v", files)
	}
	m := o.put(letter("small", 10))
	m.Size++
	if err := o.db.Update(t.Context(), func(tx *sqldb.Tx) error { _, err := o.Deliver(tx, m, to(alice), 0, time.Now()); return err }); err == nil {
		t.Error("a message was delivered that has not its size")
	}
	if err := o.db.Update(t.Context(), func(tx *sqldb.Tx) error { _, err := o.Deliver(tx, o.put(nil), nil, 0, time.Now()); return err }); err == nil {
		t.Error("a message was delivered to nobody")
	}
}

// However the process ends, the next start finds every delivered message with its blob and removes the blobs that no message names.
func TestAStartAfterACrash(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	o.send(letter("kept", inRow+1), alice)
	kept := o.files()[0]
	o.put(letter("not committed", inRow+1))
	unwritten := o.blobs.path(o.blobs.run + ".zz" + unfinished)
	foreign := o.blobs.path("lost+found")
	for _, path := range []string{unwritten, foreign, foreign + ".README"} {
		if err := os.WriteFile(path, []byte("x"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	o.restart()
	now := o.put(letter("being delivered", inRow+1))
	if _, err := o.janitor.sweepBlobs(); err != nil {
		t.Fatal(err)
	}
	want := []string{kept, now.Blob, "lost+found", "lost+found.README"}
	slices.Sort(want)
	if got := o.files(); !slices.Equal(got, want) {
		t.Errorf("after the sweep there are %v, want %v", got, want)
	}
	if err := o.db.Update(t.Context(), func(tx *sqldb.Tx) error { _, err := o.Deliver(tx, now, to(alice), 0, time.Now()); return err }); err != nil {
		t.Fatal(err)
	}
	o.look(alice).expect("kept", "being delivered")
}

// A lost database that was begun anew must not take the blobs along: they may be all that is left.
func TestADatabaseThatKnowsNoBlobRemovesNone(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	o.send(letter("precious", inRow+1), alice)
	o.close()
	for _, suffix := range []string{"", "-wal", "-shm"} {
		if err := os.Remove(o.dir + "/chmail.db" + suffix); err != nil && !errors.Is(err, os.ErrNotExist) {
			t.Fatal(err)
		}
	}
	o.open()
	if _, err := o.janitor.sweepBlobs(); err != nil {
		t.Fatal(err)
	}
	if n := len(o.files()); n != 1 {
		t.Errorf("%d blobs are left, want the precious one", n)
	}
}
