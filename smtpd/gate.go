package smtpd

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"runtime/debug"
	"strings"
	"sync"
	"time"

	"chmail/internal/address"
	"chmail/internal/message"
	"chmail/internal/netutil"
)

// After a refusal that ends the connection the client is heard out so that it gets to read the refusal.
const (
	hearOut     = 5 * time.Second
	hearOutMost = 16 << 20
)

// A gate is the connection as go-smtp sees it. Each Read gives go-smtp one command line that was checked and never more, so that nothing is ever read as something else
// than it was sent as. STARTTLS is answered here, with go-smtp unaware. The mail itself does not pass through Read at all: the session takes it from the
// connection, and go-smtp gets to see an empty one. It does not get to see BDAT either, which looks like DATA to it.
//
// All of it happens on go-smtp's goroutine for the connection.
type gate struct {
	conn    *netutil.Conn
	port    *port
	ctx     context.Context // of what is done for this connection: its end cancels it, a stopping server does not
	cancel  context.CancelFunc
	session *session
	tls     string // "TLS1.3"; "" for plaintext
	line    []byte // what go-smtp gets next, good until the connection is read again
	path    path   // of the last MAIL or RCPT
	chunk   chunk  // of BDAT
	errors  int    // replies 4yz and 5yz since the last accepted mail
	greeted bool   // the client has said something
	renew   bool   // after STARTTLS: EHLO must come first
	sasl    bool   // go-smtp has sent a challenge: the next line is no command
	ending  ending
	gone    chan struct{} // closed when the connection is
}

// chunk is how far the BDAT command is that the client has sent (RFC 3030 2).
type chunk struct {
	open    bool   // go-smtp has been asked with DATA and has not been told the end
	left    int64  // octets still to come
	last    bool   // the mail ends with this chunk
	then    []byte // the command by which the client gave the mail up: it is next
	unheard bool   // go-smtp's next reply is to nothing that the client said
}

// ending is how a connection comes to its end.
type ending struct {
	began      time.Time       // when the connection did
	stop       context.Context // ends with the server: of what is only waited for
	once       sync.Once
	hangUp     bool // no further command is read
	hearOut    bool // the client may still be sending
	muted      bool // go-smtp has nothing more to say: the last word was the gate's, or nobody listens
	afterReply bool // the next refusal that go-smtp sends is the last
}

func newGate(ctx context.Context, p *port, c *netutil.Conn) *gate {
	g := &gate{conn: c, port: p, gone: make(chan struct{})}
	g.ctx, g.cancel = context.WithCancel(context.WithoutCancel(ctx))
	g.session = &session{gate: g, port: p}
	g.ending.began, g.ending.stop = time.Now(), ctx
	g.noteTLS()
	return g
}

func (g *gate) noteTLS() {
	if state, ok := g.conn.TLS(); ok {
		g.tls = strings.ReplaceAll(tls.VersionName(state.Version), " ", "")
	}
}

// hangUp ends the connection after the reply that is under way.
func (g *gate) hangUp(hearOut bool) {
	g.ending.hangUp = true
	g.ending.hearOut = g.ending.hearOut || hearOut
}

// Read gives go-smtp the next line. Its io.EOF ends the connection without a word from go-smtp.
func (g *gate) Read(p []byte) (n int, err error) {
	defer func() {
		if v := recover(); v != nil { // go-smtp guards its commands, but not its reading
			g.port.log.Error("panic while reading a command", "peer", g.conn.Peer(), "panic", fmt.Sprint(v), "stack", string(debug.Stack()))
			g.ending.muted = true
			n, err = 0, io.EOF
		}
	}()
	for len(g.line) == 0 {
		if err := g.next(); err != nil {
			return 0, err
		}
	}
	n = copy(p, g.line)
	g.line = g.line[n:]
	return n, nil
}

// lost ends a session whose connection broke, with a word where somebody may still hear it. That error is the last one: what comes
// after it is never taken for a command (libraries S2).
func (g *gate) lost(err error) {
	if g.ending.muted {
		return
	}
	switch {
	case errors.Is(err, netutil.ErrShutdown):
		g.say("421 4.3.2 " + g.port.Hostname + " is shutting down, try again later")
	case errors.Is(err, netutil.ErrTooSlow):
		g.say("421 4.4.2 " + g.port.Hostname + " too slow, closing")
	case errors.Is(err, netutil.ErrIdle), errors.Is(err, netutil.ErrLifeOver):
		g.say("421 4.4.2 " + g.port.Hostname + " timeout, closing")
	}
	g.ending.muted = true
	g.hangUp(false)
}

// say sends a reply of the gate's own. What becomes of it the next read shows.
func (g *gate) say(line string) {
	_, _ = g.conn.WriteString(line + "\r\n")
}

// refuse says a refusal of the gate's own; with it the connection ends.
func (g *gate) refuse(r *message.Refusal) error {
	g.port.Watch.Refused(g.port.profile, "", r)
	g.port.log.Info("connection refused", "peer", g.conn.Peer(), "code", r.Code, "reply", r.Text)
	g.say(replyLine(r))
	g.ending.muted = true
	g.hangUp(true)
	return io.EOF
}

func replyLine(r *message.Refusal) string {
	return fmt.Sprintf("%d %d.%d.%d %s", r.Code, r.Enhanced[0], r.Enhanced[1], r.Enhanced[2], r.Text)
}

// next makes the next command ready for go-smtp, or answers it.
func (g *gate) next() error {
	if g.ending.hangUp {
		return io.EOF
	}
	if g.chunk.open { // refused without a look at the mail
		g.chunk.open = false
		if err := g.skipChunk(); err != nil {
			g.lost(err)
			return io.EOF
		}
	}
	if then := g.chunk.then; then != nil {
		g.chunk.then = nil
		return g.command(then)
	}
	line, err := g.readLine()
	if err != nil {
		return err
	}
	if g.sasl {
		g.sasl = false
		g.line = line
		if string(bytes.TrimRight(line, "\r\n")) == "*" { // RFC 4954 4
			g.port.log.Info("a mail client gave up signing in: a mechanism that it cannot do, or a certificate that it does not trust; mutt with GNU SASL cannot do SCRAM-SHA-256-PLUS (smtp.scram_plus)", "peer", g.conn.Peer())
		}
		return nil
	}
	return g.command(line)
}

// readLine reads one line and checks it. Its only error is io.EOF: the session is over, and everything has been said.
func (g *gate) readLine() ([]byte, error) {
	if g.ending.hangUp {
		return nil, io.EOF
	}
	first := !g.greeted
	g.greeted = true
	if first {
		if b, err := g.conn.Window(1); err == nil && b[0] == 0x16 { // TLS; after an error the line below has the same
			return nil, g.refuse(errNotSMTP)
		}
	}
	line, err := g.conn.ReadLine(maxAuth)
	switch {
	case errors.Is(err, netutil.ErrLineTooLong):
		return nil, g.refuse(errLongCommand)
	case err != nil:
		g.lost(err)
		return nil, io.EOF
	case first && isForeign(line):
		return nil, g.refuse(errNotSMTP)
	}
	if r := checkLine(line, g.sasl); r != nil {
		return nil, g.refuse(r)
	}
	return line, nil
}

// command looks at a checked command line: most go to go-smtp as they are.
func (g *gate) command(line []byte) error {
	g.line = line
	v := verb(line)
	if len(line) > maxCommand && string(v[:]) != "AUTH" {
		return g.refuse(errLongCommand)
	}
	switch string(v[:]) {
	case "BDAT":
		return g.beginChunks(line)
	case "STAR":
		g.line = nil
		return g.startTLS(line)
	case "EHLO", "HELO":
		if r := g.helo(line); r != nil {
			g.line = nil
			name := bytes.TrimSpace(line[4:])
			g.port.log.Info("refused", "command", string(v[:]), "peer", g.conn.Peer(), "helo", oneLine(string(name[:min(len(name), address.MaxDomain)])), "code", r.Code, "reply", r.Text)
			g.port.Watch.Refused(g.port.profile, "EHLO", r)
			g.reply(replyLine(r))
			return nil
		}
		if len(bytes.TrimSpace(line[5:])) > 0 && line[4] == ' ' {
			g.renew = false
		}
		return nil
	case "NOOP", "QUIT", "RSET":
		return nil
	case "MAIL":
		var rest string
		g.path, rest = parsePath(line, "FROM:")
		g.line = boundSize(line, rest)
		if time.Since(g.ending.began) > g.port.Limits.Life {
			g.line = nil
			g.lost(netutil.ErrLifeOver)
			return io.EOF
		}
	case "RCPT":
		g.rcpt(line)
	}
	if g.renew {
		g.line = nil
		g.reply(replyLine(errRenew))
	}
	return nil
}

// rcpt reads the path. A bare <postmaster>, which every host must take (RFC 5321 4.5.1), go-smtp would refuse (libraries S9): it gets to see a
// domain, which the session does not use.
func (g *gate) rcpt(line []byte) {
	var rest string
	g.path, rest = parsePath(line, "TO:")
	if g.path.err == nil && g.path.addr.Local != "" && g.path.addr.Domain == "" {
		g.line = []byte("RCPT TO:<postmaster@" + g.port.Hostname + ">" + rest + "\r\n")
	}
}

// startTLS is RFC 3207. Everything that was said in plaintext is forgotten: the transaction with the EHLO that must follow, a login cannot
// have been before TLS.
func (g *gate) startTLS(line []byte) error {
	switch {
	case !strings.EqualFold(strings.TrimRight(string(line), " \r\n"), "STARTTLS"):
		g.reply("501 5.5.4 STARTTLS takes no parameter")
		return nil
	case g.tls != "":
		g.reply("503 5.5.1 TLS is in use already")
		return nil
	case g.port.tls == nil:
		g.reply("502 5.5.1 TLS is not available")
		return nil
	case g.conn.Buffered() > 0:
		return g.refuse(message.Refuse(554, [3]int{5, 7, 0}, "commands behind STARTTLS must wait for TLS"))
	}
	g.say("220 2.0.0 go ahead with TLS")
	if err := g.conn.StartTLS(g.ctx, g.port.tls); err != nil {
		g.port.log.Debug("no TLS", "peer", g.conn.Peer(), "err", err)
		g.ending.muted = true
		g.hangUp(false)
		return io.EOF
	}
	g.noteTLS()
	g.renew = true
	return nil
}

// reply is say for a reply that counts among the client's errors.
func (g *gate) reply(line string) {
	g.say(line)
	g.count()
}

// count takes an error of the client into account and says 421 when it was one too many. go-smtp itself counts syntax errors only (libraries S14).
func (g *gate) count() {
	if g.errors++; g.errors >= g.port.Limits.Errors && !g.ending.hangUp {
		g.port.log.Info("too many errors", "peer", g.conn.Peer(), "login", g.session.login)
		g.say("421 4.7.0 " + g.port.Hostname + " too many errors, closing")
		g.ending.muted = true
		g.hangUp(true)
	}
}

// Write takes one line of a reply from go-smtp, which sends each line by itself; the connection gathers them.
func (g *gate) Write(p []byte) (int, error) {
	if g.ending.muted {
		return len(p), nil
	}
	code, final := "", len(p) >= 4 && p[3] == ' '
	if final {
		code = string(p[:3])
	}
	switch {
	case g.chunk.unheard && final:
		g.chunk.unheard = false
		return len(p), nil
	case g.chunk.open && code == "354": // BDAT has no such reply
		return len(p), nil
	case !bytes.HasPrefix(p, []byte("250-PIPELINING")):
	case g.tls != "":
		g.say("250-REQUIRETLS")
	case g.port.tls != nil:
		g.say("250-STARTTLS")
	}
	n, err := len(p), error(nil)
	if plain := plainly(p); plain != "" {
		_, err = g.conn.WriteString(plain)
	} else {
		n, err = g.conn.Write(p)
	}
	switch {
	case code == "334":
		g.sasl = true
	case code == "421": // go-smtp's word for a panic, or ours for an AUTH that the server's stop called off
		g.hangUp(false)
	case final && (p[0] == '4' || p[0] == '5'):
		if g.ending.afterReply {
			g.ending.muted = true
			g.hangUp(true)
		}
		g.count()
	}
	return n, err
}

// plainly is what go-smtp's chattier replies say in the field's own words; "" for all others (libraries S16).
func plainly(line []byte) string {
	if len(line) < 4 {
		return ""
	}
	switch text := line[4:]; {
	case bytes.HasPrefix(text, []byte("2.0.0 Roger, ")):
		return "250 2.1.0 sender accepted\r\n"
	case bytes.HasPrefix(text, []byte("2.0.0 I'll make sure ")):
		return "250 2.1.5 recipient accepted\r\n"
	case bytes.HasPrefix(text, []byte("2.0.0 I have successfully done nothing")):
		return "250 2.0.0 ok\r\n"
	case bytes.HasPrefix(text, []byte("5.5.1 Please introduce yourself first")):
		return "503 5.5.1 EHLO or HELO first\r\n"
	}
	return ""
}

// Close ends the connection, once; it waits a little for a client that should still read why. What the client has sent beforehand is not read any more:
// go-smtp would run it, without a session.
func (g *gate) Close() (err error) {
	g.ending.once.Do(func() {
		g.hangUp(false)
		defer close(g.gone)
		g.cancel()
		if g.ending.hearOut {
			err = g.conn.CloseAfter(hearOut, hearOutMost)
		} else {
			err = g.conn.Close()
		}
	})
	return err
}

// LocalAddr implements net.Conn.
func (g *gate) LocalAddr() net.Addr { return g.conn.LocalAddr() }

// RemoteAddr implements net.Conn.
func (g *gate) RemoteAddr() net.Addr { return g.conn.RemoteAddr() }

// SetDeadline does nothing: deadlines are the connection's own (libraries S3, S7), as with the two below.
func (g *gate) SetDeadline(time.Time) error      { return nil }
func (g *gate) SetReadDeadline(time.Time) error  { return nil }
func (g *gate) SetWriteDeadline(time.Time) error { return nil }

var _ net.Conn = (*gate)(nil)
