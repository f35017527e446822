package sqldb

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
)

func TestACopyIsTheDatabaseOfOneMoment(t *testing.T) {
	t.Parallel()
	schema := Schema{Room: "test", Steps: []string{`CREATE TABLE test_row (n INTEGER NOT NULL) STRICT;`}}
	dir := t.TempDir()
	path, to := filepath.Join(dir, "a.db"), filepath.Join(dir, "b.db")
	db, err := Open(t.Context(), path, schema)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	insert := func() {
		if err := db.Update(t.Context(), func(tx *Tx) error {
			_, err := tx.Exec(`INSERT INTO test_row (n) VALUES (1)`)
			return err
		}); err != nil {
			t.Fatal(err)
		}
	}
	insert()
	if err := Copy(t.Context(), path, to); err != nil {
		t.Fatal(err)
	}
	insert()
	if info, err := os.Stat(to); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info, err)
	}
	copied, err := Open(t.Context(), to, schema)
	if err != nil {
		t.Fatal(err)
	}
	defer copied.Close()
	n := 0
	if err := copied.View(t.Context(), func(tx *Tx) error { return tx.QueryRow(`SELECT count(*) FROM test_row`).Scan(&n) }); err != nil || n != 1 {
		t.Errorf("%d rows, %v", n, err)
	}
	if err := Copy(t.Context(), path, to); !errors.Is(err, fs.ErrExist) {
		t.Errorf("over another file: %v", err)
	}
	if err := Copy(t.Context(), filepath.Join(dir, "none.db"), filepath.Join(dir, "c.db")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("of none: %v", err)
	}
	if _, err := os.Stat(filepath.Join(dir, "c.db")); err == nil {
		t.Error("half a copy is left")
	}
}
