package chatd

import (
	"net/netip"
	"sync"
	"time"

	"chmail/internal/call"
	"chmail/internal/netutil"
	"chmail/internal/web"
)

const (
	missesPerMinute = 20   // tokens that lead nowhere, from one network; beyond that each is answered more slowly
	freshPerNet     = 30   // conversations begun from one network in ten minutes
	freshPerLink    = 200  // conversations begun through one link in an hour
	desksPerLogin   = 32   // desks open at once
	codesPerHour    = 20   // made for one conversation
	guessesPerNet   = 20   // codes typed in one network in ten minutes, right ones as well
	guessesInAll    = 1000 // codes that did not work, typed anywhere in ten minutes: of 2^60 that there are
	maxOpenings     = 20_000
	openingAge      = 12 * time.Hour // a page that has been open for longer counts as opened when its socket came
)

// limits bound what strangers can make this server do.
type limits struct {
	perNet  int
	misses  *web.Limiter
	fresh   *web.Limiter
	links   *tally
	finders *finders     // who looks through his conversations
	codes   *tally       // by conversation
	proofs  *web.Limiter // codes for addresses, by network
	posts   posts
	invites *invites // of colleagues

	guesses *web.Limiter // at codes
	missed  *tally       // all that were wrong, as 0

	mu    sync.Mutex
	byNet map[netip.Prefix]int // readers' connections
}

func newLimits(perNet int) *limits {
	return &limits{
		perNet: perNet, byNet: make(map[netip.Prefix]int),
		misses:  web.NewLimiter(missesPerMinute, time.Minute),
		fresh:   web.NewLimiter(freshPerNet, 10*time.Minute),
		links:   &tally{window: time.Hour, max: freshPerLink},
		finders: newFinders(),
		codes:   &tally{window: time.Hour, max: codesPerHour},
		proofs:  web.NewLimiter(proofPerNet, proofWindow), posts: newPosts(), invites: newInvites(),

		guesses: web.NewLimiter(guessesPerNet, 10*time.Minute),
		missed:  &tally{window: 10 * time.Minute, max: guessesInAll},
	}
}

// enter counts a reader's connection; false when its network has as many as it may.
func (l *limits) enter(a netip.Addr) (leave func(), ok bool) {
	p := netutil.Network(a)
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.byNet[p] >= l.perNet {
		return nil, false
	}
	l.byNet[p]++
	return sync.OnceFunc(func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		if l.byNet[p]--; l.byNet[p] == 0 {
			delete(l.byNet, p)
		}
	}), true
}

// begin counts a conversation that is about to be made; false when there were too many.
func (l *limits) begin(link call.Link, a netip.Addr) bool {
	return l.fresh.Hit(a) && l.links.hit(link.ID, time.Now())
}

// A tally counts events by link, or another number, in windows one after the other.
type tally struct {
	window time.Duration
	max    int

	mu    sync.Mutex
	began time.Time
	count map[int64]int
}

func (t *tally) hit(id int64, now time.Time) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.count == nil || now.Sub(t.began) >= t.window || len(t.count) >= maxOpenings {
		t.began, t.count = now, make(map[int64]int)
	}
	t.count[id]++
	return t.count[id] <= t.max
}

// over tells whether no more events are allowed at the moment.
func (t *tally) over(id int64, now time.Time) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.count[id] >= t.max && now.Sub(t.began) < t.window
}

// openings remember when a visitor's page was opened: the alarm sounds only once the page is two seconds old. Two generations
// bound the memory without any sweeping.
type openings struct {
	mu       sync.Mutex
	now, old map[doorKey]time.Time
}

func newOpenings() *openings { return &openings{now: make(map[doorKey]time.Time)} }

func (o *openings) opened(link int64, v visitorID, at time.Time) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.now) >= maxOpenings/2 {
		o.old, o.now = o.now, make(map[doorKey]time.Time)
	}
	o.now[doorKey{link, v}] = at
}

// when is when the page was opened, or else the moment given.
func (o *openings) when(k doorKey, otherwise time.Time) time.Time {
	o.mu.Lock()
	defer o.mu.Unlock()
	at, ok := o.now[k]
	if !ok {
		at, ok = o.old[k]
	}
	if !ok || otherwise.Sub(at) > openingAge {
		return otherwise
	}
	return at
}

// A doorKey is a visitor with a link, before and after there is a conversation.
type doorKey struct {
	link    int64
	visitor visitorID
}

// doors let one connection of each visitor with a link be the one that counts.
type doors struct {
	mu sync.Mutex
	in map[doorKey]*client
}

// replaceAfter is how long a replaced connection stays open. Of two sockets of one page the second may be let in although the first was; the page then
// closes the first by itself, and must not read there that another window has taken over.
const replaceAfter = time.Second

func newDoors() *doors { return &doors{in: make(map[doorKey]*client)} }

// enter makes c the visitor's connection; an earlier one is hung up on.
func (d *doors) enter(k doorKey, c *client) (leave func()) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if old := d.in[k]; old != nil {
		time.AfterFunc(replaceAfter, func() { old.leave(bye("replaced", 0)) })
	}
	d.in[k] = c
	return func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		if d.in[k] == c {
			delete(d.in, k)
		}
	}
}
