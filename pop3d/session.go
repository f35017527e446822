package pop3d

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net/netip"
	"os"
	"time"

	"chmail/internal/message"
	"chmail/internal/netutil"
)

// state is that of RFC 1939 3; the update state is a part of QUIT.
type state uint8

const (
	authorization state = 1 << iota
	transaction
	anytime = authorization | transaction
)

// commands are all that a client can say: in which state, and what answers it.
var commands = map[string]struct {
	in  state
	run func(*session, command) reply
}{
	"CAPA": {anytime, (*session).capa},
	"QUIT": {anytime, (*session).quit},
	"STLS": {authorization, (*session).stls},
	"USER": {authorization, (*session).userName},
	"PASS": {authorization, (*session).pass},
	"AUTH": {authorization, (*session).auth},
	"STAT": {transaction, (*session).stat},
	"LIST": {transaction, (*session).list},
	"UIDL": {transaction, (*session).uidl},
	"RETR": {transaction, (*session).retr},
	"TOP":  {transaction, (*session).top},
	"DELE": {transaction, (*session).dele},
	"RSET": {transaction, (*session).rset},
	"NOOP": {transaction, (*session).noop},
}

// Lengths in octets, line end included.
const (
	// maxLine is that of a command (RFC 2449 4).
	maxLine = 255
	// maxLongLine is that of a line with credentials: AUTH and its responses (RFC 4954 4 has the figure), and USER and PASS beside it, so
	// that a password which works in one way works in the other.
	maxLongLine = 12288
)

// A client that we leave may still be sending. So much of it is read, for so long, that our last reply is not lost to a reset.
const (
	lingerTime = 5 * time.Second
	lingerMost = 2 << 20
)

// session is one connection of a client. One goroutine owns it.
type session struct {
	server *Server
	conn   *netutil.Conn
	ctx    context.Context // ends when the server stops
	work   context.Context // for the maildrop: ends with the longest life of a session, not when the server stops
	log    *slog.Logger
	peer   netip.Addr

	state  state
	secure bool
	user   string // from USER, until PASS
	login  string
	under  string // the password's version when it began
	box    box
	tally  tally
}

// tally is what a session counts.
type tally struct {
	failures int // wrong passwords
	faults   int // replies to what no client in order sends
	messages int // read to their end, by RETR or TOP
	octets   int64
	deleted  int
}

// serve is a whole session: handshake, greeting, commands, end.
func (s *Server) serve(ctx context.Context, conn *netutil.Conn, implicit bool) {
	began := time.Now()
	work, cancel := context.WithDeadline(context.WithoutCancel(ctx), began.Add(s.limits.Session))
	defer cancel()
	c := s.session(ctx, work, conn)
	end := "panic" // unless something below returns
	defer func() { c.close(end, time.Since(began)) }()
	if implicit {
		if err := c.handshake(); err != nil {
			end = c.endedBy(err)
			return
		}
	}
	end = c.dialogue(began)
}

func (s *Server) session(ctx, work context.Context, conn *netutil.Conn) *session {
	return &session{
		server: s, conn: conn, ctx: ctx, work: work, peer: conn.Peer(), state: authorization,
		log: s.log.With("session", message.NewID(), "peer", conn.Peer()),
	}
}

// close lets the maildrop go; nothing is deleted by it (RFC 1939 6).
func (s *session) close(end string, took time.Duration) {
	if s.box.Maildrop == nil {
		s.log.Debug("pop3 connection", "end", end, "took", took)
		return
	}
	if err := s.box.Close(); err != nil {
		s.log.Warn("closing a maildrop", "login", s.login, "err", err)
	}
	s.log.Info("pop3 session", "login", s.login, "messages", s.box.count, "read", s.tally.messages, "octets", s.tally.octets,
		"deleted", s.tally.deleted, "end", end, "took", took)
}

// dialogue runs until something ends the session, and says what.
func (s *session) dialogue(began time.Time) (end string) {
	// The greeting holds no <...>: that would offer APOP, which needs passwords that can be recovered.
	if err := s.write(fine("%s POP3 ready", s.server.hostname)); err != nil {
		return s.endedBy(err)
	}
	if err := s.conn.SetReadDeadline(began.Add(s.server.limits.SignIn)); err != nil {
		return s.endedBy(err)
	}
	for {
		if s.ctx.Err() != nil {
			return s.endedBy(netutil.ErrShutdown)
		}
		line, err := s.read()
		if err != nil {
			return s.endedBy(err)
		}
		r := s.answer(line)
		if r.gone != nil {
			return s.endedBy(r.gone)
		}
		if r.fault {
			if s.tally.faults++; s.tally.faults >= s.server.limits.Faults && r.end == "" {
				r.end = "too many faults"
			}
		}
		if err := s.write(r); err != nil {
			return s.endedBy(err)
		}
		switch {
		case r.end != "":
			if !r.ok {
				s.linger()
			}
			return r.end
		case r.then != nil:
			if err := r.then(); err != nil {
				return s.endedBy(err)
			}
		}
	}
}

// read returns a line without its end. A bare LF ends it too: nothing passes a client's command on, so that it can
// smuggle nothing anywhere, and people at a terminal send it.
func (s *session) read() ([]byte, error) {
	line, err := s.conn.ReadLine(maxLongLine)
	if err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(line[:len(line)-1], carriageReturn), nil
}

var carriageReturn = []byte("\r")

// answer finds the command and runs it.
func (s *session) answer(line []byte) reply {
	c, ok := parse(line)
	if !ok {
		return fault("that is no command")
	}
	long := c.verb == "AUTH" || c.verb == "PASS" || c.verb == "USER"
	if len(line)+2 > maxLine && !long {
		return fault("a command has at most %d octets", maxLine)
	}
	known, ok := commands[c.verb]
	switch {
	case !ok && isHTTP(c.verb):
		// A browser was led here (CERT VU#476267): what it posts must not be run.
		return fault("this is POP3").ending("http")
	case !ok:
		return fault("no such command")
	case known.in&s.state == 0 && s.state == authorization:
		return fault("%s comes after the login", c.verb)
	case known.in&s.state == 0:
		return fault("%s comes before the login", c.verb)
	}
	if s.state == transaction && s.signedOut() {
		return refusal(codeAuth, "the password was changed, or the account removed: sign in again").ending("signed out")
	}
	return known.run(s, c)
}

// signedOut tells whether the password by which this session was begun is none any more: whoever has stolen it must not read on. Trouble ends no session.
func (s *session) signedOut() bool {
	version, ok, err := s.server.accounts.Version(s.ctx, s.login)
	return err == nil && (!ok || version != s.under)
}

func isHTTP(verb string) bool {
	switch verb {
	case "GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "CONNECT", "PATCH", "TRACE":
		return true
	}
	return false
}

// write gathers a reply; it leaves when the client's next command has to be waited for.
func (s *session) write(r reply) error {
	_, err := s.conn.Write(r.line(make([]byte, 0, 128)))
	if r.body != nil {
		err = errors.Join(err, r.body(s.conn))
	}
	return err
}

// ask sends a challenge and returns the response (RFC 5034 4), good until the next read.
func (s *session) ask(challenge []byte) ([]byte, error) {
	if _, err := s.conn.Write(encode(challenge)); err != nil {
		return nil, err
	}
	return s.read()
}

// handshake changes to TLS.
func (s *session) handshake() error {
	if err := s.conn.StartTLS(s.ctx, s.server.tls); err != nil {
		return err
	}
	s.secure = true
	return nil
}

// trouble is an -ERR for what is not the client's fault; the cause goes to the log. [SYS/TEMP] has it keep its password and come back.
// A message.Refusal is told as it is: it was meant, and nothing is broken.
func (s *session) trouble(doing string, err error) reply {
	level, told := slog.LevelError, "something is wrong here; try again later"
	var meant *message.Refusal
	if errors.As(err, &meant) {
		level, told = slog.LevelInfo, meant.Text
	}
	if s.ctx.Err() != nil {
		level = slog.LevelDebug // the server stops: what was waited for has been called off
	}
	s.log.Log(s.ctx, level, "pop3 trouble", "doing", doing, "login", s.login, "err", err)
	return refusal(codeTemp, "%s", told)
}

// endedBy says the last word, where one is due, and names the reason for the log. Silence ends a session silently: RFC 1939 3
// has the autologout send nothing.
func (s *session) endedBy(err error) string {
	switch {
	case s.work.Err() != nil, errors.Is(err, netutil.ErrLifeOver):
		return "longest life"
	case errors.Is(err, errMidway):
		s.log.Error("pop3 session broken off", "login", s.login, "err", err)
		return "broken off"
	case errors.Is(err, netutil.ErrShutdown):
		// No lingering here: a thousand idle clients must not hold up the end.
		s.lastWord(refusal(codeTemp, "the server is going down; come back in a minute"))
		return "shutdown"
	case errors.Is(err, netutil.ErrLineTooLong):
		s.lastWord(fault("line too long"))
		s.linger()
		return "long line"
	case errors.Is(err, netutil.ErrPlaintext):
		s.lastWord(fault("STLS must be the last command before the handshake"))
		s.linger()
		return "plaintext behind STLS"
	case errors.Is(err, netutil.ErrStuck):
		return "slow reader"
	case errors.Is(err, os.ErrDeadlineExceeded):
		return "silence"
	case netutil.IsGone(err):
		return "gone"
	}
	s.log.Debug("pop3 connection ended", "err", err)
	return "connection"
}

// lastWord says what nobody asked for.
func (s *session) lastWord(r reply) {
	if err := s.write(r); err != nil && !netutil.IsGone(err) {
		s.log.Debug("last word to a pop3 client", "err", err)
	}
}

// linger closes with care for a client that is still sending.
func (s *session) linger() {
	if err := s.conn.CloseAfter(lingerTime, lingerMost); err != nil && !netutil.IsGone(err) {
		s.log.Debug("closing a pop3 connection", "err", err)
	}
}
