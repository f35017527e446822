package chbroker

import (
	"context"
	"fmt"
	"slices"
	"time"

	"chmail/internal/sqldb"
)

const (
	janitorPace = 500              // rows removed in one transaction
	linkWindow  = 20 * janitorPace // links looked through at a time
	linkGrace   = day              // an expired link is kept so long, for calls that are still to leave word about it
	callsKept   = 90 * day
)

// cleanLinks removes links that expired before a moment, a small piece at a time, so that mail hardly waits for it. There is no index on when they expire,
// which each mail would have to fill: the oldest expire first, unless the configuration's link_life has changed. So it begins with the oldest, for as long as all of a
// window have expired, and then looks through one window more, further on each time, for those that expired before others that are older. swept is
// where that has got to, 0 at first.
func (b *Broker) cleanLinks(ctx context.Context, before time.Time, swept *int64) error {
	for all := true; all; {
		var err error
		if _, all, err = b.cleanWindow(ctx, 0, before); err != nil {
			return err
		}
	}
	next, _, err := b.cleanWindow(ctx, *swept, before)
	*swept = next
	return err
}

// cleanWindow looks through the links after one, and removes what has expired. It returns the last of them, 0 when no others follow, and whether all of
// a whole window are gone.
func (b *Broker) cleanWindow(ctx context.Context, from int64, before time.Time) (last int64, all bool, err error) {
	var expired []int64
	var n int
	err = b.o.DB.View(ctx, func(tx *sqldb.Tx) error {
		expired, n, last = nil, 0, 0
		rows, err := tx.Query(`SELECT id, expires < ? FROM chbroker_link NOT INDEXED WHERE id > ? ORDER BY id LIMIT ?`, before, from, linkWindow)
		if err != nil {
			return err
		}
		for ; rows.Next(); n++ {
			var gone bool
			if err := rows.Scan(&last, &gone); err != nil {
				return err
			}
			if gone {
				expired = append(expired, last)
			}
		}
		return rows.Err()
	})
	for piece := range slices.Chunk(expired, janitorPace) {
		if err == nil {
			err = b.o.DB.Update(ctx, func(tx *sqldb.Tx) error {
				_, err := tx.Exec(`DELETE FROM chbroker_link WHERE id >= ? AND id <= ? AND expires < ?`, piece[0], piece[len(piece)-1], before)
				return err
			})
		}
	}
	if err != nil {
		return from, false, fmt.Errorf("removing expired links: %w", err)
	}
	if n < linkWindow {
		last = 0
	}
	return last, n == linkWindow && len(expired) == n, nil
}

// clean removes old calls and what is known of removed logins, in small pieces as well.
func (b *Broker) clean(ctx context.Context) error {
	now := time.Now()
	for _, c := range []struct {
		what, statement string
		before          time.Time
	}{
		{"removed logins", `DELETE FROM chbroker_removed WHERE login IN (SELECT login FROM chbroker_removed WHERE at < ? LIMIT ?)`, now.Add(-day)},
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
