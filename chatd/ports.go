package chatd

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"sync"
	"syscall"
	"time"

	"chmail/internal/netutil"
)

const (
	portsPerLogin = 2 // listeners of one login: his port, and the one it moved from
	sniffWithin   = 3 * time.Second
	greetWithin   = 10 * time.Second // a terminal's whole first line, or a request's header
	lineIdle      = 12 * time.Hour   // a terminal may be silent so long
	maxHeader     = 16 << 10         // bytes of a request
)

// ports are the listeners on the owners' ports. A port says which login's links may be joined there; it grants nothing.
type ports struct {
	srv    *Server
	tls    *tls.Config // nil: plain
	server *netutil.Server

	mu      sync.Mutex
	listens map[int]*port
	closed  bool
}

// A port is one open chat port. Its fields are guarded by ports.mu.
type port struct {
	number    int
	login     string
	listeners []net.Listener
	conns     int
	since     time.Time // opened, or left by the last connection
	idle      *time.Timer
}

func newPorts(s *Server) *ports {
	p := &ports{srv: s, listens: make(map[int]*port)}
	if s.o.Site.Secure() {
		p.tls = s.o.TLS.Clone()
		p.tls.NextProtos = []string{"http/1.1"} // WebSockets are opened over HTTP/1.1
		p.tls.MinVersion = max(p.tls.MinVersion, tls.VersionTLS12)
	}
	p.server = netutil.NewServer(netutil.ServerOptions{
		Log: s.log, Conns: s.o.Conns, PerNet: s.o.PerNet, Handler: p.serve,
		Limits: netutil.Limits{Idle: greetWithin, Write: takeWithin, Handshake: 5 * time.Second},
	})
	return p
}

// A listener may be closed by its port and by the server that stops; the second finds it done.
type listener struct {
	net.Listener
	close func() error
}

// Close stops the listening.
func (l *listener) Close() error { return l.close() }

// open makes sure that a login's port is listened on, and that it stays so for another minute.
func (p *ports) open(ctx context.Context, number int, login string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return errors.New("the chat server is stopping")
	}
	if o := p.listens[number]; o != nil {
		o.login = login // the port map's word: it may have changed hands
		o.since = time.Now()
		o.idle.Reset(p.srv.o.PortIdle)
		return nil
	}
	if err := p.makeRoom(login); err != nil {
		return err
	}
	o := &port{number: number, login: login, since: time.Now()}
	var faults []error
	for _, host := range p.srv.o.Hosts {
		ln, err := p.srv.o.Listen("tcp", net.JoinHostPort(host, strconv.Itoa(number)))
		if err != nil {
			faults = append(faults, err)
			continue
		}
		o.listeners = append(o.listeners, &listener{Listener: ln, close: sync.OnceValue(ln.Close)})
	}
	if len(o.listeners) == 0 {
		err := errors.Join(faults...)
		if errors.Is(err, syscall.EADDRINUSE) {
			return fmt.Errorf("chat port %d belongs to another program: %w", number, err)
		}
		return fmt.Errorf("opening chat port %d: %w", number, err)
	}
	for _, err := range faults {
		p.srv.log.Warn("chatd: a chat port is not open on every address", "port", number, "err", err)
	}
	o.idle = time.AfterFunc(p.srv.o.PortIdle, func() { p.expire(o) })
	p.listens[number] = o
	for _, ln := range o.listeners {
		go p.accept(o, ln)
	}
	p.srv.log.Info("chatd: chat port open", "port", number, "login", login)
	return nil
}

// makeRoom closes ports on which nobody is, the longest unused first, where a cap is reached. p.mu is held.
func (p *ports) makeRoom(login string) error {
	mine := 0
	var spare, oldest *port
	for _, o := range p.listens {
		if o.login == login {
			mine++
			if o.conns == 0 && (spare == nil || o.since.Before(spare.since)) {
				spare = o
			}
		}
		if o.conns == 0 && (oldest == nil || o.since.Before(oldest.since)) {
			oldest = o
		}
	}
	switch {
	case mine >= portsPerLogin && spare == nil:
		return fmt.Errorf("%s has %d chat ports in use", login, mine)
	case mine >= portsPerLogin:
		p.close(spare)
	case len(p.listens) >= p.srv.o.Ports && oldest == nil:
		return fmt.Errorf("all %d chat ports that may be open at once are in use", len(p.listens))
	case len(p.listens) >= p.srv.o.Ports:
		p.close(oldest)
	}
	return nil
}

// accept serves a listener until it is closed.
func (p *ports) accept(o *port, ln net.Listener) {
	err := p.server.Serve(ln)
	p.mu.Lock()
	defer p.mu.Unlock()
	if err != nil && p.listens[o.number] == o {
		p.srv.log.Error("chatd: chat port failed", "port", o.number, "err", err)
		p.close(o)
	}
}

// expire closes a port on which nobody has been for a while.
func (p *ports) expire(o *port) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.listens[o.number] == o && o.conns == 0 && time.Since(o.since) >= p.srv.o.PortIdle {
		p.close(o)
		p.srv.log.Info("chatd: chat port closed", "port", o.number, "login", o.login)
	}
}

// close stops listening on a port. p.mu is held.
func (p *ports) close(o *port) {
	delete(p.listens, o.number)
	o.idle.Stop()
	for _, ln := range o.listeners {
		if err := ln.Close(); err != nil {
			p.srv.log.Warn("chatd: closing a chat port", "port", o.number, "err", err)
		}
	}
}

// drop closes the ports of a login that has been removed; whoever is on one is hung up on otherwise.
func (p *ports) drop(login string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, o := range p.listens {
		if o.login == login {
			p.close(o)
		}
	}
}

// enter counts a connection on a port; nil when the port has been closed meanwhile.
func (p *ports) enter(number int) (leave func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	o := p.listens[number]
	if o == nil {
		return nil
	}
	o.conns++
	o.idle.Stop()
	return func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		o.conns--
		if o.since = time.Now(); o.conns == 0 && p.listens[number] == o {
			o.idle.Reset(p.srv.o.PortIdle)
		}
	}
}

// login is whose links may be joined on a port; "" when it is not open.
func (p *ports) login(number int) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	if o := p.listens[number]; o != nil {
		return o.login
	}
	return ""
}

func (p *ports) listening() []int {
	p.mu.Lock()
	defer p.mu.Unlock()
	list := make([]int, 0, len(p.listens))
	for number := range p.listens {
		list = append(list, number)
	}
	slices.Sort(list)
	return list
}

// shutdown stops listening and waits for the connections on the ports until ctx ends.
func (p *ports) shutdown(ctx context.Context) error {
	p.mu.Lock()
	p.closed = true
	for _, o := range p.listens {
		p.close(o)
	}
	p.mu.Unlock()
	if err := p.server.Shutdown(ctx); err != nil {
		return fmt.Errorf("stopping the chat ports: %w", err)
	}
	return nil
}
