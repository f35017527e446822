package terminal

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"html"
	"net"
	"net/http"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"

	"github.com/coder/websocket"
)

// far is the other end: a site within this process whose pages and sockets a test moves by hand.
type far struct {
	t         *testing.T
	mu        sync.Mutex
	pages     int             // fetched so far
	dials     []string        // addresses, in order
	shut      map[string]bool // ports on which nobody listens
	page      func(w http.ResponseWriter, r *http.Request)
	newcomers int // who came without a cookie
	in        map[string]chan net.Conn
	lines     chan *wire
	over      chan struct{}

	client *Client
	told   chan Update
	ended  chan error
	leave  context.CancelFunc
}

// wire is a socket that has been accepted.
type wire struct {
	t    *testing.T
	conn *websocket.Conn
	port string
	done chan struct{}
}

const (
	site = "http://localhost:8080"
	tok  = "9fXq2kTq0uVw3Ew7n8aZ5g"
)

// inBubble tells a story on a clock of its own.
func inBubble(t *testing.T, story func(t *testing.T, f *far)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		f := &far{t: t, shut: map[string]bool{}, in: map[string]chan net.Conn{}, lines: make(chan *wire), told: make(chan Update, 1000), over: make(chan struct{})}
		defer close(f.over)
		f.page = f.reader
		for _, port := range []string{"8080", "24000"} {
			f.serve(port)
		}
		story(t, f)
	})
}

func (f *far) serve(port string) {
	ln := &pipeListener{in: make(chan net.Conn), done: make(chan struct{})}
	f.in[port] = ln.in
	mux := http.NewServeMux()
	mux.HandleFunc("GET /c/{token}", func(w http.ResponseWriter, r *http.Request) {
		f.mu.Lock()
		f.pages++
		page := f.page
		f.mu.Unlock()
		page(w, r)
	})
	mux.HandleFunc("GET /ws", func(w http.ResponseWriter, r *http.Request) {
		if c, err := r.Cookie("visitor"); err != nil || c.Value != "a-visitor-of-the-tests" || r.Header.Get("Origin") != site {
			http.Error(w, "who is that?", http.StatusForbidden)
			return
		}
		conn, err := websocket.Accept(w, r, &websocket.AcceptOptions{InsecureSkipVerify: true})
		if err != nil {
			return
		}
		l := &wire{f.t, conn, port, make(chan struct{})}
		defer conn.CloseNow()
		select {
		case f.lines <- l:
		case <-f.over:
		}
		select {
		case <-l.done:
		case <-f.over:
		}
	})
	srv := &http.Server{Handler: mux}
	go srv.Serve(ln)
	f.t.Cleanup(func() { srv.Close() })
}

type pipeListener struct {
	in   chan net.Conn
	done chan struct{}
	once sync.Once
}

func (l *pipeListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.in:
		return c, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}

func (l *pipeListener) Close() error   { l.once.Do(func() { close(l.done) }); return nil }
func (l *pipeListener) Addr() net.Addr { return &net.TCPAddr{} }

func (f *far) dial(ctx context.Context, _, address string) (net.Conn, error) {
	_, port, _ := strings.Cut(address, ":")
	f.mu.Lock()
	f.dials = append(f.dials, address)
	shut := f.shut[port]
	f.mu.Unlock()
	if shut || f.in[port] == nil {
		return nil, syscall.ECONNREFUSED
	}
	ours, theirs := net.Pipe()
	select {
	case f.in[port] <- theirs:
		return ours, nil
	case <-f.over:
		return nil, net.ErrClosed
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// reader is the reader's page, of an owner whose name would like to steer terminals.
// Who comes without a cookie is taken for somebody new, which happens once in a story.
func (f *far) reader(w http.ResponseWriter, r *http.Request) {
	if _, err := r.Cookie("visitor"); err != nil {
		f.mu.Lock()
		f.newcomers++
		if f.newcomers > 1 {
			f.t.Errorf("the visitor comes as somebody new, at page %d", f.pages)
		}
		f.mu.Unlock()
	}
	http.SetCookie(w, &http.Cookie{Name: "visitor", Value: "a-visitor-of-the-tests"})
	fmt.Fprint(w, readerPage("Alice\x1b[2J Example", "ws://localhost:24000/ws ws://localhost:8080/ws"))
}

func readerPage(owner, sockets string) string {
	return `<!doctype html><div class="reader" id="reader" data-owner="` + html.EscapeString(owner) + `" data-sockets="` + sockets + `"><p class="address" dir="ltr">alice@example.com</p>` +
		`<p class="about">about the mail <cite dir="auto">Offer for the roof</cite></p></div>`
}

// begin opens the link, runs the client and returns its first line, which has joined.
func (f *far) begin(options ...func(*Options)) *wire {
	f.t.Helper()
	link, err := ParseLink(site + "/c/" + tok)
	if err != nil {
		f.t.Fatal(err)
	}
	o := Options{Link: link, Dial: f.dial, Tell: func(u Update) { f.told <- u }}
	for _, change := range options {
		change(&o)
	}
	f.client = New(o)
	if _, err := f.client.Open(f.t.Context()); err != nil {
		f.t.Fatal(err)
	}
	ctx, leave := context.WithCancel(f.t.Context())
	f.leave, f.ended = leave, make(chan error, 1)
	go func() { f.ended <- f.client.Run(ctx) }()
	f.t.Cleanup(leave)
	return <-f.lines
}

// say says a text and returns its id.
func (f *far) say(text string) string {
	f.t.Helper()
	cid, ok := f.client.TrySay(text)
	if !ok {
		f.t.Fatalf("%q is not taken", text)
	}
	return cid
}

// is fails unless the next update is this one.
func (f *far) is(want Update) {
	f.t.Helper()
	if got := <-f.told; got != want {
		f.t.Fatalf("told %#v, want %#v", got, want)
	}
}

// down fails unless the next update is that the line is down.
func (f *far) down() Down {
	f.t.Helper()
	u := <-f.told
	d, ok := u.(Down)
	if !ok {
		f.t.Fatalf("told %#v, want that the line is down", u)
	}
	return d
}

func (l *wire) send(text string) {
	l.t.Helper()
	if err := l.conn.Write(l.t.Context(), websocket.MessageText, []byte(text)); err != nil {
		l.t.Fatal(err)
	}
}

// expect reads the next frame, which must be of that kind.
func (l *wire) expect(kind string) map[string]any {
	l.t.Helper()
	_, body, err := l.conn.Read(l.t.Context())
	if err != nil {
		l.t.Fatalf("waiting for %s: %v", kind, err)
	}
	var m map[string]any
	if err := json.Unmarshal(body, &m); err != nil || m["t"] != kind {
		l.t.Fatalf("%s instead of %s", body, kind)
	}
	return m
}

// join lets the line in, after looking at what the client has.
func (l *wire) join(last int, newest int) {
	l.t.Helper()
	if j := l.expect("join"); j["last"] != float64(last) || j["token"] != tok || j["v"] != 1.0 {
		l.t.Errorf("join: %v, want last %d", j, last)
	}
	l.send(fmt.Sprintf(`{"t":"joined","conv":"c","last":%d,"owner":"Alice","about":"Offer"}`, newest))
}

func (l *wire) event(n int, from, cid, text string) {
	l.t.Helper()
	l.send(fmt.Sprintf(`{"t":"event","conv":"c","n":%d,"kind":"say","from":%q,"at":"2026-11-26T02:00:00Z","text":%q,"cid":%q}`, n, from, text, cid))
}

func (l *wire) ack(cid any, n int) {
	l.t.Helper()
	l.send(fmt.Sprintf(`{"t":"ack","conv":"c","cid":%q,"n":%d}`, cid, n))
}

// cut breaks the line off without a word.
func (l *wire) cut() {
	l.conn.CloseNow()
	close(l.done)
}

// goodbye fails unless the client has left properly.
func (l *wire) goodbye() {
	l.t.Helper()
	_, _, err := l.conn.Read(context.WithoutCancel(l.t.Context()))
	var closed websocket.CloseError
	if !errors.As(err, &closed) || closed.Code != websocket.StatusNormalClosure {
		l.t.Errorf("the client left with %v", err)
	}
	close(l.done)
}
