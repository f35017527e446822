package stamp

import (
	"bytes"
	"encoding/base64"
	"fmt"

	"chmail/internal/message"
)

// maxRedo is how many characters behind the place of the link are encoded anew, since what is put in moves them all by some bits.
const maxRedo = 16 << 10

// lineWidth is how long lines of base64 are when the body does not show it (RFC 2045 6.8).
const lineWidth = 76

// base64Text reads and writes base64. Only bodies that all readers decode alike are changed: nothing but the alphabet in lines, padded at the end.
type base64Text struct {
	carry  [4]byte // characters of a quantum that is not complete
	n      int
	chars  int64 // characters so far, padding included
	pos    int64 // raw octets so far
	last   int64 // raw octets up to the last character
	edge   int64 // where on this line the next character must stand: blanks among them are read differently
	width  int   // of the first line
	column int   // characters in the line so far
	padded bool  // the padding has come: nothing may follow
	bad    bool
}

func (d *base64Text) decode(dst, raw []byte) []byte {
	var room [step + 4]byte
	n := copy(room[:], d.carry[:d.n])
	for len(raw) > 0 {
		line, eol := raw, 0
		if nl := bytes.IndexByte(raw, '\n'); nl >= 0 {
			line, eol = raw[:nl], 1
		}
		data := bytes.TrimRight(line, " \t\r")
		if len(data) > 0 {
			// The decoder would skip a CR that stands among the characters, which others do not.
			d.bad = d.bad || d.padded || d.edge != d.pos || bytes.IndexByte(data, '\r') >= 0
			n += copy(room[n:], data)
			d.column += len(data)
			d.chars += int64(len(data))
			d.last = d.pos + int64(len(data))
			d.edge = d.last
		}
		d.pos += int64(len(line) + eol)
		if eol > 0 {
			if d.width == 0 {
				d.width = d.column
			}
			d.column, d.edge = 0, d.pos
		}
		raw = raw[len(line)+eol:]
	}
	whole := n &^ 3
	d.n = copy(d.carry[:], room[whole:n])
	if d.bad {
		return dst
	}
	k, err := base64.StdEncoding.Decode(dst[:cap(dst)], room[:whole])
	d.bad = err != nil
	d.padded = d.padded || whole > 0 && room[whole-1] == '='
	return dst[:k]
}

func (d *base64Text) finish() string {
	if d.bad || d.n > 0 {
		return "malformed base64"
	}
	return ""
}

func (d *base64Text) splice(l *leaf, at int64, text []byte) (message.Splice, string, error) {
	skip := at / 3
	redo := int(min(d.chars-4*skip, maxRedo+1))
	if redo > maxRedo {
		return message.Splice{}, "too much text behind the place of the link", nil
	}
	// Enough for lines as short as they come, and for the beginning of the line in which it starts.
	end := l.off + d.last
	raw, err := message.ReadRange(l.src, max(l.off, end-int64(3*redo)-message.MaxLine), end)
	if err != nil {
		return message.Splice{}, "", fmt.Errorf("reading a part: %w", err)
	}
	from := len(raw)
	chars := make([]byte, redo) // filled from the end
	for i := redo; i > 0; {
		if from == 0 {
			return message.Splice{}, "base64 in very short lines", nil
		}
		if from--; raw[from] > ' ' {
			i--
			chars[i] = raw[from]
		}
	}
	old, err := base64.StdEncoding.AppendDecode(nil, chars)
	if err != nil {
		return message.Splice{}, "malformed base64", nil
	}
	head := int(at - 3*skip)
	fresh := append(make([]byte, 0, len(old)+len(text)+16), old[:head]...)
	fresh = append(appendLines(fresh, text, l.textEOL), old[head:]...)
	width, column := d.width, from-1-bytes.LastIndexByte(raw[:from], '\n')
	if width < 4 || width > message.MaxLine {
		width = lineWidth
	}
	ins := appendWrapped(nil, base64.StdEncoding.AppendEncode(nil, fresh), column, width, l.eol)
	if l.mustEnd {
		ins = append(ins, l.eol...)
	}
	return message.Splice{Off: end - int64(len(raw)-from), Del: int64(len(raw) - from), Ins: ins}, "", nil
}

// appendWrapped appends characters in lines of this width; column is how far the line has come.
func appendWrapped(b, chars []byte, column, width int, eol string) []byte {
	for len(chars) > 0 {
		if column >= width {
			b = append(b, eol...)
			column = 0
		}
		n := min(len(chars), width-column)
		b = append(b, chars[:n]...)
		column += n
		chars = chars[n:]
	}
	return b
}
