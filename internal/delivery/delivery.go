// Package delivery holds the words that the queue and the relay share: what is to be sent, and what the other side said to it.
package delivery

import (
	"fmt"
	"io"
	"strings"
	"unicode"
	"unicode/utf8"

	"chmail/internal/address"
)

// MaxText is how long a verdict's text may be, in octets.
const MaxText = 512

// Mail is one mail on its way to one destination.
type Mail struct {
	ID         string          // queue id
	From       address.Address // zero: null sender
	To         []Recipient
	Body       io.ReaderAt // the stored bytes: CRLF line ends, immutable
	Size       int64       // of Body, in octets
	Signature  []byte      // DKIM fields that go on top; nil: none
	EightBit   bool        // the bytes hold octets above 127 in the body
	UTF8       bool        // SMTPUTF8 was given (RFC 6531)
	RequireTLS bool        // RFC 8689 2
	AnyTLS     bool        // TLS-Required: No (RFC 8689 3): what the recipient's domain demands of a connection does not count
	Ret, EnvID string      // DSN (RFC 3461): "FULL", "HDRS" or ""; the xtext as it came
}

// Recipient is one recipient of a mail, with what its sender wants to be told (RFC 3461).
type Recipient struct {
	Address address.Address
	Notify  string // "NEVER" or of "SUCCESS,FAILURE,DELAY"; "" not given
	ORcpt   string // "rfc822;..." as it came
}

// Verdict is what became of one recipient, or of a whole attempt. As an error it is an attempt that came to nothing.
type Verdict struct {
	Code      int    // SMTP reply code; 0: no reply (network, DNS, TLS), Temporary tells
	Enhanced  [3]int // RFC 3463
	Text      string // one line, printable, at most MaxText octets
	Remote    string // "mx.example.org [192.0.2.1]"; "" when none was reached
	TLS       string // "TLS1.3", "" plaintext
	Temporary bool   // trying again may help; told for every verdict, whatever its code
	Relayed   bool   // accepted by a server that does not do DSN (RFC 3461 5.2.2 / 6.1.5.2), only with Code 250
	// Stale says that nobody has taken the mail, for any of its recipients, and that a new connection may well do so at once: this one had served other mails and was
	// at its end, or another server of the destination is tried first now.
	Stale bool
	// Own says of an attempt that found no server that the reason is what this mail demands: other mail may well get through.
	Own bool
}

// Accepted tells whether the other side has taken the mail upon itself.
func (v *Verdict) Accepted() bool { return v.Code >= 200 && v.Code <= 299 }

// Status is the enhanced status code as notices write it (RFC 3463 2), "5.1.1".
func (v *Verdict) Status() string {
	return fmt.Sprintf("%d.%d.%d", v.Enhanced[0], v.Enhanced[1], v.Enhanced[2])
}

// String is the verdict as people read it, in one line: "mx.example.org [192.0.2.1]: 550 5.1.1 no such user".
func (v *Verdict) String() string {
	var b strings.Builder
	if v.Remote != "" {
		b.WriteString(v.Remote + ": ")
	}
	if v.Code != 0 {
		fmt.Fprintf(&b, "%d ", v.Code)
	}
	b.WriteString(v.Status())
	if v.Text != "" {
		b.WriteString(" " + v.Text)
	}
	return b.String()
}

// Error implements error.
func (v *Verdict) Error() string { return v.String() }

// Line makes one printable line of what a stranger said, fit for a Verdict's Text: blanks in a row become one, what cannot be printed a question mark,
// and it is cut at MaxText octets.
func Line(s string) string {
	var b strings.Builder
	blank := false
	for _, r := range s {
		switch {
		case r == ' ' || r == '\t' || r == '\r' || r == '\n':
			blank = b.Len() > 0
			continue
		case r == utf8.RuneError || !unicode.IsPrint(r):
			r = '?'
		}
		need := utf8.RuneLen(r)
		if blank {
			need++
		}
		if b.Len()+need > MaxText {
			break
		}
		if blank {
			b.WriteByte(' ')
			blank = false
		}
		b.WriteRune(r)
	}
	return b.String()
}
