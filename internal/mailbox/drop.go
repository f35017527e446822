package mailbox

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"time"

	"chmail/internal/message"
	"chmail/internal/sqldb"
)

// sessionLife is how long a Drop may be used; what is deleted meanwhile stays readable for it that long and no longer.
const sessionLife = time.Hour

var (
	// ErrNoEntry says that a Drop has no message of that number.
	ErrNoEntry = errors.New("no such message")
	// ErrExpired says that a Drop was opened more than an hour ago, or that it was closed.
	ErrExpired = errors.New("the session with this maildrop is over")
	// ErrRemoved says that the maildrop was removed while a Drop was open.
	ErrRemoved = errors.New("the maildrop was removed")
)

// Drop is one session's sight of a maildrop: what was there when it was opened, whatever others deliver or delete. Used by one goroutine at
// a time. It holds no lock and no connection, and the few kilobytes of the entries that were looked at last.
type Drop struct {
	s     *Store
	login string
	until time.Time // ErrExpired from then on; the past, once closed

	// As found at Open; id is 0 when there was no maildrop, as before the first mail.
	id       int64
	count    int
	octets   int64
	last     int64
	deletion int64

	known position // where the latest walk came to
	page  []slot   // entries of the messages first, first+1, …
	first int
}

// Open opens a login's maildrop as it is now. A login without a maildrop has an empty one. It never refuses because of another session. The Drop
// must be closed, and is good for an hour.
func (s *Store) Open(ctx context.Context, login string) (*Drop, error) {
	d := &Drop{s: s, login: login, until: time.Now().Add(sessionLife)}
	s.sessions.begin(d) // before the snapshot is read: from now on nothing that it may see is removed
	err := s.db.View(ctx, func(tx *sqldb.Tx) error {
		err := tx.QueryRow(`SELECT id, count, octets, last, deletion FROM mailbox_drop WHERE login = ?`, login).
			Scan(&d.id, &d.count, &d.octets, &d.last, &d.deletion)
		if errors.Is(err, sql.ErrNoRows) {
			return nil
		}
		return err
	})
	if err != nil {
		s.sessions.end(d)
		return nil, fmt.Errorf("opening the maildrop of %s: %w", login, err)
	}
	s.sessions.saw(d)
	return d, nil
}

// Stat returns the number of messages and the sum of their octets. It costs nothing: Open has brought them.
func (d *Drop) Stat() (n int, octets int64) { return d.count, d.octets }

// Entry returns message n, 1 to the number of messages; ErrNoEntry for any other.
func (d *Drop) Entry(ctx context.Context, n int) (message.Entry, error) {
	e, err := d.entry(ctx, n)
	if err != nil {
		return message.Entry{}, fmt.Errorf("looking up message %d of %s: %w", n, d.login, err)
	}
	return message.Entry{Number: n, Size: e.size, UID: e.uid}, nil
}

// List yields message from and all that follow, until yield returns false. It reads by pages, each a transaction of its own; yield must
// not wait for anybody, since it runs within one.
func (d *Drop) List(ctx context.Context, from int, yield func(message.Entry) bool) error {
	if from < 1 {
		return fmt.Errorf("listing the maildrop of %s from message %d: %w", d.login, from, ErrNoEntry)
	}
	more := true
	for more && from <= d.count {
		err := d.walk(ctx, from, listPage, func(e slot) bool {
			more = yield(message.Entry{Number: from, Size: e.size, UID: e.uid})
			from++
			return more
		})
		if err != nil {
			return fmt.Errorf("listing the maildrop of %s: %w", d.login, err)
		}
	}
	return nil
}

// Read opens the bytes of message n: exactly as many as its entry says. A small message comes as a copy in memory, a large one as a file that
// is read by pieces. The reader may outlive the Drop.
func (d *Drop) Read(ctx context.Context, n int) (io.ReadCloser, error) {
	r, err := d.read(ctx, n)
	if err != nil {
		return nil, fmt.Errorf("reading message %d of %s: %w", n, d.login, err)
	}
	return r, nil
}

func (d *Drop) read(ctx context.Context, n int) (io.ReadCloser, error) {
	e, err := d.entry(ctx, n)
	if err != nil {
		return nil, err
	}
	var blob *string
	var body []byte
	// By way of the entry, which is this session's to see: the row of a removed message may have become another's.
	err = d.s.db.View(ctx, func(tx *sqldb.Tx) error {
		return tx.QueryRow(`SELECT m.blob, m.body FROM mailbox_entry AS e JOIN mailbox_message AS m ON m.id = e.message WHERE e.box = ? AND e.n = ?`,
			d.id, e.n).Scan(&blob, &body)
	})
	switch {
	case errors.Is(err, sql.ErrNoRows) && !time.Now().Before(d.until):
		return nil, ErrExpired
	case errors.Is(err, sql.ErrNoRows):
		return nil, ErrRemoved
	case err != nil:
		return nil, err
	case blob != nil:
		return d.s.blobs.open(*blob, e.size)
	case int64(len(body)) != e.size:
		return nil, fmt.Errorf("it has %d octets, not %d", len(body), e.size)
	}
	return inMemory{bytes.NewReader(body)}, nil
}

// inMemory is a message in memory; io.Copy writes it in one piece.
type inMemory struct{ *bytes.Reader }

func (inMemory) Close() error { return nil }

// Close ends the session. It deletes nothing.
func (d *Drop) Close() error {
	if d.until.IsZero() {
		return nil
	}
	d.until, d.page = time.Time{}, nil
	if d.s.sessions.end(d) {
		d.s.janitor.wake()
	}
	return nil
}
