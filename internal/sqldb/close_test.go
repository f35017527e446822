package sqldb

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestClosingWaitsForTheBatchInWork(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "chmail.db")
	db, err := Open(t.Context(), path, notes())
	if err != nil {
		t.Fatal(err)
	}
	d := &desk{DB: db, t: t}
	running, free := make(chan struct{}), make(chan struct{})
	outcome := make(chan error, 1)
	go func() {
		outcome <- d.Update(t.Context(), func(tx *Tx) error {
			close(running)
			<-free
			return write("in work")(tx)
		})
	}()
	<-running
	late := d.queue(t.Context(), write("in the queue"))
	closed := make(chan error, 1)
	go func() { closed <- db.Close() }()
	<-db.closing
	select {
	case <-closed:
		t.Error("Close did not wait")
	default:
	}
	close(free)
	if err := errors.Join(<-outcome, <-closed); err != nil {
		t.Error(err)
	}
	inQueue := <-late // it may have come into the batch, or not; its answer says which
	if inQueue != nil && !errors.Is(inQueue, ErrClosed) {
		t.Errorf("the caller in the queue got %v", inQueue)
	}
	if err := d.note("too late"); !errors.Is(err, ErrClosed) {
		t.Errorf("writing after Close: %v", err)
	}
	if err := d.View(t.Context(), func(*Tx) error { return nil }); !errors.Is(err, ErrClosed) {
		t.Errorf("reading after Close: %v", err)
	}
	if _, err := os.Stat(path + "-wal"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the log is still there: %v", err)
	}
	again, err := Open(t.Context(), path, notes())
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"in work"}
	if inQueue == nil {
		want = append(want, "in the queue")
	}
	(&desk{DB: again, t: t}).expect(want...)
	if err := errors.Join(again.Close(), db.Close()); err != nil {
		t.Error(err)
	}
}

func TestANewerDatabaseIsRefused(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "chmail.db")
	newer := notes()
	newer.Steps = append(newer.Steps, `ALTER TABLE note_page ADD COLUMN colour TEXT`)
	db, err := Open(t.Context(), path, newer)
	if err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(t.Context(), path, notes()); !errors.Is(err, ErrNewer) || !strings.Contains(err.Error(), "room note has version 2, this program knows 1") || !strings.Contains(err.Error(), "start the newer program again") {
		t.Errorf("an older program on a newer database: %v", err)
	}
}

func TestAnOlderDatabaseIsCarriedForward(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "chmail.db")
	now := notes()
	now.Steps = append(now.Steps, `ALTER TABLE note_page ADD COLUMN colour TEXT NOT NULL DEFAULT 'white'`,
		`UPDATE note_page SET colour = 'yellow'; CREATE INDEX note_page_colour ON note_page(colour)`)
	db, err := Open(t.Context(), path, now.UpTo(1))
	if err != nil {
		t.Fatal(err)
	}
	d := &desk{DB: db, t: t}
	if err := errors.Join(d.note("old"), db.Close()); err != nil {
		t.Fatal(err)
	}
	if db, err = Open(t.Context(), path, now); err != nil {
		t.Fatal(err)
	}
	d.DB = db
	if err := errors.Join(d.note("new")); err != nil {
		t.Fatal(err)
	}
	var old, young string
	if err := d.View(t.Context(), func(tx *Tx) error {
		return tx.QueryRow(`SELECT (SELECT colour FROM note_page WHERE text = 'old'), (SELECT colour FROM note_page WHERE text = 'new')`).Scan(&old, &young)
	}); err != nil {
		t.Error(err)
	}
	if old != "yellow" || young != "white" {
		t.Errorf("the old note is %s, the new one %s", old, young)
	}
	if err := db.Close(); err != nil {
		t.Error(err)
	}
}

func TestAStepThatFailsChangesNothing(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "chmail.db")
	broken := notes()
	broken.Steps = append(broken.Steps, `CREATE TABLE note_more (x INTEGER) STRICT; CREATE TABLE note_page (y INTEGER)`)
	if _, err := Open(t.Context(), path, broken); err == nil || !strings.Contains(err.Error(), "room note to version 2") {
		t.Fatalf("a broken step: %v", err)
	}
	db, err := Open(t.Context(), path, notes())
	if err != nil {
		t.Fatal(err)
	}
	d := &desk{DB: db, t: t}
	d.expect()
	if err := db.Close(); err != nil {
		t.Error(err)
	}
}

func TestFilesThatAreNotOursAreRefused(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	text := filepath.Join(dir, "letter.db")
	if err := os.WriteFile(text, []byte(strings.Repeat("Dear Sir or Madam, ", 100)), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(t.Context(), text, notes()); err == nil || !strings.Contains(err.Error(), text) {
		t.Errorf("opening a letter: %v", err)
	}
	if _, err := Open(t.Context(), filepath.Join(dir, "no", "folder.db"), notes()); err == nil {
		t.Error("opened a database in a folder that is not there")
	}
	strange := filepath.Join(dir, "strange.db")
	c, err := openConn(strange, false)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(c.control(`CREATE TABLE cookies (host TEXT)`), c.close()); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(t.Context(), strange, notes()); err == nil || !strings.Contains(err.Error(), "some other program") {
		t.Errorf("opening a browser's database: %v", err)
	}
}

func TestPathsWithUnusualCharacters(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "a folder?&#%41;ü", "chmail.db")
	if err := os.Mkdir(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	db, err := Open(t.Context(), path, notes())
	if err != nil {
		t.Fatal(err)
	}
	d := &desk{DB: db, t: t}
	if err := d.note("here"); err != nil {
		t.Error(err)
	}
	d.expect("here")
	if err := db.Close(); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(path); err != nil {
		t.Error(err)
	}
}

func TestADatabaseOfOtherStepsIsRefused(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "chmail.db")
	db, err := Open(t.Context(), path, notes())
	if err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	edited := notes()
	edited.Steps = append([]string{edited.Steps[0] + " -- edited between releases"}, edited.Steps[1:]...)
	if _, err := Open(t.Context(), path, edited); !errors.Is(err, ErrOther) || !strings.Contains(err.Error(), "room note") {
		t.Errorf("opened by a program whose step is another: %v", err)
	}
	if db, err = Open(t.Context(), path, notes()); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
}
