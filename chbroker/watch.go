package chbroker

import (
	"time"

	"chmail/internal/call"
)

// Outcome is a moment in the life of a call that is worth a figure.
type Outcome string

// The outcomes. A call begins once; one whose owner had answered and went may be answered again.
const (
	CallBegun      Outcome = "begun"
	CallAnswered   Outcome = "answered"
	CallDeclined   Outcome = "declined"
	CallMissed     Outcome = "missed"     // its reader has gone unanswered
	CallUnverified Outcome = "unverified" // it was gone before it could have been a person's: of scanners, mostly
)

// Watch hears of calls, for figures. Its functions are called by one goroutine and do not wait; nil ones hear nothing.
type Watch struct {
	Call func(o Outcome)
	// Rang: the first device has made itself noticed, so long after it was asked to.
	Rang func(took time.Duration)
}

// Watch is to be called before Start.
func (b *Broker) Watch(w Watch) { b.watch = w }

func (b *Broker) count(o Outcome) {
	if b.watch.Call != nil {
		b.watch.Call(o)
	}
}

// countState counts a state that a call has come to.
func (b *Broker) countState(s call.State) {
	switch s {
	case call.Opened: // once, at its beginning
		b.count(CallBegun)
	case call.Answered:
		b.count(CallAnswered)
	case call.Declined:
		b.count(CallDeclined)
	}
}

func (b *Broker) rang(took time.Duration) {
	if b.watch.Rang != nil {
		b.watch.Rang(took)
	}
}

// MapsStats tells whether the presence and port maps answer, and how often they did not since the beginning. Those that have never answered do not: a server that starts without Redis does not take it for
// there until it has failed often enough.
func (b *Broker) MapsStats() (answer bool, failures uint64) {
	return b.guard.answered.Load() && !b.guard.away(), b.guard.failed.Load()
}
