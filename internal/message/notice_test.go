package message

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	"net/mail"
	"strings"
	"testing"
	"time"
)

// openNotice builds a notice and takes it apart with the standard library.
func openNotice(t testing.TB, n Notice) (h mail.Header, text, html string) {
	t.Helper()
	raw, err := n.Build()
	if err != nil {
		t.Fatal(err)
	}
	var s Survey
	if _, err := s.Write(raw); err != nil || s.Long || s.NUL || s.High || bytes.Count(raw, []byte("\n")) != bytes.Count(raw, []byte("\r\n")) {
		t.Fatalf("not for the wire: %+v", s)
	}
	if tree := scan(t, raw); tree.Defects != 0 || len(tree.Parts) != 3 {
		t.Fatalf("structure: %s", outline(raw, tree))
	}
	m, err := mail.ReadMessage(bytes.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	kind, params, err := mime.ParseMediaType(m.Header.Get("Content-Type"))
	if err != nil || kind != "multipart/alternative" {
		t.Fatal(kind, err)
	}
	r := multipart.NewReader(m.Body, params["boundary"])
	var body [2]string
	for i := range body {
		p, err := r.NextRawPart()
		if err != nil {
			t.Fatal(err)
		}
		var decoded io.Reader = quotedprintable.NewReader(p)
		if p.Header.Get("Content-Transfer-Encoding") == "base64" {
			decoded = base64.NewDecoder(base64.StdEncoding, p)
		}
		b, err := io.ReadAll(decoded)
		if err != nil {
			t.Fatal(err)
		}
		body[i] = string(b)
	}
	if _, err := r.NextRawPart(); err != io.EOF {
		t.Fatalf("a third part: %v", err)
	}
	return m.Header, body[0], body[1]
}

func TestANoticeTellsTheOwnerWhoCalled(t *testing.T) {
	t.Parallel()
	n := Notice{
		To: "alice@x.test", Host: "mail.x.test", Who: "Bob Übel", Link: "https://chat.x.test/desk/c/42", At: time.Date(2026, 11, 25, 9, 5, 0, 0, time.UTC),
		About: Summary{MessageID: "<1@x.test>", Subject: "Grüße", References: "<0@x.test> <00@x.test>"},
	}
	h, text, html := openNotice(t, n)
	subject, err := new(mime.WordDecoder).DecodeHeader(h.Get("Subject"))
	if err != nil || subject != "Re: Grüße" {
		t.Errorf("subject %q, %v", subject, err)
	}
	for name, want := range map[string]string{
		"From": `"Chat on x.test" <postmaster@x.test>`, "To": "<alice@x.test>", "In-Reply-To": "<1@x.test>", "References": "<0@x.test> <00@x.test> <1@x.test>",
		"Auto-Submitted": "auto-generated", "Mime-Version": "1.0",
	} {
		if h.Get(name) != want {
			t.Errorf("%s: %q, want %q", name, h.Get(name), want)
		}
	}
	if _, err := h.Date(); err != nil || !strings.HasSuffix(h.Get("Message-ID"), "@mail.x.test>") {
		t.Errorf("%v, %q", err, h.Get("Message-ID"))
	}
	for _, body := range []string{text, html} {
		if !strings.Contains(body, "Bob Übel followed the chat link in your mail “Grüße”") || strings.Count(body, n.Link) != 1 || !strings.Contains(body, "25 November 2026 at 09:05 UTC") {
			t.Errorf("%s", body)
		}
	}
	n.Calls, n.Who, n.About = 3, "", Summary{}
	h, text, _ = openNotice(t, n)
	if h.Get("Subject") != "Somebody wants to chat with you" || h.Get("In-Reply-To") != "" || !strings.Contains(text, "There were 3 calls, the last on 25 November 2026 at 09:05 UTC.") {
		t.Errorf("%q, %s", h.Get("Subject"), text)
	}
	n.About.Subject = "RE: x"
	if h, _, _ = openNotice(t, n); h.Get("Subject") != "RE: x" {
		t.Errorf("%q", h.Get("Subject"))
	}
}

// checkHostileNotice holds that strangers' words are words: no field, no part, no markup comes of them.
func checkHostileNotice(t testing.TB, who, subject, refs string) {
	t.Helper()
	for _, lang := range []string{"en", "ja", "ko"} {
		checkHostileNoticeIn(t, lang, who, subject, refs)
	}
}

func checkHostileNoticeIn(t testing.TB, lang, who, subject, refs string) {
	t.Helper()
	h, _, html := openNotice(t, Notice{
		To: "alice@x.test", Host: "mail.x.test", Who: who, Link: "https://chat.x.test/desk/c/42",
		About: Summary{MessageID: refs, Subject: subject, References: refs}, Language: lang,
	})
	for name, values := range h {
		if len(values) != 1 || !strings.Contains(" From To Subject Date Message-Id In-Reply-To References Auto-Submitted Content-Language Mime-Version Content-Type ", " "+name+" ") {
			t.Fatalf("field %s: %q", name, values)
		}
	}
	// The mail's own tags, and none besides.
	if strings.Count(html, "<") != strings.Count(noticeTags, "<") || strings.Count(html, "\"") != strings.Count(noticeTags, "\"") {
		t.Fatalf("markup from %q, %q: %s", who, subject, html)
	}
}

var noticeTags = (&Notice{Link: "https://chat.x.test/desk/c/42"}).html()

func TestHostileWordsAddNothingToANotice(t *testing.T) {
	t.Parallel()
	for _, s := range []string{
		"x\r\nBcc: y@z.test", "<script>alert(1)</script>", "\"><img src=x>", "&lt;", "=?utf-8?q?=0D=0ABcc:_y?=", "\x00", "--chmail-", "\r\n\r\nbody", "\u202eevil",
		strings.Repeat("<", 5000), "' onclick='x",
	} {
		checkHostileNotice(t, s, s, s)
	}
	for _, n := range []Notice{
		{To: "alice", Link: "https://x.test/"}, {To: "a@x.test\r\nBcc: y@z.test", Link: "https://x.test/"}, {To: "a@x.test", Link: "javascript:alert(1)"},
		{To: "a@x.test", Link: "https://x.test/\r\n"}, {To: "a@x.test", Link: "https://x.test/\"><script>"}, {To: "a@x.test"}, {To: "a@x.test", Link: "https:///x"},
	} {
		if raw, err := n.Build(); err == nil {
			t.Errorf("%+v was built: %s", n, raw)
		}
	}
}

func FuzzNotice(f *testing.F) {
	f.Add("Bob", "x\r\ny: z", "<a@b>")
	f.Add("<b>", "=?utf-8?b?PGI+?=", "<a@b> <c@d")
	f.Fuzz(func(t *testing.T, who, subject, refs string) { checkHostileNotice(t, who, subject, refs) })
}

func TestANoticeShowsWhatWasSaid(t *testing.T) {
	t.Parallel()
	n := Notice{To: "alice@x.test", Host: "mail.x.test", Link: "https://chat.x.test/desk/c/42", At: time.Date(2026, 11, 25, 9, 5, 0, 0, time.UTC)}
	_, text, html := openNotice(t, n)
	if strings.Contains(text, "Written") || strings.Contains(html, "blockquote") {
		t.Errorf("nothing was said:\n%s\n%s", text, html)
	}
	n.Said = []string{"Are you\r\n.\r\nthere?", "<script>alert(1)</script> & \x1b[2J\u202e", "\x00\x01", strings.Repeat("long ", 1000)}
	_, text, html = openNotice(t, n)
	for _, want := range []string{"Written in the chat:\r\n\r\n> Are you . there?\r\n> <script>alert(1)</script> & [2J\r\n> long long", "Answer here:"} {
		if !strings.Contains(text, want) {
			t.Errorf("the text has no %q:\n%s", want, text)
		}
	}
	if !strings.Contains(html, "<p dir=\"auto\">&lt;script&gt;alert(1)&lt;/script&gt; &amp; [2J</p>") || strings.Contains(html, "<script") {
		t.Errorf("html:\n%s", html)
	}
	if len(text) > 1500 {
		t.Errorf("a long message makes a notice of %d octets", len(text))
	}
	n.Said = nil
	for i := range MaxSaid + 1 {
		n.Said = append(n.Said, fmt.Sprint("message ", i))
	}
	_, text, _ = openNotice(t, n)
	if strings.Contains(text, "message 0\r") || !strings.Contains(text, "> …\r\n> message 1\r\n") || !strings.Contains(text, "> message 10\r\n") {
		t.Errorf("of many, the latest:\n%s", text)
	}
	for _, language := range []string{"ja", "ko"} {
		n.Language, n.Said = language, []string{"여기 계신가요? いらっしゃいますか？"}
		if _, text, html := openNotice(t, n); !strings.Contains(text, "> 여기 계신가요?") || !strings.Contains(html, "いらっしゃいますか") {
			t.Errorf("%s:\n%s", language, text)
		}
	}
}
