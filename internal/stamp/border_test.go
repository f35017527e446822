package stamp

import (
	"bytes"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"chmail/internal/message"

	"golang.org/x/net/html"
)

// editsOf looks at a document in pieces of this size.
func editsOf(doc []byte, step int, w *words) []edit {
	var p page
	for b := doc; len(b) > 0; b = b[min(step, len(b)):] {
		p.write(b[:min(step, len(b))])
	}
	return p.edits(w.button(), w.ownButton)
}

// changed is the document with the button in it.
func changed(t testing.TB, doc []byte, edits []edit, eol string) []byte {
	t.Helper()
	var out []byte
	at := int64(0)
	for _, e := range edits {
		if e.at < at || e.del < 0 || e.at+e.del > int64(len(doc)) {
			t.Fatalf("%q: edits %+v", doc, edits)
		}
		out = appendLines(append(out, doc[at:e.at]...), e.ins, eol)
		at = e.at + e.del
	}
	return append(out, doc[at:]...)
}

func aButton() *words { return &words{name: "Alice Liddell", link: link} }

const olderLink = "https://chat.example.com/c/ZyXwVuTsRqPoNmLkJiHgFe"

// anOlderButton was put in for another mail of the same sender.
func anOlderButton() *words { return &words{name: "Alice Liddell", link: olderLink} }

// aButtonOfBob is another person's on the same server.
func aButtonOfBob() *words { return &words{name: "Bob", link: olderLink} }

// marked reads a page of the test data: what came in, and what it should become. In it stand [[button]] where the button belongs, [[older]] for an older
// one that gives it its place, [[gone]] for one that is cut out, [[kept]] for one that stays and [[bob]] for another person's.
func marked(text string) (in, want string) {
	older, now, bob := string(anOlderButton().button()), string(aButton().button()), string(aButtonOfBob().button())
	in = strings.NewReplacer("[[button]]", "", "[[older]]", older, "[[gone]]", older, "[[kept]]", older, "[[bob]]", bob).Replace(text)
	want = strings.NewReplacer("[[button]]", now, "[[older]]", now, "[[gone]]", "\n", "[[kept]]", older, "[[bob]]", bob).Replace(text)
	return in, want
}

func markedPages(t testing.TB) map[string]string {
	t.Helper()
	files, err := filepath.Glob("testdata/html/*.html")
	if err != nil || len(files) < 60 {
		t.Fatalf("%d pages, %v", len(files), err)
	}
	pages := make(map[string]string)
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		pages[strings.TrimSuffix(filepath.Base(f), ".html")] = string(b)
	}
	return pages
}

// One page for each mail program and each case: the button stands where a person would put it.
func TestTheButtonStandsBelowTheAuthorsWords(t *testing.T) {
	t.Parallel()
	for name, text := range markedPages(t) {
		for _, eol := range []string{"\n", "\r\n"} {
			in, want := marked(text)
			in, want = strings.ReplaceAll(in, "\n", eol), strings.ReplaceAll(want, "\n", eol)
			if got := string(changed(t, []byte(in), editsOf([]byte(in), 4096, aButton()), eol)); got != want {
				button := strings.ReplaceAll(string(aButton().button()), "\n", eol)
				t.Errorf("%s: got %s", name, strings.ReplaceAll(got, button, "[[button]]"))
			}
		}
	}
}

// splitsAgree: how a page is cut into pieces makes no difference.
func splitsAgree(t testing.TB, doc []byte) []edit {
	t.Helper()
	w := aButton()
	whole := editsOf(doc, len(doc)+1, w)
	for _, step := range []int{1, 2, 7} {
		if again := editsOf(doc, step, w); !reflect.DeepEqual(again, whole) {
			t.Fatalf("%q: edits %+v, in pieces of %d: %+v", doc, brief(whole), step, brief(again))
		}
	}
	return whole
}

func brief(edits []edit) (b [][3]int64) {
	for _, e := range edits {
		b = append(b, [3]int64{e.at, e.del, int64(len(e.ins))})
	}
	return b
}

// twiceIsOnce: stamped once more with the same link, a page stays as it is.
func twiceIsOnce(t testing.TB, doc []byte, edits []edit) {
	t.Helper()
	eol := "\n"
	if bytes.Contains(doc, []byte("\r\n")) {
		eol = "\r\n"
	}
	once := changed(t, doc, edits, eol)
	if twice := changed(t, once, editsOf(once, 4096, aButton()), eol); !bytes.Equal(twice, once) {
		t.Fatalf("%q\nstamped twice: %s\nonce: %s", bytes.ReplaceAll(doc, anOlderButton().button(), []byte("[[older]]")), twice, once)
	}
}

func TestAPageInTwoPiecesIsThePage(t *testing.T) {
	t.Parallel()
	w := aButton()
	for name, text := range markedPages(t) {
		in, _ := marked(text)
		doc := wire([]byte(in))
		whole := splitsAgree(t, doc)
		twiceIsOnce(t, doc, whole)
		for at := range doc {
			var p page
			p.write(doc[:at])
			p.write(doc[at:])
			if again := p.edits(w.button(), w.ownButton); !reflect.DeepEqual(again, whole) {
				t.Fatalf("%s: edits %+v, cut at %d: %+v", name, brief(whole), at, brief(again))
			}
		}
	}
}

// onlyAdds: the tree of the page with the button is the tree without it and one subtree more.
func onlyAdds(t testing.TB, name string, doc []byte) {
	t.Helper()
	edits := splitsAgree(t, doc)
	if len(edits) != 1 || edits[0].del > 0 {
		return
	}
	was, is := tree(t, doc, false), tree(t, changed(t, doc, edits, "\n"), true)
	if was != is {
		t.Errorf("%s: the page was\n%s\nand is\n%s", name, was, is)
	}
}

// tree writes down the tree of a page, without white space between tags; without, if so wanted, our button.
func tree(t testing.TB, doc []byte, without bool) string {
	t.Helper()
	root, err := html.Parse(bytes.NewReader(doc))
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	found := 0
	var walk func(n *html.Node)
	walk = func(n *html.Node) {
		if without && n.Type == html.ElementNode && n.Data == "table" && slices.ContainsFunc(n.Attr, func(a html.Attribute) bool { return a.Key == "class" && a.Val == buttonClass }) && isTheButton(n) {
			found++
			return
		}
		if s := strings.TrimSpace(n.Data); s != "" || n.Type != html.TextNode {
			b.WriteString("<" + s)
			for _, a := range n.Attr {
				b.WriteString(" " + a.Key + "=" + a.Val)
			}
			b.WriteByte('>')
		}
		for c := n.FirstChild; c != nil; c = c.NextSibling {
			walk(c)
		}
		if n.Type != html.TextNode {
			b.WriteByte('/')
		}
	}
	walk(root)
	if without && found != 1 {
		t.Errorf("%d buttons in the tree", found)
	}
	return b.String()
}

// isTheButton tells our button from an older one.
func isTheButton(n *html.Node) bool {
	if n.Type == html.ElementNode && n.Data == "a" && attribute(n, "href") == link {
		return true
	}
	for c := n.FirstChild; c != nil; c = c.NextSibling {
		if isTheButton(c) {
			return true
		}
	}
	return false
}

func TestTheButtonIsOneSubtree(t *testing.T) {
	t.Parallel()
	for name, text := range markedPages(t) {
		in, _ := marked(text)
		if onlyAdds(t, name, []byte(in)); atBorder([]byte(in)) {
			holdsBorder(t, name, []byte(in))
		}
		onlyAdds(t, name+" with a doctype", []byte("<!DOCTYPE html>"+in))
	}
}

// Of a tag that is too long to be kept nobody knows what it marks.
func TestALongTagIsNoBorder(t *testing.T) {
	t.Parallel()
	for _, n := range []int{maxTag / 2, maxTag, 2 * maxTag} {
		doc := []byte("<body>Yes.<div title=\"" + strings.Repeat("x", n) + "\" class=gmail_quote>Does it?</div></body>")
		want := int64(len("<body>Yes."))
		if n >= maxTag {
			want = int64(len(doc) - len("</body>"))
		}
		if edits := splitsAgree(t, doc); edits[0].at != want {
			t.Errorf("%d octets: the button goes to %d, want %d", n, edits[0].at, want)
		}
	}
}

// Pages put together at random from what matters to the border.
func TestARandomPageTakesTheButton(t *testing.T) {
	t.Parallel()
	words := []string{"<div>", "</div>", "<p>", "</p>", "<br>", "word", "wrote:", "<blockquote type=cite cite=mid:a@b>", "<blockquote type=cite>", "@", "<div hidden>", "<blockquote>", "</blockquote>", "<div class=gmail_quote>", "<div id=Signature>",
		"<div id=appendonsend>", "<span class=gmail_signature_prefix>", "<span>", "</span>", "<table>", "<tr>", "<td>", "</td>", "</tr>", "</table>", "<b>", "</b>", "<font>", "</font>", "<a href=x>", "</a>",
		"<ul>", "<li>", "</ul>", "&nbsp;", " ", "\n", "<h1>", "</h1>", "<pre>", "</pre>", "<hr>", "<img src=x>", "--", "</body>", "<div style='border:none;border-top:solid #E1E1E1 1.0pt;padding:3.0pt 0in 0in 0in'>", "<b>From:</b>",
		"<dl>", "<dt>", "<dd>", "</dl>", "<tbody>", "</tbody>", "<caption>", "<!-- x -->", "<center>", "</center>", string(anOlderButton().button()), string(aButtonOfBob().button()), "<svg>",
		"<span hidden>", "<p hidden>", "<font hidden>", "<object>", "</object>"}
	r := newRand(4)
	border := 0
	for range 8_000 {
		doc := []byte("<body>word")
		for range r.IntN(16) {
			doc = append(doc, words[r.IntN(len(words))]...)
		}
		edits := splitsAgree(t, doc)
		if len(edits) == 0 {
			continue // it would not be seen
		}
		isSeen(t, doc, edits)
		if twiceIsOnce(t, doc, edits); atBorder(doc) {
			border++
			onlyAdds(t, string(doc), doc)
			holdsBorder(t, string(doc), doc)
		}
	}
	if border < 200 {
		t.Fatalf("only %d pages with a border", border)
	}
}

// atBorder tells whether the button stands somewhere else than at the end.
func atBorder(doc []byte) bool {
	var p page
	p.write(doc)
	_, certain := p.border.place()
	return certain
}

// Real pages: the button at a border is one subtree more; how many there are is printed for whoever looks.
func TestTheButtonInRealPages(t *testing.T) {
	t.Parallel()
	mails := realMail(t)
	pages, borders := 0, 0
	for _, path := range slices.Sorted(maps.Keys(mails)) {
		for _, doc := range htmlOf(t, mails[path]) {
			pages++
			twiceIsOnce(t, doc, splitsAgree(t, doc))
			if atBorder(doc) {
				borders++
				onlyAdds(t, path, doc)
				holdsBorder(t, path, doc)
			}
		}
	}
	t.Logf("%d pages, %d with a border", pages, borders)
}

func FuzzBorder(f *testing.F) {
	for _, text := range markedPages(f) {
		in, _ := marked(text)
		f.Add([]byte(in))
	}
	f.Fuzz(func(t *testing.T, doc []byte) { changed(t, doc, splitsAgree(t, doc), "\n") })
}

// htmlOf returns the text of the HTML parts of a mail.
func htmlOf(t testing.TB, mail []byte) (pages [][]byte) {
	t.Helper()
	tree, err := message.Scan(&message.Memory{B: mail})
	if err != nil {
		t.Fatal(err)
	}
	for i := range tree.Parts {
		if p := &tree.Parts[i]; p.Media.Type == "text/html" {
			pages = append(pages, []byte(plain(p.Encoding, mail[p.Body:p.End])))
		}
	}
	return pages
}
