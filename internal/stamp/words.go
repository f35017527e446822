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
	lang string
	mine func(link string) bool // nil: nobody knows
}

// displayName returns a name that can be shown: one line of printable text.
func displayName(name string) string { return message.DecodeText(name, maxName) }

// tongue is what is said in a language. Of a name, {} is the place.
type tongue struct {
	tag             string // of the language (BCP 47)
	line, nameless  string // the sentence above the link; it ends in ':'
	button, anybody string // on the button
	before          string // before the host of the link
}

// tongues are the languages there are, English first. The sentences are what an older chat line is known by: one that is changed is not recognised any more.
func tongues() [3]tongue {
	return [3]tongue{
		{"en", "Chat with {} about this mail:", "Chat with the sender about this mail:", "Chat with {}", "Chat with the sender", "opens "},
		{"ja", "このメールについて {} さんとチャット:", "このメールについて送信者とチャット:", "{} さんとチャット", "送信者とチャット", "接続先: "},
		{"ko", "이 메일에 대해 {} 님과 채팅:", "이 메일에 대해 보낸 사람과 채팅:", "{} 님과 채팅", "보낸 사람과 채팅", "연결되는 곳: "},
	}
}

func (w *words) tongue() tongue {
	all := tongues()
	for _, t := range all {
		if t.tag == w.lang {
			return t
		}
	}
	return all[0]
}

// line is the chat line in the charset of a text: a sentence and the link on a line of its own, without a line end behind. The language and the name give way where
// they cannot be written.
func (w *words) line(c charset, ascii bool) string {
	english := tongues()[0]
	for _, t := range [...]tongue{w.tongue(), english} {
		for _, name := range [...]string{w.name, ""} {
			sentence := t.nameless
			if name != "" {
				sentence = strings.Replace(t.line, "{}", name, 1)
			}
			if s, ok := c.encode(sentence); ok && (!ascii || isASCII(s)) {
				return s + "\n" + w.link
			}
		}
	}
	return english.nameless + "\n" + w.link
}

// button is the HTML button: a table with inline styles, which mail programs without style sheets draw as well, plain words as the link's text and
// below it the host where it leads, in the colour of the mail's own text, since nobody knows how dark that is. ASCII only, nothing remote, lines that no transport cuts. The class tells it from other tables when the mail comes by again.
func (w *words) button() []byte {
	t := w.tongue()
	label := t.anybody
	if w.name != "" {
		label = strings.Replace(t.button, "{}", w.name, 1)
	}
	b := make([]byte, 0, 1024)
	b = append(b, "\n<table role=\"presentation\" class=\"chmail-link\" lang=\""...)
	b = append(append(b, t.tag...), "\"\n border=\"0\" cellpadding=\"0\"\n cellspacing=\"0\" style=\"margin:20px 0 12px 0;border-collapse:separate\">\n"...)
	b = append(b, "<tr><td bgcolor=\"#14532d\" style=\"background-color:#14532d;\nborder-radius:6px;padding:10px 18px;font-size:15px;\nfont-family:Arial,Helvetica,sans-serif;\nmso-line-height-rule:exactly;line-height:20px\">\n"...)
	b = append(b, "<a href=\""...)
	b = appendHTML(b, w.link)
	b = append(b, "\"\n style=\"color:#ffffff;text-decoration:none;font-weight:bold\">\n<span dir=\"ltr\" style=\"color:#ffffff\">"...)
	b = appendHTML(b, label)
	b = append(b, "</span></a></td></tr>\n"...)
	b = append(b, "<tr><td style=\"padding:4px 0 0 2px;font-size:12px;\nfont-family:Arial,Helvetica,sans-serif\"><span dir=\"ltr\">"...)
	b = appendHTML(b, t.before)
	b = appendHTML(b, linkHost(w.link))
	return append(b, "</span></td></tr>\n</table>\n"...)
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

// own tells whether a link is one of ours: the same place, another token.
func (w *words) own(href string) bool {
	slash := strings.LastIndexByte(w.link, '/') + 1
	if len(href) != len(w.link) || href[:slash] != w.link[:slash] {
		return false
	}
	for i := slash; i < len(href); i++ {
		if c := href[i]; !isLetter(c) && (c < '0' || c > '9') && c != '-' && c != '_' {
			return false
		}
	}
	return true
}

// ownButton tells whether a button is one of this sender's, in any language: its link, and what it says, which is his name, none, or another that he had, if it is known that
// the link is his. Somebody else's, in a mail that is quoted or forwarded without a mark, is none.
func (w *words) ownButton(href, label string) bool {
	if !w.own(href) {
		return false
	}
	for _, t := range tongues() {
		if label == t.anybody || w.name != "" && label == strings.Replace(t.button, "{}", w.name, 1) {
			return true
		}
	}
	for _, t := range tongues() {
		if around(label, t.button, func(s string) (string, bool) { return s, true }) {
			return w.mine != nil && w.mine(href)
		}
	}
	return false
}

// around tells whether a text is a sentence with some name in it.
func around(text, sentence string, encode func(string) (string, bool)) bool {
	before, behind, _ := strings.Cut(sentence, "{}")
	before, ok := encode(before)
	behind, also := encode(behind)
	return ok && also && len(text) > len(before)+len(behind) && strings.HasPrefix(text, before) && strings.HasSuffix(text, behind)
}

// ownLine tells whether a text is a chat line of this sender's in any language: the sentence and a link. named asks for his name in it, if he has one, or
// for the very link, or that the link is known to be his.
func (w *words) ownLine(text string, c charset, named bool) bool {
	sentence, href, ok := strings.Cut(strings.ReplaceAll(text, "\r\n", "\n"), "\n")
	if !ok || !w.own(href) {
		return false
	}
	for _, t := range tongues() {
		for _, said := range [...]string{t.nameless, strings.Replace(t.line, "{}", w.name, 1)} {
			if s, ok := c.encode(said); ok && sentence == s && (!named || w.name == "" || said != t.nameless || href == w.link) {
				return true
			}
		}
	}
	for _, t := range tongues() {
		if s, ok := c.encode(t.nameless); ok && s == sentence || around(sentence, t.line, c.encode) {
			return w.mine != nil && w.mine(href)
		}
	}
	return false
}

func isASCII(s string) bool {
	for i := 0; i < len(s); i++ {
		if s[i] >= 0x80 {
			return false
		}
	}
	return true
}
