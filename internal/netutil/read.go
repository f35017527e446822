package netutil

import (
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"time"
)

func (in *input) unread() []byte { return in.buf[in.r:in.w] }

// take gives the buffer up and returns a copy of what was in it; nil for nothing.
func (in *input) take() (b []byte) {
	if in.r < in.w {
		b = bytes.Clone(in.unread())
	}
	in.buf, in.r, in.w = nil, 0, 0
	return b
}

// Read gives what is buffered, or else what the peer sends next. Before it waits for the peer, everything written is sent.
func (c *Conn) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	if c.in.r == c.in.w {
		if len(p) >= bulkSize {
			return c.receive(p)
		}
		if err := c.fill(); err != nil {
			return 0, err
		}
	}
	n := copy(p, c.in.unread())
	c.in.r += n
	return n, nil
}

// fill reads more into the buffer, which must have room or be empty; it returns nil once there is at least one octet more.
func (c *Conn) fill() error {
	in := &c.in
	if in.r == in.w {
		in.r, in.w = 0, 0
		if len(in.buf) < in.size {
			in.buf = make([]byte, in.size)
		}
	}
	n, err := c.receive(in.buf[in.w:])
	in.w += n
	if n > 0 {
		return nil
	}
	return err
}

// receive reads from the peer under the limits. It never returns 0 without an error.
func (c *Conn) receive(p []byte) (int, error) {
	if c.in.err != nil {
		return 0, c.in.err
	}
	if err := c.Flush(); err != nil {
		return 0, c.fail(err)
	}
	if c.in.left >= 0 && int64(len(p)) > c.in.left {
		if c.in.left == 0 {
			return 0, c.fail(ErrTooMuch)
		}
		p = p[:c.in.left]
	}
	for {
		now := time.Now()
		why, err := c.clock.beforeRead(c.raw, now)
		if err != nil {
			return 0, c.fail(err)
		}
		n, err := c.stream.Read(p)
		err = c.clock.afterRead(now, n, err, why)
		if n > 0 {
			c.nIn.Add(int64(n))
			if c.in.left > 0 {
				c.in.left -= int64(n)
			}
			if err != nil && err != os.ErrDeadlineExceeded {
				c.in.err = c.fail(err)
			}
			return n, nil
		}
		if err != nil {
			return 0, c.fail(err)
		}
	}
}

// fail makes an error of reading sticky, except the timeout that the caller set himself.
func (c *Conn) fail(err error) error {
	if err == os.ErrDeadlineExceeded {
		return err
	}
	if err == io.EOF && c.clock.limits.NoEOF {
		err = io.ErrUnexpectedEOF
	}
	c.in.err = err
	return err
}

// room makes sure that n octets fit behind the unread ones, or that the buffer holds n altogether.
func (in *input) room(n int) {
	if len(in.buf)-in.r >= n {
		return
	}
	if len(in.buf) >= n {
		in.w = copy(in.buf, in.unread())
		in.r = 0
		return
	}
	size := max(readSize, len(in.buf))
	for size < n {
		size *= 2
	}
	b := make([]byte, size)
	in.w = copy(b, in.unread())
	in.r, in.buf = 0, b
}

// Window returns everything that is buffered, at least n octets, waiting for them if it must. The slice is good until the next
// read; Discard moves on. With an error it returns what there is.
func (c *Conn) Window(n int) ([]byte, error) {
	for c.in.w-c.in.r < n {
		c.in.room(n)
		if err := c.fill(); err != nil {
			return c.in.unread(), err
		}
	}
	return c.in.unread(), nil
}

// Peek returns the next n octets without reading them. The slice is good until the next read. With fewer than n it says why.
func (c *Conn) Peek(n int) ([]byte, error) {
	b, err := c.Window(n)
	return b[:min(n, len(b))], err
}

// Discard moves on over n octets, of those that Window or Peek returned.
func (c *Conn) Discard(n int) {
	if n < 0 || n > c.in.w-c.in.r {
		panic(fmt.Sprintf("netutil: discarding %d octets of %d", n, c.in.w-c.in.r))
	}
	c.in.r += n
}

// Buffered counts octets that can be read without waiting.
func (c *Conn) Buffered() int { return c.in.w - c.in.r }

// ReadLine returns the next line with its LF and whatever stands before it; strictness is the protocol's. The slice is good
// until the next read. A line of more than most octets, LF included, is ErrLineTooLong, and nothing of it is read.
func (c *Conn) ReadLine(most int) ([]byte, error) {
	seen := 0
	for {
		b := c.in.unread()
		if i := bytes.IndexByte(b[seen:], '\n'); i >= 0 {
			if seen+i+1 > most {
				return nil, ErrLineTooLong
			}
			c.in.r += seen + i + 1
			return b[:seen+i+1], nil
		}
		if seen = len(b); seen >= most {
			return nil, ErrLineTooLong
		}
		if _, err := c.Window(seen + 1); err != nil {
			return nil, err
		}
	}
}

// IsGone tells whether an error of a connection only says that the peer left, was cut off or sent what is no TLS, which is nothing to report.
func IsGone(err error) bool {
	var l *limitError
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.As(err, &l) || isBroken(err) || isNoTLS(err)
}

// isNoTLS tells whether a record could not be read, or the peer sent an alert. crypto/tls has no common type for these.
func isNoTLS(err error) bool {
	var header tls.RecordHeaderError
	var alert *net.OpError
	return errors.As(err, &header) || errors.As(err, &alert) && (alert.Op == "local error" || alert.Op == "remote error")
}
