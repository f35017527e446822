package smtpd

import (
	"context"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/xdg-go/scram"

	"chmail/internal/call"
	"chmail/internal/message"
	ours "chmail/internal/scram"
)

var saltKey = []byte("the office's")

func (o *office) Offer(context.Context) (ours.Offer, error) {
	offer := ours.Nothing
	switch {
	case o.proving && o.unbound:
		offer = ours.Unbound
	case o.proving:
		offer = ours.Bound
	}
	return offer, o.fault("proving")
}

func (o *office) ProofSalt(_ context.Context, user string) ([]byte, error) {
	return ours.Salt(saltKey, strings.ToLower(user)), o.fault("password")
}

func (o *office) Prove(_ context.Context, user string, _ netip.Addr, fits func(ours.Keys) bool) (string, bool, error) {
	if o.changing {
		o.renew()
	}
	login := strings.ToLower(user)
	keys, err := ours.Derive("open sesame", ours.Salt(saltKey, login))
	if err != nil {
		return "", false, err
	}
	return login, login == "alice@example.com" && fits(keys), o.fault("proof")
}

// prover is a client that signs in by SCRAM, and what it hears: the codes of the replies.
type prover struct {
	mechanism, user, password string
	binding                   string // "": as the mechanism says; "none", "unseen" (y), "foreign"
	waits                     bool   // for the server to speak first
	lastly                    string // instead of nothing, after the server's signature
	meanwhile                 func() // what happens between the signature and the last word
}

func (c *client) proves(p prover) (codes string) {
	c.t.Helper()
	lib, err := scram.SHA256.NewClient(p.user, p.password, "")
	if err != nil {
		c.t.Fatal(err)
	}
	talk := lib.NewConversation()
	state := c.conn.(*tls.Conn).ConnectionState()
	binding, err := scram.NewTLSExporterBinding(&state)
	if err != nil {
		c.t.Fatal(err)
	}
	switch {
	case p.binding == "unseen":
		talk = lib.NewConversationAdvertisingChannelBinding()
	case p.binding == "foreign":
		binding.Data = make([]byte, 32)
		fallthrough
	case p.binding == "" && p.mechanism == ours.Plus:
		talk = lib.NewConversationWithChannelBinding(binding)
	}
	said, err := talk.Step("")
	if err != nil {
		c.t.Fatal(err)
	}
	if p.waits {
		c.say("AUTH " + p.mechanism + "\r\n")
		if line := c.hear(); line != "334 " {
			return line
		}
		c.say(base64.StdEncoding.EncodeToString([]byte(said)) + "\r\n")
	} else {
		c.say("AUTH " + p.mechanism + " " + base64.StdEncoding.EncodeToString([]byte(said)) + "\r\n")
	}
	for {
		line := c.hear()
		codes = strings.TrimSpace(codes + " " + line[:min(3, len(line))])
		challenge, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(line, "334 "))
		if err != nil || !strings.HasPrefix(line, "334 ") {
			if line[:3] == "235" && !talk.Valid() {
				c.t.Error("let in by a server that has not shown that it knows the password")
			}
			return codes
		}
		if said, err = talk.Step(string(challenge)); err != nil {
			c.t.Fatalf("%q: %v", challenge, err)
		}
		if said == "" && p.meanwhile != nil {
			p.meanwhile()
		}
		if said == "" && p.lastly != "" {
			c.say(p.lastly + "\r\n")
			continue
		}
		c.say(base64.StdEncoding.EncodeToString([]byte(said)) + "\r\n")
	}
}

// greeted is a client in TLS that has said EHLO, and what AUTH it was offered.
func (s *stage) greeted(p Profile) (c *client, offered string) {
	c = s.connect(p)
	c.hear()
	if p == Submission {
		c.say("STARTTLS\r\n")
		c.hear()
		c.startTLS()
	}
	c.say("EHLO laptop\r\n")
	for {
		line := c.hear()
		if auth, ok := strings.CutPrefix(line[min(4, len(line)):], "AUTH "); ok {
			offered = auth
		}
		if !strings.HasPrefix(line, "250-") {
			return c, offered
		}
	}
}

func TestAPasswordIsProvedWithoutSayingIt(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t, func(o *Options) { o.Limits.Errors = 50 })
		s.office.proving = true
		for _, mechanism := range []string{ours.Mechanism, ours.Plus} {
			for _, waits := range []bool{false, true} {
				c, offered := s.greeted(Submission)
				if offered != "SCRAM-SHA-256-PLUS SCRAM-SHA-256 PLAIN LOGIN" {
					t.Errorf("there is offered %q", offered)
				}
				c.say("MAIL FROM:<alice@example.com>\r\n")
				if line := c.hear(); !strings.HasPrefix(line, "530") {
					t.Errorf("before the proof: %s", line)
				}
				if codes := c.proves(prover{mechanism: mechanism, user: "ALICE@example.com", password: "open sesame", waits: waits}); codes != "334 334 235" {
					t.Errorf("%s: %s", mechanism, codes)
				}
				c.say("MAIL FROM:<alice@example.com>\r\n")
				if line := c.hear(); !strings.HasPrefix(line, "250") {
					t.Errorf("after the proof: %s", line)
				}
				c.conn.Close()
			}
		}
		if n := len(s.office.seen); n != 4 || s.office.seen[3].Login != "alice@example.com" || s.office.seen[3].Source != call.SMTP || s.office.seen[3].Host != "laptop" {
			t.Errorf("the broker has seen %+v", s.office.seen)
		}
		s.shutdown()
	})
}

func TestAProofThatFailsIsAWrongPassword(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t, func(o *Options) { o.Limits.Errors = 50 })
		s.office.proving = true
		c, _ := s.greeted(Submissions)
		alice := prover{mechanism: ours.Mechanism, user: "alice@example.com", password: "open sesame"}
		for what, tt := range map[string]struct {
			change func(*prover)
			want   string
		}{
			"a wrong password":            {func(p *prover) { p.password = "guess" }, "334 535"},
			"a stranger":                  {func(p *prover) { p.user = "mallory@example.com" }, "334 535"},
			"PLUS hidden by somebody":     {func(p *prover) { p.binding = "unseen" }, "535"},
			"PLUS without a binding":      {func(p *prover) { p.mechanism, p.binding = ours.Plus, "none" }, "535"},
			"bound to another connection": {func(p *prover) { p.mechanism, p.binding = ours.Plus, "foreign" }, "334 535"},
			"cancelled at the end":        {func(p *prover) { p.lastly = "*" }, "334 334 501"},
			"more at the end":             {func(p *prover) { p.lastly = "AAAA" }, "334 334 501"},
		} {
			p := alice
			tt.change(&p)
			if codes := c.proves(p); codes != tt.want {
				t.Errorf("%s: %s, want %s", what, codes, tt.want)
			}
		}
		for said, want := range map[string]string{
			"AUTH SCRAM-SHA-256 =": "501 5.5.2", "AUTH SCRAM-SHA-256 bm9uc2Vuc2U=": "501 5.5.2", "AUTH SCRAM-SHA-1": "504 5.5.4", "AUTH SCRAM-SHA-256\r\n*": "334 ",
		} {
			c.say(said + "\r\n")
			line := c.hear()
			if strings.HasSuffix(said, "*") {
				c.hear()
			}
			if !strings.HasPrefix(line, want) {
				t.Errorf("%q: %q, want %s", said, line, want)
			}
		}
		between := slices.IndexFunc(strings.Split(s.log.String(), "\n"), func(line string) bool {
			return strings.Contains(line, "level=INFO") && strings.Contains(line, "somebody stands between")
		})
		if between < 0 {
			t.Errorf("the log does not tell of a foreign binding:\n%s", s.log)
		}
		s.office.broken["proof"] = message.Refuse(454, [3]int{4, 7, 0}, "too many")
		if codes := c.proves(alice); codes != "334 454" {
			t.Errorf("trouble: %s", codes)
		}
		s.office.broken["proving"] = errors.New("the disk is full")
		if line := c.proves(alice); line != "454" {
			t.Errorf("trouble with whether to offer it: %s", line)
		}
		c.say("MAIL FROM:<alice@example.com>\r\n")
		if line := c.hear(); !strings.HasPrefix(line, "530") || len(s.office.seen) != 0 {
			t.Errorf("after all that: %s, seen %+v", line, s.office.seen)
		}
		c.conn.Close()
		s.shutdown()
	})
}

func TestProofsAreOfferedWhereSomebodyCanUseThem(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		for _, tt := range []struct {
			proving, unbound bool
			version          uint16
			want             string
		}{
			{false, false, tls.VersionTLS13, "PLAIN LOGIN"}, {true, false, tls.VersionTLS12, "SCRAM-SHA-256 PLAIN LOGIN"}, {true, true, tls.VersionTLS13, "SCRAM-SHA-256 PLAIN LOGIN"},
		} {
			s := newStage(t, func(o *Options) { o.TLS.MaxVersion = tt.version })
			s.office.proving, s.office.unbound = tt.proving, tt.unbound
			c, offered := s.greeted(Submissions)
			if offered != tt.want {
				t.Errorf("%+v: offered %q", tt, offered)
			}
			c.say("AUTH SCRAM-SHA-256-PLUS\r\n")
			if line := c.hear(); !strings.HasPrefix(line, "504") {
				t.Errorf("%+v: %s", tt, line)
			}
			c.conn.Close()
			s.shutdown()
		}
	})
}

func TestAPasswordThatIsChangedBeforeTheLastWordLetsNobodyWrite(t *testing.T) {
	t.Parallel()
	for _, early := range []bool{false, true} {
		changesBeforeTheLastWord(t, early)
	}
}

// changesBeforeTheLastWord changes the password while it is looked at, or when it has been.
func changesBeforeTheLastWord(t *testing.T, early bool) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t, nil)
		s.office.proving, s.office.changing = true, early
		alice := prover{mechanism: ours.Plus, user: "alice@example.com", password: "open sesame"}
		if !early {
			alice.meanwhile = s.office.renew
		}
		c, _ := s.greeted(Submission)
		codes := c.proves(alice)
		c.say("MAIL FROM:<alice@example.com>\r\n")
		if line := c.hear(); codes != "334 334 235" || !strings.HasPrefix(line, "421 4.7.0") {
			t.Errorf("%s, then %s", codes, line)
		}
		s.shutdown()
	})
}
