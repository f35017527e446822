package stamp

// seen tells text that is seen from blanks, also where those are character references; it comes by in pieces.
type seen struct {
	name [8]byte // of a reference that may go on, without its '&'
	n    int     // its letters and one more, 0 for none
}

// text looks at text between tags.
func (b *border) text(p []byte) {
	if b.older.open {
		b.older.say(p)
		return
	}
	if b.part == past || b.nesting.hidden {
		return
	}
	if !b.blind || b.older.beside {
		if b.seen.any(p) {
			b.visible()
		}
	}
	if b.part == authors || b.part == quote && b.in.look > 0 {
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
