package terminal

import (
	"strings"
	"unicode"

	"github.com/charmbracelet/x/ansi"
)

// maxDraft is how many bytes of a message may be written before it is sent; more of a paste is not taken.
const maxDraft = 256 << 10

// An editor is the text that is being written, and where in it one is. Everything moves by what a reader takes for one character.
type editor struct {
	text string
	at   int // in bytes
}

// clusters cuts a text into what a reader takes for one character each, with its columns on the screen.
func clusters(text string, yield func(cluster string, columns int) bool) {
	for text != "" {
		_, columns, n, _ := ansi.DecodeSequence(text, 0, nil)
		for n < len(text) && text[0] != '\n' && text[n] != '\n' { // a mark stands on the letter before it, also on one of ASCII
			_, more, m, _ := ansi.DecodeSequence(text[n:], 0, nil)
			if more > 0 || m <= 0 {
				break
			}
			n += m
		}
		if n <= 0 || !yield(text[:n], columns) {
			return
		}
		text = text[n:]
	}
}

// insert puts a text where one is, without what cannot be sent; tabs are blanks. It tells whether all of it found room.
func (e *editor) insert(text string) bool {
	text = strings.NewReplacer("\r\n", "\n", "\r", "\n", "\t", "    ").Replace(strings.ToValidUTF8(text, "\uFFFD"))
	text = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) && r != '\n' {
			return -1
		}
		return r
	}, text)
	if len(e.text)+len(text) > maxDraft {
		return false
	}
	e.text = e.text[:e.at] + text + e.text[e.at:]
	e.at += len(text)
	return true
}

// before and after are how many bytes the characters next to the cursor have.
func (e *editor) before() (n int) {
	line := e.text[:e.at]
	from := strings.LastIndexByte(strings.TrimSuffix(line, "\n"), '\n') + 1
	clusters(line[from:], func(c string, _ int) bool { n = len(c); return true })
	return n
}

func (e *editor) after() (n int) {
	clusters(e.text[e.at:], func(c string, _ int) bool { n = len(c); return false })
	return n
}

func (e *editor) remove(from, to int) {
	e.text, e.at = e.text[:from]+e.text[to:], from
}

// lineStart and lineEnd are where the line begins and ends in which one is.
func (e *editor) lineStart() int { return strings.LastIndexByte(e.text[:e.at], '\n') + 1 }

func (e *editor) lineEnd() int {
	if n := strings.IndexByte(e.text[e.at:], '\n'); n >= 0 {
		return e.at + n
	}
	return len(e.text)
}

// word is where the word begins in which, or behind which, one is.
func (e *editor) word() int {
	start := strings.TrimRightFunc(e.text[:e.at], unicode.IsSpace)
	return strings.LastIndexFunc(start, unicode.IsSpace) + 1
}

// key does what a key means to a text; false if it means nothing.
func (e *editor) key(name string) bool {
	switch name {
	case "left", "ctrl+b":
		e.at -= e.before()
	case "right", "ctrl+f":
		e.at += e.after()
	case "home", "ctrl+a":
		e.at = e.lineStart()
	case "end", "ctrl+e":
		e.at = e.lineEnd()
	case "backspace", "ctrl+h":
		e.remove(e.at-e.before(), e.at)
	case "delete", "ctrl+d":
		e.remove(e.at, e.at+e.after())
	case "ctrl+u":
		e.remove(e.lineStart(), e.at)
	case "ctrl+k":
		e.remove(e.at, e.lineEnd())
	case "ctrl+w", "alt+backspace":
		e.remove(e.word(), e.at)
	case "alt+enter", "shift+enter", "ctrl+j":
		e.insert("\n")
	default:
		return false
	}
	return true
}

// rows breaks the text into rows of that many columns; the cursor is in that row, behind so many columns.
func (e *editor) rows(columns int) (rows []string, row, column int) {
	var b strings.Builder
	used, at := 0, 0
	mark := func() {
		if at == e.at {
			row, column = len(rows), used
		}
	}
	end := func() {
		rows = append(rows, b.String())
		b.Reset()
		used = 0
	}
	clusters(e.text, func(c string, w int) bool {
		if c == "\n" {
			mark()
			end()
		} else {
			if used+w > columns {
				end()
			}
			mark()
			b.WriteString(Safe(c))
			used += w
		}
		at += len(c)
		return true
	})
	if used >= columns {
		end()
	}
	mark()
	end()
	return rows, row, column
}
