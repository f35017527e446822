package pages

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"chmail/chatd"
	"chmail/internal/browsertest"
)

func TestTheOwnerBringsInAnotherReaderOfTheMail(t *testing.T) {
	t.Parallel()
	h, b := newHouse(t), chromium.Tab(t)
	h.chat.talks = []chatd.Talk{{ID: "c1", Who: "Bob", About: "Offer", At: time.Now()}}
	p := h.sitDown(b, "/desk/c/c1")
	p.expect(t, "open")
	onPhone(b, "dark")
	ask := func() {
		t.Helper()
		b.Run(chromedp.Focus(".acts summary"), chromedp.KeyEvent(kb.Enter), chromedp.Focus(`[data-act="readers"]`), chromedp.KeyEvent(kb.Enter))
		if f := p.expect(t, "readers"); f["conv"] != "c1" {
			t.Errorf("asked for %v", f)
		}
	}
	ask()
	p.send(t, frame{"t": "readers", "conv": "c1", "list": []frame{}})
	b.Until(`document.getElementById('readers').open && document.getElementById('readers-text').textContent.startsWith('Nobody else') && !document.getElementById('readers-yes').checkVisibility()`)
	b.Run(chromedp.KeyEvent(kb.Escape))
	b.Until(`!document.getElementById('readers').open`)
	ask()
	p.send(t, frame{"t": "readers", "conv": "c1", "list": []frame{{"conv": "c2", "who": "", "at": time.Now()}, {"conv": "c3", "who": "Mina", "here": true, "at": time.Now()}}})
	b.Until(`document.getElementById('readers').open && document.querySelectorAll('#readers-list input').length === 2`)
	audit(t, b, "desk, which reader to bring in")
	if got := browsertest.JS[string](b, `[...document.querySelectorAll('#readers-list li')].map((e) => e.querySelector('span').textContent + ' ' + (e.querySelector('b')?.textContent ?? '')).join()`); got != "Someone ,Mina here" {
		t.Errorf("listed: %s", got)
	}
	b.Run(chromedp.Click(`#readers-list input[value="c3"]`), chromedp.Click("#readers-all"), chromedp.Click("#readers-yes"))
	f := p.expect(t, "invite")
	if f["conv"] != "c1" || f["all"] != true || f["text"] != nil {
		t.Errorf("invited by %v", f)
	}
	p.send(t, frame{"t": "code", "conv": "c1", "cid": f["cid"], "code": goodCode, "left_ms": 600_000})
	say := p.expect(t, "say")
	if text, _ := say["text"].(string); say["conv"] != "c3" || say["on"] != true || !strings.Contains(text, "/join?code=ABCDEFGHJKLM ") {
		t.Errorf("Mina is told %v", say)
	}
	b.Until(`document.querySelector('.pane-guests p').textContent === 'Mina has been written an invitation. It works for ten minutes.'`)
}

// The address in an invitation fills the code in, and does nothing else: a person presses the button.
func TestAnInvitationsAddressUsesNoCode(t *testing.T) {
	t.Parallel()
	h := newHouseAt(t, realSite)
	page := readAll(t, h.ask("GET", joinPath+"?code=ABCDEFGHJKLM"))
	if !strings.Contains(page, ` value="ABCDEFGHJKLM"`) || len(h.chat.redeemed) != 0 {
		t.Errorf("%d codes used:\n%s", len(h.chat.redeemed), page)
	}
	for _, odd := range []string{`"><script>alert(1)</script>`, strings.Repeat("A", 200)} {
		resp := h.ask("GET", joinPath, func(r *http.Request) { q := r.URL.Query(); q.Set("code", odd); r.URL.RawQuery = q.Encode() })
		if page := readAll(t, resp); strings.Contains(page, "<script>alert") || strings.Contains(page, `value="`+strings.Repeat("A", 200)) {
			t.Errorf("%q:\n%s", odd, page)
		}
	}
}
