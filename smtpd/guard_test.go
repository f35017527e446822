package smtpd

import (
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"
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
	s.honest(peer) // eight are four
	if got := s.guessed(netip.MustParseAddr("2001:db8::8"), g, now); got != 4*time.Second {
		t.Errorf("after a mail that was taken: %v", got)
	}
	if got := s.guessed(peer, g, now.Add(time.Hour)); got != 0 {
		t.Errorf("an hour later: %v", got)
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
		s.office.mu.Lock()
		s.office.version = "another"
		s.office.mu.Unlock()
		c.say("MAIL FROM:<alice@example.com>\r\n")
		if line := c.hear(); !strings.HasPrefix(line, "421 4.7.0 the password was changed") || c.hear() != "" {
			t.Errorf("with the old password: %s", line)
		}
		s.shutdown()
		_ = c.conn.Close()
	})
}
