package pages

import (
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"chmail/internal/browsertest"
)

func TestEmojiAreChosenByKeyboardAndByPointer(t *testing.T) {
	t.Parallel()
	h, b := newHouse(t), chromium.Tab(t)
	onPhone(b, "light")
	b.Run(chromedp.Navigate(h.url + "/c/" + goodToken))
	if browsertest.JS[bool](b, `document.querySelector('.emoji-button') !== null`) {
		t.Error("who has not shown himself has loaded them already")
	}
	b.Run(chromedp.SendKeys("#text", "Hello"))
	p := next(t, h.chat.readers)
	joined(t, p, 0)
	b.Until(`document.querySelector('.emoji-button') !== null && [...document.styleSheets].some((s) => s.href?.endsWith('/emoji.css'))`)
	b.Run(chromedp.Focus(".emoji-button"), chromedp.KeyEvent(kb.Enter))
	b.Until(`!document.querySelector('.emoji').hidden && document.activeElement.textContent === '😀'`)
	audit(t, b, "reader, choosing an emoji")
	b.Run(chromedp.KeyEvent(kb.ArrowRight), chromedp.KeyEvent(kb.ArrowDown), chromedp.KeyEvent(kb.ArrowDown), chromedp.KeyEvent(kb.ArrowUp), chromedp.KeyEvent(kb.ArrowDown))
	b.Until(`document.activeElement.textContent === '👎'`)
	b.Run(chromedp.KeyEvent(kb.ArrowLeft), chromedp.KeyEvent(kb.Enter))
	b.Until(`document.querySelector('.emoji').hidden && document.activeElement.id === 'text' && document.getElementById('text').value === 'Hello👍'`)
	b.Run(chromedp.Click(".emoji-button"))
	b.Until(`document.querySelector('.emoji-button').ariaExpanded === 'true' && document.activeElement.textContent === '👍'`) // where one was
	b.Run(chromedp.KeyEvent(kb.Escape))
	b.Until(`document.querySelector('.emoji').hidden && document.activeElement.matches('.emoji-button')`)
	b.Run(chromedp.Click(".emoji-button"), chromedp.Click(".emoji button:first-child"), chromedp.KeyEvent(kb.Enter))
	if say := p.expect(t, "say"); say["text"] != "Hello👍😀" {
		t.Errorf("said: %v", say)
	}
}
