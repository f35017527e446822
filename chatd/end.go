package chatd

import (
	"time"

	"chmail/internal/call"
)

// finishTalk ends the conversation for the owner: nothing more is said in it, and its visitor calls nobody. What was said stays to be read.
func (r *room) finishTalk() error {
	p := &r.now
	if p.rec.state == call.Ended {
		return nil
	}
	if _, err := r.commit(func(rec *record) { rec.state = call.Ended }, &event{Kind: kindEnded, From: owner, At: time.Now()}); err != nil {
		return err
	}
	p.visiting, p.calling = false, false
	r.tail.ended.Store(true)
	r.tail.tell(callFrame{T: "call", Conv: r.id, State: call.Ended}, "")
	r.srv.o.Broker.End(r.login, r.id)
	r.srv.store.due.add(r.id, time.Time{})
	r.srv.tellColleagues(r.key)
	r.srv.log.Info("chatd: conversation ended", "conv", r.id, "login", r.login)
	return nil
}

// state is where the conversation stands for whoever comes in; false when there is nothing to be told.
func (r *room) state() (call.State, bool) {
	if r.tail.ended.Load() {
		return call.Ended, true
	}
	return r.srv.o.Broker.State(r.id)
}

// refuse says that nothing more can be said in a conversation that is full or has ended. The visitor of a full one leaves; the owner's desk, which has
// others, is told of the message alone, and so is everybody in one that has ended: it can still be read.
func (r *room) refuse(s said) {
	why := faultFull
	if r.now.rec.state == call.Ended {
		why = faultEnded
	}
	f := errorFrame{T: "error", Code: why.code, Text: why.text, Conv: r.id}
	if s.side == owner || why == faultEnded || s.c == nil {
		f.CID = s.cid
		s.put(f)
		return
	}
	s.leave(f)
}
