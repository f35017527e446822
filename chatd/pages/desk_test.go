package pages

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"chmail/internal/message"
)

// post sends a form as our own page would.
func (h *house) post(path string, form url.Values, change ...func(*http.Request)) *http.Response {
	return h.postBody(path, form.Encode(), change...)
}

func (h *house) postBody(path, body string, change ...func(*http.Request)) *http.Response {
	r := httptest.NewRequest("POST", h.url+path, strings.NewReader(body))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Origin", h.url)
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	for _, c := range change {
		c(r)
	}
	w := httptest.NewRecorder()
	h.handler.ServeHTTP(w, r)
	return w.Result()
}

func TestSigningInLeadsWhereOneWanted(t *testing.T) {
	t.Parallel()
	h := newHouseAt(t, realSite)
	resp := h.ask("GET", "/desk/c/older")
	if resp.StatusCode != 303 || resp.Header.Get("Location") != "/desk/login?next=%2Fdesk%2Fc%2Folder" {
		t.Fatalf("status %d to %q", resp.StatusCode, resp.Header.Get("Location"))
	}
	form := readAll(t, h.ask("GET", resp.Header.Get("Location")))
	if !strings.Contains(form, `name="next" value="/desk/c/older"`) || !strings.Contains(form, `autocomplete="current-password"`) {
		t.Errorf("the form:\n%s", form)
	}
	in := h.post("/desk/login", url.Values{"user": {alice}, "password": {"right"}, "next": {"/desk/c/older"}})
	if in.StatusCode != 303 || in.Header.Get("Location") != "/desk/c/older" || len(in.Cookies()) != 1 {
		t.Fatalf("status %d to %q, cookies %v", in.StatusCode, in.Header.Get("Location"), in.Cookies())
	}
	me := cookie(in.Cookies()[0])
	desk := h.ask("GET", "/desk/c/older", me)
	if body := readAll(t, desk); desk.StatusCode != 200 || !strings.Contains(body, `data-conv="older"`) || !strings.Contains(body, alice) {
		t.Errorf("status %d:\n%s", desk.StatusCode, body)
	}
	if csp := desk.Header.Get("Content-Security-Policy"); !strings.Contains(csp, "connect-src wss://chat.example.com https://chat.example.com;") {
		t.Errorf("policy %s", csp)
	}
	if again := h.ask("GET", "/desk/login", me); again.StatusCode != 303 || again.Header.Get("Location") != "/desk" {
		t.Errorf("who is signed in sees the form again: %d", again.StatusCode)
	}
	out := h.post("/desk/logout", nil, me)
	if out.StatusCode != 303 || out.Header.Get("Location") != "/desk/login" {
		t.Errorf("sign-out: %d to %q", out.StatusCode, out.Header.Get("Location"))
	}
	if after := h.ask("GET", "/desk", me); after.StatusCode != 303 {
		t.Errorf("the desk is open after the sign-out: %d", after.StatusCode)
	}
}

func TestASignInIsNoWayToElsewhere(t *testing.T) {
	t.Parallel()
	h := newHouseAt(t, realSite)
	for _, next := range []string{"https://evil.example/", "//evil.example", "/desk/../c/x", "/desk\r\nX: y", "javascript:alert(1)", "/desk/c/a/b", "/c/AAAA", `/desk/c/"`, "/\\evil.example"} {
		in := h.post("/desk/login", url.Values{"user": {alice}, "password": {"right"}, "next": {next}}, func(r *http.Request) { r.RemoteAddr = "198.51.100.7:1" })
		if got := in.Header.Get("Location"); got != "/desk" {
			t.Errorf("next=%q leads to %q", next, got)
		}
	}
}

func TestWrongSignIns(t *testing.T) {
	t.Parallel()
	h := newHouseAt(t, realSite)
	var pages []string
	for _, form := range []url.Values{
		{"user": {alice}, "password": {"wrong"}}, {"user": {"nobody@localhost.test"}, "password": {"right"}}, {"user": {alice}, "password": {""}},
		{"user": {strings.Repeat("a", 500)}, "password": {"x"}}, {},
	} {
		resp := h.post("/desk/login", form)
		body := readAll(t, resp)
		if resp.StatusCode != http.StatusForbidden || len(resp.Cookies()) != 0 || !strings.Contains(body, "do not belong together") {
			t.Errorf("%v: status %d, cookies %v", form, resp.StatusCode, resp.Cookies())
		}
		if strings.Contains(body, "wrong\"") {
			t.Error("the password comes back in the page")
		}
		pages = append(pages, strings.ReplaceAll(strings.ReplaceAll(body, alice, "X"), "nobody@localhost.test", "X"))
	}
	if pages[0] != pages[1] {
		t.Error("a wrong password and an unknown login can be told apart")
	}
	foreign := h.post("/desk/login", url.Values{"user": {alice}, "password": {"right"}}, with("Sec-Fetch-Site", "cross-site"), with("Origin", "https://evil.example"))
	if foreign.StatusCode != http.StatusForbidden || len(foreign.Cookies()) != 0 {
		t.Errorf("a sign-in from a foreign page: status %d", foreign.StatusCode)
	}
	if out := h.post("/desk/logout", nil, cookie(h.signedIn(alice)), with("Sec-Fetch-Site", "cross-site"), with("Origin", "https://evil.example")); out.StatusCode != http.StatusForbidden {
		t.Errorf("a sign-out from a foreign page: status %d", out.StatusCode)
	}
}

func TestSignInsFromOneAddressAreCounted(t *testing.T) {
	t.Parallel()
	h := newHouseAt(t, realSite)
	last := 0
	for range signInsPerMinute + 1 {
		last = h.post("/desk/login", url.Values{"user": {alice}, "password": {"wrong"}}).StatusCode
	}
	if last != http.StatusTooManyRequests {
		t.Errorf("status %d after %d tries", last, signInsPerMinute+1)
	}
	other := h.post("/desk/login", url.Values{"user": {alice}, "password": {"right"}}, func(r *http.Request) { r.RemoteAddr = "198.51.100.9:1" })
	if other.StatusCode != 303 {
		t.Errorf("another address: status %d", other.StatusCode)
	}
}

func TestForeignConversationsAreNotThere(t *testing.T) {
	t.Parallel()
	h := newHouseAt(t, realSite)
	me, other := cookie(h.signedIn(alice)), cookie(h.signedIn("bob@localhost.test"))
	for who, resp := range map[string]*http.Response{"bob": h.ask("GET", "/desk/c/older", other), "alice": h.ask("GET", "/desk/c/none", me)} {
		if to := resp.Header.Get("Location"); resp.StatusCode != http.StatusSeeOther || to != "/desk?gone=1" {
			t.Errorf("%s: status %d, to %s", who, resp.StatusCode, to)
		}
	}
}

func TestADeskWhoseConversationIsGoneRingsOn(t *testing.T) {
	t.Parallel()
	h := newHouseAt(t, realSite)
	me := cookie(h.signedIn(alice))
	if body := readAll(t, h.ask("GET", "/desk?gone=1", me)); !strings.Contains(body, `role="status">That conversation`) || !strings.Contains(body, `id="desk"`) {
		t.Error("the desk does not say that the conversation is gone")
	}
	if body := readAll(t, h.ask("GET", "/desk", me)); strings.Contains(body, `role="status">That conversation`) {
		t.Error("the desk says so without a reason")
	}
}

func TestSocketsAreForOurOwnPages(t *testing.T) {
	t.Parallel()
	h := newHouseAt(t, realSite)
	me := cookie(h.signedIn(alice))
	upgrade := func(r *http.Request) {
		r.Header.Set("Connection", "Upgrade")
		r.Header.Set("Upgrade", "websocket")
		r.Header.Set("Sec-WebSocket-Version", "13")
		r.Header.Set("Sec-WebSocket-Key", "AAAAAAAAAAAAAAAAAAAAAA==")
	}
	for _, path := range []string{"/ws", "/desk/ws"} {
		for _, origin := range []string{"https://evil.example", "null", "https://chat.example.com:24001", "http://chat.example.com"} {
			if resp := h.ask("GET", path, me, upgrade, with("Origin", origin)); resp.StatusCode != http.StatusForbidden {
				t.Errorf("%s from %s: status %d", path, origin, resp.StatusCode)
			}
		}
		if resp := h.ask("GET", path, me, upgrade); resp.StatusCode != http.StatusForbidden {
			t.Errorf("%s without an Origin: status %d", path, resp.StatusCode)
		}
	}
	if len(h.chat.readers)+len(h.chat.desks) != 0 {
		t.Error("a foreign page reached the chat server")
	}
}

func TestTheRootLeadsToTheDesk(t *testing.T) {
	t.Parallel()
	h := newHouseAt(t, realSite)
	for _, path := range []string{"/", "/desk/"} {
		if resp := h.ask("GET", path); resp.StatusCode != 303 || resp.Header.Get("Location") != "/desk" {
			t.Errorf("%s: %d to %q", path, resp.StatusCode, resp.Header.Get("Location"))
		}
	}
}

func TestTooManySignInsAtOnceAreNoTroubleOfOurs(t *testing.T) {
	t.Parallel()
	for err, level := range map[error]string{
		message.Refuse(454, [3]int{4, 7, 0}, "too many attempts to sign in, try again later"): "level=INFO",
		errors.New("the disk is broken"): "level=ERROR",
	} {
		h := newHouseAt(t, realSite)
		h.accounts.err = fmt.Errorf("signing in: %w", err)
		in := h.post("/desk/login", url.Values{"user": {alice}, "password": {"right"}})
		if in.StatusCode != http.StatusServiceUnavailable || len(in.Cookies()) != 0 {
			t.Errorf("%v: status %d, cookies %v", err, in.StatusCode, in.Cookies())
		}
		if said := h.log.String(); !strings.Contains(said, level+` msg="pages: sign-in could not be decided"`) {
			t.Errorf("%v: the log lacks %s:\n%s", err, level, said)
		}
	}
}
