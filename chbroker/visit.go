package chbroker

import (
	"cmp"
	"net/netip"
	"time"

	"chmail/internal/call"
)

// phase is where a call is on its way (docs/call.md has the picture). What the reader is told, call.State, follows from it.
type phase int

const (
	young    phase = iota // the page is younger than two seconds: the desks show it, silently
	doubted               // whether this is a person is seen when he says something, or who he is when he proves an address; until then likewise
	queued                // due to ring as soon as the owner is not rung for somebody else
	ringing               // the owner's devices sound
	pausing               // between two rings
	settling              // given up: word is being left
	settled               // word has been left; a sign of the owner begins anew
	awaited               // the owner gave a sign, but has no device yet
	held                  // the owner comes in a moment; then it rings again
	answered
	declined
	parted // the owner had answered and is gone; what the reader says next is a new call
)

// visit is a call while its reader is there, or may come back. Owned by the board's goroutine.
type visit struct {
	bd    *board
	owner *owned
	rec   *record
	phase phase
	alarm alarm     // of the phase
	gone  time.Time // since when the reader is gone; zero while he is there
	grace alarm

	due      time.Time // queued since
	again    retrying
	ring     ring
	by       string     // device that answered
	verdict  call.State // what the evidence makes of a call that was given up; "" until it is known
	signBack bool       // the owner gave a sign while word was being left
	saving   saving     // what the reader is told waits for it
	reader
}

// reader is what is known of a call's reader.
type reader struct {
	spoke   bool       // he has said something
	proved  string     // the mail address that he has proved to be his
	suspect bool       // an earlier run doubted that he is a person
	peer    netip.Addr // where he is
	hold    time.Time  // word of him waits until then for what he writes
	pushed  bool       // browsers were woken for a ring, and have not been told how it ended
}

// saving is what a call that is not in SQL yet keeps from its reader.
type saving struct {
	first bool         // it has never been saved
	held  []call.State // what he is told once it is
}

// ring is one ring of a round.
type ring struct {
	n     int       // which of the round
	until time.Time // it ends; a ring that the reader's going interrupted goes on until then
	ackBy time.Time // it counts as not delivered when no device has acknowledged it by then
	acked string    // device that acknowledged it first; "" for none
	again int       // how often it went on after its reader had gone
}

// retrying limits how often signs of the owner start a call anew.
type retrying struct {
	rounds   int
	last     time.Time // when a sign last did
	attended bool      // a person was at a device in this round: his input is no news
	hushed   bool      // it was given up because nothing may ring for the owner
}

// alarm is a timer that sends an event to the board; one that was set anew does not go off for the old time.
type alarm struct {
	timer *time.Timer
	n     int
}

func (a *alarm) stop() {
	a.n++
	if a.timer != nil {
		a.timer.Stop()
	}
}

func (a *alarm) set(bd *board, d time.Duration, e func(n int) event) {
	a.stop()
	n := a.n
	a.timer = time.AfterFunc(max(d, 0), func() { bd.post(e(n)) })
}

type visitEvent struct {
	v  call.Visit
	at time.Time
}

// on begins a call, or finds the one that the reader is in already.
func (e visitEvent) on(bd *board) {
	if c := bd.convs[e.v.Conv]; c != nil && c.phase == parted && e.v.Spoke {
		bd.log(c, "is over: its reader calls again")
		c.take()
	} else if c != nil {
		known := e.v.Proved != "" && e.v.Proved != c.proved
		c.spoke, c.proved = c.spoke || e.v.Spoke, cmp.Or(e.v.Proved, c.proved)
		if e.v.Spoke && !c.hold.IsZero() {
			c.hold = time.Time{}
			bd.word(c.rec).push()
		}
		c.returned(e.v.Who, known)
		if _, why := c.doubt(); c.phase == doubted && (c.spoke || c.proved != "") && why == "" && c.here() {
			c.ready()
		}
		return
	}
	if bd.removed(e.v.Link, e.at) {
		bd.b.log.Info("call refused: its owner has been removed", "conv", e.v.Conv, "login", e.v.Link.Login)
		return
	}
	o := bd.owner(e.v.Link.Login)
	if e.v.Conv == "" || e.v.Link.Login == "" {
		bd.b.log.Warn("call refused: it is nobody's", "conv", e.v.Conv, "login", e.v.Link.Login)
		o.tidy()
		return
	}
	page := e.v.Opened
	if page.IsZero() || page.After(e.at) {
		page = e.at
	}
	rec := &record{id: newCallID(), conv: e.v.Conv, link: e.v.Link, who: e.v.Who, opened: page, began: e.at, state: call.Opened}
	if o.full(e.v.Link.ID) {
		bd.crowd(rec)
		return
	}
	c := bd.add(rec)
	c.spoke, c.proved, c.peer, c.saving.first = e.v.Spoke, e.v.Proved, e.v.Peer, true
	bd.saves.await(c.rec.id)
	bd.log(c, "begins", "link", c.rec.link.ID, "devices", len(o.devices))
	c.tell(call.Opened)
	o.alert(c.alert(call.AlertVisit))
	c.setAlarm(bd.b.times.PageAge - time.Since(page))
}

// add puts a call on the board.
func (bd *board) add(rec *record) *visit {
	o := bd.owner(rec.link.Login)
	c := &visit{bd: bd, owner: o, rec: rec}
	bd.calls[rec.id], bd.convs[rec.conv] = c, c
	o.visits = append(o.visits, c)
	bd.count(rec.link.Login, 1)
	return c
}

// take removes a call from the board: nothing more happens in it.
func (c *visit) take() {
	c.alarm.stop()
	c.grace.stop()
	delete(c.bd.calls, c.rec.id)
	delete(c.bd.convs, c.rec.conv)
	c.bd.saves.forgetAwaited(c.rec.id)
	c.bd.count(c.rec.link.Login, -1)
	c.rec.over = true
	c.save()
	c.owner.remove(c)
}

func (c *visit) save() { c.bd.saves.put(*c.rec) }

// tell tells the reader, and the log, where his call stands. Of a call that would not survive the program's end he is told no more than that it is open, until
// the owner has taken note of it; meanwhile the owner's devices ring all the same.
func (c *visit) tell(s call.State, args ...any) {
	c.rec.state = s
	c.bd.b.countState(s)
	c.bd.log(c, "is "+string(s), args...)
	c.save()
	if s != call.Opened && c.saving.first && !c.over() {
		c.saving.held = append(c.saving.held, s)
		return
	}
	if s != call.Opened {
		c.release()
	}
	c.bd.tells.add(told{c.rec.conv, s})
}

// release tells the reader what was held back.
func (c *visit) release() {
	c.saving.first = false
	for _, s := range c.saving.held {
		c.bd.tells.add(told{c.rec.conv, s})
	}
	c.saving.held = nil
}

func (c *visit) alert(kind call.AlertKind) call.Alert {
	return call.Alert{Kind: kind, Call: c.rec.id, Conv: c.rec.conv, Who: c.rec.who, Proved: c.proved, About: c.rec.link.Mail.Subject, At: c.rec.began}
}

// over tells whether the owner has decided.
func (c *visit) over() bool { return c.phase == answered || c.phase == declined }

// ownerLeftEvent: nobody has been there for the owner of a conversation for a while.
type ownerLeftEvent struct{ conv string }

func (e ownerLeftEvent) on(bd *board) {
	if c := bd.convs[e.conv]; c != nil && c.phase == answered {
		c.phase = parted
		c.tell(call.Left)
	}
}

func (c *visit) here() bool { return c.gone.IsZero() }

func (c *visit) setAlarm(d time.Duration) {
	id := c.rec.id
	c.alarm.set(c.bd, d, func(n int) event { return alarmEvent{id, n} })
}

type alarmEvent struct {
	call string
	n    int
}

func (e alarmEvent) on(bd *board) {
	c := bd.calls[e.call]
	if c == nil || c.alarm.n != e.n {
		return
	}
	switch c.phase {
	case young:
		if c.here() {
			c.ready()
		}
	case ringing:
		c.ringTime()
	case pausing:
		c.enqueue()
	case settled:
		if c.owner.canRing() {
			c.wake(signAttach)
		}
	case awaited:
		c.giveUp("no device came")
	case held:
		c.momentOver()
	}
}

// ready is when the page is two seconds old and still there: from now on this is taken for a person's visit, unless there is doubt.
func (c *visit) ready() {
	if state, why := c.doubt(); why != "" {
		c.phase = doubted
		c.tell(state, "why", why)
		return
	}
	if c.rec.ready.IsZero() {
		c.rec.ready = time.Now()
		c.save()
	}
	c.again.attended = c.owner.attended(time.Now())
	if c.again.rounds > 0 { // it was due before, and counted
		c.enqueue()
		return
	}
	c.again.rounds = 1
	if why := c.bd.limits.admit(c.rec.link.ID, c.peer, time.Now()); why != "" {
		c.rec.limited = true
		c.giveUp(why)
		return
	}
	c.enqueue()
}

// enqueue has the call ring as soon as the owner is not rung for another.
func (c *visit) enqueue() {
	c.phase, c.due = queued, time.Now()
	c.alarm.stop()
	c.owner.next()
}

type goneEvent struct {
	conv string
	at   time.Time
}

// on silences a call whose reader has left. He has a little time to come back, for instance by reloading his page.
func (e goneEvent) on(bd *board) {
	c := bd.convs[e.conv]
	if c == nil || !c.here() {
		return
	}
	c.gone = e.at
	id := c.rec.id
	c.grace.set(bd, bd.b.times.Grace, func(n int) event { return graceEvent{id, n} })
	bd.log(c, "has lost its reader")
	if c.phase == ringing {
		c.owner.hush(c)
		c.phase = queued // to go on with the ring if he comes back in time
		c.alarm.stop()
		c.owner.next()
	}
}

// returned is a reader who comes back to his call, or is in it and has given a name, or is known by an address now.
func (c *visit) returned(who string, known bool) {
	named := who != "" && who != c.rec.who
	known = known && c.phase != young && c.phase != doubted // then he is about to ring, and is shown with it
	back := !c.here()
	if named {
		c.rec.who = who
		c.save()
	}
	if back {
		c.gone = time.Time{}
		c.grace.stop()
		c.bd.log(c, "has its reader back")
	}
	if !named && !known && !back || c.over() {
		return
	}
	switch {
	case c.phase == ringing:
		c.owner.alert(c.alert(call.AlertRing))
		return
	default:
		c.owner.alert(c.alert(call.AlertVisit))
	}
	if !back {
		return
	}
	switch c.phase {
	case young:
		if time.Since(c.rec.opened) >= c.bd.b.times.PageAge {
			c.ready()
		}
	case doubted:
		if state, _ := c.doubt(); state != c.rec.state { // the terms have changed meanwhile
			c.ready()
		}
	case queued:
		c.owner.next()
	case settled:
		if c.signBack {
			c.wake(signAttach)
		}
	}
}

type graceEvent struct {
	call string
	n    int
}

func (e graceEvent) on(bd *board) {
	if c := bd.calls[e.call]; c != nil && c.grace.n == e.n && !c.here() {
		c.conclude()
	}
}

// conclude ends a call whose reader did not come back.
func (c *visit) conclude() {
	silence := c.alert(call.AlertSilence)
	switch {
	case c.phase == parted: // a desk that was opened since shows him
		c.bd.log(c, "is over")
		c.owner.alert(silence)
	case c.over():
		c.bd.log(c, "is over")
	case c.phase == doubted && c.again.rounds == 0: // it was never due to ring, whatever he has written: that waits at the desk
		c.bd.log(c, "is over: it was not due to ring")
		c.owner.alert(silence)
	case !c.spoke && (c.rec.ready.IsZero() || c.gone.Sub(c.rec.ready) < c.bd.b.times.Verify):
		// A scanner that runs scripts and moves the mouse goes like this, and nobody is bothered further.
		c.bd.word(c.rec).cancel(c.rec)
		c.bd.b.count(CallUnverified)
		c.bd.log(c, "was an unverified visit")
		c.settlePush()
		c.owner.alert(silence)
	default:
		c.rec.missed = unseen
		c.bd.b.count(CallMissed)
		c.bd.log(c, "was missed", "told", c.rec.told, "word", c.rec.word != noWord)
		c.owner.miss(c.rec)
		c.unpush()
		missed := c.alert(call.AlertVisit)
		missed.Missed, missed.Quiet = true, c.rec.limited || c.owner.quiet() != ""
		c.owner.alert(silence, missed)
		if c.rec.word == noWord && !c.rec.told {
			c.bd.owe(c.rec)
		}
	}
	c.take()
}

// shown is the last state that the reader was told.
func (c *visit) shown() call.State {
	if len(c.saving.held) > 0 {
		return call.Opened
	}
	return c.rec.state
}

type stateReply struct {
	state call.State
	ok    bool
}

type stateEvent struct {
	conv   string
	answer chan stateReply
}

func (e stateEvent) on(bd *board) {
	if c := bd.convs[e.conv]; c != nil {
		e.answer <- stateReply{c.shown(), true}
		return
	}
	e.answer <- stateReply{}
}

type answerReply struct {
	conv string
	ok   bool
}

// answerEvent answers a call, named by its id or by its conversation.
type answerEvent struct {
	login, device, call, conv string
	answer                    chan answerReply
}

func (e answerEvent) on(bd *board) {
	c := bd.calls[e.call]
	if e.conv != "" {
		c = bd.convs[e.conv]
	}
	if c == nil || c.rec.link.Login != e.login {
		e.answer <- answerReply{}
		return
	}
	if c.phase == answered {
		e.answer <- answerReply{c.rec.conv, c.by == e.device}
		return
	}
	e.answer <- answerReply{c.rec.conv, true}
	c.by = e.device
	if e.conv == "" {
		c.decide(answered, e.device)
	} else { // he has said something: the device that he did it at may still be ringing
		c.decide(answered, "")
	}
	c.tell(call.Answered, "device", e.device)
	bd.wordOf(c.rec, c.rec.conv).cancelAll()
	bd.leaveShared(c.rec)
	c.owner.saw(func(rec *record) bool { return rec.conv == c.rec.conv })
	c.owner.next()
}

type declineEvent struct {
	login, device, call string
	answer              chan bool
}

func (e declineEvent) on(bd *board) {
	c := bd.calls[e.call]
	if c == nil || c.rec.link.Login != e.login || c.phase == answered {
		e.answer <- false
		return
	}
	e.answer <- true
	if c.phase == declined {
		return
	}
	c.decide(declined, e.device)
	c.tell(call.Declined)
	bd.word(c.rec).cancel(c.rec)
	c.owner.next()
}

// decide ends the asking: all devices fall silent but the one, if any, that pressed the button and knows.
func (c *visit) decide(p phase, device string) {
	c.alarm.stop()
	if c.owner.rings == c {
		c.owner.rings = nil
	}
	c.phase = p
	c.settlePush()
	c.owner.alertOthers(device, c.alert(call.AlertSilence))
}
