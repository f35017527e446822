package queue

import (
	"errors"
	"runtime/debug"
	"slices"
	"time"

	"chmail/internal/sqldb"
)

const (
	firstLines = 2                      // connections that a destination begins with
	growth     = 4                      // mails per connection that must have gone through before there is one more
	rest       = 100 * time.Millisecond // between two looks at what is due, at least
	longest    = time.Minute            // between two looks, at most
	pause      = time.Minute            // after a destination could not be reached, or Times.Retry's first if that is shorter; twice as long each time
	maxPause   = 15 * time.Minute
	lingering  = 2 * time.Second // that a line without work is kept
	shortly    = 5 * time.Second // after trouble of our own
	fading     = time.Hour       // between two rounds of forgetting
	step       = 1000            // rows that one transaction changes, for which all others wait
)

// destination is one that has mails in work. Its fields belong to Queue.mu.
type destination struct {
	name    string
	workers int // goroutines, each with one line at most
	lines   int // open ones
	most    int // workers that it may have, as learned
	sent    int // mails since most was changed
	waits   bool
	added   bool          // something was, since a worker last looked
	idle    int           // workers with a line and nothing to do,
	call    chan struct{} // who hear here that there is something
	failed  int           // in a row, without a line
	until   time.Time     // it is left alone
}

// due has a destination worked on: something is to be sent there now.
func (q *Queue) due(name string) {
	q.mu.Lock()
	defer q.mu.Unlock()
	d := q.open[name]
	if d == nil {
		d = &destination{name: name, most: firstLines, call: make(chan struct{}, 1)}
		q.open[name] = d
	}
	d.added = true
	if d.idle == 0 {
		q.staff(d)
		return
	}
	select {
	case d.call <- struct{}{}:
	default: // one is on its way
	}
}

// linger has a worker keep its line for a moment: mail for one place often comes in a row. false: nothing came.
func (q *Queue) linger(d *destination) bool {
	q.idle(d, 1)
	defer q.idle(d, -1)
	if q.crowded() {
		return false
	}
	timer := time.NewTimer(lingering)
	defer timer.Stop()
	select {
	case <-d.call:
		return true
	case <-timer.C:
	case <-q.stop:
	}
	return false
}

func (q *Queue) idle(d *destination, n int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	d.idle += n
}

// staff gives a destination one more worker, or a place among those that wait for one. q.mu is held.
func (q *Queue) staff(d *destination) {
	switch {
	case q.stopping() || d.waits || d.workers >= min(d.most, q.o.Limits.PerDestination) || time.Now().Before(d.until):
	case q.lines >= q.o.Limits.Lines:
		d.waits = true
		q.waiting = append(q.waiting, d)
	default:
		q.lines++
		d.workers++
		q.busy.Add(1)
		go q.work(d)
	}
}

// leave ends a worker. Whoever has waited longest gets its place.
func (q *Queue) leave(d *destination) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.lines--
	d.workers--
	for len(q.waiting) > 0 && q.lines < q.o.Limits.Lines {
		next := q.waiting[0]
		q.waiting = slices.Delete(q.waiting, 0, 1)
		next.waits = false
		q.staff(next)
	}
	switch {
	case d.added && d.workers == 0:
		q.staff(d) // something came between the last look and now
	case d.workers == 0 && !d.waits && !time.Now().Before(d.until):
		delete(q.open, d.name)
	}
}

// crowded tells a worker to make room: others wait for a line.
func (q *Queue) crowded() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.waiting) > 0
}

// looked notes that a worker looks for mails from now on.
func (q *Queue) looked(d *destination) {
	q.mu.Lock()
	defer q.mu.Unlock()
	d.added = false
}

// more is told that there is more to do than one worker takes at once.
func (q *Queue) more(d *destination) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.staff(d)
}

// connected counts a line in.
func (q *Queue) connected(d *destination) {
	q.mu.Lock()
	defer q.mu.Unlock()
	d.lines++
	d.failed, d.until = 0, time.Time{}
}

// hungUp counts a line out.
func (q *Queue) hungUp(d *destination) {
	q.mu.Lock()
	defer q.mu.Unlock()
	d.lines--
}

// went counts a mail that went through, which earns its destination more lines.
func (q *Queue) went(d *destination) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if d.sent++; d.sent >= growth*d.most && d.most < q.o.Limits.PerDestination {
		d.most, d.sent = d.most+1, 0
	}
}

// unreachable is told that no line could be had. enough: there are others, and their number is as many as the destination takes. Otherwise it
// is left alone until a time.
func (q *Queue) unreachable(d *destination, now time.Time) (enough bool, until time.Time) {
	q.mu.Lock()
	defer q.mu.Unlock()
	d.sent = 0
	if d.lines > 0 {
		d.most = d.lines
		return true, time.Time{}
	}
	d.most = 1
	if !now.Before(d.until) { // not each of several workers counts
		d.until = now.Add(min(min(pause, q.o.Times.Retry[0])<<min(d.failed, 8), maxPause))
		d.failed++
	}
	return false, d.until
}

// leaveAlone has a destination wait.
func (q *Queue) leaveAlone(d *destination, until time.Time) {
	q.mu.Lock()
	defer q.mu.Unlock()
	d.until = until
}

// postpone gives what waits for a destination that cannot be reached a later time. Nothing was tried, so no pause of its own begins.
func (q *Queue) postpone(destination string, until time.Time) error {
	for {
		var n int64
		err := q.o.DB.Update(q.life, func(tx *sqldb.Tx) error {
			res, err := tx.Exec(`UPDATE queue_rcpt SET next = ?1 WHERE id IN (SELECT id FROM queue_rcpt INDEXED BY queue_rcpt_destination
				WHERE held = '' AND owner = 0 AND destination = ?2 AND next < ?1 LIMIT ?3)`, until, destination, step)
			if err != nil {
				return err
			}
			n, err = res.RowsAffected()
			return err
		})
		if err != nil || n < step {
			return err
		}
	}
}

// clock looks for what has become due, when it is due.
func (q *Queue) clock() {
	defer q.busy.Done()
	timer := time.NewTimer(0)
	defer timer.Stop()
	var faded time.Time
	for {
		select {
		case <-q.stop:
			return
		case <-timer.C:
		case <-q.alarms:
			faded = time.Time{}
		}
		now := time.Now()
		next := q.look(now)
		var err error
		if now.Sub(faded) > fading {
			faded, err = now, errors.Join(q.warn(now), q.fade(now))
		}
		if err != nil && q.life.Err() == nil {
			q.log.Warn("queue: what is counted of each login", "err", err)
		}
		if !q.settle(false) {
			next = now.Add(shortly)
		}
		timer.Reset(max(rest, min(longest, q.o.Times.Retry[0], time.Until(next)))) // what gets a time meanwhile is not due sooner
	}
}

// look starts what is due, and returns when something else is.
func (q *Queue) look(now time.Time) (next time.Time) {
	defer func() {
		if p := recover(); p != nil {
			q.log.Error("queue: panic while looking for what is due", "panic", p, "stack", string(debug.Stack()))
			next = now.Add(longest)
		}
	}()
	next = now.Add(longest)
	var names []string
	err := q.o.DB.View(q.life, func(tx *sqldb.Tx) error {
		names = names[:0]
		rows, err := tx.Query(`SELECT DISTINCT destination FROM queue_rcpt INDEXED BY queue_rcpt_next WHERE held = '' AND owner = 0 AND next <= ?`, now)
		if err != nil {
			return err
		}
		for rows.Next() {
			var name string
			if err := rows.Scan(&name); err != nil {
				return err
			}
			names = append(names, name)
		}
		if err := rows.Err(); err != nil {
			return err
		}
		var at *int64
		if err := tx.QueryRow(`SELECT min(next) FROM queue_rcpt INDEXED BY queue_rcpt_next WHERE held = '' AND owner = 0 AND next > ?`, now).Scan(&at); err != nil {
			return err
		}
		if at != nil {
			next = time.UnixMilli(*at)
		}
		return nil
	})
	if err != nil && q.life.Err() == nil {
		q.log.Warn("queue: looking for what is due", "err", err)
	}
	for _, name := range names {
		q.due(name)
	}
	q.forget(now)
	return next
}

// forget drops destinations that were left alone for long enough and have nothing to do.
func (q *Queue) forget(now time.Time) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for name, d := range q.open {
		if d.workers == 0 && !d.waits && now.After(d.until.Add(maxPause)) {
			delete(q.open, name)
		}
	}
}
