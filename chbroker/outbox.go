package chbroker

import (
	"context"
	"log/slog"
	"runtime/debug"
	"sync"
)

// outbox hands things over one at a time and in order, from a goroutine of its own, so that whoever adds never waits. Once
// most wait, a newer thing takes the place of the waiting one with the same key, which it makes meaningless. So no more than most wait, or one for
// each key there is, whichever is more: the keys are open calls and the calls last missed, which are bounded elsewhere.
type outbox[T any] struct {
	most    int
	key     func(T) string
	deliver func(T)
	log     *slog.Logger
	wake    chan struct{}

	mu     sync.Mutex
	queue  []T
	closed bool
}

func newOutbox[T any](most int, key func(T) string, deliver func(T), log *slog.Logger) *outbox[T] {
	return &outbox[T]{most: most, key: key, deliver: deliver, log: log, wake: make(chan struct{}, 1)}
}

func (o *outbox[T]) add(things ...T) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, t := range things {
		if !o.replace(t) {
			o.queue = append(o.queue, t)
		}
	}
	select {
	case o.wake <- struct{}{}:
	default: // it has been woken already
	}
}

// replace puts t in the place of a waiting thing with its key when the box is full. o.mu is held.
func (o *outbox[T]) replace(t T) bool {
	if len(o.queue) < o.most {
		return false
	}
	for i := len(o.queue) - 1; i >= 0; i-- {
		if o.key(o.queue[i]) == o.key(t) {
			o.queue[i] = t
			return true
		}
	}
	return false
}

func (o *outbox[T]) next() (t T, ok bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.closed || len(o.queue) == 0 {
		o.queue = nil
		return t, false
	}
	t = o.queue[0]
	o.queue = o.queue[1:]
	return t, true
}

// hand delivers one thing. A panic costs that thing and no other.
func (o *outbox[T]) hand(t T) {
	defer func() {
		if p := recover(); p != nil {
			o.log.Error("panic while something was handed over", "about", o.key(t), "panic", p, "stack", string(debug.Stack()))
		}
	}()
	o.deliver(t)
}

// run delivers until ctx ends or the box is closed; a delivery under way is finished.
func (o *outbox[T]) run(ctx context.Context) {
	for {
		for t, ok := o.next(); ok; t, ok = o.next() {
			o.hand(t)
			if ctx.Err() != nil {
				return
			}
		}
		o.mu.Lock()
		closed := o.closed
		o.mu.Unlock()
		if closed {
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-o.wake:
		}
	}
}

// close ends run; what still waits is not delivered.
func (o *outbox[T]) close() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.closed = true
	select {
	case o.wake <- struct{}{}:
	default: // it has been woken already
	}
}
