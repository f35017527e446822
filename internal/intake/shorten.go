package intake

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"io"
	"mime/quotedprintable"

	"chmail/internal/message"
)

// pieceSize is how much of a large mail is in memory while it is rewritten.
const pieceSize = 32 << 10

// shorten makes a mail of a client that writes endless lines one that every server takes: parts with lines beyond 998 octets are encoded anew, with
// the same content (RFC 5321 4.5.3.1.6; hazards 6). What must not be changed is refused. Lines of the header are complete's affair.
func (in *Intake) shorten(d *draft) error {
	if !d.survey.Long {
		return nil
	}
	long, err := longParts(d)
	if err != nil {
		return err
	}
	if len(long) == 0 {
		return nil
	}
	if !mayRewrite(d.tree) {
		return longKept
	}
	w := &writer{d: d, buf: make([]byte, 0, inMemory)}
	if err := rewrite(w, d, long); err != nil {
		return full(fmt.Errorf("shortening lines: %w", err))
	}
	d.src = w.source()
	return d.scan()
}

// mayRewrite tells whether the mail's structure is certain, and nothing in it is signed or encrypted.
func mayRewrite(t *message.Tree) bool {
	if t.Defects != 0 {
		return false
	}
	for i := range t.Parts {
		switch t.Parts[i].Media.Type { // what stamp leaves alone for its cryptography; other special mail may be encoded
		case "multipart/signed", "multipart/encrypted", "application/pkcs7-mime", "application/x-pkcs7-mime", "application/pgp-encrypted":
			return false
		}
	}
	return true
}

// longParts are the leaves with lines that are too long; a long line anywhere else is refused.
func longParts(d *draft) ([]int, error) {
	var long []int
	at := d.tree.Parts[0].Body
	for i := range d.tree.Parts {
		p := &d.tree.Parts[i]
		if p.Multipart() {
			continue
		}
		// What stands before this part and belongs to no leaf: preambles, delimiters, headers of parts.
		if bad, err := tooLong(d.src, at, p.Body); err != nil {
			return nil, err
		} else if bad {
			return nil, longKept
		}
		at = p.End
		bad, err := tooLong(d.src, p.Body, p.End)
		if err != nil {
			return nil, err
		}
		if !bad {
			continue
		}
		switch p.Encoding {
		case "7bit", "8bit", "binary":
			if p.Media.Type == "message/rfc822" || p.Media.Type == "message/partial" || p.Media.Type == "message/external-body" {
				return nil, longKept // may not be encoded (RFC 2046 5.2)
			}
		case "base64":
		default:
			return nil, longKept
		}
		long = append(long, i)
	}
	bad, err := tooLong(d.src, at, d.src.Size())
	if bad {
		return nil, longKept
	}
	return long, err
}

// tooLong tells whether a line in a range of a mail is too long.
func tooLong(src message.Source, from, to int64) (bool, error) {
	var s message.Survey
	for b, err := range message.Pieces(src, min(from, to), to, pieceSize) {
		if err != nil {
			return false, err
		}
		s.Write(b)
	}
	// A last line without an end counts as it stands.
	s.Write([]byte("\r\n"))
	return s.Long, nil
}

// rewrite writes the mail with these parts encoded anew.
func rewrite(w io.Writer, d *draft, parts []int) error {
	var at int64
	for _, i := range parts {
		p := &d.tree.Parts[i]
		var err error
		if p.Encoding == "base64" {
			err = pass(w, d.src, at, p.Body)
			if err == nil {
				err = rewrap(w, d.src, p.Body, p.End)
			}
		} else {
			if err = relabel(w, d, p, at); err == nil {
				err = quote(w, d.src, p)
			}
		}
		if err != nil {
			return err
		}
		at = p.End
	}
	return pass(w, d.src, at, d.src.Size())
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

// relabel writes what stands before a part's body, from at on, with the part's encoding changed to quoted-printable.
func relabel(w io.Writer, d *draft, p *message.Part, at int64) error {
	label := p.CodeField
	if label == (message.Span{}) {
		label = message.Span{Off: p.Fields, End: p.Fields}
	}
	if err := pass(w, d.src, at, label.Off); err != nil {
		return err
	}
	text := "Content-Transfer-Encoding: quoted-printable\r\n"
	if p.Parent < 0 && !d.tree.Head.Has("MIME-Version") {
		text = "MIME-Version: 1.0\r\n" + text // without it, nobody need look at the encoding (RFC 2045 4)
	}
	if _, err := io.WriteString(w, text); err != nil {
		return err
	}
	return pass(w, d.src, label.End, p.Body)
}

// quote writes a part's body in quoted-printable.
func quote(w io.Writer, src message.Source, p *message.Part) error {
	q := quotedprintable.NewWriter(w)
	if err := pass(q, src, p.Body, p.End); err != nil {
		return err
	}
	return q.Close()
}

// rewrap writes base64 in lines of 76 characters, the characters as they were.
func rewrap(w io.Writer, src message.Source, from, to int64) error {
	column := 0
	line := make([]byte, 0, pieceSize+pieceSize/76*2+2)
	for b, err := range message.Pieces(src, from, to, pieceSize) {
		if err != nil {
			return err
		}
		line = line[:0]
		for _, c := range b {
			if bytes.IndexByte([]byte(" \t\r\n"), c) >= 0 {
				continue
			}
			if !base64Char(c) {
				return longKept
			}
			if column == 76 {
				line = append(line, '\r', '\n')
				column = 0
			}
			line = append(line, c)
			column++
		}
		if _, err := w.Write(line); err != nil {
			return err
		}
	}
	if column == 0 || to < src.Size() {
		return nil // the line end behind it belongs to the delimiter
	}
	_, err := io.WriteString(w, "\r\n")
	return err
}

// base64Char tells whether a character belongs to base64 (RFC 2045 6.8).
func base64Char(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '+' || c == '/' || c == byte(base64.StdPadding)
}
