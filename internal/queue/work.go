package queue

import (
	"context"
	"errors"
	"runtime/debug"
	"time"

	"chmail/internal/delivery"
)

// work is one worker: it takes mails for a destination into work, and sends them over a line of its own, as long as there are any.
func (q *Queue) work(d *destination) {
	defer q.busy.Done()
	defer q.leave(d)
	w := &worker{q: q, d: d}
	defer w.hangUp()
	defer func() {
		if p := recover(); p != nil {
			q.log.Error("queue: panic while mails were sent", "destination", d.name, "panic", p, "stack", string(debug.Stack()))
			w.broke()
		}
	}()
	for !q.stopping() && w.round() {
	}
}

// worker is what one goroutine has in hand.
type worker struct {
	q     *Queue
	d     *destination
	line  Line   // nil: none open
	sent  int    // mails over it
	jobs  []*job // claimed and not done
	total int
}

// broke ends what a panic has left. The mail that it came with has had its attempt, or it would be the first one again and keep all others from going.
func (w *worker) broke() {
	for len(w.jobs) > 0 && w.jobs[0].finished {
		w.jobs = w.jobs[1:]
	}
	if len(w.jobs) > 0 {
		w.end(w.jobs[0], []delivery.Verdict{trouble("an error of this server")}, time.Now())
	}
	w.q.release(w.jobs)
	w.jobs = nil
	w.q.more(w.d)
}

// round takes some mails and sends them. false: nothing more is to be done by this worker.
func (w *worker) round() bool {
	w.q.looked(w.d)
	jobs, full, err := w.q.claim(w.q.life, w.d.name, time.Now())
	if err != nil {
		if w.q.life.Err() == nil {
			w.q.log.Error("queue: mails wait, since the database failed", "err", err)
			w.q.leaveAlone(w.d, time.Now().Add(shortly))
		}
		return false
	}
	if len(jobs) == 0 {
		return w.line != nil && w.q.linger(w.d)
	}
	if full {
		w.q.more(w.d)
	}
	for w.jobs = jobs; len(w.jobs) > 0; {
		if w.q.stopping() || !w.next() {
			w.q.release(w.jobs)
			w.jobs = nil
			return false
		}
	}
	if w.total >= w.q.o.Limits.PerLine && w.q.crowded() {
		w.q.due(w.d.name) // at the end of those who wait
		return false
	}
	return true
}

// next sends the first of the claimed mails. false: the others cannot be sent now.
func (w *worker) next() bool {
	j := w.jobs[0]
	bytes, err := w.q.read(w.q.life, &j.mail)
	if err != nil {
		if w.q.life.Err() != nil { // cut off by the end of the program, which is no attempt
			return false
		}
		w.q.log.Error("queue: a mail cannot be read", "id", j.qid, "err", err)
		w.end(j, []delivery.Verdict{trouble("the mail cannot be read just now")}, time.Now())
		return true
	}
	defer func() {
		if err := bytes.body.Close(); err != nil {
			w.q.log.Warn("queue: closing a mail", "id", j.qid, "err", err)
		}
	}()
	unsign, err := w.q.sign(w.q.life, j, bytes)
	defer unsign()
	if err != nil {
		if w.q.life.Err() != nil {
			return false
		}
		w.q.log.Error("queue: a mail cannot be signed", "id", j.qid, "err", err)
		w.end(j, []delivery.Verdict{trouble("the mail cannot be signed just now")}, time.Now())
		return true
	}
	return w.send(j, bytes)
}

// maxServers is how many servers of a destination one attempt goes to when each has greeted and then taken nothing.
const maxServers = 5

// trouble is a verdict of our own, for the moment.
func trouble(text string) delivery.Verdict {
	return delivery.Verdict{Enhanced: [3]int{4, 3, 0}, Text: text, Temporary: true}
}

// send sends a mail over the line, or over a new one. false: there is none to be had.
func (w *worker) send(j *job, bytes outward) bool {
	began := time.Now()
	m := j.outgoing(bytes)
	fresh := w.line == nil
	for servers := 1; ; servers++ {
		if w.line == nil {
			line, err := w.q.o.Carrier.Open(w.q.life, w.d.name, m)
			if err != nil {
				return w.unreachable(j, err, began)
			}
			w.line, w.sent = line, 0
			w.q.connected(w.d)
		}
		verdicts, again := w.line.Send(w.q.life, m)
		w.sent++
		if !again || w.sent >= w.q.o.Limits.PerLine {
			w.hangUp()
		}
		if len(verdicts) > 0 && verdicts[0].Stale && (!fresh || servers < maxServers) {
			w.hangUp() // the line was at its end before the mail came to it, or another server may take it
			fresh = true
			continue
		}
		if cutOff(w.q.life, verdicts) {
			return false
		}
		return w.end(j, verdicts, began)
	}
}

// cutOff tells whether a mail's way ended because this program ends, and by nothing that another host has said.
func cutOff(ctx context.Context, verdicts []delivery.Verdict) bool {
	if ctx.Err() == nil {
		return false
	}
	for _, v := range verdicts {
		if v.Code != 0 || !v.Temporary {
			return false
		}
	}
	return true
}

// end writes down what became of the first mail and lets go of it. false: that could not be written down yet.
func (w *worker) end(j *job, verdicts []delivery.Verdict, began time.Time) bool {
	went, err := w.q.finish(j, verdicts, began)
	if err != nil {
		w.q.remember(j, verdicts, began, err)
	}
	if went {
		w.q.went(w.d)
	}
	w.jobs = w.jobs[1:]
	w.total++
	return err == nil
}

// unreachable is told that no line could be had for a mail. What failed for the mail's own demands fails that mail alone; otherwise all that is claimed shares the
// verdict, and the destination is left alone for a while.
func (w *worker) unreachable(j *job, err error, began time.Time) bool {
	v := new(delivery.Verdict)
	if !errors.As(err, &v) {
		*v = trouble("no connection could be made")
		w.q.log.Error("queue: no line", "destination", w.d.name, "err", err)
	}
	if w.q.life.Err() != nil {
		return false
	}
	if v.Own || !v.Temporary {
		return w.end(j, []delivery.Verdict{*v}, began)
	}
	enough, until := w.q.unreachable(w.d, time.Now())
	if enough {
		return false
	}
	insecure := v.Enhanced[1] == 7 && j.flags&anyTLS == 0 // RFC 3463 3.8: which is no reason for a mail that goes by any connection
	for len(w.jobs) > 0 {
		if !insecure || w.jobs[0].flags&anyTLS == 0 {
			w.end(w.jobs[0], []delivery.Verdict{*v}, began)
		} else if !w.next() {
			break
		}
	}
	if err := w.q.overdue(w.d.name, *v, began); err != nil {
		w.q.log.Warn("queue: mails that have waited too long for a destination that cannot be reached", "destination", w.d.name, "err", err)
	}
	if err := w.q.postpone(w.d.name, until); err != nil {
		w.q.log.Warn("queue: mails for a destination that cannot be reached", "destination", w.d.name, "err", err)
	}
	return false
}

func (w *worker) hangUp() {
	if w.line == nil {
		return
	}
	w.line.Close()
	w.line = nil
	w.q.hungUp(w.d)
}
