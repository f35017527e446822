package stamp

import (
	"bytes"
	"cmp"
	"html"
	"slices"
	"strings"
)

// buttonClass is what our button is known by, with the link in it.
const buttonClass = "chmail-link"

// maxButtons is how many older buttons are looked after; a mail has one.
const maxButtons = 4

// maxHref and maxLabel are how long the link of an older button and its text may be, in octets as they are written.
const (
	maxHref  = 500
	maxLabel = 600
)

// older finds buttons of ours that were put in before: a table of our class whose first link is ours, with nothing else in it that divides a page.
type older struct {
	open   bool
	beside bool // the last has nothing but blanks behind it
	behind int  // 1: the next byte is the first behind the last one; 2: it was a carriage return
	n      int
	found  [maxButtons]oldButton
	now    oldButton // the one that is open
	link   bool      // its link is open
	label  []byte    // the text of the link
	before *border   // as it was before that one
}

// oldButton is a table that may be a button of ours, with the line ends before and behind it.
type oldButton struct {
	from, to int64
	table    int64  // where its table begins
	href     string // of its first link
	label    string // the text of that
	doubt    bool   // it comes behind something that may be a quote
	quoted   bool   // it stands in a quote or where nobody knows; it counts only at the very end
}

// say takes text in a button.
func (o *older) say(p []byte) {
	if o.link {
		o.label = append(o.label, p[:min(len(p), maxLabel+1-len(o.label))]...)
	}
}

// labels are what the text of a button may have been before it was written: as it stands, and with its blanks as lines have them. None when it is too long to be one of ours.
func (o *oldButton) labels() [2]string {
	if len(o.label) > maxLabel {
		return [2]string{}
	}
	isBlank := func(r rune) bool { return r < 0x80 && isBlank(byte(r)) }
	return [2]string{html.UnescapeString(strings.TrimFunc(o.label, isBlank)), html.UnescapeString(strings.Join(strings.FieldsFunc(o.label, isBlank), " "))}
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
		o.open, o.before, o.link, o.label = true, &at, false, o.label[:0]
		o.now = oldButton{
			from: p.token - int64(p.lineEndBefore()), table: p.token,
			doubt: b.doubt.older, quoted: b.part != authors || b.nesting.hidden || b.nesting.quoted(),
		}
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
		o.now.to, o.now.label = p.pos+1, string(o.label)
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
		o.now.href, o.link = html.UnescapeString(string(a.href)), true
	case k == kAnchor:
		o.link = false
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
// They are in order and do not overlap. own tells this sender's buttons from others, by their link and its text. None when the button would not be seen.
func (p *page) edits(button []byte, own func(href, label string) bool) []edit {
	p.border.flush()
	end, last := p.place(), p.found.body
	switch {
	case last.behind > 0:
	case p.found.html.behind > 0:
		last = p.found.html
	default:
		last = ending{older: p.border.beside(), hidden: p.hide.from}
	}
	at, certain := p.border.place()
	named := func(o oldButton) bool {
		labels := o.labels()
		return own(o.href, labels[0]) || own(o.href, labels[1])
	}
	mine := func(o oldButton) bool {
		return !o.quoted && (certain || !o.doubt) && (p.border.part != past || o.from <= at) && named(o)
	}
	var ours []oldButton
	beside := last.older
	for _, o := range p.border.older.found[:p.border.older.n] {
		if mine(o) && (beside.to == 0 || o.from != beside.from) {
			ours = append(ours, o)
		}
	}
	if beside.to > 0 && (mine(beside) || !certain && len(ours) == 0 && named(beside)) {
		ours = append(ours, beside)
	}
	slices.SortFunc(ours, func(a, b oldButton) int { return cmp.Compare(a.from, b.from) })
	var edits []edit
	to := int64(0)
	for _, o := range ours {
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
	if last.hidden > 0 && edits[0].at >= last.hidden {
		return nil
	}
	return edits
}
