package pop3d

import (
	"bytes"
	"io"
)

// stuffer makes a text the body of a multi-line response (RFC 1939 3): a line that begins with a dot gets a second one. It
// works on whole chunks, in place; between two dots octets are moved, not looked at one by one. The zero value is at the start of
// the text.
type stuffer struct{ tail tail }

// tail is how what went out so far ends.
type tail uint8

const (
	lineStart tail = iota // nothing yet, or CRLF
	midLine
	afterCR
	// afterLF is a bare LF. The store holds none, but a reader that takes one for a line end must not find the end of the response
	// inside a message, so a dot that follows is stuffed here too.
	afterLF
)

// A chunk has its text behind a margin, into which the text moves as dots are added: at most one for two octets.
const (
	margin    = 17 << 10
	textSize  = 31 << 10 // with some dots it still goes out in one write of 32 KiB
	chunkSize = margin + textSize
)

// stuff returns the next n octets of the text, which lie behind the margin, as they go out. The result is a part of chunk.
func (s *stuffer) stuff(chunk []byte, n int) []byte {
	text := chunk[margin : margin+n]
	if n == 0 {
		return text
	}
	out := 0
	if text[0] == '.' && (s.tail == lineStart || s.tail == afterLF) {
		chunk[0], out = '.', 1
	}
	s.tail = tailOf(s.tail, text)
	if out == 0 && !bytes.Contains(text, lineDot) {
		return text
	}
	for {
		i := bytes.Index(text, lineDot)
		if i < 0 {
			return chunk[:out+copy(chunk[out:], text)]
		}
		out += copy(chunk[out:], text[:i+1])
		chunk[out] = '.'
		out, text = out+1, text[i+1:]
	}
}

// end is the end of the response, on a line of its own even where the text had no line end.
func (s *stuffer) end() []byte {
	if s.tail != lineStart {
		return lineDotLine
	}
	return dotLine
}

func tailOf(before tail, p []byte) tail {
	switch p[len(p)-1] {
	case '\r':
		return afterCR
	case '\n':
		if len(p) > 1 && p[len(p)-2] == '\r' || len(p) == 1 && before == afterCR {
			return lineStart
		}
		return afterLF
	}
	return midLine
}

var (
	lineDot     = []byte("\n.")
	dotLine     = []byte(".\r\n")
	lineDotLine = []byte("\r\n.\r\n")
)

// topReader cuts a message after its header, the empty line, and that many lines of the body (RFC 1939 7, TOP).
type topReader struct {
	src   io.Reader
	lines int // of the body, still to come
	body  bool
	tail  tail // of the header, as far as it was read
	done  bool // the cut has been made
}

// Read reads no more from the message once the cut has been made.
func (t *topReader) Read(p []byte) (int, error) {
	if t.done {
		return 0, io.EOF
	}
	n, err := t.src.Read(p)
	keep := 0
	if !t.body {
		keep = t.header(p[:n])
	}
	if t.body {
		keep += t.cut(p[keep:n])
	}
	if t.done {
		return keep, io.EOF
	}
	return n, err
}

// header looks for the empty line and returns how many octets lie before the body.
func (t *topReader) header(p []byte) int {
	for at := 0; at < len(p); {
		end := bytes.IndexByte(p[at:], '\n')
		if end < 0 {
			t.tail = lineTail(t.tail, p[at:])
			return len(p)
		}
		line := p[at : at+end]
		at += end + 1
		empty := t.tail == lineStart && (len(line) == 0 || len(line) == 1 && line[0] == '\r') || t.tail == afterCR && len(line) == 0
		t.tail = lineStart
		if empty {
			t.body = true
			return at
		}
	}
	return len(p)
}

// lineTail keeps apart what the search for an empty line needs: nothing read of the line, a CR and nothing else, anything else.
func lineTail(before tail, p []byte) tail {
	switch {
	case len(p) == 0:
		return before
	case before == lineStart && len(p) == 1 && p[0] == '\r':
		return afterCR
	}
	return midLine
}

// cut returns how many octets of this piece of the body are wanted.
func (t *topReader) cut(p []byte) int {
	if t.lines > len(p) {
		t.lines -= bytes.Count(p, newline)
		return len(p)
	}
	at := 0
	for ; t.lines > 0; t.lines-- {
		end := bytes.IndexByte(p[at:], '\n')
		if end < 0 {
			return len(p)
		}
		at += end + 1
	}
	t.done = true
	return at
}

var newline = []byte("\n")
