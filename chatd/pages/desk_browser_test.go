package pages

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"chmail/chatd"
	"chmail/internal/browsertest"
)

// sitDown opens the desk, signed in, and returns its socket.
func (h *house) sitDown(b *browsertest.Tab, path string) *caller {
	h.t.Helper()
	c := h.signedIn(alice)
	b.Run(func(ctx context.Context, target *chromedp.Target) (chromedp.Void, error) {
		_, err := cdp.Call(ctx, target, network.SetCookie, network.SetCookieParams{Name: c.Name, Value: c.Value, URL: h.url})
		return chromedp.Void{}, err
	}, chromedp.Navigate(h.url+path))
	p := next(h.t, h.chat.desks)
	b.Until(`document.getElementById('desk').dataset.line === 'up'`)
	return p
}

func ring(call, conv string) frame {
	return frame{"t": "ring", "call": call, "conv": conv, "who": "Bob", "about": "Offer for the roof"}
}

func TestTheDeskRingsAndIsAnswered(t *testing.T) {
	t.Parallel()
	h, b := newHouse(t), chromium.Tab(t)
	p := h.sitDown(b, "/desk")
	p.send(t, frame{"t": "visit", "call": "k1", "conv": "c1", "who": "Bob", "about": "Offer for the roof"})
	b.Until(`document.querySelector('.call.visit') !== null`)
	if title := browsertest.JS[string](b, `document.title`); strings.Contains(title, "Bob") {
		t.Errorf("a visit is not silent: title %q", title)
	}
	b.Until(`document.getElementById('nothing-head').textContent === 'Bob is looking at your mail'`)
	p.send(t, ring("k1", "c1"))
	if rung := p.expect(t, "rung"); rung["call"] != "k1" {
		t.Errorf("acknowledged: %v", rung)
	}
	b.Until(`document.title.includes('Bob wants to talk')`)
	b.Until(`document.querySelectorAll('.call').length === 1`)
	b.Until(`document.getElementById('nothing-head').textContent === 'Bob wants to talk' && document.getElementById('nothing').checkVisibility({visibilityProperty: true})`)
	b.Until(`document.getElementById('announce').textContent.includes('Bob wants to talk')`)
	b.Run(chromedp.Click(".call.ring .main"))
	if a := p.expect(t, "answer"); a["call"] != "k1" {
		t.Errorf("answered: %v", a)
	}
	if o := p.expect(t, "open"); o["conv"] != "c1" || o["last"] != 0.0 {
		t.Errorf("opened: %v", o)
	}
	b.Until(`location.pathname === '/desk/c/c1' && document.title === 'Desk' && document.querySelectorAll('.call').length === 0`)
	p.send(t, frame{"t": "call", "conv": "c1", "state": "answered"}, frame{"t": "event", "conv": "c1", "n": 1, "kind": "say", "from": "visitor", "at": time.Now(), "text": "Does it include the scaffolding?"})
	b.Until(`document.querySelector('.theirs .said').textContent.includes('scaffolding')`)
	b.Run(chromedp.KeyEvent("It does.\r")) // the field has the focus already
	say := p.expect(t, "say")
	if say["conv"] != "c1" || say["text"] != "It does." {
		t.Errorf("said: %v", say)
	}
	p.send(t, frame{"t": "ack", "conv": "c1", "cid": say["cid"], "n": 2})
	b.Until(`document.querySelector('.mine').dataset.state === 'sent'`)
}

func TestACallIsTakenWithTheKeyboardAlone(t *testing.T) {
	t.Parallel()
	h, b := newHouse(t), chromium.Tab(t)
	p := h.sitDown(b, "/desk")
	p.send(t, ring("k1", "c1"))
	b.Until(`document.querySelector('.call.ring') !== null`)
	for i := 0; browsertest.JS[string](b, `document.activeElement.textContent.trim()`) != "Answer"; i++ {
		if i == 15 {
			t.Fatal("the answer button cannot be reached with Tab")
		}
		b.Run(chromedp.KeyEvent(kb.Tab))
	}
	b.Run(chromedp.KeyEvent(kb.Enter))
	p.expect(t, "answer")
}

func TestARingFallsSilent(t *testing.T) {
	t.Parallel()
	h, b := newHouse(t), chromium.Tab(t)
	p := h.sitDown(b, "/desk")
	b.Run(chromedp.KeyEvent(kb.Tab)) // a gesture arms the sound
	b.Until(`document.getElementById('sound').getAttribute('aria-checked') === 'true'`)
	p.send(t, ring("k1", "c1"), ring("k2", "c2"))
	b.Until(`document.querySelectorAll('.call.ring').length === 2`)
	p.send(t, frame{"t": "silence", "call": "k1"})
	b.Until(`document.querySelectorAll('.call.ring').length === 1 && document.title.includes('wants to talk')`)
	b.Run(chromedp.Click(".call.ring button:last-of-type"))
	if d := p.expect(t, "decline"); d["call"] != "k2" {
		t.Errorf("declined: %v", d)
	}
	b.Until(`document.querySelectorAll('.call').length === 0 && document.title === 'Desk'`)
	b.Until(`document.getElementById('nothing-head').textContent === 'Nobody is waiting'`)
}

func TestTheSoundSaysWhetherItIsArmed(t *testing.T) {
	t.Parallel()
	h, b := newHouse(t), chromium.Tab(t)
	h.sitDown(b, "/desk")
	if browsertest.JS[string](b, `document.getElementById('sound').getAttribute('aria-checked')`) != "false" || browsertest.JS[bool](b, `document.getElementById('sound-hint').hidden`) {
		t.Error("before any gesture the sound claims to be armed")
	}
	b.Run(chromedp.Click("#sound"))
	b.Until(`document.getElementById('sound').getAttribute('aria-checked') === 'true' && document.getElementById('sound-hint').hidden`)
	b.Run(chromedp.Click("#sound"))
	b.Until(`document.getElementById('sound').getAttribute('aria-checked') === 'false' && document.getElementById('sound-text').textContent === 'Sound off'`)
	b.Run(chromedp.KeyEvent(kb.Tab)) // who has switched it off is not overruled
	b.Until(`document.getElementById('sound').getAttribute('aria-checked') === 'false'`)
}

func TestWhoeverDoesNotWantToBeDisturbedSaysForHowLong(t *testing.T) {
	t.Parallel()
	h, b := newHouse(t), chromium.Tab(t)
	p := h.sitDown(b, "/desk")
	b.Run(chromedp.Click("#rest"))
	b.Until(`document.getElementById('rest').getAttribute('aria-expanded') === 'true' && document.activeElement.dataset.rest === 'hour'`)
	b.Run(chromedp.KeyEvent(kb.Enter))
	if f := p.expect(t, "rest"); f["on"] != true || f["n"] != 3600.0 {
		t.Errorf("for an hour: %v", f)
	}
	p.send(t, frame{"t": "rest", "on": true, "left_ms": 3600_000})
	b.Until(`document.getElementById('rest-state').checkVisibility() && /^Do not disturb, until \S.*: nothing rings/.test(document.getElementById('rest-text').textContent)`)
	b.Until(`document.getElementById('announce').textContent === document.getElementById('rest-text').textContent && document.activeElement.id === 'rest'`)
	b.Run(chromedp.Click("#rest"), chromedp.Click("[data-rest=morning]"))
	if n, _ := p.expect(t, "rest")["n"].(float64); n < 3600 || n > 28*3600 {
		t.Errorf("until tomorrow morning: %v s", n)
	}
	b.Run(chromedp.Click("#rest-end"))
	if f := p.expect(t, "rest"); f["on"] != false {
		t.Errorf("switched off: %v", f)
	}
	p.send(t, frame{"t": "rest", "on": true, "left_ms": 1}) // it ends by itself
	b.Until(`document.getElementById('rest-state').hidden && document.getElementById('announce').textContent === 'Calls ring again.'`)

	// His quiet hours are shown as well; they are not ended here.
	p.send(t, frame{"t": "rest", "on": true, "left_ms": 3600_000, "quiet": true, "turns_ms": 7200_000})
	b.Until(`document.getElementById('rest-text').textContent.startsWith('Do not disturb, until')`)
	p.send(t, frame{"t": "rest", "on": false, "quiet": true, "turns_ms": 7200_000})
	b.Until(`document.getElementById('rest-state').checkVisibility() && /^Your quiet hours, until .*: nothing rings/.test(document.getElementById('rest-text').textContent) && !document.getElementById('rest-end').checkVisibility()`)
	audit(t, b, "desk, in quiet hours")
	p.send(t, frame{"t": "rest", "on": false, "quiet": true, "turns_ms": 1})
	p.expect(t, "resting")
	p.send(t, frame{"t": "rest", "on": false, "turns_ms": 3600_000})
	b.Until(`document.getElementById('rest-state').hidden && document.getElementById('announce').textContent === 'Calls ring again.'`)
}

func TestMissedCallsAreAnnounced(t *testing.T) {
	t.Parallel()
	h, b := newHouse(t), chromium.Tab(t)
	p := h.sitDown(b, "/desk")
	// Nobody has touched this page yet, so it may not sound; the notes are counted where they begin.
	browsertest.JS[bool](b, `(() => {
		window.notes = 0;
		const start = AudioScheduledSourceNode.prototype.start;
		AudioScheduledSourceNode.prototype.start = function (...when) { window.notes++; return start.apply(this, when); };
		return true;
	})()`)
	missed := ring("k1", "c1")
	missed["missed"] = true
	p.send(t, missed)
	b.Until(`document.querySelector('.call.missed') !== null && document.title.startsWith('(1)')`)
	b.Until(`document.getElementById('announce').textContent.includes('called while you were away')`)
	if n := browsertest.JS[int](b, `window.notes`); n != 0 {
		t.Errorf("%d notes before any gesture: browsers do not allow that", n)
	}
	b.Run(chromedp.KeyEvent(kb.Tab))
	b.Until(`window.notes === 8`) // four notes of two voices, made up for at the first gesture
	b.Run(chromedp.Click(".call.missed .main"))
	if o := p.expect(t, "open"); o["conv"] != "c1" {
		t.Errorf("opened: %v", o)
	}
	again := ring("k2", "c2")
	again["missed"] = true
	p.send(t, again)
	b.Until(`document.querySelectorAll('.call.missed').length === 1`)
	b.Run(chromedp.Click(`a[data-conv="c2"]`)) // opened from the list, it is known as well
	b.Until(`document.querySelectorAll('.call.missed').length === 0`)
}

func TestAMissedCallWithAMessageIsCountedOnce(t *testing.T) {
	t.Parallel()
	h, b := newHouse(t), chromium.Tab(t)
	h.chat.talks = []chatd.Talk{{ID: "c1", Who: "Bob", About: "Offer", Unread: 1}, {ID: "c2", Who: "Mina", About: "Gutters", Unread: 2}}
	p := h.sitDown(b, "/desk")
	for _, conv := range []string{"c1", "c2", "c3"} { // in the third nothing was written
		missed := ring("k-"+conv, conv)
		missed["missed"] = true
		p.send(t, missed)
	}
	b.Until(`document.querySelectorAll('.call.missed').length === 3 && document.title === '(4) Desk'`)
	p.send(t, frame{"t": "seen", "conv": "c2", "n": 2})
	b.Until(`document.title === '(3) Desk'`) // the call in it was not looked at
}

func TestOnAPhoneTheListSaysWhoseDeskItIs(t *testing.T) {
	t.Parallel()
	h, b := newHouse(t), chromium.Tab(t)
	h.chat.talks = []chatd.Talk{{ID: "c1", Who: "Bob", About: "Offer"}}
	b.Run(chromedp.EmulateViewport(360, 740))
	p := h.sitDown(b, "/desk/c/c1")
	p.expect(t, "open")
	const both = `document.querySelector('.whose').checkVisibility() && document.querySelector('form[action="/desk/logout"] button').checkVisibility()`
	b.Run(chromedp.Click("section[data-conv=c1] .back"))
	b.Until(`location.pathname === '/desk' && ` + both)
	if browsertest.JS[bool](b, `document.documentElement.scrollWidth > innerWidth`) {
		t.Error("the list is wider than the phone")
	}
}

func TestSeveralConversationsAndWhatIsUnread(t *testing.T) {
	t.Parallel()
	h, b := newHouse(t), chromium.Tab(t)
	h.chat.talks = []chatd.Talk{{ID: "c1", Who: "Bob", About: "Offer"}, {ID: "c2", Who: "Mina", About: "Gutters"}}
	p := h.sitDown(b, "/desk/c/c1")
	p.expect(t, "open")
	event := func(conv string, n int, text string) frame {
		return frame{"t": "event", "conv": conv, "n": n, "kind": "say", "from": "visitor", "at": time.Now(), "text": text}
	}
	p.send(t, event("c1", 1, "for the open one"), event("c2", 7, "for the other"), event("c2", 8, "and more"))
	b.Until(`document.querySelector('[data-conv=c2] .item-unread b').textContent === '2' && document.title === '(2) Desk'`)
	b.Until(`document.querySelector('#conversations li a').dataset.conv === 'c2'`) // the newest is on top
	if browsertest.JS[bool](b, `!document.querySelector('[data-conv=c1] .item-unread').hidden`) {
		t.Error("what is in view counts as unread")
	}
	if s := p.expect(t, "seen"); s["conv"] != "c1" || s["n"] != 1.0 {
		t.Errorf("seen: %v", s)
	}
	b.Run(chromedp.Click(`a[data-conv="c2"]`))
	if o := p.expect(t, "open"); o["conv"] != "c2" || o["last"] != 0.0 {
		t.Errorf("opened: %v", o)
	}
	b.Until(`document.querySelector('[data-conv=c2] .item-unread').hidden && document.title === 'Desk' && location.pathname === '/desk/c/c2'`)

	p.cut() // the line breaks; both go on from where they were
	p = next(t, h.chat.desks)
	last := map[any]any{}
	for range 2 {
		o := p.expect(t, "open")
		last[o["conv"]] = o["last"]
	}
	if last["c1"] != 1.0 || last["c2"] != 0.0 {
		t.Errorf("taken up again at %v", last)
	}
	b.Run(chromedp.NavigateBack())
	b.Until(`location.pathname === '/desk/c/c1' && !document.querySelector('section[data-conv=c1]').hidden && document.querySelector('section[data-conv=c2]').hidden`)
}

func TestWhatOneDeskHasReadIsReadOnAll(t *testing.T) {
	t.Parallel()
	h, b := newHouse(t), chromium.Tab(t)
	h.chat.talks = []chatd.Talk{{ID: "c1", Who: "", About: "Offer", Unread: 2}}
	p := h.sitDown(b, "/desk")
	b.Until(`document.title === '(2) Desk'`)
	p.send(t, frame{"t": "seen", "conv": "c1", "n": 2})
	b.Until(`document.querySelector('[data-conv=c1] .item-unread').hidden && document.title === 'Desk'`)
	p.send(t, frame{"t": "event", "conv": "c1", "n": 3, "kind": "name", "from": "visitor", "at": time.Now(), "text": "Bob Brown"})
	b.Until(`document.querySelector('[data-conv=c1] .item-who').textContent === 'Bob Brown'`)
}

func TestTheListIsBroughtUpToDateWhenTheLineComesUp(t *testing.T) {
	t.Parallel()
	h, b := newHouse(t), chromium.Tab(t)
	h.chat.talks = []chatd.Talk{{ID: "c1", Who: "Bob", About: "Offer", Unread: 2}, {ID: "c2", Who: "Mina", About: "Gutters"}}
	h.sitDown(b, "/desk").cut()
	p := next(t, h.chat.desks)
	browsertest.JS[bool](b, `(document.querySelector('[data-conv=c1]').focus(), true)`)
	talk := func(conv, who string, last, unread int) frame {
		return frame{"conv": conv, "who": who, "about": "About " + conv, "text": "said in " + conv, "state": "noticed", "unread": unread, "last": last, "at": time.Now().Add(-time.Duration(last) * time.Minute)}
	}
	p.send(t, frame{"t": "list", "talks": []frame{talk("c3", "", 4, 1), talk("c1", "Bob Brown", 7, 3), talk("c2", "Mina", 9, 0)}})
	b.Until(`[...document.querySelectorAll('#conversations a')].map((a) => a.dataset.conv).join() === 'c3,c1,c2'`)
	b.Until(`document.title === '(4) Desk' && document.querySelector('[data-conv=c1] .item-unread b').textContent === '3'`)
	b.Until(`document.querySelector('[data-conv=c1] .item-who').textContent === 'Bob Brown' && document.querySelector('[data-conv=c3] .item-text').textContent === 'said in c3'`)
	if !browsertest.JS[bool](b, `document.activeElement.dataset.conv === 'c1'`) {
		t.Error("the focus is lost")
	}
	said := func(n int) frame {
		return frame{"t": "event", "conv": "c1", "n": n, "kind": "say", "from": "visitor", "at": time.Now(), "text": fmt.Sprint("message ", n)}
	}
	p.send(t, said(7), said(8)) // the first of them is counted already
	b.Until(`document.querySelector('[data-conv=c1] .item-text').textContent === 'message 8' && document.title === '(5) Desk'`)
}

func TestAPersonAtTheDeskIsNoticedOnceAMinute(t *testing.T) {
	t.Parallel()
	h, b := newHouse(t), chromium.Tab(t)
	p := h.sitDown(b, "/desk")
	browsertest.JS[bool](b, `dispatchEvent(new Event('pointermove'))`) // not a person
	b.MoveMouse()
	b.MoveMouse()
	b.Run(chromedp.KeyEvent("x"))
	p.send(t, ring("k1", "c1"))
	inputs := 0
	for {
		f := <-p.in
		if f["t"] == "rung" {
			break
		}
		if f["t"] == "input" {
			inputs++
		}
	}
	if inputs != 1 {
		t.Errorf("the server heard of %d inputs", inputs)
	}
}

func TestSigningOutClosesTheDeskEverywhere(t *testing.T) {
	t.Parallel()
	h, b := newHouse(t), chromium.Tab(t)
	p := h.sitDown(b, "/desk")
	if err := h.sessions.DeleteSessions(t.Context(), alice); err != nil {
		t.Fatal(err)
	}
	select {
	case <-p.done.Done():
	case <-time.After(patience):
		t.Fatal("the desk's socket outlives its session")
	}
	b.Until(`location.pathname === '/desk/login'`)
	b.Run(chromedp.SendKeys("#user", alice), chromedp.SendKeys("#password", "right\r"))
	next(t, h.chat.desks)
	b.Until(`location.pathname === '/desk'`)
	b.Run(chromedp.Click(`form[action="/desk/logout"] button`))
	b.Until(`location.pathname === '/desk/login'`)
	if resp := h.ask("GET", "/desk"); resp.StatusCode != 303 {
		t.Errorf("status %d", resp.StatusCode)
	}
}

func TestNamesAtTheDoorStayText(t *testing.T) {
	t.Parallel()
	h, b := newHouse(t), chromium.Tab(t)
	p := h.sitDown(b, "/desk")
	evil := `<img src=x onerror="window.hit=1">`
	p.send(t, frame{"t": "ring", "call": "k1", "conv": `c1"]<b>`, "who": evil, "about": evil},
		frame{"t": "event", "conv": `c1"]<b>`, "n": 1, "kind": "say", "from": evil, "text": evil})
	b.Until(`document.querySelector('.call-who').textContent.includes('<img')`)
	b.Until(`document.querySelector('.item-text').textContent.includes('<img')`)
	b.Run(chromedp.Click(".call.ring .main"))
	p.expect(t, "open")
	b.Until(`document.querySelector('.pane-who').textContent.includes('<img')`)
	if browsertest.JS[bool](b, `document.querySelectorAll('img').length > 0 || 'hit' in window`) {
		t.Error("a name became an element")
	}
}

func TestTheDeskTellsHowCallsWent(t *testing.T) {
	t.Parallel()
	h, b := newHouse(t), chromium.Tab(t)
	h.chat.talks = []chatd.Talk{{ID: "c1", Who: "Bob", About: "Offer", Text: "Are you there?", State: "noticed", At: time.Now()}}
	p := h.sitDown(b, "/desk/c/c1")
	lines := func(want ...string) {
		t.Helper()
		b.Until(fmt.Sprintf(`[...document.querySelectorAll('.log li:not(.day)')].map((e) => (e.querySelector('.said') || e.firstElementChild).textContent).join('|') === %q`, strings.Join(want, "|")))
	}
	for range 2 { // and again when the line comes up anew: nothing is shown twice
		p.expect(t, "open")
		p.send(t, frame{"t": "call", "conv": "c1", "state": "noticed"},
			frame{"t": "moves", "conv": "c1", "moves": []frame{
				{"n": 1, "state": "opened", "at": time.Now().Add(-time.Hour)}, {"n": 1, "state": "ringing", "at": time.Now().Add(-time.Hour)},
				{"n": 2, "state": "noticed", "at": time.Now().Add(-time.Hour)}}},
			frame{"t": "event", "conv": "c1", "n": 1, "kind": "join", "from": "visitor", "at": time.Now().Add(-time.Hour)},
			frame{"t": "event", "conv": "c1", "n": 2, "kind": "say", "from": "visitor", "at": time.Now().Add(-time.Hour), "text": "Are you there?"})
		lines("Bob is here.", "It rang here.", "Are you there?", "Nobody answered. Word was left by mail.")
		h.chat.hangUp()
		p = next(t, h.chat.desks)
	}
	p.send(t, frame{"t": "call", "conv": "c1", "state": "back"}, frame{"t": "call", "conv": "c1", "state": "ringing"})
	lines("Bob is here.", "It rang here.", "Are you there?", "Nobody answered. Word was left by mail.", "You could be reached again.", "It rang here.")
	p.send(t, frame{"t": "call", "conv": "c1", "state": "back"}, frame{"t": "call", "conv": "c1", "state": "noticed"}) // nothing may ring any more
	lines("Bob is here.", "It rang here.", "Are you there?", "Nobody answered. Word was left by mail.", "You could be reached again.", "It rang here.", "You could be reached again.", "Nothing rang here. Word was left by mail.")
}
