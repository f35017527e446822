package chatd

import (
	"bytes"
	"context"
	"errors"
	"net"
	"net/http"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// A memNet is a network within one process, so that a test's clock can be that of testing/synctest.
type memNet struct {
	mu        sync.Mutex
	listeners map[string]*memListener
	dialled   int
	from      string // where connections come from; "" is this computer
}

type memListener struct {
	net  *memNet
	addr *net.TCPAddr
	in   chan net.Conn
	done chan struct{}
	once sync.Once
}

func newMemNet() *memNet { return &memNet{listeners: make(map[string]*memListener)} }

func (n *memNet) listen(_, address string) (net.Listener, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	number, err := strconv.Atoi(port)
	if err != nil {
		return nil, err
	}
	if n.listeners[port] != nil {
		return nil, syscall.EADDRINUSE
	}
	l := &memListener{net: n, addr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: number}, in: make(chan net.Conn), done: make(chan struct{})}
	n.listeners[port] = l
	return l, nil
}

func (l *memListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.in:
		return c, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}

func (l *memListener) Close() error {
	l.once.Do(func() {
		l.net.mu.Lock()
		defer l.net.mu.Unlock()
		delete(l.net.listeners, strconv.Itoa(l.addr.Port))
		close(l.done)
	})
	return nil
}

func (l *memListener) Addr() net.Addr { return l.addr }

// memConn is one end of a pipe with addresses as TCP has them. The client's end takes what is written into a buffer, as a kernel does.
type memConn struct {
	net.Conn
	local, remote net.Addr
	buffer        chan []byte // nil: writing waits for the reader
	closed        chan struct{}
	once          *sync.Once
}

func (c memConn) Write(b []byte) (int, error) {
	if c.buffer == nil {
		return c.Conn.Write(b)
	}
	select {
	case <-c.closed:
		return 0, net.ErrClosed
	case c.buffer <- bytes.Clone(b):
		return len(b), nil
	}
}

func (c memConn) Close() error {
	if c.buffer != nil {
		c.once.Do(func() { close(c.closed) })
	}
	return c.Conn.Close()
}

// carry brings what is in the buffer to the other end.
func (c memConn) carry() {
	for {
		select {
		case b := <-c.buffer:
			if _, err := c.Conn.Write(b); err != nil {
				return
			}
		case <-c.closed:
			return
		}
	}
}

func (c memConn) LocalAddr() net.Addr  { return c.local }
func (c memConn) RemoteAddr() net.Addr { return c.remote }

func (n *memNet) dial(ctx context.Context, _, address string) (net.Conn, error) {
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	n.mu.Lock()
	l := n.listeners[port]
	n.dialled++
	from := &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 50_000 + n.dialled}
	if n.from != "" {
		from.IP = net.ParseIP(n.from)
	}
	n.mu.Unlock()
	if l == nil {
		return nil, syscall.ECONNREFUSED
	}
	ours, theirs := net.Pipe()
	select {
	case l.in <- memConn{Conn: theirs, local: l.addr, remote: from}:
		c := memConn{Conn: ours, local: from, remote: l.addr, buffer: make(chan []byte, 1024), closed: make(chan struct{}), once: new(sync.Once)}
		go c.carry()
		return c, nil
	case <-l.done:
		return nil, syscall.ECONNREFUSED
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// inBubble runs a story in a house of its own whose clock is the test's: waiting costs nothing.
func inBubble(t *testing.T, story func(t *testing.T, h *house)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		story(t, newMemHouse(t))
	})
}

func newMemHouse(t *testing.T) *house {
	t.Helper()
	h := &house{t: t, broker: newFakeBroker(), path: t.TempDir() + "/chat.db", url: "http://localhost:8080", net: newMemNet()}
	h.broker.wait = 10 * time.Minute // of a clock that costs nothing
	srv := &http.Server{Handler: h.mux()}
	ln, err := h.net.listen("tcp", "localhost:8080")
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		if err := srv.Serve(ln); !errors.Is(err, http.ErrServerClosed) {
			t.Error(err)
		}
	}()
	t.Cleanup(func() {
		if err := srv.Close(); err != nil {
			t.Error(err)
		}
	})
	h.start()
	t.Cleanup(h.stop)
	return h
}
