package pages

import (
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"chmail/internal/browsertest"
	"chmail/internal/call"
)

// quiet waits as long in the page as a scanner's browser may stay, then makes sure that no socket was opened.
func (h *house) quiet(b *browsertest.Tab) {
	h.t.Helper()
	if _, err := chromedp.Run(b.Context(), chromedp.Evaluate[bool](`new Promise((done) => setTimeout(() => done(true), 1500))`, chromedp.EvalAwaitPromise)); err != nil {
		h.t.Fatal(err)
	}
	if n := len(h.chat.readers); n != 0 {
		h.t.Fatalf("%d sockets were opened although nobody was there", n)
	}
}

// chatPort lets the fake chat server listen on a port of its own, as an owner's port is.
func (h *house) chatPort() int {
	srv := httptest.NewServer(http.HandlerFunc(h.chat.ReaderSocket))
	h.t.Cleanup(func() { h.chat.hangUp(); srv.CloseClientConnections(); srv.Close() })
	return portOf(h.t, srv.URL)
}

func portOf(t *testing.T, addr string) int {
	t.Helper()
	u, err := url.Parse(addr)
	if err != nil {
		t.Fatal(err)
	}
	port, err := strconv.Atoi(u.Port())
	if err != nil {
		t.Fatal(err)
	}
	return port
}

// joined lets the page in and waits for its intent.
func joined(t *testing.T, p *caller, last int) frame {
	t.Helper()
	f := p.expect(t, "join")
	p.send(t, frame{"t": "joined", "conv": "c1", "last": last, "owner": "Alice Example", "about": "Offer for the roof"})
	return f
}

func said(n int, from, text string) frame {
	return frame{"t": "event", "n": n, "kind": "say", "from": from, "at": time.Now().UTC().Format(time.RFC3339), "text": text}
}

func TestAPageThatIsOnlyLoadedCallsNobody(t *testing.T) {
	t.Parallel()
	h, b := newHouse(t), chromium.Tab(t)
	b.Run(chromedp.Navigate(h.url + "/c/" + goodToken))
	// What a scanner's scripts can do: make up events, fill in and submit every form, follow every link on the page.
	browsertest.JS[bool](b, `(() => {
		for (const type of ['pointermove', 'pointerdown', 'touchstart', 'wheel', 'keydown', 'click', 'input', 'scroll']) {
			document.body.dispatchEvent(new Event(type, {bubbles: true}));
			window.dispatchEvent(new Event(type));
		}
		scrollTo(0, 100);
		document.querySelector('textarea').value = 'hello';
		for (const f of document.forms) f.requestSubmit();
		document.querySelector('button').click();
		return true;
	})()`)
	h.quiet(b)
}

func TestOneRealGestureIsEnough(t *testing.T) {
	t.Parallel()
	for name, gesture := range map[string]chromedp.Action[chromedp.Void]{
		"mouse": chromedp.MouseEvent("mouseMoved", 50, 50),
		"key":   chromedp.KeyEvent(kb.Tab),
		"touch": chromedp.TapXY(50, 50),
		"wheel": chromedp.MouseEvent("mouseWheel", 50, 50, func(p *input.DispatchMouseEventParams) { p.DeltaX, p.DeltaY = 1, 30 }),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h, b := newHouse(t), chromium.Tab(t)
			b.Run(chromedp.Navigate(h.url+"/c/"+goodToken), gesture)
			p := next(t, h.chat.readers)
			join := joined(t, p, 0)
			if join["token"] != goodToken || join["v"] != 1.0 || join["last"] != 0.0 {
				t.Errorf("the first frame is %v", join)
			}
			if !strings.Contains(p.cookie, "visitor=") {
				t.Errorf("the visitor is not known on the socket: cookies %q", p.cookie)
			}
			p.expect(t, "intent")
		})
	}
}

func TestTheOwnersPortIsTakenWhenItAnswers(t *testing.T) {
	t.Parallel()
	h, b := newHouse(t), chromium.Tab(t)
	h.links.link.Port = h.chatPort()
	b.Run(chromedp.Navigate(h.url + "/c/" + goodToken))
	b.MoveMouse()
	p := next(t, h.chat.readers)
	joined(t, p, 0)
	p.expect(t, "intent")
	if want := fmt.Sprintf("localhost:%d", h.links.link.Port); p.host != want {
		t.Errorf("the page came to %s, want %s", p.host, want)
	}
	h.quiet(b) // the web port is left alone
}

func TestTheWebPortIsTakenWhenTheOwnersIsBlocked(t *testing.T) {
	t.Parallel()
	hole, err := net.Listen("tcp", "127.0.0.1:0") // takes connections and never answers, as some firewalls do
	if err != nil {
		t.Fatal(err)
	}
	shut, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = hole.Close() })
	if err := shut.Close(); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		addr net.Addr
		min  time.Duration
	}{"swallowed": {hole.Addr(), 700 * time.Millisecond}, "refused": {shut.Addr(), 0}} {
		t.Run(name, func(t *testing.T) {
			h, b := newHouse(t), chromium.Tab(t)
			h.links.link.Port = c.addr.(*net.TCPAddr).Port
			b.Run(chromedp.Navigate(h.url + "/c/" + goodToken))
			began := time.Now()
			b.MoveMouse()
			p := next(t, h.chat.readers)
			if took := time.Since(began); took < c.min {
				t.Errorf("the web port was tried after %v", took)
			}
			if p.host != strings.TrimPrefix(h.url, "http://") {
				t.Errorf("the page came to %s", p.host)
			}
			joined(t, p, 0)
			p.expect(t, "intent")
		})
	}
}

func TestWhicheverPortLetsTheReaderInLastCounts(t *testing.T) {
	t.Parallel()
	h, b := newHouse(t), chromium.Tab(t)
	h.links.link.Port = h.chatPort()
	b.Run(chromedp.Navigate(h.url + "/c/" + goodToken))
	b.MoveMouse()
	slow := next(t, h.chat.readers)
	slow.expect(t, "join") // but no answer yet
	fast := next(t, h.chat.readers)
	joined(t, fast, 0)
	fast.expect(t, "intent")
	fast.send(t, said(1, "owner", "one"))
	b.Until(`document.querySelectorAll('.said').length === 1`)
	// The slow one's join reached the server after the other's, which it has replaced.
	slow.send(t, frame{"t": "joined", "conv": "c1", "last": 1}, said(1, "owner", "one"), said(2, "owner", "two"))
	b.Until(`document.querySelectorAll('.said').length === 2`)
	select {
	case <-fast.done.Done():
	case <-time.After(patience):
		t.Error("the replaced socket stays open")
	}
}

func TestNothingIsLostOrDoubledWhenTheLineBreaks(t *testing.T) {
	t.Parallel()
	h, b := newHouse(t), chromium.Tab(t)
	b.Run(chromedp.Navigate(h.url + "/c/" + goodToken))
	b.MoveMouse()
	p := next(t, h.chat.readers)
	joined(t, p, 0)
	p.send(t, said(1, "owner", "one"), said(2, "owner", "two"))
	b.Until(`document.querySelectorAll('.said').length === 2`)
	b.Run(chromedp.SendKeys("#text", "three\r"))
	first := p.expect(t, "say")
	p.cut() // before the acknowledgement

	p = next(t, h.chat.readers)
	if join := joined(t, p, 3); join["last"] != 2.0 {
		t.Errorf("the page comes back with last=%v, want 2", join["last"])
	}
	p.expect(t, "intent")
	again := p.expect(t, "say")
	if again["cid"] != first["cid"] || again["text"] != "three" {
		t.Errorf("sent again as %v, at first as %v", again, first)
	}
	// It had been committed: it comes as an event, and is acknowledged as well; an old event comes twice.
	p.send(t, said(2, "owner", "two"), said(3, "visitor", "three"), frame{"t": "ack", "cid": again["cid"], "n": 3}, said(4, "owner", "four"))
	b.Until(`document.querySelectorAll('.said').length === 4`)
	if got := browsertest.JS[string](b, `[...document.querySelectorAll('.said')].map((s) => s.textContent).join()`); got != "one,two,three,four" {
		t.Errorf("the page shows %s", got)
	}
	if n := browsertest.JS[int](b, `document.querySelectorAll('[data-state=sending],[data-state=waiting]').length`); n != 0 {
		t.Errorf("%d messages still wait", n)
	}
}

func TestAMessageShowsHowFarItHasCome(t *testing.T) {
	t.Parallel()
	h, b := newHouse(t), chromium.Tab(t)
	b.Run(chromedp.Navigate(h.url + "/c/" + goodToken))
	b.Run(chromedp.SendKeys("#name", "Bob"), chromedp.SendKeys("#text", "hello\r"))
	p := next(t, h.chat.readers)
	b.Until(`document.querySelector('.mine .mark').textContent !== ''`)
	if join := joined(t, p, 0); join["name"] != nil && join["name"] != "Bob" {
		t.Errorf("the name comes along half written: %v", join)
	} else if join["name"] == nil {
		if f := p.expect(t, "name"); f["name"] != "Bob" {
			t.Errorf("the name is %v", f)
		}
	}
	say := p.expect(t, "say")
	if state := browsertest.JS[string](b, `document.querySelector('.mine').dataset.state`); state != "sending" {
		t.Errorf("before the acknowledgement it is %s", state)
	}
	// Someone else was faster: the server's order holds.
	p.send(t, frame{"t": "ack", "cid": say["cid"], "n": 2}, said(1, "owner", "first"))
	b.Until(`document.querySelector('.mine').dataset.state === 'sent' && document.querySelectorAll('.said').length === 2`)
	if got := browsertest.JS[string](b, `[...document.querySelectorAll('.said')].map((s) => s.textContent).join()`); got != "first,hello" {
		t.Errorf("the page shows %s", got)
	}
	// A reload finds everything, from the start, without another sign of the person.
	b.Run(chromedp.Reload())
	p = next(t, h.chat.readers)
	if join := joined(t, p, 2); join["last"] != 0.0 {
		t.Errorf("after a reload last=%v", join["last"])
	}
	p.send(t, said(1, "owner", "first"), said(2, "visitor", "hello"))
	b.Until(`document.querySelectorAll('.said').length === 2`)
}

func TestAHoleInTheEventsIsNeverShown(t *testing.T) {
	t.Parallel()
	h, b := newHouse(t), chromium.Tab(t)
	b.Run(chromedp.Navigate(h.url + "/c/" + goodToken))
	b.MoveMouse()
	p := next(t, h.chat.readers)
	joined(t, p, 0)
	p.send(t, said(1, "owner", "one"), said(3, "owner", "three"))
	p = next(t, h.chat.readers)
	if join := joined(t, p, 3); join["last"] != 1.0 {
		t.Errorf("the page asks again from %v, want 1", join["last"])
	}
	p.send(t, said(2, "owner", "two"), said(3, "owner", "three"))
	b.Until(`[...document.querySelectorAll('.said')].map((s) => s.textContent).join() === 'one,two,three'`)
}

func TestTheCallIsToldInWords(t *testing.T) {
	t.Parallel()
	h, b := newHouse(t), chromium.Tab(t)
	b.Run(chromedp.Navigate(h.url + "/c/" + goodToken))
	b.MoveMouse()
	p := next(t, h.chat.readers)
	joined(t, p, 0)
	for state, want := range map[string]string{
		"silent": "Write something, and Alice Example is called", "ringing": "Calling Alice Example", "answered": "is here", "declined": "cannot talk now", "moment": "Alice Example will be with you in a moment", "retrying": "No answer yet",
		"away": "is away", "unknown": "could not be reached", "noticed": "told by mail", "back": "is back", "left": "has left",
	} {
		p.send(t, frame{"t": "call", "state": state})
		b.Until(fmt.Sprintf(`document.getElementById('state').textContent.includes(%q)`, want))
	}
	p.send(t, frame{"t": "call", "state": "a state of a later version"}, frame{"t": "whatever"}, said(1, "owner", "still there"))
	b.Until(`document.querySelectorAll('.said').length === 1`)
}

func TestTheServerHangsUp(t *testing.T) {
	t.Parallel()
	t.Run("for another window", func(t *testing.T) {
		t.Parallel()
		h, b := newHouse(t), chromium.Tab(t)
		b.Run(chromedp.Navigate(h.url + "/c/" + goodToken))
		b.MoveMouse()
		p := next(t, h.chat.readers)
		joined(t, p, 0)
		p.send(t, frame{"t": "call", "state": "ringing"}, frame{"t": "bye", "reason": "replaced", "after_ms": 0})
		b.Until(`document.getElementById('state').textContent.includes('another window') && document.getElementById('line').textContent === ''`)
		if browsertest.JS[bool](b, `getComputedStyle(document.querySelector('.wire .near')).animationName !== 'none' || !document.getElementById('text').disabled`) {
			t.Error("it goes on as if it were this one's call")
		}
		h.quiet(b)
	})
	t.Run("for a while", func(t *testing.T) {
		t.Parallel()
		h, b := newHouse(t), chromium.Tab(t)
		b.Run(chromedp.Navigate(h.url + "/c/" + goodToken))
		b.MoveMouse()
		p := next(t, h.chat.readers)
		joined(t, p, 0)
		p.expect(t, "intent")
		began := time.Now()
		p.send(t, frame{"t": "bye", "reason": "restart", "after_ms": 1200})
		p.cut()
		b.Until(`document.getElementById('line').textContent.includes('Trying again')`)
		joined(t, next(t, h.chat.readers), 0)
		if took := time.Since(began); took < 1200*time.Millisecond {
			t.Errorf("the page was back after %v although it was asked to wait", took)
		}
		b.Until(`document.getElementById('line').textContent === ''`)
	})
}

func TestTextFromOthersStaysText(t *testing.T) {
	t.Parallel()
	h, b := newHouse(t), chromium.Tab(t)
	evil := `<img src=x onerror="window.hit=1"><script>window.hit=1</script><a href="javascript:window.hit=1">x</a>`
	h.links.link.Name, h.links.link.Mail.Subject = evil, evil
	b.Run(chromedp.Navigate(h.url + "/c/" + goodToken))
	b.MoveMouse()
	p := next(t, h.chat.readers)
	joined(t, p, 0)
	p.send(t, said(1, "owner", evil), said(2, evil, evil), frame{"t": "call", "state": "ringing"})
	b.Until(`document.querySelectorAll('.said').length === 2`)
	if got := browsertest.JS[string](b, `document.querySelector('.said').textContent`); got != evil {
		t.Errorf("the text was changed to %q", got)
	}
	if n := browsertest.JS[int](b, `document.querySelectorAll('img, main a, .letter a[href^="javascript"], main script').length`); n != 0 || browsertest.JS[bool](b, `'hit' in window`) {
		t.Errorf("%d elements were made from text", n)
	}
}

func TestWhatTheServerRefuses(t *testing.T) {
	t.Parallel()
	h, b := newHouse(t), chromium.Tab(t)
	b.Run(chromedp.Navigate(h.url + "/c/" + goodToken))
	b.MoveMouse()
	p := next(t, h.chat.readers)
	joined(t, p, 0)
	// One message of ours is not taken; the line stays, and what follows goes on.
	b.Run(chromedp.SendKeys("#text", "far too much\r"))
	say := p.expect(t, "say")
	p.send(t, frame{"t": "error", "code": "text", "text": "too long", "cid": say["cid"]})
	b.Until(`document.querySelector('.mine').dataset.state === 'refused' && document.querySelector('.mine .mark').textContent.includes('not taken')`)
	b.Run(chromedp.SendKeys("#text", "less\r"))
	p.expect(t, "say")
	// A fault that passes by itself: the page comes back.
	p.send(t, frame{"t": "error", "code": "trouble", "text": "something else"})
	p.cut()
	p = next(t, h.chat.readers)
	joined(t, p, 0)
	if again := p.expect(t, "say"); again["text"] != "less" {
		t.Errorf("after the break it sends %v", again)
	}
	// A fault that does not pass: the page says what helps and stays away.
	p.send(t, frame{"t": "error", "code": "full", "text": "full"})
	b.Until(`document.getElementById('state').textContent.includes('full') && document.getElementById('text').disabled`)
	p.cut()
	h.quiet(b)
}

func TestAPageThatIsOutOfStepBeginsAgainOnce(t *testing.T) {
	t.Parallel()
	h, b := newHouse(t), chromium.Tab(t)
	b.Run(chromedp.Navigate(h.url + "/c/" + goodToken))
	b.MoveMouse()
	p := next(t, h.chat.readers)
	joined(t, p, 0)
	p.send(t, frame{"t": "error", "code": "version", "text": "old"})
	p = next(t, h.chat.readers) // loaded anew, and remembered as one that a person was on
	joined(t, p, 0)
	p.send(t, frame{"t": "error", "code": "version", "text": "old"})
	b.Until(`document.getElementById('state').textContent.includes('out of date')`)
	h.quiet(b)
}

func TestOnlyWhatTheOtherSideDoesIsTold(t *testing.T) {
	t.Parallel()
	h, b := newHouse(t), chromium.Tab(t)
	b.Run(chromedp.Navigate(h.url + "/c/" + goodToken))
	b.MoveMouse()
	p := next(t, h.chat.readers)
	joined(t, p, 0)
	happened := func(n int, kind, from, text string) frame {
		return frame{"t": "event", "n": n, "kind": kind, "from": from, "at": time.Now(), "text": text}
	}
	p.send(t, happened(1, "join", "visitor", ""), happened(2, "name", "visitor", "Bob"), happened(3, "join", "owner", ""), said(4, "owner", "hello"))
	b.Until(`document.querySelectorAll('.said').length === 1`)
	if got := browsertest.JS[string](b, `[...document.querySelectorAll('.happened')].map((e) => e.querySelector('span').textContent).join()`); got != "Alice Example is here." {
		t.Errorf("the page tells %q", got)
	}
}

func TestAReaderLeavesAndComesBackByWriting(t *testing.T) {
	t.Parallel()
	h, b := newHouse(t), chromium.Tab(t)
	onPhone(b, "light")
	b.Run(chromedp.Navigate(h.url+"/c/"+goodToken), chromedp.SendKeys("#text", "Are you there?\r"))
	p := next(t, h.chat.readers)
	joined(t, p, 0)
	p.expect(t, "intent")
	say := p.expect(t, "say")
	p.send(t, frame{"t": "ack", "cid": say["cid"], "n": 1}, frame{"t": "call", "state": "ringing"})
	b.Until(`document.getElementById('reader').dataset.call === 'ringing' && document.getElementById('leave').checkVisibility()`)
	p.send(t, said(2, "owner", "In a moment."))
	b.Until(`document.querySelector('.theirs') !== null`)
	b.Run(chromedp.Focus("#leave"), chromedp.KeyEvent(kb.Enter))
	if f := p.expect(t, "seen"); f["n"] != 2.0 { // before he goes, or it would be mailed to him
		t.Errorf("has seen %v", f)
	}
	p.expect(t, "leave")
	b.Until(`document.getElementById('state').textContent.startsWith('You have left.') && !document.getElementById('leave').checkVisibility() && document.getElementById('line').textContent === '' && document.activeElement.id === 'text'`)
	audit(t, b, "reader, who has left")
	b.MoveMouse() // which calls nobody any more
	h.quiet(b)
	b.Run(chromedp.SendKeys("#text", "One more thing\r"))
	p = next(t, h.chat.readers)
	joined(t, p, 2)
	p.expect(t, "intent")
	if f := p.expect(t, "say"); f["text"] != "One more thing" {
		t.Errorf("he says %v", f)
	}
	p.send(t, frame{"t": "call", "state": "ringing"})
	b.Until(`document.getElementById('reader').dataset.call === 'ringing' && document.getElementById('leave').checkVisibility()`)
}

func TestThePageSaysFromTheBeginningWhatCallsTheOwner(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	for terms, says := range map[call.Terms]string{
		"": "Alice Example is called as soon as you move", call.AtOnce: "Alice Example is called as soon as you move", call.AfterWords: "Write something, and Alice Example is called", call.Proved: "Alice Example is called once you have proved a mail address",
	} {
		h.links.link.Terms = terms
		if page := readAll(t, h.ask("GET", "/c/"+goodToken)); !strings.Contains(page, `id="state" role="status">`+says) {
			t.Errorf("with terms %q the page does not say %q", terms, says)
		}
	}
}
