package pages

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"chmail/chatd"
	"chmail/internal/browsertest"
)

// An invitation leads whoever it is for to the guest's page; everybody else, and whoever has no session, finds what is the same for all.
func TestAnInvitationIsItsColleaguesAlone(t *testing.T) {
	t.Parallel()
	h := newHouseAt(t, realSite)
	to := func(id string, change ...func(*http.Request)) string {
		resp := h.post("/desk/come", url.Values{"id": {id}}, change...)
		if resp.StatusCode != http.StatusSeeOther {
			return resp.Status
		}
		return resp.Header.Get("Location")
	}
	back := func(conv string, change ...func(*http.Request)) string {
		return h.post("/desk/come", url.Values{"conv": {conv}}, change...).Header.Get("Location")
	}
	mine, others := cookie(h.signedIn(alice)), cookie(h.signedIn("bob@localhost.test"))
	for name, c := range map[string]struct{ got, want string }{
		"hers":                   {to("i1", mine), "/t/c1"},
		"another invitation":     {to("i2", mine), "/desk?gone=1"},
		"none":                   {to("", mine), "/desk?gone=1"},
		"another's":              {to("i1", others), "/desk?gone=1"},
		"without a session":      {to("i1"), "/desk/login"},
		"where she is a guest":   {back("c1", mine), "/t/c1"},
		"where she is none":      {back("c2", mine), "/desk?gone=1"},
		"where another is one":   {back("c1", others), "/desk?gone=1"},
		"back without a session": {back("c1"), "/desk/login"},
		"from another site":      {to("i1", mine, with("Sec-Fetch-Site", "cross-site")), "403 Forbidden"},
		"from another origin":    {to("i1", mine, with("Sec-Fetch-Site", ""), with("Origin", "https://evil.example")), "403 Forbidden"},
	} {
		if c.got != c.want {
			t.Errorf("%s: %s, want %s", name, c.got, c.want)
		}
	}
}

func TestTheOwnerInvitesAColleague(t *testing.T) {
	t.Parallel()
	for _, lang := range []string{"en", "ja", "ko"} {
		t.Run(lang, func(t *testing.T) {
			t.Parallel()
			h, b := newHouse(t), speaking(t, lang)
			words, _ := h.words().Named(lang)
			h.chat.talks = []chatd.Talk{{ID: "c1", Who: "Bob", About: "Offer", At: time.Now()}}
			p := h.sitDown(b, "/desk/c/c1")
			p.expect(t, "open")
			onPhone(b, "light")
			b.Run(chromedp.Focus(".acts summary"), chromedp.KeyEvent(kb.Enter), chromedp.Focus(`[data-act="colleague"]`), chromedp.KeyEvent(kb.Enter))
			b.Until(`document.getElementById('colleague').open && document.activeElement.id === 'colleague-login'`)
			audit(t, b, "desk, whom to invite")
			b.Run(chromedp.KeyEvent("carol@localhost.test"), chromedp.Focus("#colleague-all"), chromedp.KeyEvent(" "), chromedp.Focus("#colleague-login"), chromedp.KeyEvent(kb.Enter))
			f := p.expect(t, "invite")
			if f["conv"] != "c1" || f["text"] != "carol@localhost.test" || f["all"] != true {
				t.Errorf("invites with %v", f)
			}
			p.send(t, frame{"t": "error", "code": "colleague", "text": "x", "conv": "c1", "cid": f["cid"]})
			b.Until(`document.querySelector('.pane-guests [role=status]').textContent === ` + quoted(words.T("desk.colleague.colleague")))
			p.send(t, frame{"t": "invited", "conv": "c1", "list": []frame{{"login": "carol@localhost.test", "left_ms": 86_400_000}}})
			b.Until(`document.querySelector('.awaited li span')?.textContent === ` + quoted(words.T("desk.colleague.awaited", "login", "carol@localhost.test")) + ` && document.querySelector('.pane-guests [role=status]').textContent === ''`)
			audit(t, b, "desk, with an invited colleague")
			b.Run(chromedp.Focus(".awaited button"), chromedp.KeyEvent(kb.Enter))
			if f := p.expect(t, "withdraw"); f["conv"] != "c1" || f["text"] != "carol@localhost.test" {
				t.Errorf("withdraws with %v", f)
			}
			p.send(t, frame{"t": "invited", "conv": "c1", "list": []frame{}})
			b.Until(`document.querySelector('.awaited').hidden && document.activeElement.tagName === 'TEXTAREA'`)
			said := said(1, "guest", "hello")
			said["conv"], said["who"], said["name"], said["login"] = "c1", 1, "Carol <carol@localhost.test>", "carol@localhost.test"
			p.send(t, said)
			b.Until(`document.querySelector('.theirs .author')?.textContent === ` + quoted(words.T("chat.colleague", "name", "Carol <carol@localhost.test>")))
		})
	}
}

func TestAColleagueIsInvitedAtHisDesk(t *testing.T) {
	t.Parallel()
	for _, lang := range []string{"en", "ja", "ko"} {
		t.Run(lang, func(t *testing.T) {
			t.Parallel()
			h, b := newHouse(t), speaking(t, lang)
			words, _ := h.words().Named(lang)
			p := h.sitDown(b, "/desk")
			onPhone(b, "dark")
			one := func(id string, left int) frame {
				return frame{"id": id, "owner": "Dave Example", "login": "dave@localhost.test", "who": "Bob", "about": "Offer for the roof", "left_ms": left}
			}
			p.send(t, frame{"t": "invitations", "list": []frame{one("i2", 1), one("i1", 86_400_000)}})
			text := words.T("desk.invited", "owner", "Dave Example", "login", "dave@localhost.test", "who", "Bob")
			b.Until(`document.querySelectorAll('.invitation').length === 1 && document.querySelector('.invitation .call-who').textContent === ` + quoted(text)) // the other's time is over
			b.Until(`document.getElementById('announce').textContent.includes(` + quoted(text) + `) && document.querySelector('.invitation .call-about').textContent.includes('Offer for the roof')`)
			audit(t, b, "desk, invited")
			if wide := browsertest.JS[bool](b, `document.documentElement.scrollWidth > innerWidth`); wide {
				t.Error("the page is wider than the phone")
			}
			b.Run(chromedp.Focus(`.invitation button[type="button"]`), chromedp.KeyEvent(kb.Enter))
			if f := p.expect(t, "not-now"); f["text"] != "i1" {
				t.Errorf("declines with %v", f)
			}
			p.send(t, frame{"t": "invitations", "list": []frame{}})
			b.Until(`document.querySelectorAll('.invitation').length === 0 && document.activeElement.id === 'rest'`)
			p.send(t, frame{"t": "invitations", "list": []frame{one("i1", 86_400_000)}, "guest": []frame{{"conv": "c1", "owner": "Dave Example", "login": "dave@localhost.test", "who": "Bob", "about": "Offer for the roof"}}})
			place := words.T("desk.guest-in.of", "owner", "Dave Example", "who", "Bob")
			b.Until(`!document.getElementById('guest-in').hidden && document.querySelector('.guest-in button span').textContent === ` + quoted(place))
			audit(t, b, "desk, a guest elsewhere")
			fits(t, b, "where one is a guest")
			b.Until(`document.querySelectorAll('.invitation').length === 1`)
			browsertest.JS[string](b, `document.querySelector('.invitation form').target = ''`) // in this window
			b.Run(chromedp.Focus(`.invitation .main`), chromedp.KeyEvent(kb.Enter))
			b.Until(`location.pathname === '/t/c1'`)
			guest := next(t, h.chat.readers)
			guest.expect(t, "join")
			guest.send(t, frame{"t": "joined", "conv": "c1", "last": 0, "who": 1, "first": 1, "name": "Carol <carol@localhost.test>", "login": "carol@localhost.test"})
			b.Until(`document.getElementById('name-row').hidden`)
			p = h.sitDown(b, "/desk") // the window is closed, and she comes back
			p.send(t, frame{"t": "invitations", "list": []frame{}, "guest": []frame{{"conv": "c1", "owner": "", "login": "dave@localhost.test", "who": "", "about": ""}}})
			b.Until(`document.querySelector('.guest-in form') && (document.querySelector('.guest-in form').target = '') === ''`)
			b.Run(chromedp.Focus(`.guest-in button`), chromedp.KeyEvent(kb.Enter))
			b.Until(`location.pathname === '/t/c1'`)
			next(t, h.chat.readers).expect(t, "join")
		})
	}
}

// An invitation is heard, unless nothing is to be.
func TestAnInvitationSoundsUnlessItIsQuiet(t *testing.T) {
	t.Parallel()
	h, b := newHouse(t), chromium.Tab(t)
	p := h.sitDown(b, "/desk")
	b.Run(chromedp.Click("#nothing-head")) // arms it; the switch would sound by itself
	b.Until(`document.getElementById('sound').getAttribute('aria-checked') === 'true'`)
	browsertest.JS[string](b, `(() => { window.notes = 0; const start = OscillatorNode.prototype.start; OscillatorNode.prototype.start = function (...a) { window.notes++; return start.apply(this, a); }; return ''; })()`)
	invited := func(id string) {
		p.send(t, frame{"t": "invitations", "list": []frame{{"id": id, "owner": "Dave", "login": "dave@localhost.test", "who": "", "about": "", "left_ms": 86_400_000}}})
		b.Until(`document.querySelector('.invitation input').value === ` + quoted(id))
	}
	for i, rest := range []frame{{"t": "rest", "on": true}, {"t": "rest", "on": false, "quiet": true}} {
		p.send(t, rest)
		invited(strings.Repeat("q", i+1))
	}
	if n := browsertest.JS[int](b, `window.notes`); n != 0 {
		t.Errorf("%d notes while nothing is to sound", n)
	}
	p.send(t, frame{"t": "rest", "on": false})
	invited("loud")
	b.Until(`window.notes > 0`)
}

// quoted is a text as a script writes it.
func quoted(s string) string {
	b, err := json.Marshal(s)
	if err != nil {
		panic(err)
	}
	return string(b)
}
