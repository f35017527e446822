package message

import (
	"bytes"
	"mime"
	"net/mail"
	"strings"
	"testing"
	"time"
)

func TestACodeIsMailedWithoutAnythingElse(t *testing.T) {
	t.Parallel()
	for language, want := range map[string]string{"en": "Your chat code", "ja": "チャットのコード", "ko": "채팅 코드"} {
		raw, err := (&Code{To: "bob@y.test", From: "x.test", Host: "mail.x.test", Code: "12345678", At: time.Now(), Language: language}).Build()
		if err != nil {
			t.Fatal(err)
		}
		m, err := mail.ReadMessage(bytes.NewReader(raw))
		if err != nil {
			t.Fatal(err)
		}
		subject, err := new(mime.WordDecoder).DecodeHeader(m.Header.Get("Subject"))
		if err != nil || subject != want || !strings.Contains(m.Header.Get("From"), "<postmaster@x.test>") || m.Header.Get("To") != "<bob@y.test>" || m.Header.Get("In-Reply-To") != "" {
			t.Errorf("%s: %v, %v", language, m.Header, err)
		}
	}
	if _, err := (&Code{To: "bob\r\nBcc: x@y.test", From: "x.test"}).Build(); err == nil {
		t.Error("an address with a line end is taken")
	}
}

func TestAVisitorIsAnsweredInTheThread(t *testing.T) {
	t.Parallel()
	tr := Transcript{
		To: "bob@y.test", Host: "mail.x.test", For: "alice@x.test", Who: "Alice Example", New: true, At: time.Now(), About: Summary{MessageID: "<1@x.test>", Subject: "Offer for the roof"},
		Said: []Said{{At: time.Date(2026, 11, 26, 9, 5, 0, 0, time.UTC), Text: "It does."}},
	}
	raw, err := tr.Build()
	if err != nil {
		t.Fatal(err)
	}
	m, err := mail.ReadMessage(bytes.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"Reply-To": "<alice@x.test>", "To": "<bob@y.test>", "In-Reply-To": "<1@x.test>", "From": `"Chat on x.test" <postmaster@x.test>`, "Subject": "Re: Offer for the roof"} {
		if got := m.Header.Get(name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	want := "Alice Example has answered in your chat about the mail “Offer for the roof”:\r\n\r\n26 November 2026 UTC\r\n\r\n09:05  Alice Example\r\n> It does.\r\n\r\n" +
		"To go on, follow the chat link in that mail again, or answer this one: it goes to alice@x.test.\r\n"
	if text := tr.text(); text != want {
		t.Errorf("%q", text)
	}
}
