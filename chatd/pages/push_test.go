package pages

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/browser"
	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/serviceworker"
	"github.com/chromedp/chromedp"

	"chmail/internal/browsertest"
	"chmail/internal/call"
	"chmail/internal/web"
	"chmail/internal/webpush"
)

// fakePush is the room that keeps browsers; it reports what it is asked.
type fakePush struct{ asked chan string }

func newFakePush() *fakePush { return &fakePush{asked: make(chan string, 100)} }

func (*fakePush) Key() string {
	return "BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4"
}

func (p *fakePush) Subscribe(_ context.Context, sess web.Session, lang string, raw []byte) error {
	if !json.Valid(raw) {
		return fmt.Errorf("%w: it is no JSON", webpush.ErrSubscription)
	}
	p.asked <- strings.Join([]string{"subscribe", sess.Login, lang, string(raw)}, " ")
	return nil
}

func (p *fakePush) Unsubscribe(_ context.Context, login, endpoint string) error {
	if endpoint == "trouble" {
		return errors.New("trouble")
	}
	p.asked <- strings.Join([]string{"unsubscribe", login, endpoint}, " ")
	return nil
}

func (p *fakePush) SignedOut(_ context.Context, sess web.Session) error {
	p.asked <- "signed out " + sess.Login + " " + sess.ID()
	return nil
}

func (p *fakePush) Rung(login, callID string) { p.asked <- "rung " + login + " " + callID }

func (p *fakePush) hears(t *testing.T, want string) {
	t.Helper()
	select {
	case got := <-p.asked:
		if got != want {
			t.Errorf("asked %q, want %q", got, want)
		}
	case <-t.Context().Done():
	}
}

// say posts JSON as our own script would.
func (h *house) say(path, text string, change ...func(*http.Request)) int {
	return h.postBody(path, text, append([]func(*http.Request){func(r *http.Request) { r.Header.Set("Content-Type", "application/json") }}, change...)...).StatusCode
}

func TestWhoMayLetABrowserBeWoken(t *testing.T) {
	t.Parallel()
	h := newHouseAt(t, realSite)
	me := cookie(h.signedIn(alice))
	foreign := func(r *http.Request) { r.Header.Set("Origin", "https://evil.example") }
	crossSite := func(r *http.Request) { r.Header.Set("Sec-Fetch-Site", "cross-site") }
	form := func(r *http.Request) { r.Header.Set("Content-Type", "application/x-www-form-urlencoded") }
	for _, path := range []string{"/desk/push", "/desk/push/end", "/desk/push/rung"} {
		for name, c := range map[string]struct {
			text   string
			change []func(*http.Request)
			want   int
		}{
			"nobody":          {`{}`, nil, 403},
			"a foreign page":  {`{}`, []func(*http.Request){me, foreign, crossSite}, 403},
			"a form":          {`{"call":"k1"}`, []func(*http.Request){me, form}, 400},
			"no JSON":         {`{`, []func(*http.Request){me}, 400},
			"far too much":    {`"` + strings.Repeat("x", maxPush) + `"`, []func(*http.Request){me}, 400},
			"the wrong thing": {`[]`, []func(*http.Request){me}, map[string]int{"/desk/push": 204}[path]},
		} {
			if c.want == 0 {
				c.want = 400
			}
			if got := h.say(path, c.text, c.change...); got != c.want {
				t.Errorf("%s, %s: status %d, want %d", path, name, got, c.want)
			}
		}
	}
	h.push.hears(t, "subscribe "+alice+" en []")
	if h.say("/desk/push/end", `{"endpoint":"https://push.example.net/x"}`, me) != 204 || h.say("/desk/push/rung", `{"call":"k1"}`, me) != 204 {
		t.Error("what is right is refused")
	}
	h.push.hears(t, "unsubscribe "+alice+" https://push.example.net/x")
	h.push.hears(t, "rung "+alice+" k1")
	if got := h.say("/desk/push/end", `{"endpoint":"trouble"}`, me); got != 500 {
		t.Errorf("trouble of ours: status %d", got)
	}
	if got := h.say("/desk/push/rung", `{"call":""}`, me); got != 400 {
		t.Errorf("no call: status %d", got)
	}
}

func TestSigningOutWithoutAScriptEndsThatTheBrowserIsWoken(t *testing.T) {
	t.Parallel()
	h := newHouseAt(t, realSite)
	me := cookie(h.signedIn(alice))
	r := httptest.NewRequest("GET", h.url+"/desk/mails", nil)
	me(r)
	sess, err := h.sessions.Session(r)
	if err != nil {
		t.Fatal(err)
	}
	if page := readAll(t, h.ask("GET", "/desk/mails", me)); !strings.Contains(page, `action="/desk/logout"`) {
		t.Error("the list of mails has no way to sign out")
	}
	if got := h.postBody("/desk/logout", "", me).StatusCode; got != http.StatusSeeOther {
		t.Errorf("status %d", got)
	}
	h.push.hears(t, "signed out "+alice+" "+sess.ID())
	if got := h.postBody("/desk/logout", "", me).StatusCode; got != http.StatusSeeOther || len(h.push.asked) != 0 {
		t.Errorf("once more: status %d, and %d told", got, len(h.push.asked))
	}
}

func TestTheDeskCanBeInstalled(t *testing.T) {
	t.Parallel()
	h := newHouseAt(t, realSite)
	resp := h.ask("GET", "/desk/manifest.webmanifest", func(r *http.Request) { r.Header.Set("Accept-Language", "ko") })
	var m struct {
		Name, Lang, Scope, Display string
		StartURL                   string `json:"start_url"`
		Icons                      []struct{ Src string }
	}
	if err := json.Unmarshal([]byte(readAll(t, resp)), &m); err != nil {
		t.Fatal(err)
	}
	if m.Name == "" || m.Lang != "ko" || m.Scope != "/desk" || m.StartURL != "/desk" || m.Display != "standalone" || len(m.Icons) == 0 {
		t.Errorf("the manifest: %+v", m)
	}
	if icon := h.ask("GET", m.Icons[0].Src); icon.StatusCode != 200 {
		t.Errorf("its icon: status %d", icon.StatusCode)
	}
	worker := h.ask("GET", "/desk/worker.js")
	if csp := worker.Header.Get("Content-Security-Policy"); worker.StatusCode != 200 || csp != "default-src 'none'; connect-src 'self'" || !strings.HasPrefix(worker.Header.Get("Content-Type"), "text/javascript") {
		t.Errorf("the worker: status %d, policy %s", worker.StatusCode, csp)
	}
	if csp := h.ask("GET", "/c/"+goodToken).Header.Get("Content-Security-Policy"); !strings.Contains(csp, "trusted-types 'none'") {
		t.Errorf("the reader's page may make policies: %s", csp)
	}
}

func TestPushWordsAreTheOwnersLanguage(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	for lang, want := range map[string][2]string{
		"en": {"Bob wants to talk", "Bob called while you were away"},
		"ko": {"Bob\u00a0님이 호출하고 있습니다", "부재중에 Bob\u00a0님이 호출했습니다"},
		"xx": {"Bob wants to talk", "Bob called while you were away"},
	} {
		ring, about := h.pages.PushWords(lang, call.Alert{Who: "Bob", About: "Roof"})
		missed, _ := h.pages.PushWords(lang, call.Alert{Who: "Bob", Missed: true})
		if over, _ := h.pages.PushWords(lang, call.Alert{Who: "Bob", Kind: call.AlertSilence}); over == ring || over == missed || !strings.Contains(over, "Bob") {
			t.Errorf("%s: what is over is %q", lang, over)
		}
		if ring != want[0] || missed != want[1] || about != "Roof" {
			t.Errorf("%s: %q, %q, %q", lang, ring, missed, about)
		}
	}
	if title, text := h.pages.PushWords("en", call.Alert{Who: "Bob", Proved: "bob@x.test", About: "Roof"}); title != "Bob wants to talk" || text != "Proved address: bob@x.test\nRoof" {
		t.Errorf("who is known by his address: %q, %q", title, text)
	}
	if title, _ := h.pages.PushWords("en", call.Alert{}); title != "Someone wants to talk" {
		t.Errorf("without a name: %q", title)
	}
}

// withPush lets the tab's person allow notifications; the push service, which is elsewhere, is played by a script.
func withPush(b *browsertest.Tab, url string) {
	b.Run(func(ctx context.Context, target *chromedp.Target) (chromedp.Void, error) {
		_, err := cdp.Call(ctx, chromedp.FromContext(ctx).Browser, browser.SetPermission, browser.SetPermissionParams{
			Permission: &browser.PermissionDescriptor{Name: "notifications"}, Setting: browser.PermissionSettingGranted, Origin: url,
			BrowserContextID: chromedp.FromContext(ctx).BrowserContextID,
		})
		if err != nil {
			return chromedp.Void{}, err
		}
		_, err = cdp.Call(ctx, target, page.AddScriptToEvaluateOnNewDocument, page.AddScriptToEvaluateOnNewDocumentParams{Source: `
			const made = { endpoint: 'https://push.example.net/browser', options: {}, unsubscribe: async () => { sessionStorage.pushed = ''; }, toJSON: () => ({ endpoint: 'https://push.example.net/browser' }) };
			PushManager.prototype.getSubscription = async () => sessionStorage.pushed ? { ...made, options: { applicationServerKey: Uint8Array.from(sessionStorage.pushed.split(',').map(Number)).buffer } } : null;
			PushManager.prototype.subscribe = async (o) => { sessionStorage.pushed = o.applicationServerKey.join(); return made; };`})
		return chromedp.Void{}, err
	})
}

func TestABrowserIsWokenWhenItsDeskIsClosed(t *testing.T) {
	t.Parallel()
	h, b := newHouse(t), chromium.Tab(t)
	withPush(b, h.url)
	registrations := chromedp.Events(b.Context(), serviceworker.WorkerRegistrationUpdated)
	b.Run(func(ctx context.Context, target *chromedp.Target) (chromedp.Void, error) {
		_, err := cdp.Call(ctx, target, serviceworker.Enable, cdp.Empty{})
		return chromedp.Void{}, err
	})
	b.Run(chromedp.Navigate(h.url+"/desk/login"), chromedp.SendKeys("#user", alice), chromedp.SendKeys("#password", "right\r"))
	b.Until(`document.getElementById('desk') !== null`)
	h.push.hears(t, `subscribe `+alice+` en {"endpoint":"https://push.example.net/browser"}`)
	var id serviceworker.RegistrationID
	for e, err := range registrations {
		if err != nil {
			t.Fatal(err)
		}
		if len(e.Registrations) > 0 && strings.HasSuffix(e.Registrations[0].ScopeURL, "/desk") {
			id = e.Registrations[0].RegistrationID
			break
		}
	}
	deliver := func(text string) {
		t.Helper()
		b.Run(func(ctx context.Context, target *chromedp.Target) (chromedp.Void, error) {
			_, err := cdp.Call(ctx, target, serviceworker.DeliverPushMessage, serviceworker.DeliverPushMessageParams{Origin: h.url, RegistrationID: id, Data: text})
			return chromedp.Void{}, err
		})
	}
	b.Run(chromedp.Navigate(h.url + "/c/expired")) // the desk is closed
	deliver(`{"call":"k1","conv":"c1","title":"Bob wants to talk","text":"Roof","missed":false,"lang":"en"}`)
	h.push.hears(t, "rung "+alice+" k1")
	shows := func(want string) {
		t.Helper()
		b.Until(`(navigator.serviceWorker.getRegistration('/desk').then((r) => r.getNotifications()).then((l) => { window.shown = l.map((n) => n.title + '/' + n.body + '/' + n.tag + '/' + n.data.conv).join() }), window.shown === '` + want + `')`)
	}
	shows("Bob wants to talk/Roof/k1/c1")
	deliver(`{"call":"k1","conv":"c1","title":"Bob needs no answer any more","text":"Roof","missed":false,"over":true,"lang":"en"}`)
	shows("Bob needs no answer any more/Roof/k1/c1") // in its place, and the server hears of no ring
	b.Run(chromedp.Navigate(h.url + "/desk/mails"))  // which is no desk: nothing rings there
	b.Until(`document.visibilityState === 'visible' && document.querySelector('form[action="/desk/logout"]') !== null`)
	deliver(`{"call":"k2","conv":"c1","title":"Bob wants to talk","text":"Roof","missed":false,"lang":"en"}`)
	h.push.hears(t, "rung "+alice+" k2")
	b.Run(chromedp.Navigate(h.url + "/desk"))
	b.Until(`document.getElementById('desk') !== null`)
	h.push.hears(t, `subscribe `+alice+` en {"endpoint":"https://push.example.net/browser"}`)
	shows("") // the desk shows it all now
	b.Run(chromedp.Click("#out button"))
	h.push.hears(t, "unsubscribe "+alice+" https://push.example.net/browser")
	b.Until(`location.pathname === '/desk/login'`)
}
