package message

import (
	"bytes"
	"mime"
	"net/mail"
	"strings"
	"testing"
	"time"
)

func TestATranscriptTellsWhatWasSaid(t *testing.T) {
	t.Parallel()
	day := time.Date(2026, 11, 26, 9, 5, 0, 0, time.UTC)
	tr := Transcript{
		To: "alice@x.test", Host: "mail.x.test", Who: "Bob\r\nBcc: x@y.test", Link: "https://chat.x.test/desk/c/42", At: day.Add(time.Hour), Ended: true, More: true,
		About: Summary{MessageID: "<1@x.test>", Subject: "Offer for the roof", References: "<0@x.test>"},
		Said: []Said{
			{At: day.Add(-24 * time.Hour), Text: "Are you there?"},
			{At: day, Mine: true, Text: "Yes.\nFor two weeks.\n\n.\n<script>alert(1)</script>\x1b[2J"},
			{At: day.Add(time.Minute), File: "plan\r\n.pdf"},
		},
	}
	raw, err := tr.Build()
	if err != nil {
		t.Fatal(err)
	}
	var s Survey
	if _, err := s.Write(raw); err != nil || s.Long || s.NUL || s.High {
		t.Fatalf("not for the wire: %+v", s)
	}
	m, err := mail.ReadMessage(bytes.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	if m.Header.Get("Bcc") != "" || m.Header.Get("In-Reply-To") != "<1@x.test>" || m.Header.Get("References") != "<0@x.test> <1@x.test>" || m.Header.Get("Subject") != "Re: Offer for the roof" || m.Header.Get("Auto-Submitted") != "auto-generated" {
		t.Errorf("header: %v", m.Header)
	}
	text := tr.text()
	want := "Your chat with Bob Bcc: x@y.test about your mail “Offer for the roof”:\r\n\r\nThere was more before this; the conversation at your desk has all of it.\r\n\r\n" +
		"25 November 2026 UTC\r\n\r\n09:05  Bob Bcc: x@y.test\r\n> Are you there?\r\n\r\n26 November 2026 UTC\r\n\r\n09:05  You\r\n> Yes.\r\n> For two weeks.\r\n> \r\n> .\r\n> <script>alert(1)</script> [2J\r\n\r\n" +
		"09:06  Bob Bcc: x@y.test\r\n> File: plan .pdf (not attached; it is in the conversation)\r\n\r\nYou have ended the conversation.\r\n\r\nThe conversation at your desk:\r\nhttps://chat.x.test/desk/c/42\r\n"
	if text != want {
		t.Errorf("text:\n%q\nwant:\n%q", text, want)
	}
	if html := tr.html(); strings.Contains(html, "<script") || !strings.Contains(html, "Yes.<br>\r\nFor two weeks.") || !strings.Contains(html, "&lt;script&gt;") {
		t.Errorf("html:\n%s", html)
	}
	for _, bad := range []Transcript{{To: "nobody", Link: tr.Link}, {To: tr.To, Link: "javascript:alert(1)"}} {
		if _, err := bad.Build(); err == nil {
			t.Errorf("%+v is built", bad)
		}
	}
}

func TestATranscriptSpeaksItsOwnersLanguage(t *testing.T) {
	t.Parallel()
	for language, want := range map[string]string{"ja": "Bob さんとのチャット", "ko": "Bob 님과의 채팅", "": "Chat with Bob"} {
		tr := Transcript{To: "alice@x.test", Host: "mail.x.test", Who: "Bob", Link: "https://chat.x.test/desk/c/42", At: time.Now(), Language: language, Said: []Said{{At: time.Now(), Text: "hello"}}}
		raw, err := tr.Build()
		if err != nil {
			t.Fatal(err)
		}
		m, err := mail.ReadMessage(bytes.NewReader(raw))
		if err != nil {
			t.Fatal(err)
		}
		if subject, err := new(mime.WordDecoder).DecodeHeader(m.Header.Get("Subject")); err != nil || subject != want {
			t.Errorf("%q: subject %q, %v", language, subject, err)
		}
	}
}
