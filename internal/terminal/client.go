package terminal

import (
	"context"
	"crypto/rand"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	mrand "math/rand/v2"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/coder/websocket"
)

const (
	firstWait   = 500 * time.Millisecond
	longestWait = 30 * time.Second
	longestBye  = 10 * time.Minute // whatever a server asks for
	steady      = 10 * time.Second // a line that held so long starts again with the first wait
	headStart   = 800 * time.Millisecond
	dialWithin  = 15 * time.Second
	joinWithin  = 15 * time.Second
	writeWithin = 10 * time.Second
	ackWithin   = 10 * time.Second // nothing acknowledged for so long: the line is dead whatever the system says
	pingWithin  = 70 * time.Second // the server pings every 25 s
	holeWithin  = time.Second      // so long a missing event may be on its way
	watchEvery  = 2 * time.Second
	maxFrame    = 1 << 20
	underWay    = 8  // messages sent and not acknowledged: the server takes two a second
	maxWaiting  = 64 // messages said and not acknowledged
)

// Why a line ended for good, besides ErrLink.
var (
	ErrElsewhere = errors.New("this conversation has been opened in another window")
	ErrFull      = errors.New("this conversation is full: answer the mail instead")
	ErrVersion   = errors.New("the server speaks a newer protocol than this program: get a newer chmail")
	ErrCookie    = errors.New("the server does not know who is asking: start again")
)

// What ends one line, and not the next.
var (
	errAgain = errors.New("begin again from the first event")
	errBye   = errors.New("the server has hung up")
	errDead  = errors.New("the line has gone silent")
	errHole  = errors.New("an event is missing")
)

// Options are what a Client is made from.
type Options struct {
	Link    Link
	Visitor string         // who we were to the site before; "" for somebody new
	Name    string         // how we are called; "" if we do not say, or have said
	Roots   *x509.CertPool // whom to trust; nil: whom the system trusts
	Tell    func(Update)   // is told everything, in order, from one goroutine; it must not wait for the Client
	Dial    func(ctx context.Context, network, address string) (net.Conn, error)
}

// A Client is the reader's end of one conversation.
type Client struct {
	o    Options
	http *http.Transport

	visitor string
	door    Door
	fresh   bool // door is newer than the last line

	slots chan struct{} // one for each message that is said and not acknowledged
	says  chan pending
	poke  chan struct{} // there is a name or an intent to be sent
	mu    sync.Mutex
	name  string
	want  bool // a person is there

	talk  talk
	tries tries
	heard atomic.Int64
}

// tries is what decides when the line is taken up again.
type tries struct {
	failed int
	up     time.Time // when the line came up
	resume time.Time // not before this
}

// pending is a message that is said and not acknowledged.
type pending struct {
	op, cid, text string
	of            int64 // the message that an edit or a delete is about
	sent          bool  // on this line
}

// New makes a client; nothing happens before Open.
func New(o Options) *Client {
	if o.Dial == nil {
		o.Dial = (&net.Dialer{Timeout: 10 * time.Second}).DialContext
	}
	return &Client{
		o: o, http: transport(o.Roots, o.Dial), visitor: o.Visitor, name: cleanName(o.Name),
		slots: make(chan struct{}, maxWaiting), says: make(chan pending, maxWaiting), poke: make(chan struct{}, 1), talk: newTalk(),
	}
}

// Open follows the link, once. It calls nobody. The errors are ErrLink, ErrForeign, or what the network says.
func (c *Client) Open(ctx context.Context) (Door, error) {
	door, visitor, err := c.o.Link.knock(ctx, c.http, c.visitor)
	if err != nil {
		return Door{}, err // who we are stays: the server may only be away for a while
	}
	c.door, c.visitor = door, visitor
	c.fresh = true
	return c.door, nil
}

// Visitor is who we are to the site: with it anybody is this visitor. It stays the same once Open has succeeded.
func (c *Client) Visitor() string { return c.visitor }

// Intent says that a person is there and wants to talk: the owner is called.
func (c *Client) Intent() {
	c.mu.Lock()
	c.want = true
	c.mu.Unlock()
	c.nudge()
}

// Name says how we are called.
func (c *Client) Name(name string) {
	c.mu.Lock()
	c.name = cleanName(name)
	c.mu.Unlock()
	c.nudge()
}

func (c *Client) nudge() {
	select {
	case c.poke <- struct{}{}:
	default:
	}
}

// Say says one of Pieces and returns its id; Sent or Refused will name it. It waits while too many messages are on their way.
func (c *Client) Say(ctx context.Context, text string) (cid string, err error) {
	select {
	case c.slots <- struct{}{}:
		return c.put("say", 0, text), nil
	case <-ctx.Done():
		return "", ctx.Err()
	}
}

// TrySay is Say; it returns false at once while too many messages are on their way.
func (c *Client) TrySay(text string) (cid string, ok bool) {
	select {
	case c.slots <- struct{}{}:
		return c.put("say", 0, text), true
	default:
		return "", false
	}
}

// TryChange is TrySay for another text of one's own message, event n; with "" the message is taken back. The server takes that for ten
// minutes, and says Refused afterwards.
func (c *Client) TryChange(n int64, text string) (cid string, ok bool) {
	op := "edit"
	if text == "" {
		op = "delete"
	}
	select {
	case c.slots <- struct{}{}:
		return c.put(op, n, text), true
	default:
		return "", false
	}
}

// Waiting is how many messages are said and neither Sent nor Refused.
func (c *Client) Waiting() int { return len(c.slots) }

// put never waits: a slot is held for each message that is in says.
func (c *Client) put(op string, of int64, text string) string {
	id := make([]byte, 16)
	rand.Read(id) // never fails, since Go 1.24
	p := pending{op: op, cid: hex.EncodeToString(id), of: of, text: text}
	c.mu.Lock()
	c.want = true
	c.mu.Unlock()
	c.says <- p
	return p.cid
}

// Run keeps the line up until ctx ends, which is to leave, or the conversation has ended for good: with ErrLink, ErrElsewhere, ErrFull,
// ErrVersion, ErrCookie or ErrForeign.
func (c *Client) Run(ctx context.Context) error {
	for {
		err := c.once(ctx)
		switch {
		case ctx.Err() != nil:
			return nil
		case errors.Is(err, ErrLink), errors.Is(err, ErrElsewhere), errors.Is(err, ErrFull), errors.Is(err, ErrVersion), errors.Is(err, ErrCookie), errors.Is(err, ErrForeign):
			return err
		}
		wait := c.tries.wait()
		c.o.Tell(Down{wait})
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return nil
		}
	}
}

// wait is how long to wait before the next try: longer after each that failed, never the same for everybody.
func (t *tries) wait() time.Duration {
	if !t.up.IsZero() && time.Since(t.up) > steady {
		t.failed = 0
	}
	t.up = time.Time{}
	step := min(firstWait<<min(t.failed, 10), longestWait)
	t.failed++
	return max(step/2+mrand.N(step/2), time.Until(t.resume))
}

// once takes the line up and talks on it until it ends.
func (c *Client) once(ctx context.Context) error {
	if !c.fresh {
		// The owner's port may have closed meanwhile, or be another one.
		if _, err := c.Open(ctx); err != nil {
			return err
		}
	}
	c.fresh = false
	conn, err := c.dial(ctx)
	if err != nil {
		return err
	}
	defer conn.CloseNow()
	conn.SetReadLimit(maxFrame)
	err = c.converse(ctx, conn)
	if ctx.Err() != nil {
		return conn.Close(websocket.StatusNormalClosure, "leaving")
	}
	return err
}

// dial tries the sockets, each with a head start before the next; the first that answers is taken.
func (c *Client) dial(ctx context.Context) (*websocket.Conn, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	type try struct {
		conn *websocket.Conn
		err  error
	}
	tries := make(chan try)
	next := time.NewTimer(0)
	defer next.Stop()
	begun, failed := 0, 0
	for {
		select {
		case <-next.C:
			if begun == len(c.door.sockets) {
				continue
			}
			address := c.door.sockets[begun]
			begun++
			next.Reset(headStart)
			go func() {
				conn, err := c.shake(ctx, address)
				select {
				case tries <- try{conn, err}:
				case <-ctx.Done():
					if conn != nil {
						conn.CloseNow()
					}
				}
			}()
		case t := <-tries:
			if t.err == nil {
				return t.conn, nil
			}
			if failed++; failed == len(c.door.sockets) {
				return nil, fmt.Errorf("connecting: %w", t.err)
			}
			next.Reset(0)
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

func (c *Client) shake(ctx context.Context, address string) (*websocket.Conn, error) {
	head := http.Header{"Origin": {c.o.Link.Site()}}
	head.Set("Cookie", (&http.Cookie{Name: c.o.Link.cookieName(), Value: c.visitor}).String())
	conn, _, err := websocket.Dial(ctx, address, &websocket.DialOptions{
		HTTPClient: &http.Client{
			Transport: c.http, Timeout: dialWithin,
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
		HTTPHeader:     head,
		OnPingReceived: func(context.Context, []byte) bool { c.hear(); return true },
	})
	return conn, err
}

func (c *Client) hear() { c.heard.Store(time.Now().UnixNano()) }

// send writes one frame.
func send(ctx context.Context, conn *websocket.Conn, f any) error {
	body, err := json.Marshal(f)
	if err != nil {
		return fmt.Errorf("encoding a frame: %w", err)
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), writeWithin) // a Write that is called off breaks the connection
	defer cancel()
	return conn.Write(ctx, websocket.MessageText, body)
}
