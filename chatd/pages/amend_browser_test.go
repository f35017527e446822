package pages

import (
	"fmt"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"chmail/chatd"
	"chmail/internal/browsertest"
)

// changed is the event of a message's change.
func changed(n, of int, kind, from, text string) frame {
	f := said(n, from, text)
	f["conv"], f["kind"], f["of"] = "c1", kind, of
	return f
}

func TestOnesOwnMessageIsChangedAndTakenBack(t *testing.T) {
	t.Parallel()
	h, b := newHouse(t), chromium.Tab(t)
	b.Run(chromedp.Navigate(h.url+"/c/"+goodToken), chromedp.SendKeys("#text", "Good mroning\r"))
	p := next(t, h.chat.readers)
	joined(t, p, 0)
	say := p.expect(t, "say")
	old := said(2, "visitor", "from before")
	old["at"] = time.Now().Add(-11 * time.Minute).UTC().Format(time.RFC3339)
	p.send(t, frame{"t": "ack", "cid": say["cid"], "n": 1}, old, said(3, "owner", "my PIN is 4711"))
	b.Until(`document.querySelectorAll('.said').length === 3`)
	if n := browsertest.JS[int](b, `document.querySelectorAll('.changes').length`); n != 1 {
		t.Errorf("%d messages can be changed, want only the young one of one's own", n)
	}
	press := func(button string) {
		b.Run(chromedp.Focus(button), chromedp.KeyEvent(kb.Enter))
	}
	b.Run(chromedp.SendKeys("#text", "half"))
	press(".mine button:nth-of-type(1)")
	b.Until(`document.activeElement.id === 'text' && document.getElementById('text').value === 'Good mroning' && document.querySelector('.amending').textContent.includes('Escape')`)
	b.Run(chromedp.KeyEvent(kb.Escape))
	b.Until(`document.getElementById('text').value === 'half' && document.querySelector('.amending').textContent === ''`)
	press(".mine button:nth-of-type(1)")
	b.Run(chromedp.SendKeys("#text", "!\r"))
	edit := p.expect(t, "edit")
	if edit["n"] != 1.0 || edit["text"] != "Good mroning!" {
		t.Errorf("changed: %v", edit)
	}
	b.Until(`document.querySelector('.mine').dataset.state === 'sending' && document.getElementById('text').value === 'half'`)
	done := changed(4, 1, "edit", "visitor", "Good mroning!")
	done["cid"] = edit["cid"]
	p.send(t, done, frame{"t": "ack", "cid": edit["cid"], "n": 4}, changed(5, 3, "delete", "owner", ""))
	b.Until(`document.querySelector('.mine').innerText.includes('Good mroning!') && document.querySelector('.mine .edited').textContent === 'edited' && document.querySelector('.mine').dataset.state === 'sent'`)
	b.Until(`document.querySelector('.theirs .said').textContent === 'message deleted'`)
	press(".mine button:nth-of-type(2)")
	b.Until(`document.querySelector('.mine button:nth-of-type(2)').textContent === 'Delete for everybody?'`)
	b.Run(chromedp.KeyEvent(kb.Enter))
	if f := p.expect(t, "delete"); f["n"] != 1.0 {
		t.Errorf("taken back: %v", f)
	} else {
		p.send(t, frame{"t": "error", "code": "refused", "text": "too late", "cid": f["cid"]})
	}
	b.Until(`document.querySelector('.mine .mark').textContent === 'could not be changed any more' && document.querySelector('.mine .said').textContent === 'Good mroning!'`)
	p.send(t, said(6, "owner", "still in order"))
	b.Until(`document.querySelector('.theirs:last-child .said').textContent === 'still in order'`)
}

// A change that was on its way when the page was loaded anew goes on, and what becomes of it is said.
func TestAChangeOutlivesAReload(t *testing.T) {
	t.Parallel()
	h, b := newHouse(t), chromium.Tab(t)
	b.Run(chromedp.Navigate(h.url+"/c/"+goodToken), chromedp.SendKeys("#text", "Good mroning\r"))
	p := next(t, h.chat.readers)
	joined(t, p, 0)
	say := p.expect(t, "say")
	p.send(t, frame{"t": "ack", "cid": say["cid"], "n": 1})
	b.Until(`document.querySelector('.mine .changes') !== null`)
	b.Run(chromedp.Focus(".mine button:nth-of-type(1)"), chromedp.KeyEvent(kb.Enter), chromedp.SendKeys("#text", "!\r"))
	edit := p.expect(t, "edit")
	b.Run(chromedp.Reload())
	p = next(t, h.chat.readers)
	joined(t, p, 1)
	again := p.expect(t, "edit")
	if again["cid"] != edit["cid"] || again["n"] != 1.0 {
		t.Errorf("after the reload: %v, before %v", again, edit)
	}
	p.send(t, said(1, "visitor", "Good mroning"), frame{"t": "error", "code": "refused", "text": "too late", "cid": again["cid"]})
	b.Until(`document.querySelector('.mine .mark')?.textContent === 'could not be changed any more'`)
}

func TestTheDesksListForgetsWhatWasTakenBack(t *testing.T) {
	t.Parallel()
	h, b := newHouse(t), chromium.Tab(t)
	h.chat.talks = []chatd.Talk{{ID: "c1", Who: "Bob", About: "Offer", At: time.Now()}}
	p := h.sitDown(b, "/desk")
	for n := range 2 {
		f := said(n+1, "visitor", fmt.Sprint("message ", n+1))
		f["conv"] = "c1"
		p.send(t, f)
	}
	b.Until(`document.querySelector('.item-unread b').textContent === '2' && document.querySelector('.item-text').textContent === 'message 2'`)
	p.send(t, changed(3, 2, "delete", "visitor", ""), frame{"t": "said", "conv": "c1", "text": "message 1", "unread": 1, "n": 3})
	b.Until(`document.querySelector('.item-unread b').textContent === '1' && document.querySelector('.item-text').textContent === 'message 1'`)
	b.Run(chromedp.Click(`a[data-conv="c1"]`))
	p.expect(t, "open")
	gone := said(2, "visitor", "")
	first, mine := said(1, "visitor", "message 1"), said(4, "owner", "mine")
	gone["conv"], first["conv"], mine["conv"] = "c1", "c1", "c1"
	p.send(t, first, gone, changed(3, 2, "delete", "visitor", ""), mine)
	b.Until(`document.querySelectorAll('.theirs .said')[1].textContent === 'message deleted' && document.querySelector('.mine .said') !== null`)
	b.Run(chromedp.Focus(".mine button:nth-of-type(2)"), chromedp.KeyEvent(kb.Enter), chromedp.KeyEvent(kb.Enter))
	if f := p.expect(t, "delete"); f["n"] != 4.0 || f["conv"] != "c1" {
		t.Errorf("taken back at the desk: %v", f)
	}
}
