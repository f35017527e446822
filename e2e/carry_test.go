package e2e

import (
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

	"chmail/internal/browsertest"
)

// TestAConversationIsCarriedToAnotherDevice has a person go on in a second browser by the code that the first shows, with a server that is killed in between.
func TestAConversationIsCarriedToAnotherDevice(t *testing.T) {
	t.Parallel()
	s := twoPeople(t, "")
	link := chatLink(t, s.mailTo(t, "From the desktop to the phone"))
	desktop := follow(t, link)
	desktop.Run(chromedp.SendKeys("#text", "said at the desktop\r"))
	desktop.Until(`document.querySelector('.mine')?.dataset.state === 'sent'`)
	desktop.Run(chromedp.Click("#carry"))
	desktop.Until(`document.querySelector('.carry .code')`)
	code := browsertest.JS[string](desktop, `document.querySelector('.carry .code span').textContent`)
	s.kill()
	s.start(t)

	phone := chromium.Tab(t)
	phone.Run(chromedp.Navigate(s.url()+"/join"), chromedp.SendKeys("#code", strings.ToLower(code)+"\r"))
	phone.Until(`document.readyState === 'complete' && location.href.split('?')[0] === '` + link + `'`)
	phone.MoveMouse()
	phone.Until(`document.querySelector('.mine .said')?.textContent === 'said at the desktop'`)
	phone.Run(chromedp.SendKeys("#text", "and at the phone\r"))
	desktop.Until(`[...document.querySelectorAll('.mine .said')].some((e) => e.textContent === 'and at the phone')`)
	desktop.Run(chromedp.SendKeys("#text", "both go on\r"))
	phone.Until(`document.querySelectorAll('.mine .said').length === 3`)
	s.kill()
	s.start(t)
	phone.Run(chromedp.Reload())
	phone.Until(`document.querySelectorAll('.mine .said').length === 3`)

	other := chromium.Tab(t)
	other.Run(chromedp.Navigate(s.url()+"/join"), chromedp.SendKeys("#code", code+"\r"))
	other.Until(`document.getElementById('fault')`)
}
