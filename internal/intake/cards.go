package intake

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
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

// get returns a card, or the reason why there is none.
func (c *cards) get(ctx context.Context, login string) (call.Card, error) {
	if !c.may() {
		return call.Card{}, errTired
	}
	card, err := c.ask(ctx, login)
	if err != nil && ctx.Err() != nil {
		return call.Card{}, ctx.Err() // says nothing about the broker
	}
	c.note(login, err)
	if err != nil {
		return call.Card{}, err
	}
	return card, nil
}

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

// note counts how it went with the broker; nil is well.
func (c *cards) note(login string, err error) {
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
	c.log.Warn("intake: a mail goes out without a link", "login", login, "err", err)
	if c.misses == cardMisses {
		c.until = time.Now().Add(cardRecover)
		c.log.Warn("intake: mails go out without a link for a while", "for", cardRecover)
	}
}

type answer struct {
	card call.Card
	err  error
}

// ask waits for the broker no longer than the budget, whether or not it minds its context.
func (c *cards) ask(ctx context.Context, login string) (call.Card, error) {
	ctx, cancel := context.WithTimeout(ctx, c.budget)
	defer cancel()
	done := make(chan answer, 1)
	go func() {
		var a answer
		defer func() {
			if v := recover(); v != nil {
				a = answer{err: fmt.Errorf("the broker panicked: %v", v)}
			}
			done <- a
		}()
		a.card, a.err = c.broker.Card(ctx, login)
	}()
	select {
	case a := <-done:
		return a.card, a.err
	case <-ctx.Done():
		c.leave(done)
		return call.Card{}, errLate
	}
}

// leave counts a call that nobody waits for any more until it is over.
func (c *cards) leave(done <-chan answer) {
	c.mu.Lock()
	c.hanging++
	c.mu.Unlock()
	go func() {
		<-done
		c.mu.Lock()
		c.hanging--
		c.mu.Unlock()
	}()
}
