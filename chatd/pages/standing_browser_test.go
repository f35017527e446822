package pages

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"chmail/chatd"
	"chmail/internal/browsertest"
)

// The desk shows what is so at this moment: who rings, who is here, who has left, and when it was.

func TestAnsweringByTypingEndsTheRing(t *testing.T) {
	t.Parallel()
	h, b := newHouse(t), chromium.Tab(t)
	h.chat.talks = []chatd.Talk{{ID: "c1", Who: "Bob", About: "Offer", At: time.Now()}, {ID: "c2", Who: "Mina", About: "Gutters", At: time.Now()}}
	p := h.sitDown(b, "/desk/c/c1")
	b.Run(chromedp.KeyEvent(kb.Tab)) // a gesture arms the sound
	b.Until(`document.getElementById('sound').getAttribute('aria-checked') === 'true'`)
	browsertest.JS[bool](b, `(() => {
		window.hushed = 0;
		const off = AudioNode.prototype.disconnect;
		AudioNode.prototype.disconnect = function (...from) { window.hushed++; return off.apply(this, from); };
		return true;
	})()`)
	p.send(t, ring("k1", "c1"))
	b.Until(`document.querySelector('.call.ring') !== null && document.title.includes('wants to talk')`)
	b.Run(chromedp.SendKeys("section[data-conv=c1] textarea", "I am here\r"))
	say := p.expect(t, "say")
	b.Until(`document.querySelector('.call') === null && document.title === 'Desk' && window.hushed === 1`)
	p.send(t, frame{"t": "ack", "conv": "c1", "cid": say["cid"], "n": 1})
	p.send(t, ring("k2", "c2"))
	b.Until(`document.title.includes('wants to talk')`)
	p.send(t, frame{"t": "call", "conv": "c2", "state": "answered"}) // at another desk, in whatever way
	b.Until(`document.querySelector('.call') === null && document.title === 'Desk' && window.hushed === 2`)
}

func TestAConversationIsEndedOnceItsOwnerIsSure(t *testing.T) {
	t.Parallel()
	h, b := newHouse(t), chromium.Tab(t)
	h.chat.talks = []chatd.Talk{{ID: "c1", Who: "Bob", About: "Offer", At: time.Now()}}
	p := h.sitDown(b, "/desk/c/c1")
	p.expect(t, "open")
	ask := func() {
		b.Run(chromedp.Click("section[data-conv=c1] .acts summary"), chromedp.Click("section[data-conv=c1] [data-act=end]"))
		b.Until(`document.getElementById('sure').open && document.activeElement.id === 'sure-no' && document.getElementById('sure-head').textContent === 'End the conversation with Bob?'`)
	}
	ask()
	b.Run(chromedp.KeyEvent(kb.Escape))
	b.Until(`!document.getElementById('sure').open && document.activeElement.matches('.acts summary')`)
	p.send(t, ring("k1", "c1"))
	p.expect(t, "rung") // nothing was ended before it
	ask()
	b.Run(chromedp.Click("#sure-yes"))
	if f := p.expect(t, "end"); f["conv"] != "c1" {
		t.Errorf("ended: %v", f)
	}
	last := said(1, "owner", "a last word")
	last["conv"] = "c1"
	p.send(t, last)
	b.Until(`document.querySelector('.changes button')?.checkVisibility()`)
	p.send(t, frame{"t": "event", "conv": "c1", "n": 2, "kind": "ended", "from": "owner", "at": time.Now()}, frame{"t": "call", "conv": "c1", "state": "ended"})
	b.Until(`document.querySelector('.call') === null && document.querySelector('.pane-state').textContent === 'ended' && document.querySelector('.item-state').textContent === 'ended'`)
	b.Until(`document.querySelector('.happened').textContent.startsWith('The conversation has ended.') && !document.querySelector('section[data-conv=c1] textarea').checkVisibility()`)

	if left := browsertest.JS[string](b, `(() => { const menu = document.querySelector('.acts'); menu.open = true; const left = [...document.querySelectorAll('section[data-conv=c1] :is([data-act], .changes button)')].filter((e) => e.checkVisibility()).map((e) => e.dataset.act || e.textContent).join(); menu.open = false; return left; })()`); left != "block" {
		t.Errorf("after the end there is still offered: %s", left)
	}
	p.send(t, frame{"t": "link", "conv": "c1", "works": true})
	b.Until(`!document.querySelector('[data-act=revoke]').hidden && document.querySelector('.acts select').value === ''`)
	b.Run(chromedp.Click("section[data-conv=c1] .acts summary"), chromedp.Focus(".acts select"), chromedp.KeyEvent(kb.ArrowDown), chromedp.KeyEvent(kb.ArrowDown))
	for _, terms := range []string{"at-once", "after-words"} {
		if f := p.expect(t, "terms"); f["conv"] != "c1" || f["text"] != terms {
			t.Errorf("set: %v", f)
		}
	}
	p.send(t, frame{"t": "link", "conv": "c1", "works": true, "terms": "proved"}) // at another desk
	b.Until(`document.querySelector('.acts select').value === 'proved'`)
	b.Run(chromedp.Click("section[data-conv=c1] .acts summary"))
	b.Run(chromedp.Click("section[data-conv=c1] .acts summary"), chromedp.Click("section[data-conv=c1] [data-act=revoke]"), chromedp.Click("#sure-yes"))
	if f := p.expect(t, "revoke"); f["conv"] != "c1" {
		t.Errorf("revoked: %v", f)
	}
	p.send(t, frame{"t": "link", "conv": "c1", "works": false})
	b.Until(`document.querySelector('[data-act=revoke]').hidden && !document.querySelector('.terms').checkVisibility() && document.querySelector('.pane-link').textContent === 'The link of this mail works no more.'`)
	b.Run(chromedp.Click("section[data-conv=c1] .acts summary"), chromedp.Click("section[data-conv=c1] [data-act=block]"), chromedp.Click("#sure-yes"))
	if f := p.expect(t, "block"); f["conv"] != "c1" {
		t.Errorf("blocked: %v", f)
	}
	p.send(t, frame{"t": "blocked", "talks": []frame{{"conv": "c1", "who": "Bob", "about": "Offer", "at": time.Now()}}})
	b.Until(`document.querySelector('#blocked summary').checkVisibility() && document.querySelector('#blocked summary').textContent === 'Blocked visitors (1)'`)
	b.Until(`document.querySelector('.pane-blocked').textContent === 'You have blocked this visitor.' && document.querySelector('[data-act=block]').hidden`)
	b.Run(chromedp.Click("section[data-conv=c1] .acts summary"), chromedp.Click("section[data-conv=c1] [data-act=unblock]"))
	if f := p.expect(t, "unblock"); f["conv"] != "c1" {
		t.Errorf("unblocked in the conversation: %v", f)
	}
	p.send(t, frame{"t": "blocked", "talks": []frame{}})
	b.Until(`document.querySelector('.pane-blocked').textContent === '' && !document.querySelector('[data-act=block]').hidden && document.querySelector('[data-act=unblock]').hidden`)
	p.send(t, frame{"t": "blocked", "talks": []frame{{"conv": "c1", "who": "Bob", "about": "Offer", "at": time.Now()}}})
	b.Run(chromedp.Click("#blocked summary"), chromedp.Click("#blocked button"))
	if f := p.expect(t, "unblock"); f["conv"] != "c1" {
		t.Errorf("unblocked: %v", f)
	}
	p.send(t, frame{"t": "blocked", "talks": []frame{}})
	b.Until(`document.getElementById('blocked').hidden && document.activeElement.id === 'rest'`)

	b.Run(chromedp.Navigate(h.url + "/c/" + goodToken + "?as=reader")) // and its visitor
	b.MoveMouse()
	p = next(t, h.chat.readers)
	joined(t, p, 0)
	b.Run(chromedp.SendKeys("#text", "one more\r"))
	say := p.expect(t, "say")
	p.send(t, frame{"t": "error", "code": "ended", "text": "this conversation has ended", "conv": "c1", "cid": say["cid"]}, frame{"t": "call", "state": "ended"})
	b.Until(`document.getElementById('state').textContent.includes('has ended this conversation') && document.getElementById('text').disabled`)
	b.Until(`document.querySelector('.mine .mark').textContent === 'was not taken: the conversation has ended'`)
}

func TestALongConversationScrollsInItsLogAlone(t *testing.T) {
	t.Parallel()
	long := func(conv string) (all []frame) {
		for n := range 40 {
			from := []string{"visitor", "owner"}[n/2%2]
			all = append(all, frame{"t": "event", "conv": conv, "n": n + 1, "kind": "say", "from": from, "name": "Bob", "at": time.Now(), "text": fmt.Sprint("message ", n+1)})
		}
		return all
	}
	for _, width := range []int64{360, 1280} {
		t.Run(fmt.Sprint(width), func(t *testing.T) {
			t.Parallel()
			h, b := newHouse(t), chromium.Tab(t)
			h.chat.talks = []chatd.Talk{{ID: "c1", Who: "Bob", About: "Offer", At: time.Now()}}
			fits := func(page string) {
				t.Helper()
				b.Until(`document.querySelectorAll('.said').length === 40`)
				if n := browsertest.JS[int](b, `document.documentElement.scrollHeight - innerHeight`); n > 0 {
					t.Errorf("the %s can be scrolled by %d px into nothing", page, n)
				}
				b.Until(`(() => { const l = document.querySelector('.log'); return l.scrollHeight > l.clientHeight && l.scrollTop > 0; })()`)
			}
			b.Run(chromedp.EmulateViewport(width, 740), chromedp.Navigate(h.url+"/c/"+goodToken))
			b.MoveMouse()
			p := next(t, h.chat.readers)
			joined(t, p, 40)
			p.send(t, long("c1")...)
			fits("reader's page")
			p = h.sitDown(b, "/desk/c/c1")
			p.send(t, long("c1")...)
			fits("desk")
		})
	}
}

func TestTheDeskSaysWhoIsHereAndWhoHasLeft(t *testing.T) {
	t.Parallel()
	h, b := newHouse(t), chromium.Tab(t)
	h.chat.talks = []chatd.Talk{
		{ID: "c1", Who: "Bob", About: "Offer", State: "answered", Here: true, At: time.Now()},
		{ID: "c2", Who: "Mina", About: "Gutters", State: "answered", At: time.Now().Add(-time.Hour)},
		{ID: "c3", Who: "", About: "Roof", State: "noticed", At: time.Now().Add(-2 * time.Hour)},
		{ID: "c4", Who: "Oskar", About: "Roof", State: "", At: time.Now().Add(-3 * time.Hour)},
	}
	list := func(want string) {
		t.Helper()
		b.Until(fmt.Sprintf(`[...document.querySelectorAll('.item-state')].map((e) => e.textContent).join() === %q`, want))
	}
	if body := readAll(t, h.ask("GET", "/desk", func(r *http.Request) { r.AddCookie(h.signedIn(alice)) })); strings.Count(body, `<span class="item-state">left</span>`) != 2 || !strings.Contains(body, `<span class="item-state">talking</span>`) {
		t.Error("the page as it is served says otherwise")
	}
	p := h.sitDown(b, "/desk/c/c1")
	list("talking,left,missed,left")
	header := func(conv, want string) {
		t.Helper()
		b.Until(fmt.Sprintf(`document.querySelector('section[data-conv=%s] .pane-state').textContent === %q`, conv, want))
	}
	header("c1", "talking")
	p.send(t, frame{"t": "reader", "conv": "c1", "here": false})
	header("c1", "Bob has left. What you write is kept, and shown when Bob comes back.")
	list("left,left,missed,left")
	p.send(t, frame{"t": "event", "conv": "c1", "n": 1, "kind": "name", "from": "visitor", "at": time.Now(), "text": "Bob Brown"})
	header("c1", "Bob Brown has left. What you write is kept, and shown when Bob Brown comes back.")
	p.send(t, frame{"t": "reader", "conv": "c3", "here": true}, frame{"t": "reader", "conv": "c1", "here": true}, frame{"t": "call", "conv": "c1", "state": "ringing"})
	header("c1", "calling")
	p.send(t, frame{"t": "link", "conv": "c1", "works": false}, frame{"t": "reader", "conv": "c1", "here": false})
	header("c1", "Bob Brown has left, and cannot come back. What you write is kept here.")
	p.send(t, frame{"t": "link", "conv": "c1", "works": true}, frame{"t": "reader", "conv": "c1", "here": true})
	header("c1", "calling")
	list("calling,left,waiting,left")
	b.Run(chromedp.Click(`a[data-conv="c2"]`))
	header("c2", "Mina has left. What you write is kept, and shown when Mina comes back.")
	p.send(t, frame{"t": "list", "talks": []frame{{"conv": "c1", "who": "Bob Brown", "about": "Offer", "text": "", "state": "answered", "here": false, "unread": 0, "last": 2, "at": time.Now()}}})
	list("left,left,waiting,left")
	// Somebody of whom the desk has not heard yet: whatever comes first, it is shown when he is.
	p.send(t, frame{"t": "reader", "conv": "c9", "here": true}, frame{"t": "call", "conv": "c9", "state": "opened"}, frame{"t": "visit", "call": "k9", "conv": "c9", "at": time.Now()})
	list("reading,left,left,waiting,left")
}

func TestMissedCallsSayWhenTheyWereMade(t *testing.T) {
	t.Parallel()
	h, b := newHouse(t), chromium.Tab(t)
	h.chat.talks = []chatd.Talk{{ID: "c0", Who: "Mina", About: "Gutters", At: time.Now().Add(-time.Minute)}}
	b.Run(chromedp.EmulateViewport(360, 740))
	p := h.sitDown(b, "/desk")
	when := time.Now().Add(-75 * time.Hour)
	for i := range 5 {
		missed := ring(fmt.Sprint("k", i+1), fmt.Sprint("c", i+1))
		missed["missed"], missed["at"] = true, when.Add(time.Duration(i)*time.Hour)
		p.send(t, missed)
	}
	b.Until(`document.querySelectorAll('.call.missed').length === 6`)
	b.Until(`[...document.querySelectorAll('.call[data-conv]')].filter((c) => !c.hidden).map((c) => c.dataset.conv).join() === 'c5,c4,c3'`)
	b.Until(`document.querySelector('.call.more').textContent.includes('and 2 more')`)
	if got, day := browsertest.JS[string](b, `document.querySelector('.call[data-conv=c5] time').textContent`), when.Add(4*time.Hour).Format("Jan 2"); !strings.Contains(got, day) || !strings.Contains(got, ":") {
		t.Errorf("the call of %v is said to be of %q", when.Add(4*time.Hour), got)
	}
	if got, day := browsertest.JS[string](b, `document.querySelector('#conversations a[data-conv=c1] time').textContent`), when.Format("Jan 2"); got != day {
		t.Errorf("the list says %q, want %q", got, day)
	}
	if got := browsertest.JS[string](b, `[...document.querySelectorAll('#conversations a')].map((a) => a.dataset.conv).join()`); got != "c0,c5,c4,c3,c2,c1" {
		t.Errorf("the list's order is %s", got)
	}
	// What has been in view is not told again; what has not, is.
	rung := func(want ...string) {
		t.Helper()
		for _, call := range want {
			if f := p.expect(t, "rung"); f["call"] != call {
				t.Errorf("shown: %v, want %s", f, call)
			}
		}
	}
	rung("k3", "k4", "k5")
	b.Run(chromedp.Click(".call[data-conv=c5] button:not(.main)"))
	b.Until(`document.querySelector('.call.more').textContent.includes('and 1 more') && !document.querySelector('.call[data-conv=c2]').hidden`)
	rung("k2")
	b.Run(chromedp.Click(".call.more button"))
	b.Until(`document.querySelector('.call') === null && document.title === 'Desk'`)
	rung("k1")
}

func TestTheReaderIsCalledTheSameLiveAndLater(t *testing.T) {
	t.Parallel()
	h, b := newHouse(t), chromium.Tab(t)
	h.chat.talks = []chatd.Talk{{ID: "c1", Who: "", About: "Offer", At: time.Now()}}
	p := h.sitDown(b, "/desk/c/c1")
	p.expect(t, "open")
	event := func(n int, kind, text string) frame {
		return frame{"t": "event", "conv": "c1", "n": n, "kind": kind, "from": "visitor", "at": time.Now(), "text": text}
	}
	p.send(t, event(1, "join", ""), event(2, "say", "hello"))
	b.Until(`document.querySelector('.happened').textContent.startsWith('Someone is here') && document.querySelector('.author').textContent === 'Someone'`)
	p.send(t, event(3, "name", "Bo"), event(4, "leave", ""), event(5, "name", "Bob"))
	b.Until(`[...document.querySelectorAll('.happened span')].map((e) => e.textContent).join(' ') === 'Bob is here. Bob has left. Bob was called Bo before.'`)
	b.Until(`document.querySelector('.author').textContent === 'Bob'`)
}

func TestTheDesksEdgesAreInLine(t *testing.T) {
	t.Parallel()
	h, b := newHouse(t), chromium.Tab(t)
	h.chat.talks = []chatd.Talk{{ID: "c1", Who: "Bob", About: "Offer", At: time.Now()}}
	p := h.sitDown(b, "/desk")
	p.send(t, ring("k1", "c1"))
	b.Until(`document.querySelector('.call.ring') !== null`)
	if got := browsertest.JS[string](b, `[...new Set(['.side h2', '.item-who', '.call-text', '.home svg'].map((e) => Math.round(document.querySelector(e).getBoundingClientRect().left)))].join()`); got != "16" {
		t.Errorf("texts begin at %s", got)
	}
}
