package pages

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"chmail/chatd"
	"chmail/internal/browsertest"
)

// filed is the event of a file.
func filed(n int, from, name string, file frame) frame {
	f := said(n, from, name)
	f["kind"], f["file"] = "file", file
	return f
}

// fileToSend is a file on the disk of whoever sits at the browser.
func fileToSend(t *testing.T, name, body string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(body), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// later is what a promise of a text comes to.
func later(b *browsertest.Tab, promise string) string {
	browsertest.JS[bool](b, `(() => { window.later = null; (`+promise+`).then((text) => { window.later = text; }, (e) => { window.later = String(e); }); return true; })()`)
	b.Until(`window.later !== null`)
	return browsertest.JS[string](b, `window.later`)
}

const (
	chooser   = `.attach input:not([capture])`
	choosable = `document.querySelector('.attach input:not([capture])')?.disabled === false`
)

func TestAReaderSendsFiles(t *testing.T) {
	t.Parallel()
	h, b := newHouse(t), chromium.Tab(t)
	b.Run(chromedp.Navigate(h.url+"/c/"+goodToken), chromedp.SendKeys("#text", "Here is the plan\r"))
	p := next(t, h.chat.readers)
	joined(t, p, 0)
	say := p.expect(t, "say")
	p.send(t, frame{"t": "ack", "cid": say["cid"], "n": 1})
	if loaded := browsertest.JS[int](b, `performance.getEntriesByType('resource').filter((r) => r.name.endsWith('/files.js')).length`); loaded != 0 {
		t.Error("what sends files is loaded before there is one")
	}
	told := make(chan chatd.Sent, 8)
	h.chat.mu.Lock()
	h.chat.told = func(s chatd.Sent, side string) {
		if side == "visitor" {
			told <- s
		}
	}
	h.chat.mu.Unlock()
	b.Until(choosable)
	b.Run(chromedp.SetUploadFiles(chooser, []string{fileToSend(t, "plan, größer.pdf", strings.Repeat("plan ", 50_000))}))
	b.Until(`document.querySelectorAll('.mine').length === 2 && document.querySelector('.mine:last-child .mark').textContent === 'sent'`)
	s := <-told
	h.chat.fakeFiles.mu.Lock()
	u := h.chat.sent[0]
	h.chat.fakeFiles.mu.Unlock()
	if u.Name != "plan, größer.pdf" || u.Size != 250_000 || !strings.HasPrefix(u.CID, "file.") {
		t.Errorf("it was sent as %+v", u)
	}
	event := filed(2, "visitor", u.Name, frame{"id": s.File.ID, "type": s.File.Type, "size": s.File.Size})
	event["cid"] = u.CID
	p.send(t, event)
	b.Until(`document.querySelectorAll('.mine').length === 2 && document.querySelector('.mine:last-child .said a')?.textContent === 'plan, größer.pdf' && document.querySelector('.mine:last-child .size').textContent === '244 kB'`)
	if got := later(b, `fetch(document.querySelector('.mine:last-child .said a').href).then(async (r) => [(await r.text()).length, r.headers.get('Content-Disposition')].join(' '))`); got != `250000 attachment; filename="plan, gr__er.pdf"; filename*=UTF-8''plan%2C%20gr%C3%B6%C3%9Fer.pdf` {
		t.Errorf("the link gives %s", got)
	}
	if n := browsertest.JS[int](b, `document.querySelectorAll('.mine:last-child .changes button').length`); n != 1 {
		t.Errorf("with one's own file %d things can be done, want only to take it back", n)
	}
	b.Run(chromedp.Click(".mine:last-child .changes button"), chromedp.Click(".mine:last-child .changes button"))
	if f := p.expect(t, "delete"); f["n"] != 2.0 {
		t.Errorf("taken back: %v", f)
	}
}

// However the line behaves, a file is sent once, under one id.
func TestAFileIsSentAgainUntilItIsSafe(t *testing.T) {
	t.Parallel()
	h, b := newHouse(t), chromium.Tab(t)
	h.chat.fail = chatd.ErrNoFile // something of ours that is broken
	b.Run(chromedp.Navigate(h.url+"/c/"+goodToken), chromedp.SendKeys("#text", "x\r"))
	p := next(t, h.chat.readers)
	joined(t, p, 0)
	b.Until(choosable)
	b.Run(chromedp.SetUploadFiles(chooser, []string{fileToSend(t, "a.txt", "a"), fileToSend(t, "b.txt", "b")}))
	b.Until(`document.querySelector('[data-state=waiting] .size') !== null`)
	h.chat.fakeFiles.mu.Lock()
	h.chat.fail = nil
	h.chat.fakeFiles.mu.Unlock()
	b.Until(`[...document.querySelectorAll('.mine')].filter((m) => m.querySelector('.size') && m.dataset.state === 'sent').length === 2`)
	h.chat.fakeFiles.mu.Lock()
	defer h.chat.fakeFiles.mu.Unlock()
	if len(h.chat.sent) != 2 || h.chat.sent[0].Name != "a.txt" || h.chat.sent[1].Name != "b.txt" || h.chat.sent[0].CID == h.chat.sent[1].CID {
		t.Errorf("sent: %+v", h.chat.sent)
	}
}

func TestFilesAreDroppedPastedAndRefused(t *testing.T) {
	t.Parallel()
	h, b := newHouse(t), chromium.Tab(t)
	h.chat.max = 2000
	b.Run(chromedp.Navigate(h.url+"/c/"+goodToken), chromedp.SendKeys("#text", "x\r"))
	p := next(t, h.chat.readers)
	joined(t, p, 0)
	sent := func(state string, n int) string {
		return `[...document.querySelectorAll('.mine')].filter((m) => m.querySelector('.size') && m.dataset.state === '` + state + `').length === ` + string(rune('0'+n))
	}
	b.Until(choosable)
	drop := func(size string) {
		browsertest.JS[bool](b, `(() => {
			const data = new DataTransfer();
			data.items.add(new File(['x'.repeat(`+size+`)], 'dropped.txt'));
			const log = document.getElementById('log');
			for (const kind of ['dragenter', 'dragover']) {
				const e = new DragEvent(kind, { bubbles: true, cancelable: true, dataTransfer: data });
				log.dispatchEvent(e);
				if (kind === 'dragover' && !e.defaultPrevented) throw new Error('the page would be left');
			}
			if (!document.querySelector('.dropping')) throw new Error('nothing shows where to');
			log.dispatchEvent(new DragEvent('drop', { bubbles: true, cancelable: true, dataTransfer: data }));
			if (document.querySelector('.dropping')) throw new Error('it goes on showing');
			return true;
		})()`)
	}
	drop("100")
	b.Until(sent("sent", 1))
	browsertest.JS[bool](b, `(() => {
		const data = new DataTransfer();
		data.items.add(new File(['x'], 'pasted.png', { type: 'image/png' }));
		document.getElementById('text').dispatchEvent(new ClipboardEvent('paste', { bubbles: true, cancelable: true, clipboardData: data }));
		data.setData('text/plain', 'a table');
		document.getElementById('text').dispatchEvent(new ClipboardEvent('paste', { bubbles: true, cancelable: true, clipboardData: data }));
		return true;
	})()`)
	b.Until(sent("sent", 2))
	drop("2001")
	b.Until(sent("refused", 1) + ` && document.querySelector('.mine[data-state=refused] .mark').textContent.includes('larger than 2 kB')`)
	h.chat.hangUp()
	b.Until(`document.getElementById('reader').dataset.line === 'down'`)
	if state := browsertest.JS[int](b, `document.querySelectorAll('.mine[data-state=refused]').length * 10 + [...document.querySelectorAll('.mine')].filter((m) => m.querySelector('.size') && m.dataset.state === 'sent').length`); state != 12 {
		t.Errorf("without a line one is refused and two are sent: %d", state)
	}
	if left := browsertest.JS[bool](b, `!document.querySelector('.letter').dispatchEvent(new DragEvent('dragover', { bubbles: true, cancelable: true, dataTransfer: (() => { const d = new DataTransfer(); d.items.add(new File(['x'], 'x')); return d; })() }))`); !left {
		t.Error("a file that is dropped beside the log takes the page's place")
	}
	b.Run(chromedp.Click(".mine[data-state=refused] button"))
	b.Until(sent("refused", 0))
	h.chat.fakeFiles.mu.Lock()
	defer h.chat.fakeFiles.mu.Unlock()
	if len(h.chat.sent) != 2 || h.chat.sent[0].Name != "dropped.txt" || h.chat.sent[1].Name != "pasted.png" {
		t.Errorf("sent: %+v", h.chat.sent)
	}
}

// Names and types of files are strangers' texts (hazards 4, "XSS by file / name").
func TestNoFileDoesAnythingInThePage(t *testing.T) {
	t.Parallel()
	h, b := newHouse(t), chromium.Tab(t)
	h.chat.keep(chatd.File{ID: "page", Type: "application/octet-stream", Size: 60}, "page.html", []byte(`<script>document.title = 'owned'; top.owned = true</script>`))
	h.chat.keep(chatd.File{ID: "drawing", Type: "application/octet-stream", Size: 60}, "x.svg", []byte(`<svg xmlns="http://www.w3.org/2000/svg" onload="top.owned=1"/>`))
	b.Run(chromedp.Navigate(h.url+"/c/"+goodToken), chromedp.SendKeys("#text", "x\r"))
	p := next(t, h.chat.readers)
	joined(t, p, 0)
	names := []string{`"><img src=x onerror="window.owned=1">.png`, `</a><script>window.owned=1</script>`, `x;}body{display:none}.css`, `javascript:window.owned=1//`, "\u202egnp.exe"}
	for i, name := range names {
		p.send(t, filed(i+1, "owner", name, frame{"id": "page", "type": "application/octet-stream", "size": 60}))
	}
	p.send(t, filed(6, "owner", "x.svg", frame{"id": "drawing", "type": "image/svg+xml", "size": 60, "width": 10, "height": 10}),
		filed(7, "owner", "y.html", frame{"id": "../../../desk/logout?", "type": "text/html", "size": 60, "width": 1, "height": 1}),
		filed(8, "owner", "gone.png", nil), filed(9, "owner", `" onload="window.owned=1`, frame{"id": "page", "type": "image/png", "size": 60, "width": 10, "height": 10}))
	b.Until(`document.querySelectorAll('.theirs').length === 9`)
	if got := browsertest.JS[string](b, `[window.owned, document.querySelectorAll('.log script, .log svg, .log iframe, .log object').length, document.querySelectorAll('.log img').length,
		document.querySelector('.log img').alt, document.querySelectorAll('.theirs .said a').length, getComputedStyle(document.body).display !== 'none',
		[...document.querySelectorAll('.theirs .said a')].every((a) => a.href.startsWith(location.href + '/files/') && new URL(a.href).pathname.split('/').length === 5)].join(' | ')`); got != ` | 0 | 1 | " onload="window.owned=1 | 8 | true | true` {
		t.Errorf("the page shows %s", got)
	}
	if got := browsertest.JS[string](b, `document.querySelector('.theirs .filename').textContent`); got != names[0] {
		t.Errorf("a name is shown as %q", got)
	}
	// Whoever opens the address itself saves a file: nothing of it runs.
	if got := later(b, `fetch(location.href + '/files/page').then((r) => ['Content-Type', 'Content-Disposition', 'Content-Security-Policy', 'X-Content-Type-Options', 'Cross-Origin-Resource-Policy', 'Cache-Control'].map((h) => r.headers.get(h)).join(' | '))`); got !=
		`application/octet-stream | attachment; filename="page.html" | sandbox; default-src 'none'; frame-ancestors 'none' | nosniff | same-origin | no-store` {
		t.Errorf("a page is served with %s", got)
	}
}

func TestTheDeskSendsFiles(t *testing.T) {
	t.Parallel()
	h, b := newHouse(t), chromium.Tab(t)
	h.chat.talks = []chatd.Talk{{ID: "talk", Who: "Bob", About: "Offer"}}
	p := h.sitDown(b, "/desk/c/talk")
	p.expect(t, "open")
	b.Until(choosable)
	b.Run(chromedp.SetUploadFiles(chooser, []string{fileToSend(t, "offer.pdf", "the offer")}))
	b.Until(`document.querySelector('.mine .mark')?.textContent === 'sent'`)
	own := filed(1, "owner", "offer.pdf", frame{"id": "file1", "type": "application/octet-stream", "size": 9})
	theirs := filed(2, "visitor", "roof.jpg", frame{"id": "roof", "type": "image/jpeg", "size": 9, "width": 4000, "height": 3000})
	h.chat.fakeFiles.mu.Lock()
	own["cid"] = h.chat.sent[0].CID
	h.chat.fakeFiles.mu.Unlock()
	own["conv"], theirs["conv"] = "talk", "talk"
	p.send(t, own, theirs)
	b.Until(`document.querySelectorAll('.mine').length === 1 && document.querySelector('.mine .said a').href.endsWith('/desk/c/talk/files/file1') && document.querySelector('.theirs img').alt === 'roof.jpg' && document.querySelector('.item-text').textContent === 'roof.jpg'`)
	if wide := browsertest.JS[bool](b, `document.querySelector('.theirs img').getBoundingClientRect().width <= document.querySelector('.log').clientWidth`); !wide {
		t.Error("a large picture is wider than the log")
	}
}

func TestAPictureIsOpenedLargerAndSavedFromThere(t *testing.T) {
	t.Parallel()
	h, b := newHouse(t), chromium.Tab(t)
	onPhone(b, "dark")
	h.chat.keepPicture(t, "roof")
	b.Run(chromedp.Navigate(h.url + "/c/" + goodToken))
	b.MoveMouse()
	p := next(t, h.chat.readers)
	joined(t, p, 1)
	p.send(t, filed(1, "owner", "roof.jpg", frame{"id": "roof", "type": "image/jpeg", "size": 3 << 20, "width": 1600, "height": 1200}))
	b.Until(`document.querySelector('.said img')?.naturalWidth > 0`)
	b.Run(chromedp.Focus(".said a"))
	b.Until(`document.activeElement.matches('.said a')`)
	b.Run(chromedp.KeyEvent(kb.Enter))
	b.Until(`document.querySelector('dialog.larger')?.open && document.querySelector('.larger img').naturalWidth > 0 && document.activeElement.matches('.larger')`)
	audit(t, b, "reader, with a picture opened")
	if save := browsertest.JS[string](b, `document.querySelector('.larger a').download + ' ' + document.querySelector('.larger a').pathname`); save != "roof.jpg /c/"+goodToken+"/files/roof" {
		t.Errorf("it is saved as %s", save)
	}
	b.Run(chromedp.KeyEvent(kb.Escape))
	b.Until(`document.querySelector('dialog.larger') === null && document.activeElement.matches('.said a')`)
}
