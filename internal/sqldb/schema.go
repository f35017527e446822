package sqldb

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
)

// ErrNewer says that a newer chmail has written this database; this one would misread it.
var ErrNewer = errors.New("the database was written by a newer chmail")

// ErrOther says that a room's tables were made by steps that are not this program's: a version between releases wrote the database. It has to be thrown away, or read by
// that version.
var ErrOther = errors.New("the database was written by an unreleased chmail, whose tables were different")

// Schema is a room's part of the database: numbered steps, forward only. Step i leads to version i+1; a released step is never edited.
// Table names begin with the room's name and an underscore; tables are STRICT. A step may hold several statements.
type Schema struct {
	Room  string
	Steps []string
}

// UpTo is the schema as it was at an older version: with it a test makes a database of that version, fills it, and opens it again
// with the whole schema.
func (s Schema) UpTo(version int) Schema {
	return Schema{Room: s.Room, Steps: s.Steps[:version:version]}
}

// migrate carries the database forward, all rooms in one transaction: either the whole program finds its tables, or nothing has changed.
func migrate(c *conn, schemas []Schema) (err error) {
	if err := c.control("BEGIN IMMEDIATE"); err != nil {
		return err
	}
	tx := &Tx{c: c, ctx: context.Background()}
	defer func() {
		if err != nil {
			err = errors.Join(err, c.control("ROLLBACK"))
		}
	}()
	if err := ours(tx); err != nil {
		return err
	}
	seen := make(map[string]bool)
	for _, s := range schemas {
		if s.Room == "" || seen[s.Room] {
			return fmt.Errorf("schema of room %q is given twice or without a name", s.Room)
		}
		seen[s.Room] = true
		if err := s.apply(tx); err != nil {
			return err
		}
	}
	return c.control("COMMIT")
}

// ours refuses to put tables into somebody else's database.
func ours(tx *Tx) error {
	var tables, versions int
	if err := tx.QueryRow(`SELECT count(*), count(*) FILTER (WHERE name = 'sqldb_version') FROM sqlite_schema`).Scan(&tables, &versions); err != nil {
		return err
	}
	if versions == 1 {
		var hashed int
		if err := tx.QueryRow(`SELECT count(*) FROM pragma_table_info('sqldb_version') WHERE name = 'steps'`).Scan(&hashed); err != nil {
			return err
		}
		if hashed == 0 {
			return ErrOther
		}
		return nil
	}
	if tables > 0 {
		return errors.New("this is a database of some other program")
	}
	_, err := tx.Exec(`CREATE TABLE sqldb_version (
		room    TEXT    NOT NULL PRIMARY KEY,
		version INTEGER NOT NULL,
		steps   TEXT    NOT NULL -- SHA-256 over those that led there
	) STRICT, WITHOUT ROWID`)
	return err
}

func (s Schema) apply(tx *Tx) error {
	var have int
	var steps string
	err := tx.QueryRow(`SELECT version, steps FROM sqldb_version WHERE room = ?`, s.Room).Scan(&have, &steps)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return fmt.Errorf("version of room %s: %w", s.Room, err)
	}
	if have > len(s.Steps) {
		return fmt.Errorf("room %s has version %d, this program knows %d: %w: start the newer program again (chmail version says which this is), or put a backup from before it in its place", s.Room, have, len(s.Steps), ErrNewer)
	}
	if have > 0 && steps != s.hash(have) {
		return fmt.Errorf("room %s: %w", s.Room, ErrOther)
	}
	for i := have; i < len(s.Steps); i++ {
		if _, err := tx.Exec(s.Steps[i]); err != nil {
			return fmt.Errorf("carrying room %s to version %d: %w", s.Room, i+1, err)
		}
	}
	if have == len(s.Steps) {
		return nil
	}
	_, err = tx.Exec(`INSERT INTO sqldb_version (room, version, steps) VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET version = excluded.version, steps = excluded.steps`, s.Room, len(s.Steps), s.hash(len(s.Steps)))
	return err
}

// hash tells the first steps from any others.
func (s Schema) hash(steps int) string {
	h := sha256.New()
	for _, step := range s.Steps[:steps] {
		fmt.Fprintf(h, "%d %s\n", len(step), step)
	}
	return hex.EncodeToString(h.Sum(nil))
}
