package terminal

import (
	"strings"
	"unicode"
)

// Safe makes one line of what somebody wrote that can be printed on any terminal: nothing in it moves the cursor, colours, rings, or
// turns the direction of what stands around it. What was there is shown as U+FFFD; line ends and tabs become blanks.
func Safe(text string) string { return safe(text, false) }

// SafeLines is Safe for a text whose line ends count.
func SafeLines(text string) string { return safe(strings.ReplaceAll(text, "\r\n", "\n"), true) }

func safe(text string, lines bool) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\n' && lines:
			return r
		case r == '\n' || r == '\t':
			return ' '
		case r == zwnj || r == zwj: // Persian, Indic writing, composed emoji
			return r
		case r == ' ' || unicode.IsPrint(r):
			return r
		case unicode.Is(unicode.Zs, r): // a no-break or an ideographic space is as wide as it says
			return r
		}
		return unicode.ReplacementChar
	}, text)
}

const (
	zwnj = '\u200c'
	zwj  = '\u200d'
)
