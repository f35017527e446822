package stamp

import (
	"strings"

	"chmail/internal/address"
	"chmail/internal/message"
)

// Signature is what a verifier found about one DKIM signature of a mail from outside (RFC 6376).
type Signature struct {
	Domain  string   // d=, in lower case, A-labels
	Valid   bool     // it verifies against its key
	Partial bool     // l= leaves a part of the body uncovered
	Signed  []string // the names in h=, repetitions included
}

// maxLogin is how long a login may be, in characters (RFC 5321 4.5.3.1).
const maxLogin = 320

// StripUnsigned returns the splices that take those CH fields out of a mail from outside that nobody vouches for: they stay only under a valid
// signature of the very domain that CH-Login names and that the mail is from, each as often as the signature covers it (design 4; hazards 10). Whoever
// signs for another domain says nothing about who may be called there, and whoever writes in another's name is not the one to be called.
func StripUnsigned(h *message.Header, sigs []Signature) []message.Splice {
	all := Strip(h)
	if len(all) == 0 || h.Count("CH-Login") != 1 || h.Count("From") != 1 {
		return all
	}
	login, err := address.Parse(message.DecodeText(h.Text(h.Find("CH-Login")), maxLogin))
	if err != nil {
		return all
	}
	from, err := message.ParseMailboxes(h.Value(h.Find("From")))
	if err != nil || len(from) != 1 || from[0].Address.Domain != login.Domain {
		return all
	}
	covered := func(name string) (most int) {
		for _, s := range sigs {
			if s.Valid && !s.Partial && strings.EqualFold(s.Domain, login.Domain) && s.covers("CH-Login") > 0 && s.covers("From") > 0 {
				most = max(most, s.covers(name))
			}
		}
		return most
	}
	var out []message.Splice
	for i := range h.Fields {
		if name := h.Name(i); isCH(name) && h.Count(string(name)) > covered(string(name)) {
			span := h.Span(i)
			out = append(out, message.Splice{Off: span.Off, Del: span.End - span.Off})
		}
	}
	return out
}

// covers is how many fields of a name the signature covers. Those are the lowest ones, so of fewer than there are, none can be told from the others.
func (s *Signature) covers(name string) int {
	n := 0
	for _, h := range s.Signed {
		if strings.EqualFold(h, name) {
			n++
		}
	}
	return n
}
