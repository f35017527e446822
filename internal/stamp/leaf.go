package stamp

import (
	"bytes"
	"fmt"
	"io"
	"iter"

	"chmail/internal/message"
)

// step is how much of a part is decoded at once, and of a part that is not in memory read at once.
const step = 4 << 10

// leaf is a part that is to carry the link.
type leaf struct {
	src      message.Source
	off, end int64 // its body
	html     bool
	flowed   bool
	charset  charset
	eightBit bool // its encoding carries octets outside ASCII
	encoding string
	code     transfer
	scratch  []byte // room for the text of one step
	masked   []byte // the same with its ISO 2022 parts covered
	shift    shifts
	seen     marks
	layout
}

// layout is how a body stands in its message.
type layout struct {
	eol     string // line end of the raw body
	textEOL string // line end of the decoded text; "" when there was none yet
	mustEnd bool   // what stands behind the body would join its last line
	root    bool   // the body is the message's own, not a part's
}

// edit replaces del octets of the decoded text at octet at by ins, which has LF line ends.
type edit struct {
	at, del int64
	ins     []byte
}

// transfer is a content transfer encoding (RFC 2045 6).
type transfer interface {
	// decode returns the text of the next raw bytes, at most a few more than they are, appended to dst or as they stand.
	decode(dst, raw []byte) []byte
	// finish says why the body cannot be changed, once all has been decoded; "" when it can.
	finish() string
	// splice makes the splices for edits that are in order and do not overlap, or says why it cannot.
	splice(l *leaf, edits []edit) ([]message.Splice, string, error)
}

// openLeaf prepares part i for stamping, or says why it must be left alone.
func openLeaf(src message.Source, tree *message.Tree, i int) (*leaf, string) {
	p := &tree.Parts[i]
	l := &leaf{src: src, off: p.Body, end: p.End, html: p.Media.Type == "text/html", flowed: p.Media.Flowed, encoding: p.Encoding, layout: layout{root: i == 0}}
	c, ok := charsetOf(p.Media.Charset)
	switch {
	case !ok:
		return nil, "charset " + message.DecodeText(p.Media.Charset, 40)
	case p.Body <= p.Fields:
		return nil, "no body"
	}
	l.charset, l.eightBit = c, p.Encoding != "7bit"
	if l.code = newTransfer(p.Encoding); l.code == nil {
		return nil, "transfer encoding " + message.DecodeText(p.Encoding, 40)
	}
	if p.Encoding == "quoted-printable" || p.Encoding == "base64" {
		l.scratch = make([]byte, 0, step+4)
	}
	if c.shifted {
		l.masked = make([]byte, 0, step+4)
	}
	return l, ""
}

// newTransfer begins to decode a transfer encoding; nil for one that cannot be written.
func newTransfer(encoding string) transfer {
	switch encoding {
	case "7bit", "8bit", "binary":
		return identity{}
	case "quoted-printable":
		return &quoted{}
	case "base64":
		return &base64Text{}
	}
	return nil
}

// surroundings looks at the bytes before and behind the body.
func (l *leaf) surroundings() error {
	around, err := message.ReadRange(l.src, max(0, l.off-2), l.off) // a blank line precedes every body
	if err != nil {
		return err
	}
	if l.eol = "\n"; around[0] == '\r' {
		l.eol = "\r\n"
	}
	if l.end == l.src.Size() {
		return nil
	}
	behind, err := message.ReadRange(l.src, l.end, l.end+1)
	if err != nil {
		return err
	}
	l.mustEnd = behind[0] != '\r' && behind[0] != '\n'
	return nil
}

// read decodes the whole body and shows the text to sink piece by piece. It says why the body must be left alone, if it must.
func (l *leaf) read(sink func([]byte)) (reason string, err error) {
	if err := l.surroundings(); err != nil {
		return "", err
	}
	rawEOL := ""
	for raw, err := range l.pieces() {
		if err != nil {
			return "", err
		}
		if rawEOL == "" {
			rawEOL = lineEnd(raw)
		}
		text := l.code.decode(l.scratch, raw)
		if l.textEOL == "" {
			l.textEOL = lineEnd(text)
		}
		l.seen.write(text)
		if l.charset.shifted {
			text = l.shift.mask(l.masked, text)
		}
		sink(text)
	}
	if rawEOL != "" {
		l.eol = rawEOL
	}
	if l.textEOL == "" {
		l.textEOL = "\r\n"
	}
	if reason := l.code.finish(); reason != "" {
		return reason, nil
	}
	if l.charset.shifted {
		l.seen.escape = false
	}
	return l.seen.reason(), nil
}

// between decodes the body once more and returns the octets [from, to) of its text.
func (l *leaf) between(from, to int64) ([]byte, error) {
	out := make([]byte, 0, to-from)
	if from == to {
		return out, nil
	}
	for at, text := range l.again() {
		if text == nil {
			break
		}
		if end := at + int64(len(text)); end > from {
			out = append(out, text[max(0, from-at):min(int64(len(text)), to-at)]...)
			if end >= to {
				return out, nil
			}
		}
	}
	return nil, fmt.Errorf("reading octets %d to %d of a text: %w", from, to, io.ErrUnexpectedEOF)
}

// asciiAt tells whether what is put in before octet at of the text would be read as ASCII.
func (l *leaf) asciiAt(at int64) bool {
	if !l.charset.shifted {
		return true
	}
	var s shifts
	for off, text := range l.again() {
		if off >= at || text == nil {
			break
		}
		s.mask(l.masked, text[:min(int64(len(text)), at-off)])
	}
	return s.plain()
}

// again decodes the body once more: the text piece by piece, each with its place. A piece that is nil says that the body could not be read.
func (l *leaf) again() iter.Seq2[int64, []byte] {
	return func(yield func(int64, []byte) bool) {
		code, at := newTransfer(l.encoding), int64(0)
		for raw, err := range l.pieces() {
			if err != nil {
				yield(at, nil)
				return
			}
			text := code.decode(l.scratch, raw)
			if len(text) > 0 && !yield(at, text) {
				return
			}
			at += int64(len(text))
		}
	}
}

// differs takes out the edits that would change nothing.
func (l *leaf) differs(edits []edit) ([]edit, error) {
	var left []edit
	for _, e := range edits {
		if e.del > 0 {
			old, err := l.between(e.at, e.at+e.del)
			if err != nil {
				return nil, err
			}
			if bytes.Equal(old, appendLines(nil, e.ins, l.textEOL)) {
				continue
			}
		}
		left = append(left, e)
	}
	return left, nil
}

// pieces is the raw body, bit by bit.
func (l *leaf) pieces() iter.Seq2[[]byte, error] { return message.Pieces(l.src, l.off, l.end, step) }

// lineEnd returns the first line end in b, or "".
func lineEnd(b []byte) string {
	switch i := bytes.IndexByte(b, '\n'); {
	case i > 0 && b[i-1] == '\r':
		return "\r\n"
	case i >= 0:
		return "\n"
	}
	return ""
}

// appendLines appends text with its line ends as they are wanted.
func appendLines(b, text []byte, eol string) []byte {
	for {
		nl := bytes.IndexByte(text, '\n')
		if nl < 0 {
			return append(b, text...)
		}
		b = append(append(b, text[:nl]...), eol...)
		text = text[nl+1:]
	}
}

// armour begins what OpenPGP has signed or encrypted inside a text (RFC 9580 6.2).
const armour = "-----BEGIN PGP "

// inlinePGP is the reason that speaks for the whole mail: what such a text says, its other parts only repeat.
const inlinePGP = "inline PGP"

// marks notices in a text that comes by in pieces what says that it is none to write into.
type marks struct {
	armour, nul, escape bool
	last                [len(armour) - 1]byte
	n                   int
}

func (m *marks) write(p []byte) {
	if len(p) == 0 {
		return
	}
	m.nul = m.nul || bytes.IndexByte(p, 0) >= 0
	m.escape = m.escape || bytes.IndexByte(p, 0x1b) >= 0
	if m.armour {
		return
	}
	var joint [2 * len(armour)]byte
	n := copy(joint[:], m.last[:m.n])
	n += copy(joint[n:], p[:min(len(p), len(armour))])
	m.armour = bytes.Contains(joint[:n], []byte(armour)) || bytes.Contains(p, []byte(armour))
	if len(p) >= len(m.last) {
		m.n = copy(m.last[:], p[len(p)-len(m.last):])
		return
	}
	m.n = copy(m.last[:], joint[max(0, n-len(m.last)):n])
}

func (m *marks) reason() string {
	switch {
	case m.armour:
		return inlinePGP
	case m.nul:
		return "NUL in the text"
	case m.escape:
		return "escape sequences in the text"
	}
	return ""
}

// identity is 7bit and 8bit.
type identity struct{}

func (identity) decode(_, raw []byte) []byte { return raw }
func (identity) finish() string              { return "" }

func (identity) splice(l *leaf, edits []edit) ([]message.Splice, string, error) {
	s := make([]message.Splice, 0, len(edits))
	for _, e := range edits {
		s = append(s, message.Splice{Off: l.off + e.at, Del: e.del, Ins: appendLines(nil, e.ins, l.eol)})
	}
	return s, "", nil
}
