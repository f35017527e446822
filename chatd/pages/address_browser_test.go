package pages

import (
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"chmail/chatd"
	"chmail/internal/browsertest"
)

func TestAnAddressIsLeftAndProvedWithTheKeyboard(t *testing.T) {
	t.Parallel()
	h, b := newHouse(t), chromium.Tab(t)
	onPhone(b, "dark")
	b.Run(chromedp.Navigate(h.url+"/c/"+goodToken), chromedp.Focus("#leave-address"), chromedp.KeyEvent(kb.Enter))
	p := next(t, h.chat.readers)
	joined(t, p, 0)
	p.expect(t, "intent")
	b.Until(`document.activeElement.id === 'address' && document.getElementById('leave-address').getAttribute('aria-expanded') === 'true'`)
	audit(t, b, "reader, asked for an address")
	if told := browsertest.JS[string](b, `document.querySelector('.reach-of').textContent`); !strings.Contains(told, "such as those at localhost.test") {
		t.Errorf("which addresses are reached is told so: %q", told)
	}
	status := `document.querySelector('#address-box [role=status]').textContent`
	b.Run(chromedp.KeyEvent("bob@example.com" + kb.Enter))
	if f := p.expect(t, "address"); f["text"] != "bob@example.com" || f["lang"] != "en" {
		t.Errorf("asked for %v", f)
	}
	for state, words := range map[string]string{"bad": "no mail address", "unreachable": "No mail can be sent to bob@example.com", "busy": "Too much"} {
		p.send(t, frame{"t": "address", "conv": "c1", "state": state, "address": "bob@example.com"})
		b.Until(status + `.includes('` + words + `')`)
	}
	p.send(t, frame{"t": "address", "conv": "c1", "state": "sent", "address": "bob@example.com"})
	b.Until(`document.activeElement.id === 'address-code' && ` + status + `.includes('on its way to bob@example.com')`)
	audit(t, b, "reader, asked for the code")
	b.Run(chromedp.KeyEvent("1234 5678" + kb.Enter))
	if f := p.expect(t, "proof"); f["text"] != "1234 5678" {
		t.Errorf("typed %v", f)
	}
	p.send(t, frame{"t": "address", "conv": "c1", "state": "wrong"})
	b.Until(status + `.includes('does not work')`)
	p.send(t, frame{"t": "address", "conv": "c1", "state": "proved", "address": "bob@example.com"})
	b.Until(`!document.getElementById('address').checkVisibility() && ` + status + `.includes('reaches you at bob@example.com')`)
	audit(t, b, "reader, who has proved his address")
	b.Run(chromedp.Click("#address-box .choices button"))
	p.expect(t, "copy")
	p.send(t, frame{"t": "address", "conv": "c1", "state": "copied", "address": "bob@example.com"})
	b.Until(status + `.includes('The conversation is on its way')`)
	b.Run(chromedp.Focus("#leave-address"), chromedp.KeyEvent(kb.Enter))
	b.Until(`document.getElementById('address-box').hidden`)
}

func TestWhoMustProveAnAddressIsShownWhere(t *testing.T) {
	t.Parallel()
	h, b := newHouse(t), chromium.Tab(t)
	onPhone(b, "light")
	b.Run(chromedp.Navigate(h.url+"/c/"+goodToken), chromedp.Focus("#text"), chromedp.KeyEvent("Hel"))
	p := next(t, h.chat.readers)
	joined(t, p, 0)
	p.expect(t, "intent")
	p.send(t, frame{"t": "call", "conv": "c1", "state": "unproved"})
	b.Until(`document.getElementById('address')?.checkVisibility() && document.getElementById('state').textContent.startsWith("Alice Example is called once you have proved a mail address")`)
	if at := browsertest.JS[string](b, `document.activeElement.id`); at != "text" { // he is writing
		t.Errorf("the keyboard is taken away, to %q", at)
	}
	audit(t, b, "reader, who must prove an address")
	b.Run(chromedp.Click("#leave-address"))
	b.Until(`document.getElementById('address-box').hidden`)
	p.send(t, frame{"t": "call", "conv": "c1", "state": "unproved"}) // he has closed it: it stays closed
	b.Run(chromedp.Focus("#leave-address"), chromedp.KeyEvent(kb.Enter))
	b.Until(`document.activeElement.id === 'address'`)
	p.send(t, frame{"t": "call", "conv": "c1", "state": "ringing"})
	b.Until(`document.getElementById('state').textContent.startsWith('Calling')`)
}

func TestWhoseAddressIsKnownIsNotAskedForIt(t *testing.T) {
	t.Parallel()
	h, b := newHouse(t), chromium.Tab(t)
	b.Run(chromedp.Navigate(h.url + "/c/" + goodToken))
	b.MoveMouse()
	p := next(t, h.chat.readers)
	joined(t, p, 0)
	p.send(t, frame{"t": "address", "conv": "c1", "state": "proved", "address": "bob@example.com"}, said(1, "owner", "hello"))
	b.Until(`document.querySelectorAll('.said').length === 1`)
	b.Run(chromedp.Click("#leave-address"))
	b.Until(`document.querySelector('#address-box [role=status]').textContent.includes('bob@example.com') && !document.getElementById('address').checkVisibility()`)
}

func TestTheDeskShowsAnAddressToAnswerTo(t *testing.T) {
	t.Parallel()
	h, b := newHouse(t), chromium.Tab(t)
	onPhone(b, "light")
	h.chat.talks = []chatd.Talk{{ID: "c1", Who: "Bob", About: "Offer & more", Text: "Are you there?", State: "noticed", At: time.Now()}}
	p := h.sitDown(b, "/desk/c/c1")
	p.expect(t, "open")
	p.send(t, frame{"t": "address", "conv": "c1", "state": "proved", "address": "bob&co@example.com"})
	b.Until(`document.querySelector('.talk:not([hidden]) .pane-address a')?.href === 'mailto:bob%26co@example.com?subject=Re%3A%20Offer%20%26%20more'`)
	audit(t, b, "desk, with an address")
}
