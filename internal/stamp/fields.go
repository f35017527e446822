package stamp

import (
	"bytes"
	"strconv"
	"strings"

	"chmail/internal/message"
)

// Strip returns the splices that take every CH field out of a header, whoever wrote it: what stands there must be the server's word.
func Strip(h *message.Header) []message.Splice {
	var s []message.Splice
	for i := range h.Fields {
		if isCH(h.Name(i)) {
			span := h.Span(i)
			s = append(s, message.Splice{Off: span.Off, Del: span.End - span.Off})
		}
	}
	return s
}

// isCH tells a name that only the stamp may write.
func isCH(name []byte) bool {
	return len(name) >= 3 && name[0]|0x20 == 'c' && name[1]|0x20 == 'h' && name[2] == '-'
}

// fields returns the splices of the header: the card's fields at the very top, the client's own CH fields away.
func fields(h *message.Header, card Card, link string) []message.Splice {
	s := make([]message.Splice, 0, 4)
	if card.Login != "" {
		b := make([]byte, 0, 256)
		b = message.AppendText(b, "CH-Login", card.Login)
		if card.Host != "" {
			b = message.AppendText(b, "CH-Host", card.Host)
		}
		if card.Port > 0 && card.Port < 1<<16 {
			b = append(strconv.AppendInt(append(b, "CH-Port: "...), int64(card.Port), 10), "\r\n"...)
		}
		if link != "" {
			b = message.AppendTokens(b, "CH-Link", []string{"<" + link + ">"})
		}
		if h.LF {
			b = bytes.ReplaceAll(b, []byte("\r\n"), []byte("\n"))
		}
		s = append(s, message.Splice{Off: h.Off, Ins: b})
	}
	return append(s, Strip(h)...)
}

// maxLink is far more than a link of ours has, and far less than a line holds.
const maxLink = 400

// Usable tells whether a link can be put into a mail: http or https, with a host, printable ASCII that needs no quoting anywhere.
func Usable(link string) bool { return usableLink(link) != "" }

// usableLink returns the link when it can stand in a header, a text and an HTML attribute as it is, or "".
func usableLink(link string) string {
	rest, ok := strings.CutPrefix(link, "https://")
	if !ok {
		rest, ok = strings.CutPrefix(link, "http://")
	}
	if !ok || len(link) > maxLink || linkHost(link) == "" {
		return ""
	}
	for i := 0; i < len(rest); i++ {
		if c := rest[i]; c <= ' ' || c >= 0x7f || strings.IndexByte("<>\"'`\\^{|}", c) >= 0 {
			return ""
		}
	}
	return link
}

// linkHost is the host of a link, which is shown beside it so that nobody has to guess where it leads.
func linkHost(link string) string {
	_, rest, _ := strings.Cut(link, "://")
	host := rest
	if i := strings.IndexAny(rest, "/?#"); i >= 0 {
		host = rest[:i]
	}
	if strings.ContainsAny(host, "@&;") {
		return ""
	}
	return host
}
