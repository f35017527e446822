package pages

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"

	"chmail/chatd"
	"chmail/internal/call"
	"chmail/internal/message"
	"chmail/internal/sqldb"
	"chmail/internal/web"
)

const (
	goodToken = "AAAAAAAAAAAAAAAAAAAAAA"
	goodCode  = "ABCD EFGH JKLM"
	alice     = "alice@localhost.test"
	patience  = 15 * time.Second
)

// A house is the pages with a fake chat server behind them, listening for real.
type house struct {
	log      *bytes.Buffer // of one request at a time
	t        *testing.T
	url      string
	handler  http.Handler
	sessions *web.Sessions
	chat     *fakeChat
	links    *fakeLinks
	mails    *fakeMails
	push     *fakePush
	pages    *Pages
	words    func() *web.Words
	accounts *fakeAccounts
}

func newHouse(t *testing.T) *house {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	h := newHouseAt(t, fmt.Sprintf("http://localhost:%d", ln.Addr().(*net.TCPAddr).Port))
	srv := &httptest.Server{Listener: ln, Config: &http.Server{Handler: h.handler, ReadHeaderTimeout: time.Minute}}
	srv.Start()
	t.Cleanup(func() { h.chat.hangUp(); srv.CloseClientConnections(); srv.Close() })
	return h
}

func newHouseAt(t *testing.T, url string) *house {
	t.Helper()
	db, err := sqldb.Open(t.Context(), filepath.Join(t.TempDir(), "web.db"), web.Schema())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	said := new(bytes.Buffer)
	log := slog.New(slog.NewTextHandler(said, nil))
	site, err := web.New(web.Options{URL: url, Log: log})
	if err != nil {
		t.Fatal(err)
	}
	h := &house{
		t: t, url: url, log: said, chat: newFakeChat(), accounts: &fakeAccounts{}, mails: &fakeMails{}, push: newFakePush(),
		links: &fakeLinks{link: call.Link{
			ID: 1, Login: alice, Name: "Alice Example", Host: "localhost",
			Mail: message.Summary{MessageID: "<offer.1@localhost.test>", References: "<ask.1@else.test>", Subject: "Offer for the roof"},
		}},
	}
	h.sessions = web.NewSessions(web.SessionOptions{Site: site, DB: db, Log: log})
	p, err := New(Options{Local: true, Site: site, Sessions: h.sessions, Links: h.links, Mails: h.mails, Chat: h.chat, Accounts: h.accounts, Push: h.push, Log: log})
	if err != nil {
		t.Fatal(err)
	}
	h.words, h.pages = p.render.Words, p
	mux := http.NewServeMux()
	if err := p.Register(mux); err != nil {
		t.Fatal(err)
	}
	h.handler = site.Handler(mux)
	return h
}

// ask sends a request straight to the handler, as if it came through the listener.
func (h *house) ask(method, path string, change ...func(*http.Request)) *http.Response {
	r := httptest.NewRequest(method, h.url+path, nil)
	for _, c := range change {
		c(r)
	}
	w := httptest.NewRecorder()
	h.handler.ServeHTTP(w, r)
	return w.Result()
}

// signedIn makes a session and returns its cookie.
func (h *house) signedIn(login string) *http.Cookie {
	h.t.Helper()
	w := httptest.NewRecorder()
	if err := h.sessions.Start(w, httptest.NewRequest("POST", h.url+"/desk/login", nil), login); err != nil {
		h.t.Fatal(err)
	}
	return w.Result().Cookies()[0]
}

type fakeLinks struct {
	mu    sync.Mutex
	link  call.Link
	asked []string
	pages []string // that were fetched
}

func (l *fakeLinks) Resolve(_ context.Context, token string) (call.Link, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.asked = append(l.asked, token)
	if token != goodToken {
		return call.Link{}, fmt.Errorf("looking up a token: %w", call.ErrNoLink)
	}
	return l.link, nil
}

func (l *fakeLinks) Wants(link call.Link) call.State {
	return map[call.Terms]call.State{call.Proved: call.Unproved, call.AfterWords: call.Silent}[link.Terms]
}

func (l *fakeLinks) Opened(link call.Link, peer netip.Addr) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.pages = append(l.pages, fmt.Sprint(link.ID, " from ", peer))
}

type fakeAccounts struct{ err error }

func (a *fakeAccounts) Authenticate(_ context.Context, user, password string, _ netip.Addr) (string, bool, error) {
	return strings.ToLower(user), strings.EqualFold(user, alice) && password == "right", a.err
}

// fakeChat keeps what the pages asked of it and hands every socket to the test as a caller.
type fakeChat struct {
	posted
	fakeFiles
	fakeFinder
	fakePhrases
	mu      sync.Mutex
	opened  []opening
	talks   []chatd.Talk
	blocked string // a visitor's cookie
	// redeemed are the visitors who have typed a code; redeemErr is what they get.
	redeemed  []string
	redeemErr error
	guests    bool   // codes make guests
	guest     string // a guest's cookie
	readers   chan *caller
	desks     chan *caller
	live      map[*caller]bool
}

func newFakeChat() *fakeChat {
	return &fakeChat{fakeFiles: fakeFiles{max: 10 << 20}, readers: make(chan *caller, 16), desks: make(chan *caller, 16), live: make(map[*caller]bool)}
}

// An opening is a page that was asked for.
type opening struct {
	port    int
	visitor string
}

func (c *fakeChat) Open(_ context.Context, link call.Link, visitor string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.opened = append(c.opened, opening{link.Port, visitor})
	return nil
}

func (c *fakeChat) Conversations(_ context.Context, login string, _ int) ([]chatd.Talk, error) {
	if login != alice {
		return nil, nil
	}
	return c.talks, nil
}

func (c *fakeChat) Conversation(_ context.Context, login, id string) (chatd.Talk, error) {
	if login == alice && id == "older" {
		return chatd.Talk{ID: "older", Who: "Bob", About: "An old mail", State: "noticed", At: time.Now().Add(-48 * time.Hour)}, nil
	}
	return chatd.Talk{}, chatd.ErrNoConversation
}

func (c *fakeChat) Blocked(_ context.Context, login, visitor string) (bool, error) {
	return login == alice && c.blocked != "" && visitor == c.blocked, nil
}

// Redeem knows one code, which leads to goodToken.
func (c *fakeChat) Redeem(_ context.Context, code, visitor string, _ netip.Addr) (chatd.Landing, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.redeemed = append(c.redeemed, visitor)
	if c.redeemErr == nil && code != goodCode {
		return chatd.Landing{}, errors.New("no such code")
	}
	if c.guests {
		c.guest = visitor
		return chatd.Landing{Conv: "c1"}, nil
	}
	return chatd.Landing{Token: goodToken}, c.redeemErr
}

// Guest knows one guest, by his cookie.
func (c *fakeChat) Guest(_ context.Context, conv, visitor string) (chatd.GuestView, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if conv != "c1" || visitor != c.guest {
		return chatd.GuestView{}, chatd.ErrNoConversation
	}
	return chatd.GuestView{Owner: "Alice Example", About: "Offer for the roof"}, nil
}

// Come knows one invitation, of Alice's.
func (c *fakeChat) Come(_ context.Context, login, id, visitor string) (string, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if login != alice || id != "i1" {
		return "", chatd.ErrNoConversation
	}
	c.guest = visitor
	return "c1", nil
}

// ComeBack knows Alice as a guest of one conversation.
func (c *fakeChat) ComeBack(_ context.Context, login, conv, visitor string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if login != alice || conv != "c1" {
		return chatd.ErrNoConversation
	}
	c.guest = visitor
	return nil
}

// admit has codes make guests from now on.
func (c *fakeChat) admit() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.guests = true
}

// refuse has every code refused, and so; nil: none but the wrong ones.
func (c *fakeChat) refuse(why error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.redeemErr = why
}

func (c *fakeChat) ReaderSocket(w http.ResponseWriter, r *http.Request) { c.accept(w, r, c.readers) }

func (c *fakeChat) DeskSocket(w http.ResponseWriter, r *http.Request, _ string) {
	c.accept(w, r, c.desks)
}

func (c *fakeChat) hangUp() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for p := range c.live {
		p.cut()
	}
}

type frame map[string]any

// A caller is a page on the other end of a socket.
type caller struct {
	conn   *websocket.Conn
	host   string
	cookie string
	in     chan frame
	done   context.Context
	cut    context.CancelFunc
}

func (c *fakeChat) accept(w http.ResponseWriter, r *http.Request, to chan *caller) {
	conn, err := websocket.Accept(w, r, &websocket.AcceptOptions{InsecureSkipVerify: true})
	if err != nil {
		return
	}
	ctx, cut := context.WithCancel(r.Context())
	p := &caller{conn: conn, host: r.Host, cookie: r.Header.Get("Cookie"), in: make(chan frame, 64), done: ctx, cut: cut}
	c.mu.Lock()
	c.live[p] = true
	c.mu.Unlock()
	to <- p
	defer func() {
		cut()
		_ = conn.CloseNow()
		c.mu.Lock()
		delete(c.live, p)
		c.mu.Unlock()
	}()
	for {
		_, body, err := conn.Read(ctx)
		if err != nil {
			return
		}
		var f frame
		if json.Unmarshal(body, &f) == nil {
			p.in <- f
		}
	}
}

// send sends frames to the page.
func (p *caller) send(t *testing.T, frames ...frame) {
	t.Helper()
	for _, f := range frames {
		body, err := json.Marshal(f)
		if err != nil {
			t.Fatal(err)
		}
		if err := p.conn.Write(p.done, websocket.MessageText, body); err != nil {
			t.Fatalf("sending %s: %v", body, err)
		}
	}
}

// expect returns the page's next frame of a type; others before it are passed over.
func (p *caller) expect(t *testing.T, kind string) frame {
	t.Helper()
	limit := time.After(patience)
	for {
		select {
		case f := <-p.in:
			if f["t"] == kind {
				return f
			}
		case <-p.done.Done():
			for len(p.in) > 0 { // what it sent before that
				if f := <-p.in; f["t"] == kind {
					return f
				}
			}
			t.Fatalf("the page hung up before it sent %q", kind)
		case <-limit:
			t.Fatalf("the page did not send %q", kind)
		}
	}
}

// next returns the next page that opens a socket.
func next(t *testing.T, from chan *caller) *caller {
	t.Helper()
	select {
	case p := <-from:
		return p
	case <-time.After(patience):
		t.Fatal("no page opened a socket")
		return nil
	}
}

func readAll(t *testing.T, resp *http.Response) string {
	t.Helper()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}
