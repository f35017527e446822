package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
)

// TestPictures takes the README's pictures of the pages from a play instance on its usual ports. CHMAIL_PICTURES names the folder they go to; the
// picture of the mail client is taken by hand.
func TestPictures(t *testing.T) {
	dir := os.Getenv("CHMAIL_PICTURES")
	if dir == "" {
		t.Skip("CHMAIL_PICTURES names no folder")
	}
	p := play(t)
	link := p.find(t, `(http://localhost:\d+/c/[A-Za-z0-9_-]{22})`)
	password := p.find(t, `alice@localhost\.test\s+password (\S+)`)
	desk := chromium.Tab(t)
	desk.Run(chromedp.EmulateViewport(1000, 640), chromedp.Navigate(link[:strings.Index(link, "/c/")]+"/desk"))
	desk.Until(`document.getElementById('user') !== null`)
	desk.Run(chromedp.SendKeys("#user", "alice@localhost.test"), chromedp.SendKeys("#password", password+"\r"))
	desk.Until(`document.getElementById('desk') && document.getElementById('desk').dataset.line === 'up'`)
	desk.Run(chromedp.Click("#nothing")) // a person's click lets the page sound
	reader := follow(t, link)
	reader.Run(chromedp.EmulateViewport(1000, 640), chromedp.SendKeys("#name", "Bob"), chromedp.SendKeys("#text", "Hello Alice, I have just read your mail.\r"))
	desk.Until(`document.querySelector('.call.ring') !== null && document.querySelector('.call').textContent.includes('Bob')`)
	desk.Shot(filepath.Join(dir, "desk.png"))
	desk.Run(chromedp.Click(".call.ring .main"))
	reader.Until(call("answered"))
	desk.Run(chromedp.SendKeys(".talk:not([hidden]) textarea", "That was quick! What do you think of it?\r"))
	said(reader, "Hello Alice, I have just read your mail.", "That was quick! What do you think of it?")
	reader.Run(chromedp.SendKeys("#text", "I like that I needed nothing but my mail program.\r"))
	said(desk, "Hello Alice, I have just read your mail.", "That was quick! What do you think of it?", "I like that I needed nothing but my mail program.")
	reader.Until(`document.querySelectorAll('[data-state=sent]').length > 0`)
	reader.Shot(filepath.Join(dir, "reader.png"))
}
