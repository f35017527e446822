package relay

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"sync/atomic"
	"time"

	"chmail/internal/delivery"
)

const blockSize = 32 << 10 // octets that are written in one piece

// conn is the dialogue with one server. One goroutine at a time uses it; only watch's callback runs beside it.
type conn struct {
	under   net.Conn // what deadlines are set on, also below TLS
	stream  net.Conn // under, or TLS on it
	in      *bufio.Reader
	out     *bufio.Writer
	t       Timeouts
	caps    capabilities
	peer    string            // what the server calls itself in answer to EHLO
	remote  string            // "mx.example.org [192.0.2.1]"
	version string            // of TLS, "TLS1.3"; "" plaintext
	dead    *delivery.Verdict // why nothing can be said any more; nil while something can
	stopped atomic.Bool       // the context of the present call has ended
}

func newConn(nc net.Conn, remote string, t Timeouts) *conn {
	c := &conn{under: nc, t: t, remote: remote}
	c.use(nc)
	return c
}

// use makes s the stream that the dialogue goes through. Nothing of an earlier stream is kept.
func (c *conn) use(s net.Conn) {
	c.stream = s
	c.in = bufio.NewReaderSize(s, maxReplyLine)
	c.out = bufio.NewWriterSize(blocks{c}, blockSize)
}

// blocks is what the buffer writes through: each block has the time of one.
type blocks struct{ c *conn }

func (b blocks) Write(p []byte) (int, error) {
	if err := b.c.within(b.c.t.Block); err != nil {
		return 0, err
	}
	return b.c.stream.Write(p)
}

// watch ends all waiting when ctx ends; the connection is good for nothing then. stop must be called when the call is over.
func (c *conn) watch(ctx context.Context) (stop func() bool) {
	return context.AfterFunc(ctx, func() {
		c.stopped.Store(true)
		_ = c.under.SetDeadline(time.Unix(1, 0))
	})
}

// within gives the next step its time.
func (c *conn) within(d time.Duration) error {
	if err := c.under.SetDeadline(time.Now().Add(d)); err != nil {
		return err
	}
	if c.stopped.Load() { // looked at after the deadline is set, so that one of the two is seen
		return context.Canceled
	}
	return nil
}

// say puts a command into the buffer. What holds a line end or another control character never leaves.
func (c *conn) say(line string) error {
	if strings.ContainsFunc(line, func(r rune) bool { return r < ' ' || r == 0x7f }) {
		return errors.New("a command with a control character")
	}
	if _, err := c.out.WriteString(line); err != nil {
		return err
	}
	_, err := c.out.WriteString("\r\n")
	return err
}

// hear reads the answer to what; d is its time.
func (c *conn) hear(what string, d time.Duration) (reply, *delivery.Verdict) {
	if c.dead != nil {
		return reply{}, c.dead
	}
	if err := c.within(d); err != nil {
		return reply{}, c.lost(err, what)
	}
	r, err := readReply(c.in)
	if err != nil {
		return reply{}, c.lost(err, what)
	}
	if r.code == 421 { // RFC 5321 3.8: it closes, whatever was asked
		v := c.judge(r)
		c.dead = &v
		return reply{}, c.dead
	}
	return r, nil
}

// ask says a command and hears the answer; verdicts name a command by its first word.
func (c *conn) ask(line string, d time.Duration) (reply, *delivery.Verdict) {
	what, _, _ := strings.Cut(line, " ")
	return c.exchange(what, line, d)
}

// exchange says a line that verdicts name by what, and hears the answer.
func (c *conn) exchange(what, line string, d time.Duration) (reply, *delivery.Verdict) {
	if c.dead != nil {
		return reply{}, c.dead
	}
	if err := errors.Join(c.say(line), c.out.Flush()); err != nil {
		return reply{}, c.lost(err, what)
	}
	return c.hear(what, d)
}

// judge is a reply of this server's as a verdict.
func (c *conn) judge(r reply) delivery.Verdict {
	v := r.verdict()
	v.Remote, v.TLS = c.remote, c.version
	return v
}

// place says in a verdict where it comes from.
func (c *conn) place(v *delivery.Verdict) *delivery.Verdict {
	v.Remote, v.TLS = c.remote, c.version
	return v
}

// refused is a reply that is none of those for which the dialogue goes on. One of 2xx or 3xx where it has no place leaves nobody knowing what the
// server is at, so nothing more is said to it.
func (c *conn) refused(r reply) *delivery.Verdict {
	v := c.judge(r)
	if !r.is(4) && !r.is(5) {
		v.Code, v.Enhanced, v.Temporary = 0, [3]int{4, 5, 0}, true
		v.Text = delivery.Line("an answer out of place: " + v.Text)
		c.dead = &v
	}
	return &v
}

// lost is the end of the dialogue by err, while waiting for what.
func (c *conn) lost(err error, what string) *delivery.Verdict {
	text := "the connection broke at " + what + ": " + plain(err)
	switch {
	case c.stopped.Load():
		text = "broken off at " + what
	case errors.Is(err, os.ErrDeadlineExceeded):
		text = "no answer in time to " + what
	case errors.Is(err, io.EOF):
		text = "the connection was closed at " + what
	case errors.Is(err, errReply):
		c.dead = c.place(failure(4, 5, 0, err.Error()+", at "+what))
		return c.dead
	}
	c.dead = c.place(failure(4, 4, 2, text))
	return c.dead
}

// plain is an error without the addresses of this machine that the net package puts around it.
func plain(err error) string {
	if op := (*net.OpError)(nil); errors.As(err, &op) && op.Err != nil {
		err = op.Err
	}
	if sys := (*os.SyscallError)(nil); errors.As(err, &sys) {
		err = sys.Err
	}
	return err.Error()
}

// startTLS makes the handshake as a client. Bytes that came before it are nobody's (RFC 3207 6): with any, it fails.
func (c *conn) startTLS(ctx context.Context, cfg *tls.Config) error {
	if c.in.Buffered() > 0 {
		return errors.New("plaintext came behind the go-ahead to STARTTLS")
	}
	if err := c.within(c.t.TLS); err != nil {
		return err
	}
	s := tls.Client(c.stream, cfg)
	if err := s.HandshakeContext(ctx); err != nil {
		return err
	}
	c.use(s)
	c.version = strings.ReplaceAll(tls.VersionName(s.ConnectionState().Version), " ", "")
	return nil
}

// quit says goodbye, within its time, and closes.
func (c *conn) quit() {
	if c.dead == nil {
		c.t.Block = c.t.Quit
		_, _ = c.ask("QUIT", c.t.Quit)
	}
	c.close()
}

func (c *conn) close() {
	_ = c.under.SetDeadline(time.Now()) // TLS would wait to say goodbye
	_ = c.under.Close()
}
