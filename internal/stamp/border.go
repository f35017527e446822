package stamp

import "bytes"

// part is whose words come by.
type part uint8

const (
	authors   part = iota // the author's
	quote                 // the original, in an element of its own
	signature             // the author's signature, in an element of its own
	prefix                // the dashes above a signature, in a span
	past                  // the border is certain, the rest does not matter
	unclear               // nothing more can be said about this page
)

// border follows where the author's words end: above what a mail program has marked as the original, and above a signature.
type border struct {
	nesting nesting
	part    part
	seen    seen
	older   older
	flow    flow    // what came by so far
	gap     gap     // before what comes next
	line    row     // the last one with something in it
	used    bool    // the present line is line
	blind   bool    // whether there is something to see in the text that comes by does not matter
	letters letters // of the present line
	in      inside
	header  header // of an original, as Outlook has it
	head    written
	doubt   doubt
}

// doubt says that an original may have begun without a mark.
type doubt struct {
	older    bool // so that an older button behind it may be another person's
	unmarked bool // so that a signature behind it may be
	labels   int  // lines in a row like those of a header
}

// minLabelled is how many lines like "From: Bob" make a header of an original.
const minLabelled = 2

// maxLook is how many lines of a quote are looked at for what says that it is an original.
const maxLook = 4

// inside is the quote or signature that comes by.
type inside struct {
	from   int   // elements open around it
	kind   kind  // its own
	inner  inner // quotes in the quote
	look   int   // lines of the quote that are still looked at
	labels int   // in a row
}

// flow is what came by so far.
type flow struct {
	words  bool // of the author
	quoted bool // and a quote before some of them
	run    run
}

// run is a row of quotes and signatures with nothing of the author's behind them.
type run struct {
	open   bool
	quote  bool // there is a quote among them
	proven bool // which the author has not made himself
	at     gap
	sig    gap // where the signatures behind the last quote begin; at -1 for none
}

// gap is a place between two lines.
type gap struct {
	at     int64
	fits   bool // the button may be put here
	blocks bool // blocks have begun since, but nothing was seen in them
}

// row is where a line of the author's begins and how it ends.
type row struct {
	at           gap
	before       flow
	lead, dashes bool // it says who wrote what follows; it is the dashes above a signature
	wrote        bool // it says so without a colon, and may be a sentence
}

// inner follows the quotes inside Gmail's container, which an author may write behind.
type inner uint8

const (
	innerNone  inner = iota // nothing to follow
	innerAwait              // none yet
	innerOpen
	innerPast
)

// header is a header of an original that may have begun, and counts when its first words are bold and end in a colon, and so do others below.
type header struct {
	open, bold bool
	at         gap
	before     flow
	from       int // elements open around it
	labels     int
}

// unknown is a tag whose name does not matter.
func (b *border) unknown() {
	b.flush()
	b.older.beside = false
}

// beside returns the older button that has nothing but blanks behind it, if any.
func (b *border) beside() (o oldButton) {
	if b.flush(); b.older.beside {
		o = b.older.found[b.older.n-1]
	}
	return o
}

// tag looks at a tag that has just ended.
func (b *border) tag(p *page, k kind) {
	if b.seen.n > 0 {
		b.flush()
	}
	if k == kBody || k == kHTML {
		return
	}
	b.older.beside = false
	if b.older.open || k == kTable && !p.end {
		if b.olderTag(p, k) {
			return
		}
	}
	if b.part == unclear || k == kOther {
		return
	}
	switch {
	case b.part == quote || b.part == signature:
		b.inside(p, k)
	case p.end:
		b.endTag(p, k)
	default:
		b.startTag(p, k)
	}
	if b.nesting.lost && b.part != past {
		b.part = unclear
	}
}

// startTag looks at a start tag in the author's own part.
func (b *border) startTag(p *page, k kind) {
	next := p.pos + 1
	switch {
	case k.block() || k == kRule || k == kForm:
		fits := b.nesting.fits(true)
		b.nesting.start(k)
		b.newLine(gap{p.token, fits, true})
		b.doubt.older = b.doubt.older || k == kQuote || k == kRule
		b.doubt.unmarked = b.doubt.unmarked || k == kRule
		if b.part == authors && !b.nesting.hidden && (k == kDiv || k == kQuote || k == kPre || k == kRule) {
			b.mark(p, k)
		}
	case k == kTable:
		b.newLine(gap{p.token, b.nesting.fits(true), false})
		b.nesting.start(k)
	case k == kBreak || k.ofTable():
		if k != kBreak && b.nesting.find(kTable) < 0 {
			return // it is passed over
		}
		if k != kBreak {
			b.nesting.start(k)
		}
		b.newLine(gap{next, b.nesting.fits(false), false})
	case k == kImage:
		if a := readAttributes(p.tagBytes()); !a.unseen() && !b.nesting.hidden {
			b.visible()
			b.letters.add([]byte{'x'})
		}
	case k == kSpan:
		if tag := p.tagBytes(); b.header.open || !bytes.Contains(tag, []byte("gmail_signature_prefix")) {
			return
		}
		if b.newLine(b.before(p.token)); b.part != authors {
			return
		}
		b.signature()
		b.part = prefix
	case k.formats():
		b.nesting.start(k)
		b.format(p, k)
	default:
		b.nesting.start(k)
	}
}

// before is the place before a tag in the middle of a line.
func (b *border) before(at int64) gap {
	if !b.blind {
		return b.gap
	}
	return gap{at, b.nesting.fits(false), false}
}

// format looks at what makes text bold, and at Outlook's bookmark of the original.
func (b *border) format(p *page, k kind) {
	if k == kAnchor && !b.blind && !b.header.open {
		if a := readAttributes(p.tagBytes()); string(a.name) == "_MailOriginal" {
			b.header = header{open: true, at: b.gap, before: b.flow, from: b.nesting.n - 1, bold: b.nesting.formatted(kBold) || b.nesting.formatted(kStrong)}
			b.letters.clear()
		}
	}
	if b.header.open && (k == kBold || k == kStrong) {
		b.header.bold = true
		b.letters.clear()
	}
}

// endTag looks at an end tag in the author's own part.
func (b *border) endTag(p *page, k kind) {
	ended := b.nesting.end(k)
	b.header.open = b.header.open && b.nesting.n > b.header.from
	switch {
	case k == kSpan && b.part == prefix:
		b.part = authors
		b.newLine(gap{p.pos + 1, b.nesting.fits(false), false})
	case ended:
		b.newLine(gap{p.pos + 1, b.nesting.fits(false), false})
	case b.header.open && b.header.bold && (k == kBold || k == kStrong):
		b.label()
	}
}

// label looks at bold text in what may be a header.
func (b *border) label() {
	h := &b.header
	h.bold = false
	switch {
	case b.letters.colon():
		if h.labels++; h.labels == minLabelled {
			h.open = false
			b.flow = h.before
			b.original(h.at)
		}
	case b.letters.last != 0:
		h.open = false
	}
}

// newLine begins a new line. Where blocks begin in each other, it begins with the first.
func (b *border) newLine(g gap) {
	if b.used {
		b.lineEnds()
		b.used = false
	}
	if b.part == prefix {
		b.part = unclear // a span with more than dashes in it
	}
	b.letters.clear()
	b.blind = false
	if !g.blocks || !b.gap.blocks {
		b.gap = g
	}
}

// lineEnds looks at a line of the author's.
func (b *border) lineEnds() {
	line, d := b.letters.line(), &b.doubt
	b.line.dashes = string(line) == "--"
	if b.letters.colon() {
		d.older = true
		b.line.lead = !b.letters.long && attribution(line)
	} else {
		b.line.wrote = !b.letters.long && namesWriter(line)
	}
	if len(line) == 0 {
		return
	}
	if d.labels++; !labelled(line) {
		d.labels = 0
	}
	rule, known := false, false
	if line[0] == '-' || line[0] == '_' {
		rule, known = isRule(line)
	}
	if known || b.head.on {
		b.written(line, known)
	}
	if rule || d.labels == minLabelled {
		d.older, d.unmarked = true, true
	}
}

// quoteLine looks at a line of a quote for what says that it is an original.
func (b *border) quoteLine() {
	line, in := b.letters.line(), &b.in
	switch {
	case len(line) == 0:
		b.letters.clear()
		return
	case in.look == maxLook && !b.letters.long && attribution(line):
		b.flow.run.proven = true
	case labelled(line):
		in.labels++
		b.flow.run.proven = in.labels == minLabelled
	default:
		in.labels = 0
	}
	b.letters.clear()
	if in.look--; b.flow.run.proven {
		in.look = 0
	}
}

// mark looks whether a block that has just begun marks a quote or a signature.
func (b *border) mark(p *page, k kind) {
	tag := p.tagBytes()
	if tag == nil {
		b.nesting.lost = true
		return
	}
	if len(tag) < len("<div id=x>") {
		return
	}
	a := readAttributes(tag)
	switch {
	case k == kRule:
		if a.divides() {
			b.original(b.gap)
		}
	case a.quote(k):
		says := k == kQuote && (b.line.lead || b.line.wrote)
		if before := &b.line.before; !before.quoted && !(before.run.open && before.run.quote) { // between two quotes it is the author's
			b.lead(says)
		}
		b.quote(b.gap, says || a.proven(k))
		b.enter(quote, k)
		if !b.flow.run.proven {
			b.in.look = maxLook
		}
		if k == kDiv && bytes.Contains(a.class, []byte("mail_quote")) { // and protonmail_quote
			b.in.inner = innerAwait
		}
	case k == kDiv && a.original():
		b.original(b.gap)
	case k != kQuote && a.signature():
		b.lead(b.line.dashes)
		b.signature()
		b.enter(signature, k)
	case k == kDiv && a.header():
		b.header = header{open: true, at: b.gap, before: b.flow, from: b.nesting.n - 1}
	}
}

// lead takes the last line to belong to what follows it, when it says so and nothing else came between.
func (b *border) lead(says bool) {
	if says && b.flow.words && !b.flow.run.open {
		b.flow, b.gap = b.line.before, b.line.at
	}
}

// enter begins a quote or a signature; its element is open already.
func (b *border) enter(p part, k kind) {
	b.part, b.in, b.blind = p, inside{kind: k, from: b.nesting.n - 1}, true
	b.header.open = false
	b.line.lead, b.line.dashes, b.line.wrote = false, false, false
}

// quote begins a quote; proven tells that the author has not made it himself.
func (b *border) quote(at gap, proven bool) {
	r := &b.flow.run
	if r.open && r.quote && !r.proven && proven {
		b.words() // the one before may be his
	}
	if !r.open {
		*r = run{open: true, at: at}
	}
	r.quote, r.sig, r.proven = true, gap{at: -1}, r.proven || proven
	b.doubt.older = true
}

func (b *border) signature() {
	r := &b.flow.run
	switch {
	case !r.open:
		*r = run{open: true, at: b.gap, sig: b.gap}
	case r.sig.at < 0:
		r.sig = b.gap
	}
}

// original begins an original that goes on to the end.
func (b *border) original(at gap) {
	b.quote(at, true)
	if b.part = unclear; b.flow.words && !b.flow.quoted && b.flow.run.at.fits && !b.nesting.lost {
		b.part = past
	}
}

// inside looks at a tag in a quote or a signature.
func (b *border) inside(p *page, k kind) {
	if b.part == quote && b.in.look > 0 && (k == kBreak || k == kRule || k.block() || k.ofTable()) {
		b.quoteLine()
	}
	if k == kBreak {
		return
	}
	if b.in.inner == innerPast && k == kImage && b.part == quote && !b.nesting.hidden {
		b.visible()
	}
	if !p.end {
		b.nesting.start(k)
		if b.part == quote && b.in.inner == innerAwait && k == kQuote && b.nesting.n == b.in.from+2 {
			b.in.inner = innerOpen
		}
	} else {
		b.nesting.end(k)
	}
	switch {
	case b.nesting.n <= b.in.from:
		if !p.end || k != b.in.kind || b.nesting.n < b.in.from {
			b.part = unclear // it has not ended with its own end tag
			return
		}
		b.part = authors
		b.newLine(gap{p.pos + 1, b.nesting.fits(false), false})
	case b.part == quote && b.in.inner == innerOpen && b.nesting.n == b.in.from+1:
		b.in.inner, b.blind = innerPast, false
	}
}

// visible is called when something is seen while that matters.
func (b *border) visible() {
	b.older.beside = false
	if b.blind {
		return
	}
	b.blind = true
	switch {
	case b.nesting.betweenCells():
		b.nesting.lost = true // a parser would put it elsewhere
	case b.part == quote && b.in.inner == innerPast:
		b.in.inner = innerNone
		b.words()
	case b.part != authors:
	default:
		b.header.open = b.header.open && (b.header.bold || b.header.labels > 0)
		if b.line.lead { // and no mark behind it
			b.doubt.unmarked = true
		}
		if b.line.at = b.gap; b.flow.run.open {
			b.line.before = b.flow
		} else {
			b.line.before.words, b.line.before.quoted, b.line.before.run.open = b.flow.words, b.flow.quoted, false
		}
		b.line.lead, b.line.dashes, b.line.wrote = false, false, false
		b.used, b.gap.blocks = true, false
		b.words()
	}
}

// words are the author's.
func (b *border) words() {
	b.flow.words = true
	if b.flow.run.open {
		b.flow.quoted = b.flow.quoted || b.flow.run.quote
		b.flow.run = run{}
	}
}

// place returns where the author's words end, if that is certain.
func (b *border) place() (int64, bool) {
	f, r := &b.flow, &b.flow.run
	switch {
	case b.part == past:
		return r.at.at, true
	case b.part != authors || b.nesting.lost || !f.words || !r.open:
		return 0, false
	case r.quote && r.proven && !f.quoted:
		return r.at.at, r.at.fits
	case r.sig.at >= 0 && !b.doubt.unmarked:
		return r.sig.at, r.sig.fits
	}
	return 0, false
}
