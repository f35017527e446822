package e2e

import (
	"regexp"
	"testing"

	"github.com/chromedp/chromedp"

	"chmail/internal/browsertest"
)

// TestOnlyAProvedAddressRings: Alice says of one of her mails that she wants to know first who follows its link.
func TestOnlyAProvedAddressRings(t *testing.T) {
	t.Parallel()
	s := twoPeople(t, "")
	link := chatLink(t, s.mailTo(t, "Offer for the roof")) // Bob has one mail by now
	desk := s.desk(t, "/desk")
	desk.Run(chromedp.Click(".to-mails"))
	desk.Until(`document.querySelector('.mails select') !== null`)
	desk.Run(chromedp.SetValue(".mails select", "proved"), chromedp.Click(".mails .terms button"))
	desk.Until(`document.querySelector('.mails option[selected]').value === 'proved' && location.hash.startsWith('#mail-')`)
	desk.Run(chromedp.Click(".back-to-desk"))
	desk.Until(`document.getElementById('desk') && document.getElementById('desk').dataset.line === 'up'`)

	reader := follow(t, link)
	reader.Run(chromedp.SendKeys("#text", "It is me, really.\r"))
	reader.Until(call("unproved"))
	reader.Until(`document.getElementById('address') !== null`)
	said(reader, "It is me, really.")
	desk.Until(`document.querySelector('.call') !== null`)
	reader.Run(chromedp.SendKeys("#address", bob+"\r"))
	eventually(t, startTime, "the mail with the code", func() bool {
		m := s.maildrop(t, bob, bobsPassword)
		defer m.quit()
		return m.count() == 2
	})
	if browsertest.JS[bool](desk, `document.querySelector('.call.ring') !== null`) {
		t.Error("it rings before he has proved his address")
	}
	m := s.maildrop(t, bob, bobsPassword)
	_, body := m.message(2)
	m.quit()
	reader.Run(chromedp.SendKeys("#address-code", regexp.MustCompile(`\b[0-9]{8}\b`).FindString(body)+"\r"))
	reader.Until(call("ringing"))
	desk.Until(`document.querySelector('.call.ring') !== null`)
	desk.Run(chromedp.Click(".call.ring .main"))
	reader.Until(call("answered"))
}
