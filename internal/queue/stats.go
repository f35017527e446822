package queue

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"chmail/internal/sqldb"
)

// heldIndex finds what is held among very many that are not.
const heldIndex = `CREATE INDEX queue_rcpt_held ON queue_rcpt(id) WHERE held <> '';`

// Stats is how much is in the queue, in recipients where nothing else is said.
type Stats struct {
	Waiting int // for their next attempt,
	Due     int // of whom so many could be tried now,
	Active  int // on their way,
	Held    int // and until somebody lets them go
	// Oldest is when the mail that has waited longest was accepted, what is held left out; zero: none waits.
	Oldest time.Time
	Logins int // whose mail is held as it comes
	Lines  int // connections to other hosts
}

// Stats counts what is in the queue. It reads indexes only: a hundred thousand recipients take a few milliseconds.
func (q *Queue) Stats(ctx context.Context, now time.Time) (s Stats, err error) {
	var all int
	var oldest sql.NullInt64
	err = q.o.DB.View(ctx, func(tx *sqldb.Tx) error {
		for _, c := range []struct {
			into  *int
			query string
			args  []any
		}{
			{&all, `SELECT count(*) FROM queue_rcpt`, nil},
			{&s.Waiting, `SELECT count(*) FROM queue_rcpt INDEXED BY queue_rcpt_next WHERE held = '' AND owner = 0`, nil},
			{&s.Due, `SELECT count(*) FROM queue_rcpt INDEXED BY queue_rcpt_next WHERE held = '' AND owner = 0 AND next <= ?`, []any{now}},
			{&s.Held, `SELECT count(*) FROM queue_rcpt INDEXED BY queue_rcpt_held WHERE held <> ''`, nil},
			{&s.Logins, `SELECT count(*) FROM queue_stop`, nil},
		} {
			if err := tx.QueryRow(c.query, c.args...).Scan(c.into); err != nil {
				return err
			}
		}
		// Recipients are numbered in the order in which mails were accepted.
		err := tx.QueryRow(`SELECT m.at FROM queue_rcpt AS r JOIN queue_mail AS m ON m.id = r.mail WHERE r.held = '' ORDER BY r.id LIMIT 1`).Scan(&oldest)
		if errors.Is(err, sql.ErrNoRows) {
			return nil
		}
		return err
	})
	if err != nil {
		return Stats{}, fmt.Errorf("counting the queue: %w", err)
	}
	s.Active = max(0, all-s.Waiting-s.Held)
	if oldest.Valid {
		s.Oldest = time.UnixMilli(oldest.Int64)
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	s.Lines = q.lines
	return s, nil
}
