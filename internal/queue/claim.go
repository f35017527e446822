package queue

import (
	"context"
	"fmt"
	"io"
	"time"

	"chmail/internal/address"
	"chmail/internal/delivery"
	"chmail/internal/message"
	"chmail/internal/sqldb"
)

const (
	batch    = 16  // recipients that a worker takes at once,
	together = 100 // and of one mail, in one transaction with the other side (RFC 5321 4.5.3.1.8)
)

// job is a mail in work, with those of its recipients who are at one destination.
type job struct {
	mail
	rcpts []rcpt
	// finished says that what became of it is written down.
	finished bool
}

type mail struct {
	id, message int64
	qid         string
	size, skip  int64
	from        address.Address
	login       string
	ret, envid  string
	flags       int
	at          time.Time
	signature   []byte
	signed      bool // in this run: the signature is not in the database yet
	damaged     bool // its sender cannot be read
}

type rcpt struct {
	id    int64
	to    delivery.Recipient
	tries int
	told  bool
}

// claim takes mails into work that are due at a destination. full: there may be more.
func (q *Queue) claim(ctx context.Context, destination string, now time.Time) (jobs []*job, full bool, err error) {
	err = q.o.DB.Update(ctx, func(tx *sqldb.Tx) error {
		jobs, full = nil, false
		var odd []int64
		rows, err := tx.Query(`SELECT id, mail, address, notify, orcpt, tries, told FROM queue_rcpt INDEXED BY queue_rcpt_destination
			WHERE held = '' AND owner = 0 AND destination = ? AND next <= ? ORDER BY next, id LIMIT ?`, destination, now, together)
		if err != nil {
			return err
		}
		n := 0
		for rows.Next() {
			var r rcpt
			var id int64
			var to string
			if err := rows.Scan(&r.id, &id, &to, &r.to.Notify, &r.to.ORcpt, &r.tries, &r.told); err != nil {
				return err
			}
			if r.to.Address, err = address.Parse(to); err != nil {
				odd = append(odd, r.id)
				continue
			}
			if len(jobs) == 0 || jobs[len(jobs)-1].id != id {
				if full = n >= batch; full {
					break
				}
				jobs = append(jobs, &job{mail: mail{id: id}})
			}
			j := jobs[len(jobs)-1]
			j.rcpts = append(j.rcpts, r)
			n++
		}
		full = full || n == together
		if err := rows.Close(); err != nil {
			return err
		}
		for _, id := range odd {
			if err := q.putAside(tx, id); err != nil {
				return err
			}
		}
		jobs, err = q.take(tx, jobs)
		return err
	})
	if err != nil {
		return nil, false, fmt.Errorf("taking mails for %s into work: %w", destination, err)
	}
	return jobs, full, nil
}

// putAside holds a recipient whose row is damaged, so that the others go.
func (q *Queue) putAside(tx *sqldb.Tx, rcpt int64) error {
	q.log.Error("queue: the address of a recipient cannot be read; it is held", "number", rcpt)
	_, err := tx.Exec(`UPDATE queue_rcpt SET held = 'its address cannot be read' WHERE id = ?`, rcpt)
	return err
}

// take marks the recipients of mails as in work and reads the mails. One that cannot be read is held and left out, so that the others go.
func (q *Queue) take(tx *sqldb.Tx, jobs []*job) (sound []*job, err error) {
	for _, j := range jobs {
		if err := q.load(tx, j); err != nil {
			return nil, err
		}
		if j.damaged {
			q.log.Error("queue: the sender of a mail cannot be read; it is held", "id", j.qid)
			if _, err := tx.Exec(`UPDATE queue_rcpt SET held = 'its sender cannot be read' WHERE mail = ? AND held = ''`, j.id); err != nil {
				return nil, err
			}
			continue
		}
		for _, r := range j.rcpts {
			if _, err := tx.Exec(`UPDATE queue_rcpt SET owner = ? WHERE id = ?`, q.run, r.id); err != nil {
				return nil, err
			}
		}
		sound = append(sound, j)
	}
	return sound, nil
}

// load reads a job's mail.
func (q *Queue) load(tx *sqldb.Tx, j *job) error {
	var from string
	var at int64
	if err := tx.QueryRow(`SELECT qid, message, size, skip, sender, login, ret, envid, flags, at, signature FROM queue_mail WHERE id = ?`, j.id).
		Scan(&j.qid, &j.message, &j.size, &j.skip, &from, &j.login, &j.ret, &j.envid, &j.flags, &at, &j.signature); err != nil {
		return fmt.Errorf("reading mail %d: %w", j.id, err)
	}
	j.at = time.UnixMilli(at)
	if from == "" {
		return nil
	}
	var err error
	j.from, err = address.Parse(from)
	j.damaged = err != nil
	return nil
}

// release puts mails back as they were, as soon as it can.
func (q *Queue) release(jobs []*job) {
	if err := q.putBack(jobs); err != nil {
		q.log.Error("queue: mails that are not in work cannot be put back yet", "err", err)
		q.mu.Lock()
		q.owed.back = append(q.owed.back, jobs...)
		q.mu.Unlock()
	}
}

func (q *Queue) putBack(jobs []*job) error {
	if len(jobs) == 0 {
		return nil
	}
	return q.o.DB.Update(context.Background(), func(tx *sqldb.Tx) error {
		for _, j := range jobs {
			for _, r := range j.rcpts {
				if _, err := tx.Exec(`UPDATE queue_rcpt SET owner = 0 WHERE id = ? AND owner = ?`, r.id, q.run); err != nil {
					return err
				}
			}
		}
		return nil
	})
}

// outward is a stored mail as it goes out: without what is for maildrops alone.
type outward struct {
	*io.SectionReader
	body message.Body
}

// read opens a mail's bytes.
func (q *Queue) read(ctx context.Context, m *mail) (outward, error) {
	body, err := q.o.Store.Body(ctx, m.message)
	if err != nil {
		return outward{}, fmt.Errorf("reading mail %s: %w", m.qid, err)
	}
	return outward{io.NewSectionReader(body, m.skip, m.size-m.skip), body}, nil
}

// outgoing is what the carrier gets of a job.
func (j *job) outgoing(bytes outward) delivery.Mail {
	m := delivery.Mail{
		ID: j.qid, From: j.from, Body: bytes, Size: bytes.Size(), Signature: j.signature,
		EightBit: j.flags&eightBit != 0, UTF8: j.flags&utf8 != 0, RequireTLS: j.flags&requireTLS != 0, AnyTLS: j.flags&anyTLS != 0, Ret: j.ret, EnvID: j.envid,
	}
	for _, r := range j.rcpts {
		m.To = append(m.To, r.to)
	}
	return m
}
