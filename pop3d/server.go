// Package pop3d is the POP3 server: RFC 1939 with CAPA, STLS, SASL, UIDL, TOP, pipelining and response codes, as docs/pop3.md
// lists them. It has its storage, accounts and presence behind interfaces (backend.go) and its connections from internal/netutil.
//
// A session is a snapshot of the maildrop. It holds no lock and takes none, keeps of the maildrop only its marks of deletion (a bit each) and
// sends listings and messages through one chunk of 48 KiB, so that its memory does not grow with the maildrop or the message. Messages are
// deleted at QUIT only, before its +OK; a session that ends in any other way deletes nothing.
//
// Every command is a method of session that returns a reply; the loop in session.go writes replies, counts faults and ends the session.
package pop3d

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"chmail/internal/netutil"
)

// Options are what a Server needs.
type Options struct {
	Hostname   string       // for the greeting
	Log        *slog.Logger // nil: slog.Default()
	TLS        *tls.Config  // nil: no STLS, and so nobody can log in
	Accounts   Accounts
	Maildrops  Maildrops
	Presence   Presence      // nil: nobody is told
	LoginDelay time.Duration // between two logins to one maildrop (RFC 2449 6.5), in whole seconds; 0: none
	Limits     Limits
}

// Limits bound sessions; zero values take the defaults named with them.
type Limits struct {
	Conns    int           // connections at once, for each of the two kinds of listener; 4096
	PerNet   int           // of them from one IPv4 address or IPv6 /64; 128
	Failures int           // wrong passwords, then the connection closes; 3
	Faults   int           // commands that no client in order sends, then it closes; 20
	Greeting time.Duration // silence before the login; 60 s
	SignIn   time.Duration // all of it, from the connection to the login; 5 min
	Idle     time.Duration // silence after the login; RFC 1939 3 asks for no less than 10 min, the default
	Write    time.Duration // in which a client takes 32 KiB; 60 s
	Session  time.Duration // all of a session; 1 h, for which the store keeps what others delete
}

func (l Limits) withDefaults() Limits {
	for _, d := range []struct {
		field    *time.Duration
		fallback time.Duration
	}{
		{&l.Greeting, time.Minute}, {&l.SignIn, 5 * time.Minute}, {&l.Idle, 10 * time.Minute}, {&l.Write, time.Minute}, {&l.Session, time.Hour},
	} {
		if *d.field == 0 {
			*d.field = d.fallback
		}
	}
	if l.Failures == 0 {
		l.Failures = 3
	}
	if l.Faults == 0 {
		l.Faults = 20
	}
	return l
}

// A Server speaks POP3 on any number of listeners.
type Server struct {
	hostname  string
	log       *slog.Logger
	tls       *tls.Config
	accounts  Accounts
	maildrops Maildrops
	presence  Presence
	limits    Limits
	pace      pace
	chunks    sync.Pool // of *[]byte, chunkSize long
	clear     *netutil.Server
	implicit  *netutil.Server
	counts    counts
}

// counts are those of Stats.
type counts struct{ sessions, retrieved, octets, deleted atomic.Uint64 }

// Stats is what has been done since the beginning.
type Stats struct {
	Sessions  uint64 // with a login
	Retrieved uint64 // messages, whole or their tops
	Octets    uint64 // of those, as they are kept
	Deleted   uint64 // messages
}

// Stats counts what has been done since the beginning.
func (s *Server) Stats() Stats {
	c := &s.counts
	return Stats{Sessions: c.sessions.Load(), Retrieved: c.retrieved.Load(), Octets: c.octets.Load(), Deleted: c.deleted.Load()}
}

// Connections counts those of one kind of listener, as Serve has it.
func (s *Server) Connections(implicitTLS bool) netutil.Stats {
	if implicitTLS {
		return s.implicit.Stats()
	}
	return s.clear.Stats()
}

// New makes a server; Serve starts it.
func New(o Options) *Server {
	if o.Log == nil {
		o.Log = slog.Default()
	}
	s := &Server{
		hostname: o.Hostname, log: o.Log, tls: o.TLS, accounts: o.Accounts, maildrops: o.Maildrops, presence: o.Presence,
		limits: o.Limits.withDefaults(), pace: pace{delay: o.LoginDelay.Truncate(time.Second)},
		chunks: sync.Pool{New: func() any { b := make([]byte, chunkSize); return &b }},
	}
	busy := reply{code: codeTemp, text: "too many connections; come back in a minute"}
	s.clear = s.connections(busy.line(nil), false)
	s.implicit = s.connections(nil, true) // plaintext would only confuse a client that waits for a handshake
	return s
}

func (s *Server) connections(busy []byte, implicit bool) *netutil.Server {
	return netutil.NewServer(netutil.ServerOptions{
		Log: s.log, Conns: s.limits.Conns, PerNet: s.limits.PerNet, Busy: busy,
		Limits: netutil.Limits{
			Idle: s.limits.Greeting, Write: s.limits.Write, Handshake: s.limits.Greeting / 2, Life: s.limits.Session,
		},
		Handler: func(ctx context.Context, c *netutil.Conn) { s.serve(ctx, c, implicit) },
	})
}

// Serve accepts on ln until Shutdown, then returns nil. With implicitTLS the connection begins with a handshake (port 995), otherwise with the
// greeting, and a login takes STLS (port 110).
func (s *Server) Serve(ln net.Listener, implicitTLS bool) error {
	if !implicitTLS {
		return s.clear.Serve(ln)
	}
	if s.tls == nil {
		return errors.Join(fmt.Errorf("POP3 in TLS on %s: there is no certificate", ln.Addr()), ln.Close())
	}
	return s.implicit.Serve(ln)
}

// Shutdown stops accepting, tells idle sessions -ERR [SYS/TEMP] and lets a command that is under way finish, until ctx ends; what is left then
// is broken off. No session deletes anything by it.
func (s *Server) Shutdown(ctx context.Context) error {
	other := make(chan error, 1)
	go func() { other <- s.implicit.Shutdown(ctx) }()
	return errors.Join(s.clear.Shutdown(ctx), <-other)
}

// chunk is what a listing or a message passes through; it is given back when that is done.
func (s *Server) chunk() *[]byte { return s.chunks.Get().(*[]byte) }

func (s *Server) giveBack(b *[]byte) { s.chunks.Put(b) }
