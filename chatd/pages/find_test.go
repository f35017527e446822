package pages

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"chmail/chatd"
	"chmail/internal/browsertest"
)

// fakeFinder answers by what is looked for, and from where on.
type fakeFinder struct {
	finding sync.Mutex
	asked   []string
	finds   map[string]chatd.Found // by words and place, with a blank between
	failing error
}

func (f *fakeFinder) Find(_ context.Context, login, words, older string) (chatd.Found, error) {
	f.finding.Lock()
	defer f.finding.Unlock()
	f.asked = append(f.asked, login+": "+words+" "+older)
	return f.finds[words+" "+older], f.failing
}

func foundTalkOf(id, who, about string, hits ...chatd.Hit) chatd.FoundTalk {
	return chatd.FoundTalk{Talk: chatd.Talk{ID: id, Who: who, About: about, Text: "the last of " + id, State: "answered", At: time.Now().Add(-90 * 24 * time.Hour)}, Hits: hits}
}

func TestOnlyTheOwnerLooksThroughHisConversations(t *testing.T) {
	t.Parallel()
	h := newHouseAt(t, realSite)
	h.chat.finds = map[string]chatd.Found{"roof 7.8": {Talks: []chatd.FoundTalk{foundTalkOf("c1", "Bob", "Offer", chatd.Hit{N: 3, From: "visitor", At: time.Now(), Text: "the roof"})}, Older: "5.6"}}
	ask := func(form url.Values, change ...func(*http.Request)) (*http.Response, string) {
		t.Helper()
		resp := h.post("/desk/find", form, change...)
		return resp, readAll(t, resp)
	}
	form := url.Values{"words": {"roof"}, "older": {"7.8"}}
	if resp, body := ask(form); resp.StatusCode != http.StatusForbidden || !strings.Contains(body, "signed-out") {
		t.Errorf("signed out: %d %s", resp.StatusCode, body)
	}
	me := func(r *http.Request) { r.AddCookie(h.signedIn(alice)) }
	if resp, _ := ask(form, me, func(r *http.Request) { r.Header.Set("Origin", "https://evil.example") }); resp.StatusCode != http.StatusForbidden {
		t.Errorf("from elsewhere: %d", resp.StatusCode)
	}
	if len(h.chat.asked) != 0 {
		t.Errorf("looked for: %v", h.chat.asked)
	}
	resp, body := ask(form, me)
	for _, part := range []string{`"conv":"c1"`, `"who":"Bob"`, `"hits":[{"n":3,"from":"visitor"`, `"text":"the roof"`, `"older":"5.6"`} {
		if !strings.Contains(body, part) {
			t.Errorf("%d without %s: %s", resp.StatusCode, part, body)
		}
	}
	if h.chat.asked[0] != alice+": roof 7.8" || resp.Header.Get("Cache-Control") != "no-store" {
		t.Errorf("asked %v, kept %q", h.chat.asked, resp.Header.Get("Cache-Control"))
	}
	for err, status := range map[error]int{chatd.ErrFinding: 429, fmt.Errorf("%q: %w", "x", chatd.ErrPlace): 400, fmt.Errorf("database is locked at /var/lib"): 500} {
		h.chat.failing = err
		if resp, body := ask(form, me); resp.StatusCode != status || strings.Contains(body, "/var/lib") {
			t.Errorf("%v: %d %s", err, resp.StatusCode, body)
		}
	}
}

func TestTheOwnerFindsAConversationAtTheDesk(t *testing.T) {
	t.Parallel()
	h, b := newHouse(t), chromium.Tab(t)
	onPhone(b, "light")
	h.chat.talks = []chatd.Talk{{ID: "c1", Who: "Mina", About: "Gutters", At: time.Now()}}
	evil := `<img src=x onerror="window.hit=1"> roof`
	h.chat.finds = map[string]chatd.Found{
		"Roof ":    {Talks: []chatd.FoundTalk{foundTalkOf("c7", "Bob", "Offer for the roof", chatd.Hit{N: 2, From: "visitor", At: time.Now(), Text: evil}, chatd.Hit{N: 1, From: "owner", At: time.Now(), Text: "my roof"}, chatd.Hit{N: 3, From: "guest", Who: 2, At: time.Now(), Text: "their roof"}, chatd.Hit{N: 4, From: "guest", Who: 1, Name: "Carla", At: time.Now(), Text: "whose roof"})}, Older: "5.6"},
		"Roof 5.6": {Talks: []chatd.FoundTalk{foundTalkOf("c8", "", "Another roof")}},
	}
	p := h.sitDown(b, "/desk")
	b.Run(chromedp.SendKeys("#find-words", "Roof\r"))
	b.Until(`document.querySelectorAll('#found .hit').length === 4 && document.getElementById('listed').hidden`)
	b.Until(`document.getElementById('found-text').textContent === '1 found so far. There may be more further back.'`)
	if got := browsertest.JS[string](b, `[...document.querySelectorAll('#found mark')].map((m) => m.textContent).join()`); got != "roof,roof,roof,roof,roof" {
		t.Errorf("marked: %s", got)
	}
	if browsertest.JS[bool](b, `document.querySelectorAll('#found img').length > 0 || 'hit' in window`) {
		t.Error("what was said became an element")
	}
	if got := browsertest.JS[string](b, `[...document.querySelectorAll('#found .hit b')].map((e) => e.textContent).join()`); got != "Bob,You,Guest 2,Carla" {
		t.Errorf("said by %s", got)
	}
	audit(t, b, "desk, found")
	b.Run(chromedp.Focus("#found-older"), chromedp.KeyEvent(kb.Enter))
	b.Until(`document.querySelectorAll('#found li').length === 2 && document.getElementById('found-older').hidden && document.getElementById('found-text').textContent === '2 found.'`)
	b.Until(`document.activeElement.dataset.conv === 'c8'`) // the keyboard goes on where there is something new
	b.Run(chromedp.Focus("#found .hit"), chromedp.KeyEvent(kb.Enter))
	if o := p.expect(t, "open"); o["conv"] != "c7" {
		t.Errorf("opened: %v", o)
	}
	for n, text := range []string{"my roof", "a roof", "more"} {
		f := said(n+1, "visitor", text)
		f["conv"] = "c7"
		p.send(t, f)
	}
	b.Until(`document.querySelector('section[data-conv=c7] .found .said')?.textContent === 'a roof' && document.activeElement.classList.contains('found')`)
	b.Until(`document.querySelector('section[data-conv=c7] .pane-who').textContent === 'Bob'`) // though the list did not have it
	b.Run(chromedp.Click("section[data-conv=c7] .back"), chromedp.Focus("#find-words"), chromedp.KeyEvent(kb.Escape))
	b.Until(`document.getElementById('found').hidden && !document.getElementById('listed').hidden && document.getElementById('find-words').value === '' && document.activeElement.id === 'find-words'`)
	b.Run(chromedp.SendKeys("#find-words", "nobody\r"))
	b.Until(`document.getElementById('found-text').textContent === 'Nothing found for “nobody”.'`)
	h.chat.finding.Lock()
	h.chat.failing = fmt.Errorf("the database is away")
	h.chat.finding.Unlock()
	b.Run(chromedp.SendKeys("#find-words", " else\r"))
	b.Until(`document.getElementById('found-text').textContent.startsWith('That did not work.')`)
}

func TestOlderConversationsAreShownWhenAskedFor(t *testing.T) {
	t.Parallel()
	h, b := newHouse(t), chromium.Tab(t)
	now := time.Now()
	for i := range listed {
		h.chat.talks = append(h.chat.talks, chatd.Talk{ID: fmt.Sprint("c", i), Who: "Bob", About: "Offer", At: now.Add(-time.Duration(i) * time.Hour)})
	}
	place := fmt.Sprint(h.chat.talks[listed-1].At.UnixMilli())
	h.chat.finds = map[string]chatd.Found{
		" " + place: {Talks: []chatd.FoundTalk{{Talk: h.chat.talks[listed-1]}, foundTalkOf("o1", "Older Bob", "Offer")}, Older: "5.6"},
		" 5.6":      {Talks: []chatd.FoundTalk{foundTalkOf("o2", "Oldest Bob", "Offer")}},
	}
	p := h.sitDown(b, "/desk")
	b.Run(chromedp.Focus("#older"), chromedp.KeyEvent(kb.Enter))
	b.Until(`document.querySelectorAll('#conversations a').length === 101 && document.querySelector('#conversations li:last-child a').dataset.conv === 'o1'`)
	b.Run(chromedp.Focus("#older"), chromedp.KeyEvent(kb.Enter))
	b.Until(`document.querySelectorAll('#conversations a').length === 102 && document.getElementById('older').hidden`)
	b.Run(chromedp.Click(`a[data-conv="o2"]`))
	if o := p.expect(t, "open"); o["conv"] != "o2" {
		t.Errorf("opened: %v", o)
	}
	b.Until(`document.querySelector('section[data-conv=o2] .pane-who').textContent === 'Oldest Bob'`)
}
