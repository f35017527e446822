package e2e

import (
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
)

// mailTime is how long a mail or a login may take while Redis is away: mail never notices. Waiting for a Redis would take longer, however busy the machine is.
const mailTime = 10 * time.Second

// mailWorks sends a mail and fetches it, and says so when that took long.
func (s *server) mailWorks(t *testing.T, subject string) {
	t.Helper()
	began := time.Now()
	msg := s.mailTo(t, subject)
	if took := time.Since(began); took > mailTime {
		t.Errorf("%s: sending and fetching took %v", subject, took)
	}
	if got := msg.Header.Get("Subject"); got != subject {
		t.Errorf("fetched %q, want %q", got, subject)
	}
}

func TestMailDoesNotNoticeThatRedisIsAwayAndTheMapsHeal(t *testing.T) {
	t.Parallel()
	redis := startRedis(t)
	s := twoPeople(t, redis.url())
	s.mailWorks(t, "all is well")
	desk := s.desk(t, "/desk")
	deskInRedis := func() bool {
		return strings.Contains(strings.Join(redis.do(t, "HKEYS", "ch:pres:{"+alice+"}"), " "), "desk:")
	}
	eventually(t, 10*time.Second, "the open desk is in Redis", deskInRedis)

	redis.freeze(t)
	s.mailWorks(t, "Redis is frozen")
	redis.thaw(t)
	s.mailWorks(t, "Redis is back")

	redis.kill()
	s.mailWorks(t, "Redis is dead")
	msg := s.mailTo(t, "a chat without Redis")
	reader := follow(t, chatLink(t, msg))
	reader.MoveMouse()
	desk.Until(`document.querySelector('.call.ring') !== null`)
	desk.Run(chromedp.Click(".call.ring .main"))
	reader.Until(call("answered"))

	redis.run(t)
	eventually(t, 10*time.Second, "the open desk is in the new Redis again", deskInRedis)
	s.mailWorks(t, "a new Redis")
}

func TestTheServerStartsWithoutItsRedis(t *testing.T) {
	t.Parallel()
	redis := startRedis(t)
	redis.kill()
	s := twoPeople(t, redis.url())
	s.mailWorks(t, "Redis was never there")
	redis.run(t)
	eventually(t, 15*time.Second, "the login is in Redis once it is there", func() bool {
		s.mailWorks(t, "again")
		return len(redis.do(t, "KEYS", "ch:pres:*")) > 0
	})
}

func TestTheServerStopsWithAGoodbye(t *testing.T) {
	t.Parallel()
	s := twoPeople(t, "")
	mailClient, err := s.dialSubmission(alice, alicesPassword)
	if err != nil {
		t.Fatal(err)
	}
	defer mailClient.conn.Close()
	drop := s.maildrop(t, bob, bobsPassword)
	desk := s.desk(t, "/desk")
	s.stop(t)
	if err := mailClient.expect("421"); err != nil {
		t.Errorf("SMTP at the stop: %v, want 421", err)
	}
	if line, err := drop.c.ReadLine(); err != nil || !strings.HasPrefix(line, "-ERR [SYS/TEMP]") {
		t.Errorf("POP3 at the stop: %q (%v)", line, err)
	}
	desk.Until(`document.getElementById('desk').dataset.line === 'down'`)
	s.start(t)
	desk.UntilIn(40*time.Second, `document.getElementById('desk').dataset.line === 'up'`)
}
