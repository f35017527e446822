package message

import (
	"io"
	"strings"
	"time"

	"chmail/internal/address"
)

// A letter is a mail that the server itself writes to an owner, in the thread of a mail of his. Names and subjects in it were written by strangers; they can neither add a
// header field nor markup.
type letter struct {
	to         address.Address
	sender     string // domain of the postmaster who sends it; "" for that of to
	from       string // display name of the postmaster who sends it
	host       string // this server's name, for the Message-ID
	replyTo    string // an address; "" for none
	subject    string
	at         time.Time
	about      Summary // of the mail in whose thread it goes
	tag        string  // of its language (BCP 47)
	text, html string
	attach     []Attachment
}

// build is all of it: a complete message with CRLF line ends, lines within MaxLine, in 7 bits unless the login is not ASCII. Attachments are for write.
func (l letter) build() []byte {
	return l.alternative(l.header())
}

// write writes it, with what is attached.
func (l letter) write(w io.Writer) error {
	if len(l.attach) == 0 {
		_, err := w.Write(l.build())
		return err
	}
	boundary := "chmail-" + NewID()
	b := append(l.header(), "Content-Type: multipart/mixed; boundary=\""+boundary+"\"\r\n\r\n--"+boundary+"\r\n"...)
	if _, err := w.Write(l.alternative(b)); err != nil {
		return err
	}
	for _, a := range l.attach {
		if _, err := io.WriteString(w, "--"+boundary+"\r\n"); err != nil {
			return err
		}
		if err := a.write(w); err != nil {
			return err
		}
	}
	_, err := io.WriteString(w, "--"+boundary+"--\r\n")
	return err
}

// header is its header, up to the fields of its content.
func (l letter) header() []byte {
	b := make([]byte, 0, 4<<10)
	if l.sender == "" {
		l.sender = l.to.Domain
	}
	b = AppendMailbox(b, "From", l.from, "postmaster@"+l.sender)
	b = AppendMailbox(b, "To", "", l.to.String())
	if l.replyTo != "" {
		b = AppendMailbox(b, "Reply-To", "", l.replyTo)
	}
	b = AppendText(b, "Subject", l.subject)
	b = AppendDate(b, l.at)
	b = AppendTokens(b, "Message-ID", []string{NewMessageID(l.host)})
	if validMessageID(l.about.MessageID) {
		b = AppendTokens(b, "In-Reply-To", []string{l.about.MessageID})
		refs := messageIDs(l.about.References)
		b = AppendTokens(b, "References", append(refs, l.about.MessageID))
	}
	return append(b, "Auto-Submitted: auto-generated\r\nContent-Language: "+l.tag+"\r\nMIME-Version: 1.0\r\n"...)
}

// alternative appends the text and its HTML, with the field that says so.
func (l letter) alternative(b []byte) []byte {
	boundary := "chmail-" + NewID()
	b = append(b, "Content-Type: multipart/alternative; boundary=\""+boundary+"\"\r\n\r\n"...)
	for _, part := range [...]struct{ kind, body string }{{"text/plain", l.text}, {"text/html", l.html}} {
		b = append(b, "--"+boundary+"\r\nContent-Type: "+part.kind+"; charset=utf-8\r\nContent-Transfer-Encoding: "...)
		if mostlyForeign(part.body) {
			b = appendBase64(append(b, "base64\r\n\r\n"...), part.body)
		} else {
			b = appendQuoted(append(b, "quoted-printable\r\n\r\n"...), part.body)
		}
	}
	return append(b, "--"+boundary+"--\r\n"...)
}

// reply is a subject in the thread of another, which may have had none.
func reply(subject, otherwise string) string {
	s := clean(subject, maxSubject)
	switch {
	case s == "":
		return otherwise
	case len(s) >= 3 && strings.EqualFold(s[:3], "re:"):
		return s
	}
	return "Re: " + s
}
