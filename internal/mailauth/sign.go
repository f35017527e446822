package mailauth

import (
	"crypto"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
	"time"

	"chmail/internal/message"
)

// signed are the fields that a signature covers as often as they are there (hazards 12). Received and Return-Path are not: they change on the way. Whoever offers to unsubscribe with one
// click must have both fields of it covered (RFC 8058 4).
var signed = []string{"Sender", "Cc", "Message-ID", "Reply-To", "In-Reply-To", "References", "MIME-Version", "Content-Type", "Content-Transfer-Encoding",
	"List-Unsubscribe", "List-Unsubscribe-Post"}

// sealed are covered once more than they are there, so that nobody can add one (RFC 6376 8.15).
var sealed = []string{"From", "To", "Subject", "Date", "CH-Login", "CH-Host", "CH-Port", "CH-Link"}

// chName is the name of a field of ours, as it can stand in h=.
var chName = regexp.MustCompile(`^(?i)ch-[a-z0-9-]{1,40}$`)

const (
	maxSame  = 3 // fields of one name that are covered, the lowest ones: a sound mail has one
	maxNames = 8 // CH fields of further names
)

// Sign signs a mail for a domain with each key of it that signs, in one pass over its bytes (CRLF line ends, size octets), and returns the DKIM-Signature fields
// that go on top. What is signed is relaxed/relaxed and whole: never l= (RFC 6376 8.2). ErrNoKey when the domain has no key.
func (s *Keys) Sign(domain string, mail io.ReaderAt, size int64) ([]byte, error) {
	h, err := readHeader(mail, size)
	if err != nil {
		return nil, fmt.Errorf("signing a mail: %w", err)
	}
	return s.signed(domain, h, mail, size)
}

// SignAuthor is Sign for the domain of the author's address, with which the signature is aligned then (hazards 14); of several authors, the first one's. ErrNoKey also
// where nobody can say for certain who the author is.
func (s *Keys) SignAuthor(mail io.ReaderAt, size int64) ([]byte, error) {
	h, err := readHeader(mail, size)
	if err != nil {
		return nil, fmt.Errorf("signing a mail: %w", err)
	}
	from, err := message.ParseMailboxes(h.from())
	if err != nil || len(from) == 0 || h.count("From") != 1 || strings.HasPrefix(from[0].Address.Domain, "[") {
		return nil, fmt.Errorf("%w for an author who cannot be told", ErrNoKey)
	}
	return s.signed(from[0].Address.Domain, h, mail, size)
}

// piece is how much of a body is in memory at once, in octets.
const piece = 64 << 10

func (s *Keys) signed(domain string, h *header, mail io.ReaderAt, size int64) ([]byte, error) {
	keys, err := s.Signing(domain)
	if err != nil {
		return nil, err
	}
	body, err := bodyHash(io.NewSectionReader(mail, 0, size), h.body, "relaxed")
	if err != nil {
		return nil, fmt.Errorf("signing a mail: %w", err)
	}
	names, at := h.covered(), time.Now()
	data := h.picked(names, "relaxed")
	var fields []byte
	for i := range keys {
		f, err := keys[i].field(names, data, body, at)
		if err != nil {
			return nil, fmt.Errorf("signing a mail: %w", err)
		}
		fields = append(fields, f...)
	}
	return fields, nil
}

// field is a signature over the covered fields in their relaxed form and the hash of a body (RFC 6376 3.5, 3.7).
func (k *Key) field(names []string, data, body []byte, at time.Time) ([]byte, error) {
	f := fmt.Appendf(make([]byte, 0, 1<<10), "DKIM-Signature: v=1; a=%s-sha256; c=relaxed/relaxed; d=%s; s=%s;\r\n\tt=%d; bh=%s;\r\n\t",
		k.Algorithm, k.Domain, k.Selector, at.Unix(), base64.StdEncoding.EncodeToString(body))
	length := len("\th=")
	f = append(f, "h="...)
	for i, n := range names {
		if i > 0 {
			f = append(f, ':')
		}
		if length += len(n) + 1; length > width {
			f, length = append(f, "\r\n\t "...), len(n)+3
		}
		f = append(f, n...)
	}
	f = append(f, ";\r\n\tb="...)
	digest := sha256.New()
	digest.Write(data)
	digest.Write(relaxed(f)) // RFC 6376 3.7: the field itself last, with an empty b= and without a line end
	options := crypto.SignerOpts(crypto.SHA256)
	if k.Algorithm == Ed25519 {
		options = crypto.Hash(0) // RFC 8463 3: the hash is what is signed, as it is
	}
	signature, err := k.signer.Sign(rand.Reader, digest.Sum(nil), options)
	if err != nil {
		return nil, fmt.Errorf("with %s: %w", k.Name(), err)
	}
	text := base64.StdEncoding.AppendEncode(nil, signature)
	for first := width - len("\tb="); len(text) > first; first = width - len("\t ") {
		f = append(append(f, text[:first]...), "\r\n\t "...)
		text = text[first:]
	}
	return append(append(f, text...), "\r\n"...), nil
}

// width is how long the lines of a signature are, in octets, tabs as one (RFC 5322 2.1.1).
const width = 76

// covered is the list for h= (RFC 6376 3.5).
func (h *header) covered() []string {
	var names []string
	add := func(name string, more int) {
		for range min(h.count(name), maxSame) + more {
			names = append(names, name)
		}
	}
	for _, n := range sealed {
		add(n, 1)
	}
	for _, n := range signed {
		add(n, 0)
	}
	others := 0
	for i := range h.fields {
		name := h.fields[i].name
		is := func(n string) bool { return strings.EqualFold(n, name) }
		if chName.MatchString(name) && others < maxNames && !slices.ContainsFunc(names, is) {
			add(name, 1)
			others++
		}
	}
	return names
}
