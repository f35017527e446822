package message

import (
	"bytes"
	"encoding/base64"
	"io"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	"net/mail"
	"net/textproto"
	"strings"
	"testing"
	"time"

	"chmail/internal/address"
)

const sentMail = "From: alice@example.com\r\nSubject: Offer\r\nMessage-ID: <1@example.com>\r\n\r\nThe text.\r\n"

func reportOf(change func(*Report)) *Report {
	at := time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC)
	r := &Report{
		To: address.Address{Local: "alice", Domain: "example.com"}, Host: "mail.example.com", EnvID: "id+2B1", Arrived: at.Add(-time.Hour), At: at,
		About: Summary{Subject: "Offer", MessageID: "<1@example.com>"},
		Fates: []Fate{{
			Address: address.Address{Local: "ghost", Domain: "one.test"}, ORcpt: "rfc822;old+40one.test", Action: Failed, Status: "5.1.1",
			Remote: "mx.one.test [192.0.2.1]", Reply: "550 5.1.1 no such user", Tried: at,
		}},
	}
	if change != nil {
		change(r)
	}
	return r
}

// opened is a report taken apart as any mail program does.
func opened(t *testing.T, r *Report, original string) (h mail.Header, parts []string, kinds []string) {
	t.Helper()
	raw, err := r.Reader(&Memory{[]byte(original)})
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(raw)
	if err != nil {
		t.Fatal(err)
	}
	var s Survey
	if _, err := s.Write(text); err != nil || s.Long || s.NUL || bytes.Contains(bytes.ReplaceAll(text, []byte("\r\n"), nil), []byte("\n")) {
		t.Errorf("no sound mail: %+v, %v", s, err)
	}
	m, err := mail.ReadMessage(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	kind, params, err := mime.ParseMediaType(m.Header.Get("Content-Type"))
	if err != nil || kind != "multipart/report" || params["report-type"] != "delivery-status" {
		t.Fatalf("it is %q, %v, %v", kind, params, err)
	}
	for mr := multipart.NewReader(m.Body, params["boundary"]); ; {
		p, err := mr.NextRawPart()
		if err == io.EOF {
			return m.Header, parts, kinds
		}
		if err != nil {
			t.Fatal(err)
		}
		var body io.Reader = p
		if p.Header.Get("Content-Transfer-Encoding") == "quoted-printable" {
			body = quotedprintable.NewReader(p)
		}
		b, err := io.ReadAll(body)
		if err != nil {
			t.Fatal(err)
		}
		parts, kinds = append(parts, string(b)), append(kinds, p.Header.Get("Content-Type"))
	}
}

func TestAReportIsForPeopleAndForPrograms(t *testing.T) {
	t.Parallel()
	h, parts, kinds := opened(t, reportOf(nil), sentMail)
	if h.Get("Subject") != "Not delivered: Offer" || h.Get("In-Reply-To") != "<1@example.com>" || h.Get("Auto-Submitted") == "" || !strings.Contains(h.Get("From"), "postmaster@example.com") || h.Get("To") != "<alice@example.com>" {
		t.Errorf("header %v", h)
	}
	if len(parts) != 3 || !strings.HasPrefix(kinds[0], "text/plain") || kinds[1] != "message/delivery-status" || kinds[2] != "text/rfc822-headers" {
		t.Fatalf("parts %q", kinds)
	}
	for _, w := range []string{"“Offer”", "ghost@one.test", "mx.one.test [192.0.2.1] said:", "550 5.1.1 no such user", "not be tried again"} {
		if !strings.Contains(parts[0], w) {
			t.Errorf("people are not told %q:\n%s", w, parts[0])
		}
	}
	groups := strings.Split(parts[1], "\r\n\r\n")
	if len(groups) < 2 {
		t.Fatalf("status %q", parts[1])
	}
	fields := func(text string) textproto.MIMEHeader {
		m, err := mail.ReadMessage(strings.NewReader(text + "\r\n\r\n"))
		if err != nil {
			t.Fatalf("%q: %v", text, err)
		}
		return textproto.MIMEHeader(m.Header)
	}
	whole, one := fields(groups[0]), fields(groups[1])
	if whole.Get("Reporting-MTA") != "dns; mail.example.com" || whole.Get("Original-Envelope-Id") != "id+1" || whole.Get("Arrival-Date") == "" {
		t.Errorf("of the mail: %v", whole)
	}
	for name, want := range map[string]string{
		"Final-Recipient": "rfc822; ghost@one.test", "Original-Recipient": "rfc822; old@one.test", "Action": "failed", "Status": "5.1.1", "Remote-Mta": "dns; mx.one.test",
		"Diagnostic-Code": "smtp; 550 5.1.1 no such user",
	} {
		if one.Get(name) != want {
			t.Errorf("%s is %q, not %q", name, one.Get(name), want)
		}
	}
	if parts[2] != "From: alice@example.com\r\nSubject: Offer\r\nMessage-ID: <1@example.com>\r\n" {
		t.Errorf("what comes back is %q", parts[2])
	}
}

func TestTheWholeMailComesBackWhereItIsAskedFor(t *testing.T) {
	t.Parallel()
	_, parts, kinds := opened(t, reportOf(func(r *Report) { r.Full = true }), sentMail)
	if kinds[2] != "message/rfc822" || parts[2] != sentMail {
		t.Errorf("%s: %q", kinds[2], parts[2])
	}
	_, parts, kinds = opened(t, reportOf(nil), "Subject: Grüße\r\n\r\nx\r\n")
	if kinds[2] != "message/global-headers" || parts[2] != "Subject: Grüße\r\n" {
		t.Errorf("%s: %q", kinds[2], parts[2])
	}
}

func TestReportsInThreeLanguagesForThreeFates(t *testing.T) {
	t.Parallel()
	for language, subjects := range map[string][3]string{
		"en": {"Not delivered: Offer", "Not delivered yet: Offer", "Handed on: Offer"}, "ja": {"配信できませんでした: Offer", "まだ配信できていません: Offer", "転送されました: Offer"},
		"ko": {"배달되지 않음: Offer", "아직 배달되지 않음: Offer", "전달됨: Offer"},
	} {
		for i, action := range []Action{Failed, Delayed, Relayed} {
			h, parts, _ := opened(t, reportOf(func(r *Report) {
				r.Language, r.Fates[0].Action = language, action
				if action == Delayed {
					r.Fates[0].Until = r.At.Add(time.Hour)
				}
			}), sentMail)
			if got := DecodeText(h.Get("Subject"), 200); got != subjects[i] || h.Get("Content-Language") != language {
				t.Errorf("%s %s: %q", language, action, got)
			}
			if !strings.Contains(parts[1], "Action: "+string(action)+"\r\n") || (action == Delayed) != strings.Contains(parts[1], "Will-Retry-Until: ") {
				t.Errorf("%s %s: %s", language, action, parts[1])
			}
		}
	}
}

func TestWhatAStrangersServerSaysAddsNoField(t *testing.T) {
	t.Parallel()
	_, parts, _ := opened(t, reportOf(func(r *Report) {
		f := &r.Fates[0]
		f.Reply, f.Remote, f.ORcpt, r.EnvID = "550 no\r\nAction: delivered\r\n\r\nFinal-Recipient: x "+strings.Repeat("y", 2000), "mx\r\nX: y", "rfc822;a+0D+0AX: y", "a+0D+0AX: y"
	}), sentMail)
	for line := range strings.SplitSeq(parts[1], "\r\n") {
		if strings.HasPrefix(line, "X:") || strings.HasPrefix(line, "Action: delivered") || strings.HasPrefix(line, "Final-Recipient: x") || len(line) > MaxLine {
			t.Errorf("a stranger wrote the line %.60q", line)
		}
	}
	if _, err := (&Report{}).Reader(&Memory{}); err == nil {
		t.Error("a report of nobody was built")
	}
}

func TestAReportSaysWhatAPersonCanDo(t *testing.T) {
	t.Parallel()
	tokyo := time.FixedZone("JST", 9*60*60)
	for _, c := range []struct {
		status, reply, language, says string
	}{
		{"5.1.1", "550 5.1.1 unknown", "", "There is no such address. Look for a typing error."},
		{"5.1.2", "", "", "behind the @"},
		{"5.4.4", "", "ja", "@ の後ろ"},
		{"4.4.4", "", "", "could not be reached"},
		{"5.2.2", "552 5.2.2 full", "ko", "가득"},
		{"5.7.26", "550 5.7.26 unauthenticated", "", "rules"},
		{"5.0.0", "", "ja", "取りやめ"},
		{"5.0.0", "554 5.0.0 no", "", "has refused it"},
		{"4.4.7", "451 4.7.1 greylisted", "", "in all the time"},
		{"4.1.1", "451 4.1.1 greylisted", "", "could not take it just then"},
	} {
		_, parts, _ := opened(t, reportOf(func(r *Report) {
			r.Language, r.ID, r.Zone = c.language, "queueid12345", tokyo
			f := &r.Fates[0]
			f.Status, f.Reply, f.Why = c.status, c.reply, "the words of this server"
		}), sentMail)
		text := parts[0]
		if strings.Contains(text, "=") || !strings.Contains(text, "queueid12345") {
			b, err := base64.StdEncoding.DecodeString(strings.ReplaceAll(text, "\r\n", ""))
			if err != nil {
				t.Fatal(err)
			}
			text = string(b)
		}
		for _, want := range []string{c.says, "queueid12345", "20:00 JST"} {
			if !strings.Contains(text, want) {
				t.Errorf("%s in %q lacks %q:\n%s", c.status, c.language, want, text)
			}
		}
	}
}

func TestWhatComesBackIsNamedAsItIs(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("X-Long: "+strings.Repeat("x", 60)+"\r\n", 2000)
	for name, c := range map[string]struct{ mail, kind string }{
		"plain":                   {sentMail, "message/rfc822"},
		"eight bits in the body":  {sentMail + "\xc3\xa9\r\n", "message/rfc822 8bit"},
		"far behind the header":   {long + "\r\n" + long + "\xe9\r\n", "message/rfc822 8bit"},
		"UTF-8 in the header":     {"Subject: \xc3\xa9\r\n\r\nx\r\n", "message/global 8bit"},
		"in a long header, late":  {long + "Subject: \xc3\xa9\r\n\r\nx\r\n", "message/global 8bit"},
		"a header without a body": {"Subject: x\r\n", "message/rfc822"},
	} {
		kind, err := whole(&Memory{[]byte(c.mail)})
		if got := strings.ReplaceAll(kind, "\r\nContent-Transfer-Encoding:", ""); err != nil || got != c.kind {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
	_, parts, kinds := opened(t, reportOf(func(r *Report) {
		r.Full = true
		r.Fates[0].Address.Local = "gr\u00fc\u00dfe"
	}), sentMail)
	if !strings.Contains(parts[0], "The mail is attached.") || kinds[1] != "message/global-delivery-status" || kinds[2] != "message/rfc822" || !strings.Contains(parts[1], "Final-Recipient: utf-8; gr\u00fc\u00dfe@one.test") {
		t.Errorf("%q\n%s\n%s", kinds, parts[0], parts[1])
	}
}

func TestALongReplyStaysWithinItsLines(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		reply string
		most  int
	}{"many words": {strings.Repeat("refused ", 300), 78}, "one word": {strings.Repeat("x", 3000), 1000}} {
		for line := range strings.Lines(string(appendDiagnostic(nil, c.reply))) {
			if len(line) > c.most {
				t.Errorf("%s: a line of %d octets", name, len(line))
			}
		}
	}
}
