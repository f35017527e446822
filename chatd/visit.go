package chatd

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"sync/atomic"
	"time"

	"chmail/internal/call"
)

// A visit is one connection of a reader, from a page or a terminal, to the conversation of (link, visitor). It holds exactly one
// right: that conversation's visitor's side.
type visit struct {
	srv     *Server
	c       *client
	peer    netip.Addr
	link    call.Link
	visitor visitorID
	name    string
	last    int64     // newest event that the client has
	opened  time.Time // when its page was opened, as far as is known
	room    *room     // nil until there is a conversation
	wants   bool      // has shown intent on this connection
	token   string    // the link's, for as long as the connection lasts and nowhere else: it is looked up again before anything is made of it
	port    int       // the chat port that he came in on, or 0
	spoke   bool      // has said something on this connection
	shut
	undo []func() // what is to be done when it ends, in reverse order
}

// shut is why a visitor is sent away though his link works.
type shut struct {
	removed atomic.Bool // the owner's account has been removed
	blocked atomic.Bool // the owner has blocked him
}

// resolve finds the link of a token that came in on a chat port, or on the web port (0). Every token that does not work, or belongs to
// another port's login, is faultLink; wrong guesses of a network are answered ever more slowly.
func (s *Server) resolve(ctx context.Context, token string, peer netip.Addr, port int) (call.Link, error) {
	if !s.limits.misses.Wait(ctx, peer) {
		return call.Link{}, errBusy
	}
	link, err := s.look(ctx, token, port)
	if errors.Is(err, faultLink) {
		s.limits.misses.Hit(peer)
	}
	return link, err
}

// look is resolve for whoever has shown already that he knows the token: he guesses nothing.
func (s *Server) look(ctx context.Context, token string, port int) (call.Link, error) {
	link, err := s.o.Broker.Resolve(ctx, token)
	switch {
	case errors.Is(err, call.ErrNoLink), err == nil && port != 0 && s.ports.login(port) != link.Login:
		return call.Link{}, faultLink
	case err != nil:
		return call.Link{}, fmt.Errorf("resolving a link: %w", err)
	}
	return link, nil
}

// enter lets the visitor in: his client follows the conversation from v.last on, if there is one yet. greet says so to the client, before
// anything else reaches it.
func (v *visit) enter(ctx context.Context, greet func(conv string, newest int64)) error {
	id, err := v.srv.store.find(ctx, v.link, v.visitor)
	if err != nil {
		return err
	}
	v.undo = append(v.undo, v.srv.rooms.attachReader(v), v.srv.doors.enter(doorKey{v.link.ID, v.visitor}, v.c))
	if err := v.srv.blocked(ctx, v.link, v.visitor); err != nil { // from here on, whoever blocks him finds him
		if errors.Is(err, faultLink) {
			v.srv.limits.misses.Hit(v.peer)
		}
		return err
	}
	if id == "" {
		if v.last != 0 {
			return faultGap
		}
		if greet != nil {
			greet("", 0)
		}
		return nil
	}
	return v.take(ctx, id, greet)
}

// take brings the client into a conversation's room.
func (v *visit) take(ctx context.Context, id string, greet func(conv string, newest int64)) error {
	r, err := v.srv.rooms.take(ctx, id)
	if err != nil {
		return err
	}
	v.undo = append(v.undo, func() { v.srv.rooms.release(r) })
	newest := r.tail.newest()
	if v.last > newest {
		return faultGap
	}
	if v.name == "" {
		v.name = r.tail.visitorName()
	}
	if greet != nil {
		greet(id, newest)
	}
	if !r.post(ctx, entered{v.c}) {
		return errLeft
	}
	r.tail.add(v.c, visitor)
	v.undo = append(v.undo, func() {
		r.tail.drop(v.c)
		r.post(v.srv.ctx, left{c: v.c})
	})
	v.room = r
	if state, ok := r.state(); ok {
		v.c.put(callFrame{T: "call", Conv: id, State: state})
	}
	v.c.put(follow{room: r, last: v.last, opened: true})
	r.tail.showReach(id, visitor, v.c)
	r.post(ctx, named{v.name})
	return v.srv.tellAddress(ctx, v.c, r)
}

// exit gives back what the visit holds.
func (v *visit) exit() {
	for i := len(v.undo) - 1; i >= 0; i-- {
		v.undo[i]()
	}
}

// intent: a person is there. The conversation is made, and the owner called.
func (v *visit) intent(ctx context.Context) error { return v.intentSaying(ctx, nil) }

// again looks the link up once more: between a page's joining and a person's first sign may lie days, in which the link has expired, was
// revoked, or its owner was removed.
func (v *visit) again() lookUp {
	srv, token, port, id, login, visitor := v.srv, v.token, v.port, v.link.ID, v.link.Login, v.visitor
	return func(ctx context.Context) (call.Link, error) {
		link, err := srv.look(ctx, token, port)
		if err == nil && (link.ID != id || link.Login != login) {
			err = faultLink
		}
		if err == nil {
			err = srv.blocked(ctx, link, visitor)
		}
		return link, err
	}
}

// intentSaying is intent; where the conversation is made by it, greet says so to the client, before anything of it.
func (v *visit) intentSaying(ctx context.Context, greet func(conv string, newest int64)) error {
	if v.wants {
		return nil
	}
	link, err := v.again()(ctx)
	if err != nil {
		return err
	}
	v.link = link
	if v.room == nil {
		if !v.srv.limits.begin(v.link, v.peer) {
			return errBusy
		}
		ctx := context.WithoutCancel(ctx) // what is begun is finished, so that it is known what there is to be removed
		id, err := v.srv.store.create(ctx, v.link, v.visitor, v.name, time.Now())
		if err != nil {
			return err
		}
		v.srv.log.Info("chatd: conversation", "conv", id, "login", v.link.Login, "link", v.link.ID, "peer", v.peer)
		err = v.take(ctx, id, greet)
		if v.removed.Load() { // while it was being made: nothing of it stays
			if v.room != nil {
				v.room.remove()
			}
			return faultLink
		}
		if err != nil {
			return err
		}
		if v.blocked.Load() { // likewise: it has ended before it began
			v.room.post(ctx, ending{})
			return faultLink
		}
	}
	v.wants = true
	return v.call(ctx)
}

// call tells the broker, through the room, who wants to talk.
func (v *visit) call(ctx context.Context) error {
	box, _, err := v.srv.store.proved(ctx, v.room.key)
	if err != nil {
		return err
	}
	if !v.room.post(ctx, wants{call.Visit{Conv: v.room.id, Link: v.link, Who: v.name, Peer: v.peer, Opened: v.opened, Spoke: v.spoke, Proved: box}, v.again()}) {
		return errLeft
	}
	return nil
}

// leave is a visitor who says that he goes; his connection ends with that.
func (v *visit) leave(ctx context.Context) error {
	if v.room != nil {
		v.room.post(ctx, left{c: v.c, said: true})
	}
	return errLeft
}

// say says something; it is acknowledged once it is committed. Who says something is there, whatever else he has shown.
func (v *visit) say(ctx context.Context, cid, text string) error {
	if !goodText(text) {
		return faultText
	}
	if !goodCID(cid) {
		return faultFrame
	}
	news := v.wants && !v.spoke // the broker knows of him, but not that he is a person beyond doubt
	v.spoke = true
	if err := v.intent(ctx); err != nil {
		return err
	}
	if v.room.pace[visitor].Wait(ctx) != nil || !v.room.post(ctx, said{c: v.c, side: visitor, cid: cid, text: text}) {
		return errLeft
	}
	if news {
		return v.call(ctx)
	}
	return nil
}

// rename takes a name that the visitor gives himself. One of which nothing is left is none.
func (v *visit) rename(ctx context.Context, name string) error {
	name = cleanName(name)
	if name == "" || name == v.name {
		return nil
	}
	v.name = name
	if v.room == nil {
		return nil
	}
	if v.room.pace[visitor].Wait(ctx) != nil || !v.room.post(ctx, named{name}) {
		return errLeft
	}
	if v.wants {
		return v.call(ctx)
	}
	return nil
}
