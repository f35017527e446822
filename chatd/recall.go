package chatd

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"

	"chmail/internal/call"
)

// ownerGone is done when the owner has had no desk open for a while. What the visitor has written and nobody has seen calls him at once; later words do it
// when they come.
func (r *room) ownerGone() error {
	p := &r.now
	was := p.owner
	if err := r.happen(owner, kindLeave, &p.owner, false); err != nil {
		r.srv.rooms.leavesLater(r.login) // once more, if he is still away
		return err
	}
	r.srv.o.Broker.OwnerLeft(r.id)
	if was && p.spoken > p.rec.seen {
		r.recall()
	}
	return nil
}

// recall calls an owner who had left, for a visitor who speaks to him. His link is looked up first, off the room's goroutine: one that has ended
// calls nobody, and what he says waits at the desk.
func (r *room) recall() {
	p := &r.now
	if p.calling || p.ended || !p.visiting {
		return
	}
	p.calling = true
	want := p.want
	go func() {
		v, err := want.once(r.srv.ctx)
		r.post(r.srv.ctx, recalls{v, err})
	}()
}

// once looks the link up; a panic there is an error.
func (w wants) once(ctx context.Context) (v call.Visit, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
		}
	}()
	v = w.v
	v.Spoke = true
	v.Link, err = w.again(ctx)
	return v, err
}

func (r *room) recalled(m recalls) error {
	p := &r.now
	if m.err != nil {
		p.calling = false
		p.ended = errors.Is(m.err, faultLink) // until somebody comes by a link that works
		r.srv.log.Info("chatd: an owner who has left is not called again", "conv", r.id, "login", r.login, "err", m.err)
		return nil
	}
	if !p.visiting || p.rec.state == call.Ended { // he has gone meanwhile; should he come back, what he said calls
		p.calling = false
		return nil
	}
	m.v.Who = p.rec.name
	r.srv.o.Broker.Visit(m.v)
	return nil
}
