package e2e

import (
	"bytes"
	"encoding/base64"
	"errors"
	"io"
	"math/rand/v2"
	"mime"
	"mime/multipart"
	"net/http"
	"net/mail"
	"regexp"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
)

// TestATranscriptIsInTheOriginalsThread ends a conversation at the desk and fetches what was said by POP3.
func TestATranscriptIsInTheOriginalsThread(t *testing.T) {
	t.Parallel()
	s := twoPeople(t, "")
	msg := s.mailTo(t, "Offer for the roof")
	desk := s.desk(t, "/desk")
	reader := follow(t, chatLink(t, msg))
	reader.Run(chromedp.SendKeys("#name", "Bob Brown"), chromedp.SendKeys("#text", "Does it include the scaffolding?\r"))
	desk.Until(`document.querySelector('.call.ring') !== null`)
	desk.Run(chromedp.Click(".call.ring .main"))
	reader.Until(call("answered"))
	desk.Run(chromedp.SendKeys(".talk:not([hidden]) textarea", "It does, for two weeks.\r"))
	said(reader, "Does it include the scaffolding?", "It does, for two weeks.")
	desk.Run(chromedp.Click(".acts summary"), chromedp.Click("[data-act=end]"), chromedp.Click("#sure-yes"))
	reader.Until(call("ended"))
	eventually(t, startTime, "a transcript", func() bool {
		m := s.maildrop(t, alice, alicesPassword)
		defer m.quit()
		return m.count() == 1
	})
	m := s.maildrop(t, alice, alicesPassword)
	defer m.quit()
	transcript, body := m.message(1)
	if id := msg.Header.Get("Message-ID"); transcript.Header.Get("In-Reply-To") != id || !strings.Contains(transcript.Header.Get("References"), id) {
		t.Errorf("the transcript is not in the original's thread: %v", transcript.Header)
	}
	if !strings.Contains(body, "Bob Brown\n> Does it include the scaffolding?\n") || !strings.Contains(body, "You\n> It does, for two weeks.\n") {
		t.Errorf("the transcript:\n%s", body)
	}
}

// TestAReaderProvesHisAddress leaves an address on the page, fetches the code by POP3, and has the conversation mailed.
func TestAReaderProvesHisAddress(t *testing.T) {
	t.Parallel()
	s := twoPeople(t, "")
	msg := s.mailTo(t, "Offer for the roof") // Bob has one mail by now
	reader := follow(t, chatLink(t, msg))
	reader.Run(chromedp.SendKeys("#text", "Does it include the scaffolding?\r"))
	said(reader, "Does it include the scaffolding?")
	reader.Run(chromedp.Click("#leave-address"))
	reader.Until(`document.activeElement.id === 'address'`)
	typed := strings.ToUpper(bob[:1]) + bob[1:] // as phones do
	reader.Run(chromedp.SendKeys("#address", typed+"\r"))
	reader.Until(`document.activeElement.id === 'address-code'`)
	fetched := func(n int) (*mail.Message, string) {
		t.Helper()
		eventually(t, startTime, "a mail", func() bool {
			m := s.maildrop(t, bob, bobsPassword)
			defer m.quit()
			return m.count() == n
		})
		m := s.maildrop(t, bob, bobsPassword)
		defer m.quit()
		return m.message(n)
	}
	_, body := fetched(2)
	code := regexp.MustCompile(`\b[0-9]{8}\b`).FindString(body)
	reader.Run(chromedp.SendKeys("#address-code", code+"\r"))
	reader.Until(`document.querySelector('#address-box [role=status]').textContent.includes('reaches you at ` + typed + `')`)
	reader.Run(chromedp.Click("#address-box .choices button"))
	conversation, body := fetched(3)
	if id := msg.Header.Get("Message-ID"); conversation.Header.Get("In-Reply-To") != id || conversation.Header.Get("Reply-To") != "<"+alice+">" {
		t.Errorf("header: %v", conversation.Header)
	}
	if !strings.Contains(body, "You\n> Does it include the scaffolding?\n") {
		t.Errorf("the conversation:\n%s", body)
	}
}

// TestFilesAreInTheTranscript: those that fit are attached, byte for byte; the other is found at the desk.
func TestFilesAreInTheTranscript(t *testing.T) {
	t.Parallel()
	s := twoPeople(t, "")
	link := chatLink(t, s.mailTo(t, "Offer for the roof"))
	bobs := s.sender(t, link)
	seed := rand.NewChaCha8([32]byte{1})
	large, second, small := make([]byte, 9<<20), make([]byte, 5<<20), []byte("<script>alert(1)</script>")
	seed.Read(large)
	seed.Read(second)
	var sent []answer
	for name, body := range map[string][]byte{"large.bin": large, "plan, größer.html": small} {
		a, err := bobs.send(t.Context(), name[:5], name, bytes.NewReader(body))
		if err != nil || a.status != http.StatusCreated {
			t.Fatalf("%s: %+v, %v", name, a, err)
		}
		sent = append(sent, a)
	}
	a, err := bobs.send(t.Context(), "second", "second.bin", bytes.NewReader(second))
	if err != nil || a.status != http.StatusCreated {
		t.Fatalf("second.bin: %+v, %v", a, err)
	}
	desk := s.desk(t, "/desk/c/"+sent[0].Conv)
	desk.Until(`document.querySelector('.acts summary') !== null`)
	desk.Run(chromedp.Click(".acts summary"), chromedp.Click("[data-act=end]"), chromedp.Click("#sure-yes"))
	var raw string
	eventually(t, 2*startTime, "a transcript", func() bool {
		m := s.maildrop(t, alice, alicesPassword)
		defer m.quit()
		for n := m.count(); n > 0; n-- { // a notice may have come before it
			if raw = m.raw(n); strings.Contains(raw, "multipart/mixed") {
				return true
			}
		}
		return false
	})
	msg, err := mail.ReadMessage(strings.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	_, params, err := mime.ParseMediaType(msg.Header.Get("Content-Type"))
	if err != nil {
		t.Fatal(err)
	}
	got := make(map[string][]byte)
	for r := multipart.NewReader(msg.Body, params["boundary"]); ; {
		p, err := r.NextRawPart()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if p.FileName() == "" {
			continue
		}
		if got[p.FileName()], err = io.ReadAll(base64.NewDecoder(base64.StdEncoding, p)); err != nil {
			t.Fatal(err)
		}
	}
	if len(got) != 2 || !bytes.Equal(got["large.bin"], large) || !bytes.Equal(got["plan, größer.html"], small) {
		t.Errorf("attached: %d files, %d octets of large.bin, %q", len(got), len(got["large.bin"]), got["plan, größer.html"])
	}
	if where := "/desk/c/" + a.Conv + "/files/" + a.File.ID; !strings.Contains(strings.NewReplacer("=\r\n", "", "=\n", "").Replace(raw), where) {
		t.Errorf("the mail does not say that the other file is at %s", where)
	}
}
