package stamp

import (
	"encoding/base64"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

	"chmail/internal/browsertest"
)

var chromium browsertest.Browser

func TestMain(m *testing.M) {
	status := m.Run()
	chromium.Close()
	os.Exit(status)
}

// Ten kinds of mail with the button in them, drawn by a browser: the button is where a person would put it, as large as it should be, and says what it should.
// With CHMAIL_PICTURES the pictures are written to that folder (docs/images shows them).
func TestTheButtonIsDrawnWhereItBelongs(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/pictures/*.eml")
	if err != nil || len(files) != 10 {
		t.Fatalf("%d mails, %v", len(files), err)
	}
	b := chromium.Tab(t)
	for _, path := range files {
		in, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		name := strings.TrimSuffix(filepath.Base(path), ".eml")
		card := aCard()
		if name == "10-right-to-left" {
			card.Name = "אליס לידל"
		}
		s := put(t, in, card)
		if s.Verdict.String() != "body" {
			t.Errorf("%s: %s", name, s.Verdict)
		}
		page := "data:text/html;charset=utf-8;base64," + base64.StdEncoding.EncodeToString([]byte(s.decoded()))
		b.Run(chromedp.EmulateViewport(680, 420), chromedp.Navigate(page))
		type drawn struct {
			Width, Height, Text float64
			Label, Host         string
			Above               bool // nothing quoted, and no signature, stands above it
			Inside              bool // it is inside what is quoted
		}
		got := browsertest.JS[drawn](b, `(() => {
			const button = document.querySelector('table.chmail-link'), a = button.querySelector('a'), r = button.getBoundingClientRect();
			const borders = [...document.querySelectorAll('.gmail_quote, .gmail_signature, blockquote, .moz-signature, .yahoo_quoted, .k9mail-signature, div[style*="border-top:solid #E1E1E1"]')];
			return {width: r.width, height: r.height, text: parseFloat(getComputedStyle(a).fontSize), label: a.textContent.trim(), host: button.rows[1].textContent.trim(),
				above: borders.every((e) => e.getBoundingClientRect().top >= r.bottom - 1), inside: borders.some((e) => e.contains(button))};
		})()`)
		if got.Width < 100 || got.Height < 50 || got.Text < 14 || !strings.HasPrefix(got.Label, "Chat with ") || got.Host != "opens chat.example.com" || !got.Above || got.Inside {
			t.Errorf("%s: %+v", name, got)
		}
		if dir := os.Getenv("CHMAIL_PICTURES"); dir != "" {
			b.Shot(filepath.Join(dir, "stamp-"+name+".png"))
		}
	}
}
