package pages

import (
	"fmt"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

	"chmail/internal/browsertest"
	"chmail/internal/call"
)

func TestWithoutScriptsAllOfThePageCanBeReached(t *testing.T) {
	t.Parallel()
	h, b := newHouse(t), chromium.Tab(t)
	for _, size := range [][2]int64{{1280, 800}, {1366, 650}, {360, 740}} {
		b.Run(chromedp.EmulateViewport(size[0], size[1]), chromedp.Navigate(h.url+"/c/"+goodToken+"?plain=1"))
		b.Until(`document.querySelector('button[name=leave]') !== null`)
		if shown := browsertest.JS[bool](b, `(() => {
			const leave = document.querySelector('button[name=leave]');
			const box = leave.closest('main');
			if (!['auto', 'scroll'].includes(getComputedStyle(box).overflowY)) return false;
			box.scrollTop = box.scrollHeight; // as a wheel does
			const at = leave.getBoundingClientRect();
			return at.bottom <= innerHeight && at.top >= box.getBoundingClientRect().top;
		})()`); !shown {
			t.Errorf("%d × %d: the button to leave cannot be scrolled to", size[0], size[1])
		}
	}
}

func TestTheLogStaysAtItsEndWhenAPictureComes(t *testing.T) {
	t.Parallel()
	h, b := newHouse(t), chromium.Tab(t)
	h.chat.keepPicture(t, "roof")
	b.Run(chromedp.EmulateViewport(1280, 700), chromedp.Navigate(h.url+"/c/"+goodToken))
	b.MoveMouse()
	p := next(t, h.chat.readers)
	joined(t, p, 21)
	for n := range 20 {
		p.send(t, frame{"t": "event", "conv": "c1", "n": n + 1, "kind": "say", "from": "owner", "at": "2026-11-25T12:00:00Z", "text": fmt.Sprintf("Line %d of several", n)})
	}
	p.send(t, filed(21, "owner", "roof.jpg", frame{"id": "roof", "type": "image/jpeg", "size": 3 << 20, "width": 1600, "height": 1200}))
	b.Until(`document.querySelector('.said img')?.naturalWidth > 0 && document.querySelector('.said img').getBoundingClientRect().height > 50`)
	b.Until(`(() => { const l = document.getElementById('log'); return l.scrollHeight > l.clientHeight && l.scrollHeight - l.scrollTop - l.clientHeight < 4; })()`)
	// Whoever reads further up is left there.
	browsertest.JS[bool](b, `(document.getElementById('log').scrollTop = 0, true)`)
	browsertest.JS[bool](b, `(requestAnimationFrame(() => requestAnimationFrame(() => { window.looked = true; })), true)`) // by then the page has heard of it
	b.Until(`window.looked && document.getElementById('log').scrollTop === 0`)
	p.send(t, filed(22, "owner", "again.jpg", frame{"id": "roof", "type": "image/jpeg", "size": 3 << 20, "width": 1600, "height": 1200}))
	b.Until(`document.querySelectorAll('.said img').length === 2 && [...document.querySelectorAll('.said img')].every((i) => i.naturalWidth > 0)`)
	if top := browsertest.JS[float64](b, `document.getElementById('log').scrollTop`); top != 0 {
		t.Errorf("he is taken to %v", top)
	}
}

func TestWhatCallsTheOwnerIsSaidUntilSomethingHappens(t *testing.T) {
	t.Parallel()
	h, b := newHouse(t), chromium.Tab(t)
	h.links.link.Terms = call.Proved
	b.Run(chromedp.Navigate(h.url + "/c/" + goodToken))
	says := func() string { return browsertest.JS[string](b, `document.getElementById('state').textContent`) }
	const must = "Alice Example is called once you have proved a mail address"
	if got := says(); !strings.HasPrefix(got, must) {
		t.Errorf("at first: %q", got)
	}
	b.MoveMouse()
	p := next(t, h.chat.readers)
	joined(t, p, 0)
	p.expect(t, "intent")
	b.Until(`document.getElementById('reader').dataset.line === 'up'`)
	if got := says(); !strings.HasPrefix(got, must) {
		t.Errorf("once the line is up: %q", got)
	}
}

func TestAnAddressThatIsProvedForTheCallGivesItsRoomBack(t *testing.T) {
	t.Parallel()
	h, b := newHouse(t), chromium.Tab(t)
	b.Run(chromedp.EmulateViewport(360, 740), chromedp.Navigate(h.url+"/c/"+goodToken))
	b.MoveMouse()
	p := next(t, h.chat.readers)
	joined(t, p, 0)
	p.expect(t, "intent")
	p.send(t, frame{"t": "call", "conv": "c1", "state": "unproved"})
	b.Until(`document.getElementById('address')?.checkVisibility() && document.querySelector('#address-box [role=status]').textContent.includes('who calls')`)
	// Where the line comes up while one looks, its notice is still on its way out.
	b.Until(`document.getElementById('log').clientHeight >= 60 && document.getElementById('composer').getBoundingClientRect().bottom <= innerHeight`)
	p.send(t, frame{"t": "address", "conv": "c1", "state": "proved", "address": "bob@example.com"})
	b.Until(`document.getElementById('address-box').hidden && document.getElementById('leave-address').textContent === 'Your address'`)
}
