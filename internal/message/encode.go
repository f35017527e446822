package message

import (
	"encoding/base64"
	"strings"
	"unicode/utf8"
)

// lineGoal is where a header line of ours is folded if it can be (RFC 5322 2.1.1; RFC 2047 2 demands it of lines with encoded words).
const lineGoal = 76

// AppendText appends an unstructured field with any text as its value: folded, and in encoded words (RFC 2047) where it is not plain ASCII. Whatever the text
// is, it stays inside this one field: controls become spaces. The name must be a field name of ours.
func AppendText(b []byte, name, text string) []byte {
	b = append(append(b, name...), ": "...)
	return append(appendWords(b, text, len(name)+2), "\r\n"...)
}

// AppendTokens appends a field whose value is tokens that may be separated by folds, such as message ids. The tokens must be printable ASCII.
func AppendTokens(b []byte, name string, tokens []string) []byte {
	b = append(append(b, name...), ':')
	column := len(name) + 1
	for _, t := range tokens {
		if column+1+len(t) > lineGoal && column > len(name)+1 {
			b = append(b, "\r\n"...)
			column = 0
		}
		b = append(append(b, ' '), t...)
		column += 1 + len(t)
	}
	return append(b, "\r\n"...)
}

// AppendMailbox appends an address field with one mailbox. The display name may be any text.
func AppendMailbox(b []byte, field, name, addr string) []byte {
	b = append(append(b, field...), ": "...)
	column := len(field) + 2
	switch {
	case name == "":
	case plainText(name) && len(name) <= lineGoal-column-2:
		b = append(b, '"')
		b = append(b, strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(name)...)
		b = append(b, '"')
		column += len(name) + 2
	default:
		b = appendEncoded(b, name, column)
		column = lineGoal
	}
	if name != "" {
		if column+len(addr)+3 > lineGoal {
			b = append(b, "\r\n"...)
		}
		b = append(b, ' ')
	}
	b = append(append(append(b, '<'), addr...), '>')
	return append(b, "\r\n"...)
}

// plainText tells whether text can stand in a header as it is: printable ASCII that nobody takes for an encoded word.
func plainText(text string) bool {
	for i := 0; i < len(text); i++ {
		if text[i] < ' ' || text[i] >= 0x7f {
			return false
		}
	}
	return !strings.Contains(text, "=?") && !strings.Contains(text, "  ") // a fold would make one space of two
}

// appendWords appends text, folded at its spaces; column is how far the line has come.
func appendWords(b []byte, text string, column int) []byte {
	if !plainText(text) {
		return appendEncoded(b, text, column)
	}
	words := strings.Fields(text)
	for _, w := range words {
		if len(w) > MaxLine-lineGoal {
			return appendEncoded(b, text, column)
		}
	}
	for i, w := range words {
		if i > 0 {
			if column+1+len(w) > lineGoal {
				b = append(b, "\r\n"...)
				column = 0
			}
			b = append(b, ' ')
			column++
		}
		b = append(b, w...)
		column += len(w)
	}
	return b
}

// appendEncoded appends text as encoded words, none longer than a line, none splitting a character (RFC 2047 5).
func appendEncoded(b []byte, text string, column int) []byte {
	const open, end = "=?utf-8?b?", "?="
	text = strings.ToValidUTF8(text, "\ufffd")
	text = strings.Map(func(r rune) rune {
		if r < ' ' || r >= 0x7f && r < 0xa0 {
			return ' '
		}
		return r
	}, text)
	for first := true; first || text != ""; first = false {
		if !first {
			b = append(b, "\r\n "...)
			column = 1
		}
		room := max((lineGoal-column-len(open)-len(end))/4*3, utf8.UTFMax)
		n := min(room, len(text))
		for n < len(text) && n > 0 && !utf8.RuneStart(text[n]) {
			n--
		}
		b = append(b, open...)
		b = base64.StdEncoding.AppendEncode(b, []byte(text[:n]))
		b = append(b, end...)
		text = text[n:]
	}
	return b
}
