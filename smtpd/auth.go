package smtpd

import (
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"

	"chmail/internal/call"
	"chmail/internal/message"
	"chmail/internal/netutil"
	"chmail/internal/scram"
)

var (
	errNoAuth      = message.Refuse(502, [3]int{5, 5, 1}, "no authentication on this port")
	errAuthNoTLS   = message.Refuse(538, [3]int{5, 7, 11}, "authentication needs TLS: STARTTLS first")
	errMechanism   = message.Refuse(504, [3]int{5, 5, 4}, "this mechanism is not offered")
	errAuthFailed  = message.Refuse(535, [3]int{5, 7, 8}, "wrong login or password")
	errAuthTrouble = message.Refuse(454, [3]int{4, 7, 0}, "the password cannot be checked now, try again later")
	errAuthStopped = message.Refuse(421, [3]int{4, 3, 2}, "shutting down, try again later")
	errAuthSyntax  = message.Refuse(501, [3]int{5, 5, 2}, "not what this mechanism sends")
)

var _ smtp.AuthSession = (*session)(nil)

// AuthMechanisms are those that EHLO names (RFC 4954), the best first: none in plaintext, where a password must not be asked for.
func (s *session) AuthMechanisms() []string {
	if s.port.profile == MX || s.gate.tls == "" {
		return nil
	}
	proofs, _, err := s.proofs()
	if err != nil && s.gate.ctx.Err() == nil {
		s.port.log.Error("SCRAM is not offered", "err", err)
	}
	return append(proofs, sasl.Plain, sasl.Login)
}

// proofs are the mechanisms that never say the password, where anybody can use them.
func (s *session) proofs() ([]string, scram.Offer, error) {
	state, ok := s.gate.conn.TLS()
	if !ok {
		return nil, scram.Nothing, nil
	}
	o, err := s.port.Accounts.Offer(s.gate.ctx)
	if err != nil {
		return nil, scram.Nothing, err
	}
	return scram.Offered(state, o), o, nil
}

// Auth begins an exchange.
func (s *session) Auth(mechanism string) (sasl.Server, error) {
	var server sasl.Server
	var err error
	switch {
	case s.port.profile == MX:
		err = errNoAuth
	case s.gate.tls == "":
		err = errAuthNoTLS
	case mechanism == sasl.Plain:
		server = sasl.NewPlainServer(func(identity, user, password string) error {
			if identity != "" && !strings.EqualFold(identity, user) {
				return errAuthFailed // nobody acts for another here
			}
			return s.authenticate(user, password)
		})
	case mechanism == sasl.Login:
		server = &loginServer{authenticate: s.authenticate}
	default:
		server, err = s.proof(mechanism)
	}
	if server == nil {
		return nil, s.reply("AUTH", err)
	}
	return exchange{s, server}, nil
}

// exchange turns what a mechanism says of an error into a reply of ours.
type exchange struct {
	session *session
	server  sasl.Server
}

// Next implements sasl.Server.
func (x exchange) Next(response []byte) (challenge []byte, done bool, err error) {
	challenge, done, err = x.server.Next(response)
	if err != nil {
		switch {
		case errors.Is(err, scram.ErrRefused):
			err = errAuthFailed.Because(err)
		case !isRefusal(err):
			err = errAuthSyntax.Because(err)
		}
		err = x.session.reply("AUTH", err)
	}
	return challenge, done, err
}

// authenticate checks a password. Its errors are refusals.
func (s *session) authenticate(user, password string) error {
	since, under := time.Now(), s.version(user)
	// Somebody who guessed wrong waits in there, perhaps for longer than the server has for its end. Nothing is lost by calling that off.
	login, ok, err := s.port.Accounts.Authenticate(s.gate.ending.stop, user, password, s.gate.conn.Peer())
	if err := s.judged(ok, err); err != nil {
		return err
	}
	s.signedIn(login, under, since)
	return nil
}

// version names the password that is about to be looked at: one that is changed meanwhile begins no session. "" when that cannot be found out: then the first mail is told to sign in again.
func (s *session) version(user string) string {
	version, ok, err := s.port.Accounts.Version(s.gate.ctx, user)
	if err != nil || !ok {
		return ""
	}
	return version
}

// judged makes a refusal of what the accounts say of a client; nil when he is let in.
func (s *session) judged(ok bool, err error) error {
	switch {
	case err != nil && s.gate.ending.stop.Err() != nil:
		return errAuthStopped.Because(netutil.ErrShutdown)
	case err != nil && isRefusal(err):
		return err
	case err != nil:
		return errAuthTrouble.Because(err)
	case !ok:
		return errAuthFailed // of whom, those who looked at the password have told the administrator: the name may be a password in the wrong field
	}
	return nil
}

// signedIn lets the broker know who is there before the client knows (R2).
func (s *session) signedIn(login, under string, since time.Time) {
	s.login, s.under, s.since = login, under, since
	s.port.Presence.Seen(s.gate.ctx, call.Sign{Login: login, Source: call.SMTP, IP: s.gate.conn.Peer(), Host: s.helo()})
}

// signedOut tells whether the password by which a client has signed in is none any more: whoever has stolen it must not write on. Trouble signs nobody out.
func (s *session) signedOut() bool {
	if s.login == "" {
		return false
	}
	version, ok, err := s.port.Accounts.Version(s.gate.ctx, s.login)
	return err == nil && (!ok || version != s.under)
}

// proof begins an exchange of a mechanism that proofs names. Its errors are refusals.
func (s *session) proof(mechanism string) (sasl.Server, error) {
	proofs, offer, err := s.proofs()
	switch {
	case err != nil:
		return nil, s.judged(false, err)
	case !slices.Contains(proofs, mechanism):
		return nil, errMechanism
	}
	state, _ := s.gate.conn.TLS()
	p := &proof{session: s}
	p.Exchange = scram.Begin(mechanism, state, offer, scram.Asks{Salt: p.salt, Prove: p.prove})
	return p, nil
}

// proof is an exchange by SCRAM: whoever proved his password is let in at its end, when he has seen the server's signature.
type proof struct {
	*scram.Exchange
	session *session
	login   string
	under   string    // the password's version before it was proved: how long the client waits with its last word is its own choice
	since   time.Time // before a password was looked at
}

// Next implements sasl.Server.
func (p *proof) Next(response []byte) (challenge []byte, done bool, err error) {
	challenge, done, err = p.Exchange.Next(response)
	if done && err == nil {
		p.session.signedIn(p.login, p.under, p.since)
	}
	return challenge, done, err
}

func (p *proof) salt(user string) ([]byte, error) {
	salt, err := p.session.port.Accounts.ProofSalt(p.session.gate.ending.stop, user)
	return salt, p.session.judged(true, err)
}

func (p *proof) prove(user string, fits func(scram.Keys) bool) error {
	var ok bool
	var err error
	p.since, p.under = time.Now(), p.session.version(user)
	p.login, ok, err = p.session.port.Accounts.Prove(p.session.gate.ending.stop, user, p.session.gate.conn.Peer(), fits)
	return p.session.judged(ok, err)
}

// loginServer is the server's side of LOGIN (draft-murchison-sasl-login), which Outlook uses. The user name may come with the command (hazards 1, 33).
type loginServer struct {
	authenticate func(user, password string) error
	user         string
	asked        bool // for the password
}

// Next implements sasl.Server.
func (l *loginServer) Next(response []byte) (challenge []byte, done bool, err error) {
	switch {
	case response == nil:
		return []byte("Username:"), false, nil
	case !l.asked:
		l.user, l.asked = string(response), true
		return []byte("Password:"), false, nil
	}
	return nil, true, l.authenticate(l.user, string(response))
}
