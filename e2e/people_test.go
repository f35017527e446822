package e2e

import (
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"chmail/internal/browsertest"
)

// TestWhateverAPersonUsesRings lets people come with all that they have hands for. Each is shown at the owner's desk at once, and rings as soon as his page is two seconds
// old, which with CHMAIL_TIMING set must be within 300 ms on a machine that has nothing else to do.
func TestWhateverAPersonUsesRings(t *testing.T) {
	t.Parallel()
	s := twoPeople(t, "")
	s.mailWithPort(t, "A first mail")
	desk := s.watch(t)
	for _, person := range []struct {
		with   string
		age    time.Duration // of his page, before it may ring
		comes  func(link string) *browsertest.Tab
		intent func(b *browsertest.Tab)
	}{
		{"a mouse", 2 * time.Second, func(link string) *browsertest.Tab { return follow(t, link) }, (*browsertest.Tab).MoveMouse},
		{"a finger", 2 * time.Second, func(link string) *browsertest.Tab { return follow(t, link) }, func(b *browsertest.Tab) { b.Run(chromedp.TapXY(50, 50)) }},
		{"a wheel", 2 * time.Second, func(link string) *browsertest.Tab { return follow(t, link) }, func(b *browsertest.Tab) {
			b.Run(chromedp.MouseEvent("mouseWheel", 50, 50, func(p *input.DispatchMouseEventParams) { p.DeltaX, p.DeltaY = 1, 30 }))
		}},
		{"a keyboard", 2 * time.Second, func(link string) *browsertest.Tab { return follow(t, link) }, func(b *browsertest.Tab) { b.Run(chromedp.KeyEvent(kb.Tab)) }},
		{"a screen reader, which moves nothing before it types", 2 * time.Second, func(link string) *browsertest.Tab { return follow(t, link) }, func(b *browsertest.Tab) {
			b.Run(chromedp.Focus("#text"), chromedp.KeyEvent("h"))
		}},
		{"no scripts", 3 * time.Second, func(link string) *browsertest.Tab {
			b := chromium.Tab(t)
			b.WithoutScripts()
			b.Run(chromedp.Navigate(link))
			return b
		}, func(b *browsertest.Tab) {
			old := time.NewTimer(3100 * time.Millisecond) // a form that is posted sooner comes back
			<-old.C
			b.Run(chromedp.SendKeys("#plain-text", "Are you there?"), chromedp.Click(".plain button.main"))
		}},
	} {
		link := chatLink(t, s.mailTo(t, "For somebody with "+person.with))
		from := len(desk.list())
		began := time.Now()
		b := person.comes(link)
		loaded := time.Now()
		if n := len(desk.list()); n != from {
			t.Errorf("%s: the desk was told something before there was a person", person.with)
		}
		person.intent(b)
		intent := time.Now()
		visit, ring := desk.find("visit", from), desk.find("ring", from)
		if visit.Conv != ring.Conv || visit.at.After(ring.at) {
			t.Errorf("%s: visit %+v, ring %+v", person.with, visit, ring)
		}
		if ring.at.Sub(began) < person.age {
			t.Errorf("%s: it rang when the page was %v old at most", person.with, ring.at.Sub(began))
		}
		due := loaded.Add(person.age)
		if due.Before(intent) {
			due = intent
		}
		late := max(ring.at.Sub(due), 0)
		t.Logf("%s: shown %v after the intent, rang %v after it was due", person.with, max(visit.at.Sub(intent), 0).Round(time.Millisecond), late.Round(time.Millisecond))
		most := 5 * time.Second // on a machine that does other work
		if os.Getenv("CHMAIL_TIMING") != "" {
			most = 300 * time.Millisecond
		}
		if late > most {
			t.Errorf("%s: it rang %v after it was due", person.with, late)
		}
		if err := write(t.Context(), desk.conn, map[string]any{"t": "decline", "call": ring.Call}); err != nil {
			t.Fatal(fmt.Errorf("declining: %w", err))
		}
	}
}
