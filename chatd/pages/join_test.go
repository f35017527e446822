package pages

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"chmail/chatd"
	"chmail/internal/browsertest"
)

// joining is the page of /join as a browser has it: its cookie, and its form with a code typed.
func (h *house) joining(code string) (*http.Cookie, url.Values) {
	h.t.Helper()
	resp := h.ask("GET", joinPath)
	form := url.Values{"code": {code}}
	for _, m := range inputs.FindAllStringSubmatch(readAll(h.t, resp), -1) {
		if m[1] == "page" {
			form.Set("page", m[2])
		}
	}
	if len(resp.Cookies()) != 1 || form.Get("page") == "" {
		h.t.Fatalf("the page: cookies %v, form %v", resp.Cookies(), form)
	}
	return resp.Cookies()[0], form
}

func TestACodeIsTypedAndLeadsToTheConversation(t *testing.T) {
	t.Parallel()
	h := newHouseAt(t, realSite)
	if resp := h.ask("HEAD", joinPath); resp.StatusCode != 200 || len(resp.Cookies()) != 0 {
		t.Errorf("HEAD: status %d, cookies %v", resp.StatusCode, resp.Cookies())
	}
	mine, form := h.joining(goodCode)
	if len(h.chat.redeemed) != 0 || len(h.chat.opened) != 0 {
		t.Error("a GET did something")
	}
	resp := h.post(joinPath, form, cookie(mine))
	if to := resp.Header.Get("Location"); resp.StatusCode != http.StatusSeeOther || to != "/c/"+goodToken+"?joined" {
		t.Errorf("status %d to %q", resp.StatusCode, to)
	}
	if len(h.chat.redeemed) != 1 || h.chat.redeemed[0] != mine.Value {
		t.Errorf("redeemed for %q", h.chat.redeemed)
	}
}

// Whoever is led to post the form has not typed a code.
func TestACodeCountsOnlyFromItsPage(t *testing.T) {
	t.Parallel()
	h := newHouseAt(t, realSite)
	mine, form := h.joining(goodCode)
	other, others := h.joining(goodCode)
	stale := url.Values{"code": {goodCode}, "page": {h.pages.forms.page(mine.Value, joinPath, time.Now().Add(-formLife-time.Minute))}}
	talk := url.Values{"code": {goodCode}, "page": {h.pages.forms.page(mine.Value, goodToken, time.Now())}}
	for name, c := range map[string]struct {
		form   url.Values
		change []func(*http.Request)
	}{
		"no cookie":                {form, nil},
		"another browser's page":   {others, []func(*http.Request){cookie(mine)}},
		"for another browser":      {form, []func(*http.Request){cookie(other)}},
		"no page":                  {url.Values{"code": {goodCode}}, []func(*http.Request){cookie(mine)}},
		"a page of long ago":       {stale, []func(*http.Request){cookie(mine)}},
		"the page of a mail":       {talk, []func(*http.Request){cookie(mine)}},
		"from another site":        {form, []func(*http.Request){cookie(mine), with("Sec-Fetch-Site", "cross-site")}},
		"from a neighbouring site": {form, []func(*http.Request){cookie(mine), with("Sec-Fetch-Site", "same-site")}},
		"from another origin":      {form, []func(*http.Request){cookie(mine), with("Sec-Fetch-Site", ""), with("Origin", "https://evil.example")}},
	} {
		if resp := h.post(joinPath, c.form, c.change...); resp.StatusCode != http.StatusForbidden {
			t.Errorf("%s: status %d", name, resp.StatusCode)
		}
	}
	if len(h.chat.redeemed) != 0 {
		t.Errorf("codes were used by %q", h.chat.redeemed)
	}
	if resp := h.post(joinPath, url.Values{"code": {strings.Repeat("A", 1<<20)}, "page": form["page"]}, cookie(mine)); resp.StatusCode != http.StatusRequestEntityTooLarge {
		t.Errorf("a book: status %d", resp.StatusCode)
	}
}

// The panel is opened, read and closed by keyboard; what the server says of a code is said in words.
func TestTheReaderIsShownACode(t *testing.T) {
	t.Parallel()
	h, b := newHouse(t), chromium.Tab(t)
	onPhone(b, "light")
	b.Run(chromedp.Navigate(h.url+"/c/"+goodToken), chromedp.Focus("#carry"), chromedp.KeyEvent(kb.Enter))
	p := next(t, h.chat.readers)
	joined(t, p, 0)
	cid := p.expect(t, "carry")["cid"]
	b.Until(`document.querySelector('.carry').textContent.includes('Getting a code')`)
	p.send(t, frame{"t": "code", "conv": "c1", "cid": cid, "code": goodCode, "left_ms": 600_000})
	b.Until(`document.querySelector('.carry .code').innerText.includes('ABCD EFGH JKLM')`)
	if got := browsertest.JS[string](b, `document.querySelector('.carry [role=status]').textContent`); !strings.Contains(got, "/join") || !strings.Contains(got, "10 minutes") || !strings.Contains(got, "A, B, C, D, E") {
		t.Errorf("the code is told so: %q", got)
	}
	audit(t, b, "reader, with a code")
	b.Run(chromedp.Focus(".carry button"), chromedp.KeyEvent(kb.Enter))
	b.Until(`document.querySelector('.carry').hidden && document.activeElement.id === 'carry' && !document.body.textContent.includes('EFGH')`)
	b.Run(chromedp.KeyEvent(kb.Enter))
	cid = p.expect(t, "carry")["cid"]
	p.send(t, frame{"t": "error", "code": "link", "text": "x", "cid": cid})
	b.Until(`document.querySelector('.carry').textContent.includes('The link of this conversation works no more')`)
	b.Run(chromedp.Focus("#carry"), chromedp.KeyEvent(kb.Enter))
	cid = p.expect(t, "carry")["cid"]
	p.send(t, frame{"t": "code", "conv": "c1", "cid": cid, "code": goodCode, "left_ms": 1})
	b.Until(`document.querySelector('.carry').textContent.includes('has expired') && !document.body.textContent.includes('EFGH')`)
}

// A page whose browser has become the visitor of another conversation begins anew: the two are never mixed.
func TestAPageOfAnotherConversationBeginsAnew(t *testing.T) {
	t.Parallel()
	h, b := newHouse(t), chromium.Tab(t)
	b.Run(chromedp.Navigate(h.url + "/c/" + goodToken))
	b.MoveMouse()
	p := next(t, h.chat.readers)
	joined(t, p, 0)
	p.send(t, said(1, "owner", "in the first"))
	b.Until(`document.querySelectorAll('.said').length === 1`)
	p.cut()
	p = next(t, h.chat.readers)
	if f := p.expect(t, "join"); f["last"] != 1.0 {
		t.Errorf("back with %v", f)
	}
	p.send(t, frame{"t": "joined", "conv": "c2", "last": 1})
	p = next(t, h.chat.readers)
	if f := p.expect(t, "join"); f["last"] != 0.0 {
		t.Errorf("begun anew with %v", f)
	}
	p.send(t, frame{"t": "joined", "conv": "c2", "last": 1}, said(1, "owner", "in the second"))
	b.Until(`document.querySelectorAll('.said').length === 1 && document.querySelector('.said').textContent === 'in the second'`)
}

func TestEverybodyCanJoin(t *testing.T) {
	t.Parallel()
	for _, lang := range []string{"en", "ja", "ko"} {
		t.Run(lang, func(t *testing.T) {
			t.Parallel()
			h, b := newHouse(t), speaking(t, lang)
			onPhone(b, "dark")
			b.Run(chromedp.Navigate(h.url + joinPath))
			b.Until(`document.activeElement.id === 'code'`)
			audit(t, b, "join")
			words, _ := h.words().Named(lang)
			empty := func() { browsertest.JS[string](b, `document.getElementById('code').value = ''`) } // what was typed is still there
			for why, want := range map[error]string{chatd.ErrCode: "join.fault.code", context.DeadlineExceeded: "join.fault.busy"} {
				h.chat.refuse(why)
				empty()
				b.Run(chromedp.SendKeys("#code", `"ABCD 8`+"\r"))
				b.Until(fmt.Sprintf(`document.getElementById('fault')?.textContent === %q && document.getElementById('code').value === '"ABCD 8'`, words.T(want)))
				audit(t, b, "join, "+want)
			}
			h.chat.refuse(nil)
			empty()
			b.Run(chromedp.SendKeys("#code", goodCode+"\r"))
			b.Until(`location.pathname === '/c/` + goodToken + `' && location.search === ''`)
			p := next(t, h.chat.readers) // the conversation is shown at once, and nobody called
			joined(t, p, 1)
			p.send(t, said(1, "owner", "hello"))
			b.Until(`document.querySelectorAll('.said').length === 1`)
			b.MoveMouse()
			p.expect(t, "intent")
		})
	}
}

func TestAFailureOfOursIsNoWrongCode(t *testing.T) {
	t.Parallel()
	h := newHouseAt(t, realSite)
	mine, form := h.joining(goodCode)
	h.chat.refuse(errors.New("the database is away"))
	if resp := h.post(joinPath, form, cookie(mine)); resp.StatusCode != http.StatusInternalServerError {
		t.Errorf("status %d", resp.StatusCode)
	}
}

// The page of a guest is his browser's alone; he is there at once, under his name, and what others say has theirs.
func TestAGuestTakesPart(t *testing.T) {
	t.Parallel()
	h, b := newHouse(t), chromium.Tab(t)
	onPhone(b, "light")
	if resp := h.ask("GET", "/t/c1"); resp.StatusCode != http.StatusNotFound {
		t.Errorf("for nobody: status %d", resp.StatusCode)
	}
	b.Run(chromedp.Navigate(h.url + joinPath))
	b.Until(`document.activeElement.id === 'code'`)
	h.chat.admit()
	b.Run(chromedp.SendKeys("#code", goodCode+"\r"))
	p := next(t, h.chat.readers)
	if f := p.expect(t, "join"); f["conv"] != "c1" || f["token"] != nil || f["last"] != 0.0 {
		t.Errorf("joins with %v", f)
	}
	from := func(n int, from string, who int, name, text string) frame {
		f := said(n, from, text)
		f["conv"], f["name"] = "c1", name
		if who > 0 {
			f["who"] = who
		}
		return f
	}
	p.send(t, frame{"t": "joined", "conv": "c1", "last": 9, "who": 2, "first": 7}, from(7, "visitor", 0, "Bob", "from Bob"), from(8, "owner", 0, "", "from Alice"),
		from(9, "guest", 1, "", "from another guest"), from(10, "guest", 2, "Carla", "from myself"))
	b.Until(`document.querySelectorAll('.said').length === 4`)
	b.Until(`document.getElementById('guest-of').textContent.startsWith('You are a guest in Alice Example’s conversation with Bob.') && document.getElementById('text').placeholder === 'Write to everybody here'`)
	got := browsertest.JS[string](b, `[...document.querySelectorAll('[data-whose]')].map((e) => e.dataset.whose + ' ' + e.querySelector('.author').textContent).join(', ')`)
	if got != "theirs Bob, theirs Alice Example, theirs Guest 1, mine You" {
		t.Errorf("shown: %s", got)
	}
	named := from(11, "guest", 1, "Dave", "Dave")
	named["kind"] = "name"
	gone := from(12, "guest", 1, "Dave", "")
	gone["kind"] = "removed"
	p.send(t, named, gone)
	b.Until(`document.body.textContent.includes('Dave has been removed') && [...document.querySelectorAll('.theirs .author')].map((e) => e.textContent).join() === 'Bob,Alice Example,Dave'`)
	audit(t, b, "guest")
	p.send(t, frame{"t": "call", "conv": "c1", "state": "ended"}) // no mail led her here, so none is offered
	b.Until(`document.getElementById('state').textContent === 'Alice Example has ended this conversation.'`)
	p.send(t, frame{"t": "error", "code": "removed", "text": "x"})
	b.Until(`document.getElementById('text').disabled && document.getElementById('state').textContent === 'You have been removed from this conversation.'`)
}

// The owner is told what an invitation means, gets the code, sees who is there, and sends him away; by keyboard.
func TestTheOwnerInvitesAndRemoves(t *testing.T) {
	t.Parallel()
	h, b := newHouse(t), chromium.Tab(t)
	h.chat.talks = []chatd.Talk{{ID: "c1", Who: "Bob", About: "Offer", At: time.Now()}}
	p := h.sitDown(b, "/desk/c/c1")
	p.expect(t, "open")
	onPhone(b, "dark")
	b.Run(chromedp.Focus(".acts summary"), chromedp.KeyEvent(kb.Enter), chromedp.Focus(`[data-act="invite-all"]`), chromedp.KeyEvent(kb.Enter))
	b.Until(`document.getElementById('sure').open && document.getElementById('sure-text').textContent.includes('so far')`)
	b.Run(chromedp.Focus("#sure-yes"), chromedp.KeyEvent(kb.Enter))
	f := p.expect(t, "invite")
	if f["conv"] != "c1" || f["all"] != true {
		t.Errorf("invites with %v", f)
	}
	p.send(t, frame{"t": "code", "conv": "c1", "cid": f["cid"], "code": goodCode, "left_ms": 600_000})
	b.Until(`document.querySelector('.pane-guests [role=status]').textContent.includes('` + goodCode + `')`)
	join := said(1, "guest", "")
	join["conv"], join["kind"], join["who"] = "c1", "join", 1
	name := said(2, "guest", "Carla")
	name["conv"], name["kind"], name["who"], name["name"] = "c1", "name", 1, "Carla"
	p.send(t, join, name)
	b.Until(`document.querySelector('.pane-guests li span')?.textContent === 'Carla' && document.querySelector('.pane-guests [role=status]').textContent === ''`)
	if who := browsertest.JS[string](b, `document.querySelector('#conversations a').dataset.who`); who != "Bob" {
		t.Errorf("the conversation is %s's now", who)
	}
	audit(t, b, "desk, with a guest")
	b.Run(chromedp.Focus(".pane-guests li button"), chromedp.KeyEvent(kb.Enter))
	b.Until(`document.getElementById('sure').open && document.getElementById('sure-head').textContent === 'Remove Carla from the conversation?' && document.activeElement.id === 'sure-no'`)
	b.Run(chromedp.KeyEvent(kb.Enter)) // not yet
	b.Until(`!document.getElementById('sure').open && document.activeElement.matches('.pane-guests li button')`)
	b.Run(chromedp.KeyEvent(kb.Enter))
	b.Until(`document.getElementById('sure').open`)
	b.Run(chromedp.Focus("#sure-yes"), chromedp.KeyEvent(kb.Enter))
	if f := p.expect(t, "remove"); f["conv"] != "c1" || f["who"] != 1.0 {
		t.Errorf("removes with %v", f)
	}
	p.send(t, frame{"t": "error", "code": "guests", "text": "x", "conv": "c1", "cid": "invite.9"})
	b.Until(`document.querySelector('.pane-guests [role=status]').textContent.includes('as many guests')`)
}
