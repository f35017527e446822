package chbroker

import (
	"context"
	"runtime/debug"
	"slices"
	"time"

	"chmail/internal/call"
)

const (
	wordTime   = 30 * time.Second // for leaving one word
	judgeTime  = 5 * time.Second
	retryFirst = 2 * time.Second // a word that failed is tried again after this, then after twice as long, …
	retryMost  = 5 * time.Minute
)

// word is what an owner is to be told of one conversation: one notice for the calls of a while. Owned by the board's goroutine.
type word struct {
	bd    *board
	conv  string    // or crowdOf a login
	crowd bool      // of those who found the door full
	owner string    // login of the calls
	left  time.Time // when the last notice was left; zero when none was for longer than Times.Merge
	due   []*record // calls that no notice stands for yet
	under []*record // calls of the notice that is being left
	more  []*record // of a crowd, calls that are not counted, but whose readers are told when word has been left
	tries int       // that failed in a row
	retry time.Time // not before
	alarm alarm
}

// word is what is due about the conversation of a call, made where there is nothing yet.
func (bd *board) word(rec *record) *word { return bd.wordOf(rec, rec.about()) }

func (bd *board) wordOf(rec *record, about string) *word {
	w := bd.words[about]
	if w == nil {
		w = &word{bd: bd, conv: about, owner: rec.link.Login}
		bd.words[about] = w
	}
	return w
}

// owe notes that word of a call is due, and leaves it unless there was a notice about this conversation a short while ago.
func (w *word) owe(rec *record) {
	rec.word = wordDue
	w.bd.saves.put(*rec)
	w.due = append(w.due, rec)
	w.push()
}

// recent tells whether the owner has been left word of this conversation a short while ago.
func (w *word) recent() bool {
	return !w.left.IsZero() && time.Since(w.left) < w.bd.b.times.Merge
}

// push leaves the word that is due if it may be left now, and sees to it that somebody comes back to what remains.
func (w *word) push() {
	now := time.Now()
	next := w.retry
	if w.recent() {
		next = w.left.Add(w.bd.b.times.Merge)
	}
	if hold := w.hold(); hold.After(next) {
		next = hold
	}
	switch {
	case len(w.under) > 0:
	case len(w.due) == 0 && !w.recent():
		w.alarm.stop()
		delete(w.bd.words, w.conv)
	case now.Before(next):
		conv := w.conv
		w.alarm.set(w.bd, next.Sub(now), func(n int) event { return wordTimeEvent{conv, n} })
	case len(w.due) > 0:
		w.leave()
	}
}

// hold is until when the word that is due waits for what the readers write; zero when one of them has, or writes nothing any more.
func (w *word) hold() (until time.Time) {
	for _, rec := range w.due {
		c := w.bd.calls[rec.id]
		if c == nil || c.hold.IsZero() || w.crowd {
			return time.Time{}
		}
		if c.hold.After(until) {
			until = c.hold
		}
	}
	return until
}

type wordTimeEvent struct {
	conv string
	n    int
}

func (e wordTimeEvent) on(bd *board) {
	if w := bd.words[e.conv]; w != nil && w.alarm.n == e.n {
		w.push()
	}
}

// leave leaves one notice for all calls that are due.
func (w *word) leave() {
	last := w.due[len(w.due)-1]
	msg := call.Word{Login: last.link.Login, Link: last.link, Conv: last.conv, Who: last.who, Calls: len(w.due), At: w.due[0].began, Last: last.began}
	w.under, w.due = w.due, nil
	bd, conv := w.bd, w.conv
	if !bd.b.work.start(func() { bd.post(wordLeft{conv, bd.leave(msg), time.Now()}) }) {
		w.due, w.under = w.under, nil // the end has begun; the next start leaves it
	}
}

// leave hands word over, in a goroutine of its own; only a few are left at the same time.
func (bd *board) leave(msg call.Word) (err error) {
	defer func() {
		if p := recover(); p != nil {
			bd.b.log.Error("panic while word was left", "conv", msg.Conv, "login", msg.Login, "panic", p, "stack", string(debug.Stack()))
			err = errPanic
		}
	}()
	select {
	case bd.mail <- struct{}{}:
		defer func() { <-bd.mail }()
	case <-bd.b.ctx.Done():
		return bd.b.ctx.Err()
	}
	ctx, cancel := context.WithTimeout(bd.b.ctx, wordTime)
	defer cancel()
	if msg.Link.Name == "" {
		msg.Link.Name = bd.b.names.of(ctx, msg.Login)
	}
	return bd.b.o.Word(ctx, msg)
}

// wordLeft is the outcome of leaving word.
type wordLeft struct {
	conv string
	err  error
	at   time.Time
}

func (e wordLeft) on(bd *board) {
	w := bd.words[e.conv]
	if w == nil || len(w.under) == 0 {
		return // its owner has been removed meanwhile
	}
	recs := w.under
	w.under = nil
	if final(e.err) {
		w.drop(recs, e.err)
		return
	}
	if e.err != nil {
		wait := min(retryFirst<<min(w.tries, 10), retryMost)
		w.tries++
		w.retry = time.Now().Add(wait)
		recs = slices.DeleteFunc(recs, func(r *record) bool { return r.word == noWord }) // the owner has answered meanwhile
		w.due = append(recs, w.due...)
		bd.b.log.Warn("word could not be left; it will be tried again", "conv", e.conv, "tries", w.tries, "after", wait, "err", e.err)
		w.push()
		return
	}
	w.left, w.tries, w.retry = e.at, 0, time.Time{}
	for _, rec := range recs {
		rec.word, rec.left = wordIsLeft, e.at
		bd.saves.put(*rec)
		bd.b.log.Info("call has been left word of", "call", rec.id, "conv", rec.conv, "login", rec.link.Login, "calls", len(recs))
	}
	if w.crowd {
		bd.tellCrowd(w.owner, slices.Concat(recs, w.due, w.more)...)
		w.more = nil
	}
	for _, rec := range recs {
		if c := bd.convs[rec.conv]; c != nil {
			c.settle()
		}
	}
	w.push()
}

// cancel takes one call off what is due. One of which word is being left stays in it, and is not tried again should that fail.
func (w *word) cancel(rec *record) {
	for _, r := range w.under {
		if r == rec {
			r.word = noWord
			w.bd.saves.put(*r)
		}
	}
	var left []*record
	for _, r := range w.due {
		if r != rec {
			left = append(left, r)
			continue
		}
		r.word = noWord
		w.bd.saves.put(*r)
	}
	w.due = left
	w.push()
}

// cancelAll takes off all that is due: the owner talks with that reader.
func (w *word) cancelAll() {
	for _, r := range slices.Concat(w.under, w.due) {
		r.word = noWord
		w.bd.saves.put(*r)
	}
	w.due = nil
	w.push()
}

// giveUp ends the ringing of a call: the owner is left word, once a call, and the reader is told so when that has been done.
func (c *visit) giveUp(why string) {
	c.alarm.stop()
	c.owner.hush(c)
	c.phase, c.verdict, c.signBack = settling, "", false
	c.bd.log(c, "is given up", "why", why, "round", c.again.rounds, "rings", c.ring.n)
	if c.rec.word == noWord {
		if wait := c.bd.b.times.Words; wait > 0 && !c.spoke && c.here() {
			c.hold = time.Now().Add(wait)
			c.tell(call.Leaving)
		}
		c.bd.owe(c.rec)
	}
	c.unpush()
	bd, id, login := c.bd, c.rec.id, c.rec.link.Login
	bd.b.work.start(func() { bd.post(judgedEvent{id, bd.judge(login)}) })
	c.owner.next()
}

// judge asks whether an owner is on, in a goroutine of its own.
func (bd *board) judge(login string) call.State {
	ctx, cancel := context.WithTimeout(bd.b.ctx, judgeTime)
	defer cancel()
	v, err := bd.b.verdict(ctx, login)
	if err != nil {
		bd.b.log.Warn("no verdict on a login", "login", login, "err", err)
	}
	return v.state()
}

type judgedEvent struct {
	call  string
	state call.State
}

func (e judgedEvent) on(bd *board) {
	if c := bd.calls[e.call]; c != nil && c.phase == settling {
		c.verdict = e.state
		c.settle()
	}
}

// settle tells the reader how it stands once both the verdict is there and word has been left: for this call, or a short while ago for the conversation.
func (c *visit) settle() {
	if c.phase != settling || c.verdict == "" {
		return
	}
	if w := c.bd.words[c.rec.conv]; c.rec.word != wordIsLeft && (c.rec.limited || w == nil || !w.recent()) {
		return
	}
	c.phase = settled
	c.tell(c.verdict)
	if c.signBack {
		c.beginAnew(signAttach)
	}
}
