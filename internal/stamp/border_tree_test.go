package stamp

import (
	"bytes"
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
		e.button = e.button || strings.Contains(text(n), "Alice Liddell")
		return
	case apart(n):
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
	if before == "" || behind != "" && !strings.HasSuffix(behind, ":") && behind != "--" {
		t.Errorf("%s: the button stands behind %q and before %q", name, before, behind)
	}
}
