package chatd

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	"go.uber.org/goleak"

	"chmail/internal/sqldb"
	"chmail/internal/web"
)

const (
	alice    = "alice@localhost.test"
	carol    = "carol@localhost.test"
	dave     = "dave@localhost.test"
	offer    = "AAAAAAAAAAAAAAAAAAAAAA" // the token in Alice's mail
	gutters  = "BBBBBBBBBBBBBBBBBBBBBB" // in another mail of hers
	quote    = "CCCCCCCCCCCCCCCCCCCCCC" // in a mail of Carol's
	patience = 15 * time.Second
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// A house is a chat server with a broker that does what it is told, behind a web port as pages would have it.
type house struct {
	t      testing.TB
	srv    *Server
	broker *fakeBroker
	path   string // of the database
	db     *sqldb.DB
	url    string
	web    *httptest.Server
	tls    *tls.Config // of the chat ports, in a secure house
	trust  *tls.Config // what a client needs to trust them
	net    *memNet     // nil: the real one
}

func newHouse(t testing.TB) *house { return buildHouse(t, false) }

// newSecureHouse is a house whose site is https, as a real one's is.
func newSecureHouse(t testing.TB) *house { return buildHouse(t, true) }

func buildHouse(t testing.TB, secure bool) *house {
	t.Helper()
	h := &house{t: t, broker: newFakeBroker(), path: filepath.Join(t.TempDir(), "chat.db")}
	h.web = httptest.NewUnstartedServer(h.mux())
	h.url = fmt.Sprintf("http://localhost:%d", h.web.Listener.Addr().(*net.TCPAddr).Port)
	if secure {
		h.url = "https" + h.url[len("http"):]
		h.tls, h.trust = certificate(t)
		h.web.TLS = h.tls.Clone()
		h.web.StartTLS()
	} else {
		h.web.Start()
	}
	h.start()
	t.Cleanup(func() {
		h.stop()
		h.web.Close()
	})
	return h
}

// mux is what the pages do with their sockets.
func (h *house) mux() *http.ServeMux {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /ws", func(w http.ResponseWriter, r *http.Request) { h.srv.ReaderSocket(w, r) })
	mux.HandleFunc("GET /desk/ws", func(w http.ResponseWriter, r *http.Request) { h.srv.DeskSocket(w, r, r.Header.Get("Login")) })
	return mux
}

// start opens the database and runs a chat server on it.
func (h *house) start(change ...func(*Options)) {
	h.t.Helper()
	db, err := sqldb.Open(context.Background(), h.path, Schema())
	if err != nil {
		h.t.Fatal(err)
	}
	log := slog.New(slog.DiscardHandler)
	site, err := web.New(web.Options{URL: h.url, Log: log})
	if err != nil {
		h.t.Fatal(err)
	}
	o := Options{DB: db, Site: site, TLS: h.tls, Hosts: []string{"127.0.0.1"}, Broker: h.broker, Log: log}
	if h.net != nil {
		o.Listen = h.net.listen
	}
	for _, c := range change {
		c(&o)
	}
	srv, err := New(o)
	if err != nil {
		h.t.Fatal(err)
	}
	h.db, h.srv = db, srv
	h.broker.serve(srv)
}

// stop shuts the server down and closes the database.
func (h *house) stop() {
	h.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := h.srv.Shutdown(ctx); err != nil {
		h.t.Error(err)
	}
	if err := h.db.Close(); err != nil {
		h.t.Error(err)
	}
}

// freePort is a port on loopback that nobody has at the moment.
func (h *house) freePort() int {
	h.t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		h.t.Fatal(err)
	}
	defer ln.Close()
	return ln.Addr().(*net.TCPAddr).Port
}

// certificate makes a certificate for localhost, and what a client needs to trust it.
func certificate(t testing.TB) (server, client *tls.Config) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	form := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		DNSNames: []string{"localhost"}, IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, form, form, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(cert)
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}, &tls.Config{RootCAs: pool, ServerName: "localhost"}
}

// follow opens a link as a browser's GET does and returns the port on which the chat can be had.
func (h *house) follow(token, visitor string) int {
	h.t.Helper()
	link := h.broker.link(token)
	if err := h.srv.Open(h.t.Context(), link, visitor); err != nil {
		h.t.Fatal(err)
	}
	return link.Port
}

type frame map[string]any

// A page is the browser's end of a socket.
type page struct {
	t    testing.TB
	conn *websocket.Conn
	in   chan frame
	err  error         // why reading ended; set before in is closed
	over chan struct{} // closed with in
	wait time.Duration
}

// dial opens a socket as a page of the site does. change may spoil it.
func (h *house) dial(url string, change ...func(http.Header)) (*page, error) {
	h.t.Helper()
	header := http.Header{"Origin": {h.url}}
	for _, c := range change {
		c(header)
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	transport := &http.Transport{DisableKeepAlives: true, TLSClientConfig: h.trust}
	if h.net != nil {
		transport.DialContext = h.net.dial
	}
	conn, resp, err := websocket.Dial(ctx, url, &websocket.DialOptions{HTTPHeader: header, HTTPClient: &http.Client{Transport: transport}})
	if err != nil {
		if resp != nil {
			return nil, fmt.Errorf("status %d: %w", resp.StatusCode, err)
		}
		return nil, err
	}
	conn.SetReadLimit(1 << 20)
	p := &page{t: h.t, conn: conn, in: make(chan frame, 4096), over: make(chan struct{}), wait: patience}
	if h.net != nil {
		p.wait = 10 * time.Minute // of a clock that costs nothing
	}
	go p.read()
	h.t.Cleanup(p.cut)
	return p, nil
}

func (p *page) read() {
	defer close(p.in)
	defer close(p.over)
	for {
		_, body, err := p.conn.Read(context.Background())
		if err != nil {
			p.err = err
			return
		}
		var f frame
		if err := json.Unmarshal(body, &f); err != nil {
			p.err = fmt.Errorf("frame %q: %w", body, err)
			return
		}
		p.in <- f
	}
}

// cut breaks the line without a goodbye.
func (p *page) cut() { _ = p.conn.CloseNow() }

func (p *page) send(f frame) {
	p.t.Helper()
	body, err := json.Marshal(f)
	if err != nil {
		p.t.Fatal(err)
	}
	if err := p.conn.Write(p.t.Context(), websocket.MessageText, body); err != nil {
		p.t.Fatalf("sending %s: %v", body, err)
	}
}

// expect returns the next frame of a type; others before it are passed over.
func (p *page) expect(kind string) frame {
	p.t.Helper()
	limit := time.After(p.wait)
	for {
		select {
		case f, ok := <-p.in:
			if !ok {
				p.t.Fatalf("the server hung up (%v) before it sent %q", p.err, kind)
			}
			if f["t"] == kind {
				return f
			}
		case <-limit:
			p.t.Fatalf("the server did not send %q", kind)
		}
	}
}

// refused expects an error with a code, and that the server hangs up.
func (p *page) refused(code string) {
	p.t.Helper()
	if f := p.expect("error"); f["code"] != code {
		p.t.Errorf("refused with %v, want %s", f, code)
	}
	p.hungUp()
}

func (p *page) hungUp() {
	p.t.Helper()
	limit := time.After(p.wait)
	for {
		select {
		case f, ok := <-p.in:
			if !ok {
				return
			}
			p.t.Logf("still %v", f)
		case <-limit:
			p.t.Fatal("the connection stays open")
		}
	}
}

// said expects messages, in order and without a gap from event to event, others passed over. What a desk hears of a conversation before it is
// opened comes again in its turn.
func (p *page) said(after int, texts ...string) int {
	p.t.Helper()
	for len(texts) > 0 {
		f := p.expect("event")
		n := int(f["n"].(float64))
		if n != after+1 {
			continue
		}
		after++
		if f["kind"] != "say" {
			continue
		}
		if f["text"] != texts[0] {
			p.t.Fatalf("event %d says %q, want %q", after, f["text"], texts[0])
		}
		texts = texts[1:]
	}
	return after
}

func cookie(visitor string) func(http.Header) {
	return func(h http.Header) { h.Set("Cookie", "visitor="+visitor+"; __Host-visitor="+visitor) }
}

// cookieOf is a visitor cookie's value, of the right shape, for somebody.
func cookieOf(name string) string {
	b := []byte(fmt.Sprintf("%-24s", name))
	for i := range b {
		if b[i] == ' ' {
			b[i] = '_'
		}
	}
	return string(b)
}

func who(name string) func(http.Header) { return cookie(cookieOf(name)) }

// reader joins as a visitor through the web port, or a chat port.
func (h *house) reader(token, name string, last, port int) *page {
	h.t.Helper()
	p, err := h.dial(h.socket(port), who(name))
	if err != nil {
		h.t.Fatal(err)
	}
	p.send(frame{"t": "join", "v": 1, "token": token, "last": last})
	return p
}

func (h *house) socket(port int) string {
	if port == 0 {
		return strings.Replace(h.url, "http", "ws", 1) + "/ws"
	}
	scheme := "ws"
	if h.tls != nil {
		scheme = "wss"
	}
	return fmt.Sprintf("%s://localhost:%d/ws", scheme, port)
}

// talking is a reader who has joined and shown intent; conv is his conversation.
func (h *house) talking(token, name string) (p *page, conv string) {
	h.t.Helper()
	p = h.reader(token, name, 0, 0)
	p.expect("joined")
	p.send(frame{"t": "intent"})
	return p, p.expect("event")["conv"].(string)
}

func (h *house) desk(login string) *page {
	h.t.Helper()
	before := h.broker.attached()
	p, err := h.dial(strings.Replace(h.url, "http", "ws", 1)+"/desk/ws", func(hd http.Header) { hd.Set("Login", login) })
	if err != nil {
		h.t.Fatal(err)
	}
	for limit := time.After(p.wait); h.broker.attached() == before; { // until then the broker could not tell it of anybody
		select {
		case <-h.broker.told:
		case <-p.over: // turned away
			return p
		case <-limit:
			h.t.Fatal("the desk was not attached")
		}
	}
	return p
}

// needed skips a test that needs a program which is not here; with CI=true it fails it.
func needed(t *testing.T, program string) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatalf("%s is missing: ./script/test installs it", program)
	}
	t.Skipf("%s is not installed; ./script/test installs it", program)
}

func (h *house) dialOptions(name string) *websocket.DialOptions {
	header := http.Header{"Origin": {h.url}}
	who(name)(header)
	return &websocket.DialOptions{HTTPHeader: header, HTTPClient: &http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: h.net.dial}}}
}
