package netutil

import (
	"errors"
	"net"
	"syscall"
	"time"
)

// Write gathers p for the peer. An error may belong to octets that were gathered before; it is sticky.
func (c *Conn) Write(p []byte) (int, error) { return write(c, p) }

// WriteString is Write without a copy of s.
func (c *Conn) WriteString(s string) (int, error) { return write(c, s) }

func write[T []byte | string](c *Conn, p T) (int, error) {
	o := &c.out
	o.mu.Lock()
	defer o.mu.Unlock()
	done := 0
	for {
		if o.err != nil {
			return done, o.err
		}
		if len(o.buf) == 0 && len(p) >= writeSize {
			if b, ok := any(p).([]byte); ok { // nothing gathered and much to send: without the copy
				n, err := c.send(b)
				return done + n, err
			}
		}
		if o.buf == nil {
			o.buf = make([]byte, 0, writeSize)
		}
		n := min(len(p), cap(o.buf)-len(o.buf))
		o.buf = append(o.buf, p[:n]...)
		done += n
		if p = p[n:]; len(p) == 0 {
			return done, nil
		}
		c.flushLocked()
	}
}

// Flush sends what was gathered.
func (c *Conn) Flush() error {
	c.out.mu.Lock()
	defer c.out.mu.Unlock()
	return c.flushLocked()
}

func (c *Conn) flushLocked() error {
	o := &c.out
	if o.err == nil && len(o.buf) > 0 {
		_, _ = c.send(o.buf) // kept in o.err
		o.buf = o.buf[:0]
	}
	return o.err
}

// send writes p under the limits. The caller holds out.mu.
func (c *Conn) send(p []byte) (int, error) {
	done := 0
	for len(p) > 0 {
		now := time.Now()
		why := c.clock.beforeWrite(c.raw, now)
		n, err := c.stream.Write(p[:min(len(p), writeMost)])
		err = c.clock.afterWrite(now, n, err, why)
		done += n
		c.nOut.Add(int64(n))
		if err != nil {
			c.out.err = err
			return done, err
		}
		p = p[n:]
	}
	return done, nil
}

func isBroken(err error) bool {
	return errors.Is(err, net.ErrClosed) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)
}
