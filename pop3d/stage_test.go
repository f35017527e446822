package pop3d

import (
	"bufio"
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"io"
	"log/slog"
	"math/big"
	"net"
	"strings"
	"sync"
	"testing"
	"time"
)

// stage is a running server with everything it stands on, in memory.
type stage struct {
	t        testing.TB
	office   *postOffice
	server   *Server
	log      *logBook
	plain    *wires // port 110
	implicit *wires // port 995
	trust    *tls.Config
	serving  sync.WaitGroup
	down     bool
}

// logBook keeps what was logged.
type logBook struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logBook) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logBook) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func newStage(t testing.TB, change ...func(*Options)) *stage {
	t.Helper()
	serve, trust := testTLS(t)
	s := &stage{t: t, office: newPostOffice(), log: &logBook{}, plain: newWires(), implicit: newWires(), trust: trust}
	o := Options{
		Hostname: "mail.example.com", Log: slog.New(slog.NewTextHandler(s.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
		TLS: serve, Accounts: s.office, Maildrops: s.office, Presence: s.office,
	}
	for _, c := range change {
		c(&o)
	}
	s.server = New(o)
	for ln, implicit := range map[*wires]bool{s.plain: false, s.implicit: true} {
		if implicit && o.TLS == nil {
			continue
		}
		s.serving.Go(func() {
			if err := s.server.Serve(ln, implicit); err != nil {
				t.Errorf("Serve: %v", err)
			}
		})
	}
	t.Cleanup(s.shutdown)
	return s
}

// shutdown stops the server; it must do so in good order, and no maildrop may be left open.
func (s *stage) shutdown() {
	if s.down {
		return
	}
	s.down = true
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	if err := s.server.Shutdown(ctx); err != nil {
		s.t.Errorf("Shutdown: %v", err)
	}
	s.serving.Wait()
	if s.office.isOpen() != 0 {
		s.t.Errorf("%d maildrops are still open", s.office.isOpen())
	}
	for _, secret := range []string{"open sesame", "guess"} {
		if strings.Contains(s.log.String(), secret) {
			s.t.Errorf("a password is in the log:\n%s", s.log)
		}
	}
}

// testTLS is a certificate that is valid in a synctest bubble too, where it is the year 2000.
func testTLS(t testing.TB) (server, client *tls.Config) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	card := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "mail.example.com"}, DNSNames: []string{"mail.example.com"},
		NotBefore: time.Unix(0, 0), NotAfter: time.Unix(1<<33, 0), IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, card, card, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(leaf)
	return &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}},
		&tls.Config{MinVersion: tls.VersionTLS12, RootCAs: roots, ServerName: "mail.example.com"}
}

// client is a mail client.
type client struct {
	t    testing.TB
	wire *wire
	conn net.Conn // wire, or TLS over it
	r    *bufio.Reader
	tls  *tls.Config
}

// dial connects; with implicit TLS the handshake is made too.
func (s *stage) dial(implicit bool) *client {
	s.t.Helper()
	ln := s.plain
	if implicit {
		ln = s.implicit
	}
	w := ln.dial("198.51.100.7:40000")
	c := &client{t: s.t, wire: w, conn: w, r: bufio.NewReader(w), tls: s.trust}
	s.t.Cleanup(func() { c.conn.Close() })
	if implicit {
		c.handshake()
	}
	return c
}

// in is a client in TLS that has been greeted and has logged in.
func (s *stage) in(login, password string) *client {
	s.t.Helper()
	c := s.dial(true)
	c.want("+OK ...")
	c.say("USER "+login, "PASS "+password)
	c.want("+OK ...")
	c.want("+OK ...")
	return c
}

func (c *client) handshake() {
	c.t.Helper()
	t := tls.Client(c.wire, c.tls)
	if err := t.Handshake(); err != nil {
		c.t.Fatalf("handshake: %v", err)
	}
	c.conn, c.r = t, bufio.NewReader(t)
}

// say sends lines in one piece.
func (c *client) say(lines ...string) { c.t.Helper(); c.raw(strings.Join(lines, "\r\n") + "\r\n") }

func (c *client) raw(text string) {
	c.t.Helper()
	if _, err := io.WriteString(c.conn, text); err != nil {
		c.t.Fatalf("sending %.60q: %v", text, err)
	}
}

// want reads a line; "..." at its end stands for anything.
func (c *client) want(line string) {
	c.t.Helper()
	got, err := c.r.ReadString('\n')
	if err != nil {
		c.t.Fatalf("got %q and %v, want %q", got, err, line)
	}
	start, open := strings.CutSuffix(line, "...")
	if text, ok := strings.CutSuffix(got, "\r\n"); !ok || text != line && !(open && strings.HasPrefix(text, start)) {
		c.t.Fatalf("got %q, want %q", got, line)
	}
}

// end tells that the server has closed, and has said nothing more.
func (c *client) end() {
	c.t.Helper()
	if rest, err := io.ReadAll(c.r); len(rest) > 0 || err != nil && !errors.Is(err, io.ErrUnexpectedEOF) {
		c.t.Fatalf("got %q and %v, want the end of the connection", rest, err)
	}
	c.conn.Close()
}
