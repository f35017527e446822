package netutil

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"
)

// Sizes of the buffers of a Conn in octets. Reading starts small, since most connections are idle most of the time, and grows for a bulk
// transfer or a long line. What is written at once is limited so that Limits.Write means a rate.
const (
	readSize  = 4 << 10
	bulkSize  = 16 << 10
	writeSize = 4 << 10
	writeMost = 32 << 10
)

// lastFlush bounds how long Close waits for a peer that does not read.
const lastFlush = 5 * time.Second

// A Conn is one connection of a mail or chat client. Reads are buffered; writes are gathered and sent when reading would have to wait, when the
// buffer is full, on Flush and on Close, which is the grouping of replies that pipelining wants (RFC 2920 3.2). Its limits hold below
// TLS as well as without.
//
// One goroutine may read while another writes; a writer beside a waiting reader must call Flush. SetDeadline and its kin
// come on top of the limits; their timeouts are the only errors of reading that pass.
type Conn struct {
	raw    net.Conn // as accepted; safe to close from anywhere
	stream net.Conn // raw, or TLS over it: owned by the reading goroutine
	secure *tls.Conn
	peer   netip.Addr
	clock  clock
	in     input
	out    output
	nIn    atomic.Int64
	nOut   atomic.Int64
	once   sync.Once // of Close
	closed error     // what it returned
}

// input is owned by the reading goroutine.
type input struct {
	buf  []byte
	r, w int   // unread: buf[r:w]
	size int   // that buf is to have when next it is empty
	left int64 // of SetReadCap; negative: no cap
	err  error // the first, for good
}

type output struct {
	mu  sync.Mutex
	buf []byte
	err error // the first, for good
}

// NewConn puts a Conn over an accepted connection; its life begins now.
func NewConn(raw net.Conn, l Limits) *Conn {
	c := &Conn{raw: raw, stream: raw, peer: peerOf(raw)}
	c.clock.limits = l
	c.clock.start = time.Now()
	c.in.left, c.in.size = -1, readSize
	return c
}

// peerOf returns the address of the other side; the zero Addr where the transport has none.
func peerOf(raw net.Conn) netip.Addr {
	switch a := raw.RemoteAddr().(type) {
	case *net.TCPAddr:
		return a.AddrPort().Addr().Unmap().WithZone("")
	case nil:
		return netip.Addr{}
	default:
		ap, err := netip.ParseAddrPort(a.String())
		if err != nil {
			return netip.Addr{}
		}
		return ap.Addr().Unmap().WithZone("")
	}
}

// Peer is the client's address, an IPv4 one never in its mapped form; the zero Addr where the transport has none.
func (c *Conn) Peer() netip.Addr { return c.peer }

// In counts octets that were read from the peer, above TLS, without what TLS itself needs.
func (c *Conn) In() int64 { return c.nIn.Load() }

// Out counts octets that were sent to the peer, above TLS.
func (c *Conn) Out() int64 { return c.nOut.Load() }

// TLS tells how the connection is encrypted; false while it is plaintext.
func (c *Conn) TLS() (tls.ConnectionState, bool) {
	if c.secure == nil {
		return tls.ConnectionState{}, false
	}
	return c.secure.ConnectionState(), true
}

// SetIdle changes how long the peer may be silent, for instance once it has logged in. It holds from the next read on.
func (c *Conn) SetIdle(d time.Duration) {
	c.clock.mu.Lock()
	defer c.clock.mu.Unlock()
	c.clock.limits.Idle = d
}

// Bulk says that a large transfer begins or ends. While it lasts, Limits.MinRate holds, reads get a larger buffer, and a server that stops
// lets it finish before reading returns ErrShutdown. For the reading goroutine.
func (c *Conn) Bulk(on bool) {
	c.clock.mu.Lock()
	c.clock.bulk, c.clock.spent, c.clock.moved = on, 0, 0
	c.clock.mu.Unlock()
	if on {
		c.in.size = bulkSize
	}
}

// SetReadCap lets at most n further octets in from the peer, those already buffered not counted; then reading ends with ErrTooMuch. A negative n
// lifts the cap.
func (c *Conn) SetReadCap(n int64) { c.in.left = n }

// Interrupt makes a read that waits, and every later one that would, end with ErrShutdown, except within a bulk transfer. Writing
// goes on. Safe from any goroutine; a Server calls it when it stops.
func (c *Conn) Interrupt() {
	c.clock.mu.Lock()
	defer c.clock.mu.Unlock()
	c.clock.interrupted = true
	if !c.clock.bulk && !c.clock.handed {
		// A deadline that cannot be set belongs to a connection that is closed already.
		_ = c.raw.SetReadDeadline(time.Unix(1, 0))
	}
}

// Take gives the connection away to somebody who treats it as any net.Conn: nothing is gathered any more and the limits end, Life included. What was
// peeked is read first. The Conn itself is good only for Peer, TLS and Close after that.
func (c *Conn) Take() (net.Conn, error) {
	if err := c.Flush(); err != nil {
		return nil, err
	}
	c.clock.mu.Lock()
	c.clock.handed = true
	c.clock.mu.Unlock()
	if err := c.raw.SetDeadline(time.Time{}); err != nil {
		return nil, fmt.Errorf("handing a connection over: %w", err)
	}
	c.out.mu.Lock()
	c.out.buf = nil
	c.out.mu.Unlock()
	prefix := c.in.take()
	if prefix == nil {
		return c.stream, nil
	}
	return &prefixed{Conn: c.stream, prefix: prefix}, nil
}

// prefixed is a connection of which some octets were read already.
type prefixed struct {
	net.Conn
	prefix []byte
}

func (p *prefixed) Read(b []byte) (int, error) {
	if len(p.prefix) > 0 {
		n := copy(b, p.prefix)
		if p.prefix = p.prefix[n:]; len(p.prefix) == 0 {
			p.prefix = nil // a connection may live for hours
		}
		return n, nil
	}
	return p.Conn.Read(b)
}

// Close sends what is gathered, for at most five seconds, and closes. Later calls return what the first returned.
func (c *Conn) Close() error {
	c.once.Do(func() {
		c.clock.mu.Lock()
		if w := c.clock.limits.Write; w == 0 || w > lastFlush {
			c.clock.limits.Write = lastFlush
		}
		c.clock.mu.Unlock()
		// A peer that is gone already is the usual end of a connection; the error that broke it was given to whoever read or wrote.
		_ = c.Flush()
		c.closed = c.stream.Close()
	})
	return c.closed
}

// kill closes without goodbye. Safe from any goroutine, and it unblocks every other.
func (c *Conn) kill() {
	// The connection is given up; why it could not be closed helps nobody.
	_ = c.raw.Close()
}

// CloseAfter closes so that the peer can still read our last reply although it goes on sending: our direction is closed, and what comes is thrown away
// for at most d and most octets. Closing at once would reset the connection and could lose the reply.
func (c *Conn) CloseAfter(d time.Duration, most int64) error {
	if err := c.Flush(); err != nil {
		return errors.Join(err, c.Close())
	}
	type halfCloser interface{ CloseWrite() error }
	if c.secure != nil {
		// Whether the half close reached the peer shows in how the reading below ends.
		_ = c.secure.CloseWrite()
	}
	if h, ok := c.raw.(halfCloser); ok {
		_ = h.CloseWrite()
		if err := c.raw.SetReadDeadline(time.Now().Add(d)); err == nil {
			// Whatever ends it, there is nothing more to be read or said.
			_, _ = io.Copy(io.Discard, io.LimitReader(c.raw, most))
		}
	}
	return c.Close()
}

// LocalAddr is the address that the peer connected to.
func (c *Conn) LocalAddr() net.Addr { return c.raw.LocalAddr() }

// RemoteAddr is the peer's address and port; see Peer for the address alone.
func (c *Conn) RemoteAddr() net.Addr { return c.raw.RemoteAddr() }

// SetDeadline is SetReadDeadline and SetWriteDeadline together.
func (c *Conn) SetDeadline(t time.Time) error {
	return errors.Join(c.SetReadDeadline(t), c.SetWriteDeadline(t))
}

// SetReadDeadline bounds reading by a moment, on top of the limits; the zero time takes it away. Its timeout is
// os.ErrDeadlineExceeded and passes: with a later moment reading goes on.
func (c *Conn) SetReadDeadline(t time.Time) error {
	c.clock.mu.Lock()
	defer c.clock.mu.Unlock()
	c.clock.readBy = t
	if t.IsZero() {
		return nil // a read that waits keeps the deadline it has; the next sets its own
	}
	return c.raw.SetReadDeadline(c.clock.next(time.Now(), c.clock.limits.Idle, ErrIdle, t).at)
}

// SetWriteDeadline bounds writing by a moment, on top of the limits; the zero time takes it away.
func (c *Conn) SetWriteDeadline(t time.Time) error {
	c.clock.mu.Lock()
	defer c.clock.mu.Unlock()
	c.clock.writeBy = t
	if t.IsZero() {
		return nil
	}
	return c.raw.SetWriteDeadline(c.clock.next(time.Now(), c.clock.limits.Write, ErrStuck, t).at)
}
