package scram

import (
	"bytes"
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/sha256"
	"crypto/tls"
	"errors"
	"net"
	"strings"
	"sync"
	"testing"

	"github.com/xdg-go/scram"

	"chmail/internal/tlstest"
)

// house is a login with some passwords.
type house struct {
	salt   []byte
	keys   []Keys
	looked int
}

var errWrong = errors.New("wrong password")

const alice = "alice@example.com"

func newHouse(t testing.TB, passwords ...string) *house {
	t.Helper()
	h := &house{salt: Salt([]byte("a key"), alice)}
	for _, p := range passwords {
		k, err := Derive(p, h.salt)
		if err != nil {
			t.Fatal(err)
		}
		h.keys = append(h.keys, k)
	}
	return h
}

func (h *house) asks() Asks {
	return Asks{
		Salt: func(user string) ([]byte, error) { return Salt([]byte("a key"), user), nil },
		Prove: func(user string, fits func(Keys) bool) error {
			h.looked++
			for _, k := range h.keys {
				if user == alice && fits(k) {
					return nil
				}
			}
			return errWrong
		},
	}
}

// client is the library's other half.
func client(t testing.TB, user, password, identity string) *scram.Client {
	t.Helper()
	c, err := scram.SHA256.NewClient(user, password, identity)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// talk lets both sides speak until one of them has enough.
func talk(x *Exchange, c *scram.ClientConversation) error {
	var challenge []byte
	for {
		said, err := c.Step(string(challenge))
		if err != nil {
			return err
		}
		var done bool
		if challenge, done, err = x.Next([]byte(said)); err != nil {
			return err
		}
		if done {
			if !c.Valid() {
				return errors.New("the client does not believe that it is the server")
			}
			return nil
		}
	}
}

// connected are both ends of a TLS connection.
func connected(t testing.TB, version uint16) (server, client tls.ConnectionState) {
	t.Helper()
	a, b := net.Pipe()
	s := tls.Server(a, &tls.Config{Certificates: []tls.Certificate{certificate()}, MaxVersion: version})
	c := tls.Client(b, &tls.Config{InsecureSkipVerify: true})
	var other sync.WaitGroup
	var err error
	other.Go(func() { err = s.Handshake() })
	if err := c.Handshake(); err != nil {
		t.Fatal(err)
	}
	other.Wait()
	if err != nil {
		t.Fatal(err)
	}
	return s.ConnectionState(), c.ConnectionState()
}

var certificate = sync.OnceValue(tlstest.Certificate)

func TestEachPasswordOfALoginIsProvedAndNoOther(t *testing.T) {
	t.Parallel()
	state, _ := connected(t, tls.VersionTLS12)
	h := newHouse(t, "the telephone", "the printer", "alice's own, with a s\u00f6ft hyphen")
	for password, want := range map[string]error{
		"the telephone": nil, "the printer": nil, "alice's own, with a so\u0308ft\u00ad hyphen": nil, "the Printer": errWrong, "another": errWrong,
	} {
		if err := talk(Begin(Mechanism, state, Bound, h.asks()), client(t, alice, password, "").NewConversation()); !errors.Is(err, want) || (want == nil) != (err == nil) {
			t.Errorf("%q: %v, want %v", password, err, want)
		}
	}
	if err := talk(Begin(Mechanism, state, Bound, h.asks()), client(t, "mallory@example.com", "the printer", "").NewConversation()); !errors.Is(err, errWrong) {
		t.Errorf("mallory with alice's password: %v", err)
	}
	for identity, want := range map[string]error{"ALICE@example.com": nil, "bob@example.com": ErrRefused} {
		if err := talk(Begin(Mechanism, state, Bound, h.asks()), client(t, alice, "the printer", identity).NewConversation()); !errors.Is(err, want) {
			t.Errorf("as %s: %v, want %v", identity, err, want)
		}
	}
}

func TestPasswordsThatSASLprepDoesNotKnowAreProvedAsTheyStand(t *testing.T) {
	t.Parallel()
	state, _ := connected(t, tls.VersionTLS12)
	c, err := scram.SHA256.NewClientUnprepped(alice, "passwords with a \U0001F984", "")
	if err != nil {
		t.Fatal(err)
	}
	if err := talk(Begin(Mechanism, state, Bound, newHouse(t, "passwords with a \U0001F984").asks()), c.NewConversation()); err != nil {
		t.Error(err)
	}
}

// Whoever stands between must have a connection of his own on each side, and can at most hide from the client what the server offers.
func TestSomebodyBetweenIsNotedByTheBinding(t *testing.T) {
	t.Parallel()
	state, mine := connected(t, tls.VersionTLS13)
	_, other := connected(t, tls.VersionTLS13)
	here, err := scram.NewTLSExporterBinding(&mine)
	if err != nil {
		t.Fatal(err)
	}
	elsewhere, err := scram.NewTLSExporterBinding(&other)
	if err != nil {
		t.Fatal(err)
	}
	endpoint := scram.ChannelBinding{Type: scram.ChannelBindingTLSServerEndpoint, Data: here.Data}
	c := client(t, alice, "the printer", "")
	for _, tt := range []struct {
		what      string
		mechanism string
		talk      *scram.ClientConversation
		want      error
	}{
		{"bound", Plus, c.NewConversationWithChannelBinding(here), nil},
		{"bound to another connection", Plus, c.NewConversationWithChannelBinding(elsewhere), ErrRefused},
		{"bound to the certificate", Plus, c.NewConversationWithChannelBinding(endpoint), ErrRefused},
		{"unbound where it has to be", Plus, c.NewConversation(), ErrRefused},
		{"a client that cannot", Mechanism, c.NewConversation(), nil},
		{"a client that was not told that the server can", Mechanism, c.NewConversationAdvertisingChannelBinding(), ErrRefused},
	} {
		h := newHouse(t, "the printer")
		if err := talk(Begin(tt.mechanism, state, Bound, h.asks()), tt.talk); !errors.Is(err, tt.want) || (tt.want == nil) != (err == nil) {
			t.Errorf("%s: %v, want %v", tt.what, err, tt.want)
		}
		if tt.want != nil && h.looked > 0 {
			t.Errorf("%s: passwords were looked at", tt.what)
		}
	}
	state, _ = connected(t, tls.VersionTLS12)
	if got := Offered(state, Bound); len(got) != 1 || got[0] != Mechanism {
		t.Errorf("in TLS 1.2 there is %q", got)
	}
	unbound, _ := connected(t, tls.VersionTLS13)
	if got := Offered(unbound, Unbound); len(got) != 1 || got[0] != Mechanism || Begin(Plus, unbound, Unbound, Asks{}) != nil || len(Offered(unbound, Nothing)) > 0 {
		t.Errorf("where no PLUS is offered there is %q", got)
	}
	if Begin(Plus, state, Bound, Asks{}) != nil || Begin("SCRAM-SHA-1", state, Bound, Asks{}) != nil {
		t.Error("an exchange by a mechanism that is not offered")
	}
	if err := talk(Begin(Mechanism, state, Bound, newHouse(t, "the printer").asks()), c.NewConversationAdvertisingChannelBinding()); err != nil {
		t.Errorf("a client that could be bound, in TLS 1.2: %v", err)
	}
	if err := talk(Begin(Mechanism, unbound, Unbound, newHouse(t, "the printer").asks()), c.NewConversationAdvertisingChannelBinding()); err != nil {
		t.Errorf("a client that could be bound, where no PLUS is offered: %v", err)
	}
}

// The keys are held against the standard library's own arithmetic (RFC 5802 3).
func TestTheKeysAreThoseOfTheStandard(t *testing.T) {
	t.Parallel()
	salt := Salt([]byte("k"), "user")
	got, err := Derive("pencil", salt)
	if err != nil {
		t.Fatal(err)
	}
	salted, err := pbkdf2.Key(sha256.New, "pencil", salt, Iterations, 32)
	if err != nil {
		t.Fatal(err)
	}
	mac := func(of string) []byte {
		m := hmac.New(sha256.New, salted)
		m.Write([]byte(of))
		return m.Sum(nil)
	}
	stored := sha256.Sum256(mac("Client Key"))
	if len(salt) != SaltSize || !bytes.Equal(got.Stored, stored[:]) || !bytes.Equal(got.Server, mac("Server Key")) {
		t.Errorf("a salt of %d octets, keys %x and %x", len(salt), got.Stored, got.Server)
	}
}

func TestWhatIsNoMessageOfSCRAMIsRefusedWithoutItsText(t *testing.T) {
	t.Parallel()
	state, _ := connected(t, tls.VersionTLS13)
	for _, said := range [][]string{
		{""}, {"\x00alice@example.com\x00open sesame"}, {"n,,n=alice"}, {"n,a=x=,n=a,r=b"}, {"n,,m=x,n=a,r=b"}, {"p=tls-unique,,n=a,r=b"},
		{"n,,n=alice@example.com,r=" + strings.Repeat("b", maxFirst)}, {"n,,n=a,r=b", ""}, {"n,,n=a,r=b", "c=biws"}, {"n,,n=a,r=b", "c=biws,r=b,p=AAAA"}, {"n,,n=a,r=b", "c=!,r=b,p=AAAA"},
	} {
		x := Begin(Mechanism, state, Bound, newHouse(t, "open sesame").asks())
		var err error
		for i, s := range said {
			if _, _, err = x.Next([]byte(s)); (err != nil) != (i == len(said)-1) {
				t.Errorf("%q, message %d: %v", said, i+1, err)
			}
		}
		if !errors.Is(err, ErrSyntax) && !errors.Is(err, ErrRefused) || strings.Contains(err.Error(), "sesame") {
			t.Errorf("%q: %v", said, err)
		}
		if _, done, err := x.Next(nil); done || err == nil {
			t.Errorf("%q goes on behind its end", said)
		}
	}
}

func TestNobodyIsInBeforeHeHasSeenTheServersSignature(t *testing.T) {
	t.Parallel()
	state, _ := connected(t, tls.VersionTLS12)
	x := Begin(Mechanism, state, Bound, newHouse(t, "the printer").asks())
	c := client(t, alice, "the printer", "").NewConversation()
	if challenge, done, err := x.Next(nil); challenge == nil || len(challenge) > 0 || done || err != nil {
		t.Fatalf("a client that waits to be asked is told %q (%v, %v)", challenge, done, err)
	}
	var challenge []byte
	for range 2 {
		said, err := c.Step(string(challenge))
		if err != nil {
			t.Fatal(err)
		}
		var done bool
		if challenge, done, err = x.Next([]byte(said)); done || err != nil {
			t.Fatalf("done %v, %v", done, err)
		}
	}
	if !strings.HasPrefix(string(challenge), "v=") {
		t.Fatalf("the proof is answered %q", challenge)
	}
	if _, done, err := x.Next([]byte("anything")); done || !errors.Is(err, ErrSyntax) {
		t.Errorf("done %v, %v", done, err)
	}
}

// FuzzMessages says any two messages. No password fits but the right one, and nothing falls over.
func FuzzMessages(f *testing.F) {
	state, _ := connected(f, tls.VersionTLS13)
	h := newHouse(f, "the printer")
	for _, s := range [][2]string{
		{"n,,n=alice@example.com,r=abc", "c=biws,r=abc,p=AAAA"}, {"y,,n=a,r=b", ""}, {"p=tls-exporter,a=x,n=a=2C,r=b,m=x", "c=,r=,x=,p="}, {"", ","},
	} {
		f.Add(s[0], s[1], false)
		f.Add(s[0], s[1], true)
	}
	f.Fuzz(func(t *testing.T, first, final string, plus bool) {
		mechanism := Mechanism
		if plus {
			mechanism = Plus
		}
		x := Begin(mechanism, state, Bound, h.asks())
		challenge, done, err := x.Next([]byte(first))
		if done || err == nil && (!strings.HasPrefix(string(challenge), "r=") || !strings.Contains(string(challenge), ",i=10000")) {
			t.Fatalf("%q is answered %q, %v", first, challenge, done)
		}
		if err != nil {
			return
		}
		// The server's nonce is no guess of the fuzzer's.
		final = strings.ReplaceAll(final, "r=abc", strings.Split(string(challenge), ",")[0])
		if _, done, err := x.Next([]byte(final)); done || err == nil {
			t.Fatalf("%q, %q is a proof", first, final)
		}
	})
}

func BenchmarkProofWithFiveAppPasswords(b *testing.B) {
	state, _ := connected(b, tls.VersionTLS12)
	h := newHouse(b, "one", "two", "three", "four", "five")
	c := client(b, alice, "five", "")
	b.ReportAllocs()
	for b.Loop() {
		if err := talk(Begin(Mechanism, state, Bound, h.asks()), c.NewConversation()); err != nil {
			b.Fatal(err)
		}
	}
}
