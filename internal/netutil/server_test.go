package netutil

import (
	"bufio"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// from is a connection that says it comes from an address.
type from struct {
	net.Conn
	addr string
}

func (f from) RemoteAddr() net.Addr {
	return net.TCPAddrFromAddrPort(mustAddrPort(f.addr))
}

// room is an in-memory listener.
type room struct {
	door chan net.Conn
	shut chan struct{}
}

func newRoom() *room { return &room{make(chan net.Conn), make(chan struct{})} }

func (r *room) Accept() (net.Conn, error) {
	select {
	case c := <-r.door:
		return c, nil
	case <-r.shut:
		return nil, net.ErrClosed
	}
}
func (r *room) Close() error   { close(r.shut); return nil }
func (r *room) Addr() net.Addr { return &net.UnixAddr{Name: "room"} }

// enter connects from an address and returns the client's side.
func (r *room) enter(addr string) net.Conn {
	server, client := net.Pipe()
	r.door <- from{server, addr}
	return client
}

// echo is a handler that greets, repeats lines, and says bye when it is told to.
func echo(ctx context.Context, c *Conn) {
	c.WriteString("hello\n")
	for {
		line, err := c.ReadLine(100)
		if errors.Is(err, ErrShutdown) {
			c.WriteString("bye\n")
		}
		if err != nil {
			return
		}
		if string(line) == "panic\n" {
			panic("asked for")
		}
		c.Write(line)
	}
}

func hears(t *testing.T, client net.Conn, want string) {
	t.Helper()
	b := make([]byte, len(want))
	if n, err := io.ReadFull(client, b); string(b) != want {
		t.Fatalf("heard %q, %v; want %q", b[:n], err, want)
	}
}

func started(t *testing.T, o ServerOptions) (*Server, *room) {
	t.Helper()
	if o.Handler == nil {
		o.Handler = echo
	}
	o.Log = slog.New(slog.DiscardHandler)
	s, ln := NewServer(o), newRoom()
	done := make(chan error)
	go func() { done <- s.Serve(ln) }()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		s.Shutdown(ctx)
		if err := <-done; err != nil {
			t.Errorf("Serve after a shutdown: %v", err)
		}
	})
	return s, ln
}

func TestOneNetworkCannotTakeEveryConnection(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, ln := started(t, ServerOptions{Conns: 5, PerNet: 2, Busy: []byte("busy\n")})
		first := ln.enter("192.0.2.1:1")
		hears(t, first, "hello\n")
		hears(t, ln.enter("192.0.2.1:2"), "hello\n")
		hears(t, ln.enter("192.0.2.1:3"), "busy\n")
		hears(t, ln.enter("[::ffff:192.0.2.1]:4"), "busy\n")
		hears(t, ln.enter("[2001:db8::1]:1"), "hello\n")
		hears(t, ln.enter("[2001:db8::ffff:1]:1"), "hello\n")
		hears(t, ln.enter("[2001:db8::2]:1"), "busy\n")
		hears(t, ln.enter("[2001:db8:0:1::1]:1"), "hello\n")
		hears(t, ln.enter("192.0.2.9:1"), "busy\n") // five are here
		first.Close()
		synctest.Wait()
		hears(t, ln.enter("192.0.2.1:5"), "hello\n")
		if got, want := s.Stats(), (Stats{Open: 5, Taken: 6, Refused: 4}); got != want {
			t.Errorf("counted: %+v, want %+v", got, want)
		}
	})
}

func TestAPanicEndsOneConnection(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		_, ln := started(t, ServerOptions{PerNet: 2})
		other, victim := ln.enter("192.0.2.1:1"), ln.enter("192.0.2.1:2")
		hears(t, other, "hello\n")
		hears(t, victim, "hello\n")
		io.WriteString(victim, "panic\n")
		if b, err := io.ReadAll(victim); len(b) > 0 || err != nil {
			t.Errorf("after the panic: %q, %v", b, err)
		}
		io.WriteString(other, "still here\n")
		hears(t, other, "still here\n")
		hears(t, ln.enter("192.0.2.1:3"), "hello\n")
	})
}

func TestShutdownSaysGoodbyeAndThenBreaksOff(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, ln := started(t, ServerOptions{})
		client := ln.enter("192.0.2.1:1")
		hears(t, client, "hello\n")
		synctest.Wait()
		go func() {
			hears(t, client, "bye\n")
			client.Close()
		}()
		if err := s.Shutdown(context.Background()); err != nil {
			t.Errorf("an orderly shutdown: %v", err)
		}
		if err := s.Serve(newRoom()); err != nil {
			t.Errorf("Serve on a stopped server: %v", err)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		s, ln := started(t, ServerOptions{Handler: func(ctx context.Context, c *Conn) {
			c.Bulk(true)
			io.Copy(io.Discard, c)
		}})
		client := ln.enter("192.0.2.1:1")
		io.WriteString(client, "an upload that never ends")
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		began := time.Now()
		err := s.Shutdown(ctx)
		if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "1 connections") || time.Since(began) != 5*time.Second {
			t.Errorf("after %v: %v", time.Since(began), err)
		}
		if _, err := client.Read(make([]byte, 1)); err != io.EOF {
			t.Errorf("the connection is still open: %v", err)
		}
	})
}

// broken is a listener that fails a few times before it accepts.
type broken struct {
	*room
	left int
}

func (b *broken) Accept() (net.Conn, error) {
	if b.left--; b.left >= 0 {
		return nil, errors.New("too many open files")
	}
	return b.room.Accept()
}

func TestAShortageOfFilesIsWaitedOut(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := NewServer(ServerOptions{Handler: echo, Log: slog.New(slog.DiscardHandler)})
		ln := &broken{room: newRoom(), left: 12}
		go s.Serve(ln)
		client := ln.enter("192.0.2.1:1")
		hears(t, client, "hello\n")
		client.Close()
		if err := s.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
	})
}

func TestALastReplyReachesAClientThatGoesOnSending(t *testing.T) {
	t.Parallel()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := NewServer(ServerOptions{Log: slog.New(slog.DiscardHandler), Handler: func(ctx context.Context, c *Conn) {
		c.Peek(1)
		c.WriteString("550 no bare LF here\r\n")
		c.CloseAfter(10*time.Second, 64<<20)
	}})
	go s.Serve(ln)
	defer s.Shutdown(context.Background())
	client, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	if _, err := client.Write(make([]byte, 8<<20)); err != nil {
		t.Fatalf("sending what nobody wants: %v", err)
	}
	if line, err := bufio.NewReader(client).ReadString('\n'); !strings.HasPrefix(line, "550") {
		t.Errorf("the reply was lost: %q, %v", line, err)
	}
}
