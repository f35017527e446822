package chatd

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"chmail/internal/netutil"
)

// greetingHelp is what whoever begins with something else is told.
const greetingHelp = "begin with JOIN TOKEN [name], or RESUME CODE LAST"

// A terminal is the voice of the line protocol. Only the client's writer uses it.
type terminal struct {
	conn  *netutil.Conn
	owner string // how the owner is called
	me    string // how the visitor is
	mine  string // begins the ids of messages that were said on this connection: they come back as "+ N"
	buf   []byte

	address func(file string) string // what its owner finds a file by
}

// greeted answers the first line.
type greeted struct{ conv, code string }

// A remark is something that the server has to say itself.
type remark string

func (t *terminal) send(_ context.Context, f any) error {
	b := t.buf[:0]
	switch f := f.(type) {
	case *event:
		name := t.owner
		if f.From == visitor {
			if t.mine != "" && len(f.CID) > len(t.mine) && f.CID[:len(t.mine)] == t.mine {
				return nil
			}
			name = t.me
		} else if who := guestNumber(f.From); who != 0 {
			name = GuestCalled(f.Name, who)
		}
		b = appendEvent(b, f, name)
		if f.File != nil {
			b = append(append(append(b, "| "...), t.address(f.File.ID)...), "\r\n"...)
		}
	case ackFrame:
		b = append(strconv.AppendInt(append(b, "+ "...), f.N, 10), "\r\n"...)
	case callFrame:
		b = append(append(append(b, "! "...), f.State...), "\r\n"...)
	case greeted:
		b = fmt.Appendf(b, "OK %s %s\r\n", f.conv, f.code)
	case errorFrame: // of one message; others end the connection
		b = append(append(append(b, "! not sent: "...), f.Text...), "\r\n"...)
	case remark:
		b = append(append(append(b, "! "...), f...), "\r\n"...)
	default:
		return nil // concerns pages only
	}
	t.buf = b[:0]
	_, err := t.conn.Write(b)
	return err
}

func (t *terminal) flush(context.Context) error { return t.conn.Flush() }

// ping has nothing to do: TCP's own probes find out whether a terminal is still there.
func (t *terminal) ping(context.Context) error { return nil }

func (t *terminal) close(last any) {
	text := "the conversation ends here"
	switch f := last.(type) {
	case farewell:
		text = f.Reason
		if f.AfterMS > 0 {
			text = fmt.Sprintf("%s, come back after %d ms", f.Reason, f.AfterMS)
		}
	case errorFrame:
		text = f.Text
	}
	// Whoever reads from this connection notices that it is over, and closes it; a peer that does not hear is gone.
	_, _ = fmt.Fprintf(t.conn, "- %s\r\n", text)
	_ = t.conn.Flush()
	t.conn.Interrupt()
}

// turnAway says why a connection is refused, and hangs up.
func (s *Server) turnAway(c *netutil.Conn, why string) {
	_, err := fmt.Fprintf(c, "- %s\r\n", why)
	s.hangUp(c, err)
}

// terminal serves the line protocol on a chat port.
func (s *Server) terminal(ctx context.Context, conn *netutil.Conn, port int) {
	if err := conn.SetReadDeadline(time.Now().Add(greetWithin)); err != nil {
		return
	}
	first, err := conn.ReadLine(maxLine)
	g, ok := parseGreeting(first)
	if err != nil || !ok {
		s.turnAway(conn, greetingHelp)
		return
	}
	if err := conn.SetReadDeadline(time.Time{}); err != nil {
		return
	}
	conn.SetIdle(lineIdle)
	ctx, hang := context.WithCancel(context.WithoutCancel(ctx)) // at a shutdown it is told, not cut off
	defer hang()
	defer context.AfterFunc(ctx, conn.Interrupt)()
	voice := &terminal{conn: conn}
	c := newClient(voice, hang)
	v := &visit{srv: s, c: c, peer: conn.Peer(), port: port, token: g.token, name: g.name, last: g.last, opened: time.Now()}
	leave, ok := s.limits.enter(v.peer)
	if !ok {
		s.turnAway(conn, "too many connections from your network")
		return
	}
	defer leave()
	// Nothing is written before the voice knows the names: the client is admitted when the link is known.
	v.link, err = s.resolve(ctx, g.token, v.peer, port)
	if err != nil {
		s.turnAway(conn, s.reason(err, v))
		return
	}
	voice.owner, voice.mine, voice.address = ownerName(v.link), randomID()+".", v.address
	defer here(&s.crowd.counts.terminals)()
	done, ok := s.admit(ctx, c)
	defer done()
	if !ok {
		return
	}
	defer v.exit()
	err = v.greet(ctx, g, voice)
	for n := 0; err == nil; n++ {
		err = v.line(ctx, conn, voice.mine+strconv.Itoa(n))
	}
	s.part(c, v.peer, err)
	s.hangUp(conn, nil)
}

// reason is what somebody is told who is refused before he is in.
func (s *Server) reason(err error, v *visit) string {
	var refused *fault
	switch {
	case errors.As(err, &refused):
		return refused.text
	case errors.Is(err, errBusy):
		return "too much is asked for, try again later"
	}
	s.log.Error("chatd: a connection ended by our own failure", "peer", v.peer, "err", err)
	return "something is wrong here, try again later"
}

// greet brings a terminal into its conversation. To join is to show intent; to resume as well. The code that it is given is the link's token and a
// secret of its own: both are needed to come back, and the link must still work then.
func (v *visit) greet(ctx context.Context, g greeting, t *terminal) error {
	secret := g.secret
	if secret == "" {
		secret = randomID()
	}
	v.visitor = terminalVisitor(secret)
	if g.secret != "" {
		switch id, err := v.srv.store.find(ctx, v.link, v.visitor); {
		case err != nil:
			return err
		case id == "":
			v.srv.limits.misses.Hit(v.peer)
			return faultLink
		}
	}
	hello := func(conv string, _ int64) {
		if conv != "" {
			if t.me = v.name; t.me == "" {
				t.me = "you"
			}
			v.c.put(greeted{conv, g.token + "." + secret})
		}
	}
	if err := v.enter(ctx, hello); err != nil {
		return err
	}
	return v.intentSaying(ctx, hello)
}

// line reads one line and does what it says.
func (v *visit) line(ctx context.Context, conn *netutil.Conn, cid string) error {
	line, err := conn.ReadLine(maxLine)
	if errors.Is(err, netutil.ErrLineTooLong) {
		return faultLine
	}
	if err != nil {
		return errLeft
	}
	what, text := parseLine(line)
	switch what {
	case quitting:
		v.c.leave(farewell{Reason: "goodbye"})
		return errLeft
	case mistaken:
		v.c.put(remark("not sent: /quit is the only command; begin with // to say something that begins with a slash"))
	case unsayable:
		v.c.put(remark("not sent: only text in UTF-8, at most 4000 characters"))
	case saying:
		return v.say(ctx, cid, text)
	}
	return nil
}
