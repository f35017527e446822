package chbroker

import (
	"time"

	"chmail/internal/call"
)

// Moment says that the owner will be with a call's reader in a moment: nothing sounds for it any more, the reader is told, and after Times.Moment it rings
// again, unless the owner has answered. Said again, it begins that time anew. False when the call is over, taken, or not this login's.
func (b *Broker) Moment(login, device, callID string) (ok bool) {
	return ask(b.board, func(a chan bool) event { return momentEvent{login, device, callID, a} })
}

type momentEvent struct {
	login, device, call string
	answer              chan bool
}

// on is an answer of the owner's, though not the last: no word is left of the call meanwhile, whatever was due of it, and no sign of his makes it ring.
func (e momentEvent) on(bd *board) {
	c := bd.calls[e.call]
	if c == nil || c.rec.link.Login != e.login || c.over() || c.phase == parted {
		e.answer <- false
		return
	}
	e.answer <- true
	if c.rec.ready.IsZero() { // whom the owner has seen and spoken of was a visitor
		c.rec.ready = c.rec.began
	}
	c.rec.told, c.signBack, c.ring = true, false, ring{}
	again := c.phase == held
	c.phase = held
	if c.owner.rings == c {
		c.owner.rings = nil
	}
	c.settlePush()
	c.owner.alert(c.alert(call.AlertVisit)) // who is rung elsewhere falls silent, and goes on showing him
	c.setAlarm(bd.b.times.Moment)
	bd.word(c.rec).cancel(c.rec)
	if again {
		c.save()
	} else {
		c.tell(call.Moment, "device", e.device)
	}
	c.owner.next()
}

// momentOver has a call ring again of which its owner has said "in a moment". One that may not ring is given up.
func (c *visit) momentOver() {
	if c.rec.limited {
		c.giveUp("one of too many")
		return
	}
	if c.again.rounds == 0 { // "in a moment" was said before the call was ever due to ring: it counts now
		c.again.attended, c.again.rounds = true, 1
		if why := c.bd.limits.admit(c.rec.link.ID, c.peer, time.Now()); why != "" {
			c.rec.limited = true
			c.giveUp(why)
			return
		}
	}
	c.enqueue()
}
