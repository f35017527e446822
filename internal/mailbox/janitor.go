package mailbox

import (
	"context"
	"sync"
	"time"

	"chmail/internal/sqldb"
)

const (
	// lingering is how long after its deletion an entry is removed even if a session is open that may see it: no such session is
	// valid any more, with some minutes for clocks.
	lingering = sessionLife + 5*time.Minute
	// round is how often the janitor looks without being asked.
	round = 10 * time.Minute
	// sweepStep is how many entries go in one transaction, for which deliveries wait, and how many blobs, for which whoever removes his own waits.
	sweepStep = 256
	// longHeld is after how long somebody is told that no blob may go.
	longHeld = time.Hour
	// lastMoment is how long the end of the Store takes at most for the blobs that had to stay.
	lastMoment = 5 * time.Second
)

// janitor removes what nobody can see any more: deleted entries, messages that nothing points at, removed maildrops, blobs that an
// earlier run left behind. One goroutine, small steps.
type janitor struct {
	s      *Store
	round  sync.Mutex // held while cleaning
	called chan struct{}
	ctx    context.Context
	cancel context.CancelFunc
	ended  chan struct{}
	held   held
}

func newJanitor(s *Store) *janitor {
	ctx, cancel := context.WithCancel(context.Background())
	return &janitor{s: s, called: make(chan struct{}, 1), ctx: ctx, cancel: cancel, ended: make(chan struct{})}
}

// wake has the janitor look soon. It never waits.
func (j *janitor) wake() {
	select {
	case j.called <- struct{}{}:
	default:
	}
}

// stop ends the janitor, when it has removed what had to stay and need not any more: without that, the next start has to find it.
func (j *janitor) stop() {
	j.cancel()
	<-j.ended
	ctx, cancel := context.WithTimeout(context.Background(), lastMoment)
	defer cancel()
	if err := j.drain(ctx); err != nil {
		j.s.log.Warn("mailbox: removing blobs", "err", err)
	}
}

func (j *janitor) work() {
	defer close(j.ended)
	tick := time.NewTicker(round)
	defer tick.Stop()
	for swept, look := false, true; ; {
		if look {
			var err error
			swept, err = j.sweepBlobs()
			j.report("removing blobs of earlier runs", err)
		}
		j.report("removing deleted messages", j.clean(time.Now()))
		j.report("removing blobs", j.drain(j.ctx))
		j.complain(time.Now())
		select {
		case <-j.ctx.Done():
			return
		case <-j.called:
			look = false // the whole folder is not looked through for every mail that is removed
		case <-tick.C:
			look = !swept
		}
	}
}

func (j *janitor) report(what string, err error) {
	if err != nil && j.ctx.Err() == nil {
		j.s.log.Warn("mailbox: "+what, "err", err)
	}
}

// clean does all that can be done now.
func (j *janitor) clean(now time.Time) error {
	j.round.Lock()
	defer j.round.Unlock()
	due, removed, err := j.look(now)
	if err != nil {
		return err
	}
	for len(due) > 0 {
		if due, err = j.purge(due); err != nil {
			return err
		}
	}
	for _, box := range removed {
		if err := j.empty(box); err != nil {
			return err
		}
	}
	return nil
}

// purge is a maildrop of which the deletions up to a number can be removed.
type purge struct {
	box, upTo int64
	login     string
}

// look finds what can be done.
func (j *janitor) look(now time.Time) (due []purge, removed []int64, err error) {
	expired := now.Add(-lingering)
	var old, first []int64 // of each of due, the deletions that were so long ago that no session counts, and the earliest at all
	err = j.s.db.View(j.ctx, func(tx *sqldb.Tx) error {
		// CROSS JOIN: from the few deletions to their maildrops, not through all maildrops.
		rows, err := tx.Query(`SELECT d.id, d.login, max(x.deletion), min(x.deletion), coalesce(max(x.deletion) FILTER (WHERE x.at < ?), 0)
			FROM mailbox_deletion AS x CROSS JOIN mailbox_drop AS d ON d.id = x.box WHERE d.login IS NOT NULL GROUP BY x.box`, expired)
		if err != nil {
			return err
		}
		for rows.Next() {
			var p purge
			var f, o int64
			if err := rows.Scan(&p.box, &p.login, &p.upTo, &f, &o); err != nil {
				return err
			}
			due, first, old = append(due, p), append(first, f), append(old, o)
		}
		if err := rows.Err(); err != nil {
			return err
		}
		rows, err = tx.Query(`SELECT id FROM mailbox_drop WHERE login IS NULL`)
		if err != nil {
			return err
		}
		for rows.Next() {
			var box int64
			if err := rows.Scan(&box); err != nil {
				return err
			}
			removed = append(removed, box)
		}
		return rows.Err()
	})
	// The sessions are asked after the deletions were read: see sessions.seen.
	possible := due[:0]
	for i, p := range due {
		if p.upTo = max(old[i], min(p.upTo, j.s.sessions.seen(p.login))); p.upTo >= first[i] {
			possible = append(possible, p)
		}
	}
	return possible, removed, err
}

// purge removes the entries of deletions, as many as one transaction may, and returns what is left to do.
func (j *janitor) purge(due []purge) (rest []purge, err error) {
	done := 0
	err = j.s.db.Update(j.ctx, func(tx *sqldb.Tx) error {
		done = 0
		for left := sweepStep; left > 0 && done < len(due); {
			p := due[done]
			// From here on no session may be older; the numbers of one that is would be wrong (Drop.walk).
			if _, err := tx.Exec(`UPDATE mailbox_drop SET purged = max(purged, ?) WHERE id = ?`, p.upTo, p.box); err != nil {
				return err
			}
			n, err := j.remove(tx, `SELECT n, message FROM mailbox_entry INDEXED BY mailbox_entry_deleted
				WHERE box = ? AND deleted > 0 AND deleted <= ? LIMIT ?`, p.box, p.upTo, left)
			if err != nil {
				return err
			}
			if left -= n; left == 0 {
				return nil
			}
			if err := tidy(tx, p); err != nil {
				return err
			}
			done++
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	for _, p := range due[:done] {
		j.s.sessions.paid(p.login, p.upTo)
	}
	return due[done:], nil
}

// tidy adds up the gaps of deletions whose entries are gone, and moves the maildrop's beginning behind blocks that are gone altogether.
func tidy(tx *sqldb.Tx, p purge) error {
	for _, q := range []string{
		`INSERT INTO mailbox_gap (box, block, deletion, count) SELECT box, block, 0, sum(count) FROM mailbox_gap
			WHERE box = ?1 AND deletion BETWEEN 1 AND ?2 GROUP BY block
			ON CONFLICT DO UPDATE SET count = count + excluded.count`,
		`DELETE FROM mailbox_gap WHERE box = ?1 AND deletion BETWEEN 1 AND ?2`,
		`DELETE FROM mailbox_deletion WHERE box = ?1 AND deletion <= ?2`,
	} {
		if _, err := tx.Exec(q, p.box, p.upTo); err != nil {
			return err
		}
	}
	var base int64
	if err := tx.QueryRow(`SELECT base FROM mailbox_drop WHERE id = ?`, p.box).Scan(&base); err != nil {
		return err
	}
	first := base
	for {
		res, err := tx.Exec(`DELETE FROM mailbox_gap WHERE box = ? AND block = ? AND deletion = 0 AND count = ?`, p.box, base, blockSize)
		if err != nil {
			return err
		}
		if n, err := res.RowsAffected(); err != nil {
			return err
		} else if n == 0 {
			break
		}
		base++
	}
	if base == first {
		return nil
	}
	_, err := tx.Exec(`UPDATE mailbox_drop SET base = ? WHERE id = ?`, base, p.box)
	return err
}

// empty removes a removed maildrop.
func (j *janitor) empty(box int64) error {
	for {
		n := 0
		err := j.s.db.Update(j.ctx, func(tx *sqldb.Tx) (err error) {
			n, err = j.remove(tx, `SELECT n, message FROM mailbox_entry WHERE box = ? LIMIT ?`, box, sweepStep)
			if err != nil || n == sweepStep {
				return err
			}
			for _, q := range []string{
				`DELETE FROM mailbox_gap WHERE box = ?`, `DELETE FROM mailbox_deletion WHERE box = ?`, `DELETE FROM mailbox_drop WHERE id = ?`,
			} {
				if _, err := tx.Exec(q, box); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil || n < sweepStep {
			return err
		}
	}
}

// remove removes the entries that a query names, and the messages that nothing points at any more; it returns how many entries they were. The
// query's first argument is the maildrop.
func (j *janitor) remove(tx *sqldb.Tx, query string, args ...any) (int, error) {
	type entry struct{ n, message int64 }
	var some []entry
	rows, err := tx.Query(query, args...)
	if err != nil {
		return 0, err
	}
	for rows.Next() {
		var e entry
		if err := rows.Scan(&e.n, &e.message); err != nil {
			return 0, err
		}
		some = append(some, e)
	}
	if err := rows.Err(); err != nil {
		return 0, err
	}
	for _, e := range some {
		if _, err := tx.Exec(`DELETE FROM mailbox_entry WHERE box = ? AND n = ?`, args[0], e.n); err != nil {
			return 0, err
		}
		if err := j.s.Release(tx, e.message); err != nil {
			return 0, err
		}
	}
	return len(some), nil
}
