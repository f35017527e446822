package e2e

import (
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
)

// TestAColleagueIsBroughtIn has the owner invite a colleague whose desk is closed: he finds a mail, then the invitation at his desk, and takes part
// under the name of his account.
func TestAColleagueIsBroughtIn(t *testing.T) {
	t.Parallel()
	s := newServer(t, "")
	domain := alice[strings.Index(alice, "@"):]
	dora, dorasPassword := "dora"+domain, "dora and her long password"
	s.account(t, alice, alicesPassword)
	s.account(t, bob, bobsPassword)
	s.account(t, dora, dorasPassword)
	s.start(t)
	reader := follow(t, chatLink(t, s.mailTo(t, "The roof")))
	reader.Run(chromedp.SendKeys("#text", "between the two of us\r"))
	reader.Until(`document.querySelector('.mine')?.dataset.state === 'sent'`)
	desk := s.desk(t, "/desk")
	desk.Until(`document.querySelector("#conversations a")`)
	desk.Run(chromedp.Click("#conversations a"))
	desk.Until(`document.querySelector('.theirs .said')`)
	invite := func(login string) {
		desk.Run(chromedp.Click(".acts summary"), chromedp.Click(`[data-act="colleague"]`))
		desk.Until(`document.getElementById('colleague').open`)
		desk.Run(chromedp.SendKeys("#colleague-login", login+"\r"))
	}
	invite("nobody" + domain)
	desk.Until(`document.querySelector('.pane-guests [role=status]').textContent.includes('Nobody can be invited')`)
	invite(dora)
	desk.Until(`document.querySelector('.awaited li')?.textContent.includes('` + dora + `')`)
	m := s.maildrop(t, dora, dorasPassword)
	for m.count() == 0 {
		m.quit()
		m = s.maildrop(t, dora, dorasPassword)
	}
	if _, body := m.message(1); !strings.Contains(body, alice) || !strings.Contains(body, "/desk") {
		t.Errorf("she is told: %s", body)
	}
	m.quit()

	hers := chromium.Tab(t)
	hers.Run(chromedp.Navigate(s.url() + "/desk"))
	hers.Until(`document.getElementById('user') !== null`)
	hers.Run(chromedp.SendKeys("#user", dora), chromedp.SendKeys("#password", dorasPassword+"\r"))
	hers.Until(`document.querySelector('.invitation')?.textContent.includes('` + alice + `') && document.querySelector('.invitation').textContent.includes('The roof')`)
	hers.Until(`(document.querySelector('.invitation form').target = '') === ''`) // in this window
	hers.Run(chromedp.Click(".invitation .main"))
	hers.Until(`location.pathname.startsWith('/t/') && document.getElementById('reader')?.dataset.line === 'up'`)
	hers.Run(chromedp.SendKeys("#text", "I know about roofs\r"))
	hers.Until(`document.querySelector('.mine')?.dataset.state === 'sent' && !document.body.textContent.includes('between the two')`)
	reader.Until(`[...document.querySelectorAll('.theirs .author')].some((e) => e.textContent.endsWith('<` + dora + `> (colleague)'))`)
	desk.Until(`[...document.querySelectorAll('.theirs .author')].some((e) => e.textContent.endsWith('<` + dora + `> (colleague)')) && document.querySelector('.awaited').hidden`)
	desk.Run(chromedp.Click(".pane-guests li button"), chromedp.Click("#sure-yes"))
	hers.Until(`document.getElementById('text').disabled`)
}
