package e2e

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/chromedp/chromedp"

	"chmail/internal/browsertest"
)

// TestThreePeopleTalk has the owner bring a guest into a conversation: three browsers, and a server that is killed in between.
func TestThreePeopleTalk(t *testing.T) {
	t.Parallel()
	s := twoPeople(t, "")
	link := chatLink(t, s.mailTo(t, "The roof"))
	reader := follow(t, link)
	reader.Run(chromedp.SendKeys("#text", "between the two of us\r"))
	reader.Until(`document.querySelector('.mine')?.dataset.state === 'sent'`)
	desk := s.desk(t, "/desk")
	desk.Until(`document.querySelector("#conversations a")`)
	desk.Run(chromedp.Click("#conversations a"))
	desk.Until(`document.querySelector('.theirs .said')`)
	desk.Run(chromedp.Click(".acts summary"), chromedp.Click(`[data-act="invite"]`))
	desk.Until(`document.getElementById('sure').open`)
	desk.Run(chromedp.Click("#sure-yes"))
	desk.Until(`document.querySelector('.pane-guests .code')`)
	code := browsertest.JS[string](desk, `document.querySelector('.pane-guests .code').textContent`)

	guest := chromium.Tab(t)
	guest.Run(chromedp.Navigate(s.url()+"/join"), chromedp.SendKeys("#code", code+"\r"))
	guest.Until(`location.pathname.startsWith('/t/') && document.getElementById('reader')?.dataset.line === 'up'`)
	guest.Run(chromedp.SendKeys("#name", "Carla"), chromedp.SendKeys("#text", "I know about roofs\r"))
	guest.Until(`document.querySelector('.mine')?.dataset.state === 'sent'`)
	for who, b := range map[string]*browsertest.Tab{"the reader": reader, "the desk": desk} {
		b.Until(`[...document.querySelectorAll('.theirs')].some((e) => e.querySelector('.said').textContent === 'I know about roofs' && e.querySelector('.author').textContent === 'Carla')`)
		t.Logf("%s hears the guest", who)
	}
	desk.Run(chromedp.SendKeys(".talk:not([hidden]) textarea", "good\r"))
	guest.Until(`[...document.querySelectorAll('.theirs .said')].some((e) => e.textContent === 'good')`)
	plan := filepath.Join(t.TempDir(), "plan.txt")
	if err := os.WriteFile(plan, []byte("three towers"), 0o600); err != nil {
		t.Fatal(err)
	}
	guest.Until(`document.querySelector('.attach input:not([capture])')?.disabled === false`)
	guest.Run(chromedp.SetUploadFiles(`.attach input:not([capture])`, []string{plan}))
	for who, b := range map[string]*browsertest.Tab{"the reader": reader, "the desk": desk, "the guest": guest} {
		b.Until(`[...document.querySelectorAll('.said a')].some((e) => e.textContent === 'plan.txt')`)
		browsertest.JS[bool](b, `(fetch([...document.querySelectorAll('.said a')].find((e) => e.textContent === 'plan.txt').href).then((r) => r.text()).then((text) => { window.read = text }), true)`)
		b.Until(`window.read === 'three towers'`)
		t.Logf("%s has the file", who)
	}
	s.kill()
	s.start(t)
	reader.Run(chromedp.SendKeys("#text", "all three are here\r"))
	guest.Until(`[...document.querySelectorAll('.theirs .said')].some((e) => e.textContent === 'all three are here')`)
	if browsertest.JS[bool](guest, `document.body.textContent.includes('between the two')`) {
		t.Error("the guest sees what was said before")
	}
	desk.Until(`document.getElementById('desk').dataset.line === 'up' && document.querySelector('.pane-guests li button')`)
	desk.Run(chromedp.Click(".pane-guests li button"), chromedp.Click("#sure-yes"))
	guest.Until(`document.getElementById('text').disabled`)
	reader.Until(`[...document.querySelectorAll('.happened')].some((e) => e.textContent.includes('Carla has been removed'))`)
}

// TestAnotherReaderOfTheMailIsBroughtIn: both follow the link of one mail, each talks with Alice alone, until she brings Mina into the conversation with Bob.
func TestAnotherReaderOfTheMailIsBroughtIn(t *testing.T) {
	t.Parallel()
	s := twoPeople(t, "")
	link := chatLink(t, s.mailTo(t, "The roof"))
	bobs, minas := follow(t, link), follow(t, link)
	for name, b := range map[string]*browsertest.Tab{"Bob": bobs, "Mina": minas} {
		b.Run(chromedp.SendKeys("#name", name), chromedp.SendKeys("#text", "only for Alice\r"))
		b.Until(`document.querySelector('.mine')?.dataset.state === 'sent'`)
	}
	desk := s.desk(t, "/desk")
	desk.Until(`document.querySelectorAll("#conversations a").length === 2 && document.querySelector('#conversations a[data-who="Bob"]') !== null`)
	desk.Run(chromedp.Click(`#conversations a[data-who="Bob"]`))
	desk.Until(`document.querySelector('.talk:not([hidden]) .theirs .said')`)
	desk.Run(chromedp.Click(".talk:not([hidden]) .acts summary"), chromedp.Click(`.talk:not([hidden]) [data-act="readers"]`))
	desk.Until(`document.getElementById('readers').open && document.getElementById('readers-list').textContent.includes('Mina')`)
	desk.Run(chromedp.Click("#readers-yes"))
	desk.Until(`document.querySelector('.talk:not([hidden]) .pane-guests p').textContent.startsWith('Mina has been written')`)
	minas.Until(`document.querySelector('.theirs .said a[href*="/join?code="]') !== null`)
	if browsertest.JS[bool](bobs, `document.body.textContent.includes('/join')`) {
		t.Error("Bob sees what Mina was written")
	}
	there := browsertest.JS[string](minas, `document.querySelector('.theirs .said a').href`)
	minas.Run(chromedp.Navigate(there))
	minas.Until(`document.getElementById('code')?.value.length === 12`)
	minas.Run(chromedp.SendKeys("#code", "\r"))
	minas.Until(`location.pathname.startsWith('/t/') && document.getElementById('reader')?.dataset.line === 'up'`)
	minas.Run(chromedp.SendKeys("#text", "now the three of us\r"))
	bobs.Until(`[...document.querySelectorAll('.theirs .said')].some((e) => e.textContent === 'now the three of us')`)
	if browsertest.JS[bool](minas, `document.body.textContent.includes('only for Alice')`) {
		t.Error("Mina sees what was said before")
	}
	minas.Run(chromedp.Navigate(link)) // her own conversation is where it was
	minas.MoveMouse()
	minas.Until(`[...document.querySelectorAll('.mine .said')].some((e) => e.textContent === 'only for Alice')`)
}
