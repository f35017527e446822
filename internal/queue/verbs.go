package queue

import (
	"context"
	"errors"
	"fmt"
	"time"

	"chmail/internal/delivery"
	"chmail/internal/sqldb"
)

// ErrNotQueued says that no mail in the queue has this queue id.
var ErrNotQueued = errors.New("it is not in the queue")

// byAdministrator is why something is held that an administrator has stopped.
const byAdministrator = "by an administrator"

// seen is a recipient as an administrator sees him, and what the queue needs to do something with him.
type seen struct {
	delivery.Waiting
	mail, message int64
	owner         int64
	notify, orcpt string
	told          bool
}

// Waiting shows recipients that wait, the oldest first, behind a number: those of a bounded number of rows, so that it may show none though there are more. ErrNotQueued when
// the filter has an ID and there is no such mail.
func (q *Queue) Waiting(ctx context.Context, f delivery.Filter, after int64) (p delivery.Page, err error) {
	err = q.o.DB.View(ctx, func(tx *sqldb.Tx) error {
		p = delivery.Page{Waiting: []delivery.Waiting{}}
		all, next, err := q.page(tx, f, after, step)
		p.Next = next
		for _, s := range all {
			p.Waiting = append(p.Waiting, s.Waiting)
		}
		if err == nil && after == 0 && f.ID == "" {
			p.Stopped, err = stops(tx, f.Login)
		}
		return err
	})
	return p, wrapped("reading the queue", err)
}

// wrapped says what was being done, unless the error is the answer.
func wrapped(what string, err error) error {
	if err == nil || errors.Is(err, ErrNotQueued) {
		return err
	}
	return fmt.Errorf("%s: %w", what, err)
}

// Attempts are those for one recipient, by his number; none when there was none, or he waits no more. They are not more than a thousand.
func (q *Queue) Attempts(ctx context.Context, number int64) (all []delivery.Attempt, err error) {
	err = q.o.DB.View(ctx, func(tx *sqldb.Tx) error {
		all = []delivery.Attempt{}
		rows, err := tx.Query(`SELECT n, at, took, remote, tls, code, enhanced, text FROM queue_try WHERE rcpt = ? ORDER BY n LIMIT ?`, number, step)
		if err != nil {
			return err
		}
		for rows.Next() {
			var a delivery.Attempt
			var at, took int64
			if err := rows.Scan(&a.N, &at, &took, &a.Remote, &a.TLS, &a.Code, &a.Status, &a.Text); err != nil {
				return err
			}
			a.At, a.Took = time.UnixMilli(at).UTC(), time.Duration(took)*time.Millisecond
			all = append(all, a)
		}
		return rows.Err()
	})
	return all, wrapped("reading what was tried", err)
}

// columns are those of a seen recipient.
const columns = `SELECT r.id, r.mail, r.address, r.notify, r.orcpt, r.destination, r.held, r.next, r.owner, r.tries, r.told, m.qid, m.message, m.size, m.sender, m.login, m.at,
	COALESCE(t.n, 0), COALESCE(t.at, 0), COALESCE(t.took, 0), COALESCE(t.remote, ''), COALESCE(t.tls, ''), COALESCE(t.code, 0), COALESCE(t.enhanced, ''), COALESCE(t.text, '') `

// page reads at most so many rows behind a number, and keeps those that fit. next is where to go on; 0: there are no more.
func (q *Queue) page(tx *sqldb.Tx, f delivery.Filter, after int64, most int) (all []seen, next int64, err error) {
	query, args := columns+`FROM (SELECT * FROM queue_rcpt WHERE id > ? ORDER BY id LIMIT ?) AS r CROSS JOIN queue_mail AS m ON m.id = r.mail
		LEFT JOIN queue_try AS t ON t.rcpt = r.id AND t.n = r.tries ORDER BY r.id`, []any{after, most}
	if f.ID != "" {
		query, args = columns+`FROM queue_mail AS m CROSS JOIN queue_rcpt AS r ON r.mail = m.id
		LEFT JOIN queue_try AS t ON t.rcpt = r.id AND t.n = r.tries WHERE m.qid = ? AND r.id > ? ORDER BY r.id LIMIT ?`, []any{f.ID, after, most}
	}
	rows, err := tx.Query(query, args...)
	if err != nil {
		return nil, 0, err
	}
	n := 0
	for ; rows.Next(); n++ {
		var s seen
		if err := q.scan(rows, &s); err != nil {
			return nil, 0, err
		}
		next = s.Number
		if f.Fits(&s.Waiting) {
			all = append(all, s)
		}
	}
	if n < most {
		next = 0
	}
	if err := rows.Err(); err != nil {
		return nil, 0, err
	}
	q.pauses(all)
	if n == 0 && f.ID != "" && after == 0 {
		return nil, 0, ErrNotQueued
	}
	return all, next, nil
}

func (q *Queue) scan(rows *sqldb.Rows, s *seen) error {
	var a delivery.Attempt
	var at, next, tried, took int64
	if err := rows.Scan(&s.Number, &s.mail, &s.To, &s.notify, &s.orcpt, &s.Destination, &s.Held, &next, &s.owner, &s.Tries, &s.told, &s.ID, &s.message, &s.Size, &s.From, &s.Login, &at,
		&a.N, &tried, &took, &a.Remote, &a.TLS, &a.Code, &a.Status, &a.Text); err != nil {
		return err
	}
	s.At, s.Next, s.InWork = time.UnixMilli(at).UTC(), time.UnixMilli(next).UTC(), s.owner != 0
	s.Until = s.At.Add(q.o.Times.Life)
	if a.N > 0 {
		a.At, a.Took = time.UnixMilli(tried).UTC(), time.Duration(took)*time.Millisecond
		s.Last = &a
	}
	return nil
}

// pauses has what goes to a destination that is left alone just now wait for the end of that.
func (q *Queue) pauses(all []seen) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for i := range all {
		if d := q.open[all[i].Destination]; d != nil && d.until.After(all[i].Next) {
			all[i].Next = d.until.UTC()
		}
	}
}

// Do does something with recipients that wait behind a number, and fit: with those of a bounded number of rows, in one transaction. Who is on his way is left alone; if he still waits after that, he is held, or not, as
// he is to be.
// ErrNotQueued as in Waiting.
func (q *Queue) Do(ctx context.Context, act delivery.Act, f delivery.Filter, after int64) (delivery.Done, error) {
	var one func(tx *sqldb.Tx, s *seen, d *delivery.Done) error
	now := time.Now()
	switch act {
	case delivery.Fail:
		d, err := q.giveUp(ctx, f, after)
		return d, wrapped("giving mail up", err)
	case delivery.Retry:
		one = func(tx *sqldb.Tx, s *seen, d *delivery.Done) error {
			if s.Held != "" {
				d.Held++
				return nil
			}
			d.Changed++
			return run(tx, `UPDATE queue_rcpt SET next = ? WHERE id = ?`, now, s.Number)
		}
	case delivery.Hold:
		one = func(tx *sqldb.Tx, s *seen, d *delivery.Done) error {
			if s.Held != "" {
				d.Already++
				return nil
			}
			d.Changed++
			return run(tx, `UPDATE queue_rcpt SET held = ? WHERE id = ?`, byAdministrator, s.Number)
		}
	case delivery.Release:
		one = func(tx *sqldb.Tx, s *seen, d *delivery.Done) error {
			if s.Held == "" {
				d.Already++
				return nil
			}
			d.Changed++
			return run(tx, `UPDATE queue_rcpt SET held = '', next = ? WHERE id = ?`, now, s.Number)
		}
	case delivery.Drop:
		one = q.drop
	default:
		return delivery.Done{}, fmt.Errorf("the queue does not know how to %q", act)
	}
	d, err := q.each(ctx, act, f, after, one)
	return d, wrapped("changing the queue", err)
}

func run(tx *sqldb.Tx, query string, args ...any) error {
	_, err := tx.Exec(query, args...)
	return err
}

// each does one thing with a page of recipients.
func (q *Queue) each(ctx context.Context, act delivery.Act, f delivery.Filter, after int64, one func(*sqldb.Tx, *seen, *delivery.Done) error) (d delivery.Done, err error) {
	err = q.o.DB.Update(ctx, func(tx *sqldb.Tx) error {
		d = delivery.Done{}
		all, next, err := q.page(tx, f, after, step)
		if err != nil {
			return err
		}
		d.Next = next
		var touched []string
		for i := range all {
			s := &all[i]
			if s.owner != 0 {
				d.InWork++
				if err := onItsWay(tx, act, s.Number); err != nil {
					return err
				}
				continue
			}
			if err := one(tx, s, &d); err != nil {
				return err
			}
			touched = append(touched, s.Destination)
		}
		if act == delivery.Hold && after == 0 && f.Login != "" && f == (delivery.Filter{Login: f.Login}) {
			if d.Holds, err = stop(tx, f.Login); err != nil {
				return err
			}
		}
		if act == delivery.Release {
			if err := pardon(tx, f, after, all, &d); err != nil {
				return err
			}
		}
		if act == delivery.Retry || act == delivery.Release {
			tx.AfterCommit(func() { q.wake(touched) })
		}
		return nil
	})
	return d, err
}

// onItsWay has a recipient who is in work be held, or not, if he still waits after that.
func onItsWay(tx *sqldb.Tx, act delivery.Act, number int64) error {
	switch act {
	case delivery.Hold:
		return run(tx, `UPDATE queue_rcpt SET held = ? WHERE id = ? AND held = ''`, byAdministrator, number)
	case delivery.Release:
		return run(tx, `UPDATE queue_rcpt SET held = '' WHERE id = ?`, number)
	default:
		return nil
	}
}

// wake has the clock look at once; destinations that were left alone after failures are so no more.
func (q *Queue) wake(destinations []string) {
	q.mu.Lock()
	for _, name := range destinations {
		if d := q.open[name]; d != nil {
			d.until = time.Time{}
		}
	}
	q.mu.Unlock()
	q.alarm()
}

// drop removes a recipient, and his mail with the last one.
func (q *Queue) drop(tx *sqldb.Tx, s *seen, d *delivery.Done) error {
	d.Changed++
	for _, query := range []string{`DELETE FROM queue_try WHERE rcpt = ?`, `DELETE FROM queue_rcpt WHERE id = ?`} {
		if err := run(tx, query, s.Number); err != nil {
			return err
		}
	}
	id, to := s.ID, s.To
	tx.AfterCommit(func() { q.log.Info("mail dropped by an administrator", "id", id, "to", to) })
	return q.tidy(tx, &job{mail: mail{id: s.mail, message: s.message, qid: s.ID}})
}
