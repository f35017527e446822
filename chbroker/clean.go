package chbroker

import (
	"context"
	"fmt"
	"slices"
	"time"

	"chmail/internal/sqldb"
)

const (
	janitorPace = 500             // rows removed in one transaction
	linkWindow  = 4 * janitorPace // links looked through at a time
	linkGrace   = day             // an expired link is kept so long, for calls that are still to leave word about it
	callsKept   = 90 * day
)

// cleanLinks removes links that expired before a moment, a small piece at a time, so that mail hardly waits for it. There is no index on when they expire,
// which each mail would have to fill: the oldest expire first, unless the configuration's link_life has changed. So it removes the oldest up to the first that works,
// and then looks through one window, further on each time, for those that expired before others that are older. swept is where that has got to, 0 at first.
func (b *Broker) cleanLinks(ctx context.Context, before time.Time, swept *int64) error {
	for again := true; again; {
		oldest, err := b.window(ctx, 0, before, true)
		if err == nil {
			err = b.removeLinks(ctx, oldest.expired, before)
		}
		if err != nil {
			return err
		}
		again = len(oldest.expired) == linkWindow
	}
	w, err := b.window(ctx, *swept, before, false)
	if err == nil {
		err = b.removeLinks(ctx, w.expired, before)
	}
	if err == nil {
		*swept = w.last
	}
	return err
}

// window is what is found among links that follow one another.
type window struct {
	expired []int64
	last    int64 // of them all; 0: no others follow
}

// window looks through the links after one, or, of the oldest, only up to the first that works.
func (b *Broker) window(ctx context.Context, from int64, before time.Time, oldest bool) (w window, err error) {
	err = b.o.DB.View(ctx, func(tx *sqldb.Tx) error {
		w = window{}
		rows, err := tx.Query(`SELECT id, expires < ? FROM chbroker_link NOT INDEXED WHERE id > ? ORDER BY id LIMIT ?`, before, from, linkWindow)
		if err != nil {
			return err
		}
		n := 0
		for ; rows.Next(); n++ {
			var gone bool
			if err := rows.Scan(&w.last, &gone); err != nil {
				return err
			}
			if gone {
				w.expired = append(w.expired, w.last)
			} else if oldest {
				return rows.Close()
			}
		}
		if n < linkWindow {
			w.last = 0
		}
		return rows.Err()
	})
	if err != nil {
		return window{}, fmt.Errorf("looking for expired links: %w", err)
	}
	return w, nil
}

// removeLinks removes expired links, given in order, in pieces.
func (b *Broker) removeLinks(ctx context.Context, expired []int64, before time.Time) error {
	for piece := range slices.Chunk(expired, janitorPace) {
		if err := b.o.DB.Update(ctx, func(tx *sqldb.Tx) error {
			const these = `chbroker_link WHERE id >= ? AND id <= ? AND expires < ?`
			for _, statement := range []string{
				`DELETE FROM chbroker_token WHERE hash IN (SELECT substr(hash, 1, 16) FROM ` + these + `)`,
				`DELETE FROM chbroker_mail WHERE (login, link) IN (SELECT login, id FROM ` + these + `)`,
				`DELETE FROM ` + these,
			} {
				if _, err := tx.Exec(statement, piece[0], piece[len(piece)-1], before); err != nil {
					return err
				}
			}
			return nil
		}); err != nil {
			return fmt.Errorf("removing expired links: %w", err)
		}
	}
	return nil
}

// clean removes old calls, and what is known of removed logins once none of their links is left, in small pieces as well. The index of links must be up to date.
func (b *Broker) clean(ctx context.Context) error {
	now := time.Now()
	for _, c := range []struct {
		what, statement string
		before          time.Time
	}{
		{"removed logins", `DELETE FROM chbroker_removed WHERE login IN (SELECT login FROM chbroker_removed r WHERE at < ? AND at < coalesce((SELECT created
			FROM chbroker_mail m JOIN chbroker_link l ON l.id = m.link WHERE m.login = r.login ORDER BY m.link LIMIT 1), at + 1) LIMIT ?)`, now.Add(-day)},
		{"old calls", `DELETE FROM chbroker_call WHERE id IN (SELECT id FROM chbroker_call WHERE began < ? ORDER BY began LIMIT ?)`, now.Add(-callsKept)},
	} {
		for removed := int64(janitorPace); removed == janitorPace; {
			err := b.o.DB.Update(ctx, func(tx *sqldb.Tx) error {
				res, err := tx.Exec(c.statement, c.before, janitorPace)
				if err != nil {
					return err
				}
				removed, err = res.RowsAffected()
				return err
			})
			if err != nil {
				return fmt.Errorf("removing %s: %w", c.what, err)
			}
		}
	}
	return nil
}
