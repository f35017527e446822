package queue

import (
	"context"
	"time"

	"chmail/internal/address"
	"chmail/internal/delivery"
	"chmail/internal/sqldb"
)

// giveUp takes a page of recipients into work and ends each mail as if it had been refused for good: the report to its sender is in the same transaction.
func (q *Queue) giveUp(ctx context.Context, f delivery.Filter, after int64) (d delivery.Done, err error) {
	var jobs []*job
	if err := q.o.DB.Update(ctx, func(tx *sqldb.Tx) error {
		d, jobs = delivery.Done{}, nil
		all, next, err := q.page(tx, f, after, together)
		if err != nil {
			return err
		}
		if all, next, err = q.whole(tx, f, all, next); err != nil {
			return err
		}
		d.Next = next
		for i := range all {
			s := &all[i]
			if s.owner != 0 {
				d.InWork++
				continue
			}
			r := rcpt{id: s.Number, to: delivery.Recipient{Notify: s.notify, ORcpt: s.orcpt}, tries: s.Tries, told: s.told}
			if r.to.Address, err = address.Parse(s.To); err != nil {
				d.Kept++
				continue
			}
			if len(jobs) == 0 || jobs[len(jobs)-1].id != s.mail {
				jobs = append(jobs, &job{mail: mail{id: s.mail}})
			}
			j := jobs[len(jobs)-1]
			j.rcpts = append(j.rcpts, r)
		}
		asked := jobs
		if jobs, err = q.take(tx, jobs); err != nil {
			return err
		}
		for _, j := range asked {
			if j.damaged {
				d.Kept += len(j.rcpts)
			}
		}
		return nil
	}); err != nil {
		return delivery.Done{}, err
	}
	for i, j := range jobs {
		v := delivery.Verdict{Enhanced: [3]int{5, 0, 0}, Text: "the administrator of this server has given it up"}
		if _, err := q.finish(j, []delivery.Verdict{v}, time.Now()); err != nil {
			q.release(jobs[i:])
			return d, err
		}
		left, err := q.left(ctx, j)
		if err != nil {
			q.release(jobs[i+1:])
			return d, err
		}
		d.Changed += len(j.rcpts) - left
		d.Kept += left
	}
	return d, nil
}

// left counts those of a job's recipients that are still here.
func (q *Queue) left(ctx context.Context, j *job) (n int, err error) {
	err = q.o.DB.View(ctx, func(tx *sqldb.Tx) error {
		n = 0
		for _, r := range j.rcpts {
			var is int
			if err := tx.QueryRow(`SELECT count(*) FROM queue_rcpt WHERE id = ?`, r.id).Scan(&is); err != nil {
				return err
			}
			n += is
		}
		return nil
	})
	return n, err
}

// whole goes on behind a page as long as it is about the page's last mail, whose sender is to get one report, not one for each page.
func (q *Queue) whole(tx *sqldb.Tx, f delivery.Filter, all []seen, next int64) ([]seen, int64, error) {
	for next != 0 && len(all) > 0 {
		more, on, err := q.page(tx, f, next, together)
		if err != nil {
			return nil, 0, err
		}
		last := all[len(all)-1].mail
		for i := range more {
			if more[i].mail != last {
				return all, next, nil
			}
			all, next = append(all, more[i]), more[i].Number
		}
		if next = on; len(more) == 0 {
			break
		}
	}
	return all, next, nil
}
