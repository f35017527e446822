package pop3d

import (
	"context"
	"crypto/tls"
	"encoding/base64"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/xdg-go/scram"

	ours "chmail/internal/scram"
)

var saltKey = []byte("the office's")

// Offer is nothing at first.
func (p *postOffice) Offer(context.Context) (ours.Offer, error) {
	offer := ours.Bound
	if p.fails("no keys") != nil {
		offer = ours.Nothing
	}
	return offer, p.fails("proving")
}

func (p *postOffice) ProofSalt(_ context.Context, user string) ([]byte, error) {
	return ours.Salt(saltKey, strings.ToLower(user)), p.fails("authenticate")
}

func (p *postOffice) Prove(_ context.Context, user string, _ netip.Addr, fits func(ours.Keys) bool) (string, bool, error) {
	p.mu.Lock()
	login := strings.ToLower(user)
	password, ok := p.password[login]
	p.mu.Unlock()
	keys, err := ours.Derive(password, ours.Salt(saltKey, login))
	if err != nil {
		return "", false, err
	}
	return login, ok && fits(keys), p.fails("crowded")
}

// prover is a client that signs in by SCRAM.
type prover struct {
	mechanism, user, password string
	unseen                    bool   // it was not told of PLUS
	waits                     bool   // for the server to speak first
	lastly                    string // instead of nothing, after the server's signature
	meanwhile                 func() // what happens between the signature and the last word
}

// proves returns the reply that ends the exchange.
func (c *client) proves(p prover) string {
	c.t.Helper()
	lib, err := scram.SHA256.NewClient(p.user, p.password, "")
	if err != nil {
		c.t.Fatal(err)
	}
	talk := lib.NewConversation()
	if p.unseen {
		talk = lib.NewConversationAdvertisingChannelBinding()
	}
	if p.mechanism == ours.Plus {
		state := c.conn.(*tls.Conn).ConnectionState()
		binding, err := scram.NewTLSExporterBinding(&state)
		if err != nil {
			c.t.Fatal(err)
		}
		talk = lib.NewConversationWithChannelBinding(binding)
	}
	said, err := talk.Step("")
	if err != nil {
		c.t.Fatal(err)
	}
	if first := base64.StdEncoding.EncodeToString([]byte(said)); p.waits {
		c.say("AUTH " + p.mechanism)
		c.want("+ ")
		c.say(first)
	} else {
		c.say("AUTH " + p.mechanism + " " + first)
	}
	for {
		line, err := c.r.ReadString('\n')
		if err != nil {
			c.t.Fatalf("%q, %v", line, err)
		}
		line = strings.TrimSuffix(line, "\r\n")
		text, more := strings.CutPrefix(line, "+ ")
		if !more {
			if strings.HasPrefix(line, "+OK") && !talk.Valid() {
				c.t.Error("let in by a server that has not shown that it knows the password")
			}
			return line
		}
		challenge, err := base64.StdEncoding.DecodeString(text)
		if err != nil {
			c.t.Fatal(err)
		}
		if said, err = talk.Step(string(challenge)); err != nil {
			c.t.Fatalf("%q: %v", challenge, err)
		}
		if said == "" && p.meanwhile != nil {
			p.meanwhile()
		}
		if said == "" && p.lastly != "" {
			c.say(p.lastly)
			continue
		}
		c.say(base64.StdEncoding.EncodeToString([]byte(said)))
	}
}

func TestAPasswordIsProvedWithoutSayingIt(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t)
		defer s.shutdown()
		s.office.mend("no keys")
		s.office.deliver("alice@example.com", []byte("Subject: hello\r\n\r\n"))
		for _, p := range []prover{
			{mechanism: ours.Mechanism}, {mechanism: ours.Plus}, {mechanism: strings.ToLower(ours.Mechanism), waits: true}, {mechanism: ours.Plus, waits: true},
		} {
			c := s.dial(true)
			c.want("+OK ...")
			c.say("AUTH")
			for _, line := range []string{"+OK ...", ours.Plus, ours.Mechanism, "PLAIN", "LOGIN", "."} {
				c.want(line)
			}
			p.user, p.password = "ALICE@example.com", "open sesame"
			if end := c.proves(p); end != "+OK 1 messages (18 octets)" {
				t.Errorf("%+v: %q", p, end)
			}
			c.say("QUIT")
			c.want("+OK ...")
		}
		if seen := s.office.signs(); len(seen) != 4 || seen[3].Login != "alice@example.com" {
			t.Errorf("the broker has seen %+v", seen)
		}
	})
}

func TestAProofThatFailsIsAWrongPassword(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t, func(o *Options) { o.Limits.Failures = 10 })
		defer s.shutdown()
		s.office.mend("no keys")
		c := s.dial(true)
		c.want("+OK ...")
		alice := prover{mechanism: ours.Mechanism, user: "alice@example.com", password: "open sesame"}
		for what, tt := range map[string]struct {
			change func(*prover)
			want   string
		}{
			"a wrong password":        {func(p *prover) { p.password = "a wrong one" }, "-ERR [AUTH] wrong user name or password"},
			"a stranger":              {func(p *prover) { p.user = "mallory@example.com" }, "-ERR [AUTH] wrong user name or password"},
			"PLUS hidden by somebody": {func(p *prover) { p.unseen = true }, "-ERR [AUTH] wrong user name or password"},
			"cancelled at the end":    {func(p *prover) { p.lastly = "*" }, "-ERR cancelled"},
			"more at the end":         {func(p *prover) { p.lastly = "AAAA" }, "-ERR malformed SCRAM-SHA-256 response"},
		} {
			p := alice
			tt.change(&p)
			if end := c.proves(p); end != tt.want {
				t.Errorf("%s: %q, want %q", what, end, tt.want)
			}
		}
		c.say("AUTH SCRAM-SHA-256 =", "AUTH SCRAM-SHA-1", "AUTH SCRAM-SHA-256 bm9uc2Vuc2U=", "STAT")
		c.want("-ERR malformed SCRAM-SHA-256 response")
		c.want("-ERR no such mechanism; there are SCRAM-SHA-256-PLUS, SCRAM-SHA-256, PLAIN, LOGIN")
		c.want("-ERR malformed SCRAM-SHA-256 response")
		c.want("-ERR STAT comes after the login")
		s.office.breakIt("crowded")
		if end := c.proves(alice); end != "-ERR [SYS/TEMP] too many attempts to sign in, try again later" {
			t.Errorf("too many at once: %q", end)
		}
		s.office.breakIt("authenticate")
		if end := c.proves(alice); end != "-ERR [SYS/TEMP] something is wrong here; try again later" {
			t.Errorf("trouble: %q", end)
		}
		s.office.breakIt("proving")
		if end := c.proves(alice); end != "-ERR [SYS/TEMP] something is wrong here; try again later" {
			t.Errorf("trouble with whether to offer it: %q", end)
		}
		if seen := s.office.signs(); len(seen) != 0 {
			t.Errorf("the broker has seen %+v", seen)
		}
	})
}

func TestProofsAreOfferedWhereSomebodyCanUseThem(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		for _, tt := range []struct {
			keys    bool
			version uint16
			want    string
		}{
			{false, tls.VersionTLS13, "SASL PLAIN LOGIN"}, {true, tls.VersionTLS12, "SASL SCRAM-SHA-256 PLAIN LOGIN"}, {true, tls.VersionTLS13, "SASL SCRAM-SHA-256-PLUS SCRAM-SHA-256 PLAIN LOGIN"},
		} {
			s := newStage(t, func(o *Options) { o.TLS.MaxVersion = tt.version })
			if tt.keys {
				s.office.mend("no keys")
			}
			c := s.dial(true)
			c.want("+OK ...")
			c.say("CAPA")
			var all string
			for line := ""; line != ".\r\n"; all += line {
				var err error
				if line, err = c.r.ReadString('\n'); err != nil {
					t.Fatal(err)
				}
			}
			if !strings.Contains(all, "\r\n"+tt.want+"\r\n") {
				t.Errorf("%+v: %q", tt, all)
			}
			c.conn.Close()
			s.shutdown()
		}
	})
}

func TestAPasswordThatIsChangedBeforeTheLastWordLetsNobodyRead(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t)
		defer s.shutdown()
		s.office.mend("no keys")
		s.office.deliver("alice@example.com", []byte("Subject: hello\r\n\r\n"))
		c := s.dial(true)
		c.want("+OK ...")
		if end := c.proves(prover{mechanism: ours.Plus, user: "alice@example.com", password: "open sesame", meanwhile: func() {
			s.office.mu.Lock()
			defer s.office.mu.Unlock()
			s.office.version = "another"
		}}); !strings.HasPrefix(end, "+OK") {
			t.Fatalf("%q", end)
		}
		c.say("RETR 1")
		c.want("-ERR [AUTH] ...")
	})
}
