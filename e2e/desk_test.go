package e2e

import (
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// TestTheDeskHelpsToTalk goes through the built program: in a moment, who writes, what is seen, canned answers, and what is found.
func TestTheDeskHelpsToTalk(t *testing.T) {
	t.Parallel()
	s := twoPeople(t, "")
	link := chatLink(t, s.mailTo(t, "Offer for the roof"))
	desk := s.desk(t, "/desk")
	reader := follow(t, link)
	reader.MoveMouse()
	desk.Until(`document.querySelector('.call.ring') !== null`)
	desk.Run(chromedp.Click(".call.ring button:nth-of-type(2)"))
	reader.Until(call("moment"))
	desk.Until(`document.querySelector('.call.visit .call-who')?.textContent.includes('in a moment') && !document.title.startsWith('☎')`)
	desk.Run(chromedp.Click(".call.visit .main"))
	reader.Until(call("answered"))

	reader.Run(chromedp.SendKeys("#text", "Does it include"))
	desk.Until(`document.querySelector('.talk .typing').textContent !== ''`)
	reader.Run(chromedp.SendKeys("#text", " the Ｓcaffolding?\r"))
	reader.Until(`document.querySelector('.mine .reach').textContent === 'seen'`)

	desk.Run(chromedp.Click(".canned"))
	desk.Until(`document.getElementById('phrases').open`)
	desk.Run(chromedp.SendKeys("#phrases-text", "It does, for two weeks."), chromedp.Click("#phrases-save"))
	desk.Until(`document.querySelectorAll('.phrase').length === 1`)
	desk.Run(chromedp.KeyEvent(kb.ArrowDown), chromedp.KeyEvent(kb.Enter))
	desk.Until(`document.activeElement.value === 'It does, for two weeks.'`)
	desk.Run(chromedp.KeyEvent(kb.Enter))
	said(reader, "Does it include the Ｓcaffolding?", "It does, for two weeks.")
	desk.Until(`document.querySelector('.talk .mine .reach').textContent === 'seen'`)

	desk.Run(chromedp.SendKeys("#find-words", "SCAFFOLDING roof\r")) // the one in what was said, the other in the subject
	desk.Until(`document.querySelectorAll('#found .hit').length === 1`)
	desk.Run(chromedp.Click("#found .hit"))
	desk.Until(`document.querySelector('.log .found .said')?.textContent === 'Does it include the Ｓcaffolding?'`)
}
