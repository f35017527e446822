package chbroker

import (
	"log/slog"
	"slices"
	"time"

	"chmail/internal/call"
)

// owned is what the board has of one owner: his devices, the people at his door, the calls he missed. Owned by the board's goroutine.
type owned struct {
	bd      *board
	login   string
	devices map[string]*device
	visits  []*visit  // open calls, in the order they began
	rings   *visit    // the one he is rung for; one at a time
	missed  []*record // not shown to him yet, the oldest first
}

// device is an open desk. Its alerts go out by a goroutine of its own.
type device struct {
	id    string
	out   *outbox[call.Alert]
	input time.Time // of a person; owned by the board's goroutine
}

func newDevice(id string, alert func(call.Alert), log *slog.Logger) *device {
	return &device{id: id, out: newOutbox(maxAlerts, func(a call.Alert) string { return a.Call }, alert, log)}
}

func (o *owned) alert(alerts ...call.Alert) { o.alertOthers("", alerts...) }

// alertOthers alerts all devices but one.
func (o *owned) alertOthers(but string, alerts ...call.Alert) {
	for id, d := range o.devices {
		if id != but || but == "" {
			d.out.add(alerts...)
		}
	}
}

// attended tells whether a person is at one of the devices.
func (o *owned) attended(now time.Time) bool {
	for _, d := range o.devices {
		if !d.input.IsZero() && now.Sub(d.input) < o.bd.b.times.Active {
			return true
		}
	}
	return false
}

// tidy forgets an owner of whom there is nothing.
func (o *owned) tidy() {
	if len(o.devices) == 0 && len(o.visits) == 0 && len(o.missed) == 0 {
		delete(o.bd.owners, o.login)
	}
}

func (o *owned) remove(c *visit) {
	for i, v := range o.visits {
		if v == c {
			o.visits = append(o.visits[:i:i], o.visits[i+1:]...)
			break
		}
	}
	if o.rings == c {
		o.rings = nil
	}
	o.tidy()
	o.next()
}

// next rings for the call that has been due for longest, unless the owner is being rung. Where nothing can ring, all that are due are given up at once.
func (o *owned) next() {
	for o.rings == nil {
		var c *visit
		for _, v := range o.visits {
			if v.phase == queued && v.here() && (c == nil || v.due.Before(c.due)) {
				c = v
			}
		}
		if c == nil {
			return
		}
		if c.asks() {
			continue
		}
		if why := o.quiet(); why != "" {
			c.again.hushed = true
			c.giveUp(why)
			continue
		}
		if !o.canRing() {
			c.giveUp("no device")
			continue
		}
		c.startRing()
	}
}

// quiet tells why nothing rings for the owner now; "" when something may.
func (o *owned) quiet() (why string) {
	now := time.Now()
	switch {
	case o.bd.rests.of(o.login, now).On:
		return "not to be disturbed"
	case o.bd.b.o.Wishes.Quiet(o.login, now):
		return "quiet hours"
	}
	return ""
}

// startRing has every device sound, and wakes the browsers whose desks are closed. A ring that the reader's going interrupted goes on.
func (c *visit) startRing() {
	now, t := time.Now(), c.bd.b.times
	switch {
	case now.Before(c.ring.until) && c.ring.again >= maxAgain: // whoever comes and goes does not make it sound each time
		c.phase = pausing
		c.tell(call.Retrying)
		c.setAlarm(c.ring.until.Add(t.Pause).Sub(now))
		return
	case now.Before(c.ring.until):
		c.ring.again++
		c.ring.ackBy = now.Add(t.Ack)
	case c.ring.n >= t.Rings:
		c.giveUp("no answer")
		return
	default:
		c.ring = ring{n: c.ring.n + 1, until: now.Add(t.Ring), ackBy: now.Add(t.Ack)}
		c.push()
	}
	c.phase, c.owner.rings = ringing, c
	c.owner.alert(c.alert(call.AlertRing))
	c.tell(call.Ringing)
	c.ringTime()
}

// push wakes the browsers whose desks are closed, once for a ring: what they show stays until they are told otherwise.
func (c *visit) push() {
	if c.bd.b.o.Push.Has(c.owner.login) {
		c.pushed = true
		c.bd.b.o.Push.Ring(c.owner.login, c.alert(call.AlertRing), time.Until(c.ring.until))
	}
}

// unpush tells the browsers that were woken that the call went unanswered; an owner who is not to be disturbed is only shown that it rings no more.
func (c *visit) unpush() {
	if c.owner.quiet() != "" {
		c.settlePush()
		return
	}
	if c.pushed {
		c.bd.b.o.Push.Missed(c.owner.login, c.alert(call.AlertVisit))
	}
	c.pushed = false
}

// settlePush tells the browsers that were woken that they need not show the call any more.
func (c *visit) settlePush() {
	if c.pushed {
		c.bd.b.o.Push.Over(c.owner.login, c.alert(call.AlertSilence))
	}
	c.pushed = false
}

// canRing tells whether there is anything to ring, a desk or a browser to be woken.
func (o *owned) canRing() bool { return len(o.devices) > 0 || o.bd.b.o.Push.Has(o.login) }

// ringTime looks at the clock of a ring: not acknowledged in time, over, or going on.
func (c *visit) ringTime() {
	now := time.Now()
	next := c.ring.until
	switch {
	case c.ring.acked == "" && !now.Before(c.ring.ackBy):
		c.giveUp("no device acknowledged")
		return
	case !now.Before(c.ring.until) && c.ring.n >= c.bd.b.times.Rings:
		c.giveUp("no answer")
		return
	case !now.Before(c.ring.until):
		c.owner.hush(c)
		c.phase = pausing
		c.tell(call.Retrying)
		c.setAlarm(c.bd.b.times.Pause)
		c.owner.next()
		return
	case c.ring.acked == "" && c.ring.ackBy.Before(next):
		next = c.ring.ackBy
	}
	c.setAlarm(next.Sub(now))
}

// hush ends the sound of a call; the devices go on showing that somebody is there.
func (o *owned) hush(c *visit) {
	if o.rings == c {
		o.rings = nil
		o.alert(c.alert(call.AlertVisit))
	}
}

type attachEvent struct {
	login string
	d     *device
}

// on shows a new device first what was missed, then who is there, and takes it for a sign of the owner.
func (e attachEvent) on(bd *board) {
	o := bd.owner(e.login)
	if old := o.devices[e.d.id]; old != nil {
		old.out.close()
		e.d.input = old.input
	}
	o.devices[e.d.id] = e.d
	for _, rec := range o.missed {
		if bd.convs[rec.conv] != nil {
			continue // he is there again
		}
		e.d.out.add(call.Alert{Kind: call.AlertVisit, Call: rec.id, Conv: rec.conv, Who: rec.who, About: rec.link.Mail.Subject, At: rec.began, Missed: true,
			Quiet: rec.limited || o.quiet() != ""})
	}
	for _, c := range o.visits {
		switch {
		case c.over() || !c.here():
		case c.phase == ringing:
			e.d.out.add(c.alert(call.AlertRing))
		default:
			e.d.out.add(c.alert(call.AlertVisit))
		}
	}
	o.wake(signAttach)
}

type detachEvent struct {
	login string
	d     *device
}

func (e detachEvent) on(bd *board) {
	o := bd.owner(e.login)
	if o.devices[e.d.id] == e.d {
		delete(o.devices, e.d.id)
		// With the last device, the ring has lost what sounded: it counts as not delivered unless one comes in time, or a woken browser shows it. One that had
		// an open desk in view has shown nothing yet.
		if c := o.rings; c != nil && len(o.devices) == 0 && c.ring.acked != PushDevice {
			c.ring.acked, c.ring.ackBy = "", time.Now().Add(bd.b.times.Ack)
			c.push()
			c.ringTime()
		}
	}
	o.tidy()
}

// PushDevice is the device as which all browsers of an owner count that are woken though his desk is closed. They show what they are sent by themselves: their
// Rung means that a ring was delivered, and not that anybody has seen it.
const PushDevice = "push"

// maxAgain is how often one ring goes on after its reader has gone and come back.
const maxAgain = 2

type rungEvent struct{ login, device, call string }

func (e rungEvent) on(bd *board) {
	o := bd.owners[e.login]
	if o == nil {
		return
	}
	c := bd.calls[e.call]
	if c == nil || c.owner != o {
		if e.device == PushDevice {
			return // that a browser shows a notice by itself does not mean that somebody has looked
		}
		o.saw(func(rec *record) bool { return rec.id == e.call })
		o.tidy()
		return
	}
	if c.phase == ringing && c.ring.acked == "" {
		c.ring.acked = e.device
		bd.b.rang(max(0, bd.b.times.Ack-time.Until(c.ring.ackBy)))
		bd.log(c, "has alerted a device", "device", e.device)
		c.ringTime()
	}
	if !c.rec.told && e.device != PushDevice {
		c.rec.told = true
		c.save()
	}
}

// miss keeps a call to be shown when the owner next appears.
func (o *owned) miss(rec *record) {
	o.missed = append(o.missed, rec)
	if n := len(o.missed) - maxMissed; n > 0 { // the oldest give way, in SQL as well: the next start need not look at them
		for _, old := range o.missed[:n] {
			old.missed = seen
			o.bd.saves.put(*old)
		}
		o.missed = slices.Delete(o.missed, 0, n)
	}
}

// saw takes missed calls off the list: the owner has been shown them, or talks with that reader.
func (o *owned) saw(which func(*record) bool) {
	var left []*record
	for _, rec := range o.missed {
		if !which(rec) {
			left = append(left, rec)
			continue
		}
		rec.missed = seen
		o.bd.saves.put(*rec)
	}
	o.missed = left
}

// sign is what an owner did that may begin a call anew.
type sign int

const (
	signMail   sign = iota // his mail client signed in
	signAttach             // a device has been connected
	signInput              // a person is at a device
)

type signEvent struct{ login string }

func (e signEvent) on(bd *board) {
	if o := bd.owners[e.login]; o != nil {
		o.wake(signMail)
	}
}

type inputEvent struct {
	login, device string
	at            time.Time
}

func (e inputEvent) on(bd *board) {
	o := bd.owners[e.login]
	if o == nil || o.devices[e.device] == nil {
		return
	}
	o.devices[e.device].input = e.at
	o.wake(signInput)
}

// wake has every call of the owner look at a sign of his. Waking changes the list of calls, so it goes over a copy.
func (o *owned) wake(s sign) {
	for _, c := range append([]*visit(nil), o.visits...) {
		c.wake(s)
	}
}

// wake begins a call anew, or ends a pause, when a sign of the owner promises more than the last attempt had.
func (c *visit) wake(s sign) {
	if c.rec.limited || c.phase != pausing && c.owner.quiet() != "" {
		return // the desks show it, and no sign of the owner makes it ring
	}
	news := s == signAttach || s == signInput && !c.again.attended
	switch c.phase {
	case pausing:
		if news && c.here() {
			c.ring.again = 0
			c.again.attended = c.again.attended || s == signInput
			c.enqueue()
		}
	case settling:
		if news && c.holds() { // he is here before word of it was left
			c.hold = time.Time{}
			c.bd.word(c.rec).cancel(c.rec)
			c.beginAnew(s)
			return
		}
		c.signBack = c.signBack || news
	case awaited:
		if len(c.owner.devices) > 0 {
			c.enqueue()
		}
	case settled:
		// A mail client that polls is where the notice went; only one of an owner who was off is news.
		if news || s == signMail && (c.rec.state == call.Away || c.rec.state == call.Unknown) {
			c.beginAnew(s)
		}
	}
}

// holds tells whether word of a call still waits for what its reader writes, and a sign of the owner's begins it anew.
func (c *visit) holds() bool {
	now := time.Now()
	return c.rec.word == wordDue && now.Before(c.hold) && c.here() && c.again.rounds < maxRounds && now.Sub(c.again.last) >= c.bd.b.times.Again
}

func (c *visit) beginAnew(s sign) {
	now, t := time.Now(), c.bd.b.times
	if !c.here() {
		c.signBack = true
		return
	}
	if c.again.rounds >= maxRounds {
		return
	}
	if wait := t.Again - now.Sub(c.again.last); !c.again.last.IsZero() && wait > 0 {
		c.setAlarm(wait)
		return
	}
	c.signBack = false
	c.again = retrying{rounds: c.again.rounds + 1, last: now, attended: c.owner.attended(now)}
	c.ring = ring{}
	c.tell(call.Back)
	if c.owner.canRing() {
		c.enqueue()
		return
	}
	c.phase = awaited
	c.setAlarm(t.Ack)
}
