package stamp

// kind is what an element means for the nesting of a page and for what a reader sees of it.
type kind uint8

const (
	kOther kind = iota // neither: it lies in its parent and ends with it
	kBody
	kHTML
	kBreak
	kSpan
	kImage   // and what else is seen without text
	kRaw     // unseen text
	kTrouble // the rules for what is in it are others than here
	kRule
	kForm
	// What formats text may end elsewhere than where it began, and is then opened again.
	kAnchor
	kBold
	kStrong
	kFont
	kBig
	kCode
	kEm
	kItalic
	kNobr
	kS
	kSmall
	kStrike
	kTt
	kUnderline
	// The parts of a table.
	kTable
	kRows // tbody, thead, tfoot
	kRow
	kCell
	kCaption
	// Blocks: each ends an open paragraph.
	kParagraph
	kDiv
	kCenter
	kSection
	kArticle
	kAside
	kMain
	kNav
	kHeader
	kFooter
	kFigure
	kFieldset
	kDetails
	kAddress
	// Blocks in which the button would be out of place.
	kQuote
	kHeading
	kPre
	kListing
	kUl
	kOl
	kMenu
	kDir
	kDl
	kItem
	kTerm // dt, dd
	kFigcaption
	kSummary
)

func (k kind) formats() bool  { return k >= kAnchor && k <= kUnderline }
func (k kind) block() bool    { return k >= kParagraph }
func (k kind) unfit() bool    { return k >= kQuote || k == kCaption }
func (k kind) ofTable() bool  { return k >= kTable && k <= kCaption }
func (k kind) boundary() bool { return k == kTable || k == kCell || k == kCaption }

// kindOf names the kind of an element, whose name is in lower case.
func kindOf(name []byte) kind {
	switch len(name) {
	case 1:
		return kindOfLetter(name[0])
	case 2:
		return kindOfTwo(name)
	}
	switch string(name) {
	case "div":
		return kDiv
	case "span":
		return kSpan
	case "table":
		return kTable
	case "img", "image", "video", "audio", "embed", "canvas", "meter", "progress":
		return kImage
	case "font":
		return kFont
	case "strong":
		return kStrong
	case "blockquote":
		return kQuote
	case "center":
		return kCenter
	case "body":
		return kBody
	case "html":
		return kHTML
	case "tbody", "thead", "tfoot":
		return kRows
	case "pre":
		return kPre
	case "form":
		return kForm
	case "script", "style", "title":
		return kRaw
	case "select", "svg", "math", "template", "button", "object", "applet", "marquee", "frameset", "textarea", "noscript", "iframe", "noembed", "noframes",
		"xmp", "plaintext", "dialog", "search", "hgroup":
		return kTrouble
	}
	return kindOfRare(name)
}

func kindOfLetter(c byte) kind {
	switch c {
	case 'p':
		return kParagraph
	case 'a':
		return kAnchor
	case 'b':
		return kBold
	case 'i':
		return kItalic
	case 's':
		return kS
	case 'u':
		return kUnderline
	}
	return kOther
}

func kindOfTwo(name []byte) kind {
	switch string(name) {
	case "br":
		return kBreak
	case "td", "th":
		return kCell
	case "tr":
		return kRow
	case "hr":
		return kRule
	case "li":
		return kItem
	case "ul":
		return kUl
	case "ol":
		return kOl
	case "em":
		return kEm
	case "h1", "h2", "h3", "h4", "h5", "h6":
		return kHeading
	case "dl":
		return kDl
	case "dt", "dd":
		return kTerm
	case "tt":
		return kTt
	}
	return kOther
}

func kindOfRare(name []byte) kind {
	switch string(name) {
	case "big":
		return kBig
	case "code":
		return kCode
	case "nobr":
		return kNobr
	case "small":
		return kSmall
	case "strike":
		return kStrike
	case "caption":
		return kCaption
	case "section":
		return kSection
	case "article":
		return kArticle
	case "aside":
		return kAside
	case "main":
		return kMain
	case "nav":
		return kNav
	case "header":
		return kHeader
	case "footer":
		return kFooter
	case "figure":
		return kFigure
	case "fieldset":
		return kFieldset
	case "details":
		return kDetails
	case "address":
		return kAddress
	case "listing":
		return kListing
	case "menu":
		return kMenu
	case "dir":
		return kDir
	case "figcaption":
		return kFigcaption
	case "summary":
		return kSummary
	}
	return kOther
}
