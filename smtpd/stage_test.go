package smtpd

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"chmail/internal/address"
	"chmail/internal/call"
	"chmail/internal/message"
	"chmail/internal/tlstest"
)

// An office is everything behind smtpd: alice, bob and the postmaster of example.com, who all have the password "open sesame".
type office struct {
	mu       sync.Mutex
	mails    []mail
	seen     []call.Sign
	broken   map[string]error // what fails: "password", "recipient", "owner", "doorway"
	panics   bool
	hasty    bool   // the doorway takes mails without reading them
	unbound  bool   // no PLUS is offered
	version  string // of everybody's password,
	changing bool   // which is changed while one is looked at
	proving  bool   // somebody has keys for SCRAM
}

type mail struct {
	env  message.Envelope
	text string
}

func (o *office) fault(what string) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.broken[what]
}

func (o *office) Authenticate(_ context.Context, user, password string, _ netip.Addr) (string, bool, error) {
	if o.changing {
		o.renew()
	}
	login := strings.ToLower(user)
	known := login == "alice@example.com" || login == "bob@example.com"
	return login, known && password == "open sesame", o.fault("password")
}

// renew has everybody get a new password.
func (o *office) renew() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.version = "another"
}

func (o *office) Version(_ context.Context, login string) (string, bool, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return "version " + o.version, true, nil
}

func (o *office) Recipients(_ context.Context, a address.Address) ([]string, bool, error) {
	login := a.Login()
	switch {
	case login == "postmaster" || login == "postmaster@example.com":
		return []string{"root@example.com"}, true, o.fault("recipient")
	case login == "all@example.com":
		return []string{"alice@example.com", "full@example.com", "bob@example.com"}, true, o.fault("recipient")
	case login == "crowd@example.com":
		return make([]string, 600), true, o.fault("recipient")
	case login == "alice@example.com", login == "bob@example.com", login == `"odd one"@example.com`, login == "\u00fc@example.com", login == "full@example.com":
		return []string{login}, true, o.fault("recipient")
	}
	return nil, a.Domain == "example.com", o.fault("recipient")
}

// Room: full@ has none, and bob not for more than 1 MiB, unless that is for others as well.
func (o *office) Room(_ context.Context, login string, size int64, shared bool) (bool, error) {
	return login != "full@example.com" && (login != "bob@example.com" || size <= 1<<20 || shared), o.fault("room")
}

func (o *office) Owns(_ context.Context, login string, a address.Address) (bool, error) {
	return a.Login() == login || a.Login() == "sales@example.com", o.fault("owner")
}

func (o *office) Seen(_ context.Context, s call.Sign) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.seen = append(o.seen, s)
}

func (o *office) Submit(ctx context.Context, env *message.Envelope, r io.Reader) error {
	if env.Login == "" || env.TLS == "" {
		return fmt.Errorf("submitted by %q under %q", env.Login, env.TLS)
	}
	return o.take(ctx, env, r)
}

func (o *office) Accept(ctx context.Context, env *message.Envelope, r io.Reader) error {
	if env.Login != "" {
		return errors.New("accepted from somebody who has a login")
	}
	return o.take(ctx, env, r)
}

func (o *office) take(ctx context.Context, env *message.Envelope, r io.Reader) error {
	if o.panics {
		panic("the doorway fell down")
	}
	if o.hasty || o.fault("doorway") != nil {
		return o.fault("doorway")
	}
	b, err := io.ReadAll(r)
	if err != nil {
		return fmt.Errorf("taking a mail: %w", err)
	}
	if ctx.Err() != nil { // a commit would fail here
		return ctx.Err()
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.mails = append(o.mails, mail{*env, string(b)})
	return nil
}

// A stage is a server in its office with an in-memory network.
type stage struct {
	t      testing.TB
	office *office
	server *Server
	log    *bytes.Buffer
	rooms  map[Profile]*room
	done   chan error
}

func newStage(t testing.TB, change func(*Options)) *stage {
	s := &stage{t: t, office: &office{broken: map[string]error{}}, log: &bytes.Buffer{}, rooms: map[Profile]*room{}, done: make(chan error, 3)}
	o := Options{
		Hostname: "mail.example.com", TLS: &tls.Config{Certificates: []tls.Certificate{certificate()}},
		Accounts: s.office, Doorway: s.office, Presence: s.office,
		Log: slog.New(slog.NewTextHandler(s.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
	}
	if change != nil {
		change(&o)
	}
	s.server = New(o)
	for _, p := range []Profile{Submission, Submissions, MX} {
		if p == Submissions && o.TLS == nil {
			continue
		}
		r := &room{door: make(chan net.Conn), shut: make(chan struct{})}
		s.rooms[p] = r
		go func() { s.done <- s.server.Serve(r, p) }()
	}
	return s
}

func (s *stage) shutdown() {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 8*time.Second)
	defer cancel()
	if err := s.server.Shutdown(ctx); err != nil {
		s.t.Errorf("shutdown: %v", err)
	}
	for range s.rooms {
		if err := <-s.done; err != nil {
			s.t.Errorf("Serve after the shutdown: %v", err)
		}
	}
	for _, secret := range secrets() {
		if strings.Contains(s.log.String(), secret) {
			s.t.Errorf("the log has a password:\n%s", s.log)
		}
	}
}

// secrets are what no log may have, of everybody's password.
func secrets() []string { return []string{"open sesame", "b3BlbiBzZXNhbWU", "AGFsaWNl"} }

// room is an in-memory listener.
type room struct {
	door chan net.Conn
	shut chan struct{}
}

func (r *room) Accept() (net.Conn, error) {
	select {
	case c := <-r.door:
		return c, nil
	case <-r.shut:
		return nil, net.ErrClosed
	}
}
func (r *room) Close() error   { close(r.shut); return nil }
func (r *room) Addr() net.Addr { return &net.UnixAddr{Name: "room"} }

// visitor is a connection that comes from a certain address.
type visitor struct {
	net.Conn
	from netip.Addr
}

// LocalAddr is the stage's own address.
func (v visitor) LocalAddr() net.Addr {
	return net.TCPAddrFromAddrPort(netip.MustParseAddrPort("[::ffff:192.0.2.25]:25"))
}

func (v visitor) RemoteAddr() net.Addr {
	return net.TCPAddrFromAddrPort(netip.AddrPortFrom(v.from, 40000))
}

// A client reads all the time, as one that pipelines must.
type client struct {
	t      testing.TB
	conn   net.Conn
	lines  chan string // closed at the end
	idle   chan struct{}
	paused bool // the server waits for a handshake; set before idle is closed
}

func (s *stage) connect(p Profile) *client {
	return s.connectFrom(p, netip.MustParseAddr("192.0.2.7"))
}

func (s *stage) connectFrom(p Profile, from netip.Addr) *client {
	server, conn := net.Pipe()
	s.rooms[p].door <- visitor{server, from}
	c := &client{t: s.t, conn: conn}
	if p == Submissions {
		c.conn = tls.Client(conn, trusting())
	}
	c.listen()
	return c
}

func (c *client) listen() {
	c.lines, c.idle = make(chan string, 1000), make(chan struct{})
	r := bufio.NewReader(c.conn)
	go func() {
		defer close(c.idle)
		for {
			line, err := r.ReadString('\n')
			if err != nil {
				if line != "" {
					c.lines <- line + " (no line end)"
				}
				close(c.lines)
				return
			}
			if !strings.HasSuffix(line, "\r\n") {
				line += " (bare LF)"
			}
			c.lines <- strings.TrimSuffix(line, "\r\n")
			if strings.HasPrefix(line, "220 2.0.0") { // what follows is TLS
				c.paused = true
				return
			}
		}
	}()
}

func (c *client) startTLS() {
	<-c.idle
	c.paused = false
	c.conn = tls.Client(c.conn, trusting())
	c.listen()
}

// say sends octets; a server that has closed does not mind.
func (c *client) say(text string) {
	if _, err := io.WriteString(c.conn, text); err != nil && !errors.Is(err, io.ErrClosedPipe) && !errors.Is(err, io.EOF) {
		c.t.Logf("sending %d octets: %v", len(text), err)
	}
}

// hear returns the next line, or "" when the server has closed.
func (c *client) hear() string { return <-c.lines }

// ended waits for the server to close; it returns what the server said instead.
func (c *client) ended() string {
	select {
	case line := <-c.lines:
		return line
	case <-c.idle:
	}
	if c.paused {
		if n, err := c.conn.Read(make([]byte, 1)); err == nil {
			return fmt.Sprintf("%d octets within the handshake", n)
		}
		return ""
	}
	return <-c.lines
}

// trusting is a client that takes any certificate: these tests are not about whom it talks to.
func trusting() *tls.Config { return &tls.Config{InsecureSkipVerify: true} }

// certificate is the server's in every test.
var certificate = sync.OnceValue(tlstest.Certificate)
