package pages

import (
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"chmail/internal/browsertest"
)

func TestTheOwnerSaysInAMoment(t *testing.T) {
	t.Parallel()
	h, b := newHouse(t), chromium.Tab(t)
	onPhone(b, "light")
	p := h.sitDown(b, "/desk")
	visit := ring("k1", "c1")
	visit["t"] = "visit"
	p.send(t, visit, ring("k1", "c1"))
	b.Until(`document.querySelectorAll('.call.ring button').length === 3`)
	audit(t, b, "desk, ringing, with all answers")
	b.Run(chromedp.Focus(".call.ring button:nth-of-type(2)"), chromedp.KeyEvent(kb.Enter))
	if f := p.expect(t, "moment"); f["call"] != "k1" {
		t.Errorf("said of %v", f)
	}
	p.send(t, visit, frame{"t": "call", "conv": "c1", "state": "moment"})
	b.Until(`document.querySelector('.call.visit .call-who')?.textContent === 'Bob is waiting for you; in a moment this desk rings again' && document.activeElement.matches('.call.visit .main')`)
	b.Until(`document.querySelector('[data-conv=c1] .item-state').textContent === 'in a moment' && !document.title.startsWith('☎')`)
	known := ring("k1", "c1")
	known["proved"] = "bob@x.test"
	p.send(t, known, frame{"t": "call", "conv": "c1", "state": "ringing"})
	b.Until(`document.querySelector('.call.ring .call-who').textContent === 'Bob wants to talk' && document.title.startsWith('☎') && document.querySelector('.call.ring .call-proved').textContent === 'Proved address: bob@x.test'`)
	if said := browsertest.JS[string](b, `document.getElementById('announce').textContent`); !strings.Contains(said, "bob@x.test") {
		t.Errorf("to whoever hears the page is said %q", said)
	}
	p.send(t, visit, frame{"t": "call", "conv": "c1", "state": "retrying"}) // from here on he waits as others do
	b.Until(`document.querySelector('.call.visit .call-who')?.textContent === 'Bob wants to talk with you, and waits'`)
	p.send(t, visit, frame{"t": "call", "conv": "c1", "state": "left"}) // answered, and all desks closed for a while
	b.Until(`document.querySelector('.call.visit .call-who')?.textContent === 'Bob is still there; you had left'`)
	if n := browsertest.JS[int](b, `document.querySelectorAll('.call').length`); n != 1 {
		t.Errorf("%d cards", n)
	}
}
