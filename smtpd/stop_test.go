package smtpd

import (
	"context"
	"io"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"chmail/internal/message"
)

// aliceSigningIn is AUTH PLAIN with alice's password.
const aliceSigningIn = "AUTH PLAIN AGFsaWNlQGV4YW1wbGUuY29tAG9wZW4gc2VzYW1l\r\n"

// slowOffice has alice wait for the answer to her password, and takes its time to commit a mail.
type slowOffice struct {
	*office
	password, commit time.Duration
}

func (o *slowOffice) Authenticate(ctx context.Context, user, password string, peer netip.Addr) (string, bool, error) {
	if err := patience(ctx, o.password); err != nil {
		return "", false, err
	}
	return o.office.Authenticate(ctx, user, password, peer)
}

func (o *slowOffice) Accept(ctx context.Context, env *message.Envelope, r io.Reader) error {
	b, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	if err := patience(ctx, o.commit); err != nil {
		return err
	}
	return o.office.Accept(ctx, env, strings.NewReader(string(b)))
}

func patience(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// stopped begins a stop and returns how long it will have taken, for whoever has read all that the clients were told.
func (s *stage) stopped() <-chan time.Duration {
	took := make(chan time.Duration, 1)
	began := time.Now()
	go func() {
		s.shutdown()
		took <- time.Since(began)
	}()
	return took
}

func newSlowStage(t *testing.T, password, commit time.Duration) *stage {
	var slow *slowOffice
	s := newStage(t, func(o *Options) {
		slow = &slowOffice{office: o.Accounts.(*office), password: password, commit: commit}
		o.Accounts, o.Doorway = slow, slow
	})
	return s
}

// hearUntil reads replies up to one that begins so; the end of the connection ends it too.
func (c *client) hearUntil(start string) (last string) {
	for line := range c.lines {
		if last = line; strings.HasPrefix(line, start) {
			break
		}
	}
	return last
}

func TestAStopDoesNotWaitForWhoeverWaitsToSignIn(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newSlowStage(t, 40*time.Second, 0)
		c := s.connect(Submissions)
		c.say("EHLO a\r\n")
		c.hearUntil("250 ")
		c.say(aliceSigningIn)
		synctest.Wait()
		took := s.stopped()
		if got := c.hear(); got != "421 4.3.2 shutting down, try again later" {
			t.Errorf("in the midst of AUTH she heard %q", got)
		}
		if got := c.ended(); got != "" {
			t.Errorf("then %q", got)
		}
		c.conn.Close()
		if d := <-took; d > time.Second/2 {
			t.Errorf("the stop took %v", d)
		}
		if log := s.log.String(); strings.Contains(log, "ERROR") {
			t.Errorf("the log:\n%s", log)
		}
	})
}

func TestAStopWaitsForAMailThatIsBeingCommitted(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newSlowStage(t, 0, 3*time.Second)
		c := s.connect(MX)
		c.say("EHLO a\r\nMAIL FROM:<x@elsewhere.test>\r\nRCPT TO:<bob@example.com>\r\nDATA\r\n")
		c.hearUntil("354 ")
		c.say("Subject: late\r\n\r\nbut whole\r\n.\r\n")
		synctest.Wait()
		took := s.stopped()
		if got := c.hear(); !strings.HasPrefix(got, "250 2.0.0 queued as ") {
			t.Errorf("her mail was answered with %q", got)
		}
		if got := c.hear(); !strings.HasPrefix(got, "421 4.3.2 ") {
			t.Errorf("then %q", got)
		}
		if got := c.ended(); got != "" {
			t.Errorf("then %q", got)
		}
		c.conn.Close()
		if d := <-took; d < 3*time.Second || len(s.office.mails) != 1 {
			t.Errorf("the stop took %v, and %d mails were delivered", d, len(s.office.mails))
		}
	})
}
