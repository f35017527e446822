package stamp

import "bytes"

// hide follows the outermost open element that hides what is in it, as mail programs do with the words that only an overview of mails shows. It counts
// elements, and ends with an element around it where the nesting knows that: where it errs, an element counts as open that is not.
type hide struct {
	from int64 // where the element begins, plus one; 0 when there is none
	kind kind
	counted
	base   int // elements open around it, and itself, as far as they are kept
	blocks int
	tables int
	rest   bool    // of what is in it, some may stay open behind its end tag
	walled counted // the outermost element in it that end tags do not reach through; of no name when there is none
	inner  hiddenFormat
}

// hiddenFormat is what formats text and hides it, and began in an element that hides: it is opened again behind the end of that.
type hiddenFormat struct {
	from int64
	kind kind
	counted
	many bool // there was another in it
}

// counted is an element with those of its name that are open in it.
type counted struct {
	name [maxTagName]byte
	n    int // letters of the name
	own  int
}

func count(name []byte) (c counted) {
	c.n = copy(c.name[:], name)
	return c
}

func (c *counted) is(name []byte) bool { return string(name) == string(c.name[:c.n]) }

// begin looks whether a start tag hides what follows.
func (h *hide) begin(p *page, k kind, name []byte) {
	switch string(name) {
	case "template", "select", "datalist", "dialog", "details", "object", "canvas", "video", "audio":
		if tag := p.tagBytes(); string(name) == "details" || string(name) == "dialog" {
			if bytes.Contains(tag, []byte(" open")) {
				return
			}
		}
	default:
		tag := p.tagBytes()
		if len(tag) < len("<p hidden>") || !hides(tag) || k == kRaw || isVoid(name) {
			return
		}
	}
	s := &p.border.nesting
	if k.ofTable() && k != kTable && s.find(kTable) < 0 && !s.lost {
		return // it is passed over
	}
	*h = hide{from: p.token + 1, kind: k, counted: count(name), base: s.n}
	if s.floor, s.sunk = s.n, false; k.formats() || k == kBody || k == kHTML { // those go on behind the end of what is around them
		s.floor = 0
	}
}

// isVoid tells an element that has no content.
func isVoid(name []byte) bool {
	switch string(name) {
	case "img", "br", "hr", "input", "meta", "link", "col", "embed", "source", "area", "base", "wbr", "param", "track", "image":
		return true
	}
	return false
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
	if k.formats() {
		h.format(p, k, name)
	}
	same := h.is(name)
	switch {
	case h.walled.n > 0:
		if w := &h.walled; w.is(name) {
			if p.end && w.own == 0 {
				w.n = 0
			}
			w.own = upOrDown(w.own, p.end)
		}
		return
	case k == kTrouble && !p.end && !same:
		h.walled = count(name)
		return
	case k == kTable && !same:
		h.tables = upOrDown(h.tables, p.end)
		return
	case h.tables > 0: // an end tag in a table ends nothing around it
		return
	case h.kind == kParagraph && !p.end && !h.rest && (k.block() || k == kRule): // which ends a paragraph
		h.end(p)
		return
	case same && p.end && h.own == 0 && !h.rest && (h.kind.block() || h.blocks == 0 && p.border.nesting.n <= h.base): // others end only what has no block open in it
		h.end(p)
		return
	case same:
		h.own = upOrDown(h.own, p.end)
	}
	switch {
	case h.kind == kForm: // its end tag leaves open what is open in it
		h.rest = h.rest || !p.end && !same && !isVoid(name)
	case k == kForm: // it ends a paragraph, but not when it is passed over since it lies in another
		h.rest = h.rest || !p.end && (h.kind == kParagraph || !h.kind.block())
	case k.block():
		h.blocks = upOrDown(h.blocks, p.end)
	}
}

// format looks at a tag of what formats text.
func (h *hide) format(p *page, k kind, name []byte) {
	f := &h.inner
	switch {
	case f.from > 0 && f.is(name):
		if p.end && f.own == 0 {
			if f.n = 0; !f.many {
				f.from = 0
			}
			return
		}
		f.own = upOrDown(f.own, p.end)
	case p.end:
	case len(p.tagBytes()) > 0 && hides(p.tagBytes()):
		if f.from > 0 {
			f.many = true
			return
		}
		*f = hiddenFormat{from: p.token + 1, kind: k, counted: count(name)}
	}
}

// end says that the element has ended. Of several formats in it nobody knows which is the last: what they hide has no end.
func (h *hide) end(p *page) {
	f, s := h.inner, &p.border.nesting
	*h = hide{}
	if s.floor, s.sunk = 0, false; f.from == 0 {
		return
	}
	if *h = (hide{from: f.from, kind: f.kind, counted: f.counted, base: s.n}); f.many {
		h.n = 0
	}
}

func upOrDown(n int, end bool) int {
	if end {
		return max(0, n-1)
	}
	return n + 1
}
