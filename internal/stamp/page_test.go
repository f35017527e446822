package stamp

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/html"
)

// placeOf looks at a document in pieces of this size.
func placeOf(doc []byte, step int) int64 {
	var p page
	for b := doc; len(b) > 0; b = b[min(step, len(b)):] {
		p.write(b[:min(step, len(b))])
	}
	return p.place()
}

// tokens returns the tokens of a document as golang.org/x/net/html sees them, raw, and where its last end tags of body and html begin.
func tokens(t testing.TB, doc []byte) (raw []string, kinds []html.TokenType, body, end int64) {
	t.Helper()
	body, end = -1, -1
	z := html.NewTokenizer(bytes.NewReader(doc))
	for off := int64(0); ; {
		kind := z.Next()
		if kind == html.ErrorToken {
			if !errors.Is(z.Err(), io.EOF) {
				t.Fatal(z.Err())
			}
			return raw, kinds, body, end
		}
		text := string(z.Raw()) // before TagName, which writes into the same bytes
		raw, kinds = append(raw, text), append(kinds, kind)
		if kind == html.EndTagToken {
			switch name, _ := z.TagName(); string(name) {
			case "body":
				body = off
			case "html":
				end = off
			}
		}
		off += int64(len(text))
	}
}

// checkPage holds our reading of a document against the library's: the same end of the body, and what is put there is seen as tags.
func checkPage(t testing.TB, doc []byte) {
	t.Helper()
	at := placeOf(doc, len(doc)+1)
	for _, step := range []int{1, 7} {
		if again := placeOf(doc, step); again != at {
			t.Fatalf("%q: place %d, in pieces of %d: %d", doc, at, step, again)
		}
	}
	_, _, body, end := tokens(t, doc)
	switch {
	case at < 0 || at > int64(len(doc)):
		t.Fatalf("%q: place %d", doc, at)
	case body >= 0 && at != body, body < 0 && end >= 0 && at != end:
		t.Fatalf("%q: place %d, the library sees </body> at %d and </html> at %d", doc, at, body, end)
	}
	const mark = "\n<i chat>x</i>\n"
	stamped := string(doc[:at]) + mark + string(doc[at:])
	raw, kinds, _, _ := tokens(t, []byte(stamped))
	before := ""
	for i, tok := range raw {
		if len(before) > int(at)+1 {
			break
		}
		if kinds[i] == html.StartTagToken && tok == "<i chat>" && len(before) == int(at)+1 {
			return
		}
		before += tok
	}
	t.Fatalf("%q: a tag put at %d is none", doc, at)
}

var pages = []string{
	"", "Hello", "<p>Hello</p>", "<html><body>x</body></html>", "<HTML><BODY>x</BODY ></HTML\n>", "x</html>", "x</body", "x</body x=\"</body>\">", "x<",
	"x</", "x<!", "x<!-", "x<!--", "x<!-->y", "x<!--->y", "x<!-- </body>", "x<!-- </body> --!>y", "x<!-- --!- </body>", "x<!-- a--b </body> -->", "x<?php </body> ?>",
	"x<!doctype </body>", "x<![CDATA[ </body> ]]>y", "x</ </body>", "x</>y</body>", "<a title=\"</body>\">x", "<a title='</body>'>x</body>", "<a b=</body>x", "<a =</body>",
	"<a / b = 'c'/>x", "<a b='", "<style>x</body>", "<style></style ></body>", "<style></styles></body>", "<title></body></title></body><title>", "<textarea></body>",
	"<script></body>", "<script><!-- <script> </script> </body>", "<script><!-- <script> </script> --></script></body>", "<script><!--</script></body>",
	"<script><!-- <x </script></body>", "<script><!-></script></body>", "<script>--></script></body>", "<script><!--<script ></script x</body>",
	"<script><!--<scripts></script></body>", "<plaintext></body>", "<noscript></body>", "<xmp></body></xmp>x", "<iframe></body>", "</body></body>x", "</body><body></html>",
	"<!--[if mso]></body><![endif]--><![if !mso]>x<![endif]></body>", "<bodybodybody></bodybodybody>", "<b\x00>x</b\x00ody>", "<<b></<b>", "</bodyx></body>", "<style/></body>",
	"<style x=\"</style>\"></body></style>", "<script></SCRIPT\n</body>", "<style></sty", "<style></style", "<style></style ",
	"<!doctype html><html><head><title></body></title><style>/* </body> */</style></head><body><p>real</p><!-- </body> --><script>var s=\"</body></html>\";</script><textarea></body></textarea></BODY ></HTML>\n<!-- after -->",
}

func TestTheEndOfAPageIsWhereTheLibrarySeesIt(t *testing.T) {
	t.Parallel()
	for _, p := range pages {
		checkPage(t, []byte(p))
		checkPage(t, []byte("<html><head></head><body>"+p+"</body></html>"))
	}
}

// Documents put together at random from what matters to a tokenizer.
func TestTheEndOfARandomPage(t *testing.T) {
	t.Parallel()
	words := []string{"<", ">", "/", "!", "-", "--", "=", "\"", "'", " ", "\n", "x", "body", "BODY", "html", "script", "style", "title", "<!--", "-->", "</", "</body>", "<script>",
		"</script>", "<style>", "</style>", "<a ", "?", "[", "\x00", "plaintexts", "</html>", "--!>"}
	r := newRand(3)
	for range 5_000 {
		var doc []byte
		for range r.IntN(14) {
			doc = append(doc, words[r.IntN(len(words))]...)
		}
		checkPage(t, doc)
	}
}

func FuzzPage(f *testing.F) {
	for _, p := range pages {
		f.Add([]byte(p))
	}
	f.Fuzz(func(t *testing.T, doc []byte) { checkPage(t, doc) })
}

func TestAPageIsReadInLinearTime(t *testing.T) {
	t.Parallel()
	for _, s := range []string{"<", "</", "<a ", "<!--", "<script><!--<script>", "<style></styl", "a=\"", "<a b=c ", "--", "</body>", "<div>", "<b>", "<div></ul></b>", "&nbsp;&", "<table class=chmail-link><a href=x></table>", "<p><td>"} {
		began := time.Now()
		placeOf([]byte(strings.Repeat(s, 1<<20/len(s))), 4096)
		// Quadratic would be many minutes; the limit leaves room for a busy machine and the race detector.
		if took := time.Since(began); took > 20*time.Second {
			t.Errorf("%q without end: %v", s, took)
		}
	}
}

func BenchmarkPage(b *testing.B) {
	const head = "<!DOCTYPE html><html><head><style>p{margin:0}</style></head><body>"
	line := "<p style=\"margin:0 0 1em 0;color:#333\">An ordinary line of an <b>ordinary</b> mail.<br></p>\r\n"
	words, original := strings.Repeat(line, 20), strings.Repeat(line, 64)
	mail := head + words + original + "</body></html>"
	w := aButton()
	button := w.button()
	for name, doc := range map[string]string{
		"mail": mail, "gmail": head + words + "<div class=\"gmail_quote\">" + original + "</div></body></html>", "outlook": head + words + "<div id=\"divRplyFwdMsg\">" + original + "</div></body></html>",
	} {
		b.Run(name, func(b *testing.B) {
			doc := []byte(doc)
			b.SetBytes(int64(len(doc)))
			b.ReportAllocs()
			for b.Loop() {
				var p page
				p.write(doc[:4096])
				p.write(doc[4096:])
				if len(p.edits(button, w.ownButton)) != 1 {
					b.Fatal("more than one place")
				}
			}
		})
	}
	b.Run("library", func(b *testing.B) {
		b.SetBytes(int64(len(mail)))
		b.ReportAllocs()
		for b.Loop() {
			z := html.NewTokenizer(strings.NewReader(mail))
			for z.Next() != html.ErrorToken {
				_ = z.Raw()
			}
		}
	})
}
