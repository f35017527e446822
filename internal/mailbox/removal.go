package mailbox

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"time"

	"chmail/internal/sqldb"
)

// held are the blobs that nothing names any more, and that have to stay since a backup is made (Options.Removing).
type held struct {
	sync.Mutex
	names []string
	since time.Time // from when on none may go; zero while they may, for all that is known
	told  bool      // that it has lasted for long
}

// removeBlobs removes blobs, unless none may go now: false.
func (j *janitor) removeBlobs(names []string) (done bool, err error) {
	done, err = j.s.removing(func() error {
		var errs []error
		for _, name := range names {
			errs = append(errs, j.s.blobs.remove(name))
		}
		return errors.Join(errs...)
	})
	j.held.Lock()
	defer j.held.Unlock()
	switch {
	case done:
		j.held.since, j.held.told = time.Time{}, false
	case err == nil && j.held.since.IsZero():
		j.held.since = time.Now()
	}
	return done, err
}

// keep notes blobs that had to stay.
func (j *janitor) keep(names []string) {
	j.held.Lock()
	defer j.held.Unlock()
	j.held.names = append(j.held.names, names...)
}

// dispose removes blobs that no message names any more. Where they have to stay now, or others had to before, the janitor's next round does it, or else the next start's: whoever delivers or deletes a
// mail does not wait for those of all others.
func (j *janitor) dispose(names ...string) error {
	done, err := j.removeBlobs(names)
	if !done {
		j.keep(names)
	} else if j.waiting() > 0 {
		j.wake()
	}
	return err
}

// waiting is how many blobs had to stay.
func (j *janitor) waiting() int {
	j.held.Lock()
	defer j.held.Unlock()
	return len(j.held.names)
}

// drain removes the blobs that had to stay, by pieces, until ctx ends or they still have to.
func (j *janitor) drain(ctx context.Context) error {
	var errs []error
	for ctx.Err() == nil {
		some := j.take()
		if len(some) == 0 {
			break
		}
		done, err := j.removeBlobs(some)
		errs = append(errs, err)
		if !done {
			j.keep(some)
			break
		}
	}
	return errors.Join(errs...)
}

// take takes a piece of the blobs that had to stay.
func (j *janitor) take() (some []string) {
	j.held.Lock()
	defer j.held.Unlock()
	rest := max(0, len(j.held.names)-sweepStep)
	some = slices.Clone(j.held.names[rest:])
	if j.held.names = j.held.names[:rest]; rest == 0 {
		j.held.names = nil // many, after a long backup
	}
	return some
}

// complain tells once when no blob has been let go for long: then a backup hangs, or has been stopped, and the disk fills.
func (j *janitor) complain(now time.Time) {
	j.held.Lock()
	defer j.held.Unlock()
	if j.held.since.IsZero() || j.held.told || now.Sub(j.held.since) < longHeld {
		return
	}
	j.held.told = true
	j.s.log.Warn("mailbox: a backup has kept large messages that are deleted from being removed for an hour; look whether it hangs", "since", j.held.since, "messages", len(j.held.names))
}

// sweepBlobs removes the blobs of earlier runs that no message names: the process ended between writing and committing them, or between
// committing a removal and the removal. A blob that is being delivered now bears this run's name and is passed over. When the database names
// no blob at all, it is more likely the wrong database than all of them are orphans: then those stay whose run it has never heard of. False: they have to stay while a backup is made (Options.Removing), a later round
// is to look again.
func (j *janitor) sweepBlobs() (done bool, err error) {
	var trusted bool
	err = j.s.db.View(j.ctx, func(tx *sqldb.Tx) error {
		return tx.QueryRow(`SELECT EXISTS (SELECT 1 FROM mailbox_message WHERE blob IS NOT NULL)`).Scan(&trusted)
	})
	if err != nil {
		return true, err
	}
	swept, kept := 0, 0
	done = true
	err = j.s.blobs.earlier(func(names []string) (goOn bool, err error) {
		ours, others, err := j.orphans(names)
		if err != nil {
			return false, err
		}
		if trusted {
			ours, others = append(ours, others...), nil
		}
		if kept += len(others); len(ours) > 0 {
			done, err = j.removeBlobs(ours)
		}
		if done && err == nil {
			swept += len(ours)
		}
		return done, err
	})
	if swept+kept > 0 && done {
		j.s.log.Info("mailbox: blobs that no message names", "removed", swept, "kept", kept)
	}
	return done || err != nil, err
}

// orphans are those of the blobs that no message names: whose run has brought some to this database, or that are nobody's since they are unfinished; and the others.
func (j *janitor) orphans(names []string) (ours, others []string, err error) {
	err = j.s.db.View(j.ctx, func(tx *sqldb.Tx) error {
		ours, others = nil, nil
		for _, name := range names {
			var named, known bool
			if err := tx.QueryRow(`SELECT EXISTS (SELECT 1 FROM mailbox_message WHERE blob = ?), EXISTS (SELECT 1 FROM mailbox_run WHERE run = ?)`, name, madeBy(name)).Scan(&named, &known); err != nil {
				return err
			}
			switch {
			case named:
			case known, strings.HasSuffix(name, unfinished):
				ours = append(ours, name)
			default:
				others = append(others, name)
			}
		}
		return nil
	})
	return ours, others, err
}
