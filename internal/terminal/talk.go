package terminal

import (
	"context"
	"fmt"
	"time"

	"github.com/coder/websocket"
)

// talk is the conversation as this end knows it: which events it has, and which of its own messages are not safe yet. Events are
// numbered without a gap, so that a hole shows at once; to say a message again under its id is harmless.
type talk struct {
	last  int64
	out   []pending
	known map[int64]bool // events of ours that were acknowledged before they came
}

func newTalk() talk { return talk{known: make(map[int64]bool)} }

// settle takes a message off the list of those that are not safe; false if it is not on it.
func (t *talk) settle(cid string) bool {
	for i, p := range t.out {
		if p.cid == cid {
			t.out = append(t.out[:i:i], t.out[i+1:]...)
			return true
		}
	}
	return false
}

// advance takes acknowledged messages of ours into account that no event is needed for.
func (t *talk) advance() {
	for t.known[t.last+1] {
		t.last++
		delete(t.known, t.last)
	}
}

// a line is one connection, from the join on.
type line struct {
	c        *Client
	conn     *websocket.Conn
	joined   bool
	name     string // as it was sent
	want     bool   // intent was sent
	progress time.Time
	hole     <-chan time.Time
	beyond   int64 // the event that showed the hole
}

// converse joins and talks until the line ends; it never returns nil unless ctx has ended.
func (c *Client) converse(ctx context.Context, conn *websocket.Conn) error {
	frames, broken, done := make(chan frame), make(chan error, 1), make(chan struct{})
	defer close(done)
	listening := context.WithoutCancel(ctx) // a Read that is called off breaks the connection, and nobody could say goodbye on it
	go func() {
		for {
			kind, body, err := conn.Read(listening)
			if err != nil {
				broken <- err
				return
			}
			c.hear()
			if f, ok := readFrame(body); ok && kind == websocket.MessageText {
				select {
				case frames <- f:
				case <-done:
				}
			}
		}
	}()
	l := &line{c: c, conn: conn, progress: time.Now()}
	for i := range c.talk.out {
		c.talk.out[i].sent = false
	}
	c.mu.Lock()
	l.name = c.name
	c.mu.Unlock()
	if err := send(ctx, conn, joinFrame{"join", 1, c.o.Link.token, c.talk.last, l.name, true}); err != nil {
		return err
	}
	c.hear()
	return l.loop(ctx, frames, broken)
}

func (l *line) loop(ctx context.Context, frames <-chan frame, broken <-chan error) error {
	began, watch := time.Now(), time.NewTicker(watchEvery)
	defer watch.Stop()
	for {
		var err error
		select {
		case f := <-frames:
			err = l.take(f)
		case err = <-broken:
			return fmt.Errorf("listening: %w", err)
		case p := <-l.c.says:
			l.c.talk.out = append(l.c.talk.out, p)
		case <-l.c.poke:
		case <-l.hole:
			if l.hole = nil; l.c.talk.last < l.beyond {
				err = errHole
			}
		case <-watch.C:
			switch {
			case !l.joined && time.Since(began) > joinWithin, time.Since(time.Unix(0, l.c.heard.Load())) > pingWithin,
				l.waiting() && time.Since(l.progress) > ackWithin:
				err = errDead
			}
		case <-ctx.Done():
			return ctx.Err()
		}
		if err == nil && l.joined {
			err = l.offer(ctx)
		}
		if err != nil {
			return err
		}
	}
}

func (l *line) waiting() bool { return len(l.c.talk.out) > 0 && l.c.talk.out[0].sent }

// offer sends what there is to be sent: a name, that a person is there, and messages in their order.
func (l *line) offer(ctx context.Context) error {
	l.c.mu.Lock()
	name, want := l.c.name, l.c.want
	l.c.mu.Unlock()
	if name != "" && name != l.name {
		if err := send(ctx, l.conn, sayFrame{T: "name", Name: name}); err != nil {
			return err
		}
		l.name = name
	}
	if want && !l.want {
		if err := send(ctx, l.conn, sayFrame{T: "intent"}); err != nil {
			return err
		}
		l.want = true
	}
	for i := range min(len(l.c.talk.out), underWay) {
		p := &l.c.talk.out[i]
		if p.sent {
			continue
		}
		if !l.waiting() {
			l.progress = time.Now()
		}
		if err := send(ctx, l.conn, sayFrame{T: p.op, CID: p.cid, N: p.of, Text: p.text}); err != nil {
			return err
		}
		p.sent = true
	}
	return nil
}

// take does what a frame says. An error ends the line.
func (l *line) take(f frame) error {
	c := l.c
	switch f.T {
	case "joined":
		l.joined = true
		c.tries.up = time.Now()
		c.o.Tell(Up{f.Owner, f.About, f.Name, f.Last, f.Wants})
	case "event":
		l.event(f)
	case "ack":
		l.progress = time.Now()
		if !c.talk.settle(f.CID) {
			return nil
		}
		<-c.slots
		c.o.Tell(Sent{f.CID, f.N})
		if f.N > c.talk.last {
			c.talk.known[f.N] = true
			c.talk.advance()
		}
	case "call":
		c.o.Tell(Call{f.State})
	case "bye":
		if f.Reason == "replaced" {
			return ErrElsewhere
		}
		c.tries.resume = time.Now().Add(min(time.Duration(f.AfterMS)*time.Millisecond, longestBye))
		return errBye
	case "error":
		return l.fault(f)
	}
	return nil
}

func (l *line) event(f frame) {
	t := &l.c.talk
	if f.N <= t.last {
		return
	}
	if f.N > t.last+1 {
		if l.hole == nil {
			l.hole, l.beyond = time.After(holeWithin), f.N
		}
		return // nothing behind a hole is ever shown: the line is taken up anew
	}
	t.last = f.N
	e := Event{N: f.N, Kind: f.Kind, Mine: f.From == "visitor", Name: f.Name, Text: f.Text, At: f.At, Of: f.Of, File: f.File}
	if e.Mine && f.CID != "" && t.settle(f.CID) {
		l.progress = time.Now()
		<-l.c.slots
		e.CID = f.CID
	}
	l.c.o.Tell(e)
	t.advance()
}

// fault is what an error frame means.
func (l *line) fault(f frame) error {
	c := l.c
	if f.CID != "" {
		l.progress = time.Now()
		if c.talk.settle(f.CID) {
			<-c.slots
			c.o.Tell(Refused{f.CID, f.Text})
		}
		return nil
	}
	switch f.Code {
	case "link":
		return ErrLink
	case "full":
		return ErrFull
	case "version":
		return ErrVersion
	case "cookie":
		return ErrCookie
	case "gap":
		c.talk.last = 0
		clear(c.talk.known)
		c.o.Tell(Anew{})
		return errAgain
	}
	return fmt.Errorf("the server refuses: %s", Safe(f.Code))
}
