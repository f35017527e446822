package pages

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"chmail/chatd"
	"chmail/internal/browsertest"
)

// fakePhrases keeps canned answers, three at most.
type fakePhrases struct {
	phrasing sync.Mutex
	said     []chatd.Phrase
	next     int64
}

func (f *fakePhrases) Phrases(_ context.Context, login string) ([]chatd.Phrase, error) {
	f.phrasing.Lock()
	defer f.phrasing.Unlock()
	if login != alice {
		return nil, nil
	}
	return slices.Clone(f.said), nil
}

func (f *fakePhrases) KeepPhrase(_ context.Context, _ string, id int64, text string) error {
	f.phrasing.Lock()
	defer f.phrasing.Unlock()
	if id == 0 && len(f.said) == 3 {
		return chatd.ErrPhraseFull
	}
	if id == 0 {
		f.next++
		f.said = append(f.said, chatd.Phrase{ID: f.next, Text: text})
		return nil
	}
	for i, p := range f.said {
		if p.ID == id {
			if f.said[i].Text = text; text == "" {
				f.said = slices.Delete(f.said, i, i+1)
			}
			return nil
		}
	}
	return chatd.ErrNoPhrase
}

func TestOnlyTheOwnerHasHisCannedAnswers(t *testing.T) {
	t.Parallel()
	h := newHouseAt(t, realSite)
	me := func(r *http.Request) { r.AddCookie(h.signedIn(alice)) }
	post := func(form url.Values, change ...func(*http.Request)) (int, string) {
		t.Helper()
		resp := h.post("/desk/phrases", form, change...)
		return resp.StatusCode, readAll(t, resp)
	}
	if resp := h.ask("GET", "/desk/phrases"); resp.StatusCode != http.StatusForbidden || !strings.Contains(readAll(t, resp), "signed-out") {
		t.Errorf("signed out: %d", resp.StatusCode)
	}
	if status, _ := post(url.Values{"text": {"x"}}, me, func(r *http.Request) { r.Header.Set("Origin", "https://evil.example") }); status != http.StatusForbidden || len(h.chat.said) != 0 {
		t.Errorf("from elsewhere: %d", status)
	}
	if status, body := post(url.Values{"text": {"<b>Hello</b>"}}, me); status != 200 || !strings.Contains(body, `{"phrases":[{"id":1,"text":"\u003cb\u003eHello\u003c/b\u003e"}]}`) {
		t.Errorf("kept: %d %s", status, body)
	}
	for _, c := range []struct {
		form   url.Values
		status int
		code   string
	}{
		{url.Values{"id": {"x"}}, 400, "frame"}, {url.Values{"id": {"-1"}}, 400, "frame"}, {url.Values{"id": {"77"}, "text": {"y"}}, 404, "gone"},
		{url.Values{"text": {"2"}}, 200, ""}, {url.Values{"text": {"3"}}, 200, ""}, {url.Values{"text": {"4"}}, 409, "full"},
	} {
		if status, body := post(c.form, me); status != c.status || !strings.Contains(body, c.code) || !strings.Contains(body, `"id":1`) {
			t.Errorf("%v: %d %s", c.form, status, body)
		}
	}
}

func TestCannedAnswersAreGivenAtTheDesk(t *testing.T) {
	t.Parallel()
	h, b := newHouse(t), chromium.Tab(t)
	onPhone(b, "dark")
	h.chat.talks = []chatd.Talk{{ID: "c1", Who: "Bob", About: "Offer"}}
	evil := `<img src=x onerror="window.hit=1">`
	h.chat.said, h.chat.next = []chatd.Phrase{{ID: 1, Text: "Good morning,\nhow can I help?"}, {ID: 2, Text: evil}}, 2
	p := h.sitDown(b, "/desk/c/c1")
	p.expect(t, "open")
	const field = "section[data-conv=c1] textarea"
	b.Run(chromedp.SendKeys(field, "Hello Bob"), chromedp.Focus(".canned"), chromedp.KeyEvent(kb.Enter))
	b.Until(`document.getElementById('phrases').open && document.querySelectorAll('.phrase').length === 2 && document.activeElement.id === 'phrases-filter'`)
	audit(t, b, "desk, canned answers")
	b.Run(chromedp.KeyEvent("ＨＥＬＰ")) // width and case make no difference
	b.Until(`document.querySelectorAll('.phrase').length === 1`)
	b.Run(chromedp.KeyEvent(kb.ArrowDown))
	b.Until(`document.activeElement.classList.contains('phrase')`)
	b.Run(chromedp.KeyEvent(kb.Enter))
	b.Until(`!document.getElementById('phrases').open && document.activeElement.matches('` + field + `') && document.activeElement.value === 'Hello Bob Good morning,\nhow can I help?'`)

	b.Run(chromedp.Click(".canned"))
	b.Until(`document.getElementById('phrases').open && document.querySelectorAll('.phrase').length === 2`)
	b.Run(chromedp.SendKeys("#phrases-text", "See you"), chromedp.Click("#phrases-save"))
	b.Until(`document.querySelectorAll('.phrase').length === 3 && document.getElementById('phrases-note').textContent === 'Kept.' && document.getElementById('phrases-text').value === ''`)
	b.Run(chromedp.SendKeys("#phrases-text", "One too many"), chromedp.Click("#phrases-save"))
	b.Until(`document.getElementById('phrases-note').textContent.startsWith('Not kept: there are 50') && document.getElementById('phrases-text').value === 'One too many'`)
	b.Run(chromedp.Click("#phrases-list li:nth-child(3) button:nth-of-type(2)"))
	b.Until(`document.getElementById('phrases-text').value === 'See you' && document.getElementById('phrases-label').textContent === 'Change this answer'`)
	b.Run(chromedp.SendKeys("#phrases-text", " tomorrow"), chromedp.Click("#phrases-save"))
	b.Until(`document.querySelectorAll('.phrase')[2].textContent === 'See you tomorrow' && document.getElementById('phrases-stop').hidden`)
	const remove = "#phrases-list li:nth-child(2) button:nth-of-type(3)"
	b.Run(chromedp.Click(remove))
	b.Until(`document.querySelector('` + remove + `').textContent === 'Delete?'`)
	b.Run(chromedp.Click(remove))
	b.Until(`document.querySelectorAll('.phrase').length === 2 && document.getElementById('phrases-note').textContent === 'Deleted.'`)
	if browsertest.JS[bool](b, `document.querySelectorAll('#phrases img').length > 0 || 'hit' in window`) {
		t.Error("an answer became an element")
	}
	b.Run(chromedp.Click("#phrases-list li:first-child .phrase"))
	b.Until(`!document.getElementById('phrases').open && document.activeElement.value.endsWith('help? Good morning,\nhow can I help?')`)
	b.Run(chromedp.Click(".canned"))
	b.Until(`document.getElementById('phrases').open`)
	b.Run(chromedp.KeyEvent(kb.Escape))
	b.Until(`!document.getElementById('phrases').open`)
}
