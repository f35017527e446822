package stamp

import (
	"bytes"
	"cmp"
	"html"
	"slices"
)

// buttonClass is what our button is known by, with the link in it.
const buttonClass = "chmail-link"

// maxButtons is how many older buttons are looked after; a mail has one.
const maxButtons = 4

// maxHref is how long the link of an older button may be, in octets.
const maxHref = 500

// older finds buttons of ours that were put in before: a table of our class whose first link is ours, with nothing else in it that divides a page.
type older struct {
	open   bool
	beside bool // the last has nothing but blanks behind it
	behind int  // 1: the next byte is the first behind the last one; 2: it was a carriage return
	n      int
	found  [maxButtons]oldButton
	now    oldButton // the one that is open
	before *border   // as it was before that one
}

// oldButton is a table that may be a button of ours, with the line ends before and behind it.
type oldButton struct {
	from, to int64
	table    int64  // where its table begins
	href     string // of its first link
	doubt    bool   // it comes behind something that may be a quote
	quoted   bool   // it stands in a quote or where nobody knows; it counts only at the very end
}

// lineEnd takes the line end behind a button.
func (o *older) lineEnd(b []byte) {
	n := 0
	switch {
	case o.behind == 2:
		if b[0] == '\n' {
			n = 2
		}
	case b[0] == '\n':
		n = 1
	case b[0] == '\r' && len(b) == 1:
		o.behind = 2
		return
	case b[0] == '\r' && b[1] == '\n':
		n = 2
	}
	o.behind = 0
	o.found[o.n-1].to += int64(n)
}

// olderTag looks at a tag that may begin, end or lie in a button of ours, and tells whether it is one of the button.
func (b *border) olderTag(p *page, k kind) bool {
	o := &b.older
	switch {
	case k == kTable && !p.end:
		if o.open {
			b.notOurs()
		}
		if !bytes.Contains(p.tagBytes(), []byte(buttonClass)) {
			return false
		}
		if a := readAttributes(p.tagBytes()); string(a.class) != buttonClass {
			return false
		}
		at := *b
		o.open, o.before = true, &at
		o.now = oldButton{from: p.token - int64(p.lineEndBefore()), table: p.token, doubt: b.doubt, quoted: b.part != authors || b.nesting.quoted()}
	case k == kTable:
		if o.now.href == "" {
			b.notOurs()
			return false
		}
		// The page is read as if the button were not there: so it is found again where it was put.
		now := *o
		*b = *o.before
		*o = now
		o.open, o.before = false, nil
		o.now.to = p.pos + 1
		if o.n == maxButtons || o.n > 0 && o.found[o.n-1].quoted {
			o.n-- // that one was not the very end
		}
		o.found[o.n] = o.now
		o.n++
		o.beside, o.behind = true, 1
	case k == kAnchor && !p.end && o.now.href == "":
		a := readAttributes(p.tagBytes())
		if len(a.href) == 0 || len(a.href) > maxHref {
			b.notOurs()
			return false
		}
		o.now.href = html.UnescapeString(string(a.href))
	case k.block() || k == kTrouble || k == kForm || k == kRule:
		b.notOurs()
	}
	return o.open || o.beside
}

// notOurs gives up: a table that looks like ours and is none was made by somebody who means something by it.
func (b *border) notOurs() {
	b.older.open, b.older.before = false, nil
	b.part = unclear
}

// edits says how the button goes into the page: in the place of an older one of the author's own, else where his words end, else at the end of the body.
// They are in order and do not overlap. own tells our links from others.
func (p *page) edits(button []byte, own func(href string) bool) []edit {
	p.border.flush()
	end, beside := p.place(), p.found.body.older
	switch {
	case p.found.body.behind > 0:
	case p.found.html.behind > 0:
		beside = p.found.html.older
	default:
		beside = p.border.beside()
	}
	at, certain := p.border.place()
	mine := func(o oldButton) bool {
		return !o.quoted && (certain || !o.doubt) && (p.border.part != past || o.from <= at)
	}
	var ours []oldButton
	for _, o := range p.border.older.found[:p.border.older.n] {
		if mine(o) && (beside.to == 0 || o.from != beside.from) {
			ours = append(ours, o)
		}
	}
	if beside.to > 0 && (len(ours) == 0 || mine(beside)) {
		ours = append(ours, beside)
	}
	slices.SortFunc(ours, func(a, b oldButton) int { return cmp.Compare(a.from, b.from) })
	var edits []edit
	to := int64(0)
	for _, o := range ours {
		if !own(o.href) {
			continue
		}
		e := edit{at: max(o.from, to), ins: button}
		if len(edits) > 0 {
			e = edit{at: max(o.table, to)} // what stood before and behind it stays on two lines
		}
		e.del = o.to - e.at
		to = o.to
		edits = append(edits, e)
	}
	if certain {
		end = at
	}
	if len(edits) == 0 {
		edits = []edit{{at: end, ins: button}}
	}
	return edits
}
