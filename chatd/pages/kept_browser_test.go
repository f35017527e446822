package pages

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"chmail/chatd"
	"chmail/internal/browsertest"
	"chmail/internal/call"
)

// What somebody has given or written is kept, what he reads leads where it says, and nothing is promised that is not true.

func TestWhoHasGivenANameIsNotAskedAgain(t *testing.T) {
	t.Parallel()
	h, b := newHouse(t), chromium.Tab(t)
	b.Run(chromedp.Navigate(h.url + "/c/" + goodToken))
	b.MoveMouse()
	p := next(t, h.chat.readers)
	joined(t, p, 0)
	p.expect(t, "intent")
	if browsertest.JS[bool](b, `document.getElementById('name-row').hidden`) {
		t.Error("who has given no name is not asked for it")
	}
	b.Run(chromedp.SendKeys("#name", "Bob"), chromedp.SendKeys("#text", "hello\r"))
	p.expect(t, "say")
	b.Run(chromedp.Reload())
	p = next(t, h.chat.readers)
	p.expect(t, "join")
	p.send(t, frame{"t": "joined", "conv": "c1", "last": 0, "owner": "Alice Example", "name": "Bob"})
	b.Until(`document.getElementById('name-row').hidden`)
	b.Run(chromedp.SendKeys("#text", "me again\r"))
	p.expect(t, "say")
	for len(p.in) > 0 {
		if f := <-p.in; f["t"] == "name" {
			t.Errorf("he names himself once more: %v", f)
		}
	}
}

func TestWhatIsNotSentOutlivesAReload(t *testing.T) {
	t.Parallel()
	h, b := newHouse(t), chromium.Tab(t)
	h.chat.talks = []chatd.Talk{{ID: "c1", Who: "Bob", About: "Offer", At: time.Now()}, {ID: "c2", Who: "Mina", About: "Gutters", At: time.Now()}}
	b.Run(chromedp.Navigate(h.url+"/c/"+goodToken), chromedp.SendKeys("#text", "half a thou"))
	p := next(t, h.chat.readers)
	joined(t, p, 0)
	p.expect(t, "intent")
	b.Run(chromedp.Reload())
	b.Until(`document.getElementById('text').value === 'half a thou'`)
	joined(t, next(t, h.chat.readers), 0)
	b.Run(chromedp.SendKeys("#text", "ght\r"))
	b.Until(`document.querySelector('.mine .said').textContent === 'half a thought'`)
	b.Run(chromedp.Reload())
	b.Until(`document.readyState === 'complete' && document.getElementById('text').value === ''`)

	h.sitDown(b, "/desk/c/c1")
	b.Run(chromedp.SendKeys("section[data-conv=c1] textarea", "for Bob\n\n\n\nand more"))
	browsertest.JS[bool](b, `(() => { const f = document.querySelector('textarea'); f.value = 'one\ntwo\nthree\nfour'; f.dispatchEvent(new Event('input')); return true; })()`)
	b.Run(chromedp.Click(`a[data-conv="c2"]`))
	b.Until(`document.querySelector('section[data-conv=c2] textarea').value === ''`)
	b.Run(chromedp.Reload(), chromedp.Click(`a[data-conv="c1"]`))
	b.Until(`document.querySelector('section[data-conv=c1] textarea').value.startsWith('one')`)
	b.Until(`(() => { const f = document.querySelector('section[data-conv=c1] textarea'); return f.clientHeight > 80 && f.scrollHeight <= f.clientHeight + 2; })()`)
}

func TestAddressesBecomeLinks(t *testing.T) {
	t.Parallel()
	h, b := newHouse(t), chromium.Tab(t)
	b.Run(chromedp.Navigate(h.url + "/c/" + goodToken))
	b.MoveMouse()
	p := next(t, h.chat.readers)
	joined(t, p, 0)
	cases := []struct {
		text  string
		links []string // what is shown as one, and where it leads when that is written otherwise
	}{
		{"See https://example.com/a?b=c&d#e.", []string{"https://example.com/a?b=c&d#e"}},
		{"(http://example.com), https://example.org/x_(y)! and https://example.net/?", []string{"http://example.com", "https://example.org/x_(y)", "https://example.net/"}},
		{"HTTPS://EXAMPLE.COM/Path", []string{"HTTPS://EXAMPLE.COM/Path"}},
		{"日本語https、https://例え.jp/道。", []string{"https://例え.jp/道"}},
		{"javascript:alert(1) data:text/html,x ftp://example.com //example.com www.example.com mailto:a@b.example", nil},
		{"https:// http://. https://[ http://exa mple xhttps://example.com", []string{"http://exa"}},
		{`https://example.com/"onmouseover="window.hit=1 <https://example.org/>`, []string{"https://example.com/", "https://example.org/"}},
		{"https://bank.example@evil.example/ https://user:pw@evil.example", nil},
		{"https://example.com/\u202egpj.exe", []string{"https://example.com/"}},
		{"<a href='https://example.com/'>x</a>", []string{"https://example.com/"}},
		{"https://example.com/" + strings.Repeat(")", 3900), []string{"https://example.com/"}},
		{"https://" + strings.Repeat("a.", 1900), nil},
	}
	for i, c := range cases {
		p.send(t, said(i+1, "owner", c.text))
	}
	b.Until(fmt.Sprintf(`document.querySelectorAll('.said').length === %d`, len(cases)))
	for i, c := range cases {
		at := fmt.Sprintf(`document.querySelectorAll('.said')[%d]`, i)
		if got := browsertest.JS[string](b, at+`.textContent`); got != c.text {
			t.Errorf("%.60q is shown as %.60q", c.text, got)
		}
		got := browsertest.JS[[]string](b, `[...`+at+`.querySelectorAll('*')].map((a) => a.textContent)`)
		if fmt.Sprint(got) != fmt.Sprint(c.links) {
			t.Errorf("%.60q has the links %q, want %q", c.text, got, c.links)
		}
	}
	bad := `[...document.querySelectorAll('.said *')].filter((a) => a.localName !== 'a' || !/^https?:$/.test(a.protocol) || a.target !== '_blank'
		|| a.rel !== 'noopener noreferrer nofollow' || a.getAttributeNames().length !== 3 || new URL(a.textContent).href !== a.href).map((a) => a.outerHTML)`
	if got := browsertest.JS[[]string](b, bad); len(got) > 0 || browsertest.JS[bool](b, `'hit' in window`) {
		t.Errorf("links that are none: %s", got)
	}
}

func TestWithoutJavaScriptNothingIsPromised(t *testing.T) {
	t.Parallel()
	h, b := newHouse(t), chromium.Tab(t)
	h.chat.talks = []chatd.Talk{{ID: "c1", Who: "Bob", About: "Offer", State: "noticed", At: time.Now()}}
	b.WithoutScripts()
	shown := func(want, not []string) {
		t.Helper()
		b.Until(`getComputedStyle(document.querySelector('.scripted')).display === 'none'`)
		text := browsertest.JS[string](b, `document.body.innerText`)
		for _, w := range want {
			if !strings.Contains(text, w) {
				t.Errorf("the page does not say %q", w)
			}
		}
		for _, w := range not {
			if strings.Contains(text, w) {
				t.Errorf("the page says %q", w)
			}
		}
		if n := browsertest.JS[int](b, `[...document.querySelectorAll('form:not([method]) textarea, button[type=button], [role=switch]')].filter((e) => e.checkVisibility()).length`); n > 0 {
			t.Errorf("%d controls do nothing", n)
		}
	}
	b.Run(chromedp.Navigate(h.url + "/c/" + goodToken))
	shown([]string{"works all the same", "Send"}, []string{"is called as soon as", "The conversation appears here"})
	b.Run(chromedp.Navigate(h.url + "/c/" + goodToken + "?joined")) // with the code of his other device, where Alice is there already
	shown([]string{"You are in your conversation with Alice Example now", "Show what was said"}, []string{"is called when you press Send"})
	h.chat.sighted(chatd.Sight{Name: "Bob", State: call.Answered, Elsewhere: true, Said: []chatd.Said{{Kind: "say", Text: "hello"}}})
	b.Run(chromedp.Click(".noscript a"))
	b.Until(`document.querySelector('iframe')?.contentDocument?.querySelector('.now span')?.textContent === 'Alice Example is here.'`)
	h.chat.sighted(chatd.Sight{})
	h.links.link.Terms = call.Proved
	b.Run(chromedp.Navigate(h.url + "/c/" + goodToken))
	shown([]string{"wants to know by a proved mail address"}, []string{"is called when you press Send"})
	h.links.link.Terms = ""
	b.Run(chromedp.Navigate(h.url + "/c/" + goodToken))
	h.writeByForm(b)
	b.Run(chromedp.Navigate(h.url+"/desk/login"), chromedp.SendKeys("#user", alice), chromedp.SendKeys("#password", "right\r"))
	b.Until(`document.getElementById('desk') !== null`)
	shown([]string{"needs JavaScript", "does not ring", "missed"}, []string{"Sound off", "this desk rings", "Nobody is waiting"})
}

// writeByForm writes without scripts, once too fast, and looks at what becomes of it.
func (h *house) writeByForm(b *browsertest.Tab) {
	h.t.Helper()
	began := time.Now()
	b.Run(chromedp.SendKeys("#plain-name", "Bob"), chromedp.SendKeys("#plain-text", "hello"), chromedp.Click(`.plain button.main`))
	b.Until(`document.querySelector('.plain [role=alert]') !== null`)
	if h.chat.count() != 0 {
		h.t.Error("a page that has just been opened calls")
	}
	h.chat.sighted(chatd.Sight{Name: "Bob", State: call.Ringing, Here: true, Said: []chatd.Said{{Kind: "say", Mine: true, Text: "hello"}}})
	b.Until(fmt.Sprintf(`performance.timeOrigin + performance.now() > %d`, began.Add(formAge).UnixMilli()))
	b.Run(chromedp.Click(`.plain button.main`))
	b.Until(`location.search === '?plain=1' && document.querySelector('iframe').contentDocument.querySelector('.mine') !== null`)
	if n := h.chat.count(); n != 1 {
		h.t.Errorf("%d messages", n)
	}
	b.Run(chromedp.SendKeys("#plain-text", "half a sen"))
	b.Until(`performance.timeOrigin < document.querySelector('iframe').contentWindow.performance.timeOrigin - 3000`) // the log has looked again
	if text := browsertest.JS[string](b, `document.querySelector('#plain-text').value`); text != "half a sen" {
		h.t.Errorf("what is being typed has become %q", text)
	}
	if log := browsertest.JS[string](b, `document.querySelector('iframe').contentDocument.body.innerText`); !strings.Contains(log, "Calling Alice Example") || !strings.Contains(log, "hello") {
		h.t.Errorf("the log says %q", log)
	}
}

func TestTheSignInIsReadyToBeFilledIn(t *testing.T) {
	t.Parallel()
	h, b := newHouse(t), chromium.Tab(t)
	b.Run(chromedp.Navigate(h.url + "/desk/login"))
	b.Until(`document.activeElement.id === 'user'`)
	b.Run(chromedp.SendKeys("#user", alice), chromedp.SendKeys("#password", "wrong\r"))
	b.Until(`document.querySelector('.fault') !== null && document.activeElement.id === 'password'`)
}

func TestOnAPhoneTheNamesHintIsToBeSeen(t *testing.T) {
	t.Parallel()
	h, b := newHouse(t), chromium.Tab(t)
	b.Run(chromedp.EmulateViewport(320, 568), chromedp.Navigate(h.url+"/c/"+goodToken))
	hint := browsertest.JS[json.RawMessage](b, `(() => {
		const f = document.getElementById('name'), s = getComputedStyle(f), c = new OffscreenCanvas(1, 1).getContext('2d');
		c.font = s.font;
		return {color: getComputedStyle(f, '::placeholder').color, fits: c.measureText(f.placeholder).width <= f.clientWidth - parseFloat(s.paddingLeft) * 2};
	})()`)
	if s := string(hint); strings.Contains(s, "rgba(0, 0, 0, 0)") || !strings.Contains(s, `"fits":true`) {
		t.Errorf("the hint is %s", s)
	}
}
