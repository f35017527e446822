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
)

var errLate = errors.New("the broker did not answer in time")

// cards asks the broker for cards, and never lets a mail suffer for it.
type cards struct {
	broker Broker
	log    *slog.Logger

	mu     sync.Mutex
	misses int       // in a row
	until  time.Time // while the breaker is open, nobody asks before then
}

// get returns a card, or one that names the login only.
func (c *cards) get(ctx context.Context, login string) call.Card {
	none := call.Card{Login: login}
	if !c.may() {
		return none
	}
	card, err := c.ask(ctx, login)
	if opened := c.note(err); opened {
		c.log.Warn("intake: no cards for a while, mails go out without a link", "for", cardRecover, "err", err)
	} else if err != nil {
		c.log.Warn("intake: a mail goes out without a link", "login", login, "err", err)
	}
	if err != nil {
		return none
	}
	return card
}

// may tells whether the broker may be asked; while the breaker is open, one mail in cardRecover may.
func (c *cards) may() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.misses < cardMisses {
		return true
	}
	now := time.Now()
	if now.Before(c.until) {
		return false
	}
	c.until = now.Add(cardRecover)
	return true
}

// note counts the outcome and tells whether the breaker has just opened.
func (c *cards) note(err error) (opened bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err == nil {
		c.misses = 0
		return false
	}
	if c.misses++; c.misses != cardMisses {
		return false
	}
	c.until = time.Now().Add(cardRecover)
	return true
}

type answer struct {
	card call.Card
	err  error
}

// ask waits for the broker no longer than the budget, whether or not it minds its context. The breaker bounds how many can be left behind.
func (c *cards) ask(ctx context.Context, login string) (call.Card, error) {
	ctx, cancel := context.WithTimeout(ctx, cardBudget)
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
		return call.Card{}, errLate
	}
}
