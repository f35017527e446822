package mailbox

import (
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"time"

	"chmail/internal/message"
	"chmail/internal/sqldb"
)

// inRow is the size up to which a message's bytes lie in the database (design section 3).
const inRow = 64 << 10

// Options are what a Store needs.
type Options struct {
	DB  *sqldb.DB // carries Schema
	Dir string    // folder of the blobs, made where it is missing; this Store's alone
	Log *slog.Logger
	// Removing runs remove, unless no blob may go at this moment, since a backup is about to copy those that its copy of the database names: then it reports false,
	// and the janitor comes again. Nil: they may always go.
	Removing func(remove func() error) (done bool, err error)
}

// Store keeps messages and maildrops. All methods may be called from many goroutines.
type Store struct {
	db       *sqldb.DB
	log      *slog.Logger
	blobs    *blobs
	removing func(remove func() error) (done bool, err error)
	sessions sessions
	janitor  *janitor
}

// New opens the store and starts its janitor, which begins by removing what an earlier run left behind. Close stops it.
func New(o Options) (*Store, error) {
	if o.Log == nil {
		o.Log = slog.Default()
	}
	b, err := newBlobs(o.Dir)
	if err != nil {
		return nil, fmt.Errorf("opening the store of messages: %w", err)
	}
	if o.Removing == nil {
		o.Removing = func(remove func() error) (bool, error) { return true, remove() }
	}
	s := &Store{db: o.DB, log: o.Log, blobs: b, removing: o.Removing, sessions: sessions{boxes: make(map[string]*sighted)}}
	s.janitor = newJanitor(s)
	go s.janitor.work()
	return s, nil
}

// Close stops the janitor; the database is not the Store's to close. Open Drops stay usable as long as that is open.
func (s *Store) Close() error {
	s.janitor.stop()
	return s.blobs.close()
}

// Put takes the bytes of a message, exactly size of them, with CRLF line ends: small ones into memory, larger ones into a blob, which is
// on the disk with its name when Put returns. What has been put is delivered or discarded; a blob that the end of the process
// overtakes is removed at the next start.
func (s *Store) Put(ctx context.Context, r io.Reader, size int64) (message.Stored, error) {
	m := message.Stored{Size: size}
	if err := ctx.Err(); err != nil {
		return m, err
	}
	var err error
	if size <= inRow {
		m.Body, err = readBody(r, size)
	} else {
		m.Blob, err = s.blobs.write(ctx, r, size)
	}
	if err != nil {
		return message.Stored{}, fmt.Errorf("storing a message: %w", err)
	}
	return m, nil
}

func readBody(r io.Reader, size int64) ([]byte, error) {
	if size < 0 {
		return nil, fmt.Errorf("a message of %d octets", size)
	}
	body := make([]byte, size)
	if _, err := io.ReadFull(r, body); err != nil {
		return nil, fmt.Errorf("reading its %d octets: %w", size, err)
	}
	return body, atEnd(r, size)
}

// atEnd makes an error of a message that is longer than was said: its end would be missing.
func atEnd(r io.Reader, size int64) error {
	var more [1]byte
	switch n, err := io.ReadFull(r, more[:]); {
	case n > 0:
		return fmt.Errorf("it is longer than the %d octets that were announced", size)
	case err != io.EOF:
		return fmt.Errorf("reading its end: %w", err)
	}
	return nil
}

// Discard removes the blob of a message that could not be delivered, if it has one. Not for a message that was.
func (s *Store) Discard(m message.Stored) {
	if m.Blob == "" {
		return
	}
	if err := s.blobs.remove(m.Blob); err != nil {
		s.log.Warn("mailbox: discarding a message", "blob", m.Blob, "err", err)
	}
}

// full is the answer to a mail for which a maildrop has no room (hazards 38).
var full = message.Refuse(452, [3]int{4, 2, 2}, "the mailbox of a recipient is full, try again later")

// Deliver puts a message into maildrops, named by login: one entry in each, however often it is named, with a unique id of its own. Maildrops
// come into being with their first message. It is done when the transaction is committed, and POP3 sees it from then on. The message is kept for so many
// holders besides, who read it by its id (Body), and each of whom lets go of it once (Release).
//
// A *message.Refusal: a maildrop was at its quota already, or none of all that are to have the message has room for it; then the transaction must come to nothing. Where others take it, it
// may go beyond a quota, once: they must not do without it because somebody's maildrop has got full meanwhile.
func (s *Store) Deliver(tx *sqldb.Tx, m message.Stored, drops []message.Drop, holders int, now time.Time) (id int64, err error) {
	drops = distinct(drops)
	if len(drops)+holders == 0 {
		return 0, errors.New("delivering a message: to nobody")
	}
	var blob, body any = nil, m.Body
	if m.Blob != "" {
		blob, body = m.Blob, nil
	} else if m.Body == nil {
		body = []byte{}
	}
	if m.Blob == "" && int64(len(m.Body)) != m.Size {
		return 0, fmt.Errorf("delivering a message: %d octets of %d", len(m.Body), m.Size)
	}
	if m.Blob != "" {
		if _, err := tx.Exec(`INSERT INTO mailbox_run (run) VALUES (?) ON CONFLICT DO NOTHING`, madeBy(m.Blob)); err != nil {
			return 0, fmt.Errorf("delivering a message: %w", err)
		}
	}
	res, err := tx.Exec(`INSERT INTO mailbox_message (refs, size, stamp, blob, body) VALUES (?, ?, ?, ?, ?)`, len(drops)+holders, m.Size, m.Stamp, blob, body)
	if err != nil {
		return 0, fmt.Errorf("delivering a message: %w", err)
	}
	if id, err = res.LastInsertId(); err != nil {
		return 0, fmt.Errorf("delivering a message: %w", err)
	}
	taken := holders > 0 // by somebody who has room for it
	for _, d := range drops {
		box, n, octets, err := count(tx, d.Login, m.Size)
		if err == nil {
			_, err = tx.Exec(`INSERT INTO mailbox_entry (box, n, message, size, uid) VALUES (?, ?, ?, ?, ?)`, box, n, id, m.Size, newUID())
		}
		limit := message.Box{Quota: d.Quota}
		if err == nil && limit.Full(octets-m.Size, 0) {
			err = full
		}
		if err != nil {
			return 0, fmt.Errorf("delivering a message to %s: %w", d.Login, err)
		}
		taken = taken || !limit.Full(octets-m.Size, m.Size) && !d.Copy
	}
	if !taken {
		return 0, fmt.Errorf("delivering a message to %s: %w", drops[0].Login, full)
	}
	return id, nil
}

// count counts one more message into a maildrop, and returns the number of its entry and the octets in all.
func count(tx *sqldb.Tx, login string, size int64) (box, n, octets int64, err error) {
	err = tx.QueryRow(`UPDATE mailbox_drop SET count = count + 1, octets = octets + ?, last = last + 1 WHERE login = ? RETURNING id, last, octets`,
		size, login).Scan(&box, &n, &octets)
	if errors.Is(err, sql.ErrNoRows) {
		// Not an upsert: that would look after the highest id at each delivery.
		err = tx.QueryRow(`INSERT INTO mailbox_drop (login, count, octets, last) VALUES (?, 1, ?, 1) RETURNING id, last, octets`, login, size).Scan(&box, &n, &octets)
	}
	return box, n, octets, err
}

// Used tells within a transaction how many octets a login's maildrop holds: what POP3 has deleted is not counted any more.
func (s *Store) Used(tx *sqldb.Tx, login string) (octets int64, err error) {
	err = tx.QueryRow(`SELECT octets FROM mailbox_drop WHERE login = ?`, login).Scan(&octets)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return 0, fmt.Errorf("looking how full the maildrop of %s is: %w", login, err)
	}
	return octets, nil
}

// Octets is Used, in a transaction of its own.
func (s *Store) Octets(ctx context.Context, login string) (octets int64, err error) {
	err = s.db.View(ctx, func(tx *sqldb.Tx) error {
		octets, err = s.Used(tx, login)
		return err
	})
	return octets, err
}

// Sizes tells of every maildrop how many octets it holds, by login.
func (s *Store) Sizes(ctx context.Context) (octets map[string]int64, err error) {
	err = s.db.View(ctx, func(tx *sqldb.Tx) error {
		octets = make(map[string]int64)
		rows, err := tx.Query(`SELECT login, octets FROM mailbox_drop WHERE login IS NOT NULL`)
		if err != nil {
			return err
		}
		for rows.Next() {
			var login string
			var n int64
			if err := rows.Scan(&login, &n); err != nil {
				return err
			}
			octets[login] = n
		}
		return rows.Err()
	})
	if err != nil {
		return nil, fmt.Errorf("looking how full the maildrops are: %w", err)
	}
	return octets, nil
}

// newUID makes a unique id for UIDL: 16 printable characters of 96 random bits (RFC 1939 7 allows 70).
func newUID() string {
	var b [12]byte
	rand.Read(b[:]) // never fails
	return base64.RawURLEncoding.EncodeToString(b[:])
}

// distinct leaves out repetitions. A mail has one recipient, most times.
func distinct(drops []message.Drop) []message.Drop {
	if len(drops) < 2 {
		return drops
	}
	sorted := slices.Clone(drops)
	slices.SortFunc(sorted, func(a, b message.Drop) int { return strings.Compare(a.Login, b.Login) })
	return slices.CompactFunc(sorted, func(a, b message.Drop) bool { return a.Login == b.Login })
}

// Remove takes a login's maildrop away with all that lies in it: at once for everybody who looks, while the janitor removes the
// contents in small steps. If the login comes back, its maildrop is new and empty. A login without a maildrop is fine.
func (s *Store) Remove(tx *sqldb.Tx, login string) error {
	if _, err := tx.Exec(`UPDATE mailbox_drop SET login = NULL WHERE login = ?`, login); err != nil {
		return fmt.Errorf("removing the maildrop of %s: %w", login, err)
	}
	tx.AfterCommit(s.janitor.wake)
	return nil
}
