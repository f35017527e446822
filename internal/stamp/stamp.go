package stamp

import (
	"chmail/internal/message"
)

// Card is what a mail is stamped with. What it lacks is left out; the zero Card only takes away what a client must not write.
type Card struct {
	Login string // CH-Login, and the owner of the link
	Name  string // his display name; any text, "" when he has none
	Host  string // CH-Host: the chat host, without port
	Port  int    // CH-Port; 0 for none
	Link  string // http(s) URL, printable ASCII; anything else counts as none
	Lang  string // of the chat line: "ja", "ko"; anything else is English
	Skip  string // a reason to add nothing at all, not even header fields; "" for none
	Keep  string // a reason to leave the body alone that the bytes do not tell, such as a null sender; "" for none
	// Mine tells whether a link of this server is one of Login's. It is asked only about an older chat line under another name than Login's: he may have been called so
	// when it was written. Nil: it is not known.
	Mine func(link string) bool
}

// Kind says how far a stamp went.
type Kind string

// The kinds of verdict.
const (
	Body       Kind = "body"        // header fields, and the link in at least one part
	HeaderOnly Kind = "header-only" // header fields, the body untouched
	Skipped    Kind = "skipped"     // nothing was added
)

// Verdict says how far a stamp went and why not further, in words for a log or an administrator.
type Verdict struct {
	Kind   Kind
	Reason string // "" when the link is in every part where it should be
}

// String writes the verdict on one line that begins with its kind.
func (v Verdict) String() string {
	if v.Reason == "" {
		return string(v.Kind)
	}
	return string(v.Kind) + ": " + v.Reason
}

// Result is a stamp that can be put on.
type Result struct {
	Splices []message.Splice // sorted; message.Invert gives those that take it off again
	Verdict Verdict
	Parts   []int // indexes in Tree.Parts of the parts that carry the link now
}

// Plan says what to change in a message so that it carries the card. tree must be the scan of src. Of a message that is not in memory it
// holds a few kilobytes at a time, whatever the size of its parts. The error is an error of reading src.
func Plan(src message.Source, tree *message.Tree, card Card) (Result, error) {
	link := usableLink(card.Link)
	if h := &tree.Head; len(h.Raw) > 0 && (h.Raw[0] == ' ' || h.Raw[0] == '\t') {
		// It would go on what is put above it.
		return Result{Splices: Strip(h), Verdict: Verdict{Skipped, "the header begins with a folded line"}}, nil
	}
	if card.Skip != "" {
		return Result{Splices: Strip(&tree.Head), Verdict: Verdict{Skipped, card.Skip}}, nil
	}
	r := Result{Splices: fields(&tree.Head, card, link)}
	switch {
	case card.Login == "":
		r.Verdict = Verdict{Skipped, "no card"}
		return r, nil
	case link == "":
		r.Verdict = Verdict{HeaderOnly, "no link"}
		return r, nil
	case card.Keep != "":
		r.Verdict = Verdict{HeaderOnly, card.Keep}
		return r, nil
	}
	s, err := readShape(src, tree)
	if err != nil {
		return Result{}, err
	}
	r.Verdict = Verdict{HeaderOnly, s.reason}
	header := r.Splices
	w := words{name: displayName(card.Name), link: link, lang: card.Lang, mine: card.Mine}
	for _, i := range [...]int{min(s.text, s.html), max(s.text, s.html)} { // in the order of their places
		if i < 0 {
			continue
		}
		sp, reason, err := stampLeaf(src, tree, i, &w)
		switch {
		case err != nil:
			return Result{}, err
		case reason == inlinePGP:
			return Result{Splices: header, Verdict: Verdict{HeaderOnly, reason}}, nil
		case reason != "" && r.Verdict.Reason == "":
			r.Verdict.Reason = tree.Parts[i].Media.Type + " left alone: " + reason
		case reason == "":
			r.Splices = append(r.Splices, sp...)
			r.Parts = append(r.Parts, i)
			r.Verdict.Kind = Body
		}
	}
	return r, nil
}

// stampLeaf plans the splices that put the link into one part, or says why not. A part that has it already needs none.
func stampLeaf(src message.Source, tree *message.Tree, i int, w *words) (sp []message.Splice, reason string, err error) {
	l, reason := openLeaf(src, tree, i)
	if reason != "" {
		return nil, reason, nil
	}
	var edits []edit
	if l.html {
		var p page
		if reason, err = l.read(p.write); err == nil && reason == "" {
			if edits = p.edits(w.button(), w.ownButton); len(edits) == 0 {
				reason = "hidden elements are open at its end"
			} else if l.mustEnd && l.encoding != "base64" { // an empty page: the last line end becomes the delimiter's, and another mail would get one more
				edits[0].ins = append(edits[0].ins, '\n')
			}
		}
	} else {
		p := newProse(w.own)
		if reason, err = l.read(p.write); err == nil && reason == "" {
			edits, err = l.placeText(p, w)
		}
	}
	if reason != "" || err != nil {
		return nil, reason, err
	}
	for _, e := range edits {
		if !l.asciiAt(e.at) || !l.asciiAt(e.at+e.del) {
			return nil, "its characters are shifted where the link would go", nil
		}
	}
	if edits, err = l.differs(edits); err != nil {
		return nil, "", err
	}
	if len(edits) == 0 {
		return nil, "", nil
	}
	return l.code.splice(l, edits)
}
