package chbroker

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"chmail/internal/call"
	"chmail/internal/sqldb"
)

const (
	checkEvery = 2 * time.Second // whether the maps are there and have kept what was written
	keeperWait = time.Second     // for one answer of the maps; nobody waits for the keeper
	writeEvery = 15 * time.Second
	signEvery  = time.Minute // a login's last sign goes to SQL at most so often
	indexEvery = time.Minute
	cleanEvery = 10 * time.Minute // old calls and the like; expired links, of which there are more, go with each indexing
)

// keepMaps keeps the maps up to date with what this process knows: what a sign could not write in its budget, what a device's being here
// makes of it, and, when the maps have lost everything, everything.
func (b *Broker) keepMaps(ctx context.Context) {
	check := time.NewTicker(checkEvery)
	defer check.Stop()
	renew := time.NewTicker(b.times.DeskSign / 3)
	defer renew.Stop()
	b.checkMaps(ctx)
	for {
		b.saveUnsaved(ctx)
		select {
		case <-ctx.Done():
			b.saveUnsaved(context.WithoutCancel(ctx)) // desks that left with the end
			return
		case <-check.C:
			b.checkMaps(ctx)
		case <-renew.C:
			b.presence.renew(time.Now().Add(b.times.DeskSign))
		case <-b.presence.kick:
		}
	}
}

// checkMaps asks the maps whether they are there and have kept what was written, and has written again what they have not.
func (b *Broker) checkMaps(ctx context.Context) {
	kept := false
	err := b.patiently(ctx, "checking the maps", func(ctx context.Context) (err error) {
		kept, err = b.guard.maps.Check(ctx)
		return err
	})
	b.answers.Store(err == nil)
	if err != nil {
		return
	}
	if returned := b.guard.returned.Swap(false); !kept || returned {
		b.presence.markAllUnsaved()
		b.ports.stale.Store(true)
	}
	if b.ports.stale.Swap(false) {
		if err := b.saveLeases(ctx); err != nil && ctx.Err() == nil {
			b.ports.stale.Store(true)
			b.log.Warn("leases are not in the port map yet", "err", err)
		}
	}
}

// patiently asks the maps with the keeper's patience, also when they are away.
func (b *Broker) patiently(ctx context.Context, what string, f func(context.Context) error) error {
	within, cancel := context.WithTimeout(ctx, keeperWait)
	defer cancel()
	began := time.Now()
	err := f(within)
	if err == nil || ctx.Err() == nil {
		b.guard.patient(what, time.Since(began), err)
	}
	return err
}

func (b *Broker) saveLeases(ctx context.Context) error {
	all, err := b.ports.leases(ctx)
	if err != nil || len(all) == 0 {
		return err
	}
	var held []Lease
	if err := b.patiently(ctx, "writing leases", func(ctx context.Context) (err error) {
		held, err = b.guard.maps.Take(ctx, b.o.Host, all)
		return err
	}); err != nil {
		return err
	}
	b.ports.conflict(held)
	return nil
}

// saveUnsaved writes what the maps may lack, until there is nothing more or they fail. Maps that answer, but too slowly for anybody else, are written, too.
func (b *Broker) saveUnsaved(ctx context.Context) {
	for b.answers.Load() {
		puts, drops, logins := b.presence.unsavedBatch(redisBatch, time.Now())
		if len(logins) == 0 {
			return
		}
		err := b.patiently(ctx, "writing presence", func(ctx context.Context) error {
			for _, d := range drops {
				if err := b.guard.maps.Drop(ctx, d.login, d.field); err != nil {
					return err
				}
				b.presence.dropped(d.login, d.field)
			}
			if len(puts) == 0 {
				return nil
			}
			return b.guard.maps.Put(ctx, puts)
		})
		if err != nil {
			for _, login := range logins {
				b.presence.markUnsavedLater(login)
			}
			b.answers.Store(false) // until they are checked again
			return
		}
	}
}

// keepSQL writes last signs and uses in batches, off everybody's way, and removes what has had its time, in small pieces.
func (b *Broker) keepSQL(ctx context.Context) {
	write := time.NewTicker(writeEvery)
	defer write.Stop()
	index := time.NewTicker(indexEvery)
	defer index.Stop()
	cleaned := time.Now()
	var swept int64
	for {
		var err error
		select {
		case <-ctx.Done():
			return
		case <-write.C:
			err = errors.Join(b.writeSigns(ctx, signEvery), b.ports.writeUsed(ctx))
		case now := <-index.C:
			b.names.forget(now)
			if err = b.index(ctx); err != nil {
				break
			}
			err = b.cleanLinks(ctx, now.Add(-linkGrace), &swept)
			if now.Sub(cleaned) >= cleanEvery {
				cleaned = now
				err = errors.Join(err, b.clean(ctx))
			}
		case <-b.fresh.many:
			err = b.index(ctx)
		}
		if err != nil && ctx.Err() == nil {
			b.log.Warn("the broker's housekeeping", "err", err)
		}
	}
}

// writeSigns brings the last sign of each login into SQL, each login's at most once in every.
func (b *Broker) writeSigns(ctx context.Context, every time.Duration) error {
	signs := b.presence.unwritten(time.Now(), every)
	if len(signs) == 0 {
		return nil
	}
	err := b.o.DB.Update(ctx, func(tx *sqldb.Tx) error {
		for _, s := range signs {
			v := s.Place.value()
			if _, err := tx.Exec(`INSERT INTO chbroker_seen (login, ip, host, source, seen, rhythms)
				SELECT ?, ?, ?, ?, ?, ? WHERE NOT EXISTS (SELECT 1 FROM chbroker_removed WHERE login = ? AND at >= ?)
				ON CONFLICT (login) DO UPDATE SET ip = excluded.ip, host = excluded.host, source = excluded.source, seen = excluded.seen,
				rhythms = excluded.rhythms
				WHERE excluded.seen >= seen`, s.Login, v.IP, v.Host, string(s.Place.Source), s.Place.Seen, s.rhythms, s.Login, s.Place.Seen); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		b.presence.failed(signs)
		return fmt.Errorf("noting signs of %d logins: %w", len(signs), err)
	}
	return nil
}

// lastSeen is the last sign of a login, or of all when login is "", as SQL has it.
func (b *Broker) lastSeen(ctx context.Context, login string) (map[string]Place, error) {
	all := make(map[string]Place)
	err := b.o.DB.View(ctx, func(tx *sqldb.Tx) error {
		clear(all)
		query, args := `SELECT login, ip, host, source, seen FROM chbroker_seen`, []any(nil)
		if login != "" {
			query, args = query+` WHERE login = ?`, []any{login}
		}
		rows, err := tx.Query(query, args...)
		if err != nil {
			return err
		}
		for rows.Next() {
			var who, ip, source string
			var p Place
			if err := rows.Scan(&who, &ip, &p.Host, &source, &p.Seen); err != nil {
				return err
			}
			if ip != "" {
				if p.IP, err = netip.ParseAddr(ip); err != nil {
					return err
				}
			}
			p.Source = call.Source(source)
			all[who] = p
		}
		return rows.Err()
	})
	if err != nil {
		return nil, fmt.Errorf("reading last signs: %w", err)
	}
	return all, nil
}
