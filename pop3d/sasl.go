package pop3d

import (
	"encoding/base64"
	"errors"
	"strings"

	"github.com/emersion/go-sasl"
)

// credentials are what a SASL exchange brings to light.
type credentials struct{ identity, user, password string }

// mechanisms in the order in which they are offered.
var mechanisms = []string{sasl.Plain, sasl.Login}

// mechanism starts the server side of a mechanism; nil when there is none of that name. It only takes the credentials
// down; whether they are right is asked later, in one place for every way to log in.
func mechanism(name string, got *credentials) sasl.Server {
	switch strings.ToUpper(name) {
	case sasl.Plain:
		return sasl.NewPlainServer(func(identity, user, password string) error {
			*got = credentials{identity, user, password}
			return nil
		})
	case sasl.Login:
		return &loginServer{got: got}
	}
	return nil
}

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
		return lines("mechanisms follow", mechanisms...)
	case 1, 2:
	default:
		return fault("AUTH takes a mechanism and at most one initial response")
	}
	var got credentials
	server := mechanism(words[0], &got)
	if server == nil {
		return fault("no such mechanism; there are %s", strings.Join(mechanisms, ", "))
	}
	var response []byte // nil: the client gave none, which is not the same as an empty one
	if len(words) == 2 && words[1] == "=" {
		response = []byte{}
	} else if len(words) == 2 {
		var ok bool
		if response, ok = decode(words[1]); !ok {
			return notBase64()
		}
	}
	for {
		challenge, done, err := server.Next(response)
		if err != nil {
			return fault("malformed %s response", strings.ToUpper(words[0]))
		}
		if done {
			break
		}
		line, err := s.ask(challenge)
		if err != nil {
			return reply{gone: err}
		}
		if string(line) == "*" {
			return fault("cancelled")
		}
		var ok bool
		if response, ok = decode(string(line)); !ok {
			return notBase64()
		}
	}
	if got.identity != "" && !strings.EqualFold(got.identity, got.user) {
		return s.wrongPassword(got.user) // nobody signs in for somebody else
	}
	return s.signIn(got.user, got.password)
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
