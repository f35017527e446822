package netutil

import "strings"

// TXT is the text of a TXT record whose strings stand as in a zone file (RFC 1035 5.1: \" for a quote, \195 for an octet), which is how github.com/miekg/dns gives them.
func TXT(parts []string) string {
	s := strings.Join(parts, "")
	if !strings.Contains(s, `\`) {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		switch digits := s[i:]; {
		case s[i] != '\\':
			b.WriteByte(s[i])
		case len(digits) > 3 && isDigit(digits[1]) && isDigit(digits[2]) && isDigit(digits[3]):
			b.WriteByte((digits[1]-'0')*100 + (digits[2]-'0')*10 + digits[3] - '0')
			i += 3
		case len(digits) > 1:
			b.WriteByte(digits[1])
			i++
		}
	}
	return b.String()
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }
