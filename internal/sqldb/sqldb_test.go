package sqldb

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// notes is a room with one table.
func notes() Schema {
	return Schema{Room: "note", Steps: []string{`
CREATE TABLE note_page (
	id   INTEGER PRIMARY KEY,
	text TEXT NOT NULL UNIQUE,
	body BLOB
) STRICT;
CREATE TABLE note_link (
	page INTEGER NOT NULL REFERENCES note_page(id) DEFERRABLE INITIALLY DEFERRED
) STRICT;
CREATE TABLE note_mark (
	page INTEGER NOT NULL REFERENCES note_page(id)
) STRICT`}}
}

// A desk is a database with notes, for one test.
type desk struct {
	*DB
	t    testing.TB
	path string
}

func newDesk(t testing.TB, more ...Schema) *desk {
	t.Helper()
	path := filepath.Join(t.TempDir(), "chmail.db")
	db, err := Open(context.Background(), path, append([]Schema{notes()}, more...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	return &desk{DB: db, t: t, path: path}
}

// note writes a page.
func (d *desk) note(text string) error {
	return d.Update(context.Background(), write(text))
}

func write(text string) func(*Tx) error {
	return func(tx *Tx) error {
		_, err := tx.Exec(`INSERT INTO note_page (text) VALUES (?)`, text)
		return err
	}
}

// texts reads all pages in the order in which they were written.
func (d *desk) texts() []string {
	d.t.Helper()
	var all []string
	err := d.View(context.Background(), func(tx *Tx) error {
		rows, err := tx.Query(`SELECT text FROM note_page ORDER BY id`)
		if err != nil {
			return err
		}
		for rows.Next() {
			var s string
			if err := rows.Scan(&s); err != nil {
				return err
			}
			all = append(all, s)
		}
		return rows.Err()
	})
	if err != nil {
		d.t.Fatal(err)
	}
	return all
}

func (d *desk) expect(want ...string) {
	d.t.Helper()
	if got := d.texts(); fmt.Sprint(got) != fmt.Sprint(want) {
		d.t.Errorf("the notes are %v, want %v", got, want)
	}
}

func TestWhatIsCommittedIsThereForReadersAndAfterReopening(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "chmail.db")
	var before []string
	for i := range 3 {
		db, err := Open(t.Context(), path, notes())
		if err != nil {
			t.Fatal(err)
		}
		d := &desk{DB: db, t: t}
		d.expect(before...)
		before = append(before, fmt.Sprintf("note %d", i))
		if err := d.note(before[i]); err != nil {
			t.Fatal(err)
		}
		d.expect(before...)
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestValuesComeBackAsTheyWere(t *testing.T) {
	t.Parallel()
	type state string
	d := newDesk(t, Schema{Room: "all", Steps: []string{`CREATE TABLE all_kinds (i INTEGER, s TEXT, b BLOB, f REAL, n TEXT) STRICT`}})
	at := time.UnixMilli(1_700_000_000_123)
	err := d.Update(t.Context(), func(tx *Tx) error {
		_, err := tx.Exec(`INSERT INTO all_kinds VALUES (?, ?, ?, ?, ?)`, at, state("ringing"), []byte{1, 2}, 1.5, nil)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	var (
		when time.Time
		s    state
		two  [2]byte
		f    float64
		n    sql.Null[string]
		p    *string
	)
	err = d.View(t.Context(), func(tx *Tx) error {
		return tx.QueryRow(`SELECT i, s, b, f, n, n FROM all_kinds`).Scan(&when, &s, &two, &f, &n, &p)
	})
	if err != nil {
		t.Fatal(err)
	}
	if !when.Equal(at) || s != "ringing" || two != [2]byte{1, 2} || f != 1.5 || n.Valid || p != nil {
		t.Errorf("read %v %q %v %v %v %v", when, s, two, f, n, p)
	}
}

func TestARowThatIsNotThere(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	err := d.View(t.Context(), func(tx *Tx) error {
		var id int64
		return tx.QueryRow(`SELECT id FROM note_page WHERE text = ?`, "none").Scan(&id)
	})
	if !errors.Is(err, sql.ErrNoRows) {
		t.Errorf("looking for a note that is not there: %v", err)
	}
}

// The driver runs pragmas in an order of its own, and a page size that comes too late is not heard.
func TestANewDatabaseHasPagesOfTheMeasuredSize(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	if err := d.View(t.Context(), func(tx *Tx) error {
		var got int
		err := tx.QueryRow(`PRAGMA page_size`).Scan(&got)
		if got != pageSize {
			t.Errorf("pages have %d octets, want %d", got, pageSize)
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
}

// What was removed is not to be read in the file.
func TestWhatWasRemovedIsOverwritten(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "secret.db")
	d, err := Open(t.Context(), path, Schema{Room: "test", Steps: []string{`CREATE TABLE test_word (n INTEGER PRIMARY KEY, text TEXT NOT NULL) STRICT`}})
	if err != nil {
		t.Fatal(err)
	}
	for _, statement := range []string{
		`INSERT INTO test_word VALUES (1, 'my PIN is 4711'), (2, 'my PIN is 4712'), (3, 'stays')`,
		`DELETE FROM test_word WHERE n = 1`, `UPDATE test_word SET text = '' WHERE n = 2`,
	} {
		if err := d.Update(t.Context(), func(tx *Tx) error {
			_, err := tx.Exec(statement)
			return err
		}); err != nil {
			t.Fatal(err)
		}
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	file, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(file, []byte("my PIN")) || !bytes.Contains(file, []byte("stays")) {
		t.Error("the file still holds what was removed, or not what stays")
	}
}
