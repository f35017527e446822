package chatd

import (
	"context"
	"errors"
	"fmt"
	"time"

	"chmail/internal/sqldb"
)

// maxPhrases is how many canned answers a login keeps.
const maxPhrases = 50

// Why a canned answer is not kept.
var (
	ErrPhraseText = errors.New("a canned answer is text as a message is")
	ErrPhraseFull = fmt.Errorf("a login keeps %d canned answers", maxPhrases)
	ErrNoPhrase   = errors.New("no such canned answer")
)

// A Phrase is an answer that an owner gives often, for all his desks.
type Phrase struct {
	ID   int64
	Text string
}

// Phrases are the canned answers of a login, the oldest first.
func (s *Server) Phrases(ctx context.Context, login string) (list []Phrase, err error) {
	err = s.o.DB.View(ctx, func(tx *sqldb.Tx) error {
		list = list[:0]
		rows, err := tx.Query(`SELECT id, text FROM chatd_phrase WHERE login = ? ORDER BY id`, login)
		if err != nil {
			return err
		}
		for rows.Next() {
			var p Phrase
			if err := rows.Scan(&p.ID, &p.Text); err != nil {
				return err
			}
			list = append(list, p)
		}
		return rows.Err()
	})
	if err != nil {
		return nil, fmt.Errorf("reading canned answers: %w", err)
	}
	return list, nil
}

// KeepPhrase keeps a canned answer of a login: a new one when id is 0, otherwise instead of the one with that id; with an empty text that is removed. One that is kept already is not kept
// twice. The errors are ErrPhraseText, ErrPhraseFull, ErrNoPhrase, or what the database says.
func (s *Server) KeepPhrase(ctx context.Context, login string, id int64, text string) error {
	if text != "" && !goodText(text) || text == "" && id == 0 {
		return ErrPhraseText
	}
	err := s.o.DB.Update(ctx, func(tx *sqldb.Tx) error {
		if id == 0 {
			return addPhrase(tx, login, text)
		}
		query, args := `UPDATE chatd_phrase SET text = ? WHERE login = ? AND id = ?`, []any{text, login, id}
		if text == "" {
			query, args = `DELETE FROM chatd_phrase WHERE login = ? AND id = ?`, []any{login, id}
		}
		res, err := tx.Exec(query, args...)
		if err != nil {
			return err
		}
		n, err := res.RowsAffected()
		if err == nil && n == 0 {
			err = ErrNoPhrase
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("keeping a canned answer: %w", err)
	}
	return nil
}

func addPhrase(tx *sqldb.Tx, login, text string) error {
	var n, same int
	if err := tx.QueryRow(`SELECT count(*), count(*) FILTER (WHERE text = ?) FROM chatd_phrase WHERE login = ?`, text, login).Scan(&n, &same); err != nil {
		return err
	}
	switch {
	case same > 0:
		return nil
	case n >= maxPhrases:
		return ErrPhraseFull
	}
	_, err := tx.Exec(`INSERT INTO chatd_phrase (login, text, at) VALUES (?, ?, ?)`, login, text, time.Now())
	return err
}
