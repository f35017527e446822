package message

import (
	"bytes"
	"mime"
	"net/mail"
	"net/netip"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"chmail/internal/address"
)

// readBack reads a header that we wrote with the standard library.
func readBack(t testing.TB, raw []byte) mail.Header {
	t.Helper()
	for line := range bytes.SplitAfterSeq(raw, []byte("\r\n")) {
		if len(line) > 0 && (!bytes.HasSuffix(line, []byte("\r\n")) || bytes.ContainsAny(line[:len(line)-2], "\r\n") || len(line) > MaxLine+2) {
			t.Fatalf("line %q", line)
		}
		if len(line) > 0 && len(bytes.TrimSpace(line)) == 0 {
			t.Fatalf("a line of blanks in %q", raw)
		}
	}
	m, err := mail.ReadMessage(bytes.NewReader(append(bytes.Clone(raw), "\r\n"...)))
	if err != nil {
		t.Fatalf("%q: %v", raw, err)
	}
	return m.Header
}

// oneLine is what may become of a text in a header: controls are spaces, and how many spaces there are does not matter.
func oneLine(s string) string {
	s = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(s, "\ufffd"))
	return strings.Join(strings.FieldsFunc(s, func(r rune) bool { return r == ' ' }), " ")
}

func checkAppendText(t testing.TB, text string) {
	t.Helper()
	raw := AppendText(nil, "Subject", text)
	h := readBack(t, raw)
	if len(h) != 1 || len(h["Subject"]) != 1 {
		t.Fatalf("%q became %d fields: %q", text, len(h), raw)
	}
	dec := new(mime.WordDecoder)
	got, err := dec.DecodeHeader(h.Get("Subject"))
	if err != nil || oneLine(got) != oneLine(text) {
		t.Fatalf("%q came back as %q, %v (%q)", text, got, err, raw)
	}
	if strings.ContainsFunc(got, unicode.IsControl) {
		t.Fatalf("%q came back with a control character: %q", text, got)
	}
	for word := range strings.FieldsSeq(string(raw)) {
		if !strings.HasPrefix(word, "=?utf-8?b?") {
			continue
		}
		if w, err := dec.Decode(word); err != nil || !utf8.ValidString(w) {
			t.Fatalf("%q: the word %q alone is %q, %v", text, word, w, err)
		}
	}
	for line := range strings.SplitSeq(string(raw), "\r\n") {
		if strings.Contains(line, "=?utf-8?b?") && len(line) > 78 {
			t.Fatalf("a line of encoded words has %d octets: %q", len(line), line)
		}
	}
	if !IsASCII(raw) {
		t.Fatalf("%q", raw)
	}
}

func TestAnyTextStaysInItsField(t *testing.T) {
	t.Parallel()
	for _, s := range []string{
		"", " ", "Hello", "Hello\r\nBcc: x@y.test", "a\nb", "a\x00b", "Grüße", "こんにちは世界", strings.Repeat("ü", 500), strings.Repeat("word ", 100),
		strings.Repeat("x", 2000), "=?utf-8?q?x?=", "a  b", "\xff\xfe", "😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀", "=? ?=", "\u0085", "x " + strings.Repeat("y", 922),
	} {
		checkAppendText(t, s)
	}
}

func FuzzAppendText(f *testing.F) {
	f.Add("Grüße", 3)
	f.Add("a\r\n b", 40)
	f.Fuzz(func(t *testing.T, s string, times int) {
		checkAppendText(t, s)
		checkAppendText(t, strings.Repeat(s, max(0, min(times, 50))))
	})
}

func TestMailboxesComeBack(t *testing.T) {
	t.Parallel()
	for _, name := range []string{
		"", "Alice", "Liddell, Alice", `A "the" \ B`, "Jörg", strings.Repeat("long ", 20) + "name", strings.Repeat("ü", 100), "x\r\nBcc: y@z", "=?utf-8?q?x?=",
		strings.Repeat("x", 70),
	} {
		for _, addr := range []string{"a@x.test", strings.Repeat("a", 64) + "@" + strings.Repeat("b.", 100) + "test"} {
			raw := AppendMailbox(nil, "From", name, addr)
			h := readBack(t, raw)
			if len(h) != 1 {
				t.Fatalf("%q became %d fields", name, len(h))
			}
			got, err := mail.ParseAddress(h.Get("From"))
			if err != nil || oneLine(got.Name) != oneLine(name) || got.Address != addr {
				t.Errorf("%q <%s> came back as %v, %v (%q)", name, addr, got, err, raw)
			}
			ours, err := ParseMailboxes(bytes.TrimSuffix(raw[len("From:"):], []byte("\r\n")))
			if err != nil || len(ours) != 1 || ours[0].Address.String() != addr {
				t.Errorf("%q <%s> came back to us as %v, %v", name, addr, ours, err)
			}
		}
	}
}

func TestTokensAreFoldedBetweenThem(t *testing.T) {
	t.Parallel()
	long := "<" + strings.Repeat("x", maxMessageID-2) + ">"
	for _, ids := range [][]string{{"<a@x>"}, {"<a@x>", "<b@x>", long, "<c@x>"}, {long}, nil} {
		for _, name := range []string{"References", "In-Reply-To", "Message-ID"} {
			raw := AppendTokens(nil, name, ids)
			if got := strings.Fields(readBack(t, raw).Get(name)); strings.Join(got, " ") != strings.Join(ids, " ") {
				t.Errorf("%v came back as %v", ids, got)
			}
		}
	}
}

func TestTraceTellsNothingOfAPersonsHome(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 11, 25, 13, 14, 15, 0, time.FixedZone("home", 9*3600))
	to, err := address.Parse("bob@x.test")
	if err != nil {
		t.Fatal(err)
	}
	env := Envelope{ID: "abc", Login: "a@x.test", Peer: netip.MustParseAddr("203.0.113.9"), Helo: "alices-laptop", TLS: "TLS1.3", To: []address.Address{to}, Received: at}
	raw := string(AppendReceived(nil, &env, "mail.x.test"))
	if want := "Received: from submission\r\n\tby mail.x.test with ESMTPSA id abc\r\n\tfor <bob@x.test>;\r\n\tWed, 25 Nov 2026 04:14:15 +0000\r\n"; raw != want {
		t.Errorf("got  %q\nwant %q", raw, want)
	}
	env.To = append(env.To, to)
	if raw := string(AppendReceived(nil, &env, "mail.x.test")); strings.Contains(raw, "bob") {
		t.Errorf("one recipient is told of another: %q", raw)
	}
	outside := Envelope{ID: "abc", Peer: netip.MustParseAddr("::ffff:203.0.113.9"), Helo: "mx.y.test", UTF8: true, Received: at}
	for helo, want := range map[string]string{
		"mx.y.test": "from mx.y.test ([203.0.113.9])", "x\r\nBcc: y": "from unknown ([203.0.113.9])", "": "from unknown ([203.0.113.9])",
		"[203.0.113.9]": "from [203.0.113.9] ([203.0.113.9])", strings.Repeat("x", 300): "from unknown ([203.0.113.9])", "a(b)": "from unknown ([203.0.113.9])",
	} {
		outside.Helo = helo
		raw := string(AppendReceived(nil, &outside, "mail.x.test"))
		if !strings.HasPrefix(raw, "Received: "+want+"\r\n\tby mail.x.test with UTF8SMTP id abc;\r\n") {
			t.Errorf("%q: %q", helo, raw)
		}
		readBack(t, []byte(raw))
	}
	outside.Peer = netip.MustParseAddr("2001:db8::1%eth0")
	if raw := string(AppendReceived(nil, &outside, "h")); !strings.Contains(raw, "([IPv6:2001:db8::1])") {
		t.Errorf("%q", raw)
	}
	if got := string(AppendDate(nil, at)); got != "Date: Wed, 25 Nov 2026 04:14:15 +0000\r\n" {
		t.Errorf("%q", got)
	}
	if got := string(AppendReturnPath(AppendReturnPath(nil, address.Address{}), to)); got != "Return-Path: <>\r\nReturn-Path: <bob@x.test>\r\n" {
		t.Errorf("%q", got)
	}
	if a, b := NewMessageID("x.test"), NewMessageID("x.test"); a == b || !validMessageID(a) || !strings.HasSuffix(a, "@x.test>") {
		t.Errorf("%q, %q", a, b)
	}
}

func TestTwoBlanksInARowStayTwo(t *testing.T) {
	t.Parallel()
	const login = `"a  b"@example.com`
	field := string(AppendText(nil, "CH-Login", login))
	if got := DecodeText(Unfold([]byte(strings.TrimSuffix(strings.TrimPrefix(field, "CH-Login: "), "\r\n"))), 100); got != login {
		t.Errorf("%q reads %q", field, got)
	}
}
