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
	if to := resp.Header.Get("Location"); resp.StatusCode != http.StatusSeeOther || to != "/c/"+goodToken {
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
	b.Until(`document.querySelector('.carry').textContent.includes('the link of this conversation works no more')`)
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
			for why, want := range map[error]string{chatd.ErrCode: "join.fault.code", context.DeadlineExceeded: "join.fault.busy"} {
				h.chat.refuse(why)
				b.Run(chromedp.SendKeys("#code", "wrong\r"))
				b.Until(fmt.Sprintf(`document.getElementById('fault')?.textContent === %q && document.getElementById('code').value === ''`, words.T(want)))
				audit(t, b, "join, "+want)
			}
			h.chat.refuse(nil)
			b.Run(chromedp.SendKeys("#code", goodCode+"\r"))
			b.Until(`location.pathname === '/c/` + goodToken + `'`)
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
