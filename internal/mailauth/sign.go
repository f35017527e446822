package mailauth

import (
	"bytes"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"

	"github.com/emersion/go-msgauth/dkim"

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
	keys, err := s.Signing(domain)
	if err != nil {
		return nil, err
	}
	h, err := readHeader(mail, size)
	if err != nil {
		return nil, fmt.Errorf("signing a mail: %w", err)
	}
	names := h.covered()
	signers := make([]*dkim.Signer, 0, len(keys))
	defer func() {
		for _, d := range signers {
			_ = d.Close() // a goroutine waits in each; closing a second time is harmless
		}
	}()
	writers := make([]io.Writer, 0, len(keys))
	for _, k := range keys {
		d, err := dkim.NewSigner(&dkim.SignOptions{Domain: k.Domain, Selector: k.Selector, Signer: k.signer, HeaderKeys: names,
			HeaderCanonicalization: dkim.CanonicalizationRelaxed, BodyCanonicalization: dkim.CanonicalizationRelaxed})
		if err != nil {
			return nil, fmt.Errorf("signing a mail: %w", err)
		}
		signers, writers = append(signers, d), append(writers, d)
	}
	to := io.MultiWriter(writers...)
	if _, err := to.Write(h.unfolded(names)); err != nil {
		return nil, fmt.Errorf("signing a mail: %w", err)
	}
	if _, err := io.CopyBuffer(to, onlyReader{io.NewSectionReader(mail, h.body, size-h.body)}, make([]byte, min(piece, max(size-h.body, 1)))); err != nil {
		return nil, fmt.Errorf("signing a mail: %w", err)
	}
	var fields bytes.Buffer
	for _, d := range signers {
		if err := d.Close(); err != nil {
			return nil, fmt.Errorf("signing a mail: %w", err)
		}
		fields.WriteString(d.Signature())
	}
	return fields.Bytes(), nil
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
	return s.Sign(from[0].Address.Domain, mail, size)
}

// piece is how much of a body is in memory at once, in octets.
const piece = 64 << 10

// onlyReader hides whatever else a reader can do, so that a copy goes through the buffer.
type onlyReader struct{ io.Reader }

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

// unfolded writes the fields that matter to a signature, each on one line. To the relaxed form that is the same (RFC 6376 3.4.2), and
// the library, which puts folded lines together one by one, is spared them: a long field costs it seconds.
func (h *header) unfolded(names []string) []byte {
	var b bytes.Buffer
	for i := range h.fields {
		f := &h.fields[i]
		if slices.ContainsFunc(names, f.is) {
			b.Write(bytes.ReplaceAll(bytes.ReplaceAll(f.raw, []byte("\r\n"), nil), []byte("\n"), nil))
			b.WriteString("\r\n")
		}
	}
	b.WriteString("\r\n")
	return b.Bytes()
}
