package stamp

import "bytes"

// Bounds of what is recognised in a text.
const (
	maxSignature   = 1000 // octets of a signature
	maxSigLines    = 12
	maxAttribution = 3   // lines between the author's words and what he quotes
	keptLine       = 512 // octets of a line that are looked at
	minLabels      = 3   // lines like "From: Bob" that make the head of an original
	maxOlder       = 8   // chat lines of ours in one text
)

// spot is a place in a text where the chat line can stand, and how the text ends there.
type spot struct {
	at     int64
	nl     bool // behind a line end
	blank  bool // behind an empty line, or at the very beginning
	flows  bool // the last words flow on (RFC 3676 4.2)
	joined bool // words follow: what is put in needs an empty line behind it
}

// span is a range of the decoded text.
type span struct{ from, to int64 }

// prose reads a text that comes by in pieces and finds where its author's own words end: above what he quotes, above his signature. It looks at a line at a time
// and keeps none.
type prose struct {
	reading
	borders

	words bool // the author has said something
	blank bool // the last line was empty, or there was none
	flows bool
	above line // the line before
	para  para // the lines since the last empty one, or those before it

	older []span // chat lines of ours in his own words, which the caller looks at more closely
	own   func(href string) bool
}

// reading is the line that comes by.
type reading struct {
	total int64 // octets so far
	start int64 // of the line
	carry []byte
	long  bool // it is longer than carry keeps
	last  byte
}

// borders are the places where the author's own words may end.
type borders struct {
	sig       mark // where a signature may have begun
	sigs      int  // lines "-- " in the author's part: with two of them nobody knows
	quote     mark // where what he quotes begins; everything behind it is quoted, blank, or a signature
	foot      mark // a signature behind the quote
	head      mark // where the head of an original may have begun
	headWords bool // there were words before head
	fixed     bool // all that follows is the original
	sealed    bool // all is the original: the author has said nothing
}

// line is what is kept of a line.
type line struct {
	start  int64
	asks   bool // ends in a colon
	digit  bool
	at     bool // an at sign, or an angle
	wrote  bool // says that somebody wrote
	opens  bool // begins as attributions do
	labels bool // "Word: …"
}

// para is a run of lines that are neither empty nor quoted.
type para struct {
	spot  spot // its beginning
	words bool // there were words before it
	lines int
	blank int // empty lines behind it
	last  line
	lastS spot // the beginning of its last line
}

// mark is a place from which on something is believed to go on, line by line.
type mark struct {
	on    bool
	spot  spot
	lines int
}

func newProse(own func(href string) bool) *prose {
	return &prose{blank: true, own: own}
}

func (p *prose) write(b []byte) {
	for len(b) > 0 && !p.fixed {
		nl := bytes.IndexByte(b, '\n')
		if nl < 0 {
			p.keep(b)
			p.total += int64(len(b))
			return
		}
		content := b[:nl]
		if len(p.carry) > 0 || p.long {
			p.keep(content)
			content = p.carry
		}
		end := p.total + int64(nl) + 1
		p.line(bytes.TrimSuffix(content, []byte("\r")), end)
		p.total, p.start, p.long, p.carry = end, end, false, p.carry[:0]
		b = b[nl+1:]
	}
	p.total += int64(len(b))
}

func (p *prose) keep(b []byte) {
	if words := bytes.TrimSuffix(b, []byte("\r")); len(words) > 0 {
		p.last = words[len(words)-1]
	}
	n := min(len(b), keptLine-len(p.carry))
	p.carry = append(p.carry, b[:n]...)
	p.long = p.long || n < len(b)
}

// here is the beginning of the line that comes by.
func (p *prose) here() spot {
	return spot{at: p.start, nl: p.start > 0, blank: p.blank, flows: p.flows}
}

// line takes a line without its line end, of a long one the beginning; end is where the next begins.
func (p *prose) line(b []byte, end int64) {
	switch {
	case p.foot.on && !p.foot.grow(end):
		p.unquote() // it is text behind the quotation
	case p.sig.on && !p.quote.on:
		p.sig.on = p.sig.grow(end)
	}
	p.flows = false
	switch {
	case isEmpty(b) && !p.long:
		p.empty()
		return
	case b[0] == '>':
		p.quoted(b)
	case string(b) == "-- ":
		p.signature()
	default:
		p.say(b)
		p.flows = !p.long && b[len(b)-1] == ' ' || p.long && p.last == ' '
	}
	p.blank = false
}

// grow counts a line of a signature; false when it has become too long to be one.
func (m *mark) grow(end int64) bool {
	m.lines++
	return m.lines <= maxSigLines && end-m.spot.at <= maxSignature
}

func isEmpty(b []byte) bool {
	for _, c := range b {
		if c != ' ' && c != '\t' {
			return false
		}
	}
	return true
}

func (p *prose) empty() {
	if p.para.lines > 0 {
		p.para.blank++
	}
	p.blank, p.above = true, line{}
}

// unquote says that the quotation was none that goes on to the end: there are words behind it.
func (p *prose) unquote() {
	p.quote.on, p.foot.on, p.sig.on = false, false, false
	p.words = true
}

// quoted is a line that begins with ">".
func (p *prose) quoted(b []byte) {
	switch {
	case p.foot.on:
		p.unquote()
	case p.quote.on:
	default:
		at, ok := p.attribution()
		if first := p.look(bytes.TrimPrefix(b[1:], []byte(" "))); !ok && first.opens && first.digit && (first.at || first.wrote) {
			at, ok = p.here(), p.words && !p.sealed // as Apple Mail does: the first line quoted is the attribution
		}
		p.quote = mark{on: ok, spot: at}
		p.sig.on = p.sig.on && ok && p.sig.spot.at < at.at
	}
	p.para, p.above, p.head = para{}, line{}, mark{}
}

// attribution returns where the line begins that says who is quoted: the paragraph above, or its last line, when that is certain.
func (p *prose) attribution() (spot, bool) {
	a := &p.para
	switch {
	case p.sealed || a.lines == 0 || a.blank > 1 || !a.last.asks:
		return spot{}, false
	case a.lines <= maxAttribution && a.spot.blank && a.words && (a.last.digit || a.last.at || a.last.wrote):
		return a.spot, true
	case a.last.opens && a.last.digit && (a.last.at || a.last.wrote) && (a.words || a.lines > 1):
		return a.lastS, true
	}
	return spot{}, false
}

// signature is the line "-- " (RFC 3676 4.3).
func (p *prose) signature() {
	switch {
	case p.quote.on && !p.foot.on:
		p.foot = mark{on: true, spot: p.here()}
	case p.quote.on:
		p.unquote()
	default:
		p.sigs++
		p.sig = mark{on: p.sigs == 1 && !p.sealed, spot: p.here()}
	}
	p.para, p.above, p.head = para{}, line{}, mark{}
}

// say is a line of words.
func (p *prose) say(b []byte) {
	if p.quote.on && !p.foot.on {
		p.unquote()
	}
	l := p.look(b)
	if p.original(b, l); p.fixed || p.quote.on {
		return
	}
	if p.above.asks && p.own(string(b)) && len(p.older) < maxOlder {
		p.older = append(p.older, span{p.above.start, p.start + int64(len(b))})
	}
	if a := &p.para; a.lines == 0 || a.blank > 0 {
		p.para = para{spot: p.here(), words: p.words}
	}
	a := &p.para
	a.lines++
	a.last, a.lastS = l, p.here()
	p.words, p.above = true, l
}

const wideColon = "："

// look sees what a line is made of.
func (p *prose) look(b []byte) line {
	l := line{start: p.start}
	if p.long || len(b) == 0 {
		return l
	}
	last := b[len(b)-1]
	l.asks = last == ':' || last == wideColon[2] && bytes.HasSuffix(b, []byte(wideColon))
	if p.head.on {
		colon := bytes.IndexByte(b, ':')
		l.labels = colon > 0 && colon < 40 && (colon+1 == len(b) || b[colon+1] == ' ')
	}
	if !l.asks {
		return l
	}
	for _, c := range b {
		l.digit = l.digit || c >= '0' && c <= '9'
		l.at = l.at || c == '@' || c == '<'
	}
	for _, w := range [...]string{" wrote", " writes", "schrieb", "crit", "escribi", "scritto", "escreveu", "schreef"} {
		l.wrote = l.wrote || bytes.Contains(b, []byte(w))
	}
	for _, w := range [...]string{"On ", "Am ", "Le ", "El ", "Il ", "Op ", "Em ", "Den ", "Dne "} {
		l.opens = l.opens || bytes.HasPrefix(b, []byte(w))
	}
	return l
}

// original looks for the head of an original as Outlook writes it: a rule, then labelled lines.
func (p *prose) original(b []byte, l line) {
	switch {
	case p.head.on && l.labels:
		if p.head.lines++; p.head.lines == minLabels {
			if !p.headWords {
				p.sealed, p.head = true, mark{}
				return
			}
			p.quote, p.fixed = mark{on: true, spot: p.head.spot}, true
			p.sig.on = p.sig.on && p.sig.spot.at < p.head.spot.at
			return
		}
	case !p.sealed && (b[0] == '-' || b[0] == '_') && isRule(b):
		p.head, p.headWords = mark{on: true, spot: p.here()}, p.words
	default:
		p.head.on = false
	}
}

// isRule tells a line of underscores, or of words between hyphens ("-----Original Message-----").
func isRule(b []byte) bool {
	b = bytes.TrimRight(b, " ")
	if len(b) >= 20 && b[0] == '_' {
		return len(bytes.Trim(b, "_")) == 0
	}
	inner := bytes.Trim(b, "-")
	side := len(b) - len(inner)
	return side >= 6 && len(inner) >= 5 && len(inner) < 60 && bytes.HasPrefix(b, []byte("---")) && bytes.HasSuffix(b, []byte("---"))
}

// end is where the chat line goes, once all has come by.
func (p *prose) end() spot {
	if !p.fixed && p.start < p.total { // a last line without an end
		p.line(bytes.TrimSuffix(p.carry, []byte("\r")), p.total)
	}
	nl := p.start == p.total && p.total > 0
	at := spot{at: p.total, nl: nl, blank: p.blank && (nl || p.total == 0), flows: p.flows}
	switch {
	case p.sig.on:
		at = p.sig.spot
	case p.quote.on:
		at = p.quote.spot
	default:
		return at
	}
	at.joined = true
	return at
}
