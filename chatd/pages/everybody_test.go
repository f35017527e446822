package pages

import (
	"context"
	_ "embed"
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"

	"chmail/chatd"
	"chmail/internal/browsertest"
	"chmail/internal/call"
)

//go:embed testdata/audit.js
var auditScript string

// audit lists what keeps somebody from using the page as it is now, also with all text at twice its size.
func audit(t *testing.T, b *browsertest.Tab, page string) {
	t.Helper()
	axe := axeScript(t)
	for _, size := range []string{"100%", "200%"} {
		browsertest.JS[bool](b, `(document.documentElement.style.fontSize = '`+size+`', true)`)
		if axe != "" && (size == "100%" || browsertest.JS[string](b, `document.documentElement.lang`) == "en") {
			browsertest.JS[bool](b, axe+`;(window.violations = null, axe.run().then((r) => { window.violations = r.violations.flatMap((v) => v.nodes.map((n) => v.id + ': ' + n.target + ': ' + n.failureSummary)) }), true)`)
			b.Until(`window.violations`)
			for _, fault := range browsertest.JS[[]string](b, `window.violations`) {
				t.Errorf("%s at %s: axe: %s", page, size, fault)
			}
		}
		for _, fault := range browsertest.JS[[]string](b, auditScript) {
			t.Errorf("%s at %s: %s", page, size, fault)
		}
	}
	browsertest.JS[bool](b, `(document.documentElement.style.fontSize = '', true)`)
}

// axeScript is axe-core, which ./script/test fetches; CHMAIL_AXE is where it lies. Without it the pages are held against this project's own audit only, and
// with CI=true the test fails.
func axeScript(t *testing.T) string {
	t.Helper()
	file := os.Getenv("CHMAIL_AXE")
	if file == "" {
		if os.Getenv("CI") == "true" {
			t.Fatal("CHMAIL_AXE does not name axe-core: ./script/test fetches it")
		}
		return ""
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// onPhone makes the tab the smallest phone there is, in the given colours.
func onPhone(b *browsertest.Tab, scheme string) {
	media := emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{
		{Name: "prefers-color-scheme", Value: scheme}, {Name: "prefers-reduced-motion", Value: "reduce"},
	}}
	b.Run(chromedp.EmulateViewport(320, 568), func(ctx context.Context, target *chromedp.Target) (chromedp.Void, error) {
		_, err := cdp.Call(ctx, target, emulation.SetEmulatedMedia, media)
		return chromedp.Void{}, err
	})
}

func TestEverybodyCanUseThePages(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ lang, scheme string }{{"en", "light"}, {"en", "dark"}, {"ja", "light"}, {"ko", "dark"}} {
		t.Run(c.lang+" "+c.scheme, func(t *testing.T) {
			t.Parallel()
			h, b := newHouse(t), speaking(t, c.lang)
			onPhone(b, c.scheme)
			auditReader(t, h, b)
			auditDesk(t, h, b)
		})
	}
}

func auditReader(t *testing.T, h *house, b *browsertest.Tab) {
	h.links.link.Name = "Alexandra Wolfeschlegelsteinhausenbergerdorff"
	h.links.link.Mail.Subject = "Angebot_für_die_Donaudampfschifffahrtsgesellschaft_2026_endgültig.pdf"
	b.Run(chromedp.Navigate(h.url + "/c/" + goodToken))
	audit(t, b, "reader, opened")
	b.MoveMouse()
	p := next(t, h.chat.readers)
	p.expect(t, "join")
	p.send(t, frame{"t": "joined", "conv": "c1", "last": 0}, frame{"t": "call", "state": "retrying"},
		frame{"t": "event", "n": 1, "kind": "say", "from": "owner", "at": time.Now(), "text": "https://example.com/" + goodToken + goodToken + goodToken + goodToken},
		frame{"t": "event", "n": 2, "kind": "say", "from": "visitor", "at": time.Now(), "text": "Thank you"})
	b.Until(`document.querySelectorAll('.said').length === 2`)
	b.Run(chromedp.SendKeys("#text", "on its way\r"))
	audit(t, b, "reader, talking")
	h.chat.keepPicture(t, "roof")
	p.send(t, filed(3, "owner", strings.Repeat("Donaudampfschifffahrtsgesellschaft", 3)+".pdf", frame{"id": "offer", "type": "application/octet-stream", "size": 21504}),
		filed(4, "owner", "roof.jpg", frame{"id": "roof", "type": "image/jpeg", "size": 3 << 20, "width": 1600, "height": 1200}),
		filed(5, "visitor", "mine.jpg", frame{"id": "roof", "type": "image/jpeg", "size": 3 << 20, "width": 1600, "height": 1200}), filed(6, "owner", "", nil))
	h.chat.fakeFiles.fail = errors.New("broken") // so that one waits
	b.Until(choosable)
	b.Run(chromedp.SetUploadFiles(chooser, []string{fileToSend(t, "waits.txt", "x"), fileToSend(t, "large.bin", strings.Repeat("x", 10<<20+1))}))
	b.Until(`document.querySelectorAll('.log img').length === 2 && [...document.querySelectorAll('.log img')].every((i) => i.complete) && document.querySelector('.mine[data-state=refused]') !== null && document.querySelector('.mine[data-state=waiting] progress') !== null`)
	audit(t, b, "reader, with files")
	browsertest.JS[bool](b, `(document.querySelector('.mine progress').parentElement.querySelector('.foot button').click(), true)`) // or leaving would be asked back
	h.chat.hangUp()
	b.Until(`document.getElementById('reader').dataset.line === 'down'`)
	audit(t, b, "reader, without a line")
	b.Run(chromedp.Navigate(h.url + "/c/expired"))
	audit(t, b, "not found")
}

// larger sets all text at twice its size, as who sees badly does.
func larger(b *browsertest.Tab) {
	browsertest.JS[bool](b, `(document.documentElement.style.fontSize = '200%', true)`)
}

func auditDesk(t *testing.T, h *house, b *browsertest.Tab) {
	h.chat.talks = []chatd.Talk{{ID: "c2", Who: "Oskar Lindqvist of the very long company name", About: "Invoice", Text: "See you then", State: "answered", Unread: 2, At: time.Now()}}
	b.Run(chromedp.Navigate(h.url + "/desk"))
	audit(t, b, "sign-in")
	b.Run(chromedp.SendKeys("#user", alice), chromedp.SendKeys("#password", "wrong\r"))
	b.Until(`document.querySelector('.fault') !== null`)
	audit(t, b, "sign-in, wrong password")
	b.Run(chromedp.SendKeys("#password", "right\r"))
	p := next(t, h.chat.desks)
	b.Until(`document.getElementById('desk') && document.getElementById('desk').dataset.line === 'up'`)
	missed := ring("k0", "c3")
	missed["missed"] = true
	p.send(t, missed, frame{"t": "visit", "call": "k2", "conv": "c9", "who": "", "about": ""}, ring("k1", "c1"))
	b.Until(`document.querySelectorAll('.call').length === 3`)
	p.send(t, frame{"t": "rest", "on": true, "left_ms": 50_000_000}, frame{"t": "blocked", "talks": []frame{{"conv": "c4", "who": "Mallory", "about": "Invoice", "at": time.Now()}}})
	b.Run(chromedp.Click("#rest"))
	browsertest.JS[bool](b, `document.getElementById('blocked').open = true`)
	b.Until(`!document.getElementById('rest-state').hidden`)
	audit(t, b, "desk, ringing")
	b.Run(chromedp.Click(".call.ring .main"))
	p.expect(t, "open")
	p.send(t, frame{"t": "call", "conv": "c1", "state": "answered"}, frame{"t": "event", "conv": "c1", "n": 1, "kind": "say", "from": "visitor", "at": time.Now(), "text": "Good morning!"})
	b.Until(`document.querySelectorAll('.said').length === 1`)
	b.Run(chromedp.Click(".acts summary"))
	p.send(t, frame{"t": "link", "conv": "c1", "works": true})
	b.Until(`!document.querySelector('[data-act=revoke]').hidden`)
	audit(t, b, "desk, talking")
	b.Run(chromedp.Click("[data-act=end]"))
	audit(t, b, "desk, asked whether the conversation is to end")
	b.Run(chromedp.Click("#sure-no"))
	h.chat.hangUp()
	b.Until(`document.getElementById('desk').dataset.line === 'down'`)
	audit(t, b, "desk, without a line")
	b.Run(chromedp.Navigate(h.url + "/c/" + goodToken))
	audit(t, b, "one's own link")
	h.mails.writes(60)
	long := mailLink(61, "Angebot_für_die_Donaudampfschifffahrtsgesellschaft_2026_endgültig.pdf", "header-only: a recipient's domain, "+strings.Repeat("donaudampfschiff.", 5)+"example")
	h.mails.all = append([]call.Link{long}, h.mails.all...)
	b.Run(chromedp.Navigate(h.url + "/desk/mails"))
	audit(t, b, "mails")
	b.Run(chromedp.Navigate(h.url + "/desk/mails?older=40"))
	audit(t, b, "mails, older")
}
