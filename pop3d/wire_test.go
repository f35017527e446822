package pop3d

import (
	"io"
	"net"
	"os"
	"sync"
	"time"
)

// wire is a connection in memory with bounded buffers, so that a peer who does not read is felt, and with deadlines that run on the
// clock of a synctest bubble.
type wire struct {
	in, out *pipe
	peer    net.Addr
}

const wireBuffer = 64 << 10

// newWire returns the two ends.
func newWire(client net.Addr) (server, far *wire) {
	a, b := newPipe(), newPipe()
	return &wire{in: a, out: b, peer: client}, &wire{in: b, out: a, peer: fixedAddr("192.0.2.1:110")}
}

type fixedAddr string

func (a fixedAddr) Network() string { return "tcp" }
func (a fixedAddr) String() string  { return string(a) }

// pipe is one direction.
type pipe struct {
	mu                  sync.Mutex
	cond                *sync.Cond
	buf                 []byte
	closed              bool // by the writer: what is buffered can still be read
	broken              bool // by the reader
	readBy, writeBy     time.Time
	readBell, writeBell *time.Timer
	writes              int
}

func newPipe() *pipe {
	p := &pipe{}
	p.cond = sync.NewCond(&p.mu)
	return p
}

func past(t time.Time) bool { return !t.IsZero() && !time.Now().Before(t) }

func (p *pipe) read(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for {
		switch {
		case past(p.readBy):
			return 0, os.ErrDeadlineExceeded
		case len(p.buf) > 0:
			n := copy(b, p.buf)
			p.buf = p.buf[n:]
			p.cond.Broadcast()
			return n, nil
		case p.broken:
			return 0, net.ErrClosed
		case p.closed:
			return 0, io.EOF
		}
		p.cond.Wait()
	}
}

func (p *pipe) write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.writes++
	for done := 0; ; {
		switch {
		case p.broken, p.closed:
			return done, net.ErrClosed
		case past(p.writeBy):
			return done, os.ErrDeadlineExceeded
		}
		n := min(len(b)-done, wireBuffer-len(p.buf))
		p.buf = append(p.buf, b[done:done+n]...)
		p.cond.Broadcast()
		if done += n; done == len(b) {
			return done, nil
		}
		p.cond.Wait()
	}
}

// ring wakes whoever waits once a deadline is there.
func (p *pipe) ring(old *time.Timer, at time.Time) *time.Timer {
	if old != nil {
		old.Stop()
	}
	p.cond.Broadcast()
	if at.IsZero() {
		return nil
	}
	return time.AfterFunc(time.Until(at), func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.cond.Broadcast()
	})
}

func (w *wire) Read(b []byte) (int, error)  { return w.in.read(b) }
func (w *wire) Write(b []byte) (int, error) { return w.out.write(b) }
func (w *wire) LocalAddr() net.Addr         { return fixedAddr("192.0.2.1:110") }
func (w *wire) RemoteAddr() net.Addr        { return w.peer }

func (w *wire) SetDeadline(t time.Time) error {
	if err := w.SetReadDeadline(t); err != nil {
		return err
	}
	return w.SetWriteDeadline(t)
}

func (w *wire) SetReadDeadline(t time.Time) error {
	w.in.mu.Lock()
	defer w.in.mu.Unlock()
	w.in.readBy = t
	w.in.readBell = w.in.ring(w.in.readBell, t)
	return nil
}

func (w *wire) SetWriteDeadline(t time.Time) error {
	w.out.mu.Lock()
	defer w.out.mu.Unlock()
	w.out.writeBy = t
	w.out.writeBell = w.out.ring(w.out.writeBell, t)
	return nil
}

// CloseWrite is the half close of a TCP connection.
func (w *wire) CloseWrite() error {
	w.out.mu.Lock()
	defer w.out.mu.Unlock()
	w.out.closed = true
	w.out.cond.Broadcast()
	return nil
}

func (w *wire) Close() error {
	err := w.CloseWrite()
	w.in.mu.Lock()
	defer w.in.mu.Unlock()
	w.in.broken, w.in.buf = true, nil
	if w.in.readBell != nil {
		w.in.readBell.Stop()
	}
	w.in.cond.Broadcast()
	return err
}

// received counts the writes that the other end has made.
func (w *wire) received() int {
	w.in.mu.Lock()
	defer w.in.mu.Unlock()
	return w.in.writes
}

// wires is a listener in memory.
type wires struct {
	mu     sync.Mutex
	queue  chan net.Conn
	closed bool
}

func newWires() *wires { return &wires{queue: make(chan net.Conn, 16)} }

func (l *wires) Accept() (net.Conn, error) {
	c, ok := <-l.queue
	if !ok {
		return nil, net.ErrClosed
	}
	return c, nil
}

func (l *wires) Addr() net.Addr { return fixedAddr("192.0.2.1:110") }

func (l *wires) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.closed {
		l.closed = true
		close(l.queue)
	}
	return nil
}

// dial makes a connection from an address.
func (l *wires) dial(from string) *wire {
	server, client := newWire(fixedAddr(from))
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		client.Close()
	} else {
		l.queue <- server
	}
	return client
}
