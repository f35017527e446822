// Package address holds mail addresses and domains: it parses them, brings them into one canonical form
// (IDNA, Unicode NFC) and writes them for the wire. Everything that compares, stores or prints an address
// in chmail goes through here, so that a hostile spelling is caught once.
package address

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/net/idna"
	"golang.org/x/text/unicode/norm"
)

// Limits in octets (RFC 5321 4.5.3.1.1 and 4.5.3.1.2; a label as in RFC 1035 2.3.4).
const (
	MaxLocal  = 64
	MaxDomain = 255
	maxLabel  = 63
)

// ErrSyntax is wrapped by every error of this package: the text is no address or domain that mail can be sent to.
var ErrSyntax = errors.New("not a mail address")

// Address is a mailbox. Local is the local part as meant (unquoted); Domain is lower-case A-labels or an address
// literal such as "[192.0.2.1]". The zero Address is the null sender <>; a Local without Domain is only
// ever "postmaster" (RFC 5321 4.5.1).
type Address struct{ Local, Domain string }

// IsPostmaster tells whether mail to an address is for whoever looks after a server, which is to be taken from whomever it can be (RFC 5321 4.5.1): a host that is refused otherwise has nobody else to turn to.
func (a Address) IsPostmaster() bool { return strings.EqualFold(a.Local, "postmaster") }

// Parse reads the text of an addr-spec (RFC 5322 3.4.1): local@domain without angle brackets, comments or spaces. The local part may be a
// quoted string, and both parts may hold UTF-8 (RFC 6531 3.3).
func Parse(s string) (Address, error) {
	if !strings.HasPrefix(s, `"`) {
		at := strings.LastIndexByte(s, '@')
		if at < 0 {
			return Address{}, fmt.Errorf("%w: no @", ErrSyntax)
		}
		if !isDotAtom(s[:at]) {
			return Address{}, fmt.Errorf("%w: local part needs quotes", ErrSyntax)
		}
		return New(s[:at], s[at+1:])
	}
	local, rest, err := unquote(s)
	if err != nil {
		return Address{}, err
	}
	domain, ok := strings.CutPrefix(rest, "@")
	if !ok {
		return Address{}, fmt.Errorf("%w: no @ after the quoted local part", ErrSyntax)
	}
	return New(local, domain)
}

// FromSMTP reads what go-smtp hands over: a path without brackets, its local part already unquoted, so the domain
// begins after the last @. The empty string is the null sender; "postmaster" may stand without a domain.
func FromSMTP(s string) (Address, error) {
	if s == "" {
		return Address{}, nil
	}
	at := strings.LastIndexByte(s, '@')
	if at < 0 {
		if strings.EqualFold(s, "postmaster") {
			return Address{Local: "postmaster"}, nil
		}
		return Address{}, fmt.Errorf("%w: no @", ErrSyntax)
	}
	return New(s[:at], s[at+1:])
}

// New makes an address of an unquoted local part and a domain and checks both.
func New(local, domain string) (Address, error) {
	if local == "" {
		return Address{}, fmt.Errorf("%w: empty local part", ErrSyntax)
	}
	if len(local) > MaxLocal {
		return Address{}, fmt.Errorf("%w: local part longer than %d octets", ErrSyntax, MaxLocal)
	}
	if !utf8.ValidString(local) {
		return Address{}, fmt.Errorf("%w: local part is not UTF-8", ErrSyntax)
	}
	for _, r := range local {
		if forbidden(r) {
			return Address{}, fmt.Errorf("%w: control character in the local part", ErrSyntax)
		}
	}
	d, err := ParseDomain(domain)
	if err != nil {
		return Address{}, err
	}
	return Address{Local: local, Domain: d}, nil
}

// forbidden names the characters that no address may hold, quoted or not: controls (C0, C1, DEL) could end a line
// somewhere, format characters and line separators make two addresses look like one.
func forbidden(r rune) bool {
	return r < 0x20 || r == 0x7f || r >= 0x80 && (unicode.In(r, unicode.Cc, unicode.Cf, unicode.Zl, unicode.Zp) || r == utf8.RuneError)
}

// ParseDomain brings a domain into its canonical form: lower-case A-labels (RFC 5890), or an address literal
// in canonical spelling. Underscores are accepted since such host names send mail; a trailing dot is not.
func ParseDomain(s string) (string, error) {
	if s == "" {
		return "", fmt.Errorf("%w: empty domain", ErrSyntax)
	}
	if s[0] == '[' {
		return parseLiteral(s)
	}
	if len(s) > 4*MaxDomain {
		return "", fmt.Errorf("%w: domain longer than %d octets", ErrSyntax, MaxDomain)
	}
	if plain(s) {
		return s, checkLabels(s)
	}
	if !utf8.ValidString(s) || strings.ContainsFunc(s, forbidden) {
		return "", fmt.Errorf("%w: unprintable character in the domain", ErrSyntax)
	}
	p := idna.New(idna.MapForLookup(), idna.BidiRule(), idna.StrictDomainName(false))
	a, err := p.ToASCII(s)
	if err != nil {
		return "", fmt.Errorf("%w: domain: %w", ErrSyntax, err)
	}
	a = strings.ToLower(a)
	return a, checkLabels(a)
}

// plain tells whether the domain is in its canonical form already: lower-case ASCII without A-labels to verify.
func plain(s string) bool {
	for i := 0; i < len(s); i++ {
		c := s[i]
		if c >= 0x80 || c >= 'A' && c <= 'Z' {
			return false
		}
	}
	return !strings.Contains(s, "--")
}

func checkLabels(s string) error {
	if len(s) > MaxDomain {
		return fmt.Errorf("%w: domain longer than %d octets", ErrSyntax, MaxDomain)
	}
	for label := range strings.SplitSeq(s, ".") {
		switch {
		case label == "":
			return fmt.Errorf("%w: empty label in the domain", ErrSyntax)
		case len(label) > maxLabel:
			return fmt.Errorf("%w: label longer than %d octets", ErrSyntax, maxLabel)
		case label[0] == '-' || label[len(label)-1] == '-':
			return fmt.Errorf("%w: label begins or ends with a hyphen", ErrSyntax)
		}
		for i := 0; i < len(label); i++ {
			if c := label[i]; !(c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '-' || c == '_') {
				return fmt.Errorf("%w: character %q in the domain", ErrSyntax, c)
			}
		}
	}
	return nil
}

// parseLiteral reads [192.0.2.1] and [IPv6:2001:db8::1] (RFC 5321 4.1.3).
func parseLiteral(s string) (string, error) {
	inner, ok := strings.CutSuffix(s[1:], "]")
	if !ok {
		return "", fmt.Errorf("%w: address literal without ]", ErrSyntax)
	}
	six := len(inner) > 5 && strings.EqualFold(inner[:5], "IPv6:")
	if six {
		inner = inner[5:]
	}
	ip, err := netip.ParseAddr(inner)
	if err != nil || ip.Zone() != "" || ip.Is6() != six {
		return "", fmt.Errorf("%w: bad address literal", ErrSyntax)
	}
	if six {
		return "[IPv6:" + ip.String() + "]", nil
	}
	return "[" + ip.String() + "]", nil
}

// unquote reads a quoted string at the start of s (RFC 5321 4.1.2) and returns its content and what follows.
func unquote(s string) (content, rest string, err error) {
	var b strings.Builder
	for i := 1; i < len(s); i++ {
		switch s[i] {
		case '"':
			return b.String(), s[i+1:], nil
		case '\\':
			i++
			if i == len(s) {
				return "", "", fmt.Errorf("%w: quoted local part without end", ErrSyntax)
			}
			b.WriteByte(s[i])
		default:
			b.WriteByte(s[i])
		}
	}
	return "", "", fmt.Errorf("%w: quoted local part without end", ErrSyntax)
}

// isDotAtom tells whether a local part can stand without quotes (RFC 5321 4.1.2 Dot-string, RFC 6531 3.3).
func isDotAtom(s string) bool {
	if s == "" || s[0] == '.' || s[len(s)-1] == '.' {
		return false
	}
	for i := 0; i < len(s); i++ {
		c := s[i]
		switch {
		case c == '.' && s[i-1] == '.':
			return false
		case c <= ' ' || c == 0x7f || strings.IndexByte(`"(),:;<>@[\]`, c) >= 0:
			return false
		}
	}
	return true
}

// String is the form for the wire, without angle brackets: the local part is quoted where it needs to be. Empty for the null sender.
func (a Address) String() string {
	local := a.Local
	if !isDotAtom(local) && local != "" {
		local = `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(local) + `"`
	}
	if a.Domain == "" {
		return local
	}
	return local + "@" + a.Domain
}

// Login is the canonical login of the address, the one spelling under which accounts, maildrops and presence are kept: the local part in NFC and
// lower case, the domain as A-labels.
func (a Address) Login() string {
	lower := a.Local
	for i := 0; i < len(lower); i++ {
		if c := lower[i]; c >= 0x80 || c >= 'A' && c <= 'Z' {
			// Lower-casing can leave a sequence that composes, and composing one that has a lower case.
			lower = norm.NFC.String(strings.ToLower(norm.NFC.String(lower)))
			break
		}
	}
	return Address{Local: lower, Domain: a.Domain}.String()
}

// IsZero tells whether this is the null sender.
func (a Address) IsZero() bool { return a == Address{} }

// IsASCII tells whether the address can be written without SMTPUTF8 (RFC 6531); the domain always can.
func (a Address) IsASCII() bool {
	for i := 0; i < len(a.Local); i++ {
		if a.Local[i] >= 0x80 {
			return false
		}
	}
	return true
}
