package pages

import (
	"bytes"
	"context"
	"errors"
	"html"
	"io"
	"mime/multipart"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"chmail/chatd"
	"chmail/internal/call"
)

// posted is what the fake chat server was told by forms.
type posted struct {
	mu    sync.Mutex
	notes []chatd.Note
	left  int
	waits int // looks of somebody who waits
	sight chatd.Sight
	err   error
}

func (p *posted) Post(_ context.Context, _ call.Link, n chatd.Note) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.notes = append(p.notes, n)
	return p.err
}

func (p *posted) Look(_ context.Context, _ call.Link, _ string, waits bool) (chatd.Sight, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if waits {
		p.waits++
	}
	return p.sight, nil
}

func (p *posted) Quit(call.Link, string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.left++
}

func (p *posted) sighted(s chatd.Sight) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.sight = s
}

func (p *posted) count() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.notes)
}

const formPath = "/c/" + goodToken

var inputs = regexp.MustCompile(`<(?:input|textarea)[^>]* name="([^"]+)"(?:[^>]* value="([^"]*)")?`)

// formOf is what a browser keeps of the page: its cookie, and the fields of its form.
func (h *house) formOf(path string) (*http.Cookie, url.Values) {
	h.t.Helper()
	resp := h.ask("GET", path)
	form := url.Values{}
	for _, m := range inputs.FindAllStringSubmatch(readAll(h.t, resp), -1) {
		if m[1] != "name" || !form.Has("name") {
			form.Set(m[1], html.UnescapeString(m[2]))
		}
	}
	if len(resp.Cookies()) != 1 || form.Get("page") == "" || !form.Has("text") || !form.Has(trapField) {
		h.t.Fatalf("the page of %s: cookies %v, form %v", path, resp.Cookies(), form)
	}
	return resp.Cookies()[0], form
}

// filled is the form with some fields set.
func filled(form url.Values, pairs ...string) url.Values {
	out := url.Values{}
	for k, v := range form {
		out[k] = v
	}
	for i := 0; i < len(pairs); i += 2 {
		out.Set(pairs[i], pairs[i+1])
	}
	return out
}

func TestNoScannerPostsAnything(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := newHouseAt(t, realSite)
		h.ask("HEAD", formPath)
		h.ask("HEAD", formPath+"?plain=1")
		h.ask("HEAD", formPath+"/log?wait=1")
		if len(h.chat.opened) != 0 || h.chat.waits != 0 {
			t.Error("a HEAD does something")
		}
		mine, form := h.formOf(formPath)
		theirs, foreign := h.formOf(formPath + "?plain=1")
		h.ask("GET", formPath+"/log", cookie(mine))
		refused := func(what string, form url.Values, change ...func(*http.Request)) {
			t.Helper()
			resp := h.post(formPath, form, change...)
			if resp.StatusCode < 400 || h.chat.count() != 0 || h.chat.left != 0 {
				t.Fatalf("%s: status %d, posted %+v, left %d", what, resp.StatusCode, h.chat.notes, h.chat.left)
			}
		}
		text := filled(form, "text", "hello")
		refused("at once", text, cookie(mine))
		time.Sleep(2900 * time.Millisecond)
		refused("too early", text, cookie(mine))
		time.Sleep(time.Second)
		refused("untouched", form, cookie(mine))
		refused("blank", filled(form, "text", " \r\n "), cookie(mine))
		refused("every field filled", filled(text, "name", "x", trapField, "x"), cookie(mine))
		refused("without a token", filled(text, "page", ""), cookie(mine))
		refused("a made-up token", filled(text, "page", strings.Repeat("A", 75)), cookie(mine))
		refused("without a cookie", text)
		refused("another visitor's token", filled(foreign, "text", "hello"), cookie(mine))
		refused("another visitor's cookie", text, cookie(theirs))
		refused("from elsewhere", text, cookie(mine), with("Sec-Fetch-Site", "cross-site"), with("Origin", "https://evil.example"))
		refused("to another link", text, cookie(mine), func(r *http.Request) { r.URL.Path = "/c/BBBBBBBBBBBBBBBBBBBBBB" })
		refused("leaves without a token", url.Values{"leave": {"1"}}, cookie(mine))

		resp := h.post(formPath, filled(text, "name", "Bob"), cookie(mine))
		if resp.StatusCode != http.StatusSeeOther || resp.Header.Get("Location") != formPath+"?plain=1" || h.chat.count() != 1 {
			t.Fatalf("a person: status %d to %s, posted %+v", resp.StatusCode, resp.Header.Get("Location"), h.chat.notes)
		}
		if n := h.chat.notes[0]; n.Text != "hello" || n.Name != "Bob" || n.Token != goodToken || n.Visitor != mine.Value || !n.Peer.IsValid() {
			t.Errorf("posted %+v", n)
		}
		h.post(formPath, filled(text, "name", "Bob"), cookie(mine)) // his browser repeats it
		h.post(formPath, filled(text, "text", "hello\r\nagain"), cookie(mine))
		if n := h.chat.notes; n[0].CID != n[1].CID || n[0].CID == n[2].CID || n[2].Text != "hello\nagain" {
			t.Errorf("what is sent again is not known by its id, or what is new not told apart: %+v", n)
		}
		time.Sleep(formLife)
		if resp := h.post(formPath, text, cookie(mine)); resp.StatusCode != http.StatusForbidden || h.chat.count() != 3 {
			t.Errorf("a page of yesterday: status %d", resp.StatusCode)
		}
	})
}

func TestWhatWasTypedSurvivesARefusal(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := newHouseAt(t, realSite)
		mine, form := h.formOf(formPath)
		again := readAll(t, h.post(formPath, filled(form, "name", "Bob & Co", "text", "</textarea>hello"), cookie(mine)))
		for _, want := range []string{"Not sent yet", "press Send once more", "Bob &amp; Co", "&lt;/textarea&gt;hello</textarea>", `value="` + form.Get("page") + `"`} {
			if !strings.Contains(again, want) {
				t.Errorf("the page lacks %s", want)
			}
		}
		time.Sleep(formAge)
		h.chat.err = errors.New("the disk is full")
		if resp := h.post(formPath, filled(form, "text", "hello"), cookie(mine)); resp.StatusCode != http.StatusInternalServerError {
			t.Errorf("a failure of ours: status %d", resp.StatusCode)
		}
	})
}

func TestOnlyTheLogOfWhoWaitsLooksAgain(t *testing.T) {
	t.Parallel()
	h := newHouseAt(t, realSite)
	mine, form := h.formOf(formPath)
	page := h.ask("GET", formPath+"?plain=1", cookie(mine))
	body := readAll(t, page)
	if csp := page.Header.Get("Content-Security-Policy"); !strings.Contains(csp, "frame-src 'self'; ") || !strings.Contains(csp, "frame-ancestors 'none'") || page.Header.Get("Refresh") != "" {
		t.Errorf("the plain page: %v", page.Header)
	}
	if !strings.Contains(body, `src="`+formPath+`/log"`) || strings.Contains(body, "<script") || strings.Contains(body, "<noscript") {
		t.Error("the plain page lacks the frame with the log, or has scripts")
	}
	look := func(path string) (string, http.Header) {
		resp := h.ask("GET", path, cookie(mine))
		return readAll(t, resp), resp.Header
	}
	if body, header := look(formPath + "/log?wait=1"); header.Get("Refresh") != "" || !strings.Contains(body, "is called when you send something") {
		t.Errorf("nobody waits: %v", header)
	}
	h.chat.sight = chatd.Sight{Name: "Bob", State: call.Noticed, Here: true, Said: []chatd.Said{{Kind: "say", Text: "<b>It is.", At: time.Now()}, {Kind: "say", Mine: true, Text: "Is it?"}, {Kind: "join", At: time.Now()}}}
	if body, _ := look(formPath + "?plain=1"); !strings.Contains(body, `src="`+formPath+`/log?wait=1"`) || !strings.Contains(body, `value="Bob"`) {
		t.Error("whoever is there does not wait, or is asked for his name")
	}
	body, header := look(formPath + "/log?wait=1")
	if header.Get("Refresh") != logEvery || header.Get("X-Frame-Options") != "SAMEORIGIN" || !strings.Contains(header.Get("Content-Security-Policy"), "frame-ancestors 'self'") {
		t.Errorf("the log of who waits: %v", header)
	}
	for _, want := range []string{"does not answer just now", "&lt;b&gt;It is.", "Is it?", "Alice Example is here."} {
		if !strings.Contains(body, want) {
			t.Errorf("the log lacks %q", want)
		}
	}
	slow := regexp.MustCompile(`href="([^"]*slow[^"]*)"`).FindStringSubmatch(body)
	if slow == nil {
		t.Fatal("whoever needs more time to read the log cannot have it")
	}
	if body, header := look(html.UnescapeString(slow[1])); header.Get("Refresh") != logSlowly || !strings.Contains(body, "every 4 seconds") {
		t.Errorf("the log of who reads slowly: %v", header)
	}
	resp := h.post(formPath, filled(form, "leave", "1"), cookie(mine))
	if to := resp.Header.Get("Location"); h.chat.left != 1 || resp.StatusCode != http.StatusSeeOther || to != formPath+"?left=1&plain=1" {
		t.Errorf("leaving: %d to %s", resp.StatusCode, to)
	}
	for _, path := range []string{"/c/AAAAAAAAAAAAAAAAAAAAAB", "/c/AAAAAAAAAAAAAAAAAAAAAB/log"} {
		if resp := h.ask("GET", path); resp.StatusCode != http.StatusNotFound {
			t.Errorf("%s: status %d", path, resp.StatusCode)
		}
	}
}

// A message of which nobody knows whether it was taken keeps its id, so that sending it once more does not say it twice.
func TestWhatMayHaveBeenTakenKeepsItsID(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := newHouseAt(t, realSite)
		mine, form := h.formOf(formPath)
		time.Sleep(formAge)
		h.chat.err = context.DeadlineExceeded
		resp := h.post(formPath, filled(form, "text", "hello"), cookie(mine))
		if body := readAll(t, resp); resp.StatusCode != http.StatusTooManyRequests || !strings.Contains(body, `value="`+form.Get("page")+`"`) {
			t.Errorf("no answer in time: status %d, and the page is another", resp.StatusCode)
		}
		h.chat.err = nil
		h.post(formPath, filled(form, "text", "hello"), cookie(mine))
		if n := h.chat.notes; len(n) != 2 || n[0].CID != n[1].CID {
			t.Errorf("posted %+v", n)
		}
	})
}

// multipartOf is what a browser posts of a form with a file.
func multipartOf(t *testing.T, form url.Values, name, body string) (kind string, all *bytes.Buffer) {
	t.Helper()
	all = new(bytes.Buffer)
	w := multipart.NewWriter(all)
	for k, v := range form {
		if err := w.WriteField(k, v[0]); err != nil {
			t.Fatal(err)
		}
	}
	f, err := w.CreateFormFile("file", name)
	if err == nil {
		_, err = io.WriteString(f, body)
	}
	if err = errors.Join(err, w.Close()); err != nil {
		t.Fatal(err)
	}
	return w.FormDataContentType(), all
}

func TestAFileIsSentWithoutScripts(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := newHouseAt(t, realSite)
		h.chat.max = 100_000
		mine, form := h.formOf(formPath + "?plain=1")
		post := func(form url.Values, name, body string) *http.Response {
			kind, all := multipartOf(t, form, name, body)
			return h.ask("POST", formPath, cookie(mine), with("Content-Type", kind), with("Sec-Fetch-Site", "same-origin"), func(r *http.Request) { r.Body = io.NopCloser(all) })
		}
		if resp := post(filled(form, "text", "at once"), "roof.jpg", "x"); resp.StatusCode != http.StatusForbidden || h.chat.count() != 0 || len(h.chat.sent) != 0 {
			t.Fatalf("at once: status %d", resp.StatusCode)
		}
		time.Sleep(formAge)
		if resp := post(form, "roof.jpg", "x"); resp.StatusCode != http.StatusUnprocessableEntity || len(h.chat.sent) != 0 {
			t.Errorf("a file alone, of somebody who is not there: status %d", resp.StatusCode)
		}
		roof := strings.Repeat("roof", 20_000)
		text := filled(form, "text", "my roof")
		for range 2 { // his browser repeats it
			if resp := post(text, "roof.jpg", roof); resp.StatusCode != http.StatusSeeOther {
				t.Errorf("status %d", resp.StatusCode)
			}
		}
		if len(h.chat.notes) != 2 || h.chat.notes[0].Text != "my roof" || len(h.chat.sent) != 2 || h.chat.sent[0].Name != "roof.jpg" || h.chat.sent[0].CID != h.chat.sent[1].CID || h.chat.sent[0].CID == h.chat.notes[0].CID {
			t.Errorf("posted %+v, sent %+v", h.chat.notes, h.chat.sent)
		}
		if resp := post(filled(text, "text", "none chosen"), "", ""); resp.StatusCode != http.StatusSeeOther || len(h.chat.sent) != 2 {
			t.Errorf("without a file: status %d, sent %+v", resp.StatusCode, h.chat.sent)
		}
		h.chat.sighted(chatd.Sight{Here: true, Said: []chatd.Said{{Kind: "file", Text: "my roof.jpg", Mine: true, File: &chatd.File{ID: "roof", Type: "image/jpeg", Width: 30, Height: 20}},
			{Kind: "file", Text: `<b>"offer".pdf`, File: &chatd.File{ID: "offer", Type: "application/octet-stream"}}, {Kind: "file"}}})
		if resp := post(form, "roof.jpg", "x"); resp.StatusCode != http.StatusSeeOther || len(h.chat.sent) != 3 {
			t.Errorf("a file alone, of somebody who is there: status %d", resp.StatusCode)
		}
		resp := post(text, "large.bin", strings.Repeat("x", 200_000))
		if page := readAll(t, resp); resp.StatusCode != http.StatusUnprocessableEntity || !strings.Contains(page, "The file was not taken: larger than 98 kB") || strings.Contains(page, "my roof</textarea>") {
			t.Errorf("a large one: status %d, %s", resp.StatusCode, page)
		}
		log := readAll(t, h.ask("GET", formPath+"/log", cookie(mine)))
		for _, want := range []string{`<a href="/c/` + goodToken + `/files/roof"><img src="/c/` + goodToken + `/files/roof" alt="" width="30" height="20" loading="lazy">my roof.jpg</a>`,
			`<a href="/c/` + goodToken + `/files/offer">&lt;b&gt;&#34;offer&#34;.pdf</a>`, "(taken back)"} {
			if !strings.Contains(log, want) {
				t.Errorf("the log lacks %s", want)
			}
		}
	})
}

func TestAFormThatCannotBeReadIsItsSendersFault(t *testing.T) {
	t.Parallel()
	h := newHouseAt(t, realSite)
	me := cookie(h.signedIn(alice))
	kinds := map[string]func(*http.Request){
		"a%zz=b":      func(*http.Request) {},
		"--x\r\nhalf": func(r *http.Request) { r.Header.Set("Content-Type", "multipart/form-data; boundary=x") },
		"a=b":         func(r *http.Request) { r.Header.Set("Content-Type", "x/;;") },
	}
	for _, path := range []string{formPath, joinPath, "/desk/login", "/desk/find", "/desk/phrases"} {
		for body, kind := range kinds {
			if strings.Contains(body, "half") && path != formPath { // the others know no such forms
				continue
			}
			if resp := h.postBody(path, body, kind, me); resp.StatusCode != http.StatusBadRequest {
				t.Errorf("%s, %s: status %d", path, body, resp.StatusCode)
			}
		}
		if resp := h.postBody(path, strings.Repeat("a", 1<<20), me); resp.StatusCode != http.StatusRequestEntityTooLarge && resp.StatusCode != http.StatusBadRequest {
			t.Errorf("%s, far too much: status %d", path, resp.StatusCode)
		}
	}
	if h.postBody(formPath, strings.Repeat("a", 1<<20)).StatusCode != http.StatusRequestEntityTooLarge {
		t.Error("far too much is not called so")
	}
	if strings.Contains(h.log.String(), "ERROR") {
		t.Errorf("the log takes it for trouble of ours: %s", h.log)
	}
}
