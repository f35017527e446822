package smtpd

import (
	"maps"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"chmail/internal/message"
)

// ledger keeps what a Watch hears.
type ledger struct {
	mu      sync.Mutex
	mails   map[Profile]int
	octets  int64
	here    int
	refused map[string]int // "PROFILE COMMAND CODE"
}

func (l *ledger) Taken(p Profile, octets int64, here, elsewhere int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.mails[p]++
	l.octets, l.here = l.octets+octets, l.here+here
}

func (l *ledger) Refused(p Profile, command string, r *message.Refusal) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.refused[strings.TrimSpace(string(p)+" "+command)+" "+r.Text]++
}

func TestWhatIsTakenAndRefusedIsCounted(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := &ledger{mails: make(map[Profile]int), refused: make(map[string]int)}
		s := newStage(t, func(o *Options) { o.Watch = l })
		c := s.connect(MX)
		c.say("EHLO a\r\nMAIL FROM:<x@elsewhere.test>\r\nRCPT TO:<bob@example.com>\r\nRCPT TO:<alice@example.com>\r\nRCPT TO:<ghost@example.com>\r\nRCPT TO:<x@far.test>\r\nDATA\r\n")
		c.hearUntil("354 ")
		c.say("Subject: hello\r\n\r\nBob\r\n.\r\n")
		c.hearUntil("250 ")
		gone := s.connect(MX)
		gone.say("EHLO a\r\nMAIL FROM:<x@elsewhere.test>\r\nRCPT TO:<bob@example.com>\r\nDATA\r\n")
		gone.hearUntil("354 ")
		gone.say("Subject: half a ")
		gone.conn.Close()
		web := s.connect(MX)
		web.say("GET / HTTP/1.1\r\n")
		web.ended()
		web.conn.Close()
		synctest.Wait()
		if n := s.server.Connections(MX); n.Taken != 3 || n.Open != 1 || n.Refused != 0 || s.server.Connections(Submission).Taken != 0 {
			t.Errorf("connections: %+v", n)
		}
		c.conn.Close()
		s.shutdown()
		l.mu.Lock()
		defer l.mu.Unlock()
		if l.mails[MX] != 1 || l.octets != 23 || l.here != 2 {
			t.Errorf("mails: %+v", l)
		}
		if want := map[string]int{"mx RCPT no such mailbox here": 1, "mx RCPT relaying denied": 1, "mx " + errNotSMTP.Text: 1}; !maps.Equal(l.refused, want) {
			t.Errorf("refused: %v, want %v", l.refused, want)
		}
	})
}
