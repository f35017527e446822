package stamp

import (
	"bytes"
	"strings"
)

// attributes are the values of a tag that tell quotes and signatures from other elements, as they are written, nil for none.
type attributes struct {
	id, class, style, typ, cite, name, href, width, height []byte

	hidden bool // the attribute is there, with or without a value
}

// readAttributes reads a whole tag. Of an attribute that is there twice, the first counts.
func readAttributes(tag []byte) (a attributes) {
	i := 1
	for i < len(tag) && !isBlank(tag[i]) && tag[i] != '/' && tag[i] != '>' {
		i++
	}
	for i < len(tag) {
		for i < len(tag) && (isBlank(tag[i]) || tag[i] == '/') {
			i++
		}
		if i == len(tag) || tag[i] == '>' {
			return a
		}
		from := i
		for i++; i < len(tag) && tag[i] != '=' && tag[i] != '>' && tag[i] != '/' && !isBlank(tag[i]); i++ {
		}
		name := tag[from:i]
		a.hidden = a.hidden || len(name) == 6 && bytes.EqualFold(name, []byte("hidden"))
		if i = skipBlanks(tag, i); i == len(tag) || tag[i] != '=' {
			continue
		}
		if i = skipBlanks(tag, i+1); i == len(tag) {
			return a
		}
		from = i
		if q := tag[i]; q == '"' || q == '\'' {
			n := bytes.IndexByte(tag[i+1:], q)
			if n < 0 {
				return a
			}
			a.set(name, tag[i+1:i+1+n])
			i += n + 2
			continue
		}
		for i < len(tag) && tag[i] != '>' && !isBlank(tag[i]) {
			i++
		}
		a.set(name, tag[from:i])
	}
	return a
}

func (a *attributes) set(name, value []byte) {
	var low [6]byte
	if len(name) > len(low) {
		return
	}
	for i, c := range name {
		if c >= 'A' && c <= 'Z' {
			c |= 0x20
		}
		low[i] = c
	}
	var to *[]byte
	switch string(low[:len(name)]) {
	case "id":
		to = &a.id
	case "class":
		to = &a.class
	case "style":
		to = &a.style
	case "type":
		to = &a.typ
	case "cite":
		to = &a.cite
	case "name":
		to = &a.name
	case "href":
		to = &a.href
	case "width":
		to = &a.width
	case "height":
		to = &a.height
	default:
		return
	}
	if *to == nil {
		*to = value
	}
}

// quote tells whether the element holds the original and nothing else.
func (a *attributes) quote(k kind) bool {
	if k == kQuote && (bytes.EqualFold(a.typ, []byte("cite")) || len(a.cite) > 4 && bytes.EqualFold(a.cite[:4], []byte("mid:"))) {
		return true
	}
	if k == kDiv && bytes.HasPrefix(a.id, []byte("yahoo_quoted_")) {
		return true
	}
	for w := range bytes.FieldsSeq(a.class) {
		switch string(w) {
		case "gmail_quote", "protonmail_quote":
			return true
		case "gmail_quote_container", "gmail_attr", "moz-cite-prefix", "moz-forward-container", "yahoo_quoted":
			return k == kDiv
		}
	}
	return false
}

// proven tells whether an element that is a quote was made by a mail program for an original. An indented quote alone may be the author's own: mail programs
// have a key for it.
func (a *attributes) proven(k kind) bool {
	return k != kQuote || len(a.cite) > 4 && bytes.EqualFold(a.cite[:4], []byte("mid:")) || bytes.Contains(a.class, []byte("protonmail_quote"))
}

// original tells whether the element begins what Outlook puts below a reply: all that follows is the original.
func (a *attributes) original() bool {
	switch string(a.id) {
	case "appendonsend", "divRplyFwdMsg", "mail-editor-reference-message-container":
		return true
	}
	for w := range bytes.FieldsSeq(a.class) {
		if string(w) == "ms-outlook-mobile-reference-message" || string(w) == "OutlookMessageHeader" {
			return true
		}
	}
	return false
}

// header tells whether the element is the line that Outlook draws above the header of the original.
func (a *attributes) header() bool {
	if len(a.style) < 60 || len(a.style) > 200 {
		return false
	}
	style := strings.ToLower(string(bytes.Join(bytes.Fields(a.style), nil)))
	for _, colour := range [...]string{"#e1e1e1", "#b5c4df"} {
		if strings.HasPrefix(style, "border:none;border-top:solid"+colour+"1.0pt;padding:3.0pt0") {
			return true
		}
	}
	return false
}

// signature tells whether the element holds the author's signature.
func (a *attributes) signature() bool {
	switch string(a.id) {
	case "Signature", "divSignature", "AppleMailSignature", "ms-outlook-mobile-signature":
		return true
	}
	for w := range bytes.FieldsSeq(a.class) {
		switch string(w) {
		case "gmail_signature", "moz-signature", "k9mail-signature", "protonmail_signature_block", "ms-outlook-mobile-signature":
			return true
		}
		if bytes.HasPrefix(w, []byte("ydp")) && bytes.HasSuffix(w, []byte("signature")) {
			return true
		}
	}
	return false
}

// unseen tells whether an image is there to be counted, not to be looked at.
func (a *attributes) unseen() bool {
	dot := func(v []byte) bool { return string(v) == "0" || string(v) == "1" || string(v) == "1px" }
	return dot(a.width) && dot(a.height)
}
