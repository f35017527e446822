package web

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"time"

	"chmail/internal/netutil"
)

// ServerOptions are what a Server needs; zero numbers take the defaults named with them.
type ServerOptions struct {
	Handler http.Handler
	TLS     *tls.Config  // nil: plain http, for loopback only
	Log     *slog.Logger // nil: slog.Default()
	Conns   int          // connections at once; 4096
	PerNet  int          // of them from one IPv4 address or IPv6 /64; 128
}

// A Server serves pages on any number of listeners. Every phase of a request is bounded in time, headers and connections in
// size and number. A WebSocket leaves the server when it is hijacked: who runs it bounds it, but it goes on counting here.
type Server struct {
	http   *http.Server
	tls    *tls.Config
	conns  int
	perNet int

	mu    sync.Mutex
	stats netutil.Stats
	byNet map[netip.Prefix]int
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
	s := &Server{conns: o.Conns, perNet: o.PerNet, byNet: make(map[netip.Prefix]int)}
	if o.TLS != nil {
		s.tls = o.TLS.Clone()
		s.tls.NextProtos = []string{"h2", "http/1.1"}
	}
	s.http = &http.Server{
		Handler:           o.Handler,
		TLSConfig:         s.tls,
		ReadHeaderTimeout: 10 * time.Second,
		ReadTimeout:       20 * time.Second,
		WriteTimeout:      30 * time.Second,
		IdleTimeout:       60 * time.Second,
		MaxHeaderBytes:    16 << 10,
		ErrorLog:          slog.NewLogLogger(o.Log.Handler(), slog.LevelDebug),
	}
	return s
}

// Serve accepts on ln until Shutdown; it then returns nil. TLS, where configured, is put on top of what ln accepts.
func (s *Server) Serve(ln net.Listener) error {
	ln = &capped{Listener: ln, server: s}
	if s.tls != nil {
		ln = tls.NewListener(ln, s.tls)
	}
	if err := s.http.Serve(ln); err != nil && !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serving pages on %s: %w", ln.Addr(), err)
	}
	return nil
}

// Shutdown stops accepting, lets requests that are under way finish until ctx ends, then breaks them off. Hijacked connections
// are left to their owners.
func (s *Server) Shutdown(ctx context.Context) error {
	if err := s.http.Shutdown(ctx); err != nil {
		if closing := s.http.Close(); closing != nil {
			return errors.Join(err, closing)
		}
		return fmt.Errorf("stopping the page server: %w", err)
	}
	return nil
}

// capped closes connections beyond the caps at once: before the TLS handshake, which is what costs.
type capped struct {
	net.Listener
	server *Server
}

func (l *capped) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		where := remoteNetwork(c)
		if l.server.enter(where) {
			return &countedConn{Conn: c, leave: sync.OnceFunc(func() { l.server.leave(where) })}, nil
		}
		// Nothing was promised to this connection, so an error in closing it concerns nobody.
		_ = c.Close()
	}
}

func remoteNetwork(c net.Conn) netip.Prefix {
	ap, err := netip.ParseAddrPort(c.RemoteAddr().String())
	if err != nil {
		return netip.Prefix{}
	}
	return netutil.Network(ap.Addr())
}

func (s *Server) enter(p netip.Prefix) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stats.Open >= s.conns || s.byNet[p] >= s.perNet {
		s.stats.Refused++
		return false
	}
	s.stats.Open++
	s.stats.Taken++
	s.byNet[p]++
	return true
}

// Stats counts connections, sockets among them, on all listeners together.
func (s *Server) Stats() netutil.Stats {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.stats
}

func (s *Server) leave(p netip.Prefix) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stats.Open--
	if s.byNet[p]--; s.byNet[p] == 0 {
		delete(s.byNet, p)
	}
}

type countedConn struct {
	net.Conn
	leave func()
}

func (c *countedConn) Close() error {
	c.leave()
	return c.Conn.Close()
}
