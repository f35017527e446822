package stamp

import (
	"bytes"
	"fmt"

	"chmail/internal/message"
)

// quoted reads and writes quoted-printable (RFC 2045 6.7). What is no valid escape stands for itself, as readers have it.
type quoted struct {
	held  [2]byte // '=' and what followed it so far
	n     int     // bytes in held
	blank bool    // blanks follow held: transport padding before a line end
}

func (q *quoted) decode(dst, raw []byte) []byte {
	for len(raw) > 0 {
		if q.n == 0 {
			eq := bytes.IndexByte(raw, '=')
			if eq < 0 {
				return append(dst, raw...)
			}
			dst = append(dst, raw[:eq]...)
			raw = raw[eq+1:]
			q.held[0], q.n, q.blank = '=', 1, false
			continue
		}
		dst, raw = q.escape(dst, raw)
	}
	return dst
}

// escape takes the next byte behind '='.
func (q *quoted) escape(dst, raw []byte) (rest, left []byte) {
	c := raw[0]
	if q.n == 1 {
		switch {
		case c == '\n':
			q.n = 0 // a soft line break
			return dst, raw[1:]
		case c == ' ' || c == '\t':
			q.blank = true
			return dst, raw[1:]
		case c == '\r' || !q.blank && unhex(c) >= 0:
			q.held[1], q.n = c, 2
			return dst, raw[1:]
		}
		q.n = 0
		return append(dst, '='), raw
	}
	q.n = 0
	if q.held[1] == '\r' {
		if c == '\n' {
			return dst, raw[1:]
		}
		return append(dst, "=\r"...), raw
	}
	if lo := unhex(c); lo >= 0 {
		return append(dst, byte(unhex(q.held[1])<<4|lo)), raw[1:]
	}
	return append(dst, q.held[:2]...), raw
}

func (q *quoted) finish() string {
	if q.n == 2 && q.held[1] != '\r' {
		return "broken quoted-printable" // an escape cut off at the very end: what is put behind it would become a part of it
	}
	return ""
}

// unhex returns the value of a hexadecimal digit, or -1.
func unhex(c byte) int {
	switch {
	case c >= '0' && c <= '9':
		return int(c - '0')
	case c >= 'A' && c <= 'F':
		return int(c-'A') + 10
	case c >= 'a' && c <= 'f':
		return int(c-'a') + 10
	}
	return -1
}

// find returns the place of the raw byte where octet at of the decoded text begins; open tells that the body ends there in a soft line
// break whose line end is not part of it.
func (q *quoted) find(l *leaf, at int64) (place int64, open bool, err error) {
	var d quoted
	off, done := l.off, int64(0) // raw and decoded octets so far
	for raw, err := range l.pieces() {
		if err != nil {
			return 0, false, err
		}
		saved := d
		n := int64(len(d.decode(l.scratch, raw)))
		if done+n > at {
			return off + int64(saved.locate(raw, int(at-done))), false, nil
		}
		done += n
		off += int64(len(raw))
	}
	return l.end, d.n == 1 || d.n == 2 && d.held[1] == '\r', nil
}

// locate returns the index in raw where octet at of its text begins; negative when that is in the piece before.
func (q *quoted) locate(raw []byte, at int) int {
	var room [4]byte
	for i := 0; i < len(raw); i++ {
		if q.n == 0 && raw[i] != '=' { // a run of octets that stand for themselves
			run := bytes.IndexByte(raw[i:], '=')
			if run < 0 {
				run = len(raw) - i
			}
			if at < run {
				return i + at
			}
			at -= run
			i += run - 1
			continue
		}
		held := q.n
		n := len(q.decode(room[:0], raw[i:i+1]))
		switch {
		case at >= n:
			at -= n
		case n == 1 && held == 2: // a whole escape
			return i - 2
		case at == n-1 && q.n == 0:
			return i
		default: // inside a broken escape, which stands for itself
			return i - held + at
		}
	}
	return len(raw)
}

func (q *quoted) splice(l *leaf, edits []edit) ([]message.Splice, string, error) {
	s := make([]message.Splice, 0, len(edits))
	for _, e := range edits {
		one, reason, err := q.one(l, e)
		if err != nil || reason != "" {
			return nil, reason, err
		}
		s = append(s, one)
	}
	return s, "", nil
}

func (q *quoted) one(l *leaf, e edit) (message.Splice, string, error) {
	pos, open, err := q.find(l, e.at)
	if err != nil {
		return message.Splice{}, "", err
	}
	behind := pos
	if e.del > 0 {
		if behind, _, err = q.find(l, e.at+e.del); err != nil {
			return message.Splice{}, "", err
		}
	}
	before, err := message.ReadRange(l.src, max(l.off, pos-2*quotedWidth), pos)
	if err != nil {
		return message.Splice{}, "", fmt.Errorf("reading a part: %w", err)
	}
	fresh := len(before) == 0 || before[len(before)-1] == '\n'
	if bytes.HasSuffix(bytes.TrimRight(before, " \t"), []byte("=")) && !open {
		return message.Splice{}, "broken quoted-printable", nil // with a line end behind it, it would be another thing
	}
	b := make([]byte, 0, len(e.ins)+len(e.ins)/4+64)
	switch {
	case open, !fresh && len(before)-1-bytes.LastIndexByte(before, '\n') >= quotedWidth: // no room for the '=' of a soft line break
		b = append(b, l.eol...)
	case !fresh && len(e.ins) > 0 && e.ins[0] != '\n':
		b = append(append(b, '='), l.eol...)
	}
	b = appendQuoted(b, e.ins, l.eol)
	return message.Splice{Off: pos, Del: behind - pos, Ins: b}, "", nil
}

// quotedWidth is how long lines of quoted-printable may be (RFC 2045 6.7).
const quotedWidth = 76

// appendQuoted encodes text that begins at the start of a line.
func appendQuoted(b, text []byte, eol string) []byte {
	const hex = "0123456789ABCDEF"
	column := 0
	for i, c := range text {
		if c == '\n' {
			b = append(b, eol...)
			column = 0
			continue
		}
		width := 1
		last := i+1 == len(text) || text[i+1] == '\n'
		if c == '=' || c < ' ' || c >= 0x7f || c == ' ' && last {
			width = 3
		}
		if column+width > quotedWidth || column+width == quotedWidth && !last { // room for the '=' of a soft line break
			b = append(append(b, '='), eol...)
			column = 0
		}
		if width == 1 {
			b = append(b, c)
		} else {
			b = append(b, '=', hex[c>>4], hex[c&15])
		}
		column += width
	}
	return b
}
