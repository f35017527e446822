package web

import (
	"compress/gzip"
	"errors"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
)

func newSite(t *testing.T, url string) *Site {
	t.Helper()
	s, err := New(Options{URL: url, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// house is a site with a few routes, as a package of pages would have them.
func house(t *testing.T, url string) (*Site, http.Handler) {
	t.Helper()
	s := newSite(t, url)
	mux := http.NewServeMux()
	mux.Handle("GET /hello", s.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) error {
		_, err := io.WriteString(w, "hello")
		return err
	}))
	mux.Handle("POST /form", s.HandlerFunc(func(w http.ResponseWriter, r *http.Request) error {
		if err := r.ParseForm(); err != nil {
			return err
		}
		w.WriteHeader(http.StatusNoContent)
		return nil
	}))
	mux.Handle("GET /broken", s.HandlerFunc(func(http.ResponseWriter, *http.Request) error {
		return errors.New("secret inside: /var/lib/chmail")
	}))
	mux.Handle("GET /panic", s.HandlerFunc(func(http.ResponseWriter, *http.Request) error { panic("secret inside: nil map") }))
	return s, s.Handler(mux)
}

func ask(h http.Handler, method, url string, change ...func(*http.Request)) *http.Response {
	r := httptest.NewRequest(method, url, nil)
	for _, c := range change {
		c(r)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w.Result()
}

func text(t *testing.T, resp *http.Response) string {
	t.Helper()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestAnswersAreCounted(t *testing.T) {
	t.Parallel()
	s, h := house(t, "https://chat.example.com")
	got := make(map[int]int)
	s.answered = func(status int) { got[status]++ }
	for _, path := range []string{"/hello", "/nothing", "/broken", "/panic", "/robots.txt"} {
		ask(h, "GET", "https://chat.example.com"+path)
	}
	ask(h, "GET", "https://chat.example.com/form")
	if want := map[int]int{200: 2, 404: 1, 405: 1, 500: 2}; !maps.Equal(got, want) {
		t.Errorf("counted: %v, want %v", got, want)
	}
}

func TestEveryAnswerIsArmoured(t *testing.T) {
	t.Parallel()
	s, h := house(t, "https://chat.example.com")
	css, err := s.errors.File("base.css")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"/hello", "/nothing", "/broken", "/panic", "/robots.txt", css, "/form", "/static/web/x/none.css"} {
		resp := ask(h, "GET", "https://chat.example.com"+path)
		for name, want := range map[string]string{
			"Referrer-Policy":           "no-referrer",
			"X-Robots-Tag":              "noindex, nofollow, noarchive",
			"X-Content-Type-Options":    "nosniff",
			"X-Frame-Options":           "DENY",
			"Permissions-Policy":        "microphone=(self), camera=(self), display-capture=(self)",
			"Strict-Transport-Security": "max-age=31536000",
		} {
			if got := resp.Header.Get(name); got != want {
				t.Errorf("GET %s: %s is %q, want %q", path, name, got, want)
			}
		}
		csp := resp.Header.Get("Content-Security-Policy")
		for _, part := range []string{"default-src 'none'", "script-src 'self'", "style-src 'self'", "connect-src 'none'", "base-uri 'none'", "form-action 'self'", "frame-ancestors 'none'", "require-trusted-types-for 'script'"} {
			if !strings.Contains(csp, part) {
				t.Errorf("GET %s: the policy %q lacks %q", path, csp, part)
			}
		}
		if strings.Contains(csp, "unsafe") {
			t.Errorf("GET %s: the policy %q allows what is unsafe", path, csp)
		}
		if cc := resp.Header.Get("Cache-Control"); cc != "no-store" && !strings.HasPrefix(path, "/static/web/"+s.static["web"].hash) && path != "/robots.txt" {
			t.Errorf("GET %s: Cache-Control is %q", path, cc)
		}
	}
}

func TestPlainHTTPOnLoopbackPromisesNoTLS(t *testing.T) {
	t.Parallel()
	s, h := house(t, "http://localhost:8080")
	if hsts := ask(h, "GET", "http://localhost:8080/hello").Header.Get("Strict-Transport-Security"); hsts != "" {
		t.Errorf("Strict-Transport-Security %q on plain http", hsts)
	}
	if c := s.Cookie("session", "x", 1); c.Secure || c.Name != "session" || !c.HttpOnly {
		t.Errorf("cookie on loopback: %v", c)
	}
	if c := newSite(t, "https://chat.example.com").Cookie("session", "x", 1); !c.Secure || c.Name != "__Host-session" || c.Path != "/" || c.Domain != "" || c.SameSite != http.SameSiteLaxMode {
		t.Errorf("cookie over TLS: %v", c)
	}
}

func TestAddressesThatCannotBeServed(t *testing.T) {
	t.Parallel()
	for _, url := range []string{"", "chat.example.com", "http://chat.example.com", "https://chat.example.com/path", "ftp://x", "https://u:p@x.example", "https://x.example/?q"} {
		if _, err := New(Options{URL: url}); err == nil {
			t.Errorf("%q was taken as a site's address", url)
		}
	}
}

func TestOnlyTheRightHostIsAnswered(t *testing.T) {
	t.Parallel()
	_, play := house(t, "http://localhost:8080")
	resp := ask(play, "GET", "http://127.0.0.1:8080/c/AAAA?as=reader")
	if loc := resp.Header.Get("Location"); resp.StatusCode != 307 || loc != "http://localhost:8080/c/AAAA?as=reader" {
		t.Errorf("127.0.0.1 led to %d %q", resp.StatusCode, loc)
	}
	if resp := ask(play, "GET", "http://127.0.0.1:8080//evil.example/x"); !strings.HasPrefix(resp.Header.Get("Location"), "http://localhost:8080/") {
		t.Errorf("redirect leads away, to %q", resp.Header.Get("Location"))
	}
	for _, bad := range []string{"http://evil.example/hello", "http://localhost.evil.example:8080/hello"} {
		if resp := ask(play, "GET", bad); resp.StatusCode != http.StatusMisdirectedRequest {
			t.Errorf("%s: status %d", bad, resp.StatusCode)
		}
	}
	_, real := house(t, "https://chat.example.com")
	for _, good := range []string{"https://chat.example.com/hello", "https://CHAT.example.com:443/hello", "https://chat.example.com./hello"} {
		if resp := ask(real, "GET", good); resp.StatusCode != http.StatusOK {
			t.Errorf("%s: status %d", good, resp.StatusCode)
		}
	}
	for _, bad := range []string{"https://127.0.0.1/hello", "https://example.com/hello", "https://chat.example.com:8443/hello"} {
		if resp := ask(real, "GET", bad); resp.StatusCode != http.StatusMisdirectedRequest {
			t.Errorf("%s: status %d", bad, resp.StatusCode)
		}
	}
}

func TestErrorPagesSayNothingInternal(t *testing.T) {
	t.Parallel()
	_, h := house(t, "https://chat.example.com")
	for _, c := range []struct {
		method, path string
		status       int
	}{{"GET", "/nothing", 404}, {"GET", "/broken", 500}, {"GET", "/panic", 500}, {"GET", "/form", 405}, {"POST", "/robots.txt", 405}, {"GET", "/static/", 404}} {
		resp := ask(h, c.method, "https://chat.example.com"+c.path)
		body := text(t, resp)
		if resp.StatusCode != c.status || !strings.Contains(body, "<h1>") || !strings.HasPrefix(resp.Header.Get("Content-Type"), "text/html") {
			t.Errorf("%s %s: status %d, body %.60q", c.method, c.path, resp.StatusCode, body)
		}
		if strings.Contains(body, "secret") || strings.Contains(body, c.path+"<") {
			t.Errorf("%s %s tells too much: %s", c.method, c.path, body)
		}
	}
	if allow := ask(h, "GET", "https://chat.example.com/form").Header.Get("Allow"); allow != "POST" {
		t.Errorf("405 without a right Allow field: %q", allow)
	}
	if resp := ask(h, "HEAD", "https://chat.example.com/nothing"); resp.StatusCode != 404 || text(t, resp) != "" {
		t.Errorf("HEAD of nothing: status %d", resp.StatusCode)
	}
}

func TestFormsFromElsewhereAreRefused(t *testing.T) {
	t.Parallel()
	_, h := house(t, "https://chat.example.com")
	with := func(name, value string) func(*http.Request) {
		return func(r *http.Request) { r.Header.Set(name, value) }
	}
	for _, foreign := range []func(*http.Request){
		with("Origin", "https://evil.example"), with("Origin", "null"), with("Sec-Fetch-Site", "cross-site"), with("Sec-Fetch-Site", "same-site"),
		with("Origin", "https://chat.example.com:444"), with("Origin", "http://sub.chat.example.com"),
	} {
		if resp := ask(h, "POST", "https://chat.example.com/form", foreign); resp.StatusCode != http.StatusForbidden {
			t.Errorf("a foreign form got status %d", resp.StatusCode)
		}
	}
	if resp := ask(h, "POST", "https://chat.example.com/form", with("Sec-Fetch-Site", "same-origin"), with("Origin", "https://chat.example.com")); resp.StatusCode != http.StatusNoContent {
		t.Errorf("our own form got status %d", resp.StatusCode)
	}
}

func TestSocketsNeedTheExactOrigin(t *testing.T) {
	t.Parallel()
	s := newSite(t, "https://chat.example.com")
	for origin, want := range map[string]bool{
		"https://chat.example.com": true, "": false, "null": false, "http://chat.example.com": false, "https://example.com": false,
		"https://x.chat.example.com": false, "https://chat.example.com:443": false, "https://chat.example.com:24000": false, "https://chat.example.com.evil.example": false,
	} {
		r := httptest.NewRequest("GET", "https://chat.example.com/ws", nil)
		if origin != "" {
			r.Header.Set("Origin", origin)
		}
		if got := s.SameOrigin(r); got != want {
			t.Errorf("Origin %q allowed: %v", origin, got)
		}
	}
	r := httptest.NewRequest("GET", "https://chat.example.com/ws", nil)
	r.Header["Origin"] = []string{"https://chat.example.com", "https://evil.example"}
	if s.SameOrigin(r) {
		t.Error("two Origin fields were allowed")
	}
}

func TestSocketOriginsAreWhatABrowserDials(t *testing.T) {
	t.Parallel()
	for url, want := range map[string][2]string{
		"https://chat.example.com":      {"wss://chat.example.com", "wss://chat.example.com:24001"},
		"https://chat.example.com:8443": {"wss://chat.example.com:8443", "wss://chat.example.com:24001"},
		"http://localhost:8080":         {"ws://localhost:8080", "ws://localhost:24001"},
		"http://[::1]:8080":             {"ws://[::1]:8080", "ws://[::1]:24001"},
	} {
		s := newSite(t, url)
		if got := [2]string{s.SocketOrigin(0), s.SocketOrigin(24001)}; got != want {
			t.Errorf("%s: %v, want %v", url, got, want)
		}
	}
}

func TestAFormThatIsTooLarge(t *testing.T) {
	t.Parallel()
	_, h := house(t, "https://chat.example.com")
	resp := ask(h, "POST", "https://chat.example.com/form", func(r *http.Request) {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Body = io.NopCloser(strings.NewReader("a=" + strings.Repeat("x", maxBody)))
	})
	if resp.StatusCode != http.StatusRequestEntityTooLarge {
		t.Errorf("status %d", resp.StatusCode)
	}
}

func TestStaticFilesAreKeptUntilTheyChange(t *testing.T) {
	t.Parallel()
	s, h := house(t, "https://chat.example.com")
	url, err := s.errors.File("tokens.css")
	if err != nil {
		t.Fatal(err)
	}
	if !regexp.MustCompile(`^/static/web/[A-Za-z0-9_-]{16}/tokens\.css$`).MatchString(url) {
		t.Errorf("address %q", url)
	}
	plain := ask(h, "GET", "https://chat.example.com"+url)
	if cc := plain.Header.Get("Cache-Control"); !strings.Contains(cc, "immutable") || plain.Header.Get("Content-Encoding") != "" {
		t.Errorf("Cache-Control %q", cc)
	}
	packed := ask(h, "GET", "https://chat.example.com"+url, func(r *http.Request) { r.Header.Set("Accept-Encoding", "br;q=1, gzip;q=0.8") })
	zr, err := gzip.NewReader(packed.Body)
	if err != nil {
		t.Fatal(err)
	}
	unpacked, err := io.ReadAll(zr)
	if err != nil || string(unpacked) != text(t, plain) {
		t.Errorf("the compressed file differs from the plain one (%v)", err)
	}
	stale := ask(h, "GET", "https://chat.example.com"+strings.Replace(url, s.static["web"].hash, "an-older-version", 1))
	if stale.StatusCode != 200 || stale.Header.Get("Cache-Control") != "no-store" {
		t.Errorf("an older page gets %d, Cache-Control %q", stale.StatusCode, stale.Header.Get("Cache-Control"))
	}
	for _, sly := range []string{"/static/web/x/../site.go", "/static/web/x/%2e%2e/words.go", "/static/nobody/x/a.css", "/static/web/x/"} {
		if resp := ask(h, "GET", "https://chat.example.com"+sly); resp.StatusCode != 404 {
			t.Errorf("%s: status %d", sly, resp.StatusCode)
		}
	}
}

func TestADocumentBesideTheSiteOpensNoOtherDoor(t *testing.T) {
	t.Parallel()
	s, err := New(Options{URL: "https://chat.example.com", Log: slog.New(slog.DiscardHandler), Beside: func(host, path string) http.Handler {
		if strings.ContainsAny(host, ":[]") {
			t.Errorf("asked for a document of %s, which is no name", host)
		}
		if host != "mta-sts.example.com" || path != "/.well-known/mta-sts.txt" {
			return nil
		}
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if _, err := io.Copy(io.Discard, r.Body); err != nil {
				http.Error(w, "too large", http.StatusRequestEntityTooLarge)
			}
		})
	}})
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /hello", func(http.ResponseWriter, *http.Request) {})
	h := s.Handler(mux)
	for url, want := range map[string]int{
		"https://mta-sts.example.com/.well-known/mta-sts.txt": 200, "https://MTA-STS.example.com.:443/.well-known/mta-sts.txt": 200,
		"https://mta-sts.example.com:8443/.well-known/mta-sts.txt": 421, "https://mta-sts.example.com/hello": 421, "https://[2001:db8::1]/.well-known/mta-sts.txt": 421, "https://mta-sts.example.com/": 421, "https://mta-sts.example.com/robots.txt": 421,
		"https://example.com/.well-known/mta-sts.txt": 421, "https://chat.example.com/.well-known/mta-sts.txt": 404, "https://chat.example.com/hello": 200,
	} {
		resp := ask(h, "GET", url)
		if resp.StatusCode != want {
			t.Errorf("%s: status %d, want %d", url, resp.StatusCode, want)
		}
		if resp.Header.Get("X-Content-Type-Options") != "nosniff" || resp.Header.Get("Content-Security-Policy") == "" {
			t.Errorf("%s: the answer is not armoured: %v", url, resp.Header)
		}
	}
	r := httptest.NewRequest("POST", "https://mta-sts.example.com/.well-known/mta-sts.txt", strings.NewReader(strings.Repeat("x", maxBody+1)))
	w := httptest.NewRecorder()
	if h.ServeHTTP(w, r); w.Code != http.StatusRequestEntityTooLarge {
		t.Errorf("a body without end: status %d", w.Code)
	}
	if resp := ask(h, "POST", "https://mta-sts.example.com/.well-known/mta-sts.txt", func(r *http.Request) { r.Header.Set("Origin", "https://evil.example") }); resp.StatusCode != http.StatusForbidden {
		t.Errorf("posted from a foreign page: status %d", resp.StatusCode)
	}
}
