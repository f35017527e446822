package message

import (
	"bytes"
	"strings"
)

// Media is what a Content-Type field says, as far as it matters here (RFC 2045 5, RFC 3676). Names and the charset are in lower case.
type Media struct {
	Type     string // "text/plain"; "" when it cannot be read
	Charset  string
	Boundary string
	Flowed   bool   // format=flowed
	Start    string // the start parameter: the Content-ID of the root of a multipart/related (RFC 2387); "" is the first part
	Named    bool   // a name parameter: meant as a file
}

// lexer walks over a structured field value.
type lexer struct {
	b        []byte
	pos      int
	comments bool // it has seen one
	bad      bool // it has seen something that does not belong
}

// skip moves over spaces, folds and comments (RFC 5322 3.2.2), in one pass whatever the nesting.
func (l *lexer) skip() {
	depth := 0
	for ; l.pos < len(l.b); l.pos++ {
		switch c := l.b[l.pos]; {
		case c == '(':
			depth++
			l.comments = true
		case depth > 0 && c == ')':
			depth--
		case depth > 0 && c == '\\':
			l.pos++
		case depth > 0, c == ' ', c == '\t', c == '\r', c == '\n':
		default:
			return
		}
	}
	l.pos = len(l.b)
	if depth > 0 {
		l.bad = true
	}
}

func (l *lexer) peek() byte {
	if l.pos < len(l.b) {
		return l.b[l.pos]
	}
	return 0
}

func (l *lexer) eat(c byte) bool {
	if l.pos < len(l.b) && l.b[l.pos] == c {
		l.pos++
		return true
	}
	return false
}

// until returns the bytes up to the first of the stop characters, a space or a line end.
func (l *lexer) until(stop string) []byte {
	from := l.pos
	for l.pos < len(l.b) && l.b[l.pos] > ' ' && strings.IndexByte(stop, l.b[l.pos]) < 0 {
		l.pos++
	}
	return l.b[from:l.pos]
}

// quoted reads a quoted string whose opening quote is at pos; line ends inside (folds) are dropped.
func (l *lexer) quoted() []byte {
	l.pos++
	from := l.pos
	// The common case has nothing to take out.
	if n := bytes.IndexAny(l.b[from:], "\"\\\r\n"); n >= 0 && l.b[from+n] == '"' {
		l.pos = from + n + 1
		return l.b[from : from+n]
	}
	var out []byte
	for ; l.pos < len(l.b); l.pos++ {
		switch c := l.b[l.pos]; c {
		case '"':
			l.pos++
			return out
		case '\\':
			if l.pos++; l.pos < len(l.b) {
				out = append(out, l.b[l.pos])
			}
		case '\r', '\n':
		default:
			out = append(out, c)
		}
	}
	l.pos = len(l.b)
	l.bad = true
	return out
}

// parseMedia reads the value of a Content-Type field. ok is false when it is not certain what another reader makes of it.
func parseMedia(v []byte) (m Media, ok bool) {
	l := lexer{b: v}
	l.skip()
	major := l.until(`/;=",()<>@[]?`)
	l.skip()
	slash := l.eat('/')
	l.skip()
	minor := l.until(`/;=",()<>@[]?`)
	if !slash || len(major) == 0 || len(minor) == 0 {
		return m, false
	}
	m.Type = joinType(major, minor)
	ok = !l.comments
	l.skip()
	for l.pos < len(v) {
		if !l.eat(';') {
			return m, false
		}
		l.skip()
		if l.pos == len(v) || l.peek() == ';' {
			continue // a trailing or doubled semicolon harms nobody
		}
		name := l.until(`;="`)
		l.skip()
		if !l.eat('=') {
			return m, false
		}
		l.skip()
		var value []byte
		if l.peek() == '"' {
			value = l.quoted()
		} else {
			value = l.until(`;"`)
		}
		l.skip()
		ok = m.set(name, value) && ok
	}
	return m, ok && !l.bad && !l.comments
}

// set takes over one parameter; false when it is given twice or in pieces (RFC 2231 3) that must not be.
func (m *Media) set(name, value []byte) bool {
	once := func(field *string, v string) bool {
		if *field != "" || v == "" {
			return false
		}
		*field = v
		return true
	}
	switch {
	case equalFold(name, "charset"):
		return once(&m.Charset, lower(value))
	case equalFold(name, "boundary"):
		return once(&m.Boundary, string(bytes.TrimRight(value, " \t")))
	case equalFold(name, "format"):
		m.Flowed = equalFold(value, "flowed")
	case equalFold(name, "start"):
		return once(&m.Start, string(value))
	case equalFold(name, "name"):
		m.Named = true
	case bytes.IndexByte(name, '*') >= 0:
		base, _, _ := bytes.Cut(name, []byte("*"))
		if equalFold(base, "charset") || equalFold(base, "boundary") || equalFold(base, "start") {
			return false
		}
		m.Named = m.Named || equalFold(base, "name")
	}
	return true
}

// opaque tells whether nothing but the type itself matters: whatever the parameters of a picture or a document are taken for,
// no reader takes the part for text or for a multipart.
func (m *Media) opaque() bool {
	major, _, _ := strings.Cut(m.Type, "/")
	switch major {
	case "application", "image", "audio", "video", "font", "model":
		return true
	}
	return false
}

// joinType makes "text/plain" without allocating for the types that nearly every mail is made of.
func joinType(major, minor []byte) string {
	var buf [64]byte
	b := append(append(append(buf[:0], major...), '/'), minor...)
	return lower(b)
}

// lower returns b in lower case; the words that mail is full of cost no allocation.
func lower(b []byte) string {
	var buf [64]byte
	low := append(buf[:0], b...)
	for i, c := range low {
		if c >= 'A' && c <= 'Z' {
			low[i] = c + 0x20
		}
	}
	switch string(low) {
	case "text/plain":
		return "text/plain"
	case "text/html":
		return "text/html"
	case "multipart/alternative":
		return "multipart/alternative"
	case "multipart/mixed":
		return "multipart/mixed"
	case "multipart/related":
		return "multipart/related"
	case "utf-8":
		return "utf-8"
	case "us-ascii":
		return "us-ascii"
	case "7bit":
		return "7bit"
	case "8bit":
		return "8bit"
	case "quoted-printable":
		return "quoted-printable"
	case "base64":
		return "base64"
	case "attachment":
		return "attachment"
	case "inline":
		return "inline"
	}
	return string(low)
}

// parseEncoding reads a Content-Transfer-Encoding value: one token, comments allowed.
func parseEncoding(v []byte) (string, bool) {
	l := lexer{b: v}
	l.skip()
	token := l.until(`;,"()<>@[]?=`)
	l.skip()
	return lower(token), l.pos == len(v) && len(token) > 0 && !l.bad && !l.comments
}

// parseDisposition reads the kind of a Content-Disposition (RFC 2183), "" when it cannot be read, and whether it may name a file: any
// mention of a name will do, since a part is rather taken for a file than for the body.
func parseDisposition(v []byte) (kind string, named bool) {
	l := lexer{b: v}
	l.skip()
	kind = lower(l.until(`;="`))
	l.skip()
	if l.bad || l.pos < len(v) && l.peek() != ';' {
		kind = ""
	}
	return kind, containsFold(v, "name")
}

// containsFold finds a lower-case ASCII word in b in any case.
func containsFold(b []byte, word string) bool {
	for ; len(b) >= len(word); b = b[1:] {
		if equalFold(b[:len(word)], word) {
			return true
		}
	}
	return false
}
