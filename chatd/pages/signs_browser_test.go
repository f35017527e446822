package pages

import (
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"chmail/chatd"
	"chmail/internal/browsertest"
)

func TestTheReaderSeesThatTheOwnerWritesAndReads(t *testing.T) {
	t.Parallel()
	h, b := newHouse(t), chromium.Tab(t)
	b.Run(chromedp.Navigate(h.url+"/c/"+goodToken), chromedp.SendKeys("#text", "Hello"))
	p := next(t, h.chat.readers)
	joined(t, p, 0)
	p.send(t, frame{"t": "call", "state": "answered"}, said(1, "owner", "Good morning"))
	if f := p.expect(t, "seen"); f["n"] != 1.0 { // it is in view
		t.Errorf("seen: %v", f)
	}
	b.Run(chromedp.SendKeys("#text", ", Alice"))
	p.expect(t, "typing")
	b.Run(chromedp.SendKeys("#text", "\r"))
	say := p.expect(t, "say")
	p.send(t, frame{"t": "ack", "cid": say["cid"], "n": 2}, frame{"t": "typing", "from": "owner"})
	b.Until(`document.querySelector('#typing span').textContent === 'Alice Example is writing …' && document.querySelector('#typing [role=status]').textContent === 'Alice Example is writing …'`)
	b.Until(`document.querySelector('.mine .mark').textContent === 'sent' && document.querySelector('.mine .reach').textContent === ''`)
	p.send(t, frame{"t": "reach", "got": 2, "seen": 1})
	b.Until(`document.querySelector('.mine .reach').textContent === 'delivered' && document.querySelector('.mine .mark').textContent === ''`)
	p.send(t, frame{"t": "reach", "got": 2, "seen": 2})
	b.Until(`document.querySelector('.mine .reach').textContent === 'seen' && document.querySelector('.mine .reach').ariaLive === 'off'`)
	p.send(t, said(3, "owner", "I am here")) // what was written has come
	b.Until(`document.querySelector('#typing').textContent === ''`)
	p.send(t, frame{"t": "typing", "from": "owner"})
	b.Until(`document.querySelector('#typing span').textContent === 'Alice Example is writing …'`)
	if heard := browsertest.JS[string](b, `document.querySelector('#typing [role=status]').textContent`); heard != "" {
		t.Errorf("whoever hears the page is told twice in a minute: %q", heard)
	}
	b.Until(`document.querySelector('#typing').textContent === ''`) // after six seconds without another word
	audit(t, b, "a talk with its small signs")
}

func TestAHiddenPageHasGotAndNotSeen(t *testing.T) {
	t.Parallel()
	h, b := newHouse(t), chromium.Tab(t)
	b.Run(chromedp.Navigate(h.url+"/c/"+goodToken), chromedp.SendKeys("#text", "Hello\r"))
	p := next(t, h.chat.readers)
	joined(t, p, 0)
	p.send(t, frame{"t": "ack", "cid": p.expect(t, "say")["cid"], "n": 1})
	p.expect(t, "seen")
	browsertest.JS[bool](b, `(Object.defineProperty(document, 'hidden', { configurable: true, get: () => window.away ?? true }), true)`)
	p.send(t, said(2, "owner", "Are you there?"))
	if f := p.expect(t, "got"); f["n"] != 2.0 {
		t.Errorf("got: %v", f)
	}
	browsertest.JS[bool](b, `(window.away = false, document.dispatchEvent(new Event('visibilitychange')))`)
	if f := p.expect(t, "seen"); f["n"] != 2.0 {
		t.Errorf("seen: %v", f)
	}
}

func TestTheDeskSeesThatTheReaderWritesAndReads(t *testing.T) {
	t.Parallel()
	h, b := newHouse(t), chromium.Tab(t)
	onPhone(b, "light")
	h.chat.talks = []chatd.Talk{{ID: "c1", Who: "Bob", About: "Offer", At: time.Now()}, {ID: "c2", Who: "Mina", About: "Gutters", At: time.Now()}}
	p := h.sitDown(b, "/desk/c/c1")
	p.expect(t, "open")
	event := func(conv string, n int, from, text string) frame {
		return frame{"t": "event", "conv": conv, "n": n, "kind": "say", "from": from, "at": time.Now(), "text": text}
	}
	p.send(t, event("c1", 1, "owner", "Good morning"), event("c2", 4, "visitor", "not in view"), frame{"t": "typing", "conv": "c1", "from": "visitor"}, frame{"t": "typing", "conv": "c2", "from": "visitor"})
	b.Until(`document.querySelector('section[data-conv=c1] .typing span').textContent === 'Bob is writing …'`)
	if f := p.expect(t, "got"); f["conv"] != "c2" || f["n"] != 4.0 {
		t.Errorf("got: %v", f)
	}
	p.send(t, frame{"t": "reach", "conv": "c2", "got": 9, "seen": 9}, frame{"t": "reach", "conv": "c1", "got": 1, "seen": 1})
	b.Until(`document.querySelector('section[data-conv=c1] .mine .reach').textContent === 'seen'`)
	b.Run(chromedp.SendKeys("section[data-conv=c1] textarea", "How"))
	if f := p.expect(t, "typing"); f["conv"] != "c1" {
		t.Errorf("typing: %v", f)
	}
	p.send(t, event("c1", 2, "visitor", "Hello"))
	b.Until(`document.querySelector('section[data-conv=c1] .typing').textContent === ''`)
	audit(t, b, "a desk with small signs")
}
