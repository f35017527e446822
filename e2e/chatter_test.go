package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"path"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"
)

// A chatter is a scripted client of the frames in docs/protocol.md: it says one thing after the other, a few at a time, and keeps what it sees. When its
// line breaks it comes back and says again whatever was not acknowledged, as the pages do.
type chatter struct {
	name string // what it says begins with it
	dial func(context.Context) (*websocket.Conn, error)
	conv string // a desk's; "" for the reader, who has one
	join func(last int) []map[string]any

	mu      sync.Mutex
	seen    []string       // the messages of events 1, 2, 3 …; "" for what is none
	ahead   map[int]string // events that came before those in front of them
	sent    int            // so many things have been begun to be said
	acked   map[string]int // by cid: the event
	waiting []string       // cids without an acknowledgement, in order
	quiet   bool           // says nothing new
	breaks  int            // lines that broke
	room    string         // the conversation that it is in
	fault   error
	line    *websocket.Conn
}

const underWay = 3 // messages that a chatter has without acknowledgement at most

// frame is what the chatters read of the server's frames.
type frame struct {
	T    string `json:"t"`
	Conv string `json:"conv"`
	N    int    `json:"n"`
	Kind string `json:"kind"`
	Text string `json:"text"`
	CID  string `json:"cid"`
	Code string `json:"code"`
}

// run chats until ctx ends.
func (c *chatter) run(ctx context.Context) {
	for ctx.Err() == nil {
		conn, err := c.dial(ctx)
		if err == nil {
			_ = c.chat(ctx, conn) // until it breaks, for whatever reason: what counts is kept in c
			_ = conn.CloseNow()   // it is broken already
		}
		c.mu.Lock()
		c.breaks++
		c.line = nil
		done := c.fault != nil
		c.mu.Unlock()
		if done {
			return
		}
		select {
		case <-ctx.Done():
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// chat is one line, until it breaks.
func (c *chatter) chat(ctx context.Context, conn *websocket.Conn) error {
	conn.SetReadLimit(1 << 20)
	c.mu.Lock()
	c.line = conn
	last, again := len(c.seen), append([]string(nil), c.waiting...)
	c.mu.Unlock()
	for _, f := range c.join(last) {
		if err := write(ctx, conn, f); err != nil {
			return err
		}
	}
	for _, cid := range again {
		if err := c.say(ctx, conn, cid); err != nil {
			return err
		}
	}
	for {
		if err := c.more(ctx, conn); err != nil {
			return err
		}
		_, b, err := conn.Read(ctx)
		if err != nil {
			return err
		}
		var f frame
		if err := json.Unmarshal(b, &f); err != nil {
			return err
		}
		if err := c.take(f); err != nil {
			c.mu.Lock()
			c.fault = errors.Join(c.fault, fmt.Errorf("%s: %w", c.name, err))
			c.mu.Unlock()
			return err
		}
		if f.T == "bye" {
			return errors.New("told to come back")
		}
	}
}

// more says what is to be said next.
func (c *chatter) more(ctx context.Context, conn *websocket.Conn) error {
	for {
		c.mu.Lock()
		if c.quiet || len(c.waiting) >= underWay {
			c.mu.Unlock()
			return nil
		}
		cid := fmt.Sprintf("%s-%d", c.name, c.sent)
		c.sent++
		c.waiting = append(c.waiting, cid)
		c.mu.Unlock()
		if err := c.say(ctx, conn, cid); err != nil {
			return err
		}
	}
}

func (c *chatter) say(ctx context.Context, conn *websocket.Conn, cid string) error {
	f := map[string]any{"t": "say", "cid": cid, "text": "this is " + cid}
	if c.conv != "" {
		f["conv"] = c.conv
	}
	return write(ctx, conn, f)
}

// take looks at a frame.
func (c *chatter) take(f frame) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch f.T {
	case "ack":
		if n, twice := c.acked[f.CID]; twice && n != f.N {
			return fmt.Errorf("%s is acknowledged as event %d, and was %d", f.CID, f.N, n)
		}
		c.acked[f.CID] = f.N
		for i, cid := range c.waiting {
			if cid == f.CID {
				c.waiting = append(c.waiting[:i], c.waiting[i+1:]...)
				break
			}
		}
	case "event":
		if c.conv == "" {
			c.room = f.Conv
		}
		if c.conv != "" && f.Conv != c.conv {
			return nil
		}
		text := ""
		if f.Kind == "say" {
			text = f.Text
		}
		switch next := len(c.seen) + 1; {
		case f.N < next:
			if c.conv == "" || c.seen[f.N-1] != text {
				return fmt.Errorf("event %d comes again after %d", f.N, next-1)
			}
		case f.N > next && c.conv == "":
			return fmt.Errorf("event %d comes after %d", f.N, next-1)
		default: // a desk may hear of an event before those that it has asked for
			c.ahead[f.N] = text
		}
		for text, ok := c.ahead[len(c.seen)+1]; ok; text, ok = c.ahead[len(c.seen)+1] {
			delete(c.ahead, len(c.seen)+1)
			c.seen = append(c.seen, text)
		}
	case "error":
		return fmt.Errorf("refused: %s: %s", f.Code, f.Text)
	}
	return nil
}

// cut breaks the line, as a network does.
func (c *chatter) cut() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.line != nil {
		_ = c.line.CloseNow() // it may be broken already
	}
}

// progress is how much has been acknowledged, and whether anything is under way.
func (c *chatter) progress() (acked, waiting, seen int, fault error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.acked), len(c.waiting), len(c.seen), c.fault
}

func (c *chatter) hush() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.quiet = true
}

func write(ctx context.Context, conn *websocket.Conn, f map[string]any) error {
	b, err := json.Marshal(f)
	if err != nil {
		return err
	}
	return conn.Write(ctx, websocket.MessageText, b)
}

// browsing is an HTTP client with cookies.
func (s *server) browsing(t testing.TB) *http.Client {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	c := s.client()
	c.Jar = jar
	return c
}

// socket opens a WebSocket as the site's own page would.
func (s *server) socket(ctx context.Context, c *http.Client, at string) (*websocket.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	conn, _, err := websocket.Dial(ctx, at, &websocket.DialOptions{HTTPClient: c, HTTPHeader: http.Header{"Origin": {s.url()}}})
	return conn, err
}

// reader is a chatter who follows a link: on the owner's port, or on the web port where that does not answer.
func (s *server) reader(t testing.TB, link, port string) *chatter {
	t.Helper()
	c := s.browsing(t)
	return &chatter{
		name: "reader", ahead: make(map[int]string), acked: make(map[string]int),
		dial: func(ctx context.Context) (*websocket.Conn, error) {
			resp, err := c.Get(link)
			if err != nil {
				return nil, err
			}
			if err := resp.Body.Close(); err != nil {
				return nil, err
			}
			conn, err := s.socket(ctx, c, "wss://localhost:"+port+"/ws")
			if err != nil {
				conn, err = s.socket(ctx, c, "wss"+strings.TrimPrefix(s.url(), "https")+"/ws")
			}
			return conn, err
		},
		join: func(last int) []map[string]any {
			return []map[string]any{{"t": "join", "v": 1, "token": path.Base(link), "last": last, "name": "Bob"}, {"t": "intent"}}
		},
	}
}

// owner is a chatter at Alice's desk, in the conversation conv.
func (s *server) owner(t testing.TB, conv string) *chatter {
	t.Helper()
	c := s.browsing(t)
	if status := s.signsIn(t, c, alice, alicesPassword); status != http.StatusSeeOther {
		t.Fatalf("signing in: status %d", status)
	}
	return &chatter{
		name: "owner", conv: conv, ahead: make(map[int]string), acked: make(map[string]int),
		dial: func(ctx context.Context) (*websocket.Conn, error) {
			return s.socket(ctx, c, "wss"+strings.TrimPrefix(s.url(), "https")+"/desk/ws")
		},
		join: func(last int) []map[string]any { return []map[string]any{{"t": "open", "conv": conv, "last": last}} },
	}
}

// signsIn signs in at the desk and returns the status: 303 for whoever is let in.
func (s *server) signsIn(t testing.TB, c *http.Client, login, password string) int {
	t.Helper()
	body := url.Values{"user": {login}, "password": {password}}.Encode()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.url()+"/desk/login", bytes.NewBufferString(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Origin", s.url())
	resp, err := c.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	return resp.StatusCode
}
