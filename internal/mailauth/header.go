package mailauth

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
)

// maxHeader is how much of a header is looked at, in octets; what is longer is not checked and not signed.
const maxHeader = 256 << 10

// errHeader says that a header is too large, or has no end.
var errHeader = errors.New("header too large or without an end")

// field is one header field, its folds and its line end included.
type field struct {
	name string // as it is written
	raw  []byte
}

func (f *field) is(name string) bool { return strings.EqualFold(f.name, name) }

// value is what stands behind the colon, raw.
func (f *field) value() []byte {
	_, v, _ := bytes.Cut(f.raw, []byte(":"))
	return v
}

// header is the header of a message as signers see it: any line that does not begin with a blank begins a field, whatever it looks like.
type header struct {
	fields []field
	body   int64 // where the body begins
}

// readHeader reads the header of a message whose lines end in CRLF, or in LF.
func readHeader(src io.ReaderAt, size int64) (*header, error) {
	b := make([]byte, min(size, maxHeader))
	if n, err := src.ReadAt(b, 0); n < len(b) {
		return nil, fmt.Errorf("reading a header: %w", err)
	}
	h := &header{}
	for at := 0; at < len(b); {
		line, ok := b[at:], false
		if n := bytes.IndexByte(line, '\n'); n >= 0 {
			line, ok = line[:n+1], true
		}
		at += len(line)
		switch {
		case !ok && int64(len(b)) < size:
			return nil, errHeader
		case len(bytes.TrimSuffix(bytes.TrimSuffix(line, []byte("\n")), []byte("\r"))) == 0:
			h.body = int64(at)
			return h, nil
		case (line[0] == ' ' || line[0] == '\t') && len(h.fields) > 0:
			f := &h.fields[len(h.fields)-1]
			f.raw = b[at-len(line)-len(f.raw) : at]
		default:
			name, _, found := bytes.Cut(line, []byte(":"))
			if !found {
				name = nil // no field (RFC 5322 2.2), and no signature is about it
			}
			h.fields = append(h.fields, field{name: string(bytes.TrimSpace(name)), raw: line})
		}
	}
	if int64(len(b)) < size {
		return nil, errHeader
	}
	h.body = size
	return h, nil
}

// count is how many fields have a name.
func (h *header) count(name string) (n int) {
	for i := range h.fields {
		if h.fields[i].is(name) {
			n++
		}
	}
	return n
}
