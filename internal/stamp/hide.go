package stamp

import "bytes"

// hide follows the outermost open element that hides what is in it, as mail programs do with the words that only an overview of mails shows. It counts
// elements instead of following the rules of a parser: where it errs, an element counts as open that is not.
type hide struct {
	from   int64 // where the element begins, plus one; 0 when there is none
	name   [maxTagName]byte
	n      int
	kind   kind
	own    int // elements of its name open in it
	blocks int
	tables int
}

// begin looks whether a start tag hides what follows.
func (h *hide) begin(p *page, k kind, name []byte) {
	switch string(name) {
	case "template", "select", "datalist", "dialog", "details", "object", "canvas", "video", "audio":
		if tag := p.tagBytes(); string(name) == "details" || string(name) == "dialog" {
			if bytes.Contains(tag, []byte(" open")) {
				return
			}
		}
	case "img", "br", "hr", "input", "meta", "link", "col", "embed", "source", "area", "base", "wbr", "param", "track", "image", "style", "script", "title":
		return
	default:
		tag := p.tagBytes()
		if len(tag) < len("<p hidden>") || !hides(tag) {
			return
		}
	}
	*h = hide{from: p.token + 1, kind: k, n: len(name)}
	copy(h.name[:], name)
}

// hides tells whether a tag has the attribute hidden, or a style with display:none or visibility:hidden.
func hides(tag []byte) bool {
	if !bytes.Contains(tag, []byte("none")) && !bytes.Contains(tag, []byte("idden")) && !bytes.Contains(tag, []byte("NONE")) && !bytes.Contains(tag, []byte("IDDEN")) {
		return false
	}
	a := readAttributes(tag)
	if a.hidden {
		return true
	}
	hidden := false
	for rule := range bytes.SplitSeq(a.style, []byte(";")) {
		property, value, _ := bytes.Cut(rule, []byte(":"))
		value, _, _ = bytes.Cut(value, []byte("!"))
		property, value = bytes.TrimSpace(property), bytes.TrimSpace(value)
		switch {
		case bytes.EqualFold(property, []byte("display")) && bytes.EqualFold(value, []byte("none")), bytes.EqualFold(property, []byte("visibility")) && bytes.EqualFold(value, []byte("hidden")):
			hidden = true
		}
	}
	return hidden
}

// tag looks at a tag while something is hidden.
func (h *hide) tag(p *page, k kind, name []byte) {
	same := string(name) == string(h.name[:h.n])
	switch {
	case k == kTable && !same:
		h.tables = h.count(h.tables, p.end)
		return
	case h.tables > 0: // an end tag in a table ends nothing around it
		return
	case h.kind == kParagraph && !p.end && (k.block() || k == kRule): // which ends a paragraph
		h.from = 0
		return
	case same && p.end && h.own == 0 && (h.kind.block() || h.blocks == 0): // others end only what has no block open in it
		h.from = 0
		return
	case same:
		h.own = h.count(h.own, p.end)
	}
	if k.block() {
		h.blocks = h.count(h.blocks, p.end)
	}
}

func (h *hide) count(n int, end bool) int {
	if end {
		return max(0, n-1)
	}
	return n + 1
}
