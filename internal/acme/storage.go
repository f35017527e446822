package acme

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"strings"
	"time"

	"github.com/caddyserver/certmagic"

	"chmail/internal/sqldb"
)

const (
	maxKey   = 1 << 10 // octets of a key
	maxValue = 1 << 20 // octets of a value; a certificate with its chain has a few thousand
)

// Schema is this room's part of the database: certificates, their private keys and the account with the authority, by certmagic's keys; and the locks.
func Schema() sqldb.Schema {
	return sqldb.Schema{Room: "acme", Steps: []string{`
CREATE TABLE acme_file (
	key     TEXT    NOT NULL PRIMARY KEY, -- with slashes, as a path
	value   BLOB    NOT NULL,
	changed INTEGER NOT NULL              -- Unix milliseconds
) STRICT, WITHOUT ROWID;
CREATE TABLE acme_lock (
	name   TEXT    NOT NULL PRIMARY KEY,
	holder TEXT    NOT NULL, -- a number of this taking, drawn by lot
	until  INTEGER NOT NULL  -- it is free from then on, in Unix milliseconds
) STRICT, WITHOUT ROWID;
`}}
}

// Storage is certmagic's storage in the database. Its methods may be called by many goroutines, and by many processes that share a database.
type Storage struct {
	db    *sqldb.DB
	log   *slog.Logger
	locks locks
}

var (
	_ certmagic.Storage   = (*Storage)(nil)
	_ certmagic.TryLocker = (*Storage)(nil)
)

// NewStorage keeps everything in db, which carries Schema. log is told of locks that get lost; nil: slog.Default().
func NewStorage(db *sqldb.DB, log *slog.Logger) *Storage {
	if log == nil {
		log = slog.Default()
	}
	return &Storage{db: db, log: log, locks: locks{held: make(map[string]*lease), free: make(chan struct{})}}
}

// under are the bounds of what lies below a key: '0' is what follows '/'.
func under(key string) (from, to string) { return key + "/", key + "0" }

// Store puts value at key, in the place of what was there.
func (s *Storage) Store(ctx context.Context, key string, value []byte) error {
	if len(key) > maxKey || len(value) > maxValue {
		return fmt.Errorf("keeping %.100s: it has %d octets, %d is the most", key, len(value), maxValue)
	}
	if value == nil {
		value = []byte{}
	}
	_, err := s.change(ctx, `INSERT INTO acme_file (key, value, changed) VALUES (?, ?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value, changed = excluded.changed`, key, value, time.Now())
	if err != nil {
		return fmt.Errorf("keeping %s: %w", key, err)
	}
	return nil
}

// Load is the value at key; fs.ErrNotExist where there is none.
func (s *Storage) Load(ctx context.Context, key string) (value []byte, err error) {
	err = s.db.View(ctx, func(tx *sqldb.Tx) error {
		return tx.QueryRow(`SELECT value FROM acme_file WHERE key = ?`, key).Scan(&value)
	})
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", key, missing(err))
	}
	return value, nil
}

// missing is an error as certmagic wants it.
func missing(err error) error {
	if errors.Is(err, sql.ErrNoRows) {
		return fs.ErrNotExist
	}
	return err
}

// Delete removes a key and all below it. What is not there needs no removing.
func (s *Storage) Delete(ctx context.Context, key string) error {
	from, to := under(key)
	if _, err := s.change(ctx, `DELETE FROM acme_file WHERE key = ? OR key >= ? AND key < ?`, key, from, to); err != nil {
		return fmt.Errorf("removing %s: %w", key, err)
	}
	return nil
}

// Exists tells whether there is something at key or below it. An error counts as no.
func (s *Storage) Exists(ctx context.Context, key string) bool {
	_, err := s.Stat(ctx, key)
	return err == nil
}

// List are the keys below a path: all values with recursive, otherwise the next step only. fs.ErrNotExist where there is nothing.
func (s *Storage) List(ctx context.Context, path string, recursive bool) (all []string, err error) {
	from, to := under(path)
	if path == "" {
		from, to = "", "\U0010FFFF"
	}
	err = s.db.View(ctx, func(tx *sqldb.Tx) error {
		rows, err := tx.Query(`SELECT key FROM acme_file WHERE key >= ? AND key < ? ORDER BY key`, from, to)
		if err != nil {
			return err
		}
		all = nil
		for rows.Next() {
			var key string
			if err := rows.Scan(&key); err != nil {
				return errors.Join(err, rows.Close())
			}
			if step, _, deeper := strings.Cut(key[len(from):], "/"); deeper && !recursive {
				key = from + step
			}
			if len(all) == 0 || all[len(all)-1] != key {
				all = append(all, key)
			}
		}
		return errors.Join(rows.Err(), rows.Close())
	})
	if err == nil && len(all) == 0 {
		err = fs.ErrNotExist
	}
	if err != nil {
		return nil, fmt.Errorf("listing %s: %w", path, err)
	}
	return all, nil
}

// Stat tells about a key; fs.ErrNotExist where there is nothing at it or below.
func (s *Storage) Stat(ctx context.Context, key string) (info certmagic.KeyInfo, err error) {
	info.Key = key
	from, to := under(key)
	err = s.db.View(ctx, func(tx *sqldb.Tx) error {
		err := tx.QueryRow(`SELECT length(value), changed FROM acme_file WHERE key = ?`, key).Scan(&info.Size, &info.Modified)
		info.IsTerminal = err == nil
		if !errors.Is(err, sql.ErrNoRows) {
			return err
		}
		var below string
		return tx.QueryRow(`SELECT key FROM acme_file WHERE key >= ? AND key < ? LIMIT 1`, from, to).Scan(&below)
	})
	if err != nil {
		return certmagic.KeyInfo{}, fmt.Errorf("looking for %s: %w", key, missing(err))
	}
	return info, nil
}
