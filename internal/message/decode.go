package message

import (
	"io"
	"mime"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/emersion/go-message/charset"
)

// Bounds of what a Summary keeps.
const (
	maxSubject    = 255     // characters
	maxReferences = 2 << 10 // octets
	maxMessageID  = 980     // octets; one header line, its name included
	maxEncoded    = 8 << 10 // octets of a header value that are decoded at all
)

// DecodeText makes a header value readable: encoded words (RFC 2047) decoded where their charset is known, everything
// that is no printable character replaced by a space, at most limit characters. The result is valid UTF-8 on one line.
func DecodeText(s string, limit int) string {
	if len(s) > maxEncoded {
		s = s[:maxEncoded]
	}
	if strings.Contains(s, "=?") {
		d := mime.WordDecoder{CharsetReader: func(name string, r io.Reader) (io.Reader, error) { return charset.Reader(name, r) }}
		if dec, err := d.DecodeHeader(s); err == nil {
			s = dec
		}
	}
	return clean(s, limit)
}

// clean keeps the printable characters of s, at most limit of them. Bidirectional overrides and other invisible
// characters go too: what a person reads must be what is there.
func clean(s string, limit int) string {
	ascii := len(s) <= limit
	for i := 0; ascii && i < len(s); i++ {
		ascii = s[i] >= ' ' && s[i] < 0x7f
	}
	if ascii {
		return strings.TrimSpace(s)
	}
	var b strings.Builder
	n := 0
	space := true
	for _, r := range s {
		switch {
		case unicode.IsSpace(r) || r == utf8.RuneError || unicode.Is(unicode.Cc, r):
			r = ' '
		case !unicode.IsPrint(r) && r != '\u200d' && r != '\u200c': // joiners spell words in some scripts
			continue
		}
		if r == ' ' && space {
			continue
		}
		space = r == ' '
		if n++; n > limit {
			break
		}
		b.WriteRune(r)
	}
	return strings.TrimSpace(b.String())
}

// messageIDs returns the message ids in a value: what looks like <…@…> without spaces or controls.
func messageIDs(v string) []string {
	var ids []string
	for {
		end := strings.IndexByte(v, '>')
		if end < 0 {
			return ids
		}
		if open := strings.LastIndexByte(v[:end], '<'); open >= 0 && validMessageID(v[open:end+1]) {
			ids = append(ids, v[open:end+1])
		}
		v = v[end+1:]
	}
}

// validMessageID tells whether an id can be written into a header of ours as it is.
func validMessageID(id string) bool {
	if len(id) < 3 || len(id) > maxMessageID || id[0] != '<' || id[len(id)-1] != '>' {
		return false
	}
	inner := id[1 : len(id)-1]
	for i := 0; i < len(inner); i++ {
		if c := inner[i]; c <= ' ' || c >= 0x7f || c == '<' || c == '>' {
			return false
		}
	}
	return true
}

// boundReferences keeps the first id, which names the thread, and as many of the newest as fit (RFC 5322 3.6.4 keeps all; agents trim so).
func boundReferences(ids []string) string {
	if len(ids) == 0 {
		return ""
	}
	size, from := len(ids[0]), len(ids)
	for from > 1 && size+1+len(ids[from-1]) <= maxReferences {
		from--
		size += 1 + len(ids[from])
	}
	if from == len(ids) {
		return ids[0]
	}
	return ids[0] + " " + strings.Join(ids[from:], " ")
}

// Summarise reads from a header what a link and a notice need to know of a mail.
func Summarise(h *Header, from []Mailbox, recipients int, now time.Time) Summary {
	s := Summary{Recipients: recipients, Date: now}
	if i := h.Find("Subject"); i >= 0 {
		s.Subject = DecodeText(h.Text(i), maxSubject)
	}
	if i := h.Find("Message-ID"); i >= 0 {
		if ids := messageIDs(h.Text(i)); len(ids) > 0 {
			s.MessageID = ids[0]
		}
	}
	i := h.Find("References")
	if i < 0 {
		i = h.Find("In-Reply-To")
	}
	if i >= 0 {
		s.References = boundReferences(messageIDs(h.Text(i)))
	}
	if len(from) > 0 {
		s.FromName = DecodeText(from[0].Name, maxSubject)
	}
	return s
}
