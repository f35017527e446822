package stamp

import "bytes"

// line is what is kept of a line.
type line struct {
	start int64
	asks  bool // ends in a colon
	lead  bool // and says who wrote: with a word for it, or with an address
	wrote bool // has no colon, and says who wrote all the same
	opens bool // begins as attributions do
	dated bool // holds a year, or a time
	label bool // "Word: …"
	from  bool // and the word names a sender
	proof bool // holds an address, or a year
}

// look sees what a line is made of.
func (p *prose) look(b []byte) line {
	l := line{start: p.start}
	if p.long || len(b) == 0 {
		return l
	}
	last := b[len(b)-1]
	l.asks = last == ':' || last == wideColon[2] && bytes.HasSuffix(b, []byte(wideColon))
	if colon := bytes.IndexByte(b[:min(len(b), maxWord)], ':'); colon > 0 && (colon+1 == len(b) || b[colon+1] == ' ') {
		l.label, l.from = true, isFrom(bytes.TrimSpace(b[:colon]))
		l.proof = p.head.on && (bytes.IndexByte(b, '@') > 0 || hasYear(b))
		l.proof = l.proof || l.from && (bytes.IndexByte(b, '@') > 0 || hasYear(b))
	}
	if l.wrote = !l.asks && namesWriter(b); !l.asks && !l.wrote {
		return l
	}
	l.opens, l.dated = opensAttribution(b), hasYear(b) || hasTime(b)
	angle, bare := hasAddress(b)
	l.lead = l.asks && (angle || saysWrote(b) || bare && l.dated)
	return l
}

const (
	wideColon = "："
	maxWord   = 40 // octets of "Word:" in the head of an original
)

// isFrom tells whether a word stands before a sender in the head of an original, in the languages that mail programs speak.
func isFrom(word []byte) bool {
	word = bytes.Trim(word, "*_ ") // bold, in a text that was made from HTML
	switch string(word) {
	case "From", "FROM", "from", "Von", "De", "Da", "Van", "Fra", "Från", "Od", "Feladó", "Mittente", "Expéditeur", "Remitente", "Lähettäjä", "Kimden", "От", "От кого", "Від",
		"差出人", "寄件者", "寄件人", "发件人", "發件人", "보낸 사람", "보낸사람":
		return true
	}
	return false
}

// opensAttribution tells a line that begins as attributions do.
func opensAttribution(b []byte) bool {
	for _, w := range [...]string{"On ", "Am ", "Le ", "El ", "Il ", "Op ", "Em ", "Den ", "Dne ", "W dniu "} {
		if bytes.HasPrefix(b, []byte(w)) {
			return true
		}
	}
	return false
}

// saysWrote tells a line that ends by saying that somebody else wrote.
func saysWrote(b []byte) bool {
	for _, w := range [...]string{"I wrote", "you wrote", "ich schrieb", "du schriebst"} {
		if bytes.Contains(b, []byte(w)) {
			return false
		}
	}
	for _, w := range [...]string{" wrote", " writes", "schrieb", "crit :", "crit:", "escribió", "escribi\xf3", "ha scritto", "escreveu", "schreef", " skrev", "님이 작성", "さんは書きました", "さんの発言", "さんからのメール",
		"写道", "寫道", "написал", " пишет"} {
		if bytes.Contains(b, []byte(w)) {
			return true
		}
	}
	return false
}

// namesWriter tells a line without a colon that ends by saying who wrote: behind it stands a date or an address, or a name and nothing else. What ends
// in such a word otherwise is a sentence.
func namesWriter(b []byte) bool {
	for len(b) > 0 && isBlank(b[len(b)-1]) {
		b = b[:len(b)-1]
	}
	if len(b) < len("A wrote") {
		return false
	}
	switch b[len(b)-1] {
	case 'e', 's', 'b', 't', 'o', 'u', 'f', 'v', 0xb3, 0xf3: // the ends of the verbs
	default:
		return false
	}
	for _, verb := range [...]string{" wrote", " writes", " schrieb", " a écrit", " a \xe9crit", " ha scritto", " escribió", " escribi\xf3", " escreveu", " schreef", " skrev"} {
		if who, ok := bytes.CutSuffix(b, []byte(verb)); ok {
			return bytes.IndexByte(who, '@') > 0 && (hasYear(who) || hasTime(who)) || opensAttribution(who) && hasYear(who) && !saysWrote(who) || isName(who)
		}
	}
	return false
}

// isName tells up to three words that begin as names do.
func isName(b []byte) bool {
	b = bytes.TrimSpace(b)
	first, _, _ := bytes.Cut(b, []byte(" "))
	words := 0
	for i, c := range b {
		if i > 0 && b[i-1] != ' ' || c == ' ' {
			continue
		}
		if words++; words > 3 || c < 'A' || c > 'Z' && c < 0x80 {
			return false
		}
	}
	switch string(first) {
	case "", "I", "You", "He", "She", "It", "We", "They", "As", "What", "Who", "This", "That", "Ich", "Du", "Er", "Sie", "Wir", "Ihr", "Es", "Wie", "Was", "Wer", "Il", "Elle", "Comme":
		return false
	}
	return true
}

// hasYear finds a year of four digits that stands by itself.
func hasYear(b []byte) bool {
	for i := 0; i+4 <= len(b); i++ {
		if (b[i] == '1' && b[i+1] == '9' || b[i] == '2' && b[i+1] == '0') && isDigit(b[i+2]) && isDigit(b[i+3]) && (i == 0 || !isDigit(b[i-1])) && (i+4 == len(b) || !isDigit(b[i+4])) {
			return true
		}
	}
	return false
}

// hasTime finds a time such as 9:05.
func hasTime(b []byte) bool {
	for i := 1; i+2 < len(b); i++ {
		if b[i] == ':' && isDigit(b[i-1]) && isDigit(b[i+1]) && isDigit(b[i+2]) {
			return true
		}
	}
	return false
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }

// hasAddress finds a mail address, in angle brackets or bare.
func hasAddress(b []byte) (angle, bare bool) {
	for i := 1; i+1 < len(b); i++ {
		if b[i] != '@' || b[i-1] <= ' ' || b[i+1] <= ' ' {
			continue
		}
		bare = true
		open, end := bytes.LastIndexByte(b[:i], '<'), bytes.IndexByte(b[i:], '>')
		if open >= 0 && end > 0 && bytes.IndexByte(b[open:i], ' ') < 0 && bytes.IndexByte(b[i:i+end], ' ') < 0 && bytes.IndexByte(b[open:i], '/') < 0 {
			angle = true
		}
	}
	return angle, bare
}

// head is the head of an original that may have begun: a rule, labelled lines, or both.
type head struct {
	mark
	known bool // the rule says that an original follows
	words bool // there were words before it
	from  bool // one of the labels names a sender
	proof bool // one of the lines holds an address or a year
}

// original looks for the head of an original: at least three labelled lines, one of them the sender's, behind a rule that says so or with an address or a year
// in them. What follows is the original, whatever it looks like.
func (p *prose) original(b []byte, l line) {
	h := &p.head
	rule, known := false, false
	if b[0] == '-' || b[0] == '_' {
		rule, known = isRule(b)
	}
	at, words := p.here(), p.words
	if a := &p.para; a.lines == 1 && a.last.asks && a.last.lead && a.spot.blank {
		at, words = a.spot, a.words // the line that says who wrote belongs to it
	}
	switch {
	case p.sealed:
	case rule:
		*h = head{mark: mark{on: true, spot: at}, known: known, words: words}
	case l.label && !h.on && l.from && p.blank:
		*h = head{mark: mark{on: true, spot: at, lines: 1}, words: words, from: true, proof: l.proof}
	case l.label && h.on:
		h.lines++
		h.from, h.proof = h.from || l.from, h.proof || l.proof
		if h.lines < minLabels || !h.from || !h.known && !h.proof {
			return
		}
		if !h.words {
			p.sealed, *h = true, head{}
			return
		}
		p.quote, p.fixed = mark{on: true, spot: h.spot}, true
		p.sig.on = p.sig.on && p.sig.spot.at < h.spot.at
	case h.on:
		p.doubt = p.doubt || h.known || h.from
		*h = head{}
	}
}

// isRule tells a line of underscores, or of words between hyphens, and whether the words say that an original follows.
func isRule(b []byte) (rule, known bool) {
	b = bytes.TrimRight(b, " ")
	if len(b) >= 20 && b[0] == '_' {
		return len(bytes.Trim(b, "_")) == 0, false
	}
	inner := bytes.Trim(b, "-")
	if len(b)-len(inner) < 6 || len(inner) < 5 || len(inner) > 60 || !bytes.HasPrefix(b, []byte("---")) || !bytes.HasSuffix(b, []byte("---")) {
		return false, false
	}
	words := bytes.ToLower(inner)
	for _, w := range [...]string{"original message", "forwarded message", "ursprüngliche nachricht", "originalnachricht", "original-nachricht", "weitergeleitete nachricht", "message d'origine",
		"message original", "message transféré", "mensaje original", "mensaje reenviado", "messaggio originale", "messaggio inoltrato", "mensagem original", "oorspronkelijk bericht",
		"元のメッセージ", "転送メッセージ", "원본 메시지", "원본 메세지", "전달된 메시지", "原始邮件", "原始郵件", "转发邮件"} {
		if bytes.Contains(words, []byte(w)) {
			return true, true
		}
	}
	return true, false
}
