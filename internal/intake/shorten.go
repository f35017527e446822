package intake

import (
	"bufio"
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"slices"
	"sort"
	"strings"

	"chmail/internal/message"
)

// pieceSize is how much of a large mail is in memory while it is looked through.
const pieceSize = 32 << 10

// edit replaces a range of a mail by ins and what recode makes of its bytes. Unlike a message.Splice it needs no memory for what it writes.
type edit struct {
	off, end int64
	ins      string
	recode   func(*bufio.Writer, *bufio.Reader) error // nil: the bytes go
}

// shorten makes of the mail of a client that writes endless lines one that every server takes (RFC 5321 4.5.3.1.6; hazards 6 and 7): header lines are folded
// at white space that is there, bodies encoded anew. What is decoded is the same. What must not be changed is refused.
func (in *Intake) shorten(d *draft) (*draft, error) {
	edits, err := in.planShort(d)
	if err != nil {
		return nil, err
	}
	s := in.spool.draft()
	if err = apply(s, d.src, edits); err == nil {
		err = s.seal()
	}
	if err == nil && s.survey.Long {
		err = longKept
	}
	if err == nil {
		err = s.check(&s.tree.Head)
	}
	if err != nil {
		s.close(in.log)
		return nil, full(err)
	}
	return s, nil
}

// planShort finds the long lines and decides what to do about each.
func (in *Intake) planShort(d *draft) ([]edit, error) {
	t := d.tree
	var edits []edit
	long := make(map[int]bool) // leaves with long lines in their bodies
	err := longLines(d.src, func(off, end int64) error {
		i := innermost(t, off)
		switch {
		case i < 0: // an mbox line; it goes
		case i == 0 && off < t.Parts[0].Body:
			if !in.goes(&t.Head, off) {
				edits = append(edits, edit{off: off, end: end, recode: foldLine})
			}
		case off < t.Parts[i].Body:
			edits = append(edits, edit{off: off, end: end, recode: foldLine})
			return changeable(t, i)
		case t.Parts[i].Multipart():
			return longKept // what stands between parts is nobody's
		default:
			long[i] = true
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	var codes []message.Span // fields that are replaced
	for i := range long {
		if edits, codes, err = recodeLeaf(edits, codes, t, i); err != nil {
			return nil, err
		}
	}
	slices.SortFunc(codes, func(a, b message.Span) int { return cmp.Compare(a.Off, b.Off) })
	edits = slices.DeleteFunc(edits, func(e edit) bool { // their folds
		i := sort.Search(len(codes), func(i int) bool { return codes[i].End > e.off })
		return e.recode != nil && i < len(codes) && e.off >= codes[i].Off
	})
	for _, f := range codes {
		edits = append(edits, edit{off: f.Off, end: f.End})
	}
	if len(long) > 0 && !t.Head.Has("MIME-Version") {
		// Without it, nobody need look at the encoding (RFC 2045 4).
		edits = append(edits, edit{off: t.Head.End, end: t.Head.End, ins: "MIME-Version: 1.0\r\n"})
	}
	for i := range t.Head.Fields {
		if span := t.Head.Span(i); in.goes(&t.Head, span.Off) {
			edits = append(edits, edit{off: span.Off, end: span.End})
		}
	}
	if t.Head.Off > 0 {
		edits = append(edits, edit{end: t.Head.Off})
	}
	slices.SortStableFunc(edits, func(a, b edit) int {
		return cmp.Or(cmp.Compare(a.off, b.off), cmp.Compare(a.end, b.end))
	})
	return edits, nil
}

// goes tells whether the field of the mail's header in which off lies does not stay anyway.
func (in *Intake) goes(h *message.Header, off int64) bool {
	i := sort.Search(len(h.Fields), func(i int) bool { return h.Span(i).End > off })
	return i < len(h.Fields) && (chField(h, i) || in.unwanted(h, i, true))
}

// changeable refuses to change a part whose bytes somebody vouches for, or whose place in the mail is not certain.
func changeable(t *message.Tree, i int) error {
	for k := t.Parts[i].Parent; k >= 0; k = t.Parts[k].Parent {
		switch t.Parts[k].Media.Type {
		case "multipart/signed", "multipart/encrypted":
			return longSigned
		}
	}
	if t.Defects != 0 {
		return longKept.Because(errors.New(t.Defects.String()))
	}
	return nil
}

// recodeLeaf appends the edits that make the lines of a leaf's body short, and to codes the field of its old encoding.
func recodeLeaf(edits []edit, codes []message.Span, t *message.Tree, i int) ([]edit, []message.Span, error) {
	p := &t.Parts[i]
	if err := changeable(t, i); err != nil {
		return nil, nil, err
	}
	if strings.HasPrefix(p.Media.Type, "message/") {
		return nil, nil, longKept // a mail inside a mail is never encoded (RFC 2046 5.2)
	}
	body := edit{off: p.Body, end: p.End}
	switch p.Encoding {
	case "quoted-printable":
		body.recode = rewrapQuoted
	case "base64":
		body.recode = rewrapBase64
	case "7bit", "8bit", "binary":
		body.recode = encodeQuoted
		if f := p.CodeField; f != (message.Span{}) {
			codes = append(codes, f)
		}
		edits = append(edits, edit{off: p.Fields, end: p.Fields, ins: "Content-Transfer-Encoding: quoted-printable\r\n"})
	default:
		return nil, nil, longKept
	}
	return append(edits, body), codes, nil
}

// innermost returns the part in which the line at off begins; -1 when it stands before the header.
func innermost(t *message.Tree, off int64) int {
	i := sort.Search(len(t.Parts), func(i int) bool { return t.Parts[i].Off > off }) - 1
	for i > 0 && off >= t.Parts[i].End {
		i = t.Parts[i].Parent
	}
	return i
}

// longLines finds the lines that are too long, line ends included.
func longLines(src message.Source, f func(off, end int64) error) error {
	var start, off int64
	for b, err := range message.Pieces(src, 0, src.Size(), pieceSize) {
		if err != nil {
			return err
		}
		for pos := 0; ; {
			nl := bytes.IndexByte(b[pos:], '\n')
			if nl < 0 {
				break
			}
			pos += nl + 1
			if end := off + int64(pos); end-start > message.MaxLine+int64(len(crlf)) {
				if err := f(start, end); err != nil {
					return err
				}
			}
			start = off + int64(pos)
		}
		off += int64(len(b))
	}
	return nil
}

// apply writes src with its edits.
func apply(d *draft, src message.Source, edits []edit) error {
	w := bufio.NewWriter(d) // its first error stays until Flush
	r := bufio.NewReader(nil)
	var at int64
	for _, e := range edits {
		if e.off < at || e.end < e.off {
			return fmt.Errorf("shortening lines: an edit at %d behind %d", e.off, at)
		}
		if err := pass(w, src, at, e.off); err != nil {
			return err
		}
		at = e.end
		w.WriteString(e.ins)
		if e.recode != nil {
			r.Reset(io.NewSectionReader(src, e.off, e.end-e.off))
			if err := e.recode(w, r); err != nil {
				return err
			}
		}
	}
	if err := pass(w, src, at, src.Size()); err != nil {
		return err
	}
	return w.Flush()
}

// pass writes a range as it is.
func pass(w io.Writer, src message.Source, from, to int64) error {
	for b, err := range message.Pieces(src, from, to, pieceSize) {
		if err != nil {
			return err
		}
		if _, err := w.Write(b); err != nil {
			return err
		}
	}
	return nil
}
