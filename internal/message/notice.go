package message

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"html"
	"mime/quotedprintable"
	"net/url"
	"strings"
	"time"

	"chmail/internal/address"
)

// Notice is the word left for the owner of a link who could not be reached (R11): a mail of the system in the thread of the original.
type Notice struct {
	To    string    // the owner's login
	Host  string    // this server's name, for the Message-ID
	Who   string    // what the visitor calls himself; "" when he has not said
	Said  []string  // what he has written that the owner has not read, the oldest first; at most MaxSaid of them are shown, the latest
	Calls int       // how often he has called; 0 and 1 are the same
	About Summary   // the mail whose link was followed
	Link  string    // of the desk at this conversation; it carries no right of its own
	At    time.Time // when he called last

	Language string // of the owner: "en", "ja", "ko"; whatever else is English
}

const (
	maxWho     = 80  // characters of a visitor's name that are repeated,
	maxMessage = 500 // and of each of his messages

	// MaxSaid is how many of a visitor's messages a notice shows.
	MaxSaid = 10
)

// Build writes the notice: a complete message with CRLF line ends, lines within MaxLine, in 7 bits unless the login is not ASCII. Names and subjects in it were written by strangers;
// they can neither add a header field nor markup. An error means that To is no address or Link no http(s) URL.
func (n *Notice) Build() ([]byte, error) {
	to, err := address.Parse(n.To)
	if err != nil {
		return nil, fmt.Errorf("building a notice: %w", err)
	}
	if u, err := url.Parse(n.Link); err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || !plainText(n.Link) || len(n.Link) > MaxLine-80 || strings.ContainsAny(n.Link, " <>\"") {
		return nil, fmt.Errorf("building a notice: the desk's link is no URL")
	}
	t := n.say()
	l := letter{to: to, from: t.from(to.Domain), host: n.Host, subject: reply(n.About.Subject, t.wants(n.who())), at: n.At, about: n.About, tag: t.tag, text: n.text(), html: n.html()}
	return l.build(), nil
}

// mostlyForeign tells whether quoted-printable would make more of text than base64: beyond one byte in six that is not ASCII.
func mostlyForeign(text string) bool {
	high := 0
	for i := range len(text) {
		if text[i] >= 0x80 {
			high++
		}
	}
	return high > len(text)/6
}

// appendBase64 appends text in base64, in lines of 76 characters (RFC 2045 6.8).
func appendBase64(b []byte, text string) []byte {
	const perLine = 57
	for len(text) > 0 {
		n := min(perLine, len(text))
		b = base64.StdEncoding.AppendEncode(b, []byte(text[:n]))
		b = append(b, "\r\n"...)
		text = text[n:]
	}
	return b
}

// appendQuoted appends text in quoted-printable.
func appendQuoted(b []byte, text string) []byte {
	var buf bytes.Buffer
	w := quotedprintable.NewWriter(&buf)
	// Writing to a bytes.Buffer cannot fail.
	w.Write([]byte(text))
	w.Close()
	return append(b, buf.Bytes()...)
}

// who is how the visitor is spoken of, with the honour that the language owes him.
func (n *Notice) who() string {
	t := n.say()
	if w := clean(n.Who, maxWho); w != "" {
		return w + t.honour
	}
	return t.somebody
}

// sentences says what happened; the first is the news.
func (n *Notice) sentences() []string {
	t := n.say()
	about := t.aMail
	if s := clean(n.About.Subject, maxSubject); s != "" {
		about = t.open + s + t.close
	}
	return []string{t.news(n.who(), about), t.when(max(n.Calls, 1), n.At.UTC().Format(t.layout)+" UTC")}
}

// said are the messages as they are shown, each in one line; what is left out is three dots.
func (n *Notice) said() []string {
	var lines []string
	latest := n.Said
	if over := len(latest) - MaxSaid; over > 0 {
		lines, latest = append(lines, "…"), latest[over:]
	}
	for _, text := range latest {
		if text = clean(text, maxMessage); text != "" {
			lines = append(lines, text)
		}
	}
	return lines
}

func (n *Notice) text() string {
	t := n.say()
	said := ""
	if lines := n.said(); len(lines) > 0 {
		said = t.said + "\r\n\r\n> " + strings.Join(lines, "\r\n> ") + "\r\n\r\n"
	}
	return strings.Join(n.sentences(), "\r\n") + "\r\n\r\n" + said + t.answer + "\r\n" + n.Link + "\r\n\r\n" + t.signIn + "\r\n"
}

func (n *Notice) html() string {
	t := n.say()
	var b strings.Builder
	b.WriteString("<!DOCTYPE html>\r\n<html lang=\"" + t.tag + "\"><body style=\"font-family:sans-serif;line-height:1.5\">\r\n")
	for _, s := range n.sentences() {
		b.WriteString("<p>" + html.EscapeString(s) + "</p>\r\n")
	}
	if lines := n.said(); len(lines) > 0 {
		b.WriteString("<p>" + t.said + "</p>\r\n<blockquote style=\"margin:0 0 1em;padding-left:12px;border-left:3px solid #14532d\">\r\n")
		for _, s := range lines {
			b.WriteString("<p dir=\"auto\">" + html.EscapeString(s) + "</p>\r\n")
		}
		b.WriteString("</blockquote>\r\n")
	}
	b.WriteString("<p><a href=\"" + html.EscapeString(n.Link) + "\" style=\"display:inline-block;padding:10px 18px;border-radius:6px;background:#14532d;color:#ffffff;text-decoration:none\">" + t.button + "</a></p>\r\n")
	b.WriteString("<p style=\"color:#666666;font-size:small\">" + html.EscapeString(t.signIn) + "</p>\r\n</body></html>\r\n")
	return b.String()
}
