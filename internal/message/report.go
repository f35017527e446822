package message

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"chmail/internal/address"
)

// Action is what became of a recipient (RFC 3464 2.3.3).
type Action string

// The actions of our reports.
const (
	Failed  Action = "failed"
	Delayed Action = "delayed"
	Relayed Action = "relayed" // taken by a server that reports no further
)

// Report tells the sender of a mail what became of it (RFC 3464): who did not get it, or has not yet. Its text is for people, what stands behind it for programs.
type Report struct {
	To       address.Address // the envelope sender of the mail
	Host     string          // this server
	EnvID    string          // as MAIL had it, in xtext; "" for none
	Arrived  time.Time
	At       time.Time // of the report
	About    Summary   // of the mail; Recipients is not used
	Fates    []Fate    // one at least; the first one's action is that of the report
	Full     bool      // the whole mail comes back, not its header alone
	Language string    // "en", "ja", "ko"; whatever else is English
}

// Fate is what became of one recipient.
type Fate struct {
	Address address.Address
	ORcpt   string // as RCPT had it; "" for none
	Action  Action
	Status  string    // "5.1.1"
	Remote  string    // "mx.example.org [192.0.2.1]"; "" when no server was reached
	Reply   string    // what the server said, with its code; "" when none was reached
	Why     string    // in one line, for people; "" where Reply says it
	Tried   time.Time // the latest attempt; zero: none
	Until   time.Time // of what is delayed: until then it is tried
}

// maxBack is how much of a header comes back.
const maxBack = MaxHeader

// Reader is the report: a whole message with CRLF line ends. original is the mail as it went out, from which it reads while it is read.
func (r *Report) Reader(original Source) (io.Reader, error) {
	if len(r.Fates) == 0 || r.To.IsZero() {
		return nil, errors.New("building a report: of nobody, or to nobody")
	}
	boundary := "chmail-" + NewID()
	w := r.say()
	domain := r.To.Domain
	l := letter{to: r.To, from: w.from(domain), host: r.Host, subject: w.subject(r.Fates[0].Action, clean(r.About.Subject, maxSubject)), at: r.At, about: r.About, tag: w.tag}
	b := l.header()
	b = append(b, "Content-Type: multipart/report; report-type=delivery-status;\r\n\tboundary=\""+boundary+"\"\r\n\r\n--"+boundary+"\r\n"...)
	text := r.text(w)
	b = append(b, "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: "...)
	if mostlyForeign(text) {
		b = appendBase64(append(b, "base64\r\n\r\n"...), text)
	} else {
		b = appendQuoted(append(b, "quoted-printable\r\n\r\n"...), text)
	}
	b = append(b, "--"+boundary+"\r\nContent-Type: message/delivery-status\r\n\r\n"...)
	b = r.status(b)
	b = append(b, "\r\n--"+boundary+"\r\n"...)
	back, kind, err := r.back(original)
	if err != nil {
		return nil, fmt.Errorf("building a report: %w", err)
	}
	b = append(b, "Content-Type: "+kind+"\r\n\r\n"...)
	return io.MultiReader(bytes.NewReader(b), back, strings.NewReader("\r\n--"+boundary+"--\r\n")), nil
}

// back is what comes back of the mail, and its media type (RFC 3464, RFC 6533 for what is not ASCII).
func (r *Report) back(original Source) (io.Reader, string, error) {
	if r.Full {
		return io.NewSectionReader(original, 0, original.Size()), "message/rfc822", nil
	}
	head := make([]byte, min(original.Size(), maxBack))
	if n, err := original.ReadAt(head, 0); err != nil && (!errors.Is(err, io.EOF) || n < len(head)) {
		return nil, "", fmt.Errorf("reading the mail: %w", err)
	}
	if end := bytes.Index(head, []byte("\r\n\r\n")); end >= 0 {
		head = head[:end+2]
	}
	kind := "text/rfc822-headers"
	if !IsASCII(head) {
		kind = "message/global-headers\r\nContent-Transfer-Encoding: 8bit"
	}
	return bytes.NewReader(head), kind, nil
}

// status appends the part for programs.
func (r *Report) status(b []byte) []byte {
	field := func(name, value string) {
		if value != "" {
			b = append(b, name+": "+value+"\r\n"...)
		}
	}
	date := func(t time.Time) string {
		if t.IsZero() {
			return ""
		}
		return t.UTC().Format(dateFormat)
	}
	field("Reporting-MTA", "dns; "+r.Host)
	field("Original-Envelope-Id", oneToken(unxtext(r.EnvID)))
	field("Arrival-Date", date(r.Arrived))
	for _, f := range r.Fates {
		b = append(b, "\r\n"...)
		if kind, name, ok := strings.Cut(f.ORcpt, ";"); ok {
			field("Original-Recipient", oneToken(kind)+"; "+oneToken(unxtext(name)))
		}
		kind := "rfc822; "
		if !f.Address.IsASCII() {
			kind = "utf-8; "
		}
		field("Final-Recipient", kind+f.Address.String())
		field("Action", string(f.Action))
		field("Status", f.Status)
		if f.Remote != "" {
			name, _, _ := strings.Cut(f.Remote, " ")
			field("Remote-MTA", "dns; "+oneToken(name))
		}
		if f.Reply != "" {
			b = appendDiagnostic(b, f.Reply)
		}
		field("Last-Attempt-Date", date(f.Tried))
		field("Will-Retry-Until", date(f.Until))
	}
	return b
}

// appendDiagnostic appends what a server said, folded at its spaces; what is not ASCII is a question mark.
func appendDiagnostic(b []byte, reply string) []byte {
	b = append(b, "Diagnostic-Code: smtp;"...)
	column := len("Diagnostic-Code: smtp;")
	for word := range strings.FieldsSeq(reply) {
		word = oneToken(word)
		if column+1+len(word) > 76 {
			b, column = append(b, "\r\n"...), 0
		}
		for len(word) > 900 { // a line may have 998 octets
			b = append(append(append(b, ' '), word[:900]...), "\r\n"...)
			word = word[900:]
		}
		b = append(append(b, ' '), word...)
		column += 1 + len(word)
	}
	return append(b, "\r\n"...)
}

// oneToken makes what somebody else wrote fit for one place of a field: printable ASCII, nothing else.
func oneToken(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return '?'
		}
		return r
	}, s)
}

// unxtext undoes xtext (RFC 3461 4); what is no xtext stays as it is.
func unxtext(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '+' && i+2 < len(s) {
			hi, lo := strings.IndexByte(hexDigits, s[i+1]), strings.IndexByte(hexDigits, s[i+2])
			if hi >= 0 && lo >= 0 {
				b.WriteByte(byte(hi<<4 | lo))
				i += 2
				continue
			}
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

const hexDigits = "0123456789ABCDEF"

// text is the part for people.
func (r *Report) text(w reportWords) string {
	var b strings.Builder
	about := w.aMail
	if s := clean(r.About.Subject, maxSubject); s != "" {
		about = w.open + s + w.close
	}
	action := r.Fates[0].Action
	b.WriteString(w.news(action, about, r.Arrived.UTC().Format(w.layout)+" UTC") + "\r\n\r\n")
	for _, f := range r.Fates {
		b.WriteString("  " + f.Address.String() + "\r\n")
		switch {
		case f.Reply != "":
			b.WriteString("    " + w.said(clean(f.Remote, 300)) + "\r\n    " + clean(f.Reply, 600) + "\r\n")
		case f.Why != "":
			b.WriteString("    " + clean(f.Why, 600) + "\r\n")
		}
		b.WriteString("\r\n")
	}
	until := ""
	if !r.Fates[0].Until.IsZero() {
		until = r.Fates[0].Until.UTC().Format(w.layout) + " UTC"
	}
	b.WriteString(w.next(action, until) + "\r\n")
	return b.String()
}
