package chatd

import (
	"context"
	"fmt"
	"runtime/debug"
	"sync"
)

// A crowd is everybody who is connected, so that a server that stops can say goodbye.
type crowd struct {
	closing chan struct{} // closed once the server stops
	empty   chan struct{} // closed when it has stopped and the last has left

	mu sync.Mutex
	in map[*client]struct{}
	by func() farewell // set once the server stops

	counts counts
}

func newCrowd() crowd {
	return crowd{closing: make(chan struct{}), empty: make(chan struct{}), in: make(map[*client]struct{})}
}

// admit begins to write to a client, until done is called or the server has stopped. It is false when the server is stopping; the
// client has then been told.
func (s *Server) admit(ctx context.Context, c *client) (done func(), ok bool) {
	stop := context.AfterFunc(s.ctx, c.hang)
	ok = s.crowd.enter(c)
	go s.write(ctx, c)
	if !ok {
		<-c.ended
	}
	return func() {
		c.hang()
		<-c.ended
		stop()
		s.crowd.leave(c)
	}, ok
}

// write is a client's writing goroutine; a panic in it ends that connection only.
func (s *Server) write(ctx context.Context, c *client) {
	defer func() {
		if p := recover(); p != nil {
			s.log.Error("chatd: a connection ended by a panic", "panic", fmt.Sprint(p), "stack", string(debug.Stack()))
		}
	}()
	c.write(ctx)
}

func (w *crowd) enter(c *client) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.by != nil {
		c.leave(w.by())
		return false
	}
	w.in[c] = struct{}{}
	return true
}

func (w *crowd) leave(c *client) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if _, was := w.in[c]; !was {
		return
	}
	if delete(w.in, c); len(w.in) == 0 && w.by != nil {
		close(w.empty)
	}
}

// dismiss says goodbye to everybody and lets nobody else in. empty is closed when the last has left.
func (w *crowd) dismiss(by func() farewell) (empty <-chan struct{}) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.by != nil {
		return w.empty
	}
	w.by = by
	close(w.closing)
	for c := range w.in {
		c.leave(by())
	}
	if len(w.in) == 0 {
		close(w.empty)
	}
	return w.empty
}

// isClosing tells whether the server is stopping.
func (s *Server) isClosing() bool {
	select {
	case <-s.crowd.closing:
		return true
	default:
		return false
	}
}
