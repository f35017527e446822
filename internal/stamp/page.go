package stamp

import "bytes"

// state is where in an HTML document the next byte stands. The states and their names follow the HTML standard's tokenizer, 13.2.5.
type state uint8

const (
	inText state = iota
	tagOpen
	endTagOpen
	tagName
	beforeAttribute
	attributeStart
	attributeName
	afterAttributeName
	beforeValue
	doubleQuoted
	singleQuoted
	unquoted
	markupOpen
	markupDash
	bogusComment
	comment
	commentBang
	rawText
	rawLess
	rawEndTag
	plainText
	scriptEscapeStart
	scriptEscapeDash
	scriptEscaped
	scriptEscapedLess
	scriptDoubleStart
	scriptDouble
	scriptDoubleLess
)

// maxTagName is as long as the longest name that matters.
const maxTagName = 10

// maxTag is how long a tag may be for its attributes to be read, in octets.
const maxTag = 2 << 10

// page follows an HTML document that comes by in pieces as far as needed to know where its author's words end: it tells tags from what merely looks
// like one in comments, attribute values, scripts, styles and other raw text. It sees tokens where golang.org/x/net/html sees them (a fuzz
// test holds the two together) in a fraction of the time, and keeps a tag at most.
type page struct {
	state  state
	end    bool // the tag is an end tag
	begin  bool // a comment may end at once
	dashes int  // hyphens in a row, in a comment
	name   [maxTagName]byte
	n      int                         // letters of the tag's name, maxTagName+1 for more
	raw    rawElement                  // whose text is no HTML
	off    int64                       // octets before the piece that comes by
	pos    int64                       // of the byte looked at
	token  int64                       // where the open token begins
	found  struct{ body, html ending } // the last </body>, </html>
	kept   kept
	hide   hide
	border border
}

// ending is an end tag after which there should be nothing.
type ending struct {
	behind int64     // it begins one octet before; 0 for none, since offsets count from 1
	older  oldButton // that stands right before it, if any
	hidden int64     // behind where the element begins that hides what stands before it; 0 for none
}

// kept is what a page remembers of the bytes themselves.
type kept struct {
	piece  []byte  // the one that comes by
	held   []byte  // of a tag that began in an earlier piece
	before int     // octets of the line end before that tag
	last   [2]byte // of the earlier pieces
}

// place returns where the body ends: before the last </body>, else the last </html>, else at the end, but before what is still open there.
func (p *page) place() int64 {
	switch {
	case p.found.body.behind > 0:
		return p.found.body.behind - 1
	case p.found.html.behind > 0:
		return p.found.html.behind - 1
	case p.state == inText:
		return p.off
	case p.raw.name != "":
		return p.raw.at
	}
	return p.token
}

func (p *page) write(b []byte) {
	p.kept.piece = b
	for i := 0; i < len(b); {
		if p.border.older.behind != 0 {
			p.border.older.lineEnd(b[i:])
		}
		if n := p.skip(b[i:]); n > 0 {
			if p.state == inText {
				p.border.text(b[i : i+n])
			}
			if i += n; i == len(b) {
				break
			}
		}
		p.pos = p.off + int64(i)
		if p.state == inText {
			if n := p.wholeTag(b[i:]); n > 0 {
				i += n
				continue
			}
		}
		if p.next(b[i]) {
			i++
		}
	}
	p.keep(b)
	p.off += int64(len(b))
}

// keep remembers what the next piece cannot do without.
func (p *page) keep(b []byte) {
	k := &p.kept
	if p.state >= tagOpen && p.state <= unquoted {
		if p.token >= p.off {
			k.before, k.held = p.lineEndBefore(), k.held[:0]
		}
		k.held = append(k.held, b[max(0, p.token-p.off):][:min(len(b)-int(max(0, p.token-p.off)), maxTag+1-len(k.held))]...)
	}
	switch {
	case len(b) > 1:
		k.last = [2]byte(b[len(b)-2:])
	case len(b) == 1:
		k.last = [2]byte{k.last[1], b[0]}
	}
	k.piece = nil
}

// tagBytes returns the tag that has just ended, or nil when it is too long to be looked at.
func (p *page) tagBytes() []byte {
	if p.pos+1-p.token > maxTag {
		return nil
	}
	piece := p.kept.piece[:p.pos+1-p.off]
	if p.token >= p.off {
		return piece[p.token-p.off:]
	}
	p.kept.held = append(p.kept.held, piece...)
	return p.kept.held
}

// lineEndBefore returns how many octets the line end has that stands right before the open tag, 0 for none.
func (p *page) lineEndBefore() int {
	at := int(p.token - p.off)
	if at < 0 {
		return p.kept.before
	}
	two := p.kept.last
	switch {
	case at > 1:
		two = [2]byte(p.kept.piece[at-2 : at])
	case at == 1:
		two = [2]byte{two[1], p.kept.piece[0]}
	}
	switch {
	case two[1] != '\n':
		return 0
	case two[0] == '\r':
		return 2
	}
	return 1
}

// skip returns how many bytes lie before the next that can lead out of the present state.
func (p *page) skip(b []byte) int {
	if p.state == inText && b[0] == '<' {
		return 0
	}
	await := byte('<')
	switch p.state {
	case inText, rawText:
	case doubleQuoted:
		await = '"'
	case singleQuoted:
		await = '\''
	case bogusComment:
		await = '>'
	case comment:
		if p.dashes > 0 || p.begin {
			return 0
		}
		await = '-'
	case plainText:
		return len(b)
	default:
		return 0
	}
	if n := bytes.IndexByte(b, await); n >= 0 {
		return n
	}
	return len(b)
}

func isBlank(c byte) bool {
	return c <= ' ' && (c == ' ' || c == '\n' || c == '\r' || c == '\t' || c == '\f')
}

func isLetter(c byte) bool { return c|0x20 >= 'a' && c|0x20 <= 'z' }

// next takes one byte and tells whether it is done with it; otherwise the new state looks at it again.
func (p *page) next(c byte) bool {
	switch p.state {
	case inText:
		if c == '<' {
			p.state, p.token = tagOpen, p.pos
		}
	case tagOpen, endTagOpen:
		return p.open(c)
	case tagName, beforeAttribute, attributeStart, attributeName, afterAttributeName, beforeValue, doubleQuoted, singleQuoted, unquoted:
		return p.tag(c)
	case markupOpen, markupDash, bogusComment, comment, commentBang:
		p.markup(c)
	case plainText:
	default:
		return p.rawByte(c)
	}
	return true
}

// open looks at what stands behind "<" or "</".
func (p *page) open(c byte) bool {
	end := p.state == endTagOpen
	switch {
	case isLetter(c):
		p.state, p.end, p.n = tagName, end, 0
		return false
	case end && c == '>':
		p.state = inText
	case end:
		p.state = bogusComment
		return false
	case c == '/':
		p.state = endTagOpen
	case c == '!':
		p.state = markupOpen
	case c == '?':
		p.state = bogusComment
	default:
		p.state = inText
		p.border.text([]byte{'<'})
		return false
	}
	return true
}

// tag looks at a byte inside a tag.
func (p *page) tag(c byte) bool {
	switch p.state {
	case tagName:
		if isBlank(c) || c == '/' || c == '>' {
			p.state = beforeAttribute
			return false
		}
		if p.n < maxTagName {
			if c >= 'A' && c <= 'Z' {
				c |= 0x20
			}
			p.name[p.n] = c
		}
		p.n = min(p.n+1, maxTagName+1)
	case beforeAttribute:
		switch {
		case isBlank(c):
		case c == '>':
			p.close()
		default:
			p.state = attributeStart
			return false
		}
	case attributeStart: // an equals sign here is part of the name
		p.state = attributeName
		return c == '='
	case attributeName:
		if isBlank(c) || c == '/' || c == '>' || c == '=' {
			p.state = afterAttributeName
			return false
		}
	case afterAttributeName:
		switch {
		case isBlank(c):
		case c == '=':
			p.state = beforeValue
		default:
			p.state = beforeAttribute
			return c == '/'
		}
	default:
		return p.value(c)
	}
	return true
}

// value looks at a byte of an attribute's value.
func (p *page) value(c byte) bool {
	switch {
	case p.state == doubleQuoted:
		if c == '"' {
			p.state = beforeAttribute
		}
	case p.state == singleQuoted:
		if c == '\'' {
			p.state = beforeAttribute
		}
	case p.state == beforeValue && isBlank(c):
	case p.state == beforeValue && c == '"':
		p.state = doubleQuoted
	case p.state == beforeValue && c == '\'':
		p.state = singleQuoted
	case c == '>' || isBlank(c):
		p.state = beforeAttribute
		return false
	default:
		p.state = unquoted
	}
	return true
}

// close ends a tag.
func (p *page) close() {
	p.state = inText
	switch {
	case p.n == 0 || p.n > maxTagName:
		p.border.unknown()
		return
	case p.n < 3 && p.border.part == past:
		return
	}
	name := p.name[:p.n]
	kind := kindOf(name)
	if p.end {
		switch kind {
		case kBody:
			p.found.body = ending{p.token + 1, p.border.beside(), p.hide.from}
		case kHTML:
			p.found.html = ending{p.token + 1, p.border.beside(), p.hide.from}
		}
	}
	was := p.hide.from > 0
	if was {
		p.hide.tag(p, kind, name)
	}
	if p.border.part != past {
		p.border.nesting.hidden = p.hide.from > 0 || was && !p.end // before a tag that ends a hidden paragraph, it is still open
		p.border.tag(p, kind)
		if p.hide.from > 0 && p.border.nesting.sunk {
			p.hide.end(p)
		}
	}
	if p.hide.from == 0 && !p.end {
		p.hide.begin(p, kind, name)
	}
	p.border.nesting.hidden = p.hide.from > 0
	if kind != kRaw && kind != kTrouble || p.end {
		return
	}
	switch string(name) {
	case "plaintext":
		p.state, p.raw.name, p.raw.at = plainText, "plaintext", p.token
	case "script", "style", "title", "textarea", "noscript", "iframe", "noembed", "noframes", "xmp":
		p.state, p.raw = rawText, rawElement{name: string(name), at: p.token, escape: rawText}
	}
}

// markup looks at a byte of a comment, a doctype or what passes for one.
func (p *page) markup(c byte) {
	switch p.state {
	case markupOpen, markupDash:
		switch {
		case c == '-' && p.state == markupOpen:
			p.state = markupDash
		case c == '-':
			p.state, p.begin, p.dashes = comment, true, 0
		case c == '>':
			p.state = inText
		default:
			p.state = bogusComment
		}
	case bogusComment:
		if c == '>' {
			p.state = inText
		}
	case comment:
		switch {
		case c == '-':
			p.dashes++
			return
		case c == '>' && (p.dashes >= 2 || p.begin):
			p.state = inText
		case c == '!' && p.dashes >= 2:
			p.state = commentBang
			return
		}
		p.dashes, p.begin = 0, false
	case commentBang:
		p.state, p.dashes, p.begin = comment, 0, false
		switch c {
		case '>':
			p.state = inText
		case '-':
			p.dashes = 1
		}
	}
}
