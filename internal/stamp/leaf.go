package stamp

import (
	"bytes"
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
	unicode  bool   // text outside ASCII can be written
	eol      string // line end of the raw body
	textEOL  string // line end of the decoded text; "" when there was none yet
	mustEnd  bool   // what stands behind the body would join its last line
	root     bool   // the body is the message's own, not a part's
	code     transfer
	scratch  []byte // room for the text of one step
	seen     marks
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
	// splice makes the splice that puts text, with LF line ends, before octet at of the decoded text, or says why it cannot.
	splice(l *leaf, at int64, text []byte) (message.Splice, string, error)
}

// carries tells what can be written into a text of this charset: nothing, ASCII, or any character.
func carries(charset string) (ascii, unicode bool) {
	switch charset {
	case "", "us-ascii", "ascii", "ansi_x3.4-1968":
		return true, false
	case "utf-8", "utf8":
		return true, true
	}
	return false, false
}

// openLeaf prepares part i for stamping, or says why it must be left alone.
func openLeaf(src message.Source, tree *message.Tree, i int) (*leaf, string) {
	p := &tree.Parts[i]
	l := &leaf{src: src, off: p.Body, end: p.End, html: p.Media.Type == "text/html", flowed: p.Media.Flowed, root: i == 0}
	ascii, unicode := carries(p.Media.Charset)
	switch {
	case !ascii:
		return nil, "charset " + message.DecodeText(p.Media.Charset, 40)
	case p.Body <= p.Fields:
		return nil, "no body"
	}
	l.unicode = unicode
	switch p.Encoding {
	case "7bit":
		l.code, l.unicode = identity{}, false
	case "8bit":
		l.code = identity{}
	case "quoted-printable":
		l.code, l.scratch = &quoted{}, make([]byte, 0, step+4)
	case "base64":
		l.code, l.scratch = &base64Text{}, make([]byte, 0, step+4)
	default:
		return nil, "transfer encoding " + message.DecodeText(p.Encoding, 40)
	}
	return l, ""
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
	return l.seen.reason(), nil
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

func (identity) splice(l *leaf, at int64, text []byte) (message.Splice, string, error) {
	return message.Splice{Off: l.off + at, Ins: appendLines(nil, text, l.eol)}, "", nil
}
