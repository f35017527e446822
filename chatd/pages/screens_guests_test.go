package pages

import (
	"time"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"chmail/internal/browsertest"
)

// invites shows how others are brought into a conversation, at the owner's desk and at a colleague's.
func (s *screens) invites(b *browsertest.Tab, p *caller) {
	act := func(what string) {
		browsertest.JS[bool](b, `document.querySelector('section[data-conv=c1] .acts').open = true`)
		b.Run(chromedp.Click(`section[data-conv=c1] [data-act="` + what + `"]`))
	}
	act("colleague")
	b.Until(`document.getElementById('colleague').open`)
	s.shot(b, "desk-colleague")
	b.Run(chromedp.KeyEvent(kb.Escape))
	b.Until(`!document.getElementById('colleague').open && !document.querySelector('section[data-conv=c1] .acts').open`)
	act("readers")
	p.expect(s.t, "readers")
	p.send(s.t, frame{"t": "readers", "conv": "c1", "list": []frame{{"conv": "c2", "who": s.says.visitor, "here": true, "at": time.Now()}, {"conv": "c3", "who": "", "at": time.Now().Add(-time.Hour)}}})
	b.Until(`document.getElementById('readers').open`)
	s.shot(b, "desk-readers")
	b.Run(chromedp.KeyEvent(kb.Escape))
	p.send(s.t, frame{"t": "code", "conv": "c1", "cid": "invite.1", "code": goodCode, "left_ms": 600_000},
		frame{"t": "event", "conv": "c1", "n": 3, "kind": "join", "from": "guest", "who": 1, "name": s.says.owner + " <carol@localhost.test>", "login": "carol@localhost.test", "at": time.Now()},
		frame{"t": "invited", "conv": "c1", "list": []frame{{"login": "dave@localhost.test", "left_ms": 86_400_000}}})
	b.Until(`document.querySelectorAll('section[data-conv=c1] .pane-guests li').length === 2`)
	s.shot(b, "desk-guests")
	browsertest.JS[bool](b, `document.querySelector('.back').click(), true`)
	p.send(s.t, frame{"t": "invitations", "list": []frame{{"id": "i1", "owner": s.says.owner, "login": alice, "who": s.says.visitor, "about": s.says.subject, "left_ms": 86_400_000}}})
	b.Until(`document.querySelector('#invitations li') !== null`)
	s.shot(b, "desk-invited")
	p.send(s.t, frame{"t": "invitations", "list": []frame{}})
	browsertest.JS[bool](b, `document.querySelector('[data-conv=c1]').click(), true`)
	b.Until(`document.querySelector('#invitations li') === null && location.pathname === '/desk/c/c1'`)
}

// guests are the page on which a code is typed, and that to which it leads.
func (s *screens) guests() {
	h, b := s.open()
	b.Run(chromedp.Navigate(h.url + joinPath))
	b.Until(`document.activeElement.id === 'code'`)
	s.shot(b, "join")
	h.chat.admit()
	b.Run(chromedp.SendKeys("#code", goodCode+"\r"))
	p := next(s.t, h.chat.readers)
	p.expect(s.t, "join")
	h.chat.keepPicture(s.t, "roof")
	p.send(s.t, frame{"t": "joined", "conv": "c1", "last": 3, "who": 1}, frame{"t": "call", "state": "answered"},
		said(1, "visitor", s.says.talk[0]), said(2, "owner", s.says.talk[1]),
		filed(3, "visitor", "roof.jpg", frame{"id": "roof", "type": "image/jpeg", "size": 3 << 20, "width": 1600, "height": 1200}))
	b.Until(`document.querySelector('.said img')?.naturalWidth > 0`)
	s.shot(b, "guest")
	b.Run(chromedp.Focus(".said a:has(img)"), chromedp.KeyEvent(kb.Enter))
	b.Until(`document.querySelector('dialog.larger')?.open`)
	s.shot(b, "picture")
}
