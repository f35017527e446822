package smtpd

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"

	"chmail/internal/smuggling"
)

const smuggled = "MAIL FROM:<smuggled@elsewhere.test>\r\nRCPT TO:<bob@example.com>\r\nDATA\r\nsmuggled\r\n.\r\n"

// TestNothingIsSmuggledBehindFalseEnds sends one mail in which each sequence of the table stands before another whole mail dialogue: by DATA, and by BDAT, which knows no end but its count.
func TestNothingIsSmuggledBehindFalseEnds(t *testing.T) {
	t.Parallel()
	for _, e := range smuggling.Variants() {
		for _, chunked := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s chunked=%v", e, chunked), func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) { smuggle(t, e, chunked) })
			})
		}
	}
}

func smuggle(t *testing.T, e smuggling.Variant, chunked bool) {
	s := newStage(t, nil)
	defer s.shutdown()
	c := s.connect(MX)
	defer c.conn.Close()
	text := "Subject: x\r\n\r\nfirst" + e.Seq + smuggled
	send, want := "DATA\r\n"+text, strings.TrimSuffix(text, ".\r\n")
	want = strings.ReplaceAll(want, "\r\n.", "\r\n")
	if chunked {
		text = strings.TrimSuffix(text, ".\r\n")
		send, want = fmt.Sprintf("BDAT %d LAST\r\n%s", len(text), text), text
	}
	c.say("HELO a\r\nMAIL FROM:<x@elsewhere.test>\r\nRCPT TO:<bob@example.com>\r\n" + send + "QUIT\r\n")
	synctest.Wait()
	var replies []string
	for line := range c.lines {
		replies = append(replies, line[:min(len(line), 10)])
	}
	log := strings.Join(replies, "|")
	switch {
	case e.Fate == smuggling.End && !chunked:
		if len(s.office.mails) != 2 || s.office.mails[0].text != "Subject: x\r\n\r\nfirst\r\n" {
			t.Errorf("the true end: %d mails, %s", len(s.office.mails), log)
		}
	case e.Fate == smuggling.Bare:
		if len(s.office.mails) != 0 || !strings.HasSuffix(log, "|550 5.6.11") {
			t.Errorf("%d mails, %s", len(s.office.mails), log)
		}
	default:
		if len(s.office.mails) != 1 || s.office.mails[0].text != want || !strings.HasSuffix(log, "|250 2.0.0 |221 2.0.0 ") {
			t.Errorf("mails %+v, want %q; %s", s.office.mails, want, log)
		}
	}
}
