package chatd

import (
	"context"
	"errors"
	"net/http"
	"net/netip"
	"time"

	"chmail/internal/call"
	"chmail/internal/web"
)

const (
	inputEvery = 10 * time.Second // the broker hears of a person at a desk no more often
	maxOpened  = 500              // conversations that one desk has open at once
	listLength = 100              // conversations that a desk is told of when its line comes up
)

// A desk is one open desk page of an owner. It holds the rights of its login: the owner's side of his conversations, and his calls.
type desk struct {
	srv    *Server
	c      *client
	peer   netip.Addr
	login  string
	device string
	opened map[string]struct{}
	input  time.Time // when the broker last heard of a person here
	since  time.Time // when it was opened
}

// DeskSocket speaks the desk's frames for a login that is signed in; it ends with the request's context, as the sign-in does. It
// refuses every origin but the site's.
func (s *Server) DeskSocket(w http.ResponseWriter, r *http.Request, login string) {
	if !s.o.Site.SameOrigin(r) || login == "" {
		http.Error(w, http.StatusText(http.StatusForbidden), http.StatusForbidden)
		return
	}
	sock, err := accept(w, r)
	if err != nil {
		s.log.Debug("chatd: no socket", "peer", web.Peer(r), "err", err)
		return
	}
	ctx, hang := context.WithCancel(r.Context())
	defer hang()
	c := newClient(sock, hang)
	c.queue = make(chan any, deskQueue)
	defer sock.conn.CloseNow()
	defer here(&s.crowd.counts.desks)()
	done, ok := s.admit(ctx, c)
	defer done()
	if !ok {
		return
	}
	d := &desk{srv: s, c: c, peer: web.Peer(r), login: login, device: randomID(), opened: make(map[string]struct{}), since: time.Now()}
	if s.rooms.deskCount(login) >= desksPerLogin {
		s.part(c, d.peer, errBusy)
		return
	}
	defer s.rooms.attachDesk(login, c)()
	talks, err := s.Conversations(r.Context(), login, listLength)
	if err != nil {
		s.part(c, d.peer, err)
		return
	}
	c.put(newList(talks))
	s.rooms.tellRest(login, c)
	if err := s.showBlocked(r.Context(), login, c); err != nil {
		s.part(c, d.peer, err)
		return
	}
	if err := s.tellInvitations(r.Context(), login, c); err != nil {
		s.part(c, d.peer, err)
		return
	}
	s.rooms.correct(login, c, talks)
	defer s.o.Broker.Attach(login, d.device, d.peer, func(a call.Alert) { c.put(newAlert(a)) })()
	s.log.Info("chatd: desk open", "login", login, "device", d.device, "peer", d.peer)
	err = s.converse(ctx, sock, c, false, d.frame)
	s.part(c, d.peer, err)
	s.log.Info("chatd: desk closed", "login", login, "device", d.device)
}

// frame does what a desk asks for. A conversation or a call that is not this login's is the same as one that does not exist.
func (d *desk) frame(ctx context.Context, f frameIn) error {
	b := d.srv.o.Broker
	switch f.T {
	case "input":
		if now := time.Now(); now.Sub(d.input) >= inputEvery {
			d.input = now
			b.Input(d.login, d.device)
		}
		return nil
	case "rung":
		b.Rung(d.login, d.device, f.Call)
		return nil
	case "answer":
		return d.answer(ctx, f.Call)
	case "decline":
		if !b.Decline(d.login, d.device, f.Call) {
			d.c.put(alertFrame{T: string(call.AlertSilence), Call: f.Call})
		}
		return nil
	case "moment":
		if !b.Moment(d.login, d.device, f.Call) {
			d.c.put(alertFrame{T: string(call.AlertSilence), Call: f.Call})
		}
		return nil
	case "rest":
		return d.rest(ctx, f)
	case "resting":
		b.Turned(d.login)
		d.srv.rooms.tellRest(d.login, d.c)
		return nil
	case "not-now":
		return d.notNow(ctx, f.Text)
	case "block", "unblock":
		return d.block(ctx, f)
	case "open", "say", "invite", "withdraw", "remove", "typing", "got", "seen", "end", "revoke", "terms", "readers", kindEdit, kindDelete:
		r, err := d.srv.rooms.ownedBy(ctx, f.Conv, d.login)
		if errors.Is(err, ErrNoConversation) {
			return faultRefused
		}
		if err != nil {
			return err
		}
		defer d.srv.rooms.release(r)
		return d.inRoom(ctx, r, f)
	}
	return faultRefused
}

// answer takes a call, for this device. When it is over, or somebody was faster, the device falls silent.
func (d *desk) answer(ctx context.Context, callID string) error {
	conv, ok := d.srv.o.Broker.Answer(d.login, d.device, callID)
	if !ok {
		d.c.put(alertFrame{T: string(call.AlertSilence), Call: callID})
		return nil
	}
	r, err := d.srv.rooms.ownedBy(ctx, conv, d.login)
	if err != nil {
		return err
	}
	defer d.srv.rooms.release(r)
	r.post(ctx, answered{})
	return nil
}

// inRoom does what is asked for in a conversation that is this login's.
func (d *desk) inRoom(ctx context.Context, r *room, f frameIn) error {
	switch f.T {
	case "open":
		if err := d.open(r, f.Last); err != nil {
			return err
		}
		return errors.Join(d.showMoves(ctx, r), d.showLink(ctx, r), d.srv.tellAddress(ctx, d.c, r), d.srv.tellInvited(ctx, r.key, r.id, d.login, d.c))
	case "revoke":
		return d.revoke(ctx, r)
	case "readers":
		return d.readers(ctx, r)
	case "terms":
		return d.terms(ctx, r, call.Terms(f.Text))
	case "invite":
		return d.invite(ctx, r, f)
	case "withdraw":
		return d.withdraw(ctx, r, f)
	case "remove":
		return d.sendAway(ctx, r, f.Who)
	case "typing", "got", "seen":
		return r.sign(ctx, owner, f)
	case kindEdit, kindDelete:
		return d.amend(ctx, r, f)
	case "end":
		r.post(ctx, ending{})
		return d.srv.uninviteAll(ctx, r)
	}
	if !goodText(f.Text) {
		return faultText
	}
	if !goodCID(f.CID) {
		return faultFrame
	}
	if !f.On {
		d.srv.o.Broker.Join(d.login, d.device, r.id) // to say something to somebody who calls is to answer
	}
	if r.pace[owner].Wait(ctx) != nil || !r.post(ctx, said{c: d.c, side: owner, cid: f.CID, text: f.Text, apart: f.On}) {
		return errLeft
	}
	return nil
}

// open sends a conversation's events behind last, and its call's state.
func (d *desk) open(r *room, last int64) error {
	if last > r.tail.newest() {
		return faultGap
	}
	if d.opened[r.id] = struct{}{}; len(d.opened) > maxOpened {
		return faultRefused
	}
	if state, ok := r.state(); ok {
		d.c.put(callFrame{T: "call", Conv: r.id, State: state})
	}
	r.tail.correct(d.c, r.id, !r.tail.visitorHere()) // whatever it believes
	r.tail.showReach(r.id, owner, d.c)
	d.c.put(follow{room: r, last: last, opened: true})
	return nil
}
