package mailauth

import (
	"bytes"
	"cmp"
	"fmt"
	"io"
	"strings"

	"chmail/internal/message"
)

// What a mail may cost whoever checks its signatures. Beyond that it counts as not signed: sound mail is far from it.
const (
	maxSignatures = 8         // signatures looked at, those on top
	maxHashed     = 192 << 20 // octets that the library hashes, signatures times body: it takes a second for so many
	maxFields     = 1000      // of the header
	maxFolding    = 64 << 20  // of all fields together, lines times octets: each fold of a field makes the library copy what came before
	maxPicks      = 50_000    // names in h= times fields: each name makes the library look through the header
	maxBlank      = 64 << 10  // octets of nothing but white space and line ends in a row: the library carries them along, once for each signature
)

// looked is how many signatures of a mail with such a body, in octets, are looked at.
func looked(body int64) int {
	return int(max(1, min(maxSignatures, maxHashed/max(body, 1))))
}

// guard says why the library must not see a mail with these signature fields; "" when it may. The error is one of reading.
func (h *header) guard(src message.Source, sigs []*field) (string, error) {
	if len(h.fields) > maxFields {
		return fmt.Sprintf("more than %d header fields", maxFields), nil
	}
	folding := 0
	for i := range h.fields {
		raw := h.fields[i].raw
		folding += bytes.Count(raw, []byte("\n")) * len(raw)
	}
	if folding > maxFolding {
		return "header fields are folded too often", nil
	}
	for _, f := range sigs {
		if bytes.Count(f.raw, []byte(":"))*len(h.fields) > maxPicks {
			return "a signature names too many header fields", nil
		}
	}
	blank, err := blankLines(src, h.body)
	if err == nil && blank > maxBlank {
		return "too many blank lines", nil
	}
	return "", err
}

// canonicalization reads c= (RFC 6376 3.5): how header and body are taken.
func canonicalization(t tags) (head, body string, ok bool) {
	head, body, _ = strings.Cut(t["c"], "/")
	head, body = cmp.Or(head, "simple"), cmp.Or(body, "simple")
	known := func(s string) bool { return s == "simple" || s == "relaxed" }
	return head, body, known(head) && known(body)
}

// blankLines is the longest run of white space and line ends from off, in octets.
func blankLines(src message.Source, off int64) (int, error) {
	most, run := 0, 0
	for b, err := range message.Pieces(src, off, src.Size(), piece) {
		if err != nil {
			return 0, fmt.Errorf("reading a body: %w", err)
		}
		for _, c := range b {
			if c != '\r' && c != '\n' && c != ' ' && c != '\t' {
				run = 0
				continue
			}
			run++
			most = max(most, run)
		}
	}
	return most, nil
}

// feed hands a mail to the library in pieces that are large enough for it.
type feed struct{ *io.SectionReader }

// WriteTo implements io.WriterTo.
func (f feed) WriteTo(w io.Writer) (int64, error) {
	return io.CopyBuffer(onlyWriter{w}, onlyReader{f.SectionReader}, make([]byte, piece))
}

type onlyWriter struct{ io.Writer }

// onlyReader hides whatever else a reader can do, so that a copy goes through the buffer.
type onlyReader struct{ io.Reader }
