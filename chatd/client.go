package chatd

import (
	"context"
	"fmt"
	"sync"
	"time"
)

const (
	queueLength = 128              // frames that wait for one client; events do not wait here, they are pulled
	deskQueue   = 512              // the same for a desk, which hears of every call at the owner's door at once
	pingEvery   = 25 * time.Second // keeps middle boxes from forgetting the connection
	pongWithin  = 10 * time.Second // a peer that does not answer a ping so long is gone
	takeWithin  = 10 * time.Second // a peer that does not take a frame so long is hung up on
)

// A voice is how a client is spoken to: in frames on a WebSocket, or in lines.
type voice interface {
	// send writes a frame or an event; it may be gathered until flush.
	send(ctx context.Context, f any) error
	flush(ctx context.Context) error
	// ping finds out whether the peer is still there; nil where the protocol has no way to.
	ping(ctx context.Context) error
	// close says last, a farewell or an errorFrame, and hangs up.
	close(last any)
}

// A client is one connection of a person: a reader's page, a terminal or a desk. Whoever has something for it puts it into the queue, which never
// waits; its writer sends that, and pulls the events of the rooms that it follows.
type client struct {
	voice voice
	queue chan any      // frames, and follow
	wake  chan struct{} // there may be new events; holds one
	last  chan any      // what is said before hanging up; holds one, the first reason
	ended chan struct{} // closed when the writer has ended
	hang  context.CancelFunc

	follows map[string]*follow // by conversation; the writer's own

	mu    sync.Mutex
	fresh map[string]follow // rooms that inform has named; not in the queue, since there can be any number
}

// A follow makes a client's writer pull a room's events from behind last on.
type follow struct {
	room   *room
	last   int64
	since  int64 // number of the first event that the client may know of; 0: he may know of all
	opened bool  // asked for by the client, not only for its information
}

func newClient(v voice, hang context.CancelFunc) *client {
	return &client{
		voice: v, queue: make(chan any, queueLength), wake: make(chan struct{}, 1), last: make(chan any, 1),
		ended: make(chan struct{}), hang: hang, follows: make(map[string]*follow),
	}
}

// put queues a frame. A client whose queue is full is hung up on: it comes back and resumes by number.
func (c *client) put(f any) {
	select {
	case c.queue <- f:
	default:
		c.leave(bye("slow", time.Second))
	}
}

// inform makes the client hear of a room's events from behind the newest on.
func (c *client) inform(r *room) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.fresh == nil {
		c.fresh = make(map[string]follow)
	}
	c.fresh[r.id] = follow{room: r, last: r.tail.newest()}
	c.nudge()
}

// informed begins to follow the rooms that inform has named.
func (c *client) informed() {
	c.mu.Lock()
	fresh := c.fresh
	c.fresh = nil
	c.mu.Unlock()
	for _, f := range fresh {
		c.take(f)
	}
}

// nudge tells the writer that there may be new events.
func (c *client) nudge() {
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

// leave hangs up, saying why; the first reason counts.
func (c *client) leave(f any) {
	select {
	case c.last <- f:
	default:
	}
}

// write is the client's writing goroutine. It ends with ctx, when the peer does not take what is sent, or with leave.
func (c *client) write(ctx context.Context) {
	defer close(c.ended)
	defer c.hang()
	ping := time.NewTicker(pingEvery)
	defer ping.Stop()
	var err error
	for err == nil {
		select {
		case <-ctx.Done():
			err = ctx.Err()
		case f := <-c.last:
			c.finish(ctx, f)
			return
		case f := <-c.queue:
			err = c.deliver(ctx, f)
		case <-c.wake:
			err = c.pull(ctx)
		case <-ping.C:
			go c.ping(ctx) // beside the writing: the answer may take its time
		}
		if err == nil && len(c.queue) == 0 && len(c.wake) == 0 {
			err = c.voice.flush(ctx)
		}
	}
	select {
	case f := <-c.last: // there was a reason, and the peer may still be there to hear it
		c.finish(ctx, f)
	default:
	}
}

func (c *client) ping(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, pongWithin)
	defer cancel()
	if c.voice.ping(ctx) != nil {
		c.hang()
	}
}

// finish sends what is queued, says last and hangs up.
func (c *client) finish(ctx context.Context, last any) {
	for len(c.queue) > 0 && c.deliver(ctx, <-c.queue) == nil {
	}
	c.voice.close(last)
}

// deliver sends one thing from the queue. Before an acknowledgement come all events up to it, so that what a terminal prints is in order.
func (c *client) deliver(ctx context.Context, f any) error {
	switch f := f.(type) {
	case follow:
		c.take(f)
		return nil
	case ackFrame:
		c.informed()
		for w := c.follows[f.Conv]; w != nil && w.room != nil && w.last < f.N; {
			if err := c.page(ctx, w); err != nil {
				return err
			}
		}
	}
	return c.voice.send(ctx, f)
}

// take begins to follow a room. What the client asked for counts more than what it is merely told of.
func (c *client) take(f follow) {
	old := c.follows[f.room.id]
	if old != nil && old.opened && !f.opened {
		old.room = f.room // live again: go on where it was
	} else {
		c.follows[f.room.id] = &f
	}
	c.nudge()
}

// pull sends new events of every room that is followed, a page of each; what is left is for the next time.
func (c *client) pull(ctx context.Context) error {
	c.informed()
	for id, f := range c.follows {
		if f.room == nil {
			continue
		}
		if f.last < f.room.tail.newest() {
			if err := c.page(ctx, f); err != nil {
				return err
			}
		}
		if f.last < f.room.tail.newest() {
			c.nudge()
			continue
		}
		if f.room.over() {
			if f.room = nil; !f.opened {
				delete(c.follows, id)
			}
		}
	}
	return nil
}

func (c *client) page(ctx context.Context, f *follow) error {
	list, err := f.room.after(ctx, f.last)
	if err != nil {
		if ctx.Err() == nil {
			f.room.srv.log.Error("chatd: events could not be read", "conv", f.room.id, "after", f.last, "err", err)
			c.leave(bye("trouble", troubleTime))
		}
		return err
	}
	if len(list) == 0 {
		return c.gap(f)
	}
	for _, e := range list {
		if e.N != f.last+1 {
			return c.gap(f)
		}
		if e, err = e.masked(f.since, f.room.id, f.room.tail.visitorName()); err != nil {
			return err
		}
		if err := c.voice.send(ctx, e); err != nil {
			return err
		}
		f.last = e.N
	}
	return nil
}

// gap hangs up because an event is missing: there is never a silent one.
func (c *client) gap(f *follow) error {
	c.leave(errorFrame{T: "error", Code: faultGap.code, Text: faultGap.text, Conv: f.room.id})
	return fmt.Errorf("the event after %d is missing", f.last)
}
