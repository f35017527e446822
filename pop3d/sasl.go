package pop3d

import (
	"encoding/base64"
	"errors"
	"slices"
	"strings"

	"github.com/emersion/go-sasl"

	"chmail/internal/scram"
)

// credentials are what a SASL exchange brings to light.
type credentials struct{ identity, user, password string }

// mechanisms in the order in which they are offered, the best first.
func (s *session) mechanisms() []string {
	proofs, _, err := s.proofs()
	if err != nil && s.ctx.Err() == nil {
		s.log.Error("SCRAM is not offered", "err", err)
	}
	return append(proofs, sasl.Plain, sasl.Login)
}

// proofs are the mechanisms that never say the password, where anybody can use them.
func (s *session) proofs() ([]string, scram.Offer, error) {
	state, ok := s.conn.TLS()
	if !ok {
		return nil, scram.Nothing, nil
	}
	o, err := s.server.accounts.Offer(s.ctx)
	if err != nil {
		return nil, scram.Nothing, err
	}
	return scram.Offered(state, o), o, nil
}

// exchange is the server side of a mechanism. At its end, or when the mechanism has no more to say to what came, conclude has the answer.
type exchange struct {
	sasl.Server
	conclude func(err error) reply
}

// exchange starts a mechanism; ok is false when none of that name is offered. An error says nothing about that.
func (s *session) exchange(name string) (x exchange, ok bool, err error) {
	var got credentials
	switch name = strings.ToUpper(name); name {
	case sasl.Plain:
		x.Server = sasl.NewPlainServer(func(identity, user, password string) error {
			got = credentials{identity, user, password}
			return nil
		})
	case sasl.Login:
		x.Server = &loginServer{got: &got}
	default:
		proofs, offer, err := s.proofs()
		if err != nil || !slices.Contains(proofs, name) {
			return exchange{}, false, err
		}
		return s.proof(name, offer), true, nil
	}
	x.conclude = func(err error) reply {
		switch {
		case err != nil:
			return malformed(name)
		case got.identity != "" && !strings.EqualFold(got.identity, got.user):
			return s.wrongPassword() // nobody signs in for somebody else
		}
		return s.signIn(got.user, got.password)
	}
	return x, true, nil
}

// proof starts an exchange by SCRAM (RFC 5802): whoever proved his password is let in at its end, when he has seen the server's signature.
func (s *session) proof(name string, offer scram.Offer) exchange {
	state, _ := s.conn.TLS()
	var login string
	var refused *reply
	server := scram.Begin(name, state, offer, scram.Asks{
		Salt: func(user string) ([]byte, error) {
			salt, err := s.server.accounts.ProofSalt(s.ctx, user)
			if err != nil {
				r := s.trouble("finding a salt", err)
				refused = &r
			}
			return salt, err
		},
		Prove: func(user string, fits func(scram.Keys) bool) error {
			if refused = s.noteVersion(user); refused != nil {
				return scram.ErrRefused
			}
			l, ok, err := s.server.accounts.Prove(s.ctx, user, s.peer, fits)
			if refused = s.judged(ok, err); refused != nil {
				return scram.ErrRefused
			}
			login = l
			return nil
		},
	})
	return exchange{server, func(err error) reply {
		switch {
		case refused != nil:
			return *refused
		case errors.Is(err, scram.ErrRefused):
			s.log.Info("pop3 login refused", "err", err)
			return s.wrongPassword()
		case err != nil:
			return malformed(name)
		}
		return s.enter(login)
	}}
}

func malformed(mechanism string) reply { return fault("malformed %s response", mechanism) }

// loginServer is the server side of LOGIN, which never became a standard and which Outlook speaks: two questions and two answers, of which
// the first may come with the command (hazards 33).
type loginServer struct {
	got   *credentials
	asked int
}

// errOutOfTurn ends an exchange that has said everything.
var errOutOfTurn = errors.New("LOGIN: response after the last one")

// Next takes an answer; nil when the client gave none with the command.
func (l *loginServer) Next(response []byte) (challenge []byte, done bool, err error) {
	if l.asked == 0 {
		l.asked = 1
		if response == nil {
			return []byte("Username:"), false, nil
		}
	}
	switch l.asked {
	case 1:
		l.asked, l.got.user = 2, string(response)
		return []byte("Password:"), false, nil
	case 2:
		l.asked, l.got.password = 3, string(response)
		return nil, true, nil
	}
	return nil, false, errOutOfTurn
}

// auth is AUTH (RFC 5034 4). Without an argument it lists the mechanisms, as Outlook expects.
func (s *session) auth(c command) reply {
	if !s.secure {
		return needTLS()
	}
	words := c.words()
	switch len(words) {
	case 0:
		return lines("mechanisms follow", s.mechanisms()...)
	case 1, 2:
	default:
		return fault("AUTH takes a mechanism and at most one initial response")
	}
	server, ok, err := s.exchange(words[0])
	switch {
	case err != nil:
		return s.trouble("looking whether SCRAM is of use", err)
	case !ok:
		return fault("no such mechanism; there are %s", strings.Join(s.mechanisms(), ", "))
	}
	var response []byte // nil: the client gave none, which is not the same as an empty one
	if len(words) == 2 && words[1] == "=" {
		response = []byte{}
	} else if len(words) == 2 {
		if response, ok = decode(words[1]); !ok {
			return notBase64()
		}
	}
	for {
		challenge, done, err := server.Next(response)
		if done || err != nil {
			return server.conclude(err)
		}
		line, err := s.ask(challenge)
		if err != nil {
			return reply{gone: err}
		}
		if string(line) == "*" {
			s.log.Info("a mail client gave up signing in: a mechanism that it cannot do; mutt with GNU SASL cannot do SCRAM-SHA-256-PLUS (smtp.scram_plus)")
			return fault("cancelled")
		}
		if response, ok = decode(string(line)); !ok {
			return notBase64()
		}
	}
}

func notBase64() reply { return fault("that is not base64") }

// decode reads base64; the result of an empty text is empty but not nil.
func decode(text string) ([]byte, bool) {
	if text == "" {
		return []byte{}, true
	}
	b, err := base64.StdEncoding.DecodeString(text)
	return b, err == nil
}

// encode is the line that carries a challenge.
func encode(challenge []byte) []byte {
	line := base64.StdEncoding.AppendEncode([]byte("+ "), challenge)
	return append(line, "\r\n"...)
}
