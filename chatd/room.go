package chatd

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"time"

	"golang.org/x/time/rate"

	"chmail/internal/call"
)

const (
	inboxLength  = 64               // what waits for a room's goroutine; whoever has more waits
	batchLength  = 64               // messages of one commit
	visitorGrace = 30 * time.Second // the visitor may have no connection so long before he counts as having left
	lingerTime   = time.Minute      // a room stays live so long when nobody holds it
	saysBurst    = 60               // messages that one side may say at once,
	saysEach     = 500 * time.Millisecond
)

// What is posted to a room's goroutine; a call.State is posted as it is.
type (
	entered struct{ c *client } // a reader's connection has come in
	left    struct {
		c    *client
		said bool // he has said that he leaves: nobody waits for him to come back
	}
	wants struct { // intent: he wants to talk
		v     call.Visit
		again lookUp
	}
	recalls struct { // his link has been looked up again, to call an owner who had left
		v   call.Visit
		err error
	}
	named     struct{ name string }
	answered  struct{} // the owner has taken the call
	ownerGone struct{}
	ending    struct{} // the owner ends the conversation
	deleted   struct{} // the administrator has deleted it
	said      struct {
		c     *client
		side  string
		cid   string
		text  string
		apart bool       // beside the talk: whoever says it need not be there
		file  *File      // text is its name, and
		done  chan<- any // who waits to hear what became of it; c is nil
	}
)

// lookUp finds a visitor's link once more: it may have ended since it was last looked at.
type lookUp func(ctx context.Context) (call.Link, error)

// A room is a live conversation. One goroutine owns it: whatever happens is posted to it as one of the types above, numbered and committed
// by it alone, then published in its tail. Nobody else writes to the conversation while its epoch holds.
type room struct {
	srv    *Server
	id     string
	login  string // the owner; this and key are set before ready
	key    int64
	ready  chan struct{}
	failed error         // why loading failed; set before ready
	held   int           // how many hold it; guarded by rooms.mu
	idle   chan struct{} // nobody holds it any more; holds one
	gone   chan struct{} // its owner has been removed; holds one
	inbox  chan any
	done   chan struct{}
	tail   tail
	pace   map[string]*rate.Limiter // how fast each side may talk, and, with reaching behind it, say how far it has come

	now presence // the goroutine's own
}

// presence is what a room's goroutine knows: the conversation's row and who is there.
type presence struct {
	rec      record
	readers  map[*client]struct{}
	visiting bool // the broker knows of a reader who wants to talk
	visitor  bool // he has come in and not left
	owner    bool
	want     wants             // the visitor's latest
	spoken   int64             // number of the visitor's latest message here
	calling  bool              // the owner, who had left, is being called again
	ended    bool              // the visitor's link has ended: it calls nobody
	guests   map[string]*party // by side
	absent   *time.Timer       // until a visitor without a connection counts as having left
}

func newRoom(s *Server, id string) *room {
	r := &room{
		srv: s, id: id, ready: make(chan struct{}), idle: make(chan struct{}, 1), gone: make(chan struct{}, 1), inbox: make(chan any, inboxLength), done: make(chan struct{}),
		pace: map[string]*rate.Limiter{},
	}
	for _, side := range []string{visitor, owner} {
		r.pace[side] = rate.NewLimiter(rate.Every(saysEach), saysBurst)
		r.pace[side+reaching] = rate.NewLimiter(rate.Every(reachEach), reachBurst)
	}
	r.tail.clients, r.tail.typed, r.tail.reach = make(map[*client]string), make(map[string]time.Time), make(map[string]reach)
	return r
}

// fill makes a room out of its row.
func (r *room) fill(rec record) {
	r.login, r.key = rec.login, rec.key
	r.tail.name = rec.name
	r.tail.last.Store(rec.last)
	r.tail.ended.Store(rec.state == call.Ended)
	r.tail.reach[owner], r.tail.reach[visitor] = reach{rec.seen, rec.seen}, reach{rec.shown, rec.shown}
	r.now = presence{rec: rec, readers: make(map[*client]struct{}), absent: time.NewTimer(time.Hour)}
	r.now.absent.Stop()
}

// inform makes a desk hear of this room from now on.
func (r *room) inform(c *client) {
	r.tail.add(c, owner)
	c.inform(r)
}

// post hands something to the room's goroutine, waiting for its turn; false when the room or ctx has ended.
func (r *room) post(ctx context.Context, m any) bool {
	select {
	case r.inbox <- m:
		return true
	case <-r.done:
	case <-ctx.Done():
	}
	return false
}

// over tells whether the room has ended.
func (r *room) over() bool {
	select {
	case <-r.done:
		return true
	default:
		return false
	}
}

// after returns committed events behind number n, at least one when there are any, a page at most.
func (r *room) after(ctx context.Context, n int64) ([]*event, error) {
	if list, here := r.tail.after(n); here {
		return list, nil
	}
	list, err := r.srv.store.events(ctx, r.key, n+1)
	if err != nil {
		return nil, err
	}
	name := r.tail.visitorName()
	for _, e := range list {
		if err := e.encode(r.id, name); err != nil {
			return nil, err
		}
	}
	return list, nil
}

// run is the room's goroutine. It ends when nobody has held the room for a while, when another process has taken the
// conversation over, or with the server.
func (r *room) run() {
	defer close(r.done)
	defer r.contain()
	linger := time.NewTimer(lingerTime)
	defer linger.Stop()
	for {
		var err error
		select {
		case m := <-r.inbox:
			err = r.handle(m)
		case <-r.now.absent.C:
			if err = r.happen(visitor, kindLeave, &r.now.visitor, false); err != nil {
				r.now.absent.Reset(visitorGrace) // once more, and not before that is the room given up
				linger.Reset(lingerTime)
			}
		case <-r.idle:
			linger.Reset(lingerTime)
		case <-linger.C:
			if r.srv.rooms.retire(r, false) {
				return
			}
			linger.Reset(lingerTime)
		case <-r.gone:
			r.end()
			return
		case <-r.srv.rooms.closing:
			r.finish()
			return
		case <-r.srv.ctx.Done():
			r.srv.rooms.retire(r, true)
			return
		}
		if errors.Is(err, errMoved) {
			r.tellMoved()
			r.srv.rooms.retire(r, true)
			r.tail.dismiss(bye("moved", 500*time.Millisecond))
			return
		}
		if err != nil {
			r.srv.log.Error("chatd: a conversation's event was not kept", "conv", r.id, "err", err)
		}
	}
}

// tellMoved logs why the conversation is not this process's any more: that it was removed is nothing to worry about.
func (r *room) tellMoved() {
	there, err := r.srv.store.exists(r.srv.ctx, r.key, r.id)
	if err == nil && !there {
		r.srv.log.Info("chatd: a conversation was removed", "conv", r.id)
		return
	}
	r.srv.log.Warn("chatd: a conversation was taken over by another process", "conv", r.id, "err", err)
}

// contain ends this room alone where a fault of the program would end everything, the mail included. Who was in it comes back into a new one.
func (r *room) contain() {
	if p := recover(); p != nil {
		r.srv.log.Error("chatd: a conversation ended by a panic", "conv", r.id, "login", r.login, "panic", fmt.Sprint(p), "stack", string(debug.Stack()))
		r.srv.rooms.retire(r, true)
		r.tail.dismiss(bye("trouble", troubleTime))
	}
}

// remove ends the room because its owner has been removed. It does not wait.
func (r *room) remove() {
	select {
	case r.gone <- struct{}{}:
	default:
	}
}

// finish does what was posted before the server stopped, the last state of a call for one, and ends the room.
func (r *room) finish() {
	for {
		select {
		case m := <-r.inbox:
			if err := r.handle(m); err != nil {
				r.srv.log.Error("chatd: a conversation's event was not kept", "conv", r.id, "err", err)
			}
			continue
		default:
		}
		break
	}
	select {
	case <-r.gone:
		r.end()
	default:
		r.srv.rooms.retire(r, true)
	}
}

// end takes away what is left: a conversation that was being made while the account went has rows that were not there to be removed.
func (r *room) end() {
	r.srv.rooms.retire(r, true)
	if err := r.srv.store.drop(r.srv.ctx, r.key, r.id); err != nil {
		r.srv.log.Error("chatd: a removed login's conversation is left", "conv", r.id, "login", r.login, "err", err)
	}
	r.tail.dismiss(errorFrame{T: "error", Code: faultLink.code, Text: faultLink.text})
}

// handle does what was posted. An error means that something was not committed.
func (r *room) handle(m any) error {
	p := &r.now
	switch m := m.(type) {
	case said:
		return r.say(m)
	case amends:
		return r.amend(m)
	case entered:
		p.readers[m.c] = struct{}{}
		p.absent.Stop()
	case left:
		if r.leave(m.c); m.said && len(p.readers) == 0 && p.absent.Stop() {
			err := r.happen(visitor, kindLeave, &p.visitor, false)
			if err != nil {
				p.absent.Reset(visitorGrace)
			}
			return err
		}
	case wants:
		if p.rec.state == call.Ended {
			return nil // it calls nobody any more
		}
		p.visiting, p.want, p.ended = true, m, false
		v := m.v
		if p.rec.state == call.Left {
			v.Spoke = false // calling the owner again is recall's, which looks the link up
		}
		r.srv.o.Broker.Visit(v)
		if p.rec.state == call.Left && p.spoken > p.rec.seen {
			r.recall() // what he said before he went has called nobody
		}
		return r.happen(visitor, kindJoin, &p.visitor, true)
	case named:
		return r.rename(m.name)
	case answered:
		return r.happen(owner, kindJoin, &p.owner, true)
	case recalls:
		return r.recalled(m)
	case ownerGone:
		return r.ownerGone()
	case ending:
		return r.finishTalk()
	case deleted:
		return errMoved
	case guestIn, guestOut, guestGone, guestNamed, guestAway:
		return r.guests(m)
	case reached:
		return r.reached(m)
	case call.State:
		return r.move(m)
	}
	return nil
}

// commit saves events and what change makes of the row, and publishes what is new. What is not saved is not so.
func (r *room) commit(change func(*record), add ...*event) ([]outcome, error) {
	rec := r.now.rec
	if change != nil {
		change(&rec)
	}
	for _, e := range add {
		e.Name, e.Login = r.guestName(e.From)
	}
	done, err := r.srv.store.save(r.srv.ctx, &rec, add)
	if err != nil {
		return nil, err
	}
	r.now.rec = rec
	fresh := make([]*event, 0, len(add))
	for i, e := range add {
		if done[i] != added {
			continue
		}
		if err := e.encode(r.id, rec.name); err != nil {
			return nil, err
		}
		fresh = append(fresh, e)
		r.srv.crowd.counts.event(e)
		if e.From == owner && (e.Kind == kindSay || e.Kind == kindFile) && !r.now.visitor || e.From == visitor && e.Kind == kindLeave {
			r.srv.store.answers.add(r.id, time.Now().Add(answerWait)) // he may have left an address
		}
	}
	r.tail.publish(fresh)
	return done, nil
}

// happen records that a side has come or gone, unless it is so already. A conversation that is full does without the record.
func (r *room) happen(side, kind string, is *bool, becomes bool) error {
	if *is == becomes {
		return nil
	}
	_, err := r.commit(nil, &event{Kind: kind, From: side, At: time.Now()})
	if err != nil {
		return err
	}
	if *is = becomes; side == visitor {
		r.tail.visitorIs(becomes, r.id)
	}
	return nil
}

func (r *room) leave(c *client) {
	p := &r.now
	if _, here := p.readers[c]; !here {
		return
	}
	if delete(p.readers, c); len(p.readers) > 0 {
		return
	}
	if p.visiting {
		p.visiting = false
		if !r.srv.isClosing() { // otherwise it is we who leave
			r.srv.o.Broker.Gone(r.id)
		}
	}
	p.absent.Reset(visitorGrace)
}

func (r *room) rename(name string) error {
	if name == "" || name == r.now.rec.name || r.now.rec.state == call.Ended {
		return nil
	}
	_, err := r.commit(func(rec *record) { rec.name = name }, &event{Kind: kindName, From: visitor, At: time.Now(), Text: name})
	if err == nil {
		r.tail.setName(name)
	}
	return err
}

// say commits a message together with those that wait behind it, then acknowledges each.
func (r *room) say(first said) error {
	batch := []said{first}
	var next any
	for next == nil && len(batch) < batchLength {
		select {
		case m := <-r.inbox:
			if s, ok := m.(said); ok {
				batch = append(batch, s)
			} else {
				next = m
			}
		default:
			next = struct{}{}
		}
	}
	err := r.sayAll(batch)
	if errors.Is(err, errMoved) {
		return err
	}
	if next != nil {
		err = errors.Join(err, r.handle(next))
	}
	return err
}

func (r *room) sayAll(batch []said) error {
	now, ownerIn := time.Now(), r.now.owner
	var add []*event
	for _, s := range batch {
		if s.side == owner && !s.apart && !ownerIn && len(r.now.readers) > 0 && r.now.rec.state != call.Ended {
			ownerIn = true // who says something is there
			add = append(add, &event{Kind: kindJoin, From: owner, At: now})
		}
		add = append(add, s.event(now))
	}
	done, err := r.commit(nil, add...)
	if err != nil {
		if !errors.Is(err, errMoved) { // then everybody is dismissed
			for _, s := range batch { // they keep what they said, and come back with it
				s.leave(bye("trouble", troubleTime))
			}
		}
		return err
	}
	r.now.owner = ownerIn
	i, spoke, showed := 0, false, false
	var trouble error
	for _, s := range batch {
		for add[i].Kind == kindJoin {
			i++
		}
		if done[i] == full {
			r.refuse(s)
		} else {
			if err := r.acknowledge(s, add[i], done[i]); err != nil { // he comes back with it; the others hear of theirs
				s.leave(bye("trouble", troubleTime))
				trouble = errors.Join(trouble, err)
			}
			if s.side == visitor {
				r.now.spoken, spoke, showed = max(r.now.spoken, add[i].N), true, showed || s.file != nil
			}
		}
		i++
	}
	switch {
	case spoke && r.now.rec.state == call.Left:
		r.recall()
	case showed:
		r.spoke()
	}
	return trouble
}

// spoke tells the broker of a visitor who has sent a file that he has said something: of words his own connection does.
func (r *room) spoke() {
	p := &r.now
	if !p.visiting || p.want.v.Spoke || p.rec.state == call.Ended {
		return
	}
	p.want.v.Spoke = true
	v := p.want.v
	v.Who = p.rec.name
	r.srv.o.Broker.Visit(v)
}
