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
		strings.Contains(attribute(n, "style"), "border-top:solid") || attribute(n, "name") == "_MailOriginal":
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
	if !e.button || before == "" || behind != "" && !strings.HasSuffix(behind, ":") && behind != "--" {
		t.Errorf("%s: the button stands behind %q and before %q", name, before, behind)
	}
}
