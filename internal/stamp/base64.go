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
	octets int64 // of text so far
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
	d.octets += int64(k)
	return dst[:k]
}

func (d *base64Text) finish() string {
	if d.bad || d.n > 0 {
		return "malformed base64"
	}
	return ""
}

// splice encodes anew from the first edit to the end of the body. Where too much stands behind a single edit, it makes what is put in a multiple of three
// octets by blank lines, so that what follows stays as it is.
func (d *base64Text) splice(l *leaf, edits []edit) ([]message.Splice, string, error) {
	first, last := edits[0], edits[len(edits)-1]
	skip := first.at / 3
	if rest := d.chars - 4*skip; rest <= maxRedo {
		sp, reason, err := d.redo(l, edits, skip, skip+rest/4)
		return one(sp), reason, err
	}
	if len(edits) > 1 || last.del > maxRedo {
		return nil, "too much text behind the place of the link", nil
	}
	e := edit{at: first.at, del: first.del, ins: append(make([]byte, 0, len(first.ins)+4), first.ins...)}
	for range 3 {
		if (int64(len(appendLines(nil, e.ins, l.textEOL)))-e.del)%3 == 0 {
			sp, reason, err := d.redo(l, []edit{e}, skip, (e.at+e.del+2)/3)
			return one(sp), reason, err
		}
		e.ins = append(e.ins, '\n')
	}
	return nil, "too much text behind the place of the link", nil // cannot be: 1 and 2 both have multiples of every rest
}

func one(sp message.Splice) []message.Splice { return []message.Splice{sp} }

// redo encodes the text from quantum number from up to number to anew, with the edits in it.
func (d *base64Text) redo(l *leaf, edits []edit, from, to int64) (message.Splice, string, error) {
	end := l.off + d.last
	start, err := l.quantum(4 * from)
	if err != nil {
		return message.Splice{}, "", err
	}
	start = min(start, end) // behind the last character
	whole := 4*to >= d.chars
	if !whole {
		if end, err = l.quantum(4 * to); err != nil {
			return message.Splice{}, "", err
		}
	}
	old, err := l.between(3*from, min(3*to, d.octets))
	if err != nil {
		return message.Splice{}, "", err
	}
	fresh := make([]byte, 0, len(old)+len(edits[0].ins)+64)
	at := 3 * from
	for _, e := range edits {
		fresh = append(fresh, old[at-3*from:e.at-3*from]...)
		fresh = appendLines(fresh, e.ins, l.textEOL)
		at = e.at + e.del
	}
	fresh = append(fresh, old[at-3*from:]...)
	before, err := message.ReadRange(l.src, max(l.off, start-message.MaxLine), start)
	if err != nil {
		return message.Splice{}, "", fmt.Errorf("reading a part: %w", err)
	}
	width, column := d.width, len(before)-1-bytes.LastIndexByte(before, '\n')
	if width < 4 || width > message.MaxLine {
		width = lineWidth
	}
	chars := base64.StdEncoding.AppendEncode(nil, fresh)
	ins := make([]byte, 0, len(chars)+len(chars)/width*2+4)
	if !whole && column > 0 { // in lines of their own, between the two halves of the one that was there
		ins, column = append(ins, l.eol...), 0
	}
	ins = appendWrapped(ins, chars, column, width, l.eol)
	if !whole || l.mustEnd {
		ins = append(ins, l.eol...)
	}
	return message.Splice{Off: start, Del: end - start, Ins: ins}, "", nil
}

// quantum returns the place of character n of a base64 body, or its end.
func (l *leaf) quantum(n int64) (int64, error) {
	off := l.off
	for raw, err := range l.pieces() {
		if err != nil {
			return 0, err
		}
		for i, c := range raw {
			if c > ' ' {
				if n == 0 {
					return off + int64(i), nil
				}
				n--
			}
		}
		off += int64(len(raw))
	}
	return l.end, nil
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
