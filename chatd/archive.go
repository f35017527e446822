package chatd

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"time"

	"chmail/internal/sqldb"
)

const (
	archivePage = 200 // conversations or events that are read at once
	sweepStep   = 500 // events removed in one transaction, for which what is said meanwhile waits
)

// An Archive is what was said, for whoever runs the server: it works with the database alone, whether or not a Server runs on it.
type Archive struct{ store store }

// NewArchive reads and removes conversations in a database that has Schema.
func NewArchive(db *sqldb.DB) *Archive { return &Archive{store{db: db}} }

// A Kept is a conversation as it lies in the archive.
type Kept struct {
	Number  int64 // a later conversation has a higher one
	ID      string
	Who     string // the visitor's name as he gave it; "" when he gave none
	About   string // the mail's subject
	Events  int64
	Created time.Time
	At      time.Time // of the last event that was no leaving
}

// An Entry is something that happened in a conversation: an event, or, of kind "call", a state into which its call has come.
type Entry struct {
	N    int64  // 1, 2, 3 …; of a call's move, the number of the event behind which it was
	Kind string // as docs/protocol.md has the kinds of events, or call
	From string // visitor, owner or guest; "" of a call's move, whose Text is the state
	Who  int64  // a guest's number
	Name string // a guest's name, "" when he gave none
	At   time.Time
	Text string // of a message: as it was changed last, "" once it was taken back
	Of   int64  // number of the message that is changed or taken back; 0 for other kinds
	File *File  // of a file, whose name is Text; nil once it was taken back, and for other kinds
}

const keptColumns = `SELECT key, id, name, about, last, created, at FROM chatd_conversation `

// List returns a login's conversations behind a number, the oldest first, a page at most; none: there are no more.
func (a *Archive) List(ctx context.Context, login string, after int64) (list []Kept, err error) {
	err = a.store.db.View(ctx, func(tx *sqldb.Tx) error {
		list = nil
		rows, err := tx.Query(keptColumns+`WHERE login = ? AND key > ? ORDER BY key LIMIT ?`, login, after, archivePage)
		if err != nil {
			return err
		}
		for rows.Next() {
			var k Kept
			if err := rows.Scan(&k.Number, &k.ID, &k.Who, &k.About, &k.Events, &k.Created, &k.At); err != nil {
				return err
			}
			list = append(list, k)
		}
		return rows.Err()
	})
	if err != nil {
		return nil, fmt.Errorf("listing the conversations of %s: %w", login, err)
	}
	return list, nil
}

// Conversation returns one of a login's conversations; ErrNoConversation when it is not his.
func (a *Archive) Conversation(ctx context.Context, login, id string) (k Kept, err error) {
	err = a.store.db.View(ctx, func(tx *sqldb.Tx) error {
		return tx.QueryRow(keptColumns+`WHERE login = ? AND id = ?`, login, id).Scan(&k.Number, &k.ID, &k.Who, &k.About, &k.Events, &k.Created, &k.At)
	})
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return Kept{}, ErrNoConversation
	case err != nil:
		return Kept{}, fmt.Errorf("reading a conversation: %w", err)
	}
	return k, nil
}

// Events returns what happened in a conversation behind event number after, a page at most, with the moves of its calls; none: that was all. ErrNoConversation when it is not
// this login's.
func (a *Archive) Events(ctx context.Context, login, id string, after int64) ([]Entry, error) {
	k, err := a.Conversation(ctx, login, id)
	if err != nil {
		return nil, err
	}
	events, err := a.store.events(ctx, k.Number, after+1)
	if err != nil {
		return nil, err
	}
	list := make([]Entry, len(events))
	for i, e := range events {
		list[i] = e.entry()
	}
	if len(list) == 0 {
		return nil, nil
	}
	moves, err := a.store.moves(ctx, k.Number, after, list[len(list)-1].N)
	if err != nil {
		return nil, err
	}
	return among(list, moves), nil
}

func (e *event) entry() Entry {
	from, who := publicSide(e.From)
	return Entry{N: e.N, Kind: e.Kind, From: from, Who: who, Name: e.Name, At: e.At, Text: e.Text, Of: e.Of, File: e.File}
}

// Unread returns what the visitor of a conversation has said that its owner has not seen, the latest so many, the oldest first; none where there is no
// such conversation.
func (a *Archive) Unread(ctx context.Context, id string, most int) (texts []string, err error) {
	err = a.store.db.View(ctx, func(tx *sqldb.Tx) error {
		texts = nil
		rows, err := tx.Query(`SELECT e.text FROM chatd_event e JOIN chatd_conversation c ON e.conv = c.key
			WHERE c.id = ? AND e.n > c.seen AND e.side = 'visitor' AND e.kind IN ('say', 'file') AND e.text <> '' ORDER BY e.n DESC LIMIT ?`, id, most)
		if err != nil {
			return err
		}
		for rows.Next() {
			var text string
			if err := rows.Scan(&text); err != nil {
				return err
			}
			texts = append(texts, text)
		}
		return rows.Err()
	})
	if err != nil {
		return nil, fmt.Errorf("reading what was not seen: %w", err)
	}
	slices.Reverse(texts)
	return texts, nil
}

// Delete removes a conversation of a login; false when he has none with this id, or, unless before is the zero time, when something has happened in it
// since. Whoever is in it finds out when he next says something; a Server is told at once, with Deleted.
func (a *Archive) Delete(ctx context.Context, login, id string, before time.Time) (bool, error) {
	deleted, err := a.store.abandon(ctx, login, id, before)
	if err != nil || !deleted {
		return false, err
	}
	return true, a.store.sweep(ctx)
}

// abandon takes a conversation from everybody in one small step: from now on it is nobody's, nothing can be written to it, and sweep removes what it was.
func (s *store) abandon(ctx context.Context, login, id string, before time.Time) (done bool, err error) {
	err = s.db.Update(ctx, func(tx *sqldb.Tx) error {
		const which = ` WHERE login = ? AND id = ? AND (? OR at < ?)`
		if err := s.unshelve(tx, `conv = (SELECT key FROM chatd_conversation`+which+`)`, login, id, before.IsZero(), before); err != nil {
			return err
		}
		res, err := tx.Exec(`UPDATE chatd_conversation SET login = '', id = ?, visitor = randomblob(32), epoch = epoch + 1`+which,
			randomID(), login, id, before.IsZero(), before)
		if err != nil {
			return err
		}
		n, err := res.RowsAffected()
		done = n > 0
		return err
	})
	if err != nil {
		return false, fmt.Errorf("removing a conversation: %w", err)
	}
	return done, nil
}

// sweep removes what was abandoned, now or by a process that did not get to its end, in small pieces.
func (s *store) sweep(ctx context.Context) error {
	if err := s.sweepFiles(ctx, time.Now()); err != nil {
		return err
	}
	const nobodys = `(SELECT key FROM chatd_conversation WHERE login = '' LIMIT 1)`
	for left := true; left; {
		err := s.db.Update(ctx, func(tx *sqldb.Tx) error {
			left = false
			res, err := tx.Exec(`DELETE FROM chatd_event WHERE conv = `+nobodys+` AND n IN (SELECT n FROM chatd_event WHERE conv = `+nobodys+` ORDER BY n LIMIT ?)`, sweepStep)
			if err != nil {
				return err
			}
			n, err := res.RowsAffected()
			if err != nil {
				return err
			}
			if n == sweepStep {
				left = true
				return nil
			}
			if res, err = tx.Exec(`DELETE FROM chatd_conversation WHERE key = ` + nobodys); err != nil {
				return err
			}
			n, err = res.RowsAffected()
			left = n > 0
			return err
		})
		if err != nil {
			return fmt.Errorf("removing what was said: %w", err)
		}
	}
	return nil
}

// Deleted ends what is live of a conversation that an Archive has deleted: nobody is called for it any more, and whoever is in it is sent away. A reader
// who comes back begins a new one.
func (s *Server) Deleted(ctx context.Context, login, conv string) {
	s.o.Broker.End(login, conv)
	if r := s.rooms.present(ctx, conv); r != nil {
		r.post(ctx, deleted{})
		s.rooms.release(r)
	}
	s.log.Info("chatd: conversation deleted", "conv", conv, "login", login)
}
