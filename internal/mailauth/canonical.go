package mailauth

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"hash"
	"strings"

	"chmail/internal/message"
)

// relaxed is a header field in its relaxed form, without a line end (RFC 6376 3.4.2).
func relaxed(raw []byte) []byte {
	name, value, _ := bytes.Cut(raw, []byte(":"))
	out := append(bytes.ToLower(bytes.TrimSpace(name)), ':')
	return append(out, bytes.Join(bytes.FieldsFunc(value, blank), []byte(" "))...)
}

func blank(r rune) bool { return r == ' ' || r == '\t' || r == '\r' || r == '\n' }

// canonicalField is a field in either form, without its last line end.
func canonicalField(raw []byte, form string) []byte {
	if form == "relaxed" {
		return relaxed(raw)
	}
	return bytes.TrimRight(raw, "\r\n")
}

// withoutSignature is a field whose b= is empty (RFC 6376 3.7).
func withoutSignature(raw []byte) []byte {
	name, value, _ := bytes.Cut(raw, []byte(":"))
	out := append(bytes.Clone(name), ':')
	for i, piece := range bytes.Split(value, []byte(";")) {
		if i > 0 {
			out = append(out, ';')
		}
		if eq := bytes.IndexByte(piece, '='); eq >= 0 && string(bytes.TrimSpace(piece[:eq])) == "b" {
			piece = piece[:eq+1]
		}
		out = append(out, piece...)
	}
	return out
}

// bodyHash is the SHA-256 of a body in one of the two forms (RFC 6376 3.4.3 and 3.4.4), in one pass whose time grows with the body alone.
func bodyHash(src message.Source, off int64, form string) ([]byte, error) {
	b := bodyForm{h: sha256.New(), relaxed: form == "relaxed"}
	for p, err := range message.Pieces(src, off, src.Size(), piece) {
		if err != nil {
			return nil, fmt.Errorf("reading a body: %w", err)
		}
		b.write(p)
	}
	return b.sum(), nil
}

// bodyForm hashes a body. What may turn out to be its end, or the end of a line, is only counted.
type bodyForm struct {
	h       hash.Hash
	relaxed bool
	lines   int  // line ends since the last octet that counts
	blank   bool // relaxed: white space since the last octet of the line
	cr      bool // the last octet was CR
	any     bool // something was hashed
	out     []byte
}

func (b *bodyForm) write(p []byte) {
	for len(p) > 0 {
		if n := plain(p); n > 0 { // most of a mail is that
			if b.cr {
				b.cr = false
				b.octet('\r')
			}
			b.octet(p[0])
			b.putAll(p[1:n])
			p = p[n:]
			continue
		}
		b.special(p[0])
		p = p[1:]
	}
}

// plain is how many octets at the beginning stand for themselves in both forms.
func plain(p []byte) int {
	for i, c := range p {
		if c == ' ' || c == '\n' || c == '\r' || c == '\t' {
			return i
		}
	}
	return len(p)
}

// special takes an octet that is white space or part of a line end.
func (b *bodyForm) special(c byte) {
	cr := b.cr
	b.cr = c == '\r'
	if c == '\n' {
		b.lines++
		b.blank = false
		return
	}
	if cr { // a lone one, which waited for what follows
		b.octet('\r')
	}
	switch {
	case b.cr:
	case b.relaxed:
		b.blank = true
	default:
		b.octet(c)
	}
}

// octet takes one that is neither white space at the end of a line nor part of a line end.
func (b *bodyForm) octet(c byte) {
	for ; b.lines > 0; b.lines-- {
		b.put('\r')
		b.put('\n')
	}
	if b.blank {
		b.put(' ')
		b.blank = false
	}
	b.put(c)
	b.any = true
}

func (b *bodyForm) put(c byte) {
	if len(b.out) == cap(b.out) {
		b.flush()
	}
	b.out = append(b.out, c)
}

func (b *bodyForm) putAll(p []byte) {
	if len(p) > cap(b.out)-len(b.out) {
		b.flush()
	}
	if len(p) > cap(b.out) {
		b.h.Write(p)
		return
	}
	b.out = append(b.out, p...)
}

// flush hashes what has been gathered, since hashing is quick only for much at once.
func (b *bodyForm) flush() {
	if b.out == nil {
		b.out = make([]byte, 0, 8<<10)
	}
	b.h.Write(b.out)
	b.out = b.out[:0]
}

// sum ends the body with one line end; only a relaxed one may be empty.
func (b *bodyForm) sum() []byte {
	if b.cr {
		b.octet('\r')
	}
	b.h.Write(b.out)
	if b.any || !b.relaxed {
		b.h.Write([]byte("\r\n"))
	}
	return b.h.Sum(nil)
}

// picked are the fields that h= names, each name the lowest field not yet taken (RFC 6376 5.4.2), in canonical form with line ends.
func (h *header) picked(names []string, form string) []byte {
	byName := make(map[string][]int)
	for i := range h.fields {
		name := strings.ToLower(h.fields[i].name)
		byName[name] = append(byName[name], i)
	}
	var out []byte
	for _, n := range names {
		n = strings.ToLower(n)
		if left := byName[n]; len(left) > 0 {
			out = append(append(out, canonicalField(h.fields[left[len(left)-1]].raw, form)...), "\r\n"...)
			byName[n] = left[:len(left)-1]
		}
	}
	return out
}
