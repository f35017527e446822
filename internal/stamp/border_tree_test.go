package stamp

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"golang.org/x/net/html"
)

// ear reads the tree of a stamped page and keeps what is seen in it, apart from quotes and signatures, before the button and behind it.
type ear struct {
	before, behind strings.Builder
	button, past   bool
}

func attribute(n *html.Node, key string) string {
	for _, a := range n.Attr {
		if a.Key == key {
			return a.Val
		}
	}
	return ""
}

// apart tells whether a node is a quote or a signature; it reads the tree, not the bytes.
func apart(n *html.Node) bool {
	class, id := " "+strings.Join(strings.Fields(attribute(n, "class")), " ")+" ", attribute(n, "id")
	switch n.Data {
	case "script", "style", "title", "head":
		return true
	case "blockquote":
		return strings.EqualFold(attribute(n, "type"), "cite") || strings.HasPrefix(attribute(n, "cite"), "mid:") || strings.Contains(class, " gmail_quote ")
	case "span":
		return strings.Contains(class, " gmail_signature_prefix ")
	}
	for _, c := range []string{"gmail_quote", "gmail_attr", "moz-cite-prefix", "moz-forward-container", "protonmail_quote", "yahoo_quoted", "gmail_signature", "moz-signature", "k9mail-signature",
		"protonmail_signature_block"} {
		if strings.Contains(class, " "+c+" ") {
			return true
		}
	}
	return id == "Signature" || id == "AppleMailSignature" || strings.HasPrefix(id, "ms-outlook-mobile-signature") || strings.HasSuffix(strings.TrimSpace(class), "signature")
}

// hidden tells whether nothing in an element is seen.
func hidden(n *html.Node) bool {
	style := strings.ToLower(strings.Join(strings.Fields(attribute(n, "style")), ""))
	return n.Data == "template" || slices.ContainsFunc(n.Attr, func(a html.Attribute) bool { return a.Key == "hidden" }) || strings.Contains(style, "display:none") || strings.Contains(style, "visibility:hidden")
}

// isSeen: where a parser puts the button, a reader sees it.
func isSeen(t testing.TB, doc []byte, edits []edit) {
	t.Helper()
	root, err := html.Parse(bytes.NewReader(changed(t, doc, edits, "\n")))
	if err != nil {
		t.Fatal(err)
	}
	for n := range root.Descendants() {
		if n.Data != "a" || !isTheButton(n) {
			continue
		}
		for a := range n.Ancestors() {
			if hidden(a) {
				t.Errorf("%q: the button is in a hidden <%s>", doc, a.Data)
			}
		}
	}
}

// What hides the end of a page hides the button as well: such a page is left alone, but where the button stands above.
func TestAHiddenEndIsLeftAlone(t *testing.T) {
	t.Parallel()
	for doc, want := range map[string]int{
		"<body>Yes.<template>no</body>": 0, "<body>Yes.<div style='display:none'><div>x</div></body>": 0, "Yes.<div style=\"color:red;VISIBILITY: hidden\">": 0, "Yes.<section hidden><p>x</html>": 0,
		"Yes.<details><summary>more</summary>": 0, "<body style='display:none'>Yes.</body>": 0, "Yes.<details open><summary>more</summary>": 1, "Yes.<template></template>": 1,
		"Yes.<div style='overflow:hidden'>": 1, "Yes.<div style='display:none'><div>x</div></div>": 1, "<div>Yes.<span hidden>x</span></div>": 1, "Yes.<p style='display:none'>x<p>y": 1, "Yes.<img style='display:none' src=x>": 1,
		"<table><tr style='display:none'><td>x</tr><tr><td>Yes.</table>": 1, "Yes.<div class=gmail_quote>x</div><div hidden>": 1, "</body><div hidden>": 1,
		// An end tag does not reach out of what is a document of its own.
		"Yes.<div hidden><object></div></body>": 0, "Yes.<div hidden><select></div>no</body>": 0, "Yes.<div hidden><svg></svg></div>": 1, "Yes.<div hidden><object><object></object></div>": 0,
		// What has no end of its own ends with what it lies in, but for a font, and for a paragraph that a table may have ended.
		"<p><span hidden>x</p><p>Yes.": 1, "<p>Yes.<span style='display:none'>x<div>y</div>": 1, "<table><tr><td><div hidden>x</table>Yes.": 1, "<table><tr hidden><td>x</table>Yes.": 1, "<div><ul><li hidden>x</div>Yes.": 1,
		"<p hidden>x<i hidden>y<p>Yes.": 0, "<div hidden>x<font hidden>y</font></div>Yes.": 1, "<div hidden><i hidden><b hidden></i></div>Yes.": 0, "Yes.<form hidden><b></form></body>": 0, "Yes.<form hidden></form>": 1,
		"<h1>Yes.<span hidden>x<h1>y</body>": 0, "Yes.<li hidden>x<form><li>y</body>": 0, "Yes.<span hidden>x<dl></section></span></body>": 0, "Yes.<td hidden>x</body>": 1, "Yes.<table><caption hidden>x</tbody>y</body>": 0,
		"Yes.<div hidden><form><p>x</p></form></div>": 1, "Yes.<form><p hidden>x<form>y</body>": 0,
		"<p><font hidden>x</p><p>Yes.": 0, "Yes.<p><table></table><span hidden>x</p></body>": 0, "<div>Yes.<body hidden>x</div>": 0, "<div>Yes.<span hidden>x<div></div></body>": 0,
	} {
		edits := splitsAgree(t, []byte(doc))
		if len(edits) != want {
			t.Errorf("%q: %+v", doc, brief(edits))
		}
		isSeen(t, []byte(doc), edits)
	}
	card := aCard()
	s := put(t, crlf("Content-Type: text/html\n\nYes.<div style=display:none>no\n"), card)
	if want := "header-only: text/html left alone: hidden elements are open at its end"; s.Verdict.String() != want {
		t.Errorf("%q, want %q", s.Verdict, want)
	}
}

func (e *ear) hear(n *html.Node) {
	into := &e.before
	if e.button {
		into = &e.behind
	}
	switch {
	case e.past:
		return
	case n.Type == html.TextNode:
		if e.past = e.button && strings.HasPrefix(strings.TrimSpace(n.Data), "-----"); e.past { // an old head
			return
		}
		into.WriteString(n.Data)
	case n.Type != html.ElementNode:
	case n.Data == "table" && attribute(n, "class") == buttonClass:
		e.button = e.button || isTheButton(n)
		return
	case apart(n), hidden(n):
		return
	case n.Data == "img" && attribute(n, "width") != "1":
		into.WriteString("image")
	case attribute(n, "id") == "appendonsend" || attribute(n, "id") == "divRplyFwdMsg" || attribute(n, "id") == "mail-editor-reference-message-container",
		attribute(n, "id") == "stopSpelling" || attribute(n, "id") == "zwchr" || attribute(n, "class") == "OutlookMessageHeader", strings.Contains(attribute(n, "style"), "border-top:solid") || attribute(n, "name") == "_MailOriginal":
		e.past = e.button
	}
	for c := n.FirstChild; c != nil; c = c.NextSibling {
		e.hear(c)
	}
}

// holdsBorder: where the button stands at a border, a parser sees words of the author before it and none behind it, but for a line that leads to the quote.
func holdsBorder(t testing.TB, name string, doc []byte) {
	t.Helper()
	edits := splitsAgree(t, doc)
	if edits[0].del > 0 {
		return // an older one keeps its place
	}
	root, err := html.Parse(bytes.NewReader(changed(t, doc, edits, "\n")))
	if err != nil {
		t.Fatal(err)
	}
	var e ear
	e.hear(root)
	blank := strings.NewReplacer("\u00a0", "", "\u200b", "", "\u200c", "", "\x00", "")
	before, behind := strings.TrimSpace(blank.Replace(e.before.String())), strings.TrimSpace(blank.Replace(e.behind.String()))
	if !e.button || before == "" || behind != "" && !strings.HasSuffix(behind, ":") && !strings.HasSuffix(behind, " wrote") && behind != "--" {
		t.Errorf("%s: the button stands behind %q and before %q", name, before, behind)
	}
}
