package chatd

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"chmail/internal/sqldb"
)

const (
	answerWait  = time.Minute      // until what an owner has said to somebody who is not there goes out by mail: he may go on, and the other come back
	answerMerge = 15 * time.Minute // between two such mails of a conversation
)

// mailedTo is how far a visitor who has left an address has been told by mail what was said.
type mailedTo struct {
	key, last     int64
	box, language string
	shown, mailed int64
	mailedAt      time.Time
	t             Transcript
	missing       bool
}

// answer mails a visitor who has gone what the owner has said since, if he has proved an address (R12).
func (s *Server) answer(ctx context.Context, conv string) error {
	m, err := s.store.mailedTo(ctx, conv)
	if err != nil || m.missing {
		return err
	}
	if r := s.rooms.present(ctx, conv); r != nil {
		here := r.tail.visitorHere()
		s.rooms.release(r)
		if here {
			return nil // when he has gone, it is looked at again
		}
	}
	all, more, err := s.store.spoken(ctx, m.key, max(m.mailed, m.shown), m.last)
	if err != nil {
		return err
	}
	for _, e := range all {
		if e.From == owner {
			m.t.Entries = append(m.t.Entries, e)
		}
	}
	if m.t.More = more; len(m.t.Entries) == 0 {
		return nil
	}
	if next := m.mailedAt.Add(answerMerge); time.Now().Before(next) {
		s.store.answers.add(conv, next)
		return nil
	}
	err = s.withFiles(ctx, m.t, func(t Transcript) error { return s.o.Post.Answer(ctx, m.box, m.language, t) })
	if forGood(err) {
		s.log.Warn("chatd: an answer is refused for good", "conv", conv, "err", err)
	} else if err != nil {
		return err
	} else {
		s.log.Info("chatd: answer mailed", "conv", conv, "events", len(m.t.Entries))
	}
	// A program that is killed before this mails it once more: twice is better than never.
	err = s.store.db.Update(ctx, func(tx *sqldb.Tx) error {
		_, err := tx.Exec(`UPDATE chatd_address SET mailed = max(mailed, ?), mailed_at = ? WHERE conv = ?`, m.last, time.Now(), m.key)
		return err
	})
	if err != nil {
		return fmt.Errorf("noting that an answer was mailed: %w", err)
	}
	return nil
}

func (s *store) mailedTo(ctx context.Context, conv string) (m mailedTo, err error) {
	m.t.Conv = conv
	err = s.db.View(ctx, func(tx *sqldb.Tx) error {
		return tx.QueryRow(`SELECT c.key, c.login, c.link, c.name, c.about, c.last, c.shown, a.proved, a.language, a.mailed, a.mailed_at
			FROM chatd_conversation c JOIN chatd_address a ON a.conv = c.key WHERE c.id = ? AND c.login <> '' AND a.proved <> ''`, conv).
			Scan(&m.key, &m.t.Login, &m.t.Link, &m.t.Who, &m.t.About, &m.last, &m.shown, &m.box, &m.language, &m.mailed, &m.mailedAt)
	})
	if errors.Is(err, sql.ErrNoRows) {
		return mailedTo{missing: true}, nil
	}
	if err != nil {
		return m, fmt.Errorf("looking for whom to answer by mail: %w", err)
	}
	return m, nil
}

// unanswered finds the conversations whose visitor has an address and may have been told something that he has not seen.
func (s *store) unanswered(ctx context.Context, d *dues) error {
	err := s.db.View(ctx, func(tx *sqldb.Tx) error {
		rows, err := tx.Query(`SELECT c.id FROM chatd_conversation c JOIN chatd_address a ON a.conv = c.key WHERE a.proved <> '' AND c.last > max(a.mailed, c.shown)`)
		if err != nil {
			return err
		}
		for rows.Next() {
			var id string
			if err := rows.Scan(&id); err != nil {
				return err
			}
			d.add(id, time.Time{})
		}
		return rows.Err()
	})
	if err != nil {
		return fmt.Errorf("looking for answers that are due: %w", err)
	}
	return nil
}
