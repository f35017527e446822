package pages

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"chmail/internal/browsertest"
	"chmail/internal/call"
	"chmail/internal/message"
)

// fakeMails are alice's mails, the newest first.
type fakeMails struct {
	all []call.Link
	err error
}

func (f *fakeMails) Mails(_ context.Context, login string, older, newer int64, limit int) ([]call.Link, bool, error) {
	if login != alice || f.err != nil {
		return nil, false, f.err
	}
	if newer != 0 {
		all := slices.DeleteFunc(slices.Clone(f.all), func(l call.Link) bool { return l.ID <= newer })
		return all[max(0, len(all)-limit):], len(all) > limit, nil
	}
	if older == 0 {
		older = math.MaxInt64
	}
	all := slices.DeleteFunc(slices.Clone(f.all), func(l call.Link) bool { return l.ID >= older })
	return all[:min(limit, len(all))], len(all) > limit, nil
}

func (f *fakeMails) SetTerms(_ context.Context, login string, id int64, terms call.Terms) error {
	for i, l := range f.all {
		if login == alice && l.ID == id && !l.Revoked {
			f.all[i].Terms = terms
			return nil
		}
	}
	return fmt.Errorf("setting terms: %w", call.ErrNoLink)
}

func (f *fakeMails) Revoke(_ context.Context, login string, id int64) error {
	for i, l := range f.all {
		if login == alice && l.ID == id {
			f.all[i].Revoked = true
		}
	}
	return f.err
}

// writes has alice write n mails.
func (f *fakeMails) writes(n int) {
	for i := range n {
		f.all = append([]call.Link{mailLink(int64(i+1), fmt.Sprintf("Mail number %d.", i+1), "body")}, f.all...)
	}
}

var noon = time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)

func mailLink(id int64, subject, stamp string) call.Link {
	return call.Link{
		ID: id, Login: alice, Mail: message.Summary{Subject: subject, Recipients: 2, Stamp: stamp}, Created: noon, Expires: time.Now().Add(time.Hour),
	}
}

func (h *house) mailsPage(path string) string {
	h.t.Helper()
	resp := h.ask("GET", path, cookie(h.signedIn(alice)))
	body := readAll(h.t, resp)
	if resp.StatusCode != 200 {
		h.t.Fatalf("%s: status %d:\n%s", path, resp.StatusCode, body)
	}
	return body
}

func TestTheOwnerSeesWhatBecameOfHisMails(t *testing.T) {
	t.Parallel()
	h := newHouseAt(t, realSite)
	for stamp, want := range map[string][]string{
		"body":                                {"Link in the mail<"},
		"body: text/html left alone: odd <b>": {"Link in the plain text only; the HTML part stayed as it was<", "Because the text could not be changed safely.", `lang="en" dir="ltr">(odd &lt;b&gt;)<`},
		"body: text/plain left alone: charset utf-16": {"Link in the HTML part only; the plain text stayed as it was<", "Because the text is written in the charset utf-16,"},
		"header-only: text/plain left alone: no body": {"Link in the header only<", "The mail has no text"},
		"skipped: no card: the broker is <away>":      {"No link in the mail<", "no link to give just then.", `(the broker is &lt;away&gt;)<`},
		"header-only: the account's setting":          {"Link in the header only<", "Your account is set to it."},
		"header-only: the sender's wish":              {"The mail itself asked for it."},
		"header-only: a recipient's domain, shy.test": {"for mail to shy.test."},
		"header-only: signed":                         {"The mail is signed"},
		"header-only: malformed base64":               {"could not be changed safely.", `lang="en" dir="ltr">(malformed base64)<`},
		"skipped: no card":                            {"No link in the mail<", "no link to give just then."},
		"":                                            {"2026-11-25 12:00 UTC", `datetime="2026-11-25T12:00:00Z"`, "to 2 recipients", "The link works until ", "Offer &lt;1&gt;"},
	} {
		h.mails.all = []call.Link{mailLink(1, "Offer <1>", stamp)}
		page := h.mailsPage("/desk/mails")
		for _, w := range want {
			if !strings.Contains(page, w) {
				t.Errorf("stamped %q, the page lacks %q:\n%s", stamp, w, page)
			}
		}
		if without := strings.HasPrefix(stamp, "skipped: no card"); without == strings.Contains(page, "mail-until") {
			t.Errorf("stamped %q, that the page says until when the link works is %v", stamp, !without)
		}
		if stamp == "" && strings.Contains(page, "mail-stamp") {
			t.Error("something is told of a stamp of which nothing is known")
		}
	}
	over := mailLink(1, "", "body")
	over.Expires, over.Mail.Recipients = noon, 1
	h.mails.all = []call.Link{over}
	if page := h.mailsPage("/desk/mails"); !strings.Contains(page, "The link ended 2026-11-25 12:00 UTC") || !strings.Contains(page, "to one recipient") || !strings.Contains(page, "Without a subject") {
		t.Errorf("a link that is over:\n%s", page)
	}
	over.Revoked, over.Expires = true, time.Now().Add(time.Hour)
	h.mails.all = []call.Link{over}
	if page := h.mailsPage("/desk/mails"); !strings.Contains(page, "You have switched the link off") || strings.Contains(page, "The link works until") {
		t.Errorf("a link that is switched off:\n%s", page)
	}
	h.mails.all = nil
	if page := h.mailsPage("/desk/mails"); !strings.Contains(page, "You have sent no mail") || strings.Contains(page, "<nav") {
		t.Errorf("no mails:\n%s", page)
	}
	for stamp, key := range reasons {
		if !h.words().Has(key) {
			t.Errorf("no words for %q", stamp)
		}
	}
}

func TestMailsAreThereForTheirOwnerOnly(t *testing.T) {
	t.Parallel()
	h := newHouseAt(t, realSite)
	h.mails.writes(1)
	out := h.ask("GET", "/desk/mails?older=7")
	if out.StatusCode != 303 || out.Header.Get("Location") != "/desk/login?next=%2Fdesk%2Fmails" {
		t.Errorf("who is not signed in: status %d to %q", out.StatusCode, out.Header.Get("Location"))
	}
	in := h.post("/desk/login", url.Values{"user": {alice}, "password": {"right"}, "next": {"/desk/mails"}})
	if in.Header.Get("Location") != "/desk/mails" {
		t.Errorf("the sign-in leads to %q", in.Header.Get("Location"))
	}
	other := readAll(t, h.ask("GET", "/desk/mails", cookie(h.signedIn("bob@localhost.test"))))
	if strings.Contains(other, "Mail number") {
		t.Error("bob sees alice's mails")
	}
	h.mails.err = errors.New("database is locked at /var/lib")
	broken := h.ask("GET", "/desk/mails", cookie(h.signedIn(alice)))
	if body := readAll(t, broken); broken.StatusCode != 500 || strings.Contains(body, "/var/lib") {
		t.Errorf("status %d: %s", broken.StatusCode, body)
	}
}

func TestTheOwnerSaysOnWhatTermsAMailsLinkRings(t *testing.T) {
	t.Parallel()
	h := newHouseAt(t, realSite)
	h.mails.writes(3)
	h.mails.all[1].Revoked = true // the second
	page := h.mailsPage("/desk/mails")
	if n := strings.Count(page, `<option value="" selected>as set for your account`); n != 2 {
		t.Errorf("two links that ring as the account says are shown as %d:\n%s", n, page)
	}
	as := cookie(h.signedIn(alice))
	set := func(who func(*http.Request), path, link, terms string) (status int, to string) {
		resp := h.post(path, url.Values{"link": {link}, "terms": {terms}}, who)
		return resp.StatusCode, resp.Header.Get("Location")
	}
	if status, to := set(as, "/desk/mails?older=9&newer=7", "3", "proved"); status != 303 || to != "/desk/mails?older=9&saved=3#mail-3" {
		t.Errorf("status %d, %q", status, to)
	}
	if page := h.mailsPage("/desk/mails?older=3"); !strings.Contains(page, `action="/desk/mails?older=3"`) {
		t.Errorf("the form leads elsewhere:\n%s", page)
	}
	if page := h.mailsPage("/desk/mails"); !strings.Contains(page, `action="/desk/mails"`) || !strings.Contains(page, `<option value="proved" selected>after proving a mail address`) {
		t.Errorf("what was set is not shown:\n%s", page)
	}
	if status, _ := set(cookie(h.signedIn("bob@localhost.test")), "/desk/mails", "3", "at-once"); status != 303 || h.mails.all[0].Terms != call.Proved {
		t.Errorf("another's link: status %d, %q", status, h.mails.all[0].Terms)
	}
	for _, link := range []string{"2", "77"} { // switched off meanwhile, or gone: the page says so
		if status, _ := set(as, "/desk/mails", link, "at-once"); status != 303 || h.mails.all[1].Terms != "" {
			t.Errorf("link %s: status %d", link, status)
		}
	}
	for _, bad := range [][2]string{{"x", "proved"}, {"3", "never"}} {
		if status, _ := set(as, "/desk/mails", bad[0], bad[1]); status != 400 || h.mails.all[0].Terms != call.Proved {
			t.Errorf("%v: status %d", bad, status)
		}
	}
	if status, _ := set(func(r *http.Request) { as(r); r.Header.Set("Sec-Fetch-Site", "cross-site") }, "/desk/mails", "3", ""); status != 403 || h.mails.all[0].Terms != call.Proved {
		t.Errorf("from another site: status %d", status)
	}
	if status, to := set(func(*http.Request) {}, "/desk/mails", "3", ""); status != 303 || !strings.HasPrefix(to, "/desk/login") {
		t.Errorf("signed out: status %d, %q", status, to)
	}
}

// turns are where a page of mails leads to.
var turns = regexp.MustCompile(`rel="(prev|next)" href="([^"]+)"`)

func TestFiftyMailsAPageAndNoneIsSkipped(t *testing.T) {
	t.Parallel()
	h := newHouseAt(t, realSite)
	h.mails.writes(120)
	walk := func(path, rel string, want ...[2]int) {
		t.Helper()
		for _, w := range want {
			if path == "" {
				t.Fatalf("no way %s before mail %d", rel, w[0])
			}
			page := h.mailsPage(path)
			if n := strings.Count(page, "mail-until"); n != w[0]-w[1]+1 {
				t.Errorf("%s shows %d mails", path, n)
			}
			for _, n := range w {
				if !strings.Contains(page, fmt.Sprintf("Mail number %d.", n)) {
					t.Errorf("%s lacks mail %d", path, n)
				}
			}
			path = ""
			for _, m := range turns.FindAllStringSubmatch(page, -1) {
				if m[1] == rel {
					path = m[2]
				}
			}
		}
		if path != "" {
			t.Errorf("the last page %s leads on to %s", rel, path)
		}
	}
	walk("/desk/mails", "next", [2]int{120, 71}, [2]int{70, 21}, [2]int{20, 1})
	walk("/desk/mails?older=21", "prev", [2]int{20, 1}, [2]int{70, 21}, [2]int{120, 71})
	walk("/desk/mails?older=21", "next", [2]int{20, 1})
	walk("/desk/mails?older=x&newer=-3", "prev", [2]int{120, 71})
	for _, gone := range []string{"/desk/mails?older=1", "/desk/mails?newer=100", "/desk/mails?newer=120"} {
		if resp := h.ask("GET", gone, cookie(h.signedIn(alice))); resp.StatusCode != 303 || resp.Header.Get("Location") != "/desk/mails" {
			t.Errorf("%s: status %d to %q", gone, resp.StatusCode, resp.Header.Get("Location"))
		}
	}
}

func TestFromTheDeskToTheMailsAndBackByKeyboard(t *testing.T) {
	t.Parallel()
	h, b := newHouse(t), chromium.Tab(t)
	h.mails.writes(60)
	b.Run(chromedp.EmulateViewport(360, 740))
	h.sitDown(b, "/desk")
	press := func(selector string) {
		t.Helper()
		b.Until(`document.querySelector('` + selector + `') !== null`)
		browsertest.JS[bool](b, `(document.querySelector('`+selector+`').focus(), true)`)
		b.Run(chromedp.KeyEvent(kb.Enter))
	}
	press(".to-mails")
	b.Until(`location.pathname === '/desk/mails' && document.querySelectorAll('.mails li').length === 50`)
	press(`[rel="next"]`)
	b.Until(`location.search !== '' && document.querySelectorAll('.mails li').length === 10`)
	press(`[rel="prev"]`)
	b.Until(`document.querySelectorAll('.mails li').length === 50 && document.querySelector('[rel=prev]') === null`)
	press(".back-to-desk")
	next(t, h.chat.desks)
	b.Until(`location.pathname === '/desk'`)
}

func TestAMailsLinkIsSwitchedOffAndItsTermsAreSet(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.mails.writes(60)
	send := func(path string, form url.Values) *http.Response {
		return h.post(path, form, cookie(h.signedIn(alice)))
	}
	if to := send("/desk/mails?older=40", url.Values{"link": {"7"}, "terms": {"proved"}}).Header.Get("Location"); to != "/desk/mails?older=40&saved=7#mail-7" || h.mails.all[60-7].Terms != call.Proved {
		t.Errorf("led to %q; %+v", to, h.mails.all[60-7])
	}
	page := h.mailsPage("/desk/mails?older=40&saved=7")
	if strings.Count(page, "Saved.") != 1 || !strings.Contains(page, "as set for your account (at once)") || !strings.Contains(page, "cannot be switched on again") {
		t.Errorf("the page says:\n%s", page)
	}
	if to := send("/desk/mails", url.Values{"link": {"58"}, "off": {"1"}}).Header.Get("Location"); to != "/desk/mails#mail-58" || !h.mails.all[2].Revoked {
		t.Errorf("led to %q; %+v", to, h.mails.all[2])
	}
	if to := send("/desk/mails", url.Values{"link": {"58"}, "terms": {"proved"}}).Header.Get("Location"); to != "/desk/mails#mail-58" {
		t.Errorf("terms of a link that is off are saved: %q", to)
	}
	if h.post("/desk/mails", url.Values{"link": {"57"}, "off": {"1"}}, cookie(h.signedIn("bob@localhost.test"))); h.mails.all[3].Revoked {
		t.Error("bob has switched off alice's link")
	}
	for _, bad := range []url.Values{{"link": {"x"}, "off": {"1"}}, {"link": {"58"}}, {"link": {"58"}, "terms": {"never"}}} {
		if r := send("/desk/mails", bad); r.StatusCode != http.StatusBadRequest {
			t.Errorf("%v: %s", bad, r.Status)
		}
	}
}
