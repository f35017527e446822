package stamp

import "bytes"

// maxSaid is how much is kept of a line of a page, in octets as they are written, tags left out.
const maxSaid = 320

// letters is the text of a line.
type letters struct {
	text [maxSaid]byte
	n    int
	long bool // there is more
	last byte // that is no blank, 0 for none
}

func (l *letters) add(p []byte) {
	n := copy(l.text[l.n:], p)
	l.n += n
	l.long = l.long || n < len(p)
	for i := len(p) - 1; i >= 0; i-- {
		if c := p[i]; !isBlank(c) {
			l.last = c
			return
		}
	}
}

// clear begins another line. What stood there stays where it is: there are many lines.
func (l *letters) clear() { l.n, l.long, l.last = 0, false, 0 }

func (l *letters) colon() bool { return l.last == ':' }

// line is the text without the blanks around it.
func (l *letters) line() []byte { return trimBlanks(l.text[:l.n]) }

// trimBlanks takes blanks off both ends, also those that are character references.
func trimBlanks(b []byte) []byte {
	for {
		for len(b) > 0 && isBlank(b[0]) {
			b = b[1:]
		}
		for len(b) > 0 && isBlank(b[len(b)-1]) {
			b = b[:len(b)-1]
		}
		switch n := len(b); {
		case bytes.HasPrefix(b, []byte("&nbsp;")):
			b = b[len("&nbsp;"):]
		case n > 0 && b[n-1] == ';' && bytes.HasSuffix(b, []byte("&nbsp;")):
			b = b[:n-len("&nbsp;")]
		default:
			return b
		}
	}
}

// attribution tells whether a line says who wrote what follows: it ends in a colon, and holds an address, a verb of writing, or a date. A colon alone
// ends a sentence of the author's as well.
func attribution(line []byte) bool {
	if n := len(line); n == 0 || line[n-1] != ':' && !bytes.HasSuffix(line, []byte(wideColon)) {
		return false
	}
	if bytes.IndexByte(line, '@') >= 0 || bytes.Contains(line, []byte("&lt;")) || bytes.Contains(line, []byte("&#60;")) {
		return true
	}
	for _, verb := range [...]string{" wrote", " writes", "schrieb", "écrit", "\xe9crit", "&eacute;crit", "&#233;crit", "escribi", "scritto", "escreveu", "schreef", "skrev", "님이 작성", "さん", "написал", "写道", "寫道"} {
		if bytes.Contains(line, []byte(verb)) {
			return true
		}
	}
	year, hour := dated(line)
	comma := bytes.IndexByte(line, ',') >= 0 || bytes.Contains(line, []byte("、")) || bytes.Contains(line, []byte("，"))
	return year && hour || comma && (year || hour)
}

// dated tells whether a year and a time of the day stand in a line.
func dated(line []byte) (year, hour bool) {
	digits := 0
	for i, c := range line {
		if c >= '0' && c <= '9' {
			digits++
			continue
		}
		year = year || digits == 4 && (line[i-4] == '1' || line[i-4] == '2')
		hour = hour || c == ':' && (digits == 1 || digits == 2) && i+2 < len(line) && isDigit(line[i+1]) && isDigit(line[i+2])
		digits = 0
	}
	return year, hour
}

// labelled tells whether a line is one of a header, such as "From: Bob".
func labelled(line []byte) bool {
	colon := bytes.IndexByte(line[:min(len(line), 40)], ':')
	return colon > 0 && (colon+1 == len(line) || isBlank(line[colon+1]) || line[colon+1] == '&')
}
