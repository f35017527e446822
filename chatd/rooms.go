package chatd

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"sync"
	"time"

	"chmail/internal/call"
)

// ownerGrace is how long an owner may have no desk open before he counts as having left.
const ownerGrace = 30 * time.Second

// rooms are the conversations that are live in this process, and the desks that want to hear of them. A conversation is live
// while somebody holds its room, and for a while after.
type rooms struct {
	srv *Server

	mu      sync.Mutex
	live    map[string]*room              // by conversation
	byLogin map[string]map[*room]struct{} // those of them that are loaded
	desks   map[string]map[*client]struct{}
	readers map[string]map[*visit]struct{} // by the owner's login, with a conversation or before
	leaving map[string]*time.Timer         // logins whose last desk was closed a moment ago
	running sync.WaitGroup
	closed  bool          // no room comes to life any more
	closing chan struct{} // closed with it: the living end
}

func newRooms(s *Server) *rooms {
	return &rooms{srv: s, live: make(map[string]*room), byLogin: make(map[string]map[*room]struct{}), desks: make(map[string]map[*client]struct{}), readers: make(map[string]map[*visit]struct{}),
		leaving: make(map[string]*time.Timer), closing: make(chan struct{})}
}

// take returns the room of a conversation, live until release. ErrNoConversation when there is none.
func (rs *rooms) take(ctx context.Context, id string) (*room, error) {
	rs.mu.Lock()
	r := rs.live[id]
	if r == nil && rs.closed {
		rs.mu.Unlock()
		return nil, errLeft
	}
	if r == nil {
		r = newRoom(rs.srv, id)
		rs.live[id] = r
		rs.running.Add(1)
		go rs.load(r)
	}
	r.held++
	rs.mu.Unlock()
	select {
	case <-r.ready:
	case <-ctx.Done():
		rs.release(r)
		return nil, fmt.Errorf("waiting for a room: %w", ctx.Err())
	}
	if r.failed != nil {
		return nil, r.failed
	}
	return r, nil
}

// ownedBy is take for the owner's side: a conversation of somebody else is no conversation, and stays untouched.
func (rs *rooms) ownedBy(ctx context.Context, id, login string) (*room, error) {
	r := rs.living(id)
	if r == nil {
		if _, err := rs.srv.store.one(ctx, login, id); err != nil {
			return nil, err
		}
		var err error
		if r, err = rs.take(ctx, id); err != nil {
			return nil, err
		}
	}
	if r.login != login {
		rs.release(r)
		return nil, ErrNoConversation
	}
	return r, nil
}

// release gives a room back.
func (rs *rooms) release(r *room) {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	if r.held--; r.held == 0 {
		select {
		case r.idle <- struct{}{}:
		default:
		}
	}
}

// load takes the conversation from the database and runs its room.
func (rs *rooms) load(r *room) {
	defer rs.running.Done()
	rec, err := rs.own(r)
	rs.mu.Lock()
	if err != nil {
		delete(rs.live, r.id)
		rs.mu.Unlock()
		r.failed = err
		close(r.ready)
		return
	}
	r.fill(rec)
	if rs.byLogin[r.login] == nil {
		rs.byLogin[r.login] = make(map[*room]struct{})
	}
	rs.byLogin[r.login][r] = struct{}{}
	for c := range rs.desks[r.login] {
		r.inform(c)
	}
	rs.mu.Unlock()
	close(r.ready)
	r.run()
}

// own takes the conversation over. A panic there costs this room alone, as one in it does.
func (rs *rooms) own(r *room) (rec record, err error) {
	defer func() {
		if p := recover(); p != nil {
			rs.srv.log.Error("chatd: a conversation could not be loaded for a panic", "conv", r.id, "panic", fmt.Sprint(p), "stack", string(debug.Stack()))
			err = errPanic
		}
	}()
	return rs.srv.store.own(rs.srv.ctx, r.id)
}

// retire takes a room that nobody holds out of the living; false when somebody does, or has left something for it to do.
func (rs *rooms) retire(r *room, whatever bool) bool {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	if (r.held > 0 || len(r.inbox) > 0) && !whatever {
		return false
	}
	if rs.live[r.id] == r {
		delete(rs.live, r.id)
	}
	if delete(rs.byLogin[r.login], r); len(rs.byLogin[r.login]) == 0 {
		delete(rs.byLogin, r.login)
	}
	rs.srv.store.due.add(r.id, time.Time{})
	return true
}

// finish ends every room when it has done what was posted to it, and returns when all have ended, or with ctx.
func (rs *rooms) finish(ctx context.Context) {
	rs.mu.Lock()
	if !rs.closed {
		rs.closed = true
		close(rs.closing)
	}
	rs.mu.Unlock()
	ended := make(chan struct{})
	go func() {
		rs.running.Wait()
		close(ended)
	}()
	select {
	case <-ended:
	case <-ctx.Done():
	}
}

// attachDesk makes a desk hear of everything that happens to its login's conversations; detach ends that.
func (rs *rooms) attachDesk(login string, c *client) (detach func()) {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	if rs.desks[login] == nil {
		rs.desks[login] = make(map[*client]struct{})
	}
	rs.desks[login][c] = struct{}{}
	if t := rs.leaving[login]; t != nil {
		t.Stop()
		delete(rs.leaving, login)
	}
	for r := range rs.byLogin[login] {
		r.inform(c)
	}
	return func() { rs.detachDesk(login, c) }
}

func (rs *rooms) detachDesk(login string, c *client) {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	delete(rs.desks[login], c)
	for r := range rs.byLogin[login] {
		r.tail.drop(c)
	}
	if len(rs.desks[login]) > 0 {
		return
	}
	delete(rs.desks, login)
	if len(rs.byLogin[login]) > 0 {
		rs.leavesSoon(login)
	}
}

// leavesSoon counts the owner as having left in a while, unless a desk of his is opened before; rs.mu is held.
func (rs *rooms) leavesSoon(login string) {
	if t := rs.leaving[login]; t != nil {
		t.Stop()
	}
	rs.leaving[login] = time.AfterFunc(ownerGrace, func() { rs.ownerLeft(login) })
}

// leavesLater is leavesSoon for a room in which that could not be recorded.
func (rs *rooms) leavesLater(login string) {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	rs.leavesSoon(login)
}

// ownerLeft tells a login's rooms that the owner has left, unless a desk of his is open again.
func (rs *rooms) ownerLeft(login string) {
	rs.mu.Lock()
	var left []*room
	delete(rs.leaving, login)
	if len(rs.desks[login]) == 0 {
		for r := range rs.byLogin[login] {
			left = append(left, r)
		}
	}
	rs.mu.Unlock()
	for _, r := range left {
		r.post(rs.srv.ctx, ownerGone{})
	}
}

// attachReader notes whose reader a visit is; detach ends that.
func (rs *rooms) attachReader(v *visit) (detach func()) {
	login := v.link.Login
	rs.mu.Lock()
	defer rs.mu.Unlock()
	if rs.readers[login] == nil {
		rs.readers[login] = make(map[*visit]struct{})
	}
	rs.readers[login][v] = struct{}{}
	return func() {
		rs.mu.Lock()
		defer rs.mu.Unlock()
		if delete(rs.readers[login], v); len(rs.readers[login]) == 0 {
			delete(rs.readers, login)
		}
	}
}

// dismiss hangs up on everybody who is here for a login, or as him, and ends his rooms.
func (rs *rooms) dismiss(login string) {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	for v := range rs.readers[login] {
		v.removed.Store(true)
		v.c.leave(errorFrame{T: "error", Code: faultLink.code, Text: faultLink.text})
	}
	for c := range rs.desks[login] {
		c.leave(errorFrame{T: "error", Code: faultSignedOut.code, Text: faultSignedOut.text})
	}
	for r := range rs.byLogin[login] {
		r.remove()
	}
}

// putDesks has one desk of a login, or all of them, be sent a frame.
func (rs *rooms) putDesks(login string, one *client, f any) {
	if one != nil {
		one.put(f)
		return
	}
	rs.mu.Lock()
	defer rs.mu.Unlock()
	for c := range rs.desks[login] {
		c.put(f)
	}
}

// visitorHere tells whether the visitor of a conversation is here.
func (rs *rooms) visitorHere(conv string) bool {
	rs.mu.Lock()
	r := rs.live[conv]
	rs.mu.Unlock()
	return r != nil && r.tail.visitorHere()
}

// correct tells a desk which visitors have come or gone since its list was made.
func (rs *rooms) correct(login string, c *client, listed []Talk) {
	believed := make(map[string]bool, len(listed))
	for _, t := range listed {
		believed[t.ID] = t.Here
	}
	rs.mu.Lock()
	defer rs.mu.Unlock()
	for r := range rs.byLogin[login] {
		r.tail.correct(c, r.id, believed[r.id])
	}
}

// deskCount is how many desks a login has open.
func (rs *rooms) deskCount(login string) int {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	return len(rs.desks[login])
}

// living returns the room of a conversation that is live already, held until release; nil when it is not, or still loads.
func (rs *rooms) living(id string) *room {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	r := rs.live[id]
	if r == nil {
		return nil
	}
	select {
	case <-r.ready: // only then may its fields be looked at
	default:
		return nil
	}
	r.held++
	return r
}

// present is living for whoever can wait until the room is loaded.
func (rs *rooms) present(ctx context.Context, id string) *room {
	rs.mu.Lock()
	r := rs.live[id]
	if r != nil {
		r.held++
	}
	rs.mu.Unlock()
	if r == nil {
		return nil
	}
	select {
	case <-r.ready:
	case <-ctx.Done():
		rs.release(r)
		return nil
	}
	if r.failed != nil {
		return nil
	}
	return r
}

func (rs *rooms) isLive(id string) bool {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	return rs.live[id] != nil
}

// tells carries what the broker says about calls to rooms and database, in order for each conversation, without the broker
// waiting for either.
type tells struct {
	srv *Server

	mu      sync.Mutex
	pending map[string][]call.State
	order   []string // conversations with something pending, the longest waiting first
	working bool
	closed  bool          // nothing more is taken
	idle    chan struct{} // closed once it is closed and nothing is under way
}

const maxTold = 8 // states that wait for one conversation; then the oldest give way

func newTells(s *Server) *tells {
	return &tells{srv: s, pending: make(map[string][]call.State), idle: make(chan struct{})}
}

func (t *tells) add(conv string, state call.State) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		return
	}
	list := t.pending[conv]
	if len(list) == 0 {
		t.order = append(t.order, conv)
	}
	if len(list) == maxTold {
		list = list[1:]
	}
	t.pending[conv] = append(list, state)
	if !t.working {
		t.working = true
		go t.work()
	}
}

// close makes it take nothing more. idle is closed when what was taken is told and kept.
func (t *tells) close() (idle <-chan struct{}) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.closed {
		if t.closed = true; !t.working {
			close(t.idle)
		}
	}
	return t.idle
}

func (t *tells) work() {
	for {
		t.mu.Lock()
		if len(t.order) == 0 {
			if t.working = false; t.closed {
				close(t.idle)
			}
			t.mu.Unlock()
			return
		}
		conv := t.order[0]
		t.order = t.order[1:]
		states := t.pending[conv]
		delete(t.pending, conv)
		t.mu.Unlock()
		for _, state := range states {
			t.carry(conv, state)
		}
	}
}

// carry brings one state on; a panic loses that one only.
func (t *tells) carry(conv string, state call.State) {
	defer func() {
		if p := recover(); p != nil {
			t.srv.log.Error("chatd: telling a call's state ended by a panic", "conv", conv, "state", state, "panic", fmt.Sprint(p), "stack", string(debug.Stack()))
		}
	}()
	t.srv.carry(conv, state)
}

// carry brings one state to a room, or into the database when the conversation is not live.
func (s *Server) carry(conv string, state call.State) {
	for s.ctx.Err() == nil {
		if r := s.rooms.present(s.ctx, conv); r != nil {
			posted := r.post(s.ctx, state)
			s.rooms.release(r)
			if posted {
				return
			}
		}
		err := s.store.setState(s.ctx, conv, state)
		if err != nil && !errors.Is(err, context.Canceled) {
			s.log.Warn("chatd: a call's state was not kept", "conv", conv, "state", state, "err", err)
		}
		if !s.rooms.isLive(conv) {
			return
		}
		// A room has begun to load meanwhile, and may have read what was there before: it is told as well.
	}
}
