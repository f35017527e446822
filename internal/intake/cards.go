package intake

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"sync"
	"time"

	"chmail/internal/call"
)

const (
	cardBudget  = 50 * time.Millisecond // what a mail waits for its card at most (design 1)
	cardMisses  = 5                     // misses in a row after which nobody is asked for a while
	cardRecover = 5 * time.Second       // that while; then one mail asks
	cardHanging = 64                    // calls that nobody waits for any more; while there are so many, no other is begun
)

var (
	errLate  = errors.New("the broker did not answer in time")
	errTired = errors.New("the broker is left alone for a while")
)

// cards asks the broker for cards, and never lets a mail suffer for it.
type cards struct {
	broker Broker
	budget time.Duration // of a mail: cardBudget
	log    *slog.Logger

	mu      sync.Mutex
	misses  int       // in a row
	until   time.Time // while the breaker is open, nobody asks before then
	hanging int
}

// What a mail goes out without when the broker misses.
const (
	withoutLink = "a mail goes out without a link"
	withoutHost = "a mail goes out without its sender's own address"
)

// get returns a card, or the reason why there is none. With publish, its host is the owner's own latest address, where there is one (R4).
func (c *cards) get(ctx context.Context, login string, publish bool) (call.Card, error) {
	if !c.may() {
		return call.Card{}, errTired
	}
	within, cancel := context.WithTimeout(ctx, c.budget) // for both questions
	defer cancel()
	what := withoutLink
	card, err := ask(within, c, func(ctx context.Context) (call.Card, error) { return c.broker.Card(ctx, login) })
	got := err == nil
	if got && publish {
		var ip netip.Addr
		what = withoutHost
		if ip, err = ask(within, c, func(ctx context.Context) (netip.Addr, error) { return c.broker.Latest(ctx, login) }); err == nil && usable(ip) {
			card.Host = ip.Unmap().WithZone("").String()
		}
	}
	if err != nil && ctx.Err() != nil {
		return call.Card{}, ctx.Err() // says nothing about the broker
	}
	c.note(login, what, err)
	if !got {
		return call.Card{}, err
	}
	return card, nil
}

// wrote tells whether a link is that of a mail of login's; no where the broker does not say so in time.
func (c *cards) wrote(ctx context.Context, login, link string) bool {
	if !c.may() {
		return false
	}
	within, cancel := context.WithTimeout(ctx, c.budget)
	defer cancel()
	yes, err := ask(within, c, func(ctx context.Context) (bool, error) { return c.broker.Wrote(ctx, login, link) })
	if ctx.Err() == nil {
		c.note(login, "an older chat line stays", err)
	}
	return yes && err == nil
}

// usable tells whether an address means the same computer to somebody elsewhere, or at least in the same network: not the reader's own.
func usable(ip netip.Addr) bool { return ip.Unmap().IsGlobalUnicast() }

// may tells whether the broker may be asked; while the breaker is open, one mail in cardRecover may.
func (c *cards) may() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.hanging >= cardHanging:
		return false
	case c.misses < cardMisses:
		return true
	}
	now := time.Now()
	if now.Before(c.until) {
		return false
	}
	c.until = now.Add(cardRecover)
	return true
}

// note counts how it went with the broker; nil is well. what says how the mail went on otherwise.
func (c *cards) note(login, what string, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err == nil {
		if c.misses >= cardMisses {
			c.log.Info("intake: the broker gives cards again")
		}
		c.misses = 0
		return
	}
	c.misses++
	c.log.Warn("intake: "+what, "login", login, "err", err)
	if c.misses == cardMisses {
		c.until = time.Now().Add(cardRecover)
		c.log.Warn("intake: mails go out without a link for a while", "for", cardRecover)
	}
}

type answer[T any] struct {
	v   T
	err error
}

// ask waits for the broker until ctx ends, whether or not it minds that.
func ask[T any](ctx context.Context, c *cards, f func(context.Context) (T, error)) (T, error) {
	done := make(chan answer[T], 1)
	go func() {
		var a answer[T]
		defer func() {
			if v := recover(); v != nil {
				a = answer[T]{err: fmt.Errorf("the broker panicked: %v", v)}
			}
			done <- a
		}()
		a.v, a.err = f(ctx)
	}()
	select {
	case a := <-done:
		return a.v, a.err
	case <-ctx.Done():
		c.leave(func() { <-done })
		var none T
		return none, errLate
	}
}

// leave counts a call that nobody waits for any more until it is over.
func (c *cards) leave(until func()) {
	c.mu.Lock()
	c.hanging++
	c.mu.Unlock()
	go func() {
		until()
		c.mu.Lock()
		c.hanging--
		c.mu.Unlock()
	}()
}
