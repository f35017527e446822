package web

import (
	"context"
	"net/netip"
	"sync"
	"time"

	"chmail/internal/netutil"
)

// A Limiter counts what an address does and tells when that is too much. IPv6 addresses count by their /64, which is what
// one subscriber has. It keeps two windows of counts and weighs the older one by how much of it is still within reach, so
// memory is bounded and nothing needs sweeping.
type Limiter struct {
	max    int
	window time.Duration

	mu       sync.Mutex
	began    time.Time
	now, was map[netip.Prefix]int
	waiting  int
}

const (
	maxAddresses = 50_000          // counted at once; beyond that counting starts afresh, since so many addresses make a limit per address idle
	maxWaiting   = 256             // requests held back at once
	maxDelay     = 4 * time.Second // what a request is held back at most
	delayStep    = 250 * time.Millisecond
)

// NewLimiter allows max events in any window per address.
func NewLimiter(max int, window time.Duration) *Limiter {
	return &Limiter{max: max, window: window, now: make(map[netip.Prefix]int), was: make(map[netip.Prefix]int)}
}

// turn moves the windows on; l.mu is held.
func (l *Limiter) turn(now time.Time) {
	switch age := now.Sub(l.began); {
	case age >= 2*l.window:
		l.was, l.now, l.began = make(map[netip.Prefix]int), make(map[netip.Prefix]int), now
	case age >= l.window:
		l.was, l.now, l.began = l.now, make(map[netip.Prefix]int), l.began.Add(l.window)
	case len(l.now) >= maxAddresses:
		l.was, l.now, l.began = l.now, make(map[netip.Prefix]int), now
	}
}

// over is by how many events the address is past its limit; l.mu is held.
func (l *Limiter) over(p netip.Prefix, now time.Time) int {
	left := 1 - float64(now.Sub(l.began))/float64(l.window)
	return l.now[p] + int(float64(l.was[p])*left) - l.max
}

// Hit counts one event and tells whether the address is still within its limit.
func (l *Limiter) Hit(a netip.Addr) bool {
	now, p := time.Now(), netutil.Network(a)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.turn(now)
	l.now[p]++
	return l.over(p, now) <= 0
}

// Wait holds an address back that has passed its limit, longer with each event, at most 4 s. It is to be called before the
// work whose outcome a guesser wants to know, so that right and wrong guesses wait alike. False means that too many are
// held back already, or that ctx ended: refuse.
func (l *Limiter) Wait(ctx context.Context, a netip.Addr) bool {
	now, p := time.Now(), netutil.Network(a)
	l.mu.Lock()
	l.turn(now)
	over := l.over(p, now)
	if over < 0 {
		l.mu.Unlock()
		return true
	}
	if l.waiting >= maxWaiting {
		l.mu.Unlock()
		return false
	}
	l.waiting++
	l.mu.Unlock()
	defer func() {
		l.mu.Lock()
		l.waiting--
		l.mu.Unlock()
	}()
	timer := time.NewTimer(min(time.Duration(over+1)*delayStep, maxDelay))
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
