package chatd

import (
	"context"
	"fmt"
	"time"

	"chmail/internal/sqldb"
)

const (
	keepFirst = 10 * time.Minute // after a start: by then a machine's clock has been set, and what is old can be told
	keepRound = time.Hour        // how often old conversations are looked for
	keepPage  = 100              // of them at a time
)

// keep removes conversations in which nothing has happened for as long as they are kept, and what earlier runs did not get to remove, until the server
// stops.
func (s *Server) keep() {
	wait := time.NewTimer(keepFirst)
	defer wait.Stop()
	for {
		select {
		case <-wait.C:
		case <-s.store.files.woken:
			if err := s.store.sweepFiles(s.ctx, time.Now()); err != nil && s.ctx.Err() == nil {
				s.log.Warn("chatd: files were not removed", "err", err)
			}
			continue
		case <-s.ctx.Done():
			return
		}
		if err := s.expire(s.ctx, time.Now()); err != nil && s.ctx.Err() == nil {
			s.log.Warn("chatd: old conversations were not removed", "err", err)
		}
		wait.Reset(keepRound)
	}
}

// expire does one round. A conversation that is live stays until nobody holds it any more.
func (s *Server) expire(ctx context.Context, now time.Time) error {
	before, removed := now.Add(-s.o.Keep), 0
	for after := int64(0); s.o.Keep > 0; {
		old, err := s.store.before(ctx, before, after)
		if err != nil {
			return err
		}
		if len(old) == 0 {
			break
		}
		for _, r := range old {
			if after = r.key; s.rooms.isLive(r.id) {
				continue
			}
			gone, err := s.store.abandon(ctx, r.login, r.id, before)
			if err != nil {
				return err
			}
			if gone {
				s.Deleted(ctx, r.login, r.id)
				removed++
			}
		}
	}
	if removed > 0 {
		s.log.Info("chatd: old conversations removed", "number", removed)
	}
	return s.store.sweep(ctx)
}

// before finds conversations behind a key in which nothing has happened since a moment.
func (s *store) before(ctx context.Context, moment time.Time, key int64) (list []record, err error) {
	err = s.db.View(ctx, func(tx *sqldb.Tx) error {
		list = nil
		rows, err := tx.Query(`SELECT key, id, login FROM chatd_conversation WHERE key > ? AND at < ? AND login <> '' ORDER BY key LIMIT ?`, key, moment, keepPage)
		if err != nil {
			return err
		}
		for rows.Next() {
			var r record
			if err := rows.Scan(&r.key, &r.id, &r.login); err != nil {
				return err
			}
			list = append(list, r)
		}
		return rows.Err()
	})
	if err != nil {
		return nil, fmt.Errorf("looking for old conversations: %w", err)
	}
	return list, nil
}
