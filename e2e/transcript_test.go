package e2e

import (
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
