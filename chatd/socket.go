package chatd

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"github.com/coder/websocket"
	"golang.org/x/time/rate"
)

const (
	joinWithin  = 10 * time.Second // the first frame must have come
	framesBurst = 100              // frames that one socket may send at once,
	framesEach  = 50 * time.Millisecond
	busyTime    = 30 * time.Second // after which who asked for too much may come back,
	troubleTime = 2 * time.Second  // and after which when the fault was ours
)

// A socket is the voice of a WebSocket.
type socket struct {
	conn  *websocket.Conn
	under *gatherer    // what conn writes to
	heard atomic.Int64 // frames read

	address func(file string) string // nil, or what a terminal's owner finds a file by; set before any event
}

// accept answers the upgrade. Whoever calls it has checked the origin.
func accept(w http.ResponseWriter, r *http.Request) (*socket, error) {
	over := &gathering{ResponseWriter: w}
	conn, err := websocket.Accept(over, r, &websocket.AcceptOptions{InsecureSkipVerify: true, CompressionMode: websocket.CompressionDisabled})
	if err != nil {
		return nil, fmt.Errorf("accepting a socket: %w", err)
	}
	conn.SetReadLimit(maxFrame)
	return &socket{conn: conn, under: over.conn}, nil
}

func (s *socket) send(ctx context.Context, f any) error {
	body, err := encodeFrame(f)
	if e, ok := f.(*event); ok && e.File != nil && s.address != nil {
		body, err = withAddress(e, s.address)
	}
	if err != nil {
		return err
	}
	s.under.gather()
	return s.conn.Write(ctx, websocket.MessageText, body)
}

func encodeFrame(f any) ([]byte, error) {
	if e, ok := f.(*event); ok {
		return e.wire, nil
	}
	body, err := json.Marshal(f)
	if err != nil {
		return nil, fmt.Errorf("encoding a frame: %w", err)
	}
	return body, nil
}

func (s *socket) flush(ctx context.Context) error { return s.under.flush(ctx) }

// ping is content with any frame that was read meanwhile: the answer of somebody who is read slowly stands behind what he has sent.
func (s *socket) ping(ctx context.Context) error {
	before := s.heard.Load()
	if err := s.conn.Ping(ctx); err != nil && s.heard.Load() == before {
		return fmt.Errorf("waiting for a sign of life: %w", err)
	}
	return nil
}

func (s *socket) close(last any) {
	code := websocket.StatusPolicyViolation
	if f, ok := last.(farewell); ok {
		code = websocket.StatusNormalClosure
		if f.Reason == "restart" {
			code = websocket.StatusServiceRestart
		}
	}
	if s.send(context.Background(), last) == nil && s.flush(context.Background()) == nil {
		// Whether the peer still answers concerns nobody.
		_ = s.conn.Close(code, "")
	}
}

// converse reads frames and gives each to handle, until the peer leaves (errLeft) or handle fails. With hurry the first frame must come
// within ten seconds; others come when they come, since pings find out who has gone.
func (s *Server) converse(ctx context.Context, sock *socket, c *client, hurry bool, handle func(context.Context, frameIn) error) error {
	pace := rate.NewLimiter(rate.Every(framesEach), framesBurst)
	for {
		f, err := sock.read(ctx, hurry)
		if err != nil {
			return err
		}
		hurry = false
		if pace.Wait(ctx) != nil { // who is too fast is read more slowly
			return errLeft
		}
		err = handle(ctx, f)
		if errors.Is(err, faultText) {
			c.put(errorFrame{T: "error", Code: faultText.code, Text: faultText.text, Conv: f.Conv, CID: f.CID})
			continue
		}
		if err != nil {
			return err
		}
	}
}

func (s *socket) read(ctx context.Context, hurry bool) (frameIn, error) {
	if hurry {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, joinWithin)
		defer cancel()
	}
	kind, body, err := s.conn.Read(ctx)
	if err != nil {
		return frameIn{}, errLeft
	}
	s.heard.Add(1)
	if kind != websocket.MessageText || !utf8.Valid(body) {
		return frameIn{}, faultFrame
	}
	return decodeFrame(body)
}

var (
	// errLeft says that the peer has gone, or was cut off.
	errLeft = errors.New("the peer has left")
	// errBusy says that somebody asks for too much: he may try again later.
	errBusy = errors.New("too much is asked for")
	// errPanic: a fault of the program, which is in the log.
	errPanic = errors.New("a panic")
)

// part hangs up on a client according to how its conversation ended, and waits until its last frame is out.
func (s *Server) part(c *client, peer netip.Addr, err error) {
	var refused *fault
	switch {
	case errors.Is(err, errLeft), errors.Is(err, context.Canceled):
		c.hang()
	case errors.As(err, &refused):
		c.leave(errorFrame{T: "error", Code: refused.code, Text: refused.text})
	case errors.Is(err, errBusy):
		c.leave(bye("busy", busyTime))
	default:
		s.log.Error("chatd: a connection ended by our own failure", "peer", peer, "err", err)
		c.leave(bye("trouble", troubleTime))
	}
	<-c.ended
}
