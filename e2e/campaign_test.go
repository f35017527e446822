package e2e

import (
	"fmt"
	"math/rand/v2"
	"os"
	"regexp"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"chmail/internal/dnstest"
)

// campaign is a server that sends to a failing host and is killed again and again.
type campaign struct {
	s    *server
	sink *sink
	life atomic.Int64 // how often the server was started

	mu    sync.Mutex
	acked map[string]bool // recipients of acknowledged mails: each is written to once
	kills []time.Time
}

// TestEveryAcknowledgedMailForOthersIsDeliveredOrBouncedOnce kills the server that sends, under load, while the other side refuses at random, for now and for good. Every recipient of an
// acknowledged mail gets it once, or its sender is told once that he does not. SMTP itself permits one exception (RFC 5321 6.1, RFC 1047): the other side has answered 250, and the kill came
// before that could be written down. Those are counted apart. CHMAIL_KILLS sets the number of rounds.
func TestEveryAcknowledgedMailForOthersIsDeliveredOrBouncedOnce(t *testing.T) {
	t.Parallel()
	rounds, seed := 5, rand.Uint64()
	if n, err := strconv.Atoi(os.Getenv("CHMAIL_KILLS")); err == nil {
		rounds = n
	}
	t.Logf("seed %d", seed)
	rnd := rand.New(rand.NewPCG(seed, 1))
	c := &campaign{acked: make(map[string]bool)}
	c.sink = newSink(t, seed, 0.2, 0.05, func() int { return int(c.life.Load()) })
	d := dnstest.Start(t, dnstest.Records{"far.test MX": {"10 mail.far.test."}, "mail.far.test A": {"127.0.0.1"}})
	c.s = newServerFor(t, "mail.one.test", "one.test", "", fmt.Sprintf("relay: {resolver: %q, port: %d, private: true, retry: [1s], per_day: 0, new_per_day: 0}\n", d.Addr(), c.sink.port))
	c.s.account(t, ann, annsPassword)
	began := time.Now()
	for round := range rounds {
		c.round(t, round, 40+rnd.IntN(80))
	}
	c.life.Add(1)
	c.s.start(t)
	c.sink.silent(t, 3*time.Second, 2*time.Minute) // longer than the pause between two attempts: nothing is left
	c.count(t, rounds, time.Since(began))
}

// round is one life of the server: it is killed when so many more mails are acknowledged.
func (c *campaign) round(t *testing.T, round, enough int) {
	c.life.Add(1)
	c.s.start(t)
	const senders = 6
	var wg sync.WaitGroup
	var acks atomic.Int64
	ready := make(chan struct{})
	for sender := range senders {
		wg.Go(func() {
			c.load(fmt.Sprintf("r%d-s%d", round, sender), func() {
				if acks.Add(1) == int64(enough) {
					close(ready)
				}
			})
		})
	}
	select {
	case <-ready:
	case <-time.After(time.Minute):
		t.Error("the mails of a round were not acknowledged within a minute")
	}
	c.mu.Lock()
	c.kills = append(c.kills, time.Now())
	c.mu.Unlock()
	c.s.kill()
	wg.Wait()
}

// load submits mails one after the other until the server dies: most to one recipient, some to three.
func (c *campaign) load(name string, acked func()) {
	l, err := c.s.dialSubmission(ann, annsPassword)
	if err != nil {
		return
	}
	defer l.conn.Close()
	for i := 0; ; i++ {
		var to []string
		if l.ask("250", "MAIL FROM:<%s>", ann) != nil {
			return
		}
		for n := range 1 + i%4/3*2 {
			to = append(to, fmt.Sprintf("%s-%d-%d@far.test", name, i, n))
			if l.ask("250", "RCPT TO:<%s>", to[n]) != nil {
				return
			}
		}
		text := crlf(fmt.Sprintf("From: %s\nTo: %s\nSubject: load\nMessage-ID: <%s-%d@client.example>\n\nall work and no play\n", ann, to[0], name, i))
		if l.ask("354", "DATA") != nil || l.ask("250", "%s.", text) != nil {
			return
		}
		c.mu.Lock()
		for _, rcpt := range to {
			c.acked[rcpt] = true
		}
		c.mu.Unlock()
		acked()
	}
}

var finalRecipient = regexp.MustCompile(`(?mi)^Final-Recipient: *rfc822; *([^\s]+)`)

// bounced are the reports that the sender has, by recipient.
func (c *campaign) bounced(t *testing.T) map[string]int {
	t.Helper()
	all := make(map[string]int)
	m := c.s.maildrop(t, ann, annsPassword)
	defer m.quit()
	for i := 1; i <= m.count(); i++ {
		for _, f := range finalRecipient.FindAllStringSubmatch(m.raw(i), -1) {
			all[f[1]]++
		}
	}
	return all
}

// count holds what became of each recipient against the promise.
func (c *campaign) count(t *testing.T, rounds int, took time.Duration) {
	t.Helper()
	bounced := c.bounced(t)
	c.sink.mu.Lock()
	defer c.sink.mu.Unlock()
	var lost, delivered, returned, window, wrong int
	var longest time.Duration
	for rcpt := range c.acked {
		tk, b := c.sink.took[rcpt], bounced[rcpt]
		switch {
		case len(tk) == 0 && b == 0:
			lost++
			t.Logf("lost: %s", rcpt)
		case len(tk) == 1 && b == 0:
			delivered++
		case len(tk) == 0 && b == 1 && c.sink.refused[rcpt] > 0:
			returned++
		default:
			if gap, ok := c.unknowable(tk, b); ok {
				window++
				longest = max(longest, gap)
			} else {
				wrong++
				t.Logf("%s was taken %v, refused for good %d times, reported %d times", rcpt, tk, c.sink.refused[rcpt], b)
			}
		}
	}
	t.Logf("%d kills in %v: %d recipients acknowledged, %d delivered once, %d bounced once, %d lost, %d twice against the promise, %d twice in the window that SMTP leaves (the kill at most %v behind the 250)",
		rounds, took.Round(time.Second), len(c.acked), delivered, returned, lost, wrong, window, longest.Round(time.Millisecond))
	if lost > 0 || wrong > 0 || len(c.acked) < 40*rounds || delivered == 0 || returned == 0 {
		t.Error("this is not what is promised")
	}
}

// unknowable tells whether all that came after a first 250 came in a later life of the server, and how long before that life's end the 250 was given: within a second, while what it said was
// being written down. What follows the last 250 may be a report, but only one.
func (c *campaign) unknowable(tk []taken, bounces int) (gap time.Duration, ok bool) {
	if bounces > 1 {
		return 0, false
	}
	lost := tk
	if bounces == 0 && len(tk) > 0 {
		lost = tk[:len(tk)-1]
	}
	if len(lost) == 0 {
		return 0, false
	}
	for i, a := range lost {
		if a.life > len(c.kills) || i+1 < len(tk) && tk[i+1].life <= a.life {
			return 0, false
		}
		behind := c.kills[a.life-1].Sub(a.at)
		if behind > time.Second {
			return 0, false
		}
		gap = max(gap, behind)
	}
	return gap, true
}
