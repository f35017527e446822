package relay

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"chmail/internal/address"
	"chmail/internal/delivery"
	"chmail/internal/message"
)

// ErrNotConvertible says that a mail cannot be brought into seven bits without harm.
var ErrNotConvertible = errors.New("the mail cannot be brought into seven bits without harm")

// shipment is a mail as it goes over one connection.
type shipment struct {
	mail      *delivery.Mail
	body      io.ReaderAt
	size      int64
	signature []byte
	mailLine  string // MAIL with its parameters
	leave     func() // gives back the room that a copy takes; nil: there is none
}

// done is called when nothing more of it is sent.
func (s *shipment) done() {
	if s.leave != nil {
		s.leave()
	}
}

// prepare decides what of a mail goes over this connection, or why nothing does. Nothing has been said about it to the server yet.
func (l *Line) prepare(ctx context.Context, m *delivery.Mail) (ready *shipment, fail *delivery.Verdict) {
	s := &shipment{mail: m, body: m.Body, size: m.Size, signature: m.Signature}
	defer func() {
		if ready == nil {
			s.done()
		}
	}()
	if l.buf == nil {
		l.buf = make([]byte, blockSize)
	}
	eight, err := look(l.buf, s.signature, s.body, s.size)
	switch {
	case errors.Is(err, errLineEnd):
		return nil, failure(5, 6, 0, err.Error())
	case err != nil:
		return nil, failure(4, 3, 0, errStored.Error())
	case m.RequireTLS && !l.trusted:
		return nil, l.unfit(failure(4, 7, 30, "this connection is not secured as the mail demands (REQUIRETLS)"))
	}
	utf8, fail := l.utf8(m, eight)
	if fail != nil {
		return nil, fail
	}
	if eight && !l.c.caps.eightBit {
		if fail := l.downgrade(ctx, s); fail != nil {
			return nil, fail
		}
		eight = false
	}
	if whole := s.size + int64(len(s.signature)); l.c.caps.size > 0 && whole > l.c.caps.size {
		return nil, l.c.place(failure(5, 3, 4, fmt.Sprintf("the mail has %d octets, and the server takes at most %d", whole, l.c.caps.size)))
	}
	from, ok := path(m.From)
	if !ok {
		return nil, failure(5, 1, 7, "the sender's address cannot be written")
	}
	s.mailLine = "MAIL FROM:" + from + l.mailParameters(s, eight, utf8)
	return s, nil
}

// unfit is the verdict of a mail for which the line was not opened, and which it does not do for.
func (l *Line) unfit(v *delivery.Verdict) *delivery.Verdict {
	l.last = true
	v = l.c.place(v)
	v.Stale = true
	return v
}

// errNarrow says that a server lacks SMTPUTF8.
func errNarrow() *delivery.Verdict {
	return failure(5, 6, 7, "the server does not take UTF-8 in addresses or the header of a mail (SMTPUTF8)")
}

// needsUTF8 tells whether a mail needs SMTPUTF8, whoever it is for. A domain is in A-labels always and needs none; a local part beyond ASCII does, and so does a header
// that holds UTF-8, where the sender has said so (RFC 6531 3.4, 3.5).
func needsUTF8(m *delivery.Mail, eight bool) (bool, *delivery.Verdict) {
	if !m.From.IsASCII() || !m.UTF8 || !eight {
		return !m.From.IsASCII(), nil
	}
	need, err := eightBitHeaders(m.Body, m.Size)
	if err != nil {
		return false, failure(4, 3, 0, errStored.Error())
	}
	return need, nil
}

// utf8 tells whether MAIL must say SMTPUTF8.
func (l *Line) utf8(m *delivery.Mail, eight bool) (bool, *delivery.Verdict) {
	need, fail := needsUTF8(m, eight)
	if fail != nil {
		return false, fail
	}
	some := need || slices.ContainsFunc(m.To, func(r delivery.Recipient) bool { return !r.Address.IsASCII() })
	switch {
	case !some || l.takesUTF8():
		return some, nil
	case l.narrow == nil && l.used: // another server of the domain may have it
		return false, l.unfit(failure(4, 6, 7, errNarrow().Text))
	case need:
		return false, l.verdictNarrow()
	}
	return false, nil // the others can have it
}

// verdictNarrow is what is said to those who need SMTPUTF8 on a line without it.
func (l *Line) verdictNarrow() *delivery.Verdict {
	if l.narrow != nil {
		return l.narrow
	}
	return l.c.place(errNarrow())
}

// takesUTF8 tells whether the server takes SMTPUTF8, which must come with 8BITMIME (RFC 6531 3.1).
func (l *Line) takesUTF8() bool { return l.c.caps.utf8 && l.c.caps.eightBit }

func eightBitHeaders(body io.ReaderAt, size int64) (bool, error) {
	src := io.NewSectionReader(body, 0, size)
	tree, err := message.Scan(src)
	if err != nil {
		return false, err
	}
	for i := range tree.Parts {
		p := &tree.Parts[i]
		b, err := message.ReadRange(src, p.Off, p.Body)
		if err != nil || !isASCII(b) {
			return true, err
		}
		// What was not looked into may be anything.
		if p.Media.Type == "message/rfc822" || p.Media.Type == "message/global" {
			if b, err = message.ReadRange(src, p.Body, p.End); err != nil || !isASCII(b) {
				return true, err
			}
		}
	}
	return false, nil
}

// downgrade puts the copy for seven bits into s.
func (l *Line) downgrade(ctx context.Context, s *shipment) *delivery.Verdict {
	if l.o.Downgrade == nil {
		return l.c.place(failure(5, 6, 3, "the server takes no 8-bit mail"))
	}
	if l.room != nil {
		leave, ok := l.room.enter(ctx, min(s.size, maxDowngrade))
		if !ok {
			return failure(4, 3, 1, "too many mails are being converted for servers that take no 8-bit mail")
		}
		s.leave = leave
	}
	body, size, signature, err := l.o.Downgrade(s.body, s.size)
	eight := false
	if err == nil {
		eight, err = look(l.buf, signature, body, size)
	}
	switch {
	case errors.Is(err, ErrNotConvertible), errors.Is(err, errLineEnd), err == nil && eight:
		return l.c.place(failure(5, 6, 3, "the server takes no 8-bit mail, and this one cannot be converted"))
	case err != nil:
		return failure(4, 3, 0, "the mail could not be converted for a server that takes no 8-bit mail")
	}
	s.body, s.size, s.signature = body, size, signature
	return nil
}

func (l *Line) mailParameters(s *shipment, eight, utf8 bool) string {
	caps, m := &l.c.caps, s.mail
	var b strings.Builder
	if caps.sized {
		fmt.Fprintf(&b, " SIZE=%d", s.size+int64(len(s.signature)))
	}
	if eight {
		b.WriteString(" BODY=8BITMIME")
	}
	if utf8 {
		b.WriteString(" SMTPUTF8")
	}
	if caps.dsn {
		if m.Ret == "FULL" || m.Ret == "HDRS" {
			b.WriteString(" RET=" + m.Ret)
		}
		if isParameter(m.EnvID, 100) { // RFC 3461 4.4
			b.WriteString(" ENVID=" + m.EnvID)
		}
	}
	if m.RequireTLS {
		b.WriteString(" REQUIRETLS")
	}
	return b.String()
}

// rcptLine is RCPT with its parameters; ok is false for an address that cannot be written.
func (l *Line) rcptLine(r *delivery.Recipient) (line string, ok bool) {
	to, ok := path(r.Address)
	line = "RCPT TO:" + to
	if l.c.caps.dsn {
		if isParameter(r.Notify, 100) {
			line += " NOTIFY=" + r.Notify
		}
		if isParameter(r.ORcpt, 500) { // RFC 3461 4.2
			line += " ORCPT=" + r.ORcpt
		}
	}
	return line, ok
}

// isParameter tells whether a value that came with the mail can stand in a command again: printable ASCII without blanks (RFC 5321 4.1.2, esmtp-value, and the
// equals sign that utf-8-addr-xtext may hold is none).
func isParameter(v string, limit int) bool {
	if v == "" || len(v) > limit {
		return false
	}
	for _, c := range []byte(v) {
		if c <= ' ' || c >= 0x7f || c == '=' {
			return false
		}
	}
	return true
}

// path is an address as MAIL and RCPT have it, written anew from its parts.
func path(a address.Address) (string, bool) {
	s := a.String()
	return "<" + s + ">", !strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f })
}
