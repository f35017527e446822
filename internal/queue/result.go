package queue

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"chmail/internal/delivery"
	"chmail/internal/message"
	"chmail/internal/sqldb"
)

// fate is what becomes of one recipient after an attempt.
type fate struct {
	r    *rcpt
	v    *delivery.Verdict
	done bool      // it is over, one way or the other
	next time.Time // when it is not
	late bool      // it has waited so long that its sender is told, if he wants to hear it
	held string    // why it waits for an administrator; '': it does not
	tell message.Action
}

// finish writes down what became of a job, with the report to its sender in the same transaction. Of verdicts there is one for each recipient, or one for all of them.
// accepted: somebody got the mail. An error is the database's: nothing is written down.
func (q *Queue) finish(j *job, verdicts []delivery.Verdict, began time.Time) (accepted bool, err error) {
	now := time.Now()
	fates := q.fates(j, verdicts, now)
	reports, err := q.reports(j, fates, now)
	if err == nil {
		err = q.write(j, fates, reports, began, now)
	}
	reports.close()
	if err != nil && slices.ContainsFunc(fates, func(f fate) bool { return f.tell != "" }) {
		// Whoever has got it must not get it again, whatever is wrong with a report; the others are tried once more, and their sender is told then.
		q.log.Error("queue: a report cannot be delivered yet", "id", j.qid, "err", err)
		for i := range fates {
			if fates[i].tell != "" && !fates[i].v.Accepted() {
				q.untold(j, &fates[i], now)
			}
			fates[i].tell = ""
		}
		err = q.write(j, fates, nil, began, now)
	}
	if err != nil {
		return false, fmt.Errorf("writing down what became of mail %s: %w", j.qid, err)
	}
	t := Tried{}
	if verdicts[0].Remote != "" {
		t.Took = now.Sub(began)
	}
	j.finished = true
	for _, f := range fates {
		q.say(j, f, now)
		accepted = accepted || f.v.Accepted()
		t.count(&f)
	}
	q.o.Tried(t)
	return accepted, nil
}

// stubborn is for how long after a mail's time a report about it is tried, before an administrator has to look.
const stubborn = 24 * time.Hour

// untold has a recipient tried again whose sender could not be told, within four hours: that is trouble here, and over at any moment; but the other host has refused him, and is to be
// asked for him as little as can be.
func (q *Queue) untold(j *job, f *fate, now time.Time) {
	never := j.at.Add(q.o.Times.Life + stubborn)
	f.done, f.late, f.next = false, false, q.again(f.r.tries, 1, now, now.Add(4*time.Hour))
	if !now.Before(never) {
		f.held, f.next = "no report about it can be delivered: the log says why", now
	}
}

// count adds what became of one recipient.
func (t *Tried) count(f *fate) {
	switch {
	case f.v.Accepted():
		t.Delivered++
	case f.done:
		t.Failed++
	default:
		t.Deferred++
	}
	if f.tell != "" && !slices.Contains(t.Reports, f.tell) { // those to whom the same happened are in one report
		t.Reports = append(t.Reports, f.tell)
	}
}

// write is the transaction in which a job ends.
func (q *Queue) write(j *job, fates []fate, reports reports, began, now time.Time) error {
	return q.o.DB.Update(context.Background(), func(tx *sqldb.Tx) error {
		for i := range fates {
			if err := q.note(tx, &fates[i], began, now); err != nil {
				return err
			}
		}
		for _, p := range reports {
			if err := p.Deliver(tx); err != nil {
				return err
			}
		}
		return q.tidy(tx, j)
	})
}

// fates decides.
func (q *Queue) fates(j *job, verdicts []delivery.Verdict, now time.Time) []fate {
	end := j.at.Add(q.o.Times.Life)
	later := 1 + rand.Float64()/8 // one for all of them: they travel together (RFC 5321 4.5.4.1)
	all := make([]fate, len(j.rcpts))
	for i := range j.rcpts {
		f := fate{r: &j.rcpts[i], v: &verdicts[min(i, len(verdicts)-1)]}
		switch {
		case f.v.Accepted():
			f.done = true
			if f.v.Relayed && wants(f.r, "SUCCESS", false) {
				f.tell = message.Relayed
			}
		case !f.v.Temporary || !now.Before(end):
			f.done = true
			if wants(f.r, "FAILURE", true) {
				f.tell = message.Failed
			}
		default:
			f.next = q.again(f.r.tries, later, now, end)
			if late := j.at.Add(q.o.Times.Late); !f.r.told && now.Before(late) && late.Before(f.next) {
				f.next = late // who is to be told then is told what that attempt has brought
			}
			if f.late = now.Sub(j.at) >= q.o.Times.Late; f.late && !f.r.told && wants(f.r, "DELAY", true) {
				f.tell = message.Delayed
			}
		}
		if j.from.IsZero() {
			f.tell = "" // nobody is told what became of a report (RFC 5321 6.1)
		}
		all[i] = f
	}
	return all
}

// wants tells whether a recipient's sender wants to hear of something. What he has not said is as it has always been.
func wants(r *rcpt, what string, otherwise bool) bool {
	if r.to.Notify == "" {
		return otherwise
	}
	for one := range strings.SplitSeq(r.to.Notify, ",") {
		if strings.EqualFold(strings.TrimSpace(one), what) {
			return true
		}
	}
	return false
}

// again is when a recipient is tried next, after so many attempts before this one, the pause being longer by a factor; the last attempt is at the end of its time.
func (q *Queue) again(tries int, later float64, now, end time.Time) time.Time {
	ladder := q.o.Times.Retry
	next := now.Add(time.Duration(float64(ladder[min(tries, len(ladder)-1)]) * later))
	if next.After(end) {
		return end
	}
	return next
}

// note writes down one recipient's attempt, or takes it out.
func (q *Queue) note(tx *sqldb.Tx, f *fate, began, now time.Time) error {
	if f.done {
		for _, query := range []string{`DELETE FROM queue_try WHERE rcpt = ?`, `DELETE FROM queue_rcpt WHERE id = ?`} {
			if _, err := tx.Exec(query, f.r.id); err != nil {
				return err
			}
		}
		return nil
	}
	if _, err := tx.Exec(`UPDATE queue_rcpt SET owner = 0, next = ?, tries = tries + 1, told = ?, held = CASE WHEN held = '' THEN ? ELSE held END WHERE id = ?`,
		f.next, f.r.told || f.late, f.held, f.r.id); err != nil {
		return err
	}
	_, err := tx.Exec(`INSERT INTO queue_try (rcpt, n, at, took, remote, tls, code, enhanced, text) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		f.r.id, f.r.tries+1, began, now.Sub(began).Milliseconds(), f.v.Remote, f.v.TLS, f.v.Code, f.v.Status(), f.v.Text)
	return err
}

// tidy lets go of a mail that has no recipients left, and keeps the signature of one that has.
func (q *Queue) tidy(tx *sqldb.Tx, j *job) error {
	var more bool
	if err := tx.QueryRow(`SELECT EXISTS (SELECT 1 FROM queue_rcpt WHERE mail = ?)`, j.id).Scan(&more); err != nil {
		return err
	}
	if more {
		if !j.signed {
			return nil
		}
		_, err := tx.Exec(`UPDATE queue_mail SET signature = ? WHERE id = ?`, j.signature, j.id)
		return err
	}
	if _, err := tx.Exec(`DELETE FROM queue_mail WHERE id = ?`, j.id); err != nil {
		return err
	}
	return q.o.Store.Release(tx, j.message)
}

// say writes an attempt's line in the log.
func (q *Queue) say(j *job, f fate, now time.Time) {
	attrs := []slog.Attr{
		slog.String("id", j.qid), slog.String("to", f.r.to.Address.String()), slog.String("remote", f.v.Remote), slog.String("tls", f.v.TLS),
		slog.Int("code", f.v.Code), slog.String("status", f.v.Status()), slog.String("said", f.v.Text), slog.Int("try", f.r.tries+1),
		slog.Duration("age", now.Sub(j.at).Round(time.Millisecond)),
	}
	what := "mail relayed"
	switch {
	case !f.done:
		what = "mail deferred"
		attrs = append(attrs, slog.Time("next", f.next))
	case !f.v.Accepted():
		what = "mail failed"
	}
	q.log.LogAttrs(context.Background(), slog.LevelInfo, what, attrs...)
}

// reports wait for their transaction.
type reports []Parcel

func (all reports) close() {
	for _, p := range all {
		p.Close()
	}
}

// isGone tells whether a report has no recipient any more. A full disk or maildrop is no such thing.
func isGone(err error) bool {
	refusal := (*message.Refusal)(nil)
	return errors.As(err, &refusal) && refusal.Code >= 500
}

// isFull tells whether a maildrop takes no report any more (RFC 3463: X.2.2, for good).
func isFull(err error) bool {
	refusal := (*message.Refusal)(nil)
	return errors.As(err, &refusal) && refusal.Enhanced == [3]int{5, 2, 2}
}

// reports prepares what a mail's sender is told, a report for each action. A panic is an error: a mail that breaks it has been sent all the same.
func (q *Queue) reports(j *job, fates []fate, now time.Time) (all reports, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
		}
	}()
	for _, action := range []message.Action{message.Failed, message.Delayed, message.Relayed} {
		var some []message.Fate
		for _, f := range fates {
			if f.tell == action {
				some = append(some, q.told(j, f, now))
			}
		}
		if len(some) == 0 {
			continue
		}
		p, err := q.report(j, some, now)
		if err != nil {
			return all, err
		}
		if p != nil {
			all = append(all, p)
		}
	}
	return all, nil
}

// told is a recipient's fate in the words of a report.
func (q *Queue) told(j *job, f fate, now time.Time) message.Fate {
	m := message.Fate{Address: f.r.to.Address, ORcpt: f.r.to.ORcpt, Action: f.tell, Status: f.v.Status(), Remote: f.v.Remote, Tried: now}
	if f.v.Code != 0 {
		m.Reply = fmt.Sprintf("%d %s %s", f.v.Code, f.v.Status(), f.v.Text)
	} else {
		m.Why = f.v.Text
	}
	switch {
	case f.tell == message.Delayed:
		m.Until = j.at.Add(q.o.Times.Life)
	case f.tell == message.Failed && f.v.Temporary: // its time is over (RFC 3463: X.4.7)
		m.Status = "4.4.7"
	}
	return m
}

// report prepares one report. A failure whose sender's account is gone goes to the postmaster, once (hazards 27); nil: to nobody.
func (q *Queue) report(j *job, fates []message.Fate, now time.Time) (Parcel, error) {
	ctx := context.Background()
	var original message.Source = &message.Memory{}
	if kept, err := q.read(ctx, &j.mail); err == nil {
		defer kept.body.Close() // read only: nothing is lost
		original = kept
	} else { // who waits for it has to hear of it all the more
		q.log.Error("queue: a report goes without the mail that it is about", "id", j.qid, "err", err)
	}
	var err error
	language, zone := q.o.Reader(ctx, j.login)
	r := message.Report{
		To: j.from, Host: q.o.Hostname, EnvID: j.envid, Arrived: j.at, At: now, Fates: fates, ID: j.qid, Language: language, Zone: zone,
		Full: strings.EqualFold(j.ret, "FULL") && original.Size() <= q.o.Limits.Back && j.flags&requireTLS == 0, // RFC 8689 5
	}
	if r.About, err = about(original); err != nil {
		return nil, err
	}
	raw, err := r.Reader(original)
	if err != nil {
		return nil, err
	}
	p, err := q.o.Post.Prepare(ctx, j.from.String(), j.at, raw)
	switch {
	case err == nil:
		return p, nil
	case isFull(err): // with what nobody reads, and far beyond its quota
		q.log.Warn("queue: a report is not written, since its reader's maildrop is full of them", "id", j.qid, "login", j.login)
		return nil, nil
	case !isGone(err):
		return nil, err
	case fates[0].Action != message.Failed:
		return nil, nil
	}
	if raw, err = r.Reader(original); err != nil {
		return nil, err
	}
	if p, err = q.o.Post.Prepare(ctx, q.o.Postmaster, now, raw); isFull(err) {
		q.log.Warn("queue: a report is not written, since the postmaster's maildrop is full of them", "id", j.qid)
		return nil, nil
	}
	return p, err
}

// about reads what a report says of a mail from its header.
func about(m message.Source) (message.Summary, error) {
	tree, err := message.Scan(m)
	if err != nil {
		return message.Summary{}, err
	}
	return message.Summarise(&tree.Head, nil, 0, time.Time{}), nil
}
