package pages

import (
	"fmt"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"chmail/chatd"
	"chmail/internal/browsertest"
)

// runs fails unless the texts of what a selector finds run in these directions.
func runs(t *testing.T, b *browsertest.Tab, selector string, want ...string) {
	t.Helper()
	got := browsertest.JS[[]string](b, fmt.Sprintf(`[...document.querySelectorAll(%q)].filter((e) => e.checkVisibility()).map((e) => getComputedStyle(e).direction)`, selector))
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("%s runs %v, want %v", selector, got, want)
	}
}

// fits fails when something sticks out of the page.
func fits(t *testing.T, b *browsertest.Tab, where string) {
	t.Helper()
	if out := browsertest.JS[int](b, `document.documentElement.scrollWidth - innerWidth`); out > 0 {
		t.Errorf("%s: the page is %d pixels too wide", where, out)
	}
}

func TestWhatIsWrittenFromRightToLeftIsReadSo(t *testing.T) {
	t.Parallel()
	h, b := newHouse(t), chromium.Tab(t)
	h.links.link.Name, h.links.link.Mail.Subject = "שרה כהן", "הצעה לגג"
	onPhone(b, "light")
	b.Run(chromedp.Navigate(h.url + "/c/" + goodToken))
	runs(t, b, "h1 [dir]", "rtl")
	runs(t, b, ".about cite", "rtl")
	runs(t, b, "h1, .about", "ltr", "ltr") // the page's own words
	b.MoveMouse()
	p := next(t, h.chat.readers)
	joined(t, p, 0)
	p.send(t, said(1, "owner", "هل يشمل السقالات؟"), said(2, "visitor", "Yes, for two weeks."), said(3, "owner", "1. https://example.com/a"))
	b.Until(`document.querySelectorAll('.said').length === 3`)
	runs(t, b, ".said", "rtl", "ltr", "ltr") // its first letters decide
	fits(t, b, "reader")
	side := `(() => { const mid = innerWidth / 2; return [...document.querySelectorAll('.said')].slice(0, 2).map((e) => { const r = e.closest('li').querySelector('.said').getBoundingClientRect(); return Math.abs(r.left - 0) < Math.abs(innerWidth - r.right); }); })()`
	before := browsertest.JS[[]bool](b, side)
	browsertest.JS[bool](b, `(document.documentElement.dir = 'rtl', true)`) // as a page in Hebrew would be
	fits(t, b, "reader, turned around")
	if after := browsertest.JS[[]bool](b, side); before[0] == before[1] || after[0] == before[0] || after[1] == before[1] {
		t.Errorf("the sides at which the two stand: %v, turned around %v", before, after)
	}
}

func TestTheDeskOfWhoeverReadsFromRightToLeft(t *testing.T) {
	t.Parallel()
	h, b := newHouse(t), chromium.Tab(t)
	h.chat.talks = []chatd.Talk{
		{ID: "c1", Who: "محمد", About: "عرض السقف", Text: "شكرا", State: "answered", At: time.Now()},
		{ID: "c2", Who: "Bob", About: "Roof", Text: "Thanks", State: "answered", At: time.Now()},
	}
	onPhone(b, "dark")
	h.sitDown(b, "/desk")
	runs(t, b, ".item-who", "rtl", "ltr")
	runs(t, b, ".item-text", "rtl", "ltr")
	fits(t, b, "desk")
	browsertest.JS[bool](b, `(document.documentElement.dir = 'rtl', true)`)
	fits(t, b, "desk, turned around")
}
