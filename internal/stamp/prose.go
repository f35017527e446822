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

// span is a range of the decoded text. An uncertain one may be somebody else's.
type span struct {
	from, to  int64
	uncertain bool
}

// prose reads a text that comes by in pieces and finds where its author's own words end: above what he quotes, above his signature. It looks at a line at a time
// and keeps none.
type prose struct {
	reading
	borders

	words bool  // the author has said something
	ends  int64 // of the last line that is not empty
	blank bool  // the last line was empty, or there was none
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
	sig    mark // where a signature may have begun
	sigs   int  // lines "-- " in the author's part: with two of them nobody knows
	quote  mark // where what he quotes begins; everything behind it is quoted, blank, or a signature
	foot   mark // a signature behind the quote
	head   head
	doubt  bool // some of what came by may be somebody else's words
	fixed  bool // all that follows is the original
	sealed bool // all is the original: the author has said nothing
}

// para is a run of lines that are neither empty nor quoted.
type para struct {
	spot   spot // its beginning
	words  bool // there were words before it
	begins bool // as attributions do
	lines  int
	blank  int // empty lines behind it
	last   line
	lastS  spot // the beginning of its last line
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
	p.blank, p.ends = false, p.start+int64(len(b))
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
		if first := p.look(bytes.TrimPrefix(b[1:], []byte(" "))); !ok && first.opens && first.dated && first.lead {
			at, ok = p.here(), p.words && !p.sealed // as Apple Mail does: the first line quoted is the attribution
		}
		p.quote = mark{on: ok, spot: at}
		p.sig.on = p.sig.on && ok && p.sig.spot.at < at.at
	}
	p.para, p.above, p.head = para{}, line{}, head{}
}

// attribution returns where the line begins that says who is quoted: the paragraph above, or its last line, when that is certain.
func (p *prose) attribution() (spot, bool) {
	a := &p.para
	switch {
	case p.sealed || a.lines == 0 || a.blank > 1:
		return spot{}, false
	case a.last.wrote && a.lines == 1 && a.spot.blank && a.words:
		return a.spot, true
	case !a.last.lead:
		return spot{}, false
	case a.spot.blank && a.words && (a.lines == 1 || a.lines <= maxAttribution && a.begins):
		return a.spot, true
	case a.last.opens && a.last.dated && (a.words || a.lines > 1):
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
		p.sig = mark{on: p.sigs == 1 && !p.sealed && !p.doubt, spot: p.here()}
	}
	p.para, p.above, p.head = para{}, line{}, head{}
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
		p.older = append(p.older, span{p.above.start, p.start + int64(len(b)), p.sealed || p.doubt})
	}
	// Behind a line that says who wrote, or in a patch, may stand somebody else's words.
	p.doubt = p.doubt || p.para.last.asks && p.para.last.lead || bytes.HasPrefix(b, []byte("@@ -")) || bytes.HasPrefix(b, []byte("+++ "))
	if a := &p.para; a.lines == 0 || a.blank > 0 {
		p.para = para{spot: p.here(), words: p.words, begins: opensAttribution(b) || hasYear(b)}
	}
	a := &p.para
	a.lines++
	a.last, a.lastS = l, p.here()
	p.words, p.above = true, l
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
