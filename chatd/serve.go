package chatd

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"

	"chmail/internal/netutil"
)

// serve is the beginning of every connection on a chat port: what does it speak, and may it?
func (p *ports) serve(ctx context.Context, c *netutil.Conn) {
	addr, ok := c.LocalAddr().(*net.TCPAddr)
	if !ok {
		return
	}
	leave := p.enter(addr.Port)
	if leave == nil {
		return
	}
	defer leave()
	what := p.listen(c)
	secret := what == inTLS
	if secret {
		if p.tls == nil {
			return
		}
		if err := c.AcceptTLS(ctx, p.tls); err != nil {
			p.srv.log.Debug("chatd: no TLS", "peer", c.Peer(), "port", addr.Port, "err", err)
			return
		}
		if state, _ := c.TLS(); state.NegotiatedProtocol != "" {
			what = inHTTP // whoever says that he speaks it is held to it
		} else {
			what = p.listen(c)
		}
	}
	local := c.Peer().IsLoopback()
	switch {
	case what == inHTTP && (secret || local && p.tls == nil):
		p.upgrade(ctx, c, addr.Port)
	case what == inHTTP:
		p.answer(c, http.StatusForbidden, "this port speaks TLS")
	case what == inLines && (secret || local):
		p.srv.terminal(ctx, c, addr.Port)
	case what == inLines:
		p.srv.turnAway(c, "this port speaks TLS")
	case what == unknown, what == unclear: // nothing of ours, or nothing at all in time
		p.srv.turnAway(c, greetingHelp)
	}
}

// listen peeks until it is clear what is spoken, three seconds at most; unclear when nothing came.
func (p *ports) listen(c *netutil.Conn) dialect {
	if err := c.SetReadDeadline(time.Now().Add(sniffWithin)); err != nil {
		return unclear
	}
	for n := 1; n <= sniffMost; n++ {
		b, err := c.Peek(n)
		if err != nil {
			return unclear
		}
		if what := sniff(b); what != unclear {
			return what
		}
	}
	return unknown
}

// upgrade reads one request and opens the WebSocket that it asks for, if it is exactly that and comes from a page of the site. Everything
// else is answered with an error, and nothing that follows is read.
func (p *ports) upgrade(ctx context.Context, c *netutil.Conn, port int) {
	c.SetReadCap(maxHeader)
	if err := c.SetReadDeadline(time.Now().Add(greetWithin)); err != nil {
		return
	}
	in := bufio.NewReaderSize(c, 1<<10) // it has a buffer of its own below
	r, err := http.ReadRequest(in)
	if err != nil {
		if !netutil.IsGone(err) {
			p.answer(c, http.StatusBadRequest, "this is no request for a chat")
		}
		return
	}
	r.RemoteAddr = c.RemoteAddr().String()
	if status, why := p.refusal(r); status != 0 {
		p.answer(c, status, why)
		return
	}
	w := &upgrader{conn: c, in: in, header: make(http.Header)}
	sock, err := accept(w, r)
	if err != nil {
		p.srv.log.Debug("chatd: no socket", "peer", c.Peer(), "port", port, "err", err)
		w.end()
		return
	}
	p.srv.reader(context.WithoutCancel(ctx), sock, r, c.Peer(), port) // at a shutdown it is told, not cut off
}

// refusal tells what is wrong with a request; 0 when it may be a chat's.
func (p *ports) refusal(r *http.Request) (status int, why string) {
	host := r.Host
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	switch {
	case r.URL.Path != "/ws" || r.URL.RawQuery != "" || r.URL.Host != "":
		return http.StatusNotFound, "only chats are served on this port"
	case r.Method != http.MethodGet:
		return http.StatusMethodNotAllowed, "only chats are served on this port"
	case r.ContentLength != 0 || len(r.TransferEncoding) > 0:
		return http.StatusBadRequest, "this is no request for a chat"
	case !strings.EqualFold(strings.Trim(host, "[]"), p.srv.o.Site.Hostname()):
		return http.StatusMisdirectedRequest, "this is another host"
	case !p.srv.o.Site.SameOrigin(r):
		return http.StatusForbidden, "chats are opened from the chat page only"
	}
	return 0, ""
}

// answer refuses a request and hangs up, whatever else was sent.
func (p *ports) answer(c *netutil.Conn, status int, why string) {
	body := why + "\n"
	_, err := fmt.Fprintf(c, "HTTP/1.1 %d %s\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: %d\r\nCache-Control: no-store\r\n"+
		"X-Content-Type-Options: nosniff\r\nX-Robots-Tag: noindex, nofollow, noarchive\r\nConnection: close\r\n\r\n%s", status, http.StatusText(status), len(body), body)
	p.srv.hangUp(c, err)
}

// hangUp closes so that the peer can read what was said last.
func (s *Server) hangUp(c *netutil.Conn, err error) {
	c.SetReadCap(-1)
	if err == nil {
		err = c.CloseAfter(time.Second, 64<<10)
	}
	if err != nil {
		s.log.Debug("chatd: hanging up", "peer", c.Peer(), "err", err)
	}
}

// socketBuffer is what a WebSocket gathers in each direction, in octets; a frame of more is written as it is.
const socketBuffer = 512

// An upgrader is the http.ResponseWriter of a request that becomes a WebSocket, or is refused by the library that opens it.
type upgrader struct {
	conn   *netutil.Conn
	in     *bufio.Reader
	header http.Header
	body   bytes.Buffer
	status int
}

// Header is the answer's header.
func (w *upgrader) Header() http.Header { return w.header }

// WriteHeader begins the answer.
func (w *upgrader) WriteHeader(status int) {
	if w.status == 0 {
		w.status = status
	}
}

// Write adds to the body of a refusal.
func (w *upgrader) Write(b []byte) (int, error) {
	w.WriteHeader(http.StatusOK)
	return w.body.Write(b)
}

// Hijack sends the answer and gives the connection away, with what was read of it too early.
func (w *upgrader) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	w.conn.SetReadCap(-1)
	if err := w.send(); err != nil {
		return nil, nil, err
	}
	conn, err := w.conn.Take()
	if err != nil {
		return nil, nil, fmt.Errorf("taking the connection over: %w", err)
	}
	early, err := w.in.Peek(w.in.Buffered())
	if err != nil {
		return nil, nil, fmt.Errorf("taking what came too early: %w", err)
	}
	in := bufio.NewReaderSize(bytes.NewReader(early), max(socketBuffer, len(early)))
	if _, err := in.Peek(len(early)); err != nil { // what is buffered is all that the library looks at
		return nil, nil, fmt.Errorf("taking what came too early: %w", err)
	}
	// Small ones: most sockets are idle most of the time, and what is larger goes past them.
	return conn, bufio.NewReadWriter(in, bufio.NewWriterSize(conn, socketBuffer)), nil
}

// send writes the answer. The refusals that the library makes are texts of its own, without anything of ours.
func (w *upgrader) send() error {
	if w.status != http.StatusSwitchingProtocols {
		w.header.Set("Connection", "close")
		w.header.Set("Content-Length", fmt.Sprint(w.body.Len()))
	}
	w.header.Set("Cache-Control", "no-store")
	if _, err := fmt.Fprintf(w.conn, "HTTP/1.1 %d %s\r\n", w.status, http.StatusText(w.status)); err != nil {
		return err
	}
	if err := w.header.Write(w.conn); err != nil {
		return err
	}
	if _, err := io.WriteString(w.conn, "\r\n"); err != nil {
		return err
	}
	if _, err := w.body.WriteTo(w.conn); err != nil {
		return err
	}
	return w.conn.Flush()
}

// end sends a refusal.
func (w *upgrader) end() {
	if w.status == http.StatusSwitchingProtocols || w.status == 0 {
		return
	}
	if err := errors.Join(w.send(), w.conn.CloseAfter(time.Second, 64<<10)); err != nil {
		return // the peer has gone before it heard
	}
}
