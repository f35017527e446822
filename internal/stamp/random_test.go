package stamp

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"mime/quotedprintable"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// randomText makes a text or a page of lines that are awkward here and there.
func randomText(r *rand.Rand, html bool) []byte {
	words := []string{"word ", "Grüße ", "=", "=3D", "-- \r\n", "\r\n", "\r\n\r\n", "> ", "\n", " ", "x", strings.Repeat("long ", 40), "--b\r\n", "ends ", "\t"}
	if html {
		words = append(words, "<p>", "</p>", "<!--", "-->", "</body>", "<a href='x'>", "<style>", "</style>", "</html>", "<", "&amp;")
	}
	var b []byte
	for range r.IntN(25) {
		b = append(b, words[r.IntN(len(words))]...)
	}
	return b
}

// randomLeaf writes a part with its header.
func randomLeaf(t testing.TB, r *rand.Rand) string {
	html := r.IntN(2) == 0
	kind := "text/plain"
	if html {
		kind = "text/html"
	}
	text := randomText(r, html)
	var head, body string
	switch r.IntN(4) {
	case 0:
		head, body = "7bit", strings.Map(func(c rune) rune {
			if c >= 0x80 {
				return '?'
			}
			return c
		}, string(text))
	case 1:
		head, body = "8bit", string(text)
	case 2:
		head, body = "quoted-printable", string(toQuoted(t, text))
		if r.IntN(3) == 0 {
			body = string(text) // somebody's idea of it
		}
	default:
		head, body = "base64", string(wrapped(text, 1+r.IntN(80)))
		if r.IntN(2) == 0 {
			body = strings.TrimSuffix(body, "\r\n")
		}
		if r.IntN(8) == 0 {
			body += "junk"
		}
	}
	if r.IntN(4) == 0 && len(body) > 0 {
		body = body[:r.IntN(len(body))]
	}
	charset := []string{"utf-8", "us-ascii", "\"UTF-8\"", "iso-8859-1"}[r.IntN(4)]
	flowed := []string{"", "; format=flowed"}[r.IntN(2)]
	return "Content-Type: " + kind + "; charset=" + charset + flowed + "\r\nContent-Transfer-Encoding: " + head + "\r\n\r\n" + body
}

func randomMail(t testing.TB, r *rand.Rand) []byte {
	var b strings.Builder
	for range r.IntN(4) {
		b.WriteString([]string{"Subject: x\r\n", "CH-Login: y\r\n", "ch-x: a\r\n b\r\n", "X: y\r\n", "Auto-Submitted: no\r\n"}[r.IntN(5)])
	}
	parts := r.IntN(4)
	if parts == 0 {
		return []byte(b.String() + randomLeaf(t, r))
	}
	fmt.Fprintf(&b, "Content-Type: multipart/%s; boundary=bound\r\n\r\n", []string{"alternative", "mixed", "related"}[r.IntN(3)])
	for range parts {
		b.WriteString("--bound\r\n" + randomLeaf(t, r) + "\r\n")
	}
	return []byte(b.String() + "--bound--\r\n")
}

// Whatever the mail, what must be true of every stamp is true; see put.
func TestRandomMails(t *testing.T) {
	t.Parallel()
	r := newRand(7)
	card := aCard()
	verdicts := map[Kind]int{}
	for range 4_000 {
		card.Name = []string{"", "Alice Liddell", "Zoë"}[r.IntN(3)]
		verdicts[put(t, randomMail(t, r), card).Verdict.Kind]++
	}
	if verdicts[Body] < 900 || verdicts[HeaderOnly] < 150 {
		t.Errorf("%v: the test tests nothing", verdicts)
	}
}

func FuzzPlan(f *testing.F) {
	files, err := filepath.Glob("testdata/*.eml")
	if err != nil {
		f.Fatal(err)
	}
	for _, path := range files {
		b, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b, "Alice")
	}
	addRealMail(f)
	r := newRand(9)
	for range 20 {
		f.Add(randomMail(f, r), "Zoë")
	}
	f.Fuzz(func(t *testing.T, msg []byte, name string) {
		card := aCard()
		card.Name = name
		put(t, msg, card)
	})
}

// Decoding in pieces of any size gives what the plainest decoder gives, and where the standard library reads it, the same as that.
func checkQuoted(t testing.TB, raw []byte, step int) {
	t.Helper()
	var q quoted
	var got []byte
	for b := raw; len(b) > 0; b = b[min(step, len(b)):] {
		got = append(got, q.decode(nil, b[:min(step, len(b))])...)
	}
	if q.n == 2 && q.held[1] != '\r' {
		got = append(got, q.held[:2]...) // an escape cut off at the very end stands for itself
	}
	if want := plainQuoted(raw); string(got) != want {
		t.Fatalf("%q by %d: %q, want %q", raw, step, got, want)
	}
	std, err := io.ReadAll(quotedprintable.NewReader(bytes.NewReader(raw)))
	if err == nil && bytes.IndexByte(raw, '\r') < 0 && !bytes.Contains(raw, []byte(" \n")) && !bytes.Contains(raw, []byte("\t\n")) && !bytes.HasSuffix(raw, []byte(" ")) &&
		!bytes.HasSuffix(raw, []byte("\t")) && !bytes.Equal(std, got) && !bytes.Contains(raw, []byte("= ")) && !bytes.Contains(raw, []byte("=\t")) {
		t.Fatalf("%q: %q, the standard library reads %q", raw, got, std)
	}
}

// Only base64 that every reader decodes alike is changed, however it comes in pieces.
func TestBase64ThatReadersDecodeDifferentlyIsLeftAlone(t *testing.T) {
	t.Parallel()
	for raw, want := range map[string]string{
		"eHh4\r\neA==\r\n": "", "": "", "\r\n \r\n": "", "eHh4eA== \r\n\t": "", "eA==eHh4": "malformed base64", "eA==\r\neHh4": "malformed base64", "eA==\r\n\r\n=": "malformed base64",
		"eHh": "malformed base64", "eHh4e": "malformed base64", "eA=": "malformed base64", "eH h4": "malformed base64", "eH\rh4": "malformed base64", " eHh4": "malformed base64",
		"eHh4\r\n-- \r\nlist": "malformed base64", "e-h_": "malformed base64", "====": "malformed base64",
	} {
		for step := 1; step <= len(raw)+1; step++ {
			var d base64Text
			for b := []byte(raw); len(b) > 0; b = b[min(step, len(b)):] {
				d.decode(make([]byte, 0, 64), b[:min(step, len(b))])
			}
			if got := d.finish(); got != want {
				t.Errorf("%q by %d: %q, want %q", raw, step, got, want)
			}
		}
	}
}

func FuzzQuoted(f *testing.F) {
	for _, s := range []string{"a=3Db", "a=\r\nb", "a= \t\nb", "a=", "a=4", "=\r", "==3D", "=4=4", "=zz", "=  x", "a=0D=0A"} {
		f.Add([]byte(s), 1)
	}
	f.Fuzz(func(t *testing.T, raw []byte, step int) { checkQuoted(t, raw, 1+max(0, step%50)) })
}

func TestOurQuotedPrintableIsReadByTheLibrary(t *testing.T) {
	t.Parallel()
	for _, s := range []string{"", "x", "Grüße\n", "a = b\n", "ends in a blank \n \n\t\n", strings.Repeat("=", 100), strings.Repeat("x", 76) + "\n", strings.Repeat("x", 77) + "\n", strings.Repeat("x", 75) + "=\n",
		strings.Repeat("ü", 60), "\x00\x7f"} {
		enc := appendQuoted(nil, []byte(s), "\r\n")
		got, err := io.ReadAll(quotedprintable.NewReader(bytes.NewReader(enc)))
		if err != nil || strings.ReplaceAll(string(got), "\r\n", "\n") != s {
			t.Errorf("%q: %q, %v (%q)", s, got, err, enc)
		}
		for line := range bytes.SplitSeq(enc, []byte("\r\n")) {
			if len(line) > 76 {
				t.Errorf("a line of %d octets: %q", len(line), line)
			}
		}
	}
}
