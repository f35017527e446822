package pop3d

import (
	"io"
	"strconv"
	"strings"
	"time"

	"chmail/internal/call"
)

// lines is a multi-line response of a few fixed lines, none of which begins with a dot.
func lines(first string, rest ...string) reply {
	return reply{ok: true, text: first, body: func(w io.Writer) error {
		var b []byte
		for _, line := range rest {
			b = append(append(b, line...), "\r\n"...)
		}
		_, err := w.Write(append(b, dotLine...))
		return err
	}}
}

// capa is CAPA (RFC 2449 5). What needs TLS is offered only in TLS.
func (s *session) capa(c command) reply {
	if !c.bare() {
		return noArgument("CAPA")
	}
	all := []string{"TOP", "UIDL", "RESP-CODES", "AUTH-RESP-CODE", "PIPELINING", "EXPIRE NEVER"}
	if d := s.server.pace.delay; d > 0 {
		all = append(all, "LOGIN-DELAY "+strconv.FormatInt(int64(d/time.Second), 10))
	}
	if s.secure {
		all = append(all, "USER", "SASL "+strings.Join(s.mechanisms(), " "))
	} else if s.server.tls != nil {
		all = append(all, "STLS")
	}
	return lines("capabilities follow", append(all, "IMPLEMENTATION chmail")...)
}

// stls is STLS (RFC 2595 4). Whatever was sent behind it in plaintext would otherwise be run as if it had come through TLS.
func (s *session) stls(c command) reply {
	switch {
	case !c.bare():
		return noArgument("STLS")
	case s.secure:
		return fault("TLS is on already")
	case s.server.tls == nil:
		return fault("TLS is not available")
	case s.conn.Buffered() > 0:
		return fault("STLS must be the last command before the handshake").ending("plaintext behind STLS")
	}
	r := fine("begin TLS")
	r.then = s.handshake
	return r
}

// needTLS refuses a password in clear. It carries no [AUTH]: a client would ask its user for another password.
func needTLS() reply { return fault("STLS first: no password travels in clear here") }

// userName is USER. Whether there is such a user is not told.
func (s *session) userName(c command) reply {
	name := strings.Trim(c.arg, " \t")
	switch {
	case !s.secure:
		return needTLS()
	case name == "":
		return fault("USER takes a name")
	}
	s.user = name
	return fine("now the password")
}

// pass is PASS. Its argument is the rest of the line, spaces and all.
func (s *session) pass(c command) reply {
	user := s.user
	s.user = "" // RFC 1939 7: after a refused PASS comes USER again
	switch {
	case !s.secure:
		return needTLS()
	case user == "":
		return fault("USER comes first")
	case c.arg == "":
		return fault("PASS takes a password")
	}
	return s.signIn(user, c.arg)
}

// signIn lets in who has the right password.
func (s *session) signIn(user, password string) reply {
	if r := s.noteVersion(user); r != nil {
		return *r
	}
	login, ok, err := s.server.accounts.Authenticate(s.ctx, user, password, s.peer)
	if r := s.judged(ok, err); r != nil {
		return *r
	}
	return s.enter(login)
}

// noteVersion notes what the session will rest on, before the password is looked at: one that is changed meanwhile begins none.
func (s *session) noteVersion(user string) *reply {
	var err error
	if s.under, _, err = s.server.accounts.Version(s.ctx, user); err != nil {
		r := s.trouble("looking at an account", err)
		return &r
	}
	return nil
}

// judged is the reply to what the accounts say of a user; nil when he is let in.
func (s *session) judged(ok bool, err error) *reply {
	var r reply
	switch {
	case err != nil:
		r = s.trouble("checking a password", err)
	case !ok:
		r = s.wrongPassword()
	default:
		return nil
	}
	return &r
}

// enter is where every way to log in ends: it opens the maildrop and reports the sign of life (R2).
func (s *session) enter(login string) reply {
	if !s.server.pace.allow(login, time.Now()) {
		return refusal(codeDelay, "at least %v between two logins", s.server.pace.delay)
	}
	drop, err := s.server.maildrops.Open(s.work, login)
	if err != nil {
		return s.trouble("opening the maildrop of "+login, err)
	}
	s.box.Maildrop = drop
	s.box.count, s.box.octets = drop.Stat()
	s.login, s.state = login, transaction
	s.server.counts.sessions.Add(1)
	if s.server.presence != nil {
		s.server.presence.Seen(s.ctx, call.Sign{Login: login, Source: call.POP3, IP: s.peer})
	}
	s.conn.SetIdle(s.server.limits.Idle)
	if err := s.conn.SetReadDeadline(time.Time{}); err != nil {
		return reply{gone: err}
	}
	s.log.Debug("pop3 login", "login", login, "messages", s.box.count)
	return fine("%d messages (%d octets)", s.box.count, s.box.octets)
}

// wrongPassword refuses a login. Its delay has passed already, within Authenticate.
func (s *session) wrongPassword() reply {
	s.tally.failures++
	// Whoever looked at the password has written a line for the administrator, with the name if it may be told: some people type their password there.
	s.log.Debug("pop3 login refused", "failures", s.tally.failures)
	r := refusal(codeAuth, "wrong user name or password")
	if s.tally.failures >= s.server.limits.Failures {
		return r.ending("wrong passwords")
	}
	return r
}
