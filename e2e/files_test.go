package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"image"
	"image/jpeg"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"chmail/internal/browsertest"
)

// A sender is a reader's browser that sends files.
type sender struct {
	s    *server
	c    *http.Client
	link string
}

// sender follows a link and shows intent, so that there is a conversation.
func (s *server) sender(t testing.TB, link string) *sender {
	t.Helper()
	w := &sender{s: s, c: s.browsing(t), link: link}
	w.c.Timeout = time.Minute
	resp, err := w.c.Get(link)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	conn, err := s.socket(t.Context(), w.c, "wss"+strings.TrimPrefix(s.url(), "https")+"/ws")
	if err != nil {
		t.Fatal(err)
	}
	defer conn.CloseNow()
	for _, f := range []map[string]any{{"t": "join", "v": 1, "token": link[strings.LastIndex(link, "/")+1:], "last": 0, "name": "Bob"}, {"t": "intent"}} {
		if err := write(t.Context(), conn, f); err != nil {
			t.Fatal(err)
		}
	}
	for {
		_, body, err := conn.Read(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(body), `"kind":"join"`) {
			return w
		}
	}
}

// An answer is what the server says to a file.
type answer struct {
	Conv string
	N    int
	Code string
	File struct {
		ID, Type      string
		Size          int
		Width, Height int
	}
	status int
}

func (w *sender) send(ctx context.Context, cid, name string, body io.Reader, change ...func(*http.Request)) (a answer, err error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, w.link+"/files?cid="+cid, body)
	if err != nil {
		return a, err
	}
	r.Header.Set("Origin", w.s.url())
	r.Header.Set("Content-Disposition", `attachment; filename="`+name+`"`)
	for _, c := range change {
		c(r)
	}
	resp, err := w.c.Do(r)
	if err != nil {
		return a, err
	}
	defer resp.Body.Close()
	a.status = resp.StatusCode
	text, err := io.ReadAll(resp.Body)
	if err == nil && resp.Header.Get("Content-Type") == "application/json" {
		err = json.Unmarshal(text, &a)
	}
	return a, err
}

func (w *sender) fetch(t testing.TB, id string) (status int, body []byte, header http.Header) {
	t.Helper()
	resp, err := w.c.Get(w.link + "/files/" + id)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if body, err = io.ReadAll(resp.Body); err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, body, resp.Header
}

// numbered is a body that tells which file it is, over several pieces.
func numbered(round, i int) []byte {
	return bytes.Repeat(fmt.Appendf(nil, "file %d of round %d\n", i, round), 20_000)
}

// TestEveryAcknowledgedFileSurvivesKill9 kills the server while files are on their way. What was acknowledged is there, whole and once; what was not is sent again under
// its id, and is there once as well.
func TestEveryAcknowledgedFileSurvivesKill9(t *testing.T) {
	t.Parallel()
	const rounds, each = 3, 10
	s := twoPeople(t, "")
	link, _ := s.mailWithPort(t, "Offer for the roof")
	w := s.sender(t, link)
	ids := make(map[string]answer)
	send := func(ctx context.Context, round, i int) (answer, error) {
		return w.send(ctx, fmt.Sprintf("%d.%d", round, i), fmt.Sprintf("%d-%d.txt", round, i), bytes.NewReader(numbered(round, i)))
	}
	for round := range rounds {
		var mu sync.Mutex
		var wg sync.WaitGroup
		enough := make(chan struct{})
		got := 0
		for line := range 2 {
			wg.Go(func() {
				for i := line; i < each; i += 2 {
					a, err := send(t.Context(), round, i)
					if err != nil || a.status != http.StatusCreated {
						return // the server is dead
					}
					mu.Lock()
					ids[fmt.Sprintf("%d.%d", round, i)] = a
					if got++; got == each/2 {
						close(enough)
					}
					mu.Unlock()
				}
			})
		}
		select {
		case <-enough:
		case <-time.After(time.Minute):
			t.Fatal("half of the files were not acknowledged within a minute")
		}
		s.kill()
		wg.Wait()
		s.start(t)
	}
	acked := len(ids)
	seen := make(map[string]bool)
	for round := range rounds {
		for i := range each {
			cid := fmt.Sprintf("%d.%d", round, i)
			a, err := send(t.Context(), round, i)
			if err != nil || a.status != http.StatusCreated {
				t.Fatalf("file %s is not taken: %+v, %v", cid, a, err)
			}
			if before, ok := ids[cid]; ok && (before.N != a.N || before.File.ID != a.File.ID) {
				t.Errorf("file %s was acknowledged as %+v and is %+v", cid, before, a)
			}
			if status, body, _ := w.fetch(t, a.File.ID); status != http.StatusOK || !bytes.Equal(body, numbered(round, i)) {
				t.Errorf("file %s: status %d, %d octets", cid, status, len(body))
			}
			if seen[a.File.ID] {
				t.Errorf("file %s is another as well", cid)
			}
			seen[a.File.ID] = true
		}
	}
	out, _, _ := s.chmail(t, "", "conversation", "show", alice, convOf(ids), "--json")
	if n := strings.Count(out, `"kind":"file"`) + strings.Count(out, `"kind": "file"`); n != rounds*each {
		t.Errorf("the transcript has %d files, %d were sent", n, rounds*each)
	}
	t.Logf("%d files acknowledged before the last kill, all %d there", acked, len(seen))
}

func convOf(ids map[string]answer) string {
	for _, a := range ids {
		return a.Conv
	}
	return ""
}

// Files are sent by pages of the site, and read by the two who talk, and that is all.
func TestNobodyElseSendsOrReadsFiles(t *testing.T) {
	t.Parallel()
	s := twoPeople(t, "")
	link, port := s.mailWithPort(t, "Offer for the roof")
	bobs, minas := s.sender(t, link), s.sender(t, link)
	a, err := bobs.send(t.Context(), "1", "plan.html", strings.NewReader("<script>alert(1)</script>"))
	if err != nil || a.status != http.StatusCreated || a.File.Type != "application/octet-stream" {
		t.Fatalf("%+v, %v", a, err)
	}
	status, body, h := bobs.fetch(t, a.File.ID)
	if status != 200 || string(body) != "<script>alert(1)</script>" || h.Get("Content-Disposition") != `attachment; filename="plan.html"` || h.Get("X-Content-Type-Options") != "nosniff" ||
		!strings.HasPrefix(h.Get("Content-Security-Policy"), "sandbox; default-src 'none'") || h.Get("Cross-Origin-Resource-Policy") != "same-origin" || h.Get("Content-Type") != "application/octet-stream" {
		t.Errorf("status %d, %q with %v", status, body, h)
	}
	nothing := &sender{s: s, c: s.browsing(t), link: link}
	unknown, wrong, _ := nothing.fetch(t, "AAAAAAAAAAAAAAAAAAAAAA")
	for name, get := range map[string]func() (int, []byte, http.Header){
		"another reader of the mail": func() (int, []byte, http.Header) { return minas.fetch(t, a.File.ID) },
		"somebody with the address":  func() (int, []byte, http.Header) { return nothing.fetch(t, a.File.ID) },
	} {
		if status, body, _ := get(); status != unknown || status != 404 || !bytes.Equal(body, wrong) {
			t.Errorf("%s: status %d, where there is nothing %d", name, status, unknown)
		}
	}
	if status := s.get(t, s.url()+"/desk/c/"+a.Conv+"/files/"+a.File.ID); status != 404 {
		t.Errorf("by the desk's address without a sign-in: status %d", status)
	}
	for _, origin := range []string{"", "null", "https://evil.example", "https://localhost:" + port, "http" + s.url()[len("https"):], s.url() + "/"} {
		got, err := bobs.send(t.Context(), "foreign", "x", strings.NewReader("x"), func(r *http.Request) {
			if r.Header.Del("Origin"); origin != "" {
				r.Header.Set("Origin", origin)
			}
		})
		if err != nil || got.status != http.StatusForbidden {
			t.Errorf("a file from a page of %q: status %d, %v", origin, got.status, err)
		}
	}
	if got, err := nothing.send(t.Context(), "1", "x", strings.NewReader("x")); err != nil || got.status != http.StatusForbidden || got.Code != "cookie" {
		t.Errorf("without a cookie: %+v, %v", got, err)
	}
	if got, err := bobs.send(t.Context(), "2", "x", io.LimitReader(endless{}, 11<<20)); err != nil || got.status != http.StatusRequestEntityTooLarge {
		t.Errorf("11 MiB without saying so: %+v, %v", got, err)
	}
	if got, err := bobs.send(t.Context(), "3", "x.png", io.LimitReader(endless{}, 10<<20)); err != nil || got.status != http.StatusCreated || got.File.Size != 10<<20 {
		t.Errorf("10 MiB: %+v, %v", got, err)
	}
	dead := &sender{s: s, c: bobs.c, link: link[:len(link)-22] + "AAAAAAAAAAAAAAAAAAAAAA"}
	if got, err := dead.send(t.Context(), "1", "x", strings.NewReader("x")); err != nil || got.status != 404 {
		t.Errorf("by a link that does not work: %+v, %v", got, err)
	}
	if status, _, _ := dead.fetch(t, a.File.ID); status != 404 {
		t.Errorf("a file by a link that does not work: status %d", status)
	}
}

type endless struct{}

func (endless) Read(p []byte) (int, error) { return len(p), nil }

// Two browsers, a photograph there and a paper back.
func TestPicturesAndFilesGoBothWays(t *testing.T) {
	t.Parallel()
	s := twoPeople(t, "")
	link, _ := s.mailWithPort(t, "Offer for the roof")
	desk := s.desk(t, "/desk")
	reader := follow(t, link)
	dir := t.TempDir()
	photo, paper := filepath.Join(dir, "my roof.jpg"), filepath.Join(dir, "offer.pdf")
	var b bytes.Buffer
	if err := jpeg.Encode(&b, image.NewRGBA(image.Rect(0, 0, 300, 200)), nil); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(photo, b.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(paper, []byte("%PDF-1.7 the offer"), 0o600); err != nil {
		t.Fatal(err)
	}
	reader.Run(chromedp.SendKeys("#text", "This is my roof\r"))
	reader.Until(`!document.querySelector('.attach input').disabled`)
	reader.Run(chromedp.SetUploadFiles(".attach input:not([capture])", []string{photo}))
	desk.Until(`document.querySelector('.call.ring') !== null`)
	reader.Until(`document.querySelector('.mine img')?.alt === 'my roof.jpg' && document.querySelector('.mine img').naturalWidth === 300`)
	desk.Run(chromedp.Click("#conversations a"))
	desk.Until(`document.querySelector('.theirs img')?.naturalWidth === 300 && document.querySelector('.theirs img').alt === 'my roof.jpg'`)
	desk.Until(`document.querySelector('.talk:not([hidden]) .attach input:not(:disabled)') !== null`)
	desk.Run(chromedp.SetUploadFiles(".talk:not([hidden]) .attach input:not([capture])", []string{paper}))
	reader.Until(call("answered") + ` && document.querySelector('.theirs .said a')?.textContent === 'offer.pdf'`)
	desk.Until(`document.querySelectorAll('.call.ring').length === 0`)
	reader.Run(chromedp.Reload())
	reader.Until(`document.querySelector('.mine img')?.naturalWidth === 300 && document.querySelector('.theirs .said a')?.textContent === 'offer.pdf'`)
	if n := browsertest.JS[int](reader, `document.querySelectorAll('.said').length`); n != 3 {
		t.Errorf("%d messages after a reload, want 3", n)
	}
}

// A browser without scripts sends a file with its form, and finds the owner's in its log.
func TestFilesGoWithoutScripts(t *testing.T) {
	t.Parallel()
	s := twoPeople(t, "")
	link, _ := s.mailWithPort(t, "Offer for the roof")
	desk := s.desk(t, "/desk")
	b := chromium.Tab(t)
	b.WithoutScripts()
	b.Run(chromedp.Navigate(link + "?plain=1"))
	path := filepath.Join(t.TempDir(), "my roof.txt")
	if err := os.WriteFile(path, numbered(0, 0), 0o600); err != nil {
		t.Fatal(err)
	}
	old := time.NewTimer(3100 * time.Millisecond) // a form that is posted sooner comes back
	<-old.C
	b.Run(chromedp.SendKeys("#plain-text", "This is my roof"), chromedp.SetUploadFiles("#plain-file", []string{path}), chromedp.Click(`form[enctype] button.main`))
	desk.Until(`document.querySelector('.item-text')?.textContent === 'my roof.txt'`)
	desk.Run(chromedp.Click("#conversations a"))
	desk.Until(`[...document.querySelectorAll('.theirs .said')].map((e) => e.textContent.split(' ')[0]).join(' ') === 'This my'`)
}
