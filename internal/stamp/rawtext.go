package stamp

// rawElement is an element whose text is raw: script, style and their like.
type rawElement struct {
	name    string
	at      int64 // where it begins
	escape  state // of a script: scriptEscaped or scriptDouble while a comment hides the end tag, rawText otherwise
	matched int   // letters of an end tag
}

// rawByte looks at a byte inside an element whose text is raw: only its own end tag ends it, and of a script not even that
// while it is hidden in what looks like a comment (HTML standard 13.2.5.15 to 13.2.5.31).
func (p *page) rawByte(c byte) bool {
	script := p.raw.name == "script"
	switch p.state {
	case rawText:
		if c == '<' {
			p.state = rawLess
		}
	case rawLess:
		switch {
		case c == '/':
			p.endTag(rawText)
		case c == '!' && script:
			p.state = scriptEscapeStart
		default:
			p.state = rawText
			return false
		}
	case rawEndTag:
		return p.rawEnd(c)
	case scriptEscapeStart, scriptEscapeDash:
		switch {
		case c != '-':
			p.state = rawText
			return false
		case p.state == scriptEscapeStart:
			p.state = scriptEscapeDash
		default:
			p.state, p.dashes = scriptEscaped, 2
		}
	case scriptEscaped, scriptDouble:
		p.escaped(c)
	case scriptEscapedLess:
		switch {
		case c == '/':
			p.endTag(scriptEscaped)
		case isLetter(c):
			p.state, p.raw.matched = scriptDoubleStart, 0
			return false
		default:
			p.state = rawText
			return false
		}
	case scriptDoubleStart:
		switch done, whole := p.match(c); {
		case whole:
			p.state, p.dashes = scriptDouble, 0
		case done:
			p.state, p.dashes = scriptEscaped, 0
			return false
		}
	case scriptDoubleLess:
		if c == '/' {
			p.endTag(scriptDouble)
			return true
		}
		p.state, p.dashes = scriptDouble, 0
		return false
	}
	return true
}

// escaped looks at a byte of a script inside what looks like a comment.
func (p *page) escaped(c byte) {
	switch {
	case c == '-':
		p.dashes++
		return
	case c == '<' && p.state == scriptEscaped:
		p.state = scriptEscapedLess
	case c == '<':
		p.state = scriptDoubleLess
	case c == '>' && p.dashes >= 2:
		p.state = rawText
	}
	p.dashes = 0
}

// endTag begins an end tag in raw text; back is the state to return to when it turns out to be none.
func (p *page) endTag(back state) {
	p.state, p.raw.escape, p.raw.matched = rawEndTag, back, 0
}

// match compares the next byte with the name of the raw element; done tells that the comparison is over, whole that it was the whole name.
func (p *page) match(c byte) (done, whole bool) {
	if p.raw.matched < len(p.raw.name) {
		if l := p.raw.name[p.raw.matched]; c != l && c != l-0x20 {
			return true, false
		}
		p.raw.matched++
		return false, false
	}
	return true, isBlank(c) || c == '/' || c == '>'
}

// rawEnd looks at a byte of what may be the end tag of the raw element.
func (p *page) rawEnd(c byte) bool {
	done, whole := p.match(c)
	switch {
	case !done:
		return true
	case !whole:
		p.state, p.dashes = p.raw.escape, 0
		return false
	case p.raw.escape == scriptDouble: // it ends the script inside the comment, not the script
		p.state, p.dashes = scriptEscaped, 0
		return true
	}
	// An end tag as any other; which one does not matter. Should it never end, the place is still before the element.
	p.state, p.end, p.n, p.raw.name = beforeAttribute, true, 0, ""
	return false
}
