package e2e

import "testing"

// Mallory was alice@example.com until a moment ago, and his mail client is still signed in.
func TestASessionDoesNotOutliveItsAccount(t *testing.T) {
	t.Parallel()
	s := twoPeople(t, "")
	c, err := s.dialSubmission(alice, alicesPassword)
	if err != nil {
		t.Fatal(err)
	}
	defer c.conn.Close()
	submit := func() error {
		for _, step := range []struct{ code, line string }{{"250", "MAIL FROM:<" + alice + ">"}, {"250", "RCPT TO:<" + bob + ">"}, {"354", "DATA"}} {
			if err := c.ask(step.code, "%s", step.line); err != nil {
				return err
			}
		}
		return c.ask("250", "%s", crlf(letter(alice, bob, "As ever", "Yours, Alice"))+".")
	}
	must(t, submit())
	if _, errs, code := s.chmail(t, "", "account", "remove", alice, "--yes"); code != 0 {
		t.Fatalf("removing: exit %d: %s", code, errs)
	}
	s.account(t, alice, "the new holder's password")
	must(t, c.ask("421", "MAIL FROM:<%s>", alice))
	if _, err := c.r.ReadByte(); err == nil {
		t.Error("the session goes on")
	}
	m := s.maildrop(t, bob, bobsPassword)
	defer m.quit()
	if n := m.count(); n != 1 {
		t.Errorf("bob has %d mails, want the one from before", n)
	}
}
