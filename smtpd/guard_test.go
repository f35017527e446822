package smtpd

import (
	"context"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"chmail/internal/netutil"
)

func TestWhoGuessesRecipientsWaitsLongerAndLonger(t *testing.T) {
	t.Parallel()
	s := &strangers{}
	now := time.Unix(1_000_000, 0)
	g := &Guard{Delay: time.Second}
	peer, other := netip.MustParseAddr("2001:db8::7"), netip.MustParseAddr("2001:db8:0:1::7")
	for i, want := range []time.Duration{0, 0, 1, 2, 4, 8, 8, 8} {
		if got := s.guessed(peer, g, now); got != want*time.Second {
			t.Errorf("guess %d waits %v", i+1, got)
		}
	}
	if got := s.guessed(other, g, now); got != 0 {
		t.Errorf("another network waits %v", got)
	}
	for range 1000 {
		s.guessed(peer, g, now)
	}
	s.honest(peer) // eight at most are four
	if got := s.guessed(netip.MustParseAddr("2001:db8::8"), g, now); got != 4*time.Second {
		t.Errorf("after a mail that was taken: %v", got)
	}
	for range 1000 {
		s.guessed(peer, g, now)
	}
	if got := s.guessed(peer, g, now.Add((maxGuesses-1)*forgiven)); got != 0 {
		t.Errorf("when all but one of a thousand are forgiven: %v", got)
	}
	if got := s.guessed(peer, g, now.Add(time.Hour)); got != 0 {
		t.Errorf("an hour later: %v", got)
	}
	for i := range 10 { // an old address book: one each four minutes
		if got := s.guessed(other, g, now.Add(time.Duration(i)*4*time.Minute)); got > 2*time.Second {
			t.Errorf("of those that come slowly, number %d waits %v", i, got)
		}
	}
	third := netip.MustParseAddr("198.51.100.7")
	for range 5 {
		s.guessed(third, g, now)
	}
	for i, want := range []time.Duration{4, 8} { // five minutes forgive one, once
		if got := s.guessed(third, g, now.Add(forgiven)); got != want*time.Second {
			t.Errorf("five minutes later, number %d waits %v", i, got)
		}
	}
	for i := range maxNetworks + 10 {
		s.guessed(netip.AddrFrom4([4]byte{198, byte(i >> 16), byte(i >> 8), byte(i)}), g, now)
	}
	if n := len(s.networks); n > maxNetworks {
		t.Errorf("%d networks are remembered", n)
	}
}

func TestARefusalThatWaitsEndsWithTheServer(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t, func(o *Options) { o.Guard.Delay, o.Limits.Errors = time.Second, 100 })
		c := s.connect(MX)
		began := time.Now()
		c.say("HELO a\r\nMAIL FROM:<x@elsewhere.test>\r\nRCPT TO:<a@example.com>\r\nRCPT TO:<b@example.com>\r\nRCPT TO:<c@example.com>\r\nRCPT TO:<d@example.com>\r\n")
		for range 7 {
			c.hear()
		}
		if took := time.Since(began); took != 3*time.Second {
			t.Errorf("two refusals too many took %v", took)
		}
		began = time.Now()
		go c.say("RCPT TO:<e@example.com>\r\n")
		synctest.Wait()
		s.shutdown()
		if took := time.Since(began); took > time.Second {
			t.Errorf("the end took %v", took)
		}
		_ = c.conn.Close()
	})
}

// TestTheGuardIsForStrangers: it asks nothing of hosts that an administrator knows, nor of people who log in.
func TestTheGuardIsForStrangers(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		port    Profile
		peer    string
		guarded bool
	}{{MX, "192.0.2.7", true}, {MX, "::ffff:192.0.2.7", true}, {MX, "2001:db8::7", true}, {MX, "127.0.0.1", false}, {MX, "::1", false}, {MX, "10.1.2.3", false}, {MX, "::ffff:192.168.1.2", false}, {MX, "fd00::7", false}, {MX, "192.0.2.25", false},
		{MX, "fe80::7", false}, {Submissions, "192.0.2.7", false}} {
		synctest.Test(t, func(t *testing.T) {
			asked := 0
			s := newStage(t, func(o *Options) {
				o.Limits.Errors = 100
				o.Guard = Guard{Domains: []string{"example.com"}, Delay: time.Second, Rate: 1, Listed: func(context.Context, netip.Addr) string { asked++; return "zen.test" }}
			})
			began := time.Now()
			a := s.connectFrom(c.port, netip.MustParseAddr(c.peer))
			hello := a.hear()
			a.say("HELO example.com\r\n")
			helo := a.hear()
			if a.say("HELO a\r\nAUTH PLAIN AGFsaWNlQGV4YW1wbGUuY29tAG9wZW4gc2VzYW1l\r\nMAIL FROM:<alice@example.com>\r\nRCPT TO:<alice@example.com>\r\n"); c.port == MX {
				a.hear() // of AUTH, which is not there
			}
			var listed string
			for range 3 + map[Profile]int{Submissions: 1}[c.port] {
				listed = a.hear()
			}
			for range 4 {
				a.say("RCPT TO:<nobody@example.com>\r\n")
				a.hear()
			}
			took := time.Since(began)
			b := s.connectFrom(c.port, netip.MustParseAddr(c.peer))
			second := b.hear()
			want := []bool{true, !c.guarded, !c.guarded, !c.guarded}
			for i, line := range []string{hello, helo, listed, second} {
				if strings.HasPrefix(line, "2") != want[i] {
					t.Errorf("%s from %s, %d: %q", c.port, c.peer, i, line)
				}
			}
			if asked != map[bool]int{true: 1}[c.guarded] || took != 0 {
				t.Errorf("%s from %s: the list was asked %d times, and it took %v", c.port, c.peer, asked, took)
			}
			_, _ = a.conn.Close(), b.conn.Close()
			s.shutdown()
		})
	}
}

func TestWhoComesTooOftenIsCountedAsRefused(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t, func(o *Options) { o.Guard.Rate = 2 })
		for _, want := range []string{"220", "220", "421", "421", "421"} {
			c := s.connect(MX)
			if line := c.hear(); !strings.HasPrefix(line, want) {
				t.Errorf("heard %q, want %s", line, want)
			}
			_ = c.conn.Close()
			synctest.Wait()
		}
		if got, want := s.server.Connections(MX), (netutil.Stats{Taken: 2, Refused: 3}); got != want {
			t.Errorf("counted %+v, want %+v", got, want)
		}
		s.shutdown()
	})
}

func TestWhoseMailIsTakenIsForgiven(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		port, peer string
		late       bool
	}{{"mx", "192.0.2.7", true}, {"mx", "10.1.2.3", false}} {
		synctest.Test(t, func(t *testing.T) {
			s := newStage(t, func(o *Options) { o.Guard.Delay, o.Limits.Errors = time.Second, 100 })
			a := s.connectFrom(Profile(c.port), netip.MustParseAddr(c.peer))
			took := func(say string, lines int) time.Duration {
				began := time.Now()
				a.say(say)
				for range lines {
					a.hear()
				}
				return time.Since(began)
			}
			took("HELO a\r\nMAIL FROM:<x@elsewhere.test>\r\nRCPT TO:<bob@example.com>\r\n", 4)
			const guess = "RCPT TO:<nobody@example.com>\r\n"
			if d := took(guess+guess+guess, 3); (d == time.Second) != c.late || (d == 0) == c.late {
				t.Errorf("%s: three took %v", c.peer, d)
			}
			took("DATA\r\n", 1)
			took("Hello.\r\n.\r\n", 1)
			if d := took("MAIL FROM:<x@elsewhere.test>\r\n"+guess, 2); d != 0 {
				t.Errorf("%s: after a mail that was taken %v", c.peer, d)
			}
			_ = a.conn.Close()
			s.shutdown()
		})
	}
}

func TestANewPasswordEndsTheSessionsOfTheOldOne(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t, nil)
		c := s.connect(Submissions)
		c.hear()
		c.say("HELO a\r\n")
		c.hear()
		c.say("AUTH PLAIN AGFsaWNlQGV4YW1wbGUuY29tAG9wZW4gc2VzYW1l\r\nMAIL FROM:<alice@example.com>\r\nRSET\r\n")
		for range 3 {
			if line := c.hear(); line[0] != '2' {
				t.Errorf("signed in: %s", line)
			}
		}
		s.office.renew()
		c.say("MAIL FROM:<alice@example.com>\r\n")
		if line := c.hear(); !strings.HasPrefix(line, "421 4.7.0 the password was changed") || c.hear() != "" {
			t.Errorf("with the old password: %s", line)
		}
		s.shutdown()
		_ = c.conn.Close()
	})
}

// TestANewPasswordStopsMailThatIsOnItsWay: how long a mail takes to come is its client's choice.
func TestANewPasswordStopsMailThatIsOnItsWay(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ before, open, rest string }{
		"before DATA": {"", "", "DATA\r\nSubject: x\r\n\r\n.\r\n"},
		"in DATA":     {"DATA\r\n", "354", "Subject: x\r\n\r\n.\r\n"},
		"in BDAT":     {"BDAT 12\r\nSubject: x\r\n", "", "BDAT 2 LAST\r\n\r\n"},
	} {
		synctest.Test(t, func(t *testing.T) {
			s := newStage(t, nil)
			k := s.connect(Submissions)
			k.hear()
			k.say("HELO a\r\n")
			k.hear()
			k.say("AUTH PLAIN AGFsaWNlQGV4YW1wbGUuY29tAG9wZW4gc2VzYW1l\r\nMAIL FROM:<alice@example.com>\r\nRCPT TO:<bob@example.com>\r\n" + c.before)
			for range 3 {
				if line := k.hear(); line[0] != '2' {
					t.Errorf("%s: signed in: %s", name, line)
				}
			}
			if c.open != "" && !strings.HasPrefix(k.hear(), c.open) {
				t.Errorf("%s: not begun", name)
			}
			synctest.Wait()
			s.office.renew()
			k.say(c.rest)
			line := k.hear()
			for strings.HasPrefix(line, "354") || strings.HasPrefix(line, "250") && !strings.Contains(line, "queued") {
				line = k.hear()
			}
			if !strings.HasPrefix(line, "421 4.7.0 the password was changed") || len(s.office.mails) > 0 {
				t.Errorf("%s: %q, taken: %d", name, line, len(s.office.mails))
			}
			s.shutdown()
			_ = k.conn.Close()
		})
	}
}

func TestAPasswordThatIsChangedWhileItIsLookedAtLetsNobodyWrite(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t, nil)
		s.office.changing = true
		c := s.connect(Submissions)
		c.hear()
		c.say("HELO a\r\n")
		c.hear()
		c.say("AUTH PLAIN AGFsaWNlQGV4YW1wbGUuY29tAG9wZW4gc2VzYW1l\r\nMAIL FROM:<alice@example.com>\r\n")
		c.hear()
		if line := c.hear(); !strings.HasPrefix(line, "421 4.7.0 the password was changed") {
			t.Errorf("%s", line)
		}
		s.shutdown()
		_ = c.conn.Close()
	})
}
