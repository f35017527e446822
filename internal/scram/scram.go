// Package scram is the server's side of SCRAM-SHA-256 and SCRAM-SHA-256-PLUS (RFC 5802, RFC 7677), by which a mail client shows that it has a password without saying it, and has
// the server show that it knows it. The messages are github.com/xdg-go/scram's; what is ours is that a login may have several passwords, of which the client names none.
package scram

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"net/netip"
	"strings"

	"github.com/emersion/go-sasl"
	"github.com/xdg-go/scram"
)

// The mechanisms' names.
const (
	Mechanism = "SCRAM-SHA-256"
	Plus      = "SCRAM-SHA-256-PLUS"
)

// What Next says of a client. Neither holds anything that it sent: some client will send a password where a message belongs.
var (
	// ErrSyntax: this is not what the mechanism sends.
	ErrSyntax = errors.New("not a message of SCRAM-SHA-256")
	// ErrRefused: it wants to act for another, or is bound to another connection. What wraps it says which, for the log; to the client it is a wrong password.
	ErrRefused = errors.New("refused")
)

const (
	errBinding  refusal = "the client is bound to another connection, or was told that there is no " + Plus + ": somebody stands between"
	errIdentity refusal = "it wants to act for another"
)

type refusal string

func (r refusal) Error() string { return string(r) }
func (r refusal) Unwrap() error { return ErrRefused }

// Offer is what clients are offered.
type Offer int

// The offers.
const (
	Nothing Offer = iota
	Unbound       // SCRAM-SHA-256
	Bound         // SCRAM-SHA-256-PLUS as well
)

// Offered are the mechanisms for a connection, the better first. The binding is tls-exporter (RFC 9266), in TLS 1.3 only: in older versions it would need an extension
// that a client may lack, and tls-unique is broken there.
func Offered(state tls.ConnectionState, o Offer) []string {
	if o == Nothing {
		return nil
	}
	if _, ok := bindingOf(state, o); ok {
		return []string{Plus, Mechanism}
	}
	return []string{Mechanism}
}

func bindingOf(state tls.ConnectionState, o Offer) (scram.ChannelBinding, bool) {
	if o != Bound || state.Version < tls.VersionTLS13 || !state.HandshakeComplete {
		return scram.ChannelBinding{}, false
	}
	b, err := scram.NewTLSExporterBinding(&state)
	return b, err == nil
}

// People know the logins' keys.
type People interface {
	// Offer is what clients are to be offered: Nothing where nobody could use it.
	Offer(ctx context.Context) (Offer, error)
	// ProofSalt is the salt of a login, existing or not.
	ProofSalt(ctx context.Context, user string) ([]byte, error)
	// Prove has fits look at the keys of each of a user's passwords until they fit; login is the canonical spelling. Delays against guessing, and equal time for logins that do not exist, happen in here.
	// An error is trouble of ours, or a *message.Refusal.
	Prove(ctx context.Context, user string, peer netip.Addr, fits func(Keys) bool) (login string, ok bool, err error)
}

// Asks are what one exchange asks.
type Asks struct {
	// Salt is that of a login, existing or not.
	Salt func(user string) ([]byte, error)
	// Prove has fits look at the keys of a user's passwords, and ends with nil when they fit. Its error is what Next returns.
	Prove func(user string, fits func(Keys) bool) error
}

var _ sasl.Server = (*Exchange)(nil)

// Exchange is one attempt to sign in.
type Exchange struct {
	asks    Asks
	binding scram.ChannelBinding
	plus    bool // it has to be used

	step  int
	first string
	nonce string                    // the server's half
	shown *scram.ServerConversation // what the client sees; its keys are nobody's
	user  string
	sign  string // the server's signature
}

// over is a step that nothing follows.
const over = 3

// Begin begins an exchange by a mechanism that Offered names for this connection; nil for any other.
func Begin(mechanism string, state tls.ConnectionState, o Offer, asks Asks) *Exchange {
	binding, ok := bindingOf(state, o)
	if mechanism != Mechanism && (mechanism != Plus || !ok) {
		return nil
	}
	return &Exchange{asks: asks, binding: binding, plus: mechanism == Plus, nonce: rand.Text()}
}

// Next implements sasl.Server; response is nil when the client said nothing with the command. The server's signature goes out as a challenge, which the client answers with nothing:
// neither SMTP (RFC 4954 4) nor POP3 (RFC 5034 4) has a place for it in the last reply. The client is let in when done is true, not before: it may find the signature wrong.
func (x *Exchange) Next(response []byte) (challenge []byte, done bool, err error) {
	x.step++
	switch {
	case x.step == 1 && response == nil: // the client speaks first
		x.step = 0
		return []byte{}, false, nil
	case x.step == 1:
		challenge, err = x.begin(string(response))
	case x.step == 2:
		challenge, err = x.prove(string(response))
	case x.step == 3 && len(response) == 0:
		return nil, true, nil
	default:
		err = ErrSyntax
	}
	if err != nil {
		x.step = over
	}
	return challenge, false, err
}

// maxFirst is how long a client's first message may be, in octets: its work is multiplied by the number of passwords that it may be held against.
const maxFirst = 1 << 10

// begin answers the client's first message with its salt. The login is not looked up: there is a salt for everybody.
func (x *Exchange) begin(first string) ([]byte, error) {
	var trouble error
	if len(first) > maxFirst {
		return nil, ErrSyntax
	}
	x.first = first
	shown, err := x.conversation(func(user string) (scram.StoredCredentials, error) {
		salt, err := x.asks.Salt(user)
		nobody := make([]byte, 32)
		_, _ = rand.Read(nobody) // never fails
		trouble = err
		return credentials(Keys{nobody, nobody}, salt), err
	})
	if err != nil {
		return nil, err
	}
	x.shown = shown
	challenge, err := x.shown.Step(first)
	x.user = x.shown.Username()
	switch {
	case trouble != nil:
		return nil, trouble
	case err != nil:
		return nil, blame(challenge)
	case x.shown.AuthzID() != "" && !strings.EqualFold(x.shown.AuthzID(), x.user):
		return nil, errIdentity // nobody acts for another here
	}
	return []byte(challenge), nil
}

// prove judges the client's second message. Everything that needs no password is judged before one is looked at.
func (x *Exchange) prove(final string) ([]byte, error) {
	if says, err := x.shown.Step(final); err == nil || says != scram.ErrInvalidProof {
		return nil, blame(says)
	}
	salt, err := x.asks.Salt(x.user)
	if err != nil {
		return nil, err
	}
	if err := x.asks.Prove(x.user, func(k Keys) bool {
		c, err := x.conversation(func(string) (scram.StoredCredentials, error) { return credentials(k, salt), nil })
		if err != nil {
			return false
		}
		if _, err := c.Step(x.first); err != nil {
			return false
		}
		says, err := c.Step(final)
		if err != nil || !c.Valid() {
			return false
		}
		x.sign = says
		return true
	}); err != nil {
		return nil, err
	}
	return []byte(x.sign), nil
}

// conversation is the library's, with one password. Those of an exchange differ in nothing else.
func (x *Exchange) conversation(look scram.CredentialLookup) (*scram.ServerConversation, error) {
	s, err := scram.SHA256.NewServer(look)
	if err != nil {
		return nil, fmt.Errorf("SCRAM: %w", err)
	}
	s.WithNonceGenerator(func() string { return x.nonce })
	switch {
	case x.plus:
		return s.NewConversationWithChannelBindingRequired(x.binding), nil
	case x.binding.IsSupported():
		return s.NewConversationWithChannelBinding(x.binding), nil
	}
	return s.NewConversation(), nil
}

func credentials(k Keys, salt []byte) scram.StoredCredentials {
	return scram.StoredCredentials{KeyFactors: scram.KeyFactors{Salt: string(salt), Iters: Iterations}, StoredKey: k.Stored, ServerKey: k.Server}
}

// blame tells what the library has against a message, by what it would have the client told.
func blame(says string) error {
	switch says {
	case scram.ErrServerDoesSupportChannelBinding, scram.ErrChannelBindingNotSupported, scram.ErrUnsupportedChannelBindingType, scram.ErrChannelBindingsDontMatch:
		return errBinding
	}
	return ErrSyntax
}
