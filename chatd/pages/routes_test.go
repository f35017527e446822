package pages

import (
	"compress/gzip"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"html"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"chmail/chatd"
	"chmail/internal/call"
	"chmail/internal/message"
	"chmail/internal/web"
)

const realSite = "https://chat.example.com"

func with(name, value string) func(*http.Request) {
	return func(r *http.Request) { r.Header.Set(name, value) }
}

func cookie(c *http.Cookie) func(*http.Request) {
	return func(r *http.Request) { r.AddCookie(c) }
}

func TestTheLinkShowsWhomAndAboutWhat(t *testing.T) {
	t.Parallel()
	h := newHouseAt(t, realSite)
	h.links.link.Port = 24001
	resp := h.ask("GET", "/c/"+goodToken)
	body := readAll(t, resp)
	for _, want := range []string{"Alice Example", alice, "Offer for the roof", "Answer by mail instead", "<noscript>", `role="status"`, `role="log"`, `<html lang="en">`} {
		if !strings.Contains(body, want) {
			t.Errorf("the page lacks %q", want)
		}
	}
	if csp := resp.Header.Get("Content-Security-Policy"); !strings.Contains(csp, "; connect-src wss://chat.example.com:24001 wss://chat.example.com https://chat.example.com/c/; ") {
		t.Errorf("connections are allowed to other places than the two, and where files go: %s", csp)
	}
	if !strings.Contains(body, `data-sockets="wss://chat.example.com:24001/ws wss://chat.example.com/ws"`) {
		t.Error("the page does not know its two sockets")
	}
	if resp.Header.Get("Cache-Control") != "no-store" || resp.Header.Get("Referrer-Policy") != "no-referrer" {
		t.Errorf("headers %v", resp.Header)
	}
}

func TestALoginWithoutPortTalksThroughTheWebPort(t *testing.T) {
	t.Parallel()
	h := newHouseAt(t, realSite)
	h.chat.max = 0 // where no files can be sent, there is nothing else to connect to
	resp := h.ask("GET", "/c/"+goodToken)
	if body := readAll(t, resp); strings.Contains(body, `type="file"`) {
		t.Error("the page offers to send files")
	}
	if csp := resp.Header.Get("Content-Security-Policy"); !strings.Contains(csp, "; connect-src wss://chat.example.com; ") {
		t.Errorf("policy %s", csp)
	}
	if len(h.chat.opened) != 1 || h.chat.opened[0].port != 0 || h.chat.opened[0].visitor == "" {
		t.Errorf("the chat server was told of %v: it could not tell how old the page is", h.chat.opened)
	}
}

func TestGETOpensTheListenerAndSetsTheCookieAndHEADNothing(t *testing.T) {
	t.Parallel()
	h := newHouseAt(t, realSite)
	h.links.link.Port = 24001
	head := h.ask("HEAD", "/c/"+goodToken)
	if head.StatusCode != 200 || len(head.Cookies()) != 0 || len(h.chat.opened) != 0 {
		t.Errorf("HEAD: status %d, cookies %v, listeners %v", head.StatusCode, head.Cookies(), h.chat.opened)
	}
	get := h.ask("GET", "/c/"+goodToken)
	if len(get.Cookies()) != 1 || len(h.chat.opened) != 1 {
		t.Fatalf("GET: cookies %v, listeners %v", get.Cookies(), h.chat.opened)
	}
	c := get.Cookies()[0]
	if h.chat.opened[0] != (opening{24001, c.Value}) {
		t.Errorf("opened %v for the new visitor %s", h.chat.opened, c.Value)
	}
	id, err := base64.RawURLEncoding.DecodeString(c.Value)
	if c.Name != "__Host-visitor" || !c.Secure || !c.HttpOnly || c.SameSite != http.SameSiteLaxMode || err != nil || len(id) < 16 {
		t.Errorf("visitor cookie %v", c)
	}
	if again := h.ask("GET", "/c/"+goodToken, cookie(c)); len(again.Cookies()) != 0 {
		t.Errorf("the visitor was given another cookie: %v", again.Cookies())
	}
	if len(h.chat.opened) != 2 || h.chat.opened[1] != (opening{24001, c.Value}) {
		t.Errorf("opened %v for the visitor who came again, %s", h.chat.opened, c.Value)
	}
	if forged := h.ask("GET", "/c/"+goodToken, cookie(&http.Cookie{Name: c.Name, Value: "1"})); len(forged.Cookies()) != 1 {
		t.Error("a cookie that can be guessed was let pass")
	}
}

func TestEveryDeadLinkIsTheSamePage(t *testing.T) {
	t.Parallel()
	h := newHouseAt(t, realSite)
	want := ""
	for i, token := range []string{"BBBBBBBBBBBBBBBBBBBBBB", "x", goodToken + "A", strings.ToLower(goodToken), "%00", "..%2f", strings.Repeat("A", 500), "%F0%9F%92%A9", "'; DROP TABLE links"} {
		resp := h.ask("GET", "/c/"+url.PathEscape(strings.ReplaceAll(token, "%", "")))
		body := readAll(t, resp)
		if resp.StatusCode != http.StatusNotFound || len(resp.Cookies()) != 0 {
			t.Errorf("%q: status %d, cookies %v", token, resp.StatusCode, resp.Cookies())
		}
		if i == 0 {
			want = body
		}
		if body != want {
			t.Errorf("%q leads to another page than the others", token)
		}
	}
	if body := readAll(t, h.ask("GET", "/no/such/page")); body != want {
		t.Error("the page for a dead link differs from the page for nothing")
	}
	h.chat.blocked = strings.Repeat("B", 24)
	blocked := h.ask("GET", "/c/"+goodToken, cookie(&http.Cookie{Name: "__Host-visitor", Value: h.chat.blocked}))
	if body := readAll(t, blocked); body != want || blocked.StatusCode != http.StatusNotFound || len(blocked.Cookies()) != 0 {
		t.Errorf("a blocked visitor can tell his page from that for a dead link: status %d", blocked.StatusCode)
	}
	if len(h.chat.opened) != 0 {
		t.Errorf("dead links opened listeners: %v", h.chat.opened)
	}
	if len(h.links.asked) != 10 {
		t.Errorf("%d of 10 tokens were looked up: the rest could be told apart by time", len(h.links.asked))
	}
}

func TestMalformedTokensAreLookedUpAsWell(t *testing.T) {
	t.Parallel()
	h := newHouseAt(t, realSite)
	for _, path := range []string{"/c/%00", "/c/%ff%fe", "/c/a%2Fb"} {
		if resp := h.ask("GET", path); resp.StatusCode != http.StatusNotFound {
			t.Errorf("%s: status %d", path, resp.StatusCode)
		}
	}
	if len(h.links.asked) != 3 {
		t.Errorf("%d of 3 tokens were looked up", len(h.links.asked))
	}
}

func TestNothingWrittenByOthersBecomesMarkup(t *testing.T) {
	t.Parallel()
	h := newHouseAt(t, realSite)
	for _, evil := range []string{
		`<script>alert(1)</script>`, `"><img src=x onerror=alert(1)>`, `' onmouseover='alert(1)`, `</title><script>alert(1)</script>`,
		`javascript:alert(1)`, `{{.Data}}`, `</script><script>alert(1)</script>`, `<!--`, "\u202egnp.exe", "a\r\nSet-Cookie: x=1",
	} {
		h.links.link.Name = evil
		h.links.link.Mail.Subject = evil
		h.links.link.Mail.MessageID = "<" + evil + "@x>"
		for _, path := range []string{"/c/" + goodToken} {
			resp := h.ask("GET", path)
			body := readAll(t, resp)
			if resp.StatusCode != 200 {
				t.Fatalf("%q: status %d", evil, resp.StatusCode)
			}
			if n := strings.Count(body, "<script"); n != 2 {
				t.Errorf("%q made it to %d script elements", evil, n)
			}
			if strings.Contains(body, "<img") || strings.Contains(body, " onmouseover='") || strings.Contains(body, `href="javascript`) || len(resp.Header.Values("Set-Cookie")) != 1 {
				t.Errorf("%q came through:\n%s", evil, body)
			}
		}
	}
	h.chat.talks = []chatd.Talk{{ID: "c1", Who: `<b onclick=x>`, About: `"><script>`, Text: `<img src=x>`, State: `"x`}}
	body := readAll(t, h.ask("GET", "/desk", cookie(h.signedIn(alice))))
	if strings.Contains(body, "<b onclick") || strings.Contains(body, "<img") || strings.Count(body, "<script") != 2 {
		t.Errorf("the desk shows markup from outside:\n%s", body)
	}
}

func TestAnsweringByMailKeepsTheThread(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		mail message.Summary
		want string
	}{
		"a mail in a thread": {message.Summary{Subject: "Offer", MessageID: "<b@x>", References: "<a@x> <a2@x>"},
			"mailto:alice@example.com?subject=Re%3A%20Offer&In-Reply-To=%3Cb%40x%3E&References=%3Ca%40x%3E%20%3Ca2%40x%3E%20%3Cb%40x%3E"},
		"an answer already": {message.Summary{Subject: "re: Offer & more"}, "mailto:alice@example.com?subject=re%3A%20Offer%20%26%20more"},
		"no subject":        {message.Summary{}, "mailto:alice@example.com?subject=Re%3A"},
		"another script":    {message.Summary{Subject: "見積"}, "mailto:alice@example.com?subject=Re%3A%20%E8%A6%8B%E7%A9%8D"},
		"an injection":      {message.Summary{Subject: "x\r\nBcc: y@z", MessageID: "<a@x>\r\nBcc: <y@z>", References: "<&bcc=q@x>"}, "mailto:alice@example.com?subject=Re%3A%20x%20Bcc%3A%20y%40z&In-Reply-To=%3Ca%40x%3E&References=%3C%26bcc%3Dq%40x%3E%20%3Ca%40x%3E"},
		"no real id":        {message.Summary{Subject: "s", MessageID: "garbage"}, "mailto:alice@example.com?subject=Re%3A%20s"},
	} {
		got := mailto(call.Link{Login: "alice@example.com", Mail: c.mail})
		if got != c.want {
			t.Errorf("%s:\n got %s\nwant %s", name, got, c.want)
		}
	}
	if got := mailto(call.Link{Login: `odd "&?@name@example.com`}); !strings.HasPrefix(got, "mailto:odd%20%22%26%3F%40name@example.com?subject=") {
		t.Errorf("an odd login: %s", got)
	}
	var many strings.Builder
	for i := range 40 {
		fmt.Fprintf(&many, "<%d@x> ", i)
	}
	got := mailto(call.Link{Login: alice, Mail: message.Summary{MessageID: "<last@x>", References: many.String()}})
	if n := strings.Count(got, "%3C"); n != maxReferences+2 || !strings.Contains(got, "%3C0%40x%3E") || !strings.Contains(got, "%3C39%40x%3E") {
		t.Errorf("a long thread keeps %d ids: %s", n, got)
	}
}

func TestTheMailtoSurvivesThePage(t *testing.T) {
	t.Parallel()
	h := newHouseAt(t, realSite)
	body := readAll(t, h.ask("GET", "/c/"+goodToken))
	m := regexp.MustCompile(`class="instead"><a href="([^"]+)"`).FindStringSubmatch(body)
	if m == nil || html.UnescapeString(m[1]) != mailto(h.links.link) {
		t.Errorf("the page's mailto is %q, want %q", m, mailto(h.links.link))
	}
}

func TestTheOwnerIsToldThatTheLinkIsHis(t *testing.T) {
	t.Parallel()
	h := newHouseAt(t, realSite)
	h.links.link.Port = 24001
	owner := cookie(h.signedIn(alice))
	resp := h.ask("GET", "/c/"+goodToken, owner)
	body := readAll(t, resp)
	if !strings.Contains(body, "This is your own link") || !strings.Contains(body, `href="/desk"`) || !strings.Contains(body, "/c/"+goodToken+"?as=reader") {
		t.Errorf("the owner sees:\n%s", body)
	}
	if len(h.chat.opened) != 0 || len(resp.Cookies()) != 0 {
		t.Error("the owner's look at his link changed something")
	}
	if body := readAll(t, h.ask("GET", "/c/"+goodToken+"?as=reader", owner)); !strings.Contains(body, `id="composer"`) {
		t.Error("the owner cannot go on as a reader")
	}
	if body := readAll(t, h.ask("GET", "/c/"+goodToken, cookie(h.signedIn("bob@localhost.test")))); !strings.Contains(body, `id="composer"`) {
		t.Error("somebody else who is signed in is not a reader")
	}
}

func TestTwentyMissesAreFreeAndThenItGetsSlow(t *testing.T) {
	t.Parallel()
	h := newHouseAt(t, realSite)
	for range missesPerMinute {
		h.ask("GET", "/c/wrong")
	}
	asked := len(h.links.asked)
	// The right one now waits like a wrong one: broken off meanwhile, it was not even looked up.
	resp := h.ask("GET", "/c/"+goodToken, func(r *http.Request) {
		ctx, cancel := context.WithCancel(r.Context())
		cancel()
		*r = *r.WithContext(ctx)
	})
	if resp.StatusCode != http.StatusTooManyRequests || len(h.links.asked) != asked {
		t.Errorf("status %d, %d look-ups", resp.StatusCode, len(h.links.asked)-asked)
	}
}

func TestThePageIsLight(t *testing.T) {
	t.Parallel()
	h := newHouseAt(t, realSite)
	page := readAll(t, h.ask("GET", "/c/"+goodToken))
	plain, packed := len(page), len(page)
	for _, m := range regexp.MustCompile(`(?:href|src)="(/static/[^"]+)"`).FindAllStringSubmatch(page, -1) {
		resp := h.ask("GET", m[1])
		if resp.StatusCode != 200 {
			t.Errorf("%s: status %d", m[1], resp.StatusCode)
		}
		plain += len(readAll(t, resp))
		zipped := h.ask("GET", m[1], with("Accept-Encoding", "gzip"))
		body, err := io.ReadAll(zipped.Body)
		if err != nil {
			t.Fatal(err)
		}
		if zipped.Header.Get("Content-Encoding") == "gzip" {
			if _, err := gzip.NewReader(strings.NewReader(string(body))); err != nil {
				t.Error(err)
			}
		}
		packed += len(body)
	}
	t.Logf("the reader's page: %d bytes, %d over the wire", plain, packed)
	if packed > 40_000 || plain > 80_000 { // on the way to a slow phone, and for it to read
		t.Errorf("the reader's page weighs %d bytes with all that it loads, %d over the wire; 80,000 and 40,000 are the limits", plain, packed)
	}
	if m := regexp.MustCompile(`(?i)(src|href)="(https?:)?//`).FindString(page); m != "" {
		t.Errorf("the page loads from elsewhere: %s", m)
	}
	if strings.Contains(page, "style=") || regexp.MustCompile(`\son[a-z]+=`).MatchString(page) {
		t.Error("the page has inline style or script")
	}
}

func TestFailuresInsideAre500(t *testing.T) {
	t.Parallel()
	h := newHouseAt(t, realSite)
	h.accounts.err = errors.New("database is locked at /var/lib")
	resp := h.post("/desk/login", url.Values{"user": {alice}, "password": {"right"}})
	if body := readAll(t, resp); resp.StatusCode != http.StatusServiceUnavailable || strings.Contains(body, "/var/lib") {
		t.Errorf("status %d: %s", resp.StatusCode, body)
	}
}

var usedTexts = []*regexp.Regexp{
	regexp.MustCompile(`\.T "([^"]+)"`),
	regexp.MustCompile(`(?:\bt\(|button\()(?:[a-zA-Z.! ]+\? )?'([a-z][a-zA-Z.]+)'`),
	regexp.MustCompile(`"((?:login|own|plain|reader|desk)\.[a-z.]+)"`),
}

func TestEveryTextThatIsUsedExists(t *testing.T) {
	t.Parallel()
	h := newHouseAt(t, realSite)
	site, err := web.New(web.Options{URL: h.url})
	if err != nil {
		t.Fatal(err)
	}
	render, err := site.Add("chat", bundle)
	if err != nil {
		t.Fatal(err)
	}
	words := render.Words()
	used := map[string]bool{}
	for _, glob := range []string{"templates/*.html", "static/*.js"} {
		names, err := fs.Glob(bundle, glob)
		if err != nil || len(names) == 0 {
			t.Fatal(glob, err)
		}
		for _, name := range names {
			src, err := fs.ReadFile(bundle, name)
			if err != nil {
				t.Fatal(err)
			}
			for _, re := range usedTexts {
				for _, m := range re.FindAllStringSubmatch(string(src), -1) {
					used[m[1]] = true
					if !words.Has(m[1]) {
						t.Errorf("%s uses %q, which has no text", name, m[1])
					}
				}
			}
		}
	}
	if len(used) < 40 {
		t.Errorf("only %d uses of texts were found: the patterns are blind", len(used))
	}
	for _, state := range []string{"opened", "silent", "ringing", "answered", "declined", "moment", "retrying", "away", "unknown", "noticed", "back", "left"} {
		for _, key := range []string{"reader.state." + state, "desk.state." + standing(call.State(state), true), "desk.state." + standing(call.State(state), false)} {
			if !words.Has(key) {
				t.Errorf("no words for the call's state %q: %s", state, key)
			}
		}
	}
	for _, fault := range words.Faults() {
		t.Error(fault)
	}
}
