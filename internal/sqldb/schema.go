package sqldb

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
)

// ErrNewer says that a newer chmail has written this database; this one would misread it.
var ErrNewer = errors.New("the database was written by a newer chmail")

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
		return nil
	}
	if tables > 0 {
		return errors.New("this is a database of some other program")
	}
	_, err := tx.Exec(`CREATE TABLE sqldb_version (
		room    TEXT    NOT NULL PRIMARY KEY,
		version INTEGER NOT NULL
	) STRICT, WITHOUT ROWID`)
	return err
}

func (s Schema) apply(tx *Tx) error {
	var have int
	err := tx.QueryRow(`SELECT version FROM sqldb_version WHERE room = ?`, s.Room).Scan(&have)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return fmt.Errorf("version of room %s: %w", s.Room, err)
	}
	if have > len(s.Steps) {
		return fmt.Errorf("room %s has version %d, this program knows %d: %w", s.Room, have, len(s.Steps), ErrNewer)
	}
	for i := have; i < len(s.Steps); i++ {
		if _, err := tx.Exec(s.Steps[i]); err != nil {
			return fmt.Errorf("carrying room %s to version %d: %w", s.Room, i+1, err)
		}
	}
	if have == len(s.Steps) {
		return nil
	}
	_, err = tx.Exec(`INSERT INTO sqldb_version (room, version) VALUES (?, ?) ON CONFLICT DO UPDATE SET version = excluded.version`, s.Room, len(s.Steps))
	return err
}
