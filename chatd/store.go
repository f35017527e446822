package chatd

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"database/sql"
	"encoding/base64"
	"errors"
	"fmt"
	"time"

	"chmail/internal/call"
	"chmail/internal/sqldb"
)

// Remove takes everything of a login out, within the transaction that removes his account. A server that runs on this database is told
// after the commit, with Dismiss.
func Remove(tx *sqldb.Tx, login string) error {
	if _, err := tx.Exec(`DELETE FROM chatd_event WHERE conv IN (SELECT key FROM chatd_conversation WHERE login = ?)`, login); err != nil {
		return fmt.Errorf("removing the chat events of %s: %w", login, err)
	}
	if _, err := tx.Exec(`UPDATE chatd_file SET conv = NULL, n = NULL, login = '' WHERE login = ?`, login); err != nil { // their bytes go in small steps
		return fmt.Errorf("removing the chat files of %s: %w", login, err)
	}
	if _, err := tx.Exec(`DELETE FROM chatd_block WHERE login = ?`, login); err != nil {
		return fmt.Errorf("removing whom %s has blocked: %w", login, err)
	}
	if _, err := tx.Exec(`DELETE FROM chatd_phrase WHERE login = ?`, login); err != nil {
		return fmt.Errorf("removing the canned answers of %s: %w", login, err)
	}
	if _, err := tx.Exec(`DELETE FROM chatd_invitation WHERE login = ?`, login); err != nil {
		return fmt.Errorf("removing the invitations of %s: %w", login, err)
	}
	if _, err := tx.Exec(`UPDATE chatd_guest SET away = TRUE WHERE login = ? AND login <> ''`, login); err != nil { // what he said stays, under his name
		return fmt.Errorf("removing %s from others' conversations: %w", login, err)
	}
	if _, err := tx.Exec(`DELETE FROM chatd_conversation WHERE login = ?`, login); err != nil {
		return fmt.Errorf("removing the conversations of %s: %w", login, err)
	}
	return nil
}

// drop takes one conversation out, if it is still there.
func (s *store) drop(ctx context.Context, key int64, id string) error {
	err := s.db.Update(ctx, func(tx *sqldb.Tx) error {
		if _, err := tx.Exec(`DELETE FROM chatd_event WHERE conv IN (SELECT key FROM chatd_conversation WHERE key = ? AND id = ?)`, key, id); err != nil {
			return err
		}
		if err := s.unshelve(tx, `conv IN (SELECT key FROM chatd_conversation WHERE key = ? AND id = ?)`, key, id); err != nil {
			return err
		}
		_, err := tx.Exec(`DELETE FROM chatd_conversation WHERE key = ? AND id = ?`, key, id)
		return err
	})
	if err != nil {
		return fmt.Errorf("removing a conversation: %w", err)
	}
	return nil
}

var (
	// errMoved says that another process has taken the conversation over, or that it has been removed.
	errMoved = errors.New("the conversation is not this process's any more")
)

const (
	saidLength = 120     // characters of the last message that a list shows
	maxEvents  = 100_000 // of one conversation
	maxSize    = 8 << 20 // bytes of all its texts
	pageLength = 200     // events read at once
)

// visitorID is what a conversation knows its visitor by.
type visitorID [sha256.Size]byte

// browserVisitor and terminalVisitor keep cookies and terminals' codes apart: one is never good as the other.
func browserVisitor(cookie string) visitorID { return sha256.Sum256([]byte("browser " + cookie)) }

func terminalVisitor(secret string) visitorID { return sha256.Sum256([]byte("terminal " + secret)) }

// randomID makes an id of some 128 random bits, 22 characters that are safe in a URL and, since none begins with "-", on a command line.
func randomID() string {
	for {
		var b [16]byte
		// crypto/rand.Read never fails (it ends the program instead).
		rand.Read(b[:])
		if id := base64.RawURLEncoding.EncodeToString(b[:]); id[0] != '-' {
			return id
		}
	}
}

// record is a conversation as its row has it.
type record struct {
	key               int64
	id, login         string
	name, about, said string
	state             call.State
	last, seen, epoch int64
	shown             int64 // the newest event that the visitor has been shown
	size              int64 // bytes of all its events' texts
	at                time.Time
	moved             *move // into state, and not kept yet
}

type store struct {
	db    *sqldb.DB
	files *shelf // nil: files are read and removed here, not taken
	due   *dues  // transcripts; nil: nobody wants them
	// answers are those that go to visitors by mail; nil: none do.
	answers *dues
}

// The login is part of what is asked for: whatever becomes of a link's number, nobody is led into another owner's conversation.
// A browser to which a conversation was carried is in that one.
const finding = `SELECT coalesce((SELECT c.id FROM chatd_device d JOIN chatd_conversation c ON c.key = d.conv WHERE d.link = ?2 AND d.visitor = ?3 AND c.link = ?2 AND c.login = ?1),
	(SELECT id FROM chatd_conversation WHERE login = ?1 AND link = ?2 AND visitor = ?3), '')`

// find returns the id of the conversation of a visitor with a link; "" when there is none yet.
func (s *store) find(ctx context.Context, link call.Link, v visitorID) (id string, err error) {
	err = s.db.View(ctx, func(tx *sqldb.Tx) error {
		return tx.QueryRow(finding, link.Login, link.ID, v[:]).Scan(&id)
	})
	if err != nil {
		return "", fmt.Errorf("finding a conversation: %w", err)
	}
	return id, nil
}

// create makes the conversation of a visitor with a link, or finds the one there is.
func (s *store) create(ctx context.Context, link call.Link, v visitorID, name string, now time.Time) (id string, err error) {
	fresh := randomID()
	err = s.db.Update(ctx, func(tx *sqldb.Tx) error {
		_, err := tx.Exec(`INSERT INTO chatd_conversation (id, link, visitor, login, name, about, owner, state, said, last, seen, size, epoch, created, at)
			VALUES (?, ?, ?, ?, ?, ?, ?, '', '', 0, 0, 0, 0, ?, ?) ON CONFLICT (link, visitor, login) DO NOTHING`,
			fresh, link.ID, v[:], link.Login, name, link.Mail.Subject, ownerName(link), now, now)
		if err != nil {
			return err
		}
		return tx.QueryRow(finding, link.Login, link.ID, v[:]).Scan(&id)
	})
	if err != nil {
		return "", fmt.Errorf("making a conversation: %w", err)
	}
	return id, nil
}

// own takes a conversation for this process: whoever had it before can no longer write to it (design 6.6).
func (s *store) own(ctx context.Context, id string) (record, error) {
	r := record{id: id}
	err := s.db.Update(ctx, func(tx *sqldb.Tx) error {
		return tx.QueryRow(`UPDATE chatd_conversation SET epoch = epoch + 1 WHERE id = ?
			RETURNING key, login, name, about, state, said, last, seen, shown, size, epoch, at`, id).
			Scan(&r.key, &r.login, &r.name, &r.about, &r.state, &r.said, &r.last, &r.seen, &r.shown, &r.size, &r.epoch, &r.at)
	})
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return record{}, ErrNoConversation
	case err != nil:
		return record{}, fmt.Errorf("taking a conversation: %w", err)
	}
	return r, nil
}

// exists tells whether a conversation's row is there, whoever writes to it.
func (s *store) exists(ctx context.Context, key int64, id string) (yes bool, err error) {
	err = s.db.View(ctx, func(tx *sqldb.Tx) error {
		return tx.QueryRow(`SELECT EXISTS (SELECT 1 FROM chatd_conversation WHERE key = ? AND id = ?)`, key, id).Scan(&yes)
	})
	if err != nil {
		return false, fmt.Errorf("looking for a conversation: %w", err)
	}
	return yes, nil
}

// What became of an event that was to be saved.
type outcome int

const (
	added outcome = iota
	known         // its side has said it before: it keeps the number that it has
	full          // there is no room for it, or the conversation has ended
)

// save commits new events, numbered on from r.last, and everything that changes in the conversation's row. It tells what became of each event;
// one that is added or known has its number. r is the row as it is to be, with last, said, size and at as they were; save brings these up to date.
func (s *store) save(ctx context.Context, r *record, add []*event) (done []outcome, err error) {
	var next record
	err = s.db.Update(ctx, func(tx *sqldb.Tx) error {
		next, done = *r, make([]outcome, len(add))
		for i, e := range add {
			if done[i], err = s.insert(tx, &next, e); err != nil {
				return err
			}
		}
		if next.moved != nil {
			if err := next.moved.add(tx, next.key); err != nil {
				return err
			}
			next.moved = nil
		}
		// The last statement tells as well whether the row is ours: a question beforehand would cost a third more.
		res, err := tx.Exec(`UPDATE chatd_conversation SET name = ?, state = ?, said = ?, last = ?, seen = ?, shown = ?, size = ?, at = ? WHERE key = ? AND id = ? AND epoch = ?`,
			next.name, string(next.state), next.said, next.last, next.seen, next.shown, next.size, next.at, next.key, next.id, next.epoch)
		if err != nil {
			return err
		}
		if n, err := res.RowsAffected(); err != nil || n == 0 {
			return cmp.Or(err, errMoved)
		}
		return nil
	})
	if sqldb.IsUnique(err) || sqldb.IsForeign(err) { // that number is taken: somebody else has written on; or the row is gone
		err = errMoved
	}
	if err != nil {
		return nil, fmt.Errorf("committing to a conversation: %w", err)
	}
	*r = next
	return done, nil
}

// owned checks, within the transaction that writes, that the row is still there, the same conversation's, and ours.
func owned(tx *sqldb.Tx, r *record) error {
	var one int
	err := tx.QueryRow(`SELECT 1 FROM chatd_conversation WHERE key = ? AND id = ? AND epoch = ?`, r.key, r.id, r.epoch).Scan(&one)
	if errors.Is(err, sql.ErrNoRows) {
		return errMoved
	}
	return err
}

// insert adds an event as the next number of r, unless the same side has said it already. That is looked at before the conversation's bounds are:
// who says again what was acknowledged to him must hear so, however full it has become.
func (s *store) insert(tx *sqldb.Tx, r *record, e *event) (outcome, error) {
	var cid any
	if e.CID != "" {
		cid = e.CID
	}
	size := r.size + int64(len(e.Text))
	ended := r.state == call.Ended && (e.Kind == kindSay || e.Kind == kindFile)
	fits := r.last < maxEvents && size <= maxSize && !ended
	if fits && e.File != nil {
		var err error
		if fits, err = s.mayShelve(tx, r, e.File); err != nil {
			return 0, err
		}
	}
	if fits {
		res, err := tx.Exec(`INSERT INTO chatd_event (conv, n, kind, side, cid, at, text) VALUES (?, ?, ?, ?, ?, ?, ?)
			ON CONFLICT (conv, side, cid) WHERE cid IS NOT NULL DO NOTHING`, r.key, r.last+1, e.Kind, e.From, cid, e.At, e.Text)
		if err != nil {
			return 0, err
		}
		switch n, err := res.RowsAffected(); {
		case err != nil:
			return 0, err
		case n == 1:
			r.last, r.size, e.N = r.last+1, size, r.last+1
			if e.File != nil {
				if err := shelve(tx, r, e.File, e.N); err != nil {
					return 0, err
				}
			}
			if e.Kind != kindLeave { // to have gone is nothing that the list is ordered by
				r.at = e.At
			}
			if e.Kind == kindSay || e.Kind == kindFile {
				r.said = beginning(e.Text, saidLength)
			}
			return added, nil
		}
	}
	err := tx.QueryRow(`SELECT n FROM chatd_event WHERE conv = ? AND side = ? AND cid = ?`, r.key, e.From, cid).Scan(&e.N)
	if errors.Is(err, sql.ErrNoRows) {
		return full, nil
	}
	return known, err
}

// events reads events from number from on, in order, a page at most.
func (s *store) events(ctx context.Context, conv, from int64) (list []*event, err error) {
	err = s.db.View(ctx, func(tx *sqldb.Tx) error {
		list = list[:0]
		rows, err := tx.Query(`SELECT e.n, e.kind, e.side, coalesce(e.cid, ''), e.at, e.text, coalesce(e.of, 0),
			coalesce(f.id, ''), coalesce(f.type, ''), coalesce(f.size, 0), coalesce(f.width, 0), coalesce(f.height, 0), coalesce(f.key, 0), coalesce(g.name, ''), coalesce(g.login, '')
			FROM chatd_event e LEFT JOIN chatd_file f ON e.kind = 'file' AND f.conv = e.conv AND f.n = e.n
			LEFT JOIN chatd_guest g ON e.side GLOB 'guest.*' AND g.conv = e.conv AND g.n = CAST(substr(e.side, 7) AS INTEGER) WHERE e.conv = ? AND e.n >= ? ORDER BY e.n LIMIT ?`, conv, from, pageLength)
		if err != nil {
			return err
		}
		for rows.Next() {
			e := new(event)
			var f File
			if err := rows.Scan(&e.N, &e.Kind, &e.From, &e.CID, &e.At, &e.Text, &e.Of, &f.ID, &f.Type, &f.Size, &f.Width, &f.Height, &f.key, &e.Name, &e.Login); err != nil {
				return err
			}
			if f.ID != "" {
				e.File = &f
			}
			list = append(list, e)
		}
		return rows.Err()
	})
	if err != nil {
		return nil, fmt.Errorf("reading events: %w", err)
	}
	return list, nil
}

// What the desk lists of a conversation.
const listed = `SELECT id, name, about, said, state, last, at, (SELECT count(*) FROM chatd_event e
	WHERE e.conv = c.key AND e.n > c.seen AND e.side <> 'owner' AND e.kind IN ('say', 'file') AND e.text <> '') FROM chatd_conversation c `

// list returns a login's latest conversations.
func (s *store) list(ctx context.Context, login string, limit int) ([]Talk, error) {
	return s.talks(ctx, listed+`WHERE login = ? ORDER BY at DESC, key DESC LIMIT ?`, login, limit)
}

// one returns the conversation with an id, when it is this login's.
func (s *store) one(ctx context.Context, login, id string) (Talk, error) {
	talks, err := s.talks(ctx, listed+`WHERE id = ? AND login = ?`, id, login)
	if err == nil && len(talks) == 0 {
		err = ErrNoConversation
	}
	if err != nil {
		return Talk{}, err
	}
	return talks[0], nil
}

func (s *store) talks(ctx context.Context, query string, args ...any) (talks []Talk, err error) {
	err = s.db.View(ctx, func(tx *sqldb.Tx) error {
		rows, err := tx.Query(query, args...)
		if err != nil {
			return err
		}
		for rows.Next() {
			var t Talk
			if err := rows.Scan(&t.ID, &t.Who, &t.About, &t.Text, &t.State, &t.Last, &t.At, &t.Unread); err != nil {
				return err
			}
			talks = append(talks, t)
		}
		return rows.Err()
	})
	if err != nil {
		return nil, fmt.Errorf("listing conversations: %w", err)
	}
	return talks, nil
}
