package smtpd

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
)

// ends are sequences that one mail server or another has taken for the end of a mail, or for a line end before the dot (hazards 1, 1). Only the first is
// one. Of the others, those in refused break the rule of CRLF; content is what a mail may well hold.
var ends = []struct{ seq, fate string }{
	{"\r\n.\r\n", "end"},
	{"\n.\n", "refused"},
	{"\n.\r\n", "refused"},
	{"\r\n.\n", "refused"},
	{"\r\n.\n\n", "refused"},
	{"\r.\r", "refused"},
	{"\r.\r\n", "refused"},
	{"\r\n.\r", "refused"},
	{"\n.\r", "refused"},
	{"\r.\n", "refused"},
	{"\r\r\n.\r\r\n", "refused"},
	{"\r\n.\r\r\n", "refused"},
	{"\r\r\n.\r\n", "refused"},
	{"\n\n.\n\n", "refused"},
	{"\r\n\r.\r\n", "refused"},
	{"\r\n\n.\r\n", "refused"},
	{"\n\r\n.\r\n", "refused"},
	{"\r\n..\r\n", "content"},
	{"\r\n. \r\n", "content"},
	{"\r\n .\r\n", "content"},
	{"\r\n.\x00\r\n", "content"},
	{"\r\n\x00.\r\n", "content"},
	{"\r\n.\u2028\r\n", "content"},
	{"\u0085.\u0085", "content"},
	{".\r\n", "content"},
	{"\r\n.x\r\n", "content"},
}

const smuggled = "MAIL FROM:<smuggled@elsewhere.test>\r\nRCPT TO:<bob@example.com>\r\nDATA\r\nsmuggled\r\n.\r\n"

// TestNothingIsSmuggledBehindFalseEnds sends one mail in which each sequence stands before another whole mail dialogue, by DATA and, where it is no
// end in any case, by BDAT.
func TestNothingIsSmuggledBehindFalseEnds(t *testing.T) {
	t.Parallel()
	for _, e := range ends {
		for _, chunked := range []bool{false, true} {
			t.Run(fmt.Sprintf("%q chunked=%v", e.seq, chunked), func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) { smuggle(t, e.seq, e.fate, chunked) })
			})
		}
	}
}

func smuggle(t *testing.T, seq, fate string, chunked bool) {
	s := newStage(t, nil)
	defer s.shutdown()
	c := s.connect(MX)
	defer c.conn.Close()
	text := "Subject: x\r\n\r\nfirst" + seq + smuggled
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
	case fate == "end" && !chunked:
		if len(s.office.mails) != 2 || s.office.mails[0].text != "Subject: x\r\n\r\nfirst\r\n" {
			t.Errorf("the true end: %d mails, %s", len(s.office.mails), log)
		}
	case fate == "refused":
		if len(s.office.mails) != 0 || !strings.HasSuffix(log, "|550 5.6.11") {
			t.Errorf("%d mails, %s", len(s.office.mails), log)
		}
	default:
		if len(s.office.mails) != 1 || s.office.mails[0].text != want || !strings.HasSuffix(log, "|250 2.0.0 |221 2.0.0 ") {
			t.Errorf("mails %+v, want %q; %s", s.office.mails, want, log)
		}
	}
}
