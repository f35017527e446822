package e2e

import (
	"fmt"
	"path"
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

// TestEveryAcknowledgedChatMessageSurvivesKill9 does the same to a conversation.
func TestEveryAcknowledgedChatMessageSurvivesKill9(t *testing.T) {
	t.Parallel()
	s := twoPeople(t, "")
	link, port := s.mailWithPort(t, "Offer for the roof")
	code, last := "", 0
	var acked []string
	for round := range 3 {
		s.get(t, link)
		c := s.dialTerminal(t, port)
		if code == "" {
			c.say("JOIN " + path.Base(link) + " Bob")
		} else {
			c.say("RESUME " + code + " 0")
		}
		code = strings.Fields(c.expect("OK "))[2]
		for i := range 40 {
			text := fmt.Sprintf("message %d of round %d", i, round)
			c.say(text)
			c.expect("+ ")
			acked = append(acked, text)
		}
		c.say("never acknowledged, may be there or not")
		s.kill()
		s.start(t)
	}
	s.get(t, link)
	c := s.dialTerminal(t, port)
	c.say("RESUME " + code + " 0")
	c.expect("OK ")
	for _, want := range acked {
		line := ""
		for !strings.HasSuffix(line, ": "+want) {
			line = c.expect("* ")
			n := 0
			if _, err := fmt.Sscanf(line, "* %d ", &n); err != nil || n != last+1 {
				t.Fatalf("event %q does not follow event %d", line, last)
			}
			last = n
		}
	}
}
