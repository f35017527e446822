package chbroker

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"chmail/internal/call"
	"chmail/internal/sqldb"
)

// Range is the span of chat ports, both ends included.
type Range struct{ First, Last int }

// Times are the durations of the broker; zero takes the default named with each.
type Times struct {
	PageAge  time.Duration // a page rings no sooner than this after it was opened; 2 s
	Ring     time.Duration // one ring; 30 s
	Pause    time.Duration // between two rings; 30 s
	Rings    int           // rings before word is left; 3
	Ack      time.Duration // a ring that no device has acknowledged by then was not delivered; 10 s
	Verify   time.Duration // a page that goes sooner than this after the ring was nobody's visit; 5 s
	Grace    time.Duration // a reader who comes back within this is in the same call; 15 s
	Again    time.Duration // between two new beginnings of the same call by signs of the owner; 15 s
	MailSign time.Duration // how long a mail client's login is evidence; 15 min
	DeskSign time.Duration // how long a device that has not been heard of is; 90 s
	Active   time.Duration // a person's input makes the login active for this long; 1 min
	Budget   time.Duration // for waiting on the maps; 40 ms
	Moment   time.Duration // an owner who comes in a moment is rung for again after this; 2 min
	WordTimes
	PortTimes
}

// WordTimes are the durations of the word that is left.
type WordTimes struct {
	Merge time.Duration // one notice per conversation in this time, later calls wait for the next; 15 min
	Words time.Duration // word of a reader who is there and has written nothing waits so long for what he writes; 0: not at all
}

// PortTimes are the durations of the port map. The zero value takes the defaults.
type PortTimes struct {
	Lease    time.Duration // life of a port's lease; 30 days
	PortIdle time.Duration // a port that was used within this is not taken from its login; 10 min
}

// Options are what a Broker is made from.
type Options struct {
	DB       *sqldb.DB // carries Schema
	Maps     Maps      // the broker closes them
	Host     string    // chat host for CH-Host, without port
	URL      string    // what links begin with: scheme and host, without a path
	Ports    Range
	LinkLife time.Duration // 0: 30 days
	Times    Times
	Limits   Limits

	// Names gives the display name of a login, "" for none. Nil: nobody has one.
	Names func(ctx context.Context, login string) (string, error)
	// Word leaves word for an owner; nil means that it is durable. It is called from goroutines of their own, again after a failure, and
	// rarely twice for the same call after a crash.
	Word func(ctx context.Context, w call.Word) error
	// Tell tells the reader of a conversation where his call stands; called by one goroutine, in order.
	Tell func(conv string, s call.State)
	// Push reaches owners who have no desk open. Nil: it reaches nobody.
	Push Pusher
	// Wishes is how owners want to be rung for. Nil: at all times, and at once.
	Wishes Wishes
	// Listening gives the ports with a running listener. Nil: none has.
	Listening func() []int
	Log       *slog.Logger // nil: slog.Default()
}

// Wishes is how owners want to be rung for. Its methods do not wait.
type Wishes interface {
	// Quiet tells whether nothing rings for a login at a time.
	Quiet(login string, now time.Time) bool
	// Turns is when that begins or ends next; zero when it never does.
	Turns(login string, now time.Time) time.Time
	// Terms are those on which a login is rung for by links that have none of their own; "": at once.
	Terms(login string) call.Terms
}

// whenever wishes for nothing.
type whenever struct{}

func (whenever) Quiet(string, time.Time) bool          { return false }
func (whenever) Turns(string, time.Time) (t time.Time) { return t }
func (whenever) Terms(string) call.Terms               { return "" }

// A Pusher wakes an owner's browsers though his desk is closed. Its methods do not wait, and are called by one goroutine.
type Pusher interface {
	// Has tells whether there is a browser to be woken.
	Has(login string) bool
	// Ring says that somebody rings, for as long as ttl. A browser that has shown it says so through Rung.
	Ring(login string, a call.Alert, ttl time.Duration)
	// Missed says that a call went unanswered.
	Missed(login string, a call.Alert)
	// Over says that a call that rang rings no more, and was not missed: it was answered or declined elsewhere, or its reader was none.
	Over(login string, a call.Alert)
}

// nobody has no browsers.
type nobody struct{}

func (nobody) Has(string) bool                        { return false }
func (nobody) Ring(string, call.Alert, time.Duration) {}
func (nobody) Missed(string, call.Alert)              {}
func (nobody) Over(string, call.Alert)                {}

// Broker is the CH server (50). Its methods may be called by many goroutines.
type Broker struct {
	o        Options
	times    Times
	log      *slog.Logger
	guard    *guard
	answers  atomic.Bool // the maps answered the keeper last time, slowly or not
	presence *presence
	ports    *ports
	names    *names
	board    *board
	fresh    *fresh
	gone     *gone

	ctx   context.Context // ends at Close
	work  *crew
	close func() error
	watch Watch
}

// crew is the broker's goroutines, all of which end at Close.
type crew struct {
	log    *slog.Logger
	mu     sync.Mutex
	ended  bool
	active sync.WaitGroup
}

// start runs f unless the end has begun.
func (c *crew) start(f func()) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.ended {
		c.active.Go(func() { c.contained(f) })
	}
	return !c.ended
}

// contained runs f and tells whether it came to its end; a panic is logged, and costs nobody else anything.
func (c *crew) contained(f func()) (ok bool) {
	defer func() {
		if p := recover(); p != nil {
			c.log.Error("panic in the broker", "panic", p, "stack", string(debug.Stack()))
		}
	}()
	f()
	return true
}

// forever runs f until ctx ends, again a moment after a panic.
func (c *crew) forever(ctx context.Context, f func(context.Context)) {
	for !c.contained(func() { f(ctx) }) {
		select {
		case <-ctx.Done():
			return
		case <-time.After(afterPanic):
		}
	}
}

// afterPanic is how long what must go on rests after a panic.
const afterPanic = time.Second

func (c *crew) wait() {
	c.mu.Lock()
	c.ended = true
	c.mu.Unlock()
	c.active.Wait()
}

// New makes a broker. Nothing of it runs before Start; a fault is that of an option.
func New(o Options) (*Broker, error) {
	switch {
	case o.DB == nil || o.Maps == nil || o.Word == nil || o.Tell == nil:
		return nil, errors.New("the broker needs a database, maps, and somebody to leave word and to tell the reader")
	case o.Host == "" || o.URL == "":
		return nil, errors.New("the broker needs the chat host and the URL that links begin with")
	case o.Ports.First < 1 || o.Ports.Last > 65535 || o.Ports.First > o.Ports.Last:
		return nil, fmt.Errorf("chat ports %d-%d: not a range of ports", o.Ports.First, o.Ports.Last)
	}
	if o.Log == nil {
		o.Log = slog.Default()
	}
	if o.LinkLife <= 0 {
		o.LinkLife = 30 * day
	}
	if o.Names == nil {
		o.Names = func(context.Context, string) (string, error) { return "", nil }
	}
	if o.Push == nil {
		o.Push = nobody{}
	}
	if o.Wishes == nil {
		o.Wishes = whenever{}
	}
	if o.Listening == nil {
		o.Listening = func() []int { return nil }
	}
	o.URL = strings.TrimSuffix(o.URL, "/")
	o.Times, o.Limits = o.Times.orDefault(), o.Limits.orDefault()
	b := &Broker{o: o, times: o.Times, log: o.Log, presence: newPresence(), fresh: newFresh(), gone: &gone{}, work: &crew{log: o.Log}}
	ctx, cancel := context.WithCancel(context.Background())
	b.ctx = ctx
	b.guard = &guard{maps: o.Maps, budget: o.Times.Budget, log: o.Log}
	b.ports = newPorts(b)
	b.names = newNames(b)
	b.board = newBoard(b)
	b.close = sync.OnceValue(func() error {
		cancel()
		return b.shut()
	})
	return b, nil
}

const day = 24 * time.Hour

func (t Times) orDefault() Times {
	def := func(d *time.Duration, otherwise time.Duration) {
		if *d <= 0 {
			*d = otherwise
		}
	}
	def(&t.PageAge, 2*time.Second)
	def(&t.Ring, 30*time.Second)
	def(&t.Pause, 30*time.Second)
	def(&t.Ack, 10*time.Second)
	def(&t.Verify, 5*time.Second)
	def(&t.Grace, 15*time.Second)
	def(&t.Again, 15*time.Second)
	def(&t.Merge, 15*time.Minute)
	def(&t.MailSign, 15*time.Minute)
	def(&t.DeskSign, 90*time.Second)
	def(&t.Active, time.Minute)
	def(&t.Moment, 2*time.Minute)
	def(&t.Budget, 40*time.Millisecond)
	def(&t.Lease, 30*day)
	def(&t.PortIdle, 10*time.Minute)
	if t.Rings <= 0 {
		t.Rings = 3
	}
	return t
}

// Start takes up the calls that the last process left open or without word, and begins to work. Options' functions are called from now on.
func (b *Broker) Start(ctx context.Context) error {
	if err := errors.Join(b.loadRhythms(ctx), b.loadFresh(ctx), b.loadGone(ctx), b.loadRests(ctx)); err != nil {
		return err
	}
	kept, err := b.loadCalls(ctx)
	if err != nil {
		return fmt.Errorf("taking up calls: %w", err)
	}
	b.board.resume(kept)
	for _, f := range []func(context.Context){b.keepMaps, b.keepSQL, b.board.run, b.board.tells.run, b.board.saves.run} {
		if !b.work.start(func() { b.work.forever(b.ctx, f) }) {
			return errors.New("the broker is closed")
		}
	}
	return nil
}

// Close ends the work, writes what is not written yet, and closes the maps. Calls that are open are taken up by the next Start.
func (b *Broker) Close() error { return b.close() }

func (b *Broker) shut() error {
	b.board.rests.stop()
	b.work.wait()
	ctx, cancel := context.WithTimeout(context.Background(), closing)
	defer cancel()
	b.board.flush(ctx)
	return errors.Join(b.writeSigns(ctx, 0), b.guard.maps.Close())
}

// closing is how long Close may take to write what is left.
const closing = 3 * time.Second
