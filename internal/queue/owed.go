package queue

import (
	"fmt"
	"time"

	"chmail/internal/address"
	"chmail/internal/delivery"
	"chmail/internal/sqldb"
)

// owed is what could not be written down while the database failed, say for a full disk. Its recipients stay in work meanwhile, so that nobody gets a mail twice. It is no more
// than what was in work at one time: nothing new can be taken into work either.
type owed struct {
	ends []end  // what became of mails,
	back []*job // and mails that are to be put back
}

// patience is how many cannot be written down before the rest wait as well.
const patience = 3

// end is what became of a job.
type end struct {
	job      *job
	verdicts []delivery.Verdict
	began    time.Time
}

// remember keeps what became of a job until it can be written down.
func (q *Queue) remember(j *job, verdicts []delivery.Verdict, began time.Time, why error) {
	q.log.Error("queue: what became of a mail cannot be written down yet", "id", j.qid, "err", why)
	q.mu.Lock()
	q.owed.ends = append(q.owed.ends, end{j, verdicts, began})
	q.mu.Unlock()
	q.alarm()
}

// settle writes down what is owed. false: some of it still cannot be. last: there is no next time, and none is left for others that failed.
func (q *Queue) settle(last bool) bool {
	q.mu.Lock()
	all := q.owed
	q.owed = owed{}
	q.mu.Unlock()
	var left owed
	var failed []end
	for i, e := range all.ends {
		if len(failed) == patience && !last { // it is not these mails
			left.ends = append(left.ends, all.ends[i:]...)
			break
		}
		if _, err := q.finish(e.job, e.verdicts, e.began); err != nil {
			failed = append(failed, e)
		}
	}
	left.ends = append(left.ends, failed...) // the others come first next time: one that can never be written down keeps none of them
	if q.putBack(all.back) != nil {
		left.back = all.back
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	q.owed.ends, q.owed.back = append(left.ends, q.owed.ends...), append(left.back, q.owed.back...)
	return len(q.owed.ends)+len(q.owed.back) == 0
}

// overdue ends, or has its sender told of, mail for a destination that could not be reached and for which it has waited too long, with the verdict of the one attempt for all of it: only
// a few of those that wait are taken into work at once.
func (q *Queue) overdue(destination string, v delivery.Verdict, began time.Time) error {
	for !q.stopping() {
		jobs, n, err := q.claimOverdue(destination, began)
		for i, j := range jobs {
			if _, err := q.finish(j, []delivery.Verdict{v}, began); err != nil {
				q.release(jobs[i:])
				return err
			}
		}
		if err != nil || n < step || len(jobs) == 0 {
			return err
		}
	}
	return nil
}

// claimOverdue takes recipients into work whose time is over, or whose sender is to be told that they are late: of n rows. They are due, so what has just been ended or put off is not
// taken again, whatever became of its report.
func (q *Queue) claimOverdue(destination string, now time.Time) (jobs []*job, n int, err error) {
	var ids []int64
	life, late := now.Add(-q.o.Times.Life), now.Add(-q.o.Times.Late)
	if err := q.o.DB.View(q.life, func(tx *sqldb.Tx) error {
		ids = ids[:0]
		rows, err := tx.Query(`SELECT r.id FROM queue_rcpt AS r INDEXED BY queue_rcpt_destination CROSS JOIN queue_mail AS m ON m.id = r.mail
			WHERE r.held = '' AND r.owner = 0 AND r.destination = ? AND r.next <= ? AND (m.at <= ? OR r.told = 0 AND m.at <= ?) LIMIT ?`, destination, now, life, late, step)
		if err != nil {
			return err
		}
		for rows.Next() {
			var id int64
			if err := rows.Scan(&id); err != nil {
				return err
			}
			ids = append(ids, id)
		}
		return rows.Err()
	}); err != nil {
		return nil, 0, fmt.Errorf("looking for mail that has waited too long: %w", err)
	}
	if len(ids) == 0 {
		return nil, 0, nil
	}
	err = q.o.DB.Update(q.life, func(tx *sqldb.Tx) error {
		var err error
		jobs, err = q.takeThese(tx, ids)
		return err
	})
	if err != nil {
		return nil, 0, fmt.Errorf("taking mail that has waited too long into work: %w", err)
	}
	return jobs, len(ids), nil
}

// takeThese takes recipients into work, unless somebody has done something with them meanwhile; those of one mail as one job.
func (q *Queue) takeThese(tx *sqldb.Tx, ids []int64) (jobs []*job, err error) {
	byMail := make(map[int64]*job)
	for _, id := range ids {
		var r rcpt
		var mail int64
		var to string
		rows, err := tx.Query(`SELECT id, mail, address, notify, orcpt, tries, told FROM queue_rcpt WHERE id = ? AND held = '' AND owner = 0`, id)
		if err != nil {
			return nil, err
		}
		is := rows.Next()
		if is {
			err = rows.Scan(&r.id, &mail, &to, &r.to.Notify, &r.to.ORcpt, &r.tries, &r.told)
		}
		if err == nil {
			err = rows.Close()
		}
		if err != nil {
			return nil, err
		}
		if !is {
			continue
		}
		if r.to.Address, err = address.Parse(to); err != nil {
			if err := q.putAside(tx, id); err != nil {
				return nil, err
			}
			continue
		}
		j := byMail[mail]
		if j == nil {
			j = &job{}
			j.id = mail
			byMail[mail] = j
			jobs = append(jobs, j)
		}
		j.rcpts = append(j.rcpts, r)
	}
	return q.take(tx, jobs)
}
