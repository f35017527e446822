package stamp

import "bytes"

// Bounds of what is taken for a signature at the end of a text.
const (
	maxSignature = 1000 // octets
	maxSigLines  = 12
)

// tailSize is how much of the end of a text is looked at.
const tailSize = 2 << 10

// tail keeps the end of a text that comes by in pieces.
type tail struct {
	buf   [2 * tailSize]byte
	n     int   // filled bytes of buf
	total int64 // octets of the text so far
}

func (t *tail) write(p []byte) {
	t.total += int64(len(p))
	if len(p) >= tailSize {
		t.n = copy(t.buf[:], p[len(p)-tailSize:])
		return
	}
	if t.n+len(p) > len(t.buf) {
		t.n = copy(t.buf[:], t.buf[t.n-tailSize:t.n])
	}
	t.n += copy(t.buf[t.n:], p)
}

// signature returns where in the end of a text the signature begins (RFC 3676 4.3): at the only line "-- ", with few lines behind it
// and no quotation among them. Otherwise the length of text.
func signature(text []byte, whole bool) int {
	at, lines := -1, 0
	for pos, start := 0, whole; pos < len(text); start = true {
		end := len(text)
		if nl := bytes.IndexByte(text[pos:], '\n'); nl >= 0 {
			end = pos + nl + 1
		}
		switch line := bytes.TrimRight(text[pos:end], "\r\n"); {
		case !start: // the rest of a line whose beginning is not here
		case string(line) == "-- ":
			if at >= 0 {
				return len(text)
			}
			at = pos
		case at >= 0 && len(line) > 0 && line[0] == '>':
			return len(text)
		case at >= 0:
			lines++
		}
		pos = end
	}
	if at < 0 || lines > maxSigLines || len(text)-at > maxSignature {
		return len(text)
	}
	return at
}

// placeText finds the place of the chat line in a text, counted in octets of the decoded text, and the bytes to put there, line ends as LF.
func (l *leaf) placeText(end *tail, w *words) (int64, []byte) {
	text := end.buf[:end.n]
	whole := end.total == int64(end.n)
	at := signature(text, whole)
	above := text[:at]
	var b []byte
	switch {
	case len(above) == 0:
	case above[len(above)-1] != '\n':
		b = append(b, "\n\n"...)
	case !blankLine(above):
		b = append(b, '\n')
	}
	// A line that flows on would swallow the blank line behind it (RFC 3676 4.2).
	if last := bytes.TrimRight(above, "\r\n"); l.flowed && len(b) > 0 && len(last) > 0 && last[len(last)-1] == ' ' {
		b = append(b, '\n')
	}
	b = append(b, w.line(l.unicode)...)
	switch {
	case at < len(text):
		b = append(b, "\n\n"...)
	case l.root || l.mustEnd || len(above) > 0 && above[len(above)-1] == '\n':
		b = append(b, '\n')
	}
	return end.total - int64(len(text)-at), b
}

// blankLine tells whether text ends in an empty line, or is one.
func blankLine(text []byte) bool {
	text = bytes.TrimSuffix(bytes.TrimSuffix(text, []byte("\n")), []byte("\r"))
	return len(text) == 0 || text[len(text)-1] == '\n'
}
