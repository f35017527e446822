package stamp

import "bytes"

// written is the head of an original that a page only says, as old mail programs write it: a line "-----Original Message-----", and below it lines such as "From: Bob".
type written struct {
	on     bool
	at     gap
	before flow
	labels int
	from   bool // one of the labels names a sender
}

// written looks at a line of the author's that has just ended; rule tells that it says that an original follows. As in a text, it takes the rule, three
// labelled lines right below it, and the sender's among them.
func (b *border) written(line []byte, rule bool) {
	w := &b.head
	switch {
	case rule:
		*w = written{on: true, at: b.line.at, before: b.line.before}
	case !w.on:
	case !labelled(line):
		w.on = false
	default:
		w.labels++
		w.from = w.from || isFrom(trimBlanks(line[:bytes.IndexByte(line, ':')]))
		if w.on = w.labels < minLabels; !w.on && w.from {
			b.flow = w.before
			b.original(w.at)
		}
	}
}

// divides tells whether a line drawn across the page is the one that a mail program draws above an original: Hotmail's, Zimbra's.
func (a *attributes) divides() bool { return string(a.id) == "stopSpelling" || string(a.id) == "zwchr" }
