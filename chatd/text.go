package chatd

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

const (
	maxText = 4000 // UTF-16 code units of one message, as the page's field counts them
	maxName = 60   // characters of a visitor's name
	maxCID  = 64   // bytes of a client's own id for a message
)

// goodText tells whether text may be said: valid UTF-8, something in it, not too long, and no control characters but newline
// and tab. Whatever is stored can therefore be printed on a terminal.
func goodText(text string) bool {
	if text == "" || len(text) > 3*maxText || !utf8.ValidString(text) {
		return false
	}
	units, something := 0, false
	for _, r := range text {
		if unicode.IsControl(r) && r != '\n' && r != '\t' {
			return false
		}
		something = something || !unicode.IsSpace(r)
		units++
		if r > 0xffff {
			units++
		}
	}
	return something && units <= maxText
}

// goodCID tells whether a client's id for a message may be kept: printable ASCII.
func goodCID(cid string) bool {
	if cid == "" || len(cid) > maxCID {
		return false
	}
	for i := range len(cid) {
		if cid[i] <= ' ' || cid[i] > '~' {
			return false
		}
	}
	return true
}

// cleanName makes a name of what a visitor calls himself: one line, single blanks, nothing that turns the writing around or
// cannot be seen, at most maxName characters. "" when nothing is left.
func cleanName(name string) string {
	var b strings.Builder
	n, seen, gap := 0, false, false
	for _, r := range name {
		switch {
		case unicode.IsSpace(r) || unicode.IsControl(r):
			gap = n > 0
			continue
		case r == utf8.RuneError || unicode.In(r, unicode.Cf, unicode.Co) && r != zwnj && r != zwj:
			continue
		}
		if gap {
			b.WriteByte(' ')
			n++
		}
		if n >= maxName {
			break
		}
		b.WriteRune(r)
		n++
		gap, seen = false, seen || unicode.IsGraphic(r)
	}
	if !seen {
		return ""
	}
	return strings.TrimSpace(b.String())
}

// The joiners of Persian and Indic writing, and of composed emoji.
const (
	zwnj = '\u200c'
	zwj  = '\u200d'
)

// beginning is the beginning of text on one line, for a list.
func beginning(text string, max int) string {
	text = strings.Join(strings.Fields(text), " ")
	n := 0
	for i := range text {
		if n == max {
			return text[:i]
		}
		n++
	}
	return text
}
