package chatd

import (
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"
)

const (
	tailEvents = 256       // a room's newest events kept in memory, for those who follow it closely
	tailBytes  = 256 << 10 // of their frames
)

// A tail is what a room publishes: its newest events, and who wants to hear of them. The room's goroutine writes, clients' writers read.
type tail struct {
	last  atomic.Int64
	ended atomic.Bool // the owner has ended the conversation

	mu      sync.Mutex
	events  []*event // the newest, without a gap
	bytes   int
	name    string                   // the visitor's
	here    bool                     // the visitor has come in and not left
	clients map[*client]string       // and on which side they are
	pace    map[string]*rate.Limiter // how fast each guest may talk
	typed   map[string]time.Time     // when a side was last said to be writing
	reach   map[string]reach         // how far each side has come
}

// newest is the number of the newest event that is committed.
func (t *tail) newest() int64 { return t.last.Load() }

// publish makes committed events known.
func (t *tail) publish(list []*event) {
	if len(list) == 0 {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, e := range list {
		t.events = append(t.events, e)
		t.bytes += len(e.wire)
	}
	drop := 0
	for len(t.events)-drop > 1 && (len(t.events)-drop > tailEvents || t.bytes > tailBytes) {
		t.bytes -= len(t.events[drop].wire)
		t.events[drop] = nil
		drop++
	}
	t.events = t.events[drop:]
	t.last.Store(list[len(list)-1].N)
	for c := range t.clients {
		c.nudge()
	}
}

// after returns the events behind number n, if they are still here.
func (t *tail) after(n int64) ([]*event, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.events) == 0 || n+1 < t.events[0].N {
		return nil, false
	}
	from := n + 1 - t.events[0].N
	if from >= int64(len(t.events)) {
		return nil, true
	}
	return slices.Clone(t.events[from:]), true
}

func (t *tail) setName(name string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.name = name
}

func (t *tail) visitorName() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.name
}

// visitorIs notes whether the visitor is here, and tells the owner's desks.
func (t *tail) visitorIs(here bool, conv string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.here = here
	for c, on := range t.clients {
		if on == owner {
			c.put(readerFrame{T: "reader", Conv: conv, Here: here})
		}
	}
}

// visitorHere tells whether the visitor is here.
func (t *tail) visitorHere() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.here
}

// correct tells a desk whether the visitor is here, unless that is what it believes; in turn with what visitorIs tells it.
func (t *tail) correct(c *client, conv string, believed bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.here != believed {
		c.put(readerFrame{T: "reader", Conv: conv, Here: t.here})
	}
}

// add makes a client hear of new events, and of what else is told to its side.
func (t *tail) add(c *client, side string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.clients[c] = side
}

func (t *tail) drop(c *client) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.clients, c)
}

// tell puts a frame into the queue of every client, or of those on one side.
func (t *tail) tell(f any, side string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for c, on := range t.clients {
		if side == "" || side == on {
			c.put(f)
		}
	}
}

// dismiss hangs up on everybody, saying why.
func (t *tail) dismiss(f any) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for c := range t.clients {
		c.leave(f)
	}
}
