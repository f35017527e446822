// Package smtpd takes mail in: from a person's mail client (submission on ports 587 and 465) and from other hosts (MX, port 25). It decides who may
// send what to whom and reads mail strictly; what becomes of a mail is intake's, behind the interface Doorway.
//
// The protocol is spoken by go-smtp. Between it and the connection stands a gate of ours that hands over one checked command line at a time and
// takes DATA past it, since go-smtp alone would accept truncated and ambiguous mail; docs/smtp.md has the table.
package smtpd

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/emersion/go-smtp"

	"chmail/internal/address"
	"chmail/internal/call"
	"chmail/internal/message"
	"chmail/internal/netutil"
	"chmail/internal/scram"
)

// Accounts knows who exists here and what is his.
type Accounts interface {
	scram.People
	// Authenticate checks a password; login is the canonical spelling. An error is trouble of ours, or a *message.Refusal.
	Authenticate(ctx context.Context, user, password string, peer netip.Addr) (login string, ok bool, err error)
	// Version names the present password of a login, in any spelling, without saying anything about it: a session that was begun under another one is over. ok is false without such an account.
	Version(ctx context.Context, login string) (version string, ok bool, err error)
	// Recipients finds the maildrops of an address. Not local: its domain is not ours. Local without logins: no such mailbox.
	Recipients(ctx context.Context, a address.Address) (logins []string, local bool, err error)
	// Owns tells whether a login may send under an address.
	Owns(ctx context.Context, login string, a address.Address) (bool, error)
}

// Doorway takes a mail. Nil means that it is durable; a *message.Refusal is told to the client; any other error is trouble of ours. r gives
// the mail with CRLF line ends and without dot-stuffing; an error of r must come back as an error.
type Doorway interface {
	Submit(ctx context.Context, env *message.Envelope, r io.Reader) error // from an authenticated person
	Accept(ctx context.Context, env *message.Envelope, r io.Reader) error // from outside
	// Room tells whether a login's maildrop has room for a mail of so many octets, 0 where the client has not said; shared: it is for others as well, by an alias.
	Room(ctx context.Context, login string, size int64, shared bool) (bool, error)
}

// Presence hears of every login (R2), before the client hears that it succeeded.
type Presence interface {
	Seen(ctx context.Context, s call.Sign)
}

// Watch hears of what is taken and refused, for figures. Its methods do not wait.
type Watch interface {
	// Taken: a mail of so many octets, as it came, has been acknowledged, for so many recipients here and elsewhere.
	Taken(p Profile, octets int64, here, elsewhere int)
	// Refused: a client was told this after a command (MAIL, RCPT, DATA, AUTH), or "" for one that was no SMTP. What r says is not for figures.
	Refused(p Profile, command string, r *message.Refusal)
}

// unwatched is nobody.
type unwatched struct{}

func (unwatched) Taken(Profile, int64, int, int)            {}
func (unwatched) Refused(Profile, string, *message.Refusal) {}

// Profile says what a port is for.
type Profile string

// The profiles.
const (
	Submission  Profile = "submission"  // 587: STARTTLS, then AUTH, then mail
	Submissions Profile = "submissions" // 465: TLS from the first octet
	MX          Profile = "mx"          // 25: mail for our domains from anybody; STARTTLS is offered
)

// Limits bound what one client can take; zero fields take the defaults named with them.
type Limits struct {
	Message    int64         // octets of a mail; 50 MiB
	Recipients int           // of a mail; 100 (RFC 5321 4.5.3.1.8 asks for no fewer)
	Errors     int           // replies 4yz and 5yz since the last accepted mail; 10
	Conns      int           // connections at once per profile; 2048
	PerNet     int           // of them from one IPv4 address or IPv6 /64; 128
	Idle       time.Duration // silence; 5 min (RFC 5321 4.5.3.2.7)
	Write      time.Duration // until the client has taken 32 KiB; 1 min
	Handshake  time.Duration // of TLS; 30 s
	Life       time.Duration // after which no further mail is begun; 1 h. 15 min later the connection is cut
	MinRate    int64         // octets a second while a mail is sent; 500
}

// Options are what a Server needs.
type Options struct {
	Hostname string       // greeting
	Log      *slog.Logger // nil: slog.Default()
	TLS      *tls.Config  // nil: no STARTTLS, hence no submission
	MXTLS    *tls.Config  // for port 25; nil: TLS
	BareLF   bool         // submission: line ends other than CRLF in a mail are made CRLF instead of refused
	Relay    bool         // submission: mail for other hosts is taken
	Limits   Limits
	Accounts Accounts
	Doorway  Doorway
	Presence Presence
	Watch    Watch // nil: nobody
	Guard    Guard // of port 25
}

// Server is the SMTP side of chmail: every profile on any number of listeners.
type Server struct {
	opt   Options
	ports map[Profile]*port
}

// port is what all listeners of one profile share. A flood on one profile takes nothing from the others.
type port struct {
	*Options
	profile Profile
	tls     *tls.Config
	log     *slog.Logger
	conns   *netutil.Server
	smtp    *smtp.Server
	door    *door
	start   sync.Once
	strangers
}

// New makes a server; Serve starts it.
func New(o Options) *Server {
	if o.Log == nil {
		o.Log = slog.Default()
	}
	if o.MXTLS == nil {
		o.MXTLS = o.TLS
	}
	if o.Watch == nil {
		o.Watch = unwatched{}
	}
	o.Limits = o.Limits.withDefaults()
	s := &Server{opt: o, ports: make(map[Profile]*port)}
	for _, profile := range []Profile{Submission, Submissions, MX} {
		s.ports[profile] = newPort(&s.opt, profile)
	}
	return s
}

func (l Limits) withDefaults() Limits {
	def := Limits{
		Message: 50 << 20, Recipients: 100, Errors: 10, Conns: 2048, PerNet: 128,
		Idle: 5 * time.Minute, Write: time.Minute, Handshake: 30 * time.Second, Life: time.Hour, MinRate: 500,
	}
	return Limits{
		Message: orDefault(l.Message, def.Message), Recipients: orDefault(l.Recipients, def.Recipients), Errors: orDefault(l.Errors, def.Errors),
		Conns: orDefault(l.Conns, def.Conns), PerNet: orDefault(l.PerNet, def.PerNet), Idle: orDefault(l.Idle, def.Idle),
		Write: orDefault(l.Write, def.Write), Handshake: orDefault(l.Handshake, def.Handshake), Life: orDefault(l.Life, def.Life),
		MinRate: orDefault(l.MinRate, def.MinRate),
	}
}

func orDefault[T int | int64 | time.Duration](v, def T) T {
	if v == 0 {
		return def
	}
	return v
}

func newPort(o *Options, profile Profile) *port {
	p := &port{Options: o, profile: profile, tls: o.TLS, log: o.Log.With("port", string(profile)), door: newDoor()}
	if profile == MX {
		p.tls = o.MXTLS
	}
	var busy []byte
	if profile != Submissions { // there, plaintext would only confuse
		busy = []byte("421 4.3.2 " + o.Hostname + " too many connections, try again later\r\n")
	}
	l := o.Limits
	p.conns = netutil.NewServer(netutil.ServerOptions{
		Log: p.log, Conns: l.Conns, PerNet: l.PerNet, Busy: busy, Handler: p.handle,
		Limits: netutil.Limits{Idle: l.Idle, Write: l.Write, Handshake: l.Handshake, Life: l.Life + lastCall, MinRate: l.MinRate},
	})
	p.smtp = smtp.NewServer(smtp.BackendFunc(newSession))
	p.smtp.Domain = o.Hostname
	p.smtp.MaxMessageBytes = l.Message
	p.smtp.MaxRecipients = l.Recipients
	p.smtp.MaxLineLength = 0        // the gate has its own limit, for commands only (libraries S4)
	p.smtp.AllowInsecureAuth = true // the gate knows of TLS, go-smtp does not; session.Auth refuses
	p.smtp.EnableSMTPUTF8 = true
	p.smtp.EnableREQUIRETLS = true              // the gate offers it, under TLS only
	p.smtp.EnableDSN = profile != MX && o.Relay // reports are written here for mail that goes on from here
	p.smtp.ErrorLog = libraryLog{p.log}
	return p
}

// lastCall is the time that a mail which was begun within Limits.Life has to end.
const lastCall = 15 * time.Minute

// Serve accepts on ln until Shutdown, then returns nil; what the port is for is said by its profile.
func (s *Server) Serve(ln net.Listener, profile Profile) error {
	p, ok := s.ports[profile]
	if !ok {
		return fmt.Errorf("serving SMTP on %s: no profile %q", ln.Addr(), profile)
	}
	if p.tls == nil && profile == Submissions {
		return fmt.Errorf("serving SMTP on %s: %s needs a certificate", ln.Addr(), profile)
	}
	p.start.Do(func() {
		go func() {
			if err := p.smtp.Serve(p.door); err != nil && !errors.Is(err, net.ErrClosed) {
				p.log.Error("SMTP stopped", "err", err)
			}
		}()
	})
	return p.conns.Serve(ln)
}

// Connections counts those of one profile. Those that were refused for coming too often (Guard.Rate) are among the refused.
func (s *Server) Connections(p Profile) netutil.Stats {
	hasty := s.ports[p].hasty() // before the others are counted, which it is taken from
	stats := s.ports[p].conns.Stats()
	stats.Taken -= hasty
	stats.Refused += hasty
	return stats
}

// Shutdown stops accepting and tells idle clients 421; mails that are being sent may finish until ctx ends, then their connections are broken off.
func (s *Server) Shutdown(ctx context.Context) error {
	errs := make(chan error, len(s.ports))
	for _, p := range s.ports {
		go func() {
			// go-smtp's own ways to stop either wait for idle clients or touch connections that are in use (libraries S8); it is
			// enough that its door closes.
			errs <- errors.Join(p.conns.Shutdown(ctx), p.door.Close())
		}()
	}
	var err error
	for range s.ports {
		err = errors.Join(err, <-errs)
	}
	if err != nil {
		return fmt.Errorf("stopping SMTP: %w", err)
	}
	return nil
}

// handle takes one connection through its life.
func (p *port) handle(ctx context.Context, c *netutil.Conn) {
	began := time.Now()
	if p.profile == Submissions {
		if err := c.AcceptTLS(ctx, p.tls); err != nil {
			p.log.Debug("no TLS", "peer", c.Peer(), "err", err)
			return
		}
	}
	if p.stranger(c) && !p.arrives(c.Peer(), p.Guard.Rate, time.Now()) {
		p.log.Info("connection refused", "peer", c.Peer(), "code", errRate.Code, "reply", errRate.Text)
		_, _ = c.WriteString(replyLine(errRate) + "\r\n") // what becomes of it is nobody's concern
		return
	}
	g := newGate(ctx, p, c)
	g.ask()
	if !p.door.pass(g) {
		return
	}
	<-g.gone
	if p.log.Enabled(ctx, slog.LevelDebug) {
		p.log.Debug("connection closed", "peer", c.Peer(), "tls", g.tls, "in", c.In(), "out", c.Out(), "took", time.Since(began))
	}
}

// door is the listener through which go-smtp gets connections that are ready for it.
type door struct {
	conns chan net.Conn
	shut  chan struct{}
	once  sync.Once
}

func newDoor() *door { return &door{conns: make(chan net.Conn), shut: make(chan struct{})} }

// pass hands a connection over; false once the door is shut.
func (d *door) pass(c net.Conn) bool {
	select {
	case d.conns <- c:
		return true
	case <-d.shut:
		return false
	}
}

func (d *door) Accept() (net.Conn, error) {
	select {
	case c := <-d.conns:
		return c, nil
	case <-d.shut:
		return nil, net.ErrClosed
	}
}

func (d *door) Close() error {
	d.once.Do(func() { close(d.shut) })
	return nil
}

func (d *door) Addr() net.Addr { return &net.UnixAddr{Name: "smtpd", Net: "unix"} }
