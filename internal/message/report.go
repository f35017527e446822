package message

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"chmail/internal/address"
)

// Action is what became of a recipient (RFC 3464 2.3.3).
type Action string

// The actions of our reports.
const (
	Failed    Action = "failed"
	Delayed   Action = "delayed"
	Relayed   Action = "relayed"   // taken by a server that reports no further
	Delivered Action = "delivered" // into a maildrop of this server
)

// Report tells the sender of a mail what became of it (RFC 3464): who did not get it, or has not yet. Its text is for people, what stands behind it for programs.
type Report struct {
	To       address.Address // the envelope sender of the mail
	Host     string          // this server
	ID       string          // queue id of the mail, by which an administrator finds it; "" for none
	EnvID    string          // as MAIL had it, in xtext; "" for none
	Arrived  time.Time
	At       time.Time      // of the report
	About    Summary        // of the mail; Recipients is not used
	Fates    []Fate         // one at least; the first one's action is that of the report
	Full     bool           // the whole mail comes back, not its header alone
	Language string         // "en", "ja", "ko"; whatever else is English
	Zone     *time.Location // of its reader; nil: UTC
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
	back, returned, err := r.back(original)
	if err != nil {
		return nil, fmt.Errorf("building a report: %w", err)
	}
	kind := "message/delivery-status"
	if slices.ContainsFunc(r.Fates, func(f Fate) bool { return !f.Address.IsASCII() }) {
		kind = "message/global-delivery-status" + eightBit // RFC 6533 3
	}
	b := l.header()
	if strings.Contains(kind+returned, eightBit) {
		b = append(b, eightBit[2:]+"\r\n"...) // RFC 2045 6.4
	}
	b = append(b, "Content-Type: multipart/report; report-type=delivery-status;\r\n\tboundary=\""+boundary+"\"\r\n\r\n--"+boundary+"\r\n"...)
	text := r.text(w)
	b = append(b, "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: "...)
	if mostlyForeign(text) {
		b = appendBase64(append(b, "base64\r\n\r\n"...), text)
	} else {
		b = appendQuoted(append(b, "quoted-printable\r\n\r\n"...), text)
	}
	b = append(b, "--"+boundary+"\r\nContent-Type: "+kind+"\r\n\r\n"...)
	b = r.status(b)
	b = append(b, "\r\n--"+boundary+"\r\n"...)
	b = append(b, "Content-Type: "+returned+"\r\n\r\n"...)
	return io.MultiReader(bytes.NewReader(b), back, strings.NewReader("\r\n--"+boundary+"--\r\n")), nil
}

// eightBit is what stands behind the media type of a part with octets above 127.
const eightBit = "\r\nContent-Transfer-Encoding: 8bit"

// back is what comes back of the mail, and its media type (RFC 3464, RFC 6533 for what is not ASCII).
func (r *Report) back(original Source) (io.Reader, string, error) {
	if r.Full {
		kind, err := whole(original)
		return io.NewSectionReader(original, 0, original.Size()), kind, err
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
		kind = "message/global-headers" + eightBit
	}
	return bytes.NewReader(head), kind, nil
}

// whole is the media type of a mail that comes back as it is, with its encoding.
func whole(original Source) (string, error) {
	kind, header, end := "message/rfc822", true, []byte("\r\n\r\n")
	var tail []byte // of the piece before
	for b, err := range Pieces(original, 0, original.Size(), 64<<10) {
		if err != nil {
			return "", fmt.Errorf("reading the mail: %w", err)
		}
		n := len(b)
		if header {
			joined := append(tail, b...)
			if i := bytes.Index(joined, end); i >= 0 {
				header, n = false, max(i-len(tail), 0)
			}
			if !IsASCII(b[:n]) {
				return "message/global" + eightBit, nil // RFC 6532 3.7
			}
			tail = bytes.Clone(b[max(len(b)-len(end)+1, 0):])
		}
		if !IsASCII(b) {
			kind = "message/rfc822" + eightBit
			if !header {
				break
			}
		}
	}
	return kind, nil
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
	b.WriteString(w.news(action, about, r.clock(w, r.Arrived)) + "\r\n\r\n")
	for _, f := range r.Fates {
		b.WriteString("  " + f.Address.String() + "\r\n")
		if s := w.why[f.reason()]; s != "" {
			b.WriteString("    " + s + "\r\n")
		}
		switch {
		case f.Reply != "":
			b.WriteString("    " + w.said(clean(f.Remote, 300)) + "\r\n    " + clean(f.Reply, 600) + "\r\n")
		case f.Why != "" && f.reason() != givenUp:
			b.WriteString("    " + clean(f.Why, 600) + "\r\n")
		}
		b.WriteString("\r\n")
	}
	until := ""
	if !r.Fates[0].Until.IsZero() {
		until = r.clock(w, r.Fates[0].Until)
	}
	b.WriteString(w.next(action, until, r.Full) + "\r\n")
	if r.ID != "" {
		b.WriteString("\r\n" + w.id(r.ID) + "\r\n")
	}
	return b.String()
}

// clock is a time as the report's reader has it.
func (r *Report) clock(w reportWords, t time.Time) string {
	if r.Zone == nil {
		return t.UTC().Format(w.layout) + " UTC"
	}
	return t.In(r.Zone).Format(w.layout + " MST")
}

// reason is what a status means, as far as a person can do something about it.
type reason int

const (
	noReason     reason = iota
	unknown             // there is no such address
	noDomain            // nor a domain that takes mail
	fullMaildrop        // for now, or for good
	closed              // an address that takes no mail
	tooLarge
	byRules // of the other side
	form    // of the mail, which the other side does not take
	unreachable
	tooLate // all the time there is was over
	givenUp // by the administrator
	refused // for good, and no more is known
	busy    // for the moment, and no more is known
)

// reasons are those of statuses (RFC 3463), without their class.
var reasons = map[string]reason{
	"1.0": unknown, "1.1": unknown, "1.6": unknown, "1.2": noDomain, "1.10": noDomain, "4.4": noDomain, "4.3": unreachable, "4.1": unreachable, "4.2": unreachable, "4.7": tooLate,
	"2.1": closed, "2.2": fullMaildrop, "2.3": tooLarge, "3.4": tooLarge,
}

// reason finds it.
func (f *Fate) reason() reason {
	class, detail, _ := strings.Cut(f.Status, ".")
	subject, _, _ := strings.Cut(detail, ".")
	known, ok := reasons[detail]
	switch {
	case f.Action == Relayed, f.Action == Delivered, f.Status == "":
		return noReason
	case f.Reply == "" && f.Status == "5.0.0":
		return givenUp
	case known == noDomain && class == "4":
		return unreachable
	case known == unknown && class == "4":
		return busy
	case ok:
		return known
	case subject == "7":
		return byRules
	case subject == "6":
		return form
	case class == "4":
		return busy
	}
	return refused
}
