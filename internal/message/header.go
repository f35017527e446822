package message

import (
	"bytes"
	"strings"
)

// Limits of what is taken for a header, in octets and in fields.
const (
	MaxHeader     = windowSize
	maxPartHeader = 64 << 10
	maxFields     = 2000
)

// Span is a range [Off, End) of a message's bytes.
type Span struct{ Off, End int64 }

// Field is one header field by its place: the name begins at Off, the colon is at Colon, End is behind its
// last line end, folds included. Offsets count from the header's first byte.
type Field struct{ Off, Colon, End int }

// Header is the header of a message by byte offsets. Its fields are those before the first line that is no
// field; what a lenient reader may find behind such a line is in Stray.
type Header struct {
	Raw    []byte // the header's bytes from Off, the blank line excluded; not to be changed
	Off    int64  // where it begins; behind a leading mbox "From " line, if there is one
	Fields []Field
	End    int64 // behind the last field: where a field can be added at the bottom
	Stray  Span  // from the first line that is no field to the blank line; empty when all is well
	LF     bool  // lines end in a bare LF
}

// Name returns the name of field i as it is written.
func (h *Header) Name(i int) []byte {
	f := h.Fields[i]
	return bytes.TrimRight(h.Raw[f.Off:f.Colon], " \t")
}

// Is tells whether field i has this name, in any case (RFC 5322 1.2.2).
func (h *Header) Is(i int, name string) bool {
	f := h.Fields[i]
	// Most fields are told apart by their length alone.
	if n := f.Colon - f.Off; n < len(name) || n > len(name) && h.Raw[f.Off+len(name)] != ' ' && h.Raw[f.Off+len(name)] != '\t' {
		return false
	}
	return equalFold(h.Name(i), name)
}

// Value returns what stands behind the colon of field i, raw: folds inside, spaces around, the last line end cut off.
func (h *Header) Value(i int) []byte {
	f := h.Fields[i]
	return bytes.TrimRight(h.Raw[f.Colon+1:f.End], "\r\n")
}

// Text returns the unfolded value of field i, without spaces around it, encoded words not decoded.
func (h *Header) Text(i int) string { return Unfold(h.Value(i)) }

// Span returns the place of field i in the message, its line end included.
func (h *Header) Span(i int) Span {
	f := h.Fields[i]
	return Span{h.Off + int64(f.Off), h.Off + int64(f.End)}
}

// Find returns the index of the first field of this name, or -1.
func (h *Header) Find(name string) int {
	for i := range h.Fields {
		if h.Is(i, name) {
			return i
		}
	}
	return -1
}

// Count returns how often the header has this field.
func (h *Header) Count(name string) int {
	n := 0
	for i := range h.Fields {
		if h.Is(i, name) {
			n++
		}
	}
	return n
}

// Has tells whether the header has this field.
func (h *Header) Has(name string) bool { return h.Find(name) >= 0 }

// Get returns the unfolded value of the first field of this name, or "".
func (h *Header) Get(name string) string {
	if i := h.Find(name); i >= 0 {
		return h.Text(i)
	}
	return ""
}

// EOL is the line end of this header.
func (h *Header) EOL() string {
	if h.LF {
		return "\n"
	}
	return "\r\n"
}

// Unfold removes the line ends of a folded value (RFC 5322 2.2.3) and the spaces around it.
func Unfold(v []byte) string {
	v = bytes.Trim(v, " \t\r\n")
	if bytes.IndexByte(v, '\n') < 0 && bytes.IndexByte(v, '\r') < 0 {
		return string(v)
	}
	var b strings.Builder
	b.Grow(len(v))
	for _, c := range v {
		if c != '\r' && c != '\n' {
			b.WriteByte(c)
		}
	}
	return b.String()
}

// equalFold compares ASCII names; the second is known to be ASCII.
func equalFold(a []byte, b string) bool {
	if len(a) != len(b) {
		return false
	}
	for i, c := range a {
		d := b[i]
		if c != d && (c|0x20 != d|0x20 || c|0x20 < 'a' || c|0x20 > 'z') {
			return false
		}
	}
	return true
}

// fieldColon returns the index of the colon that ends a field name at the start of line (RFC 5322 2.2, with the obsolete
// spaces before the colon, 4.5.3), or -1 when the line is no field.
func fieldColon(line []byte) int {
	i := 0
	for i < len(line) && line[i] > ' ' && line[i] < 0x7f && line[i] != ':' {
		i++
	}
	end := i
	for i < len(line) && (line[i] == ' ' || line[i] == '\t') {
		i++
	}
	if end == 0 || i == len(line) || line[i] != ':' {
		return -1
	}
	return i
}

// headerScan is the outcome of reading one header from the bytes at its start.
type headerScan struct {
	end     int // behind the last field
	body    int // behind the blank line, or where the header was cut off
	stray   int // the first line that is no field, -1 when all are
	lf      bool
	defects Defect
}

// scanHeader finds the fields of the header at the start of b and hands them to add. full says that b reaches to the end of the message;
// delimiter tells whether a line is a delimiter of the multipart around, which ends a header as it ends anything.
func scanHeader(b []byte, full bool, delimiter func(line []byte) bool, add func(Field)) headerScan {
	s := headerScan{stray: -1}
	open, n := -1, 0 // start and colon of the field that may go on
	colon := 0
	flush := func(end int) {
		if open >= 0 {
			add(Field{open, colon, end})
			open = -1
			s.end = end
		}
	}
	for pos := 0; ; {
		nl := bytes.IndexByte(b[pos:], '\n')
		next := pos + nl + 1
		if nl < 0 {
			if !full {
				s.defects |= DefectHeaderSize
			}
			next = len(b)
		}
		line := b[pos:next]
		if len(line) == 0 {
			flush(pos)
			s.body = pos
			return s
		}
		text := bytes.TrimSuffix(line, []byte("\n"))
		if nl >= 0 {
			crlf := len(text) > 0 && text[len(text)-1] == '\r'
			if pos == 0 {
				s.lf = !crlf
			} else if s.lf == crlf {
				s.defects |= DefectMixedEOL
			}
			if crlf {
				text = text[:len(text)-1]
			}
		}
		switch {
		case len(text) == 0:
			flush(pos)
			s.body = next
			return s
		case line[0] == '-' && delimiter != nil && delimiter(line):
			flush(pos)
			s.body = pos
			return s
		case s.stray >= 0:
			// Behind the first stray line nothing is certain; only the blank line is looked for.
		case (line[0] == ' ' || line[0] == '\t') && open >= 0:
			// A continuation line.
		default:
			c := fieldColon(text)
			flush(pos)
			if c < 0 || n >= maxFields {
				s.stray = pos
				s.defects |= DefectHeader
				break
			}
			open, colon = pos, pos+c
			n++
		}
		pos = next
	}
}
