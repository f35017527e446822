package stamp

import "bytes"

// seen tells text that is seen from blanks, also where those are character references; it comes by in pieces.
type seen struct {
	name [8]byte // of a reference that may go on, without its '&'
	n    int     // its letters and one more, 0 for none
}

// text looks at text between tags.
func (b *border) text(p []byte) {
	if b.part == past || b.older.open {
		return
	}
	if !b.blind || b.older.beside {
		if b.seen.any(p) {
			b.visible()
		}
	}
	if b.part == authors {
		b.letters.add(p)
	}
}

// flush ends a character reference that stands right before a tag or the end.
func (b *border) flush() {
	if b.seen.n > 0 && !b.seen.blank() && (!b.blind || b.older.beside) {
		b.visible()
	}
	b.seen.n = 0
}

// any tells whether there is something to see in a piece of text.
func (s *seen) any(p []byte) bool {
	for _, c := range p {
		switch {
		case s.n > 0 && (c == '#' || isLetter(c) || c >= '0' && c <= '9'):
			if s.n > len(s.name) {
				s.n = 0
				return true
			}
			s.name[s.n-1] = c
			s.n++
			continue
		case s.n > 0 && !s.blank():
			s.n = 0
			return true
		case s.n > 0:
			s.n = 0
			if c == ';' {
				continue
			}
		}
		if c == '&' {
			s.n = 1
		} else if c > ' ' {
			return true
		}
	}
	return false
}

// blank tells whether the reference that has just ended is a blank, or nothing to be seen.
func (s *seen) blank() bool {
	switch string(s.name[:s.n-1]) {
	case "nbsp", "ensp", "emsp", "thinsp", "zwnj", "zwj", "shy", "#160", "#xa0", "#xA0", "#32", "#9", "#10", "#13", "#173", "#847", "#8194", "#8195", "#8199", "#8201", "#8202",
		"#8203", "#8204", "#8205", "#8206", "#8207", "#8288", "#65279", "#x200b", "#x200B", "#x200c", "#x200C", "#x200d", "#x200D", "#xfeff", "#xFEFF":
		return true
	}
	return false
}

// lastLetters is how many letters at the end of a line are looked at.
const lastLetters = 20

// tail keeps the last letters of a line.
type tail struct {
	last [2 * lastLetters]byte
	n    int
	all  int // letters of the line, until they are too many to matter
}

func (t *tail) add(p []byte) {
	if t.all == 0 {
		p = p[skipBlanks(p, 0):]
	}
	t.all = min(t.all+len(p), lastLetters+1)
	if len(p) >= lastLetters {
		t.n = copy(t.last[:], p[len(p)-lastLetters:])
		return
	}
	if t.n+len(p) > len(t.last) {
		t.n = copy(t.last[:], t.last[t.n-lastLetters:t.n])
	}
	t.n += copy(t.last[t.n:], p)
}

// text is the end of the line without blanks behind it.
func (t *tail) text() []byte {
	b := t.last[max(0, t.n-lastLetters):t.n]
	for {
		n := len(b)
		b = bytes.TrimSuffix(bytes.TrimRight(b, " \t\r\n\f"), []byte("&nbsp;"))
		if len(b) == n {
			return b
		}
	}
}

func (t *tail) ends(c byte) bool {
	b := t.text()
	return len(b) > 0 && b[len(b)-1] == c
}

func (t *tail) dashes() bool { return t.all <= lastLetters && string(t.text()) == "--" }
