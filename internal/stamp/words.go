package stamp

import (
	"strconv"
	"strings"

	"chmail/internal/message"
)

// maxName is how much of a display name is repeated, in characters, so that its line stays one line.
const maxName = 46

// words is what the chat line and the button say.
type words struct {
	name string // of the sender; "" when he has none
	link string
}

// displayName returns a name that can be shown: one line of printable text.
func displayName(name string) string { return message.DecodeText(name, maxName) }

// line is the chat line: a sentence and the link on a line of its own, without a line end behind. A name outside ASCII only where it can be carried.
func (w *words) line(unicode bool) string {
	who := w.name
	if who == "" || !unicode && !isASCII(who) {
		who = "the sender"
	}
	return "Chat with " + who + " about this mail:\n" + w.link
}

// button is the HTML button: a table with inline styles, which mail programs without style sheets draw as well, plain words as the link's text and
// below it the host where it leads. ASCII only, nothing remote, lines that no transport cuts.
func (w *words) button() []byte {
	who := w.name
	if who == "" {
		who = "the sender"
	}
	b := make([]byte, 0, 1024)
	b = append(b, "\n<table role=\"presentation\" border=\"0\" cellpadding=\"0\"\n cellspacing=\"0\" style=\"margin:20px 0 12px 0;border-collapse:separate\">\n"...)
	b = append(b, "<tr><td bgcolor=\"#14532d\" style=\"background-color:#14532d;\nborder-radius:6px;padding:10px 18px;font-size:15px;\nfont-family:Arial,Helvetica,sans-serif\">\n"...)
	b = append(b, "<a href=\""...)
	b = appendHTML(b, w.link)
	b = append(b, "\"\n style=\"color:#ffffff;text-decoration:none;font-weight:bold\">\n<span style=\"color:#ffffff\">Chat with "...)
	b = appendHTML(b, who)
	b = append(b, "</span></a></td></tr>\n"...)
	b = append(b, "<tr><td style=\"padding:4px 0 0 2px;font-size:12px;color:#6b7280;\nfont-family:Arial,Helvetica,sans-serif\">opens "...)
	b = appendHTML(b, linkHost(w.link))
	return append(b, "</td></tr>\n</table>\n"...)
}

// appendHTML appends text so that it is text in any document whose charset knows ASCII.
func appendHTML(b []byte, s string) []byte {
	for _, r := range s {
		switch {
		case strings.ContainsRune(`<>&"'`, r) || r >= 0x7f:
			b = append(strconv.AppendInt(append(b, "&#"...), int64(r), 10), ';')
		default:
			b = append(b, byte(r))
		}
	}
	return b
}

func isASCII(s string) bool {
	for i := 0; i < len(s); i++ {
		if s[i] >= 0x80 {
			return false
		}
	}
	return true
}
