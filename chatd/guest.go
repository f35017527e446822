package chatd

import (
	"cmp"
	"context"
	"errors"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"golang.org/x/time/rate"

	"chmail/internal/call"
)

// A guest is somebody whom the owner has brought into a conversation by a code. He is a side of his own, "guest.N" by his number in it: he can change what he
// has said and nothing else, and knows of nothing before his first event.

const (
	maxGuests   = 16 // in one conversation
	everGuests  = 64 // that it has had, those who were sent away as well
	guestPrefix = "guest."
)

// kindRemoved: the owner has sent a guest away, who is the event's side.
const kindRemoved = "removed"

func guestSide(n int64) string { return guestPrefix + strconv.FormatInt(n, 10) }

// guestNumber is the number of the guest whose side it is; 0 for the other sides.
func guestNumber(side string) int64 {
	number, ok := strings.CutPrefix(side, guestPrefix)
	if !ok {
		return 0
	}
	n, err := strconv.ParseInt(number, 10, 64)
	if err != nil {
		return 0
	}
	return n
}

// publicSide is a side as clients know it; who is a guest's number.
func publicSide(side string) (from string, who int64) {
	if who = guestNumber(side); who != 0 {
		return "guest", who
	}
	return side, 0
}

// GuestCalled is how a guest is called where there are no words of a language.
func GuestCalled(name string, who int64) string {
	if name == "" {
		return "Guest " + strconv.FormatInt(who, 10)
	}
	return name
}

// A guestVisit is one connection of a guest. It holds one right: his side of that conversation.
type guestVisit struct {
	srv  *Server
	c    *client
	peer netip.Addr
	g    guest
	room *room
	undo []func() // what is to be done when it ends, in reverse order
}

// What is posted to a room's goroutine of guests.
type (
	guestIn struct {
		c *client
		g guest
	}
	guestOut struct {
		c    *client
		side string
		said bool // he has said that he leaves
	}
	guestGone  struct{ side string } // he has had no connection for a while
	guestNamed struct{ side, name string }
	guestAway  struct { // the owner sends him away
		who  int64
		done chan<- error
	}
)

// A party is a guest who has been here since the room came to life.
type party struct {
	guest
	in     map[*client]struct{}
	here   bool // he has come in and not left
	absent *time.Timer
}

// join is a guest's first frame: his conversation, and what he has of it.
func (v *guestVisit) join(ctx context.Context, f frameIn, cookie string, port int) error {
	switch {
	case f.V != 1:
		return faultVersion
	case cookie == "":
		return faultCookie
	case !v.srv.limits.misses.Wait(ctx, v.peer):
		return errBusy
	}
	var err error
	v.g, err = v.srv.store.guest(ctx, f.Conv, browserVisitor(cookie))
	if err == nil && port != 0 && v.srv.ports.login(port) != v.g.login {
		err = faultLink
	}
	if errors.Is(err, faultLink) {
		v.srv.limits.misses.Hit(v.peer)
		if away, e := v.srv.store.wasSentAway(ctx, f.Conv, browserVisitor(cookie)); e != nil || away {
			return cmp.Or(e, error(faultRemoved))
		}
	}
	if err != nil {
		return err
	}
	r, err := v.srv.rooms.take(ctx, f.Conv)
	if errors.Is(err, ErrNoConversation) {
		return faultLink
	}
	if err != nil {
		return err
	}
	v.room = r
	v.undo = append(v.undo, func() { v.srv.rooms.release(r) })
	newest, last := r.tail.newest(), f.Last
	if last == 0 {
		last = v.g.since - 1
	}
	if last > newest || last < v.g.since-1 { // what was before his time is nothing that he can have
		return faultGap
	}
	v.c.put(joinedFrame{T: "joined", Conv: r.id, Last: newest, Owner: v.g.owner, About: v.g.about, Name: v.g.name, Who: v.g.n, First: v.g.since, Login: v.g.account})
	if !r.post(ctx, guestIn{v.c, v.g}) {
		return errLeft
	}
	r.tail.add(v.c, v.g.side())
	v.undo = append(v.undo, func() {
		r.tail.drop(v.c)
		r.post(v.srv.ctx, guestOut{v.c, v.g.side(), false})
	})
	if state, ok := r.state(); ok {
		v.c.put(callFrame{T: "call", Conv: r.id, State: state})
	}
	v.c.put(follow{room: r, last: last, since: v.g.since, opened: true})
	if f.Name != nil {
		return v.rename(ctx, *f.Name)
	}
	return nil
}

// exit gives back what the visit holds.
func (v *guestVisit) exit() {
	for i := len(v.undo) - 1; i >= 0; i-- {
		v.undo[i]()
	}
}

// frame does what a guest who has joined asks for.
func (v *guestVisit) frame(ctx context.Context, f frameIn) error {
	if f.Conv != "" && f.Conv != v.room.id {
		return faultRefused
	}
	var m any
	switch f.T {
	case "intent", "typing", "got", "seen": // nothing that concerns anybody
		return nil
	case "leave":
		v.room.post(ctx, guestOut{v.c, v.g.side(), true})
		return errLeft
	case "say":
		if !goodText(f.Text) {
			return faultText
		}
		if !goodCID(f.CID) {
			return faultFrame
		}
		m = said{c: v.c, side: v.g.side(), cid: f.CID, text: f.Text}
	case kindEdit, kindDelete:
		a, err := newAmends(v.c, v.g.side(), f)
		if err != nil {
			return err
		}
		if f.N < v.g.since {
			v.c.put(refusal(f.CID, v.room.id, faultRefused))
			return nil
		}
		m = a
	case "name":
		if f.Name == nil {
			return faultFrame
		}
		return v.rename(ctx, *f.Name)
	default:
		return faultRefused
	}
	return v.post(ctx, m)
}

func (v *guestVisit) rename(ctx context.Context, name string) error {
	name = strings.NewReplacer("<", "‹", ">", "›").Replace(cleanName(name)) // or he might look like a colleague, whose name ends with his address
	if name == "" || v.g.account != "" {
		return nil // a colleague has the name of his account
	}
	return v.post(ctx, guestNamed{v.g.side(), name})
}

func (v *guestVisit) post(ctx context.Context, m any) error {
	if v.room.tail.paceOf(v.g.side()).Wait(ctx) != nil || !v.room.post(ctx, m) {
		return errLeft
	}
	return nil
}

// paceOf is how fast a guest may talk, on all his connections.
func (t *tail) paceOf(side string) *rate.Limiter {
	t.mu.Lock()
	defer t.mu.Unlock()
	l := t.pace[side]
	if l == nil {
		l = rate.NewLimiter(rate.Every(saysEach), saysBurst)
		if t.pace == nil {
			t.pace = make(map[string]*rate.Limiter)
		}
		t.pace[side] = l
	}
	return l
}

// guests does what was posted of guests.
func (r *room) guests(m any) error {
	switch m := m.(type) {
	case guestIn:
		return r.guestIn(m)
	case guestOut:
		p := r.now.guests[m.side]
		if p == nil {
			return nil
		}
		if _, in := p.in[m.c]; !in { // he has said so before
			return nil
		}
		if delete(p.in, m.c); len(p.in) == 0 {
			if m.said {
				return r.guestHere(p, kindLeave, false)
			}
			p.absent = time.AfterFunc(visitorGrace, func() { r.post(r.srv.ctx, guestGone{m.side}) })
		}
	case guestGone:
		if p := r.now.guests[m.side]; p != nil && len(p.in) == 0 {
			return r.guestHere(p, kindLeave, false)
		}
	case guestNamed:
		return r.guestNamed(m)
	case guestAway:
		m.done <- r.sendAway(m.who)
	}
	return nil
}

func (r *room) guestIn(m guestIn) error {
	now := &r.now
	p := now.guests[m.g.side()]
	if p == nil {
		p = &party{guest: m.g, in: make(map[*client]struct{})}
		if now.guests == nil {
			now.guests = make(map[string]*party)
		}
		now.guests[m.g.side()] = p
	}
	p.name, p.account = m.g.name, m.g.account // he may have become a colleague meanwhile
	if p.absent != nil {
		p.absent.Stop()
	}
	// The row was read before this: he may have been sent away meanwhile.
	away, err := r.srv.store.isAway(r.srv.ctx, r.key, p.n)
	if err != nil || away {
		m.c.leave(errorFrame{T: "error", Code: faultRemoved.code, Text: faultRemoved.text})
		return err
	}
	p.in[m.c] = struct{}{}
	return r.guestHere(p, kindJoin, true)
}

// guestHere records that a guest has come or gone; not once the conversation has ended, as for the visitor.
func (r *room) guestHere(p *party, kind string, here bool) error {
	if r.now.rec.state == call.Ended {
		return nil
	}
	return r.happen(p.side(), kind, &p.here, here)
}

func (r *room) guestNamed(m guestNamed) error {
	p := r.now.guests[m.side]
	if p == nil || m.name == p.name || r.now.rec.state == call.Ended {
		return nil
	}
	if err := r.srv.store.nameGuest(r.srv.ctx, r.key, p.n, m.name); err != nil {
		return err
	}
	p.name = m.name
	_, err := r.commit(nil, &event{Kind: kindName, From: m.side, At: time.Now(), Text: m.name})
	return err
}

// sendAway takes a guest's right, tells everybody, and hangs up on him; a colleague's in all browsers in which he has come.
func (r *room) sendAway(who int64) error {
	all, err := r.srv.store.samePerson(r.srv.ctx, r.key, who)
	for _, n := range all {
		err = errors.Join(err, r.sendOneAway(n))
	}
	return err
}

func (r *room) sendOneAway(who int64) error {
	g, was, err := r.srv.store.sendAway(r.srv.ctx, r.key, who)
	if err != nil {
		return err
	}
	side := guestSide(who)
	if p := r.now.guests[side]; p != nil {
		for c := range p.in {
			c.leave(errorFrame{T: "error", Code: faultRemoved.code, Text: faultRemoved.text})
		}
		p.here = false
	} else if was {
		if r.now.guests == nil {
			r.now.guests = make(map[string]*party)
		}
		r.now.guests[side] = &party{guest: g, in: make(map[*client]struct{})}
	}
	if !was { // whoever did it may not have got to telling everybody
		if told, err := r.srv.store.toldAway(r.srv.ctx, r.key, side); err != nil || told {
			return err
		}
	}
	if g.account != "" {
		r.srv.tellColleagues(r.key)
	}
	r.srv.log.Info("chatd: guest sent away", "conv", r.id, "login", r.login, "guest", who)
	_, err = r.commit(nil, &event{Kind: kindRemoved, From: side, At: time.Now()})
	return err
}

// guestName is how the guest is called whose side it is, and his account if he is a colleague; "" for the other sides.
func (r *room) guestName(side string) (name, account string) {
	if p := r.now.guests[side]; p != nil {
		return p.name, p.account
	}
	return "", ""
}

// masked is an event as somebody may see it who knows of nothing before number since.
func (e *event) masked(since int64, conv, visitorName string) (*event, error) {
	if e.Of == 0 || e.Of >= since || e.Text == "" {
		return e, nil
	}
	again := *e
	again.Text = "" // what a message says now that he does not have
	if err := again.encode(conv, visitorName); err != nil {
		return nil, err
	}
	return &again, nil
}

// invite makes a code by which somebody becomes a guest of a conversation.
func (d *desk) invite(ctx context.Context, r *room, f frameIn) error {
	if !goodCID(f.CID) {
		return faultFrame
	}
	if f.Text != "" {
		return d.inviteColleague(ctx, r, f)
	}
	code, why := "", error(faultBusy)
	if d.srv.limits.codes.hit(r.key, time.Now()) {
		code, why = d.srv.store.invite(ctx, r.key, f.All, time.Now())
	}
	var refused *fault
	switch {
	case errors.As(why, &refused):
		d.c.put(refusal(f.CID, r.id, refused))
		return nil
	case why != nil:
		return why
	}
	d.srv.log.Info("chatd: code for a guest", "conv", r.id, "login", d.login)
	d.c.put(codeFrame{T: "code", Conv: r.id, CID: f.CID, Code: showCode(code), LeftMS: codeLife.Milliseconds()})
	return nil
}

// sendAway sends a guest away; one who is not there is faultRefused.
func (d *desk) sendAway(ctx context.Context, r *room, who int64) error { return away(ctx, r, who) }

// away has the room of a conversation send a guest away, and waits until it has.
func away(ctx context.Context, r *room, who int64) error {
	done := make(chan error, 1)
	if !r.post(ctx, guestAway{who, done}) {
		return errLeft
	}
	select {
	case err := <-done:
		return err
	case <-r.done:
		return errLeft
	case <-ctx.Done():
		return errLeft
	}
}

// dismissGuest has a colleague whose account has been removed leave the conversations of others, where somebody is in them: he comes into none again.
func (rs *rooms) dismissGuest(ctx context.Context, login string) error {
	list, err := rs.srv.store.guestsOfLogin(ctx, login)
	if err != nil {
		return err
	}
	for id, n := range list {
		r := rs.present(ctx, id)
		if r == nil {
			continue
		}
		err = errors.Join(err, away(ctx, r, n))
		rs.release(r)
	}
	return err
}

// bar has a visitor whom the owner has blocked leave the conversations of that login in which he is a guest.
func (rs *rooms) bar(ctx context.Context, login string, v visitorID) error {
	list, err := rs.srv.store.guestOf(ctx, login, v)
	if err != nil {
		return err
	}
	for id, n := range list {
		r, err := rs.ownedBy(ctx, id, login)
		if errors.Is(err, ErrNoConversation) { // it has just been removed
			continue
		}
		if err != nil {
			return err
		}
		err = away(ctx, r, n)
		rs.release(r)
		if err != nil {
			return err
		}
	}
	return nil
}
