package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"path"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/coder/websocket"

	"chmail/internal/browsertest"
)

// alerts are what an open desk of Alice's has been told, as it comes.
type alerts struct {
	t    *testing.T
	conn *websocket.Conn
	mu   sync.Mutex
	all  []alert
	more chan struct{} // holds one
}

type alert struct {
	T    string    `json:"t"`
	Call string    `json:"call"`
	Conv string    `json:"conv"`
	Who  string    `json:"who"`
	at   time.Time // when the desk had it
}

// watch opens a desk that acknowledges rings, as a page does, and notes every alert.
func (s *server) watch(t *testing.T) *alerts {
	t.Helper()
	conn, err := s.owner(t, "none").dial(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	conn.SetReadLimit(1 << 20)
	if err := await(t.Context(), conn, `"t":"list"`); err != nil {
		t.Fatal(err)
	}
	a := &alerts{t: t, conn: conn, more: make(chan struct{}, 1)}
	go a.read()
	t.Cleanup(func() { _ = conn.CloseNow() })
	return a
}

func (a *alerts) read() {
	for {
		_, body, err := a.conn.Read(context.Background())
		if err != nil {
			return // the test is over
		}
		now := time.Now()
		var f alert
		if json.Unmarshal(body, &f) != nil || f.T != "visit" && f.T != "ring" {
			continue
		}
		f.at = now
		a.mu.Lock()
		a.all = append(a.all, f)
		a.mu.Unlock()
		if f.T == "ring" {
			_ = write(context.Background(), a.conn, map[string]any{"t": "rung", "call": f.Call}) // the reading will end if it failed
		}
		select {
		case a.more <- struct{}{}:
		default:
		}
	}
}

// find waits for an alert of that kind behind the first from.
func (a *alerts) find(kind string, from int) alert {
	a.t.Helper()
	for over := time.After(20 * time.Second); ; {
		for _, f := range a.list()[from:] {
			if f.T == kind {
				return f
			}
		}
		select {
		case <-a.more:
		case <-over:
			a.t.Fatalf("no %s at the desk; it was told %+v", kind, a.list())
		}
	}
}

func (a *alerts) list() []alert {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.all[:len(a.all):len(a.all)]
}

// fetcher is a mail scanner's HTTP client, from an address of its own, keeping cookies as a browser does.
func (s *server) fetcher(t *testing.T, n int) *http.Client {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	c := s.client()
	dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 30, byte(n), 1)}}
	c.Transport = &http.Transport{TLSClientConfig: s.trust.Clone(), DialContext: func(ctx context.Context, _, address string) (net.Conn, error) {
		_, port, err := net.SplitHostPort(address)
		if err != nil {
			return nil, err
		}
		return dialer.DialContext(ctx, "tcp", net.JoinHostPort("127.0.0.1", port))
	}}
	c.Jar = jar
	return c
}

// agents are what link scanners, previews and prefetchers call themselves; half of them call themselves a browser.
var agents = [...]string{
	"Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36",
	"Mozilla/5.0 (compatible; MSIE 10.0; Windows NT 6.1; Trident/6.0)",
	"Slackbot-LinkExpanding 1.0 (+https://api.slack.com/robots)",
	"Barracuda Sentinel (EE)",
	"python-requests/2.32.3",
	"",
}

// scan does to one link all that a scanner can do without a browser: it prefetches, it fetches, and it submits every form as it stands and filled in.
func (s *server) scan(t *testing.T, c *http.Client, agent, link string) {
	do := func(method, at string, form url.Values, header ...string) (int, string) {
		req, err := http.NewRequestWithContext(t.Context(), method, at, strings.NewReader(form.Encode()))
		if err != nil {
			t.Error(err)
			return 0, ""
		}
		req.Header.Set("User-Agent", agent)
		if form != nil {
			req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			req.Header.Set("Origin", s.url())
		}
		for i := 0; i < len(header); i += 2 {
			req.Header.Set(header[i], header[i+1])
		}
		resp, err := c.Do(req)
		if err != nil {
			t.Errorf("%s %s: %v", method, path.Base(at), err)
			return 0, ""
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Error(err)
		}
		return resp.StatusCode, string(body)
	}
	do(http.MethodHead, link, nil)
	do(http.MethodOptions, link, nil)
	do(http.MethodGet, link, nil, "Sec-Purpose", "prefetch;prerender")
	for range 3 {
		status, body := do(http.MethodGet, link, nil)
		if status != http.StatusOK {
			t.Errorf("GET: status %d", status)
		}
		page := regexp.MustCompile(`name="page" value="([^"]*)"`).FindStringSubmatch(body)
		if page == nil {
			t.Errorf("no form on the page")
			return
		}
		do(http.MethodPost, link, url.Values{"page": {page[1]}, "name": {""}, "text": {""}, "website": {""}})
		do(http.MethodPost, link, url.Values{"page": {page[1]}, "name": {"John"}, "text": {"john@example.com"}, "website": {"https://example.com"}})
		do(http.MethodPost, link, url.Values{"page": {page[1]}, "name": {"John"}, "text": {"test"}, "website": {""}}) // at once
	}
	do(http.MethodGet, link+"?plain=1", nil)
	do(http.MethodGet, link+"/log", nil)
}

// act is what a sandbox's script does in a page: it makes up events, fills in and submits every form, presses every button.
const act = `(() => {
	for (const type of ['pointermove', 'mousemove', 'pointerdown', 'mousedown', 'touchstart', 'wheel', 'keydown', 'click', 'input', 'scroll', 'focus']) {
		for (const target of [window, document, document.body]) target.dispatchEvent(new Event(type, {bubbles: true}));
	}
	scrollTo(0, 100);
	for (const field of document.querySelectorAll('textarea, input:not([type=file])')) field.value = 'test';
	for (const form of document.forms) form.requestSubmit();
	for (const button of document.querySelectorAll('button')) button.click();
	return true;
})()`

// hand is a sandbox that even imitates a person's hand, on a page that it opened while others were fetched.
func (s *server) hand(t *testing.T, link string, others []string) *browsertest.Tab {
	t.Helper()
	b := chromium.Tab(t)
	opened := make(chan struct{})
	var all sync.WaitGroup
	for i, other := range others {
		c := s.fetcher(t, 10+i)
		all.Go(func() {
			for {
				resp, err := c.Get(other)
				if err != nil {
					t.Error(err)
					return
				}
				resp.Body.Close()
				select {
				case <-opened:
					return
				default:
				}
			}
		})
	}
	b.Run(chromedp.Navigate(link))
	close(opened)
	all.Wait()
	b.MoveMouse()
	return b
}

func TestAMailScannerRingsNobody(t *testing.T) {
	t.Parallel()
	s := twoPeople(t, "")
	first, port := s.mailWithPort(t, "Offer for the roof")
	links := []string{first}
	for i := range 8 {
		links = append(links, chatLink(t, s.mailTo(t, fmt.Sprint("Offer ", i))))
	}
	desk := s.watch(t)

	resp, err := s.client().Head(first)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != 200 || len(resp.Cookies()) != 0 {
		t.Errorf("HEAD: status %d, cookies %v", resp.StatusCode, resp.Cookies())
	}
	if conn, err := net.DialTimeout("tcp", "127.0.0.1:"+port, time.Second); err == nil {
		conn.Close()
		t.Error("HEAD started the listener on the port")
	}
	for _, wrong := range []string{"/c/AAAAAAAAAAAAAAAAAAAAAA", "/c/x", "/c/" + first} {
		if status := s.get(t, s.url()+wrong); status != 404 {
			t.Errorf("GET %s: status %d, want 404", wrong, status)
		}
	}
	var all sync.WaitGroup // a burst of all links, from several places
	for i, link := range links {
		all.Go(func() { s.scan(t, s.fetcher(t, i), agents[i%len(agents)], link) })
	}
	all.Wait()
	for _, link := range links[:2] { // sandboxes that run the page's scripts, and scripts of their own
		sandbox := follow(t, link)
		sandbox.Until(`document.readyState === 'complete'`)
		browsertest.JS[bool](sandbox, act)
	}
	s.hand(t, links[2], links[3:6]).Until(call("silent"))

	person := follow(t, links[8]) // whose page is two seconds old later than that of any of them
	person.Run(chromedp.SendKeys("#name", "Bob Brown"), chromedp.SendKeys("#text", "Are you there?\r"))
	ring := desk.find("ring", 0)
	seen := make(map[string]bool)
	for _, a := range desk.list() {
		if seen[a.Conv] = true; a.T == "ring" && a.Conv != ring.Conv {
			t.Errorf("it rang for a scanner as well: %+v", a)
		}
	}
	if len(seen) != 2 {
		t.Errorf("the desk was told of %d visits, want the hand's and the person's: %+v", len(seen), desk.list())
	}
	person.Until(call("ringing"))
	m := s.maildrop(t, alice, alicesPassword)
	defer m.quit()
	if n := m.count(); n != 0 {
		t.Errorf("%d notices in the maildrop", n)
	}
	for _, link := range links { // no token is used up
		if status := s.get(t, link); status != 200 {
			t.Errorf("after the scan a link is answered with status %d", status)
		}
	}
}
