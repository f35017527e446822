package stamp

import (
	"bytes"
	"strings"

	"chmail/internal/message"
)

// shape is where in a mail its author speaks: the first text/plain and the first text/html of its body.
type shape struct {
	text, html int    // indexes in Tree.Parts; -1 for none
	reason     string // why there is neither
}

// readShape finds the parts to stamp. A mail whose structure is not certain, or whose body is not its sender's to change, has none (hazards 1, rows 15 to 17).
func readShape(src message.Source, tree *message.Tree) (shape, error) {
	s := shape{text: -1, html: -1}
	if tree.Defects != 0 {
		s.reason = tree.Defects.String()
		return s, nil
	}
	if s.reason = special(tree); s.reason != "" {
		return s, nil
	}
	err := s.walk(src, tree, 0)
	if s.text < 0 && s.html < 0 {
		s.reason = "no text body"
	}
	return s, err
}

// special names what kind of mail this is when its body must stay as it is.
func special(tree *message.Tree) string {
	h := &tree.Head
	if h.Has("List-Id") || h.Has("List-Post") {
		return "mailing list"
	}
	for i := range h.Fields {
		if h.Is(i, "Auto-Submitted") { // RFC 3834 5
			word, _, _ := strings.Cut(h.Text(i), ";")
			if word, _, _ = strings.Cut(word, "("); !strings.EqualFold(strings.TrimSpace(word), "no") {
				return "automatic mail"
			}
		}
	}
	for i := range tree.Parts {
		p := &tree.Parts[i]
		switch p.Media.Type {
		case "multipart/signed", "application/pgp-signature", "application/pkcs7-signature", "application/x-pkcs7-signature":
			return "signed"
		case "multipart/encrypted", "application/pgp-encrypted", "application/pgp":
			return "encrypted"
		case "application/pkcs7-mime", "application/x-pkcs7-mime":
			return "S/MIME"
		case "multipart/report":
			return "report"
		case "text/calendar":
			if p.Disposition != "attachment" {
				return "calendar"
			}
		}
	}
	return ""
}

// walk looks for the body under part i. Containers other than these three, and messages inside, are somebody's enclosure.
func (s *shape) walk(src message.Source, tree *message.Tree, i int) error {
	p := &tree.Parts[i]
	if p.Disposition != "" && p.Disposition != "inline" {
		return nil
	}
	switch p.Media.Type {
	case "text/plain":
		if s.text < 0 && !p.Named {
			s.text = i
		}
	case "text/html":
		if s.html < 0 && !p.Named {
			s.html = i
		}
	case "multipart/alternative", "multipart/mixed":
		for _, k := range tree.Children(i) {
			if err := s.walk(src, tree, k); err != nil {
				return err
			}
		}
	case "multipart/related":
		// The first part, unless another is named as the root (RFC 2387 3.2).
		root := i + 1
		if start := p.Media.Start; start != "" {
			b, err := message.ReadRange(src, tree.Parts[root].Off, tree.Parts[root].Fields)
			if err != nil {
				return err
			}
			if !bytes.Contains(b, []byte(start)) {
				return nil
			}
		}
		return s.walk(src, tree, root)
	}
	return nil
}
