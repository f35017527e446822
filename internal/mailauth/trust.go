package mailauth

import (
	"slices"
	"strings"

	"chmail/internal/address"
)

// Vouched tells whether one of these domains, whose servers are believed, has sealed the mail last and found before that it came from its author's domain: a
// forwarder or a mailing list that has changed it, so that nothing else shows it any more (RFC 8617 7.2.1). Only the last seal counts: those below it were
// the last one's to believe, and whoever is not believed could have made all of it.
func (r *Results) Vouched(sealers []string) bool {
	if r.ARC.Result != Pass || r.DMARC.Author == "" || !slices.Contains(sealers, r.ARC.Domain) {
		return false
	}
	_, results, _ := strings.Cut(r.ARC.said, ";") // behind the set's number
	domain, ok := authorFound(results)
	return ok && domain == r.DMARC.Author
}

// Sealed tells whether one of these domains may have vouched for the mail, and the DNS has failed to say so.
func (r *Results) Sealed(sealers []string) bool {
	return r.ARC.unknown && slices.Contains(sealers, r.ARC.Domain)
}

// authorFound is the author's domain of which the results of a server say dmarc=pass (RFC 8601 2.2, RFC 9989). Results that cannot be read to their end, or speak of DMARC more
// than once, say nothing.
func authorFound(results string) (domain string, ok bool) {
	words, ok := resultWords(results)
	if !ok {
		return "", false
	}
	found := 0
	for len(words) > 0 {
		n := slices.Index(words, ";")
		if n < 0 {
			n = len(words)
		}
		one := words[:n]
		words = words[min(n+1, len(words)):]
		if len(one) < 3 || !strings.EqualFold(one[0], "dmarc") {
			continue
		}
		if found++; one[1] != "=" || !strings.EqualFold(one[2], "pass") {
			return "", false
		}
		for i := 3; i+2 < len(one); i++ {
			if strings.EqualFold(one[i], "header.from") && one[i+1] == "=" {
				if domain != "" {
					return "", false
				}
				domain = canonicalAuthor(one[i+2])
			}
		}
	}
	return domain, found == 1 && domain != ""
}

// canonicalAuthor is a domain, or that of an address, as DMARC names it; "" for what is none.
func canonicalAuthor(s string) string {
	d, err := address.ParseDomain(strings.TrimSuffix(s[strings.LastIndexByte(s, '@')+1:], "."))
	if err != nil {
		return ""
	}
	return d
}

// resultWords cuts results into words; "=" and ";" are words of their own, and comments none. ok is false where a string or a comment has no end.
func resultWords(s string) (words []string, ok bool) {
	for i := 0; i < len(s); {
		switch c := s[i]; c {
		case ' ', '\t', '\r', '\n':
			i++
		case '=', ';':
			words = append(words, s[i:i+1])
			i++
		case '(':
			if i = commentEnd(s, i); i < 0 {
				return nil, false
			}
		case '"':
			word, end := quotedWord(s, i)
			if end < 0 {
				return nil, false
			}
			words, i = append(words, word), end
		default:
			end := strings.IndexAny(s[i:], " \t\r\n=;(\"")
			if end < 0 {
				end = len(s) - i
			}
			words, i = append(words, s[i:i+end]), i+end
		}
	}
	return words, true
}

// commentEnd is behind the comment that begins at i (RFC 5322 3.2.2); -1: it has no end.
func commentEnd(s string, i int) int {
	for depth := 0; i < len(s); i++ {
		switch s[i] {
		case '\\':
			i++
		case '(':
			depth++
		case ')':
			if depth--; depth == 0 {
				return i + 1
			}
		}
	}
	return -1
}

// quotedWord is the string that begins at i, and what is behind it; -1: it has no end. A string is never "=" or ";": it is put in quotes where it is.
func quotedWord(s string, i int) (word string, end int) {
	var b strings.Builder
	for i++; i < len(s); i++ {
		switch c := s[i]; c {
		case '\\':
			if i++; i < len(s) {
				b.WriteByte(s[i])
			}
		case '"':
			if word = b.String(); word == "=" || word == ";" {
				word = `"` + word + `"`
			}
			return word, i + 1
		default:
			b.WriteByte(c)
		}
	}
	return "", -1
}
