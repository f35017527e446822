package stamp

import "slices"

// maxDepth and maxFormats bound how deep elements may lie in each other before we lose count.
const (
	maxDepth   = 200
	maxFormats = 24
)

// nesting keeps the open elements of a page as a parser does (HTML standard 13.2.6.4), but only those that matter to others, and gives up where
// a parser would begin to move things about.
type nesting struct {
	open    [maxDepth]kind
	n       int
	unfit   int // open elements in which nothing may be put
	paras   int // open paragraphs
	formats [maxFormats]format
	nf      int
	loud    int  // open formats that would format the button
	lost    bool // it does not add up
	hidden  bool // nothing here is seen
	floor   int  // elements that were open where a hidden one began, itself among them when it is kept here; 0 when that tells nothing
	sunk    bool // one of those has ended, and the hidden one with it
	vague   bool // a table in a paragraph, which in some documents it has ended, or a form, whose end tag ends it alone
}

// format is an open element that formats text.
type format struct {
	kind  kind
	depth uint8 // elements open around it
	loose bool  // one of those has ended: it will be opened again at the next text
}

func (f format) loud() bool { return f.kind != kFont || f.loose }

// fits tells whether a table may be put here and be a table of its own. When a block follows, it may stand in an open paragraph, which both end.
func (s *nesting) fits(block bool) bool {
	switch {
	case s.lost || s.hidden || s.unfit > 0 || s.loud > 0:
		return false
	case s.n == 0:
		return true
	case s.open[s.n-1] == kParagraph:
		return block && (s.nf == 0 || int(s.formats[s.nf-1].depth) < s.n)
	}
	return !s.betweenCells()
}

// betweenCells tells whether what comes next stands in a table, but in no cell of it.
func (s *nesting) betweenCells() bool {
	if s.n == 0 {
		return false
	}
	k := s.open[s.n-1]
	return k == kTable || k == kRows || k == kRow
}

func (s *nesting) push(k kind) {
	if s.n == maxDepth {
		s.lost = true
		return
	}
	s.open[s.n] = k
	s.n++
	if k.unfit() {
		s.unfit++
	} else if k == kParagraph {
		s.paras++
	}
}

// pop ends the innermost element.
func (s *nesting) pop() {
	if s.n--; s.n < s.floor && !s.lost && !s.vague {
		s.sunk = true
	}
	if k := s.open[s.n]; k.unfit() {
		s.unfit--
	} else if k == kParagraph {
		s.paras--
	}
}

// cut ends all elements from index i on.
func (s *nesting) cut(i int) {
	if i >= s.n {
		return
	}
	marker := s.n // what was formatted in a cell ends with it
	for s.n > i {
		s.pop()
		if k := s.open[s.n]; k == kCell || k == kCaption {
			marker = s.n
		}
	}
	if s.nf == 0 {
		return
	}
	kept := s.formats[:0]
	s.loud = 0
	for _, f := range s.formats[:s.nf] {
		if int(f.depth) > marker {
			continue
		}
		if int(f.depth) > i {
			f.depth, f.loose = uint8(i), true
		}
		if f.loud() {
			s.loud++
		}
		kept = append(kept, f)
	}
	s.nf = len(kept)
}

// find returns the index of the innermost open element of this kind that an end tag here can reach, or -1.
func (s *nesting) find(k kind) int {
	for i := s.n - 1; i >= 0; i-- {
		o := s.open[i]
		if o == k {
			return i
		}
		if o.boundary() && !(k.ofTable() && o != kTable) || k == kItem && (o == kUl || o == kOl) {
			return -1
		}
	}
	return -1
}

// start opens an element.
func (s *nesting) start(k kind) {
	switch {
	case k.formats():
		s.startFormat(k)
		return
	case k.ofTable():
		s.startOfTable(k)
		return
	case k == kTrouble:
		s.lost = true
		return
	case !k.block() && k != kRule && k != kForm:
		return
	}
	if s.betweenCells() {
		if k != kForm {
			s.lost = true
		}
		return
	}
	switch k {
	case kForm:
		s.vague = true
	case kItem, kTerm:
		s.endItem(k)
	case kHeading:
		if s.n > 0 && s.open[s.n-1] == kHeading {
			s.floor = 0 // there may be more in it than is kept here, and then it stays
			s.cut(s.n - 1)
		}
	}
	if s.paras > 0 {
		if i := s.find(kParagraph); i >= 0 {
			s.cut(i)
		}
	}
	if k.block() {
		s.push(k)
	}
}

// endItem ends the list item before this one.
func (s *nesting) endItem(k kind) {
	for i := s.n - 1; i >= 0; i-- {
		switch o := s.open[i]; {
		case o == k:
			s.cut(i)
			return
		case o != kAddress && o != kDiv && o != kParagraph:
			return
		}
	}
}

func (s *nesting) startOfTable(k kind) {
	table := s.find(kTable)
	if k == kTable {
		if s.betweenCells() {
			s.cut(table)
		}
		s.vague = s.vague || s.paras > 0
		s.push(k)
		return
	}
	if table < 0 {
		return // a parser passes over it
	}
	at := table + 1
	if k == kRow || k == kCell {
		for ; at < s.n && (s.open[at] == kRows || k == kCell && s.open[at] == kRow); at++ {
		}
	}
	s.cut(at)
	if k == kCell && s.open[s.n-1] != kRow {
		s.push(kRow)
	}
	s.push(k)
}

// end closes an element, and tells whether there was one to close other than a format.
func (s *nesting) end(k kind) bool {
	switch {
	case k.formats():
		s.endFormat(k)
		return false
	case !k.block() && !k.ofTable():
		return false
	case s.nf == 0 && s.n > 0 && s.open[s.n-1] == k: // as nearly always
		s.pop()
		return true
	}
	i := s.find(k)
	if i < 0 && k == kRows {
		if i = s.find(kTable); i >= 0 {
			if i++; i < s.n && s.open[i] == kCaption {
				return false
			}
		}
	}
	if i < 0 || i >= s.n {
		return false
	}
	s.cut(i)
	return true
}

func (s *nesting) startFormat(k kind) {
	if k == kAnchor || k == kNobr {
		s.endFormat(k)
	}
	if s.nf == maxFormats || s.betweenCells() {
		s.lost = true
		return
	}
	f := format{kind: k, depth: uint8(s.n)}
	if s.formats[s.nf] = f; f.loud() {
		s.loud++
	}
	s.nf++
}

func (s *nesting) endFormat(k kind) {
	if n := s.nf - 1; n >= 0 && s.formats[n].kind == k && int(s.formats[n].depth) == s.n { // as nearly always
		if s.nf = n; s.formats[n].loud() {
			s.loud--
		}
		return
	}
	cell := s.n - 1
	for cell >= 0 && s.open[cell] != kCell && s.open[cell] != kCaption {
		cell--
	}
	for i := s.nf - 1; i >= 0 && int(s.formats[i].depth) > cell; i-- {
		f := s.formats[i]
		if f.kind != k {
			continue
		}
		if f.loud() {
			s.loud--
		}
		copy(s.formats[i:], s.formats[i+1:s.nf])
		s.nf--
		for j := i; j < s.nf; j++ { // these began in it
			if f := &s.formats[j]; !f.loud() {
				s.loud++
				f.loose = true
			}
		}
		return
	}
}

// formatted tells whether text here is in an element of this kind.
func (s *nesting) formatted(k kind) bool {
	for _, f := range s.formats[:s.nf] {
		if f.kind == k {
			return true
		}
	}
	return false
}

// quoted tells whether what comes next is indented as quotes are.
func (s *nesting) quoted() bool { return slices.Contains(s.open[:s.n], kQuote) }
