package sqldb

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
)

func TestAnEmptyBodyIsNotNull(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	err := d.Update(t.Context(), func(tx *Tx) error {
		_, err := tx.Exec(`INSERT INTO note_page (text, body) VALUES ('empty', ?), ('', ?)`, []byte{}, []byte(nil))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	var empty, null string
	var text, body []byte
	if err := d.View(t.Context(), func(tx *Tx) error {
		if err := tx.QueryRow(`SELECT (SELECT typeof(body) FROM note_page WHERE text = 'empty'), (SELECT typeof(body) FROM note_page WHERE text = '')`).Scan(&empty, &null); err != nil {
			return err
		}
		return tx.QueryRow(`SELECT CAST(text AS BLOB), body FROM note_page WHERE text = 'empty'`).Scan(&text, &body)
	}); err != nil {
		t.Fatal(err)
	}
	if empty != "blob" || null != "null" {
		t.Errorf("an empty body is stored as %s, none as %s", empty, null)
	}
	if string(text) != "empty" || len(body) != 0 {
		t.Errorf("read %q, %q", text, body)
	}
}

func TestTheSameStatementWithinItself(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	for _, n := range []string{"a", "b", "c"} {
		if err := d.note(n); err != nil {
			t.Fatal(err)
		}
	}
	const after = `SELECT text FROM note_page WHERE text > ? ORDER BY text`
	var walk func(tx *Tx, from string) (string, error)
	walk = func(tx *Tx, from string) (string, error) {
		rows, err := tx.Query(after, from)
		if err != nil {
			return "", err
		}
		all := ""
		for rows.Next() {
			var s string
			if err := rows.Scan(&s); err != nil {
				return "", err
			}
			rest, err := walk(tx, s)
			if err != nil {
				return "", err
			}
			all += s + "(" + rest + ")"
		}
		return all, rows.Err()
	}
	for range 2 { // the second time with what the first left in the cache
		var got string
		if err := d.View(t.Context(), func(tx *Tx) (err error) {
			got, err = walk(tx, "")
			return err
		}); err != nil {
			t.Fatal(err)
		}
		if want := "a(b(c())c())b(c())c()"; got != want {
			t.Errorf("walked %s, want %s", got, want)
		}
	}
}

func TestAViewSeesOneMoment(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	if err := d.note("before"); err != nil {
		t.Fatal(err)
	}
	count := func(tx *Tx) (n int) {
		if err := tx.QueryRow(`SELECT count(*) FROM note_page`).Scan(&n); err != nil {
			t.Error(err)
		}
		return n
	}
	if err := d.View(t.Context(), func(tx *Tx) error {
		first := count(tx)
		if err := d.note("meanwhile"); err != nil {
			return err
		}
		if second := count(tx); first != 1 || second != 1 {
			t.Errorf("a view counted %d notes and then %d", first, second)
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	d.expect("before", "meanwhile")
}

func TestAViewCannotWriteAndEndsWithItsContext(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	if err := d.View(t.Context(), write("by stealth")); err == nil || !strings.Contains(err.Error(), "readonly") {
		t.Errorf("writing in a view: %v", err)
	}
	for _, n := range []string{"a", "b"} {
		if err := d.note(n); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	err := d.View(ctx, func(tx *Tx) error {
		rows, err := tx.Query(`SELECT text FROM note_page`)
		if err != nil || !rows.Next() {
			t.Errorf("no first note: %v", err)
		}
		cancel()
		if rows.Next() {
			t.Error("a row came after the end")
		}
		return rows.Err()
	})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("the view ended with %v", err)
	}
	if err := d.View(ctx, func(*Tx) error { t.Error("ran"); return nil }); !errors.Is(err, context.Canceled) {
		t.Errorf("a view that came cancelled: %v", err)
	}
	d.expect("a", "b")
}

func TestAPanicInAViewReachesItsCallerAndCostsNoConnection(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	if err := d.note("here"); err != nil {
		t.Fatal(err)
	}
	for range 2 * cap(d.idle) {
		func() {
			defer func() {
				if v := recover(); v != "oops" {
					t.Errorf("recovered %v", v)
				}
			}()
			_ = d.View(t.Context(), func(tx *Tx) error {
				rows, err := tx.Query(`SELECT text FROM note_page`)
				if err != nil || !rows.Next() {
					t.Errorf("reading: %v", err)
				}
				panic("oops")
			})
		}()
	}
	d.expect("here")
}

func TestRowsLeftOpenAreClosedWithTheirClosure(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	for _, n := range []string{"a", "b"} {
		if err := d.note(n); err != nil {
			t.Fatal(err)
		}
	}
	var left *Rows
	look := func(tx *Tx) (err error) {
		if left, err = tx.Query(`SELECT text FROM note_page`); err != nil || !left.Next() {
			return fmt.Errorf("no row: %w", err)
		}
		return nil
	}
	for range 3 {
		if err := errors.Join(d.View(t.Context(), look), d.Update(t.Context(), look)); err != nil {
			t.Fatal(err)
		}
		var s string
		if left.Next() || left.Scan(&s) == nil {
			t.Error("rows outlived their transaction")
		}
	}
	// Nothing holds an old moment of the log: it can be moved away entirely.
	var busy, log, moved int
	if err := d.Update(t.Context(), func(tx *Tx) error { return nil }); err != nil {
		t.Fatal(err)
	}
	c, err := openConn(d.path, false) // the writer's own is the writer's, also after its answers
	if err != nil {
		t.Fatal(err)
	}
	defer c.close()
	tx := &Tx{c: c, ctx: t.Context()}
	if err := tx.QueryRow(`PRAGMA wal_checkpoint(TRUNCATE)`).Scan(&busy, &log, &moved); err != nil || busy != 0 {
		t.Errorf("the log is held: busy %d, %v", busy, err)
	}
}

func TestStatementsThatAreGluedTogetherDoNotFillTheMemory(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	if err := d.Update(t.Context(), func(tx *Tx) error {
		for i := range 3 * maxStatements {
			var n int
			if err := tx.QueryRow(fmt.Sprintf(`SELECT %d`, i)).Scan(&n); err != nil || n != i {
				return fmt.Errorf("selecting %d gave %d: %w", i, n, err)
			}
		}
		if n := len(tx.c.stmts); n > maxStatements {
			t.Errorf("%d statements are kept", n)
		}
		return nil
	}); err != nil {
		t.Error(err)
	}
}

func TestWhatDoesNotFitIsAnError(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	for _, c := range []struct {
		query string
		dest  any
	}{
		{`SELECT 300`, new(int8)}, {`SELECT -1`, new(uint)}, {`SELECT 2`, new(bool)}, {`SELECT 'x'`, new(int)}, {`SELECT NULL`, new(int)},
		{`SELECT NULL`, new(string)}, {`SELECT 1.5`, new(int)}, {`SELECT x'0102'`, new([3]byte)}, {`SELECT 7`, new(string)}, {`SELECT 'x'`, "no pointer"},
		{`SELECT 1, 2`, new(int)},
	} {
		err := d.View(t.Context(), func(tx *Tx) error { return tx.QueryRow(c.query).Scan(c.dest) })
		if err == nil {
			t.Errorf("%s fits into %T", c.query, c.dest)
		}
	}
	for _, arg := range []any{struct{}{}, make(chan int), map[string]int{}} {
		err := d.View(t.Context(), func(tx *Tx) error { _, err := tx.Exec(`SELECT ?`, arg); return err })
		if err == nil {
			t.Errorf("%T was taken as an argument", arg)
		}
	}
}

func TestNobodyElseMayReadTheFiles(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	if err := d.note("secret"); err != nil {
		t.Fatal(err)
	}
	for _, suffix := range []string{"", "-wal", "-shm"} {
		info, err := os.Stat(d.path + suffix)
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %o", info.Name(), info.Mode().Perm())
		}
	}
}
