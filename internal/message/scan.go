package message

import (
	"bytes"
)

// Limits of a message's structure. What goes beyond is not followed, and the tree says so.
const (
	MaxDepth    = 100
	MaxParts    = 10_000
	maxBoundary = 200 // octets; RFC 2046 5.1.1 allows 70
)

// Defect is a set of reasons why the structure of a message is not certain, or not whole.
type Defect uint32

// The defects. Each is one bit.
const (
	DefectHeader       Defect = 1 << iota // a line in a header that is no field
	DefectHeaderSize                      // a header beyond its limit; what follows was not looked at
	DefectMixedEOL                        // CRLF and bare LF in one header
	DefectMedia                           // a Content-Type, encoding or disposition that readers may take differently
	DefectDuplicate                       // one of the content fields twice
	DefectBoundary                        // a multipart without a usable boundary
	DefectDelimiter                       // a line that some readers take for a delimiter and some do not
	DefectUnterminated                    // a multipart without its closing delimiter
	DefectEmpty                           // a multipart without a part
	DefectEncoded                         // a multipart in quoted-printable or base64
	DefectDepth                           // nested deeper than MaxDepth
	DefectParts                           // more than MaxParts parts
)

// String names the first defect in plain words.
func (d Defect) String() string {
	words := [...]string{
		"a header line that is no field", "a header too large", "mixed line ends", "an unclear content field", "a content field given twice",
		"a multipart without boundary", "an ambiguous delimiter", "a multipart without end", "a multipart without parts", "an encoded multipart",
		"nested too deeply", "too many parts",
	}
	for i, w := range words {
		if d&(1<<i) != 0 {
			return w
		}
	}
	return ""
}

// Part is one entity of a message: the message itself, a multipart or a leaf. A message/rfc822 is a leaf.
type Part struct {
	Parent      int   // index in Tree.Parts; -1 for the message itself
	Depth       int   // 0 for the message itself
	Off         int64 // first byte of its header
	Fields      int64 // behind the last field of its header
	Body, End   int64 // its body; the line end before a delimiter belongs to the delimiter (RFC 2046 5.1.1)
	Delim       Span  // the delimiter line that began it, without the line end before; empty for the message itself
	Close       Span  // a multipart's closing delimiter line
	Media       Media
	Encoding    string // transfer encoding in lower case; "7bit" when none is given
	Disposition string // "attachment", "inline", …; "" when none is given
	Named       bool   // it has a file name
	TypeField   Span   // its Content-Type field; empty when it has none
	CodeField   Span   // its Content-Transfer-Encoding field; empty when it has none
	Defects     Defect
}

// Multipart tells whether the part is made of parts.
func (p *Part) Multipart() bool {
	return len(p.Media.Type) > 10 && p.Media.Type[:10] == "multipart/"
}

// Tree is the structure of a message by byte offsets. Parts are in the order of their beginnings; the children of a part are
// those that name it as Parent.
type Tree struct {
	Head    Header // of the message itself
	Parts   []Part // Parts[0] is the message itself
	Defects Defect // of all parts together
	Size    int64
}

// Children returns the indexes of the parts directly inside part i.
func (t *Tree) Children(i int) []int {
	var c []int
	for k := i + 1; k < len(t.Parts) && t.Parts[k].Depth > t.Parts[i].Depth; k++ {
		if t.Parts[k].Parent == i {
			c = append(c, k)
		}
	}
	return c
}

// level is an open multipart.
type level struct {
	part     int
	boundary string
}

type scanner struct {
	w      *window
	t      *Tree
	open   []level // multiparts whose closing delimiter is still to come, outermost first
	cur    int     // innermost part whose end is not known yet
	budget int64   // comparisons with boundaries left, so that hostile input stays linear
}

// Scan finds the structure of a message in one pass: linear time, and of a large message only a window in memory. Whatever the
// bytes are, it returns a tree; an error is an error of reading src.
func Scan(src Source) (*Tree, error) {
	t := &Tree{Size: src.Size(), Parts: make([]Part, 0, 4)}
	s := &scanner{w: newWindow(src), t: t, budget: 1<<20 + t.Size/8}
	s.root()
	if len(s.open) > 0 {
		s.body(t.Parts[s.cur].Body)
	}
	s.endAll(0, t.Size)
	for i := range t.Parts {
		p := &t.Parts[i]
		if p.Multipart() && p.Defects&(DefectBoundary|DefectDepth) == 0 {
			if p.Close == (Span{}) {
				p.Defects |= DefectUnterminated
			}
			if i+1 == len(t.Parts) || t.Parts[i+1].Parent != i {
				p.Defects |= DefectEmpty
			}
		}
		t.Defects |= p.Defects
	}
	return t, s.w.err
}

// root reads the message's own header, which is kept as a whole.
func (s *scanner) root() {
	h := &s.t.Head
	b := s.w.at(0, MaxHeader)
	if len(b) > MaxHeader {
		b = b[:MaxHeader]
	}
	mbox := 0
	for _, mark := range [...]string{"From ", ">From "} {
		// A line that mbox files put before each message (RFC 4155); no mail begins so.
		if nl := bytes.IndexByte(b, '\n'); nl >= 0 && bytes.HasPrefix(b, []byte(mark)) {
			mbox = nl + 1
		}
	}
	b = b[mbox:]
	h.Off = int64(mbox)
	h.Fields = make([]Field, 0, 24)
	hs := scanHeader(b, h.Off+int64(len(b)) == s.t.Size, nil, func(f Field) { h.Fields = append(h.Fields, f) })
	h.Raw, h.LF = b[:hs.body:hs.body], hs.lf
	if !s.w.mem {
		h.Raw = bytes.Clone(h.Raw)
	}
	h.End = h.Off + int64(hs.end)
	if hs.stray >= 0 {
		h.Stray = Span{h.Off + int64(hs.stray), h.Off + int64(hs.body)}
	}
	p := Part{Parent: -1, Off: h.Off, Fields: h.End, Body: h.Off + int64(hs.body), Defects: hs.defects}
	for _, f := range h.Fields {
		p.content(h.Raw, h.Off, f)
	}
	s.add(p, "text/plain")
}

// content takes over what a content field says.
func (p *Part) content(raw []byte, off int64, f Field) {
	name := raw[f.Off:f.Colon]
	if len(name) < 12 || name[0]|0x20 != 'c' || name[7] != '-' {
		return
	}
	name = bytes.TrimRight(name, " \t")
	value := bytes.TrimRight(raw[f.Colon+1:f.End], "\r\n")
	at := Span{off + int64(f.Off), off + int64(f.End)}
	switch {
	case equalFold(name, "Content-Type"):
		if p.TypeField != (Span{}) {
			p.Defects |= DefectDuplicate
			return
		}
		m, ok := parseMedia(value)
		if !ok && !m.opaque() {
			p.Defects |= DefectMedia
		}
		p.Media, p.TypeField = m, at
	case equalFold(name, "Content-Transfer-Encoding"):
		if p.CodeField != (Span{}) {
			p.Defects |= DefectDuplicate
			return
		}
		e, ok := parseEncoding(value)
		if !ok {
			p.Defects |= DefectMedia
		}
		p.Encoding, p.CodeField = e, at
	case equalFold(name, "Content-Disposition"):
		if p.Disposition != "" {
			p.Defects |= DefectDuplicate
			return
		}
		kind, named := parseDisposition(value)
		if kind == "" {
			p.Defects |= DefectMedia
		}
		p.Disposition, p.Named = kind, p.Named || named
	}
}

// add appends a part and, when it is a multipart that can be followed, opens it.
func (s *scanner) add(p Part, kind string) {
	if p.TypeField == (Span{}) {
		p.Media.Type = kind
	}
	if p.CodeField == (Span{}) {
		p.Encoding = "7bit"
	}
	p.Named = p.Named || p.Media.Named
	index := len(s.t.Parts)
	s.cur = index
	if p.Multipart() {
		b := p.Media.Boundary
		switch {
		case b == "" || len(b) > maxBoundary || bytes.ContainsAny([]byte(b), "\r\n"):
			p.Defects |= DefectBoundary
		case p.Depth >= MaxDepth:
			p.Defects |= DefectDepth
		default:
			for _, l := range s.open {
				if l.boundary == b {
					p.Defects |= DefectDelimiter // whose is a delimiter, then?
				}
			}
			s.open = append(s.open, level{index, b})
		}
		if p.Encoding != "7bit" && p.Encoding != "8bit" && p.Encoding != "binary" {
			p.Defects |= DefectEncoded
		}
	}
	s.t.Parts = append(s.t.Parts, p)
}

// body follows the delimiters from pos on to the end of the message.
func (s *scanner) body(pos int64) {
	first := true // a delimiter may stand at the very start of a multipart's body
	for len(s.open) > 0 {
		var line int64
		if b := s.w.at(pos, 3); first && len(b) >= 2 && b[0] == '-' && b[1] == '-' {
			line = pos
		} else if line = s.findDashes(pos); line < 0 {
			return
		}
		first = false
		b := s.w.at(line, maxLine)
		d := s.match(b, true)
		if d.level < 0 {
			pos = line
			if d.length > 0 {
				pos += int64(d.length) - 1 // its line end may begin the next delimiter
			}
			continue
		}
		at := Span{line, line + int64(d.length)}
		parent := s.open[d.level].part
		s.endAll(parent+1, s.before(line))
		if d.closing {
			s.t.Parts[parent].Close = at
			s.open = s.open[:d.level]
			s.cur = parent
			pos = at.End - 1
			if at.End == s.t.Size {
				return
			}
			continue
		}
		s.open = s.open[:d.level+1]
		if len(s.t.Parts) >= MaxParts {
			s.t.Parts[0].Defects |= DefectParts
			return
		}
		pos = s.part(parent, at)
		first = true
	}
}

// part reads the header of the part behind a delimiter line and returns where to go on.
func (s *scanner) part(parent int, delim Span) int64 {
	p := Part{Parent: parent, Depth: s.t.Parts[parent].Depth + 1, Off: delim.End, Delim: delim}
	b := s.w.at(p.Off, maxPartHeader)
	if len(b) > maxPartHeader {
		b = b[:maxPartHeader]
	}
	hs := scanHeader(b, p.Off+int64(len(b)) == s.t.Size,
		func(line []byte) bool { return s.match(line, false).level >= 0 },
		func(f Field) { p.content(b, p.Off, f) })
	p.Fields = p.Off + int64(hs.end)
	p.Body = p.Off + int64(hs.body)
	p.Defects |= hs.defects
	kind := "text/plain"
	if s.t.Parts[parent].Media.Type == "multipart/digest" {
		kind = "message/rfc822" // RFC 2046 5.1.5
	}
	s.add(p, kind)
	return p.Body
}

// findDashes returns the offset of the next line that begins with two hyphens, looking from pos on (the line end before it included), or -1.
func (s *scanner) findDashes(pos int64) int64 {
	for {
		b := s.w.at(pos, 3)
		if len(b) < 3 {
			return -1
		}
		if i := bytes.Index(b, []byte("\n--")); i >= 0 {
			return pos + int64(i) + 1
		}
		pos += int64(len(b)) - 2
	}
}

// before returns where the part ends that the delimiter line at off cuts off: before the line end that belongs to the delimiter.
func (s *scanner) before(off int64) int64 {
	from := max(0, off-2)
	b := s.w.at(from, int(off-from))
	if int64(len(b)) < off-from {
		return off
	}
	b = b[:off-from]
	if n := len(b); n > 0 && b[n-1] == '\n' {
		off--
		if n > 1 && b[n-2] == '\r' {
			off--
		}
	}
	return off
}

// endAll gives every part from index from on that has no end yet the end at off.
func (s *scanner) endAll(from int, off int64) {
	for i := s.cur; i >= from && i >= 0; i = s.t.Parts[i].Parent {
		if p := &s.t.Parts[i]; p.End == 0 {
			p.End = max(off, p.Body)
			off = p.End // a header without an end reaches up to the delimiter, and so does what encloses it
		}
	}
}

// maxLine is how far a line is read to see whether it is a delimiter.
const maxLine = maxBoundary + 256

// delimiter is a line that begins with two hyphens, looked at.
type delimiter struct {
	level   int // index in scanner.open; -1: none
	closing bool
	length  int // of the line with its line end; 0 when the line is longer than was looked at
}

// match compares the line at the start of b with the boundaries of the open multiparts, innermost first. A line counts when nothing but blanks
// follows the boundary; a line that merely begins like a delimiter and is none is taken for one by some readers (RFC 2046 5.1.1 allows both), so
// it makes the structure uncertain.
func (s *scanner) match(b []byte, mark bool) delimiter {
	b = b[:min(len(b), maxLine)]
	d := delimiter{level: -1}
	line := b
	if nl := bytes.IndexByte(b, '\n'); nl >= 0 {
		d.length = nl + 1
		line = b[:nl]
	} else if len(b) < maxLine {
		d.length = len(b) // the last line of the message
	}
	line = bytes.TrimRight(line, " \t\r")
	if !bytes.HasPrefix(line, []byte("--")) {
		return d
	}
	line = line[2:]
	like := -1 // a multipart whose delimiter the line resembles
	for i := len(s.open) - 1; i >= 0; i-- {
		if s.budget--; s.budget < 0 {
			s.t.Parts[0].Defects |= DefectDelimiter
			return d
		}
		bound := s.open[i].boundary
		if len(line) < len(bound) || string(line[:len(bound)]) != bound {
			continue
		}
		rest := line[len(bound):]
		switch exact := d.length > 0 && (len(rest) == 0 || string(rest) == "--"); {
		case !exact:
			like = i
		case d.level < 0:
			d.level, d.closing = i, len(rest) > 0
		default:
			s.t.Parts[s.open[i].part].Defects |= DefectDelimiter
		}
	}
	if d.level < 0 && like >= 0 && mark {
		s.t.Parts[s.open[like].part].Defects |= DefectDelimiter
	}
	return d
}
