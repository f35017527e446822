package e2e

import (
	"fmt"
	"path"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// TestEveryAcknowledgedMailSurvivesKill9 kills the server in the middle of a load, several times, and counts afterwards.
func TestEveryAcknowledgedMailSurvivesKill9(t *testing.T) {
	t.Parallel()
	const senders, rounds = 8, 3
	s := newServer(t, "")
	s.account(t, alice, alicesPassword)
	s.account(t, bob, bobsPassword)
	acked := make(map[string]bool)
	for round := range rounds {
		s.start(t)
		var mu sync.Mutex
		var wg sync.WaitGroup
		enough := make(chan struct{})
		before := len(acked)
		for sender := range senders {
			wg.Go(func() {
				s.loadUntilItDies(fmt.Sprintf("r%d-s%d", round, sender), func(id string) {
					mu.Lock()
					defer mu.Unlock()
					acked[id] = true
					if len(acked) == before+200 {
						close(enough)
					}
				})
			})
		}
		select {
		case <-enough:
		case <-time.After(time.Minute):
			t.Error("200 mails were not acknowledged within a minute")
		}
		s.kill()
		wg.Wait()
	}
	s.start(t)
	s.everyMailOnce(t, acked)
}

// loadUntilItDies submits mails one after the other, large ones among them, and reports those that were acknowledged.
func (s *server) loadUntilItDies(name string, acked func(id string)) {
	c, err := s.dialSubmission(alice, alicesPassword)
	if err != nil {
		return
	}
	defer c.conn.Close()
	for i := 0; ; i++ {
		id := fmt.Sprintf("<%s-%d@client.example>", name, i)
		size := 10
		if i%10 == 9 {
			size = 3000 // beyond what lies in the database row
		}
		text := crlf(fmt.Sprintf("From: %s\nTo: %s\nSubject: load\nMessage-ID: %s\n\n", alice, bob, id) + strings.Repeat("all work and no play\n", size))
		if c.ask("250", "MAIL FROM:<%s>", alice) != nil || c.ask("250", "RCPT TO:<%s>", bob) != nil || c.ask("354", "DATA") != nil ||
			c.ask("250", "%s.", text) != nil {
			return
		}
		acked(id)
	}
}

func (s *server) everyMailOnce(t *testing.T, acked map[string]bool) {
	t.Helper()
	m := s.maildrop(t, bob, bobsPassword)
	defer m.quit()
	seen := make(map[string]int)
	for n := 1; n <= m.count(); n++ {
		msg, body := m.message(n)
		seen[msg.Header.Get("Message-Id")]++
		if strings.Count(body, "all work and no play") < 10 {
			t.Errorf("message %d is damaged", n)
		}
	}
	lost, twice := 0, 0
	for id := range acked {
		if seen[id] == 0 {
			lost++
		}
	}
	for _, n := range seen {
		if n > 1 {
			twice++
		}
	}
	t.Logf("%d mails acknowledged, %d in the maildrop", len(acked), len(seen))
	if lost > 0 || twice > 0 {
		t.Errorf("%d acknowledged mails are lost, %d are there twice", lost, twice)
	}
}

// TestEveryAcknowledgedChatMessageSurvivesKill9 does the same to a conversation: messages are under way in numbers when the server dies.
func TestEveryAcknowledgedChatMessageSurvivesKill9(t *testing.T) {
	t.Parallel()
	s := twoPeople(t, "")
	link, port := s.mailWithPort(t, "Offer for the roof")
	code := ""
	var acked []string
	for round := range 3 {
		c := s.terminalIn(t, link, port, code)
		code = c.code
		var sent []string
		for i := range 60 {
			sent = append(sent, fmt.Sprintf("message %d of round %d", i, round))
		}
		go func() {
			for _, text := range sent {
				if _, err := fmt.Fprintf(c.conn, "%s\n", text); err != nil {
					return // the server is dead
				}
			}
		}()
		got := 0
		for c.acks(&got) {
			if got == 30 {
				s.kill()
			}
		}
		if got < 30 {
			t.Fatalf("%d messages were acknowledged in round %d, want 30 before the kill", got, round)
		}
		acked = append(acked, sent[:got]...) // acknowledgements come in the order of the messages
		s.start(t)
	}
	seen := s.terminalIn(t, link, port, code).all("message 59 of nowhere")
	for i, text := range seen {
		if slices.Index(seen, text) != i {
			t.Errorf("%q is there twice", text)
		}
	}
	at := 0
	for _, want := range acked {
		i := slices.Index(seen[at:], want)
		if i < 0 {
			t.Fatalf("%q was acknowledged and is lost, or out of order", want)
		}
		at += i + 1
	}
	t.Logf("%d messages acknowledged, %d there", len(acked), len(seen))
}

// terminalIn is a terminal that has joined through the link, or resumed with a code.
func (s *server) terminalIn(t *testing.T, link, port, code string) *terminal {
	t.Helper()
	s.get(t, link)
	c := s.dialTerminal(t, port)
	if code == "" {
		c.say("JOIN " + path.Base(link) + " Bob")
	} else {
		c.say("RESUME " + code + " 0")
	}
	c.code = strings.Fields(c.expect("OK "))[2]
	return c
}

// acks reads on to the next acknowledgement and counts it; false when the connection has ended.
func (c *terminal) acks(got *int) bool {
	for {
		line, err := c.r.ReadString('\n')
		if err != nil {
			return false
		}
		if strings.HasPrefix(line, "+ ") {
			*got++
			return true
		}
	}
}

// all says something, and returns what was said before it, in order; the numbers of the events must have no gap.
func (c *terminal) all(last string) []string {
	c.t.Helper()
	c.say(last)
	var texts []string
	for next := 1; ; next++ {
		line, err := c.r.ReadString('\n')
		if err != nil {
			c.t.Fatalf("reading events: %v", err)
		}
		line = strings.TrimRight(line, "\r\n")
		n := 0
		switch {
		case strings.HasPrefix(line, "! "):
			next--
		case strings.HasPrefix(line, "+ "):
			if _, err := fmt.Sscanf(line, "+ %d", &n); err != nil || n != next {
				c.t.Fatalf("%q comes where event %d should", line, next)
			}
			return texts
		default:
			if _, err := fmt.Sscanf(line, "* %d ", &n); err != nil || n != next {
				c.t.Fatalf("%q comes where event %d should", line, next)
			}
			if _, text, ok := strings.Cut(line, ": "); ok && strings.HasPrefix(text, "message ") {
				texts = append(texts, text)
			}
		}
	}
}
