package chbroker

import (
	"errors"
	"fmt"
	"runtime/debug"
)

// errPanic says that a panic was logged where this error came from.
var errPanic = errors.New("there was a panic, which has been logged")

// handle has an event handled. A panic ends the call that the event was about, and no other.
func (bd *board) handle(e event) {
	defer func() {
		if p := recover(); p != nil {
			bd.contain(e, p)
		}
	}()
	e.on(bd)
}

func (bd *board) contain(e event, p any) {
	bd.b.log.Error("panic in the board", "event", fmt.Sprintf("%T", e), "panic", p, "stack", string(debug.Stack()))
	if q, ok := e.(interface{ unanswered() }); ok {
		q.unanswered()
	}
	c := bd.about(e)
	if c == nil {
		return
	}
	defer func() {
		if p := recover(); p != nil { // what is left of the call is what the next start finds
			bd.b.log.Error("panic while a call was ended by a panic", "panic", p, "stack", string(debug.Stack()))
		}
	}()
	bd.log(c, "is ended by a panic")
	c.phase = declined // nothing rings for it any more
	c.take()
}

// about is the call that an event is about; nil when it is about none, or about all of an owner's.
func (bd *board) about(e event) *visit {
	switch e := e.(type) {
	case visitEvent:
		return bd.convs[e.v.Conv]
	case goneEvent:
		return bd.convs[e.conv]
	case ownerLeftEvent:
		return bd.convs[e.conv]
	case stateEvent:
		return bd.convs[e.conv]
	case wordLeft:
		return bd.convs[e.conv]
	case wordTimeEvent:
		return bd.convs[e.conv]
	case answerEvent:
		if e.conv != "" {
			return bd.convs[e.conv]
		}
		return bd.calls[e.call]
	case declineEvent:
		return bd.calls[e.call]
	case rungEvent:
		return bd.calls[e.call]
	case alarmEvent:
		return bd.calls[e.call]
	case graceEvent:
		return bd.calls[e.call]
	case judgedEvent:
		return bd.calls[e.call]
	}
	return nil
}

// Whoever asked and got no answer before the panic gets the zero one. The answers' channels have room for one.

func (e stateEvent) unanswered()   { answerNot(e.answer) }
func (e answerEvent) unanswered()  { answerNot(e.answer) }
func (e declineEvent) unanswered() { answerNot(e.answer) }

func answerNot[T any](answer chan T) {
	var none T
	select {
	case answer <- none:
	default: // it has been answered
	}
}
