package chatd

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"net/http"
	"sync"
	"time"
)

// gatherMax is how many octets are gathered at most before they are written: what one record of TLS can hold.
const gatherMax = 16 << 10

// A gatherer is the connection under a WebSocket. From gather to flush it keeps what is written, so that frames that come close together, as a desk's do whose owner
// talks with many, cost one system call and one record of TLS. An idle one holds no memory for it.
type gatherer struct {
	net.Conn
	mu   sync.Mutex
	kept []byte
	on   bool
}

// gather has what is written from now on be kept until flush.
func (g *gatherer) gather() {
	g.mu.Lock()
	g.on = true
	g.mu.Unlock()
}

// Write writes, or keeps; who is called for the frames that the WebSocket sends by itself, pongs and the like, is the same.
func (g *gatherer) Write(p []byte) (int, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if !g.on {
		return g.Conn.Write(p)
	}
	g.kept = append(g.kept, p...)
	if len(g.kept) < gatherMax {
		return len(p), nil
	}
	if err := g.out(); err != nil {
		return 0, err
	}
	return len(p), nil
}

// flush writes what is kept. It ends the connection when ctx ends meanwhile, as the WebSocket's own writing does.
func (g *gatherer) flush(ctx context.Context) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.on = false
	if len(g.kept) == 0 {
		return nil
	}
	stop := context.AfterFunc(ctx, func() { _ = g.Close() }) // whatever that says, nothing more is written
	defer stop()
	return g.out()
}

// out writes what is kept; a peer that does not take it within takeWithin is no peer any more.
func (g *gatherer) out() error {
	kept := g.kept
	g.kept = nil
	if err := g.SetWriteDeadline(time.Now().Add(takeWithin)); err != nil {
		return fmt.Errorf("writing to a socket: %w", err)
	}
	if _, err := g.Conn.Write(kept); err != nil {
		return fmt.Errorf("writing to a socket: %w", err)
	}
	if err := g.SetWriteDeadline(time.Time{}); err != nil {
		return fmt.Errorf("writing to a socket: %w", err)
	}
	return nil
}

// A gathering is the http.ResponseWriter of a request that becomes a WebSocket, over a gatherer.
type gathering struct {
	http.ResponseWriter
	conn *gatherer
}

// Hijack gives the connection away, under the gatherer.
func (w *gathering) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, rw, err := http.NewResponseController(w.ResponseWriter).Hijack()
	if err != nil {
		return nil, nil, fmt.Errorf("taking the connection over: %w", err)
	}
	w.conn = &gatherer{Conn: conn}
	return w.conn, bufio.NewReadWriter(rw.Reader, bufio.NewWriterSize(w.conn, socketBuffer)), nil
}
