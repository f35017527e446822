package pages

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"chmail/chatd"
	"chmail/internal/browsertest"
	"chmail/internal/call"
)

// TestScreens takes a picture of every page and state, in every language, on a phone and on a desktop, light and dark, for people to look
// at: CHMAIL_SCREENS names the folder they go to.
func TestScreens(t *testing.T) {
	dir := os.Getenv("CHMAIL_SCREENS")
	if dir == "" {
		t.Skip("CHMAIL_SCREENS names no folder")
	}
	for lang, says := range samples() {
		for _, size := range []struct {
			name          string
			width, height int64
		}{{"360", 360, 740}, {"1280", 1280, 800}} {
			for _, scheme := range []string{"light", "dark"} {
				s := &screens{t: t, dir: dir, suffix: lang + "-" + size.name + "-" + scheme, lang: lang, says: says}
				media := emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{
					{Name: "prefers-color-scheme", Value: scheme}, {Name: "prefers-reduced-motion", Value: "reduce"},
				}}
				s.look = chromedp.Steps(chromedp.EmulateViewport(size.width, size.height),
					func(ctx context.Context, target *chromedp.Target) (chromedp.Void, error) {
						_, err := cdp.Call(ctx, target, emulation.SetEmulatedMedia, media)
						return chromedp.Void{}, err
					})
				s.reader()
				s.desk()
				s.others()
				s.guests()
				s.scriptless()
			}
		}
	}
}

type screens struct {
	t                 *testing.T
	dir, suffix, lang string
	says              sample
	look              chromedp.Action[chromedp.Void]
}

// open makes a house whose people speak the pictures' language, and a tab that has chosen it.
func (s *screens) open(prepare ...func(*browsertest.Tab)) (*house, *browsertest.Tab) {
	h := newHouse(s.t)
	h.links.link.Name, h.links.link.Mail.Subject = s.says.owner, s.says.subject
	b := chromium.Tab(s.t)
	for _, p := range prepare {
		p(b)
	}
	b.Run(s.look, chromedp.Navigate(h.url+"/desk/login?lang="+s.lang))
	return h, b
}

func (s *screens) shot(b *browsertest.Tab, name string) {
	s.t.Helper()
	b.Shot(filepath.Join(s.dir, name+"-"+s.suffix+".png"))
}

func (s *screens) reader() {
	h, b := s.open()
	b.Run(chromedp.Navigate(h.url + "/c/" + goodToken))
	s.shot(b, "reader-opened")
	b.MoveMouse()
	p := next(s.t, h.chat.readers)
	p.expect(s.t, "join")
	p.send(s.t, frame{"t": "joined", "conv": "c1", "last": 0}, frame{"t": "call", "state": "unproved"})
	b.Until(`document.getElementById('address') !== null`)
	s.shot(b, "reader-unproved")
	b.Run(chromedp.Click("#leave-address"))
	p.send(s.t, frame{"t": "call", "state": "ringing"})
	b.Until(`document.getElementById('reader').dataset.call === 'ringing'`)
	s.shot(b, "reader-ringing")
	p.send(s.t, frame{"t": "call", "state": "answered"},
		frame{"t": "event", "n": 1, "kind": "say", "from": "visitor", "at": time.Now().Add(-3 * time.Minute), "text": s.says.talk[0]},
		frame{"t": "event", "n": 2, "kind": "say", "from": "owner", "at": time.Now().Add(-2 * time.Minute), "text": s.says.talk[1]},
		frame{"t": "event", "n": 3, "kind": "say", "from": "owner", "at": time.Now().Add(-2 * time.Minute), "text": s.says.talk[2]},
		frame{"t": "event", "n": 4, "kind": "say", "from": "visitor", "at": time.Now(), "text": s.says.talk[3]})
	b.Until(`document.querySelectorAll('.said').length === 4`)
	b.Run(chromedp.SendKeys("#text", s.says.talk[4]+"\r"))
	b.Until(`document.querySelectorAll('.said').length === 5`)
	s.shot(b, "reader-answered")
	b.Run(chromedp.Click("#leave-address"))
	b.Until(`document.activeElement.id === 'address'`)
	p.send(s.t, frame{"t": "address", "conv": "c1", "state": "sent", "address": "bob@example.com"})
	b.Until(`document.activeElement.id === 'address-code'`)
	s.shot(b, "reader-address")
	b.Run(chromedp.Click("#leave-address"))
	b.Until(`document.getElementById('address-box').hidden`)
	for _, state := range []string{"leaving", "noticed", "retrying", "moment", "declined"} {
		p.send(s.t, frame{"t": "call", "state": state})
		b.Until(fmt.Sprintf(`document.getElementById('reader').dataset.call === %q`, state))
		s.shot(b, "reader-"+state)
	}
	h.chat.hangUp()
	b.Until(`document.getElementById('reader').dataset.line === 'down'`)
	s.shot(b, "reader-line-lost")
	p = next(s.t, h.chat.readers)
	joined(s.t, p, 4)
	p.expect(s.t, "say")
	p.send(s.t, frame{"t": "bye", "reason": "replaced"})
	b.Until(`document.getElementById('reader').dataset.call === 'elsewhere'`)
	s.shot(b, "reader-elsewhere")
}

func (s *screens) desk() {
	h, b := s.open()
	h.chat.talks = []chatd.Talk{
		{ID: "c2", Who: s.says.visitor, About: "Re: " + s.says.subject, Text: s.says.talk[3], State: "answered", At: time.Now().Add(-time.Hour)},
		{ID: "c3", Who: "", About: s.says.subject, Text: s.says.talk[2], State: "noticed", Unread: 2, At: time.Now().Add(-26 * time.Hour)},
		{ID: "c4", Who: "Oskar Lindqvist of the very long company name", About: "Invoice 2026-1107 with a subject line that does not want to end", Text: "See you then", State: "", At: time.Now().Add(-200 * time.Hour)},
	}
	b.Run(chromedp.Navigate(h.url + "/desk"))
	s.shot(b, "desk-login")
	b.Run(chromedp.SendKeys("#user", alice), chromedp.SendKeys("#password", "wrong\r"))
	b.Until(`document.querySelector('.fault') !== null`)
	s.shot(b, "desk-login-wrong")
	b.Run(chromedp.SendKeys("#password", "right\r"))
	b.Until(`document.getElementById('desk') !== null`)
	p := next(s.t, h.chat.desks)
	b.Until(`document.getElementById('desk').dataset.line === 'up'`)
	s.shot(b, "desk-quiet")
	p.send(s.t, frame{"t": "ring", "call": "k0", "conv": "c3", "who": "", "about": s.says.subject, "missed": true},
		frame{"t": "visit", "call": "k2", "conv": "c9", "who": "", "about": "Gutter samples"},
		frame{"t": "ring", "call": "k1", "conv": "c1", "who": s.says.visitor, "about": s.says.subject})
	b.Until(`document.querySelector('.call.ring') !== null`)
	s.shot(b, "desk-ringing")
	b.Run(chromedp.Click(".call.ring .main"))
	b.Until(`location.pathname === '/desk/c/c1'`)
	p.expect(s.t, "open")
	p.send(s.t, frame{"t": "call", "conv": "c1", "state": "answered"},
		frame{"t": "event", "conv": "c1", "n": 1, "kind": "say", "from": "visitor", "at": time.Now(), "text": s.says.talk[0]},
		frame{"t": "event", "conv": "c1", "n": 2, "kind": "say", "from": "owner", "at": time.Now(), "text": s.says.talk[1]},
		frame{"t": "event", "conv": "c2", "n": 9, "kind": "say", "from": "visitor", "at": time.Now(), "text": s.says.talk[3]})
	b.Until(`document.querySelectorAll('.said').length === 2`)
	s.shot(b, "desk-talking")
	s.helps(h, b, p)
	s.owner(b, p)
	s.invites(b, p)
	p.send(s.t, frame{"t": "reader", "conv": "c1", "here": false})
	away, _ := h.words().Named(s.lang)
	b.Until(fmt.Sprintf(`document.querySelector('.pane-state').textContent === %q`, away.T("desk.away", "who", s.says.visitor)))
	s.shot(b, "desk-reader-left")
	h.chat.hangUp()
	b.Until(`document.getElementById('desk').dataset.line === 'down'`)
	s.shot(b, "desk-line-lost")
	b.Run(chromedp.Navigate(h.url + "/desk"))
	p = next(s.t, h.chat.desks)
	b.Until(`document.getElementById('desk').dataset.line === 'up'`)
	for i := range 7 {
		missed := ring(fmt.Sprint("m", i), fmt.Sprint("c1", i))
		missed["who"], missed["about"], missed["missed"], missed["at"] = s.says.visitor, s.says.subject, true, time.Now().Add(time.Duration(i-30)*time.Hour)
		p.send(s.t, missed)
	}
	b.Until(`document.querySelector('.call.more') !== null && document.querySelector('.call.more').textContent.includes('4')`)
	s.shot(b, "desk-missed")
}

// helps shows what helps the owner to talk: signs of the visitor, canned answers, emoji, and looking for what was said.
func (s *screens) helps(h *house, b *browsertest.Tab, p *caller) {
	p.send(s.t, frame{"t": "typing", "conv": "c1", "from": "visitor"}, frame{"t": "reach", "conv": "c1", "got": 2, "seen": 2})
	b.Until(`document.querySelector('.reach').textContent !== '' && document.querySelector('.typing').textContent !== ''`)
	b.Run(chromedp.Click(".emoji-button"))
	s.shot(b, "desk-signs")
	b.Run(chromedp.KeyEvent(kb.Escape))
	h.chat.phrasing.Lock()
	h.chat.said = []chatd.Phrase{{ID: 1, Text: s.says.talk[1]}, {ID: 2, Text: s.says.talk[2]}}
	h.chat.phrasing.Unlock()
	b.Run(chromedp.Click(".canned"))
	b.Until(`document.querySelectorAll('.phrase').length === 2`)
	s.shot(b, "desk-canned")
	b.Run(chromedp.KeyEvent(kb.Escape))
	h.chat.finding.Lock()
	h.chat.finds = map[string]chatd.Found{"example ": {Talks: []chatd.FoundTalk{foundTalkOf("c7", s.says.visitor, s.says.subject, chatd.Hit{N: 2, From: "visitor", At: time.Now(), Text: s.says.talk[0]}, chatd.Hit{N: 1, From: "owner", At: time.Now(), Text: s.says.talk[1]})}, Older: "5.6"}}
	h.chat.finding.Unlock()
	browsertest.JS[bool](b, `document.querySelector('.back').click(), document.getElementById('find-words').value = 'example', document.getElementById('find').requestSubmit(), true`)
	b.Until(`document.querySelectorAll('#found .hit').length === 2`)
	s.shot(b, "desk-found")
	browsertest.JS[bool](b, `document.getElementById('found-end').click(), document.querySelector('[data-conv=c1]').click(), true`)
	b.Until(`document.getElementById('found').hidden && location.pathname === '/desk/c/c1'`)
}

// owner shows what the owner can do to a conversation, and to his calls.
func (s *screens) owner(b *browsertest.Tab, p *caller) {
	p.send(s.t, frame{"t": "link", "conv": "c1", "works": true}, frame{"t": "rest", "on": true, "left_ms": 3600_000},
		frame{"t": "blocked", "talks": []frame{{"conv": "c7", "who": s.says.visitor, "about": s.says.subject, "at": time.Now()}}})
	b.Run(chromedp.Click(".acts summary"))
	b.Until(`!document.getElementById('blocked').hidden && !document.querySelector('[data-act=revoke]').hidden`)
	s.shot(b, "desk-acts")
	b.Run(chromedp.Click("[data-act=block]"))
	s.shot(b, "desk-sure")
	b.Run(chromedp.Click("#sure-no"))
	browsertest.JS[bool](b, `document.querySelector('.back').click(), document.getElementById('rest').click(), document.getElementById('blocked').open = true`)
	s.shot(b, "desk-rest")
	browsertest.JS[bool](b, `document.getElementById('rest').click(), document.querySelector('[data-conv=c1]').click(), true`)
	p.send(s.t, frame{"t": "rest", "on": false})
	b.Until(`document.getElementById('rest-state').hidden && location.pathname === '/desk/c/c1'`)
}

// scriptless are the pages in a browser that runs no scripts.
func (s *screens) scriptless() {
	h, b := s.open((*browsertest.Tab).WithoutScripts)
	h.chat.talks = []chatd.Talk{{ID: "c2", Who: s.says.visitor, About: "Re: " + s.says.subject, Text: s.says.talk[3], State: "answered", At: time.Now().Add(-time.Hour)}}
	b.Run(chromedp.Navigate(h.url + "/c/" + goodToken))
	s.shot(b, "reader-scriptless")
	b.Run(chromedp.Navigate(h.url+"/desk/login"), chromedp.SendKeys("#user", alice), chromedp.SendKeys("#password", "right\r"))
	b.Until(`document.getElementById('desk') !== null`)
	s.shot(b, "desk-scriptless")
}

func (s *screens) others() {
	h, b := s.open()
	b.Run(chromedp.Navigate(h.url + "/c/expired"))
	s.shot(b, "not-found")
	b.Run(chromedp.Navigate(h.url+"/desk/login"), chromedp.SendKeys("#user", alice), chromedp.SendKeys("#password", "right\r"))
	b.Until(`document.getElementById('desk') !== null`)
	b.Run(chromedp.Navigate(h.url + "/c/" + goodToken))
	s.shot(b, "own-link")
	b.Run(chromedp.Navigate(h.url + "/desk/mails"))
	s.shot(b, "mails-none")
	h.mails.writes(51)
	over := mailLink(52, "Invoice 2026-1107 with a subject line that does not want to end", "body")
	over.Expires = noon
	h.mails.all = append([]call.Link{
		mailLink(55, s.says.subject, "body"), mailLink(54, "", "header-only: the account's setting"),
		mailLink(53, "Re: Gutter samples", "header-only: signed"), over,
	}, h.mails.all...)
	b.Run(chromedp.Navigate(h.url + "/desk/mails"))
	s.shot(b, "mails")
	browsertest.JS[bool](b, `(scrollTo(0, document.body.scrollHeight), true)`)
	s.shot(b, "mails-end")
	b.Run(chromedp.Navigate(h.url + "/desk/mails"))
	larger(b)
	s.shot(b, "mails-large")
}
