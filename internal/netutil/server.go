package netutil

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"runtime/debug"
	"sync"
	"time"
)

// ServerOptions are what a Server needs; zero numbers take the defaults named with them.
type ServerOptions struct {
	Log     *slog.Logger // nil: slog.Default()
	Conns   int          // connections at once; 4096
	PerNet  int          // of them from one IPv4 address or one IPv6 /64; 128
	Busy    []byte       // said in plaintext to a connection beyond the caps; nil: nothing
	Limits  Limits
	Handler func(ctx context.Context, c *Conn) // the connection is closed when it returns
}

// A Server accepts connections on any number of listeners and runs the handler on each. Connections beyond the caps are closed before anything, a
// TLS handshake above all, was spent on them. A panic in a handler ends its connection only.
type Server struct {
	opt  ServerOptions
	ctx  context.Context
	stop context.CancelFunc

	mu        sync.Mutex
	stopping  bool
	listeners map[net.Listener]struct{}
	conns     map[*Conn]struct{}
	total     int
	taken     uint64 // since the beginning
	refused   uint64
	byNet     map[netip.Prefix]int
	handlers  sync.WaitGroup
}

// NewServer makes a server; Serve starts it.
func NewServer(o ServerOptions) *Server {
	if o.Log == nil {
		o.Log = slog.Default()
	}
	if o.Conns == 0 {
		o.Conns = 4096
	}
	if o.PerNet == 0 {
		o.PerNet = 128
	}
	s := &Server{
		opt: o, listeners: make(map[net.Listener]struct{}),
		conns: make(map[*Conn]struct{}), byNet: make(map[netip.Prefix]int),
	}
	s.ctx, s.stop = context.WithCancel(context.Background())
	return s
}

// Serve accepts on ln until Shutdown, then returns nil. It waits out a shortage of file descriptors or memory.
func (s *Server) Serve(ln net.Listener) error {
	if !s.addListener(ln) {
		return ln.Close()
	}
	defer s.dropListener(ln)
	var wait time.Duration
	for {
		raw, err := ln.Accept()
		switch {
		case err == nil:
			wait = 0
			s.start(raw)
		case s.ctx.Err() != nil:
			return nil
		case errors.Is(err, net.ErrClosed):
			return fmt.Errorf("accepting on %s: %w", ln.Addr(), err)
		default:
			wait = min(max(2*wait, 5*time.Millisecond), time.Second)
			s.opt.Log.Warn("cannot accept a connection; trying again", "listen", ln.Addr().String(), "wait", wait, "err", err)
			select {
			case <-time.After(wait):
			case <-s.ctx.Done():
				return nil
			}
		}
	}
}

func (s *Server) addListener(ln net.Listener) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.stopping {
		s.listeners[ln] = struct{}{}
	}
	return !s.stopping
}

func (s *Server) dropListener(ln net.Listener) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.listeners, ln)
}

// start runs the handler on a goroutine of its own, or turns the connection away.
func (s *Server) start(raw net.Conn) {
	c := NewConn(raw, s.opt.Limits)
	if why := s.enter(c); why != "" {
		s.opt.Log.Debug("connection turned away", "peer", c.peer, "why", why)
		s.turnAway(raw)
		return
	}
	go s.run(c)
}

// turnAway never waits: a few octets always fit into a fresh socket's buffer, and otherwise they are not worth waiting for.
func (s *Server) turnAway(raw net.Conn) {
	if len(s.opt.Busy) > 0 && raw.SetWriteDeadline(time.Now().Add(10*time.Millisecond)) == nil {
		// Nothing was promised to this connection; what becomes of it concerns nobody.
		_, _ = raw.Write(s.opt.Busy)
	}
	_ = raw.Close()
}

func (s *Server) enter(c *Conn) (refused string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := Network(c.peer)
	switch {
	case s.stopping:
		return "stopping"
	case s.total >= s.opt.Conns:
		s.refused++
		return "connections"
	case p.IsValid() && s.byNet[p] >= s.opt.PerNet:
		s.refused++
		return "connections of its network"
	}
	s.taken++
	s.total++
	s.byNet[p]++
	s.conns[c] = struct{}{}
	s.handlers.Add(1)
	return ""
}

// Stats is how busy a server is.
type Stats struct {
	Open    int    // connections at this moment
	Taken   uint64 // connections since the beginning,
	Refused uint64 // and those that were turned away, since there were too many
}

// Stats counts connections, on all listeners together.
func (s *Server) Stats() Stats {
	s.mu.Lock()
	defer s.mu.Unlock()
	return Stats{Open: s.total, Taken: s.taken, Refused: s.refused}
}

func (s *Server) leave(c *Conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := Network(c.peer)
	s.total--
	if s.byNet[p]--; s.byNet[p] == 0 {
		delete(s.byNet, p)
	}
	delete(s.conns, c)
	s.handlers.Done()
}

func (s *Server) run(c *Conn) {
	ctx, cancel := context.WithCancel(s.ctx)
	defer s.leave(c)
	defer cancel()
	defer func() {
		if p := recover(); p != nil {
			s.opt.Log.Error("a connection ended by a panic", "peer", c.peer, "panic", fmt.Sprint(p), "stack", string(debug.Stack()))
			c.kill()
		}
	}()
	s.opt.Handler(ctx, c)
	// How the last octets fared was seen by whoever wrote them.
	_ = c.Close()
}

// Shutdown stops accepting, cancels the handlers' contexts, interrupts reads that wait (so that handlers can say goodbye) and waits for the
// handlers. When ctx ends first, the connections that are left are closed, and an error tells how many they were.
func (s *Server) Shutdown(ctx context.Context) error {
	s.mu.Lock()
	s.stopping = true
	s.stop()
	var err error
	for ln := range s.listeners {
		err = errors.Join(err, ln.Close())
	}
	for c := range s.conns {
		c.Interrupt()
	}
	s.mu.Unlock()

	done := make(chan struct{})
	go func() {
		s.handlers.Wait()
		close(done)
	}()
	select {
	case <-done:
		return err
	case <-ctx.Done():
	}
	s.mu.Lock()
	n := len(s.conns)
	for c := range s.conns {
		c.kill()
	}
	s.mu.Unlock()
	select { // what they stand on may be closed next: let them notice
	case <-done:
	case <-time.After(time.Second):
	}
	return errors.Join(err, fmt.Errorf("%d connections were broken off: %w", n, context.Cause(ctx)))
}
