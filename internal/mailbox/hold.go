package mailbox

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"

	"chmail/internal/message"
	"chmail/internal/sqldb"
)

type bodyInRow struct{ *bytes.Reader }

func (bodyInRow) Close() error { return nil }

type bodyInBlob struct {
	*os.File
	size int64
}

func (b bodyInBlob) Size() int64 { return b.size }

// Body opens a message for whoever holds it: see Deliver. Its bytes never change.
func (s *Store) Body(ctx context.Context, id int64) (message.Body, error) {
	var size int64
	var blob *string
	var body []byte
	err := s.db.View(ctx, func(tx *sqldb.Tx) error {
		return tx.QueryRow(`SELECT size, blob, body FROM mailbox_message WHERE id = ?`, id).Scan(&size, &blob, &body)
	})
	if err != nil {
		return nil, fmt.Errorf("opening message %d: %w", id, err)
	}
	if blob == nil {
		return bodyInRow{bytes.NewReader(body)}, nil
	}
	f, err := s.blobs.open(*blob, size)
	if err != nil {
		return nil, fmt.Errorf("opening message %d: %w", id, err)
	}
	return bodyInBlob{f, size}, nil
}

// Release takes one pointer from a message, in the transaction that forgets it; the last one takes the message along, and its blob once that is committed.
func (s *Store) Release(tx *sqldb.Tx, id int64) error {
	var blob *string
	err := tx.QueryRow(`DELETE FROM mailbox_message WHERE id = ? AND refs = 1 RETURNING blob`, id).Scan(&blob)
	if errors.Is(err, sql.ErrNoRows) {
		_, err = tx.Exec(`UPDATE mailbox_message SET refs = refs - 1 WHERE id = ?`, id)
	}
	if err != nil {
		return fmt.Errorf("releasing message %d: %w", id, err)
	}
	if blob != nil {
		tx.AfterCommit(func() { s.janitor.report("removing a blob", s.janitor.dispose(*blob)) })
	}
	return nil
}

// Blobs yields the name and the octets of every blob that a database names, for whoever copies both. They are all there if the copy of the database was made while none
// could be removed (Options.Removing), and as long as that is so: a blob is on the disk before it is named, and its name is gone before it is removed.
func Blobs(tx *sqldb.Tx, yield func(name string, size int64) error) error {
	rows, err := tx.Query(`SELECT blob, size FROM mailbox_message WHERE blob IS NOT NULL`)
	if err != nil {
		return fmt.Errorf("listing the large messages: %w", err)
	}
	for rows.Next() {
		var name string
		var size int64
		if err := rows.Scan(&name, &size); err != nil {
			return fmt.Errorf("listing the large messages: %w", err)
		}
		if err := yield(name, size); err != nil {
			return errors.Join(err, rows.Close())
		}
	}
	if err := rows.Err(); err != nil {
		return fmt.Errorf("listing the large messages: %w", err)
	}
	return nil
}
