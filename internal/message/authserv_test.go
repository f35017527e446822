package message

import (
	"strings"
	"testing"
	"unicode"
)

// FuzzForged writes our name over an Authentication-Results field as a forger would: however it is dressed up, the field counts as ours, or as one that
// nobody can read.
func FuzzForged(f *testing.F) {
	f.Add("a comment", " ", " 1", " dkim=pass", uint16(0))
	f.Add(`\)(`, "\r\n\t", "", "", uint16(0xffff))
	f.Add("", "", " 1 (x)", `"`, uint16(5))
	const host = "mail.example.org"
	f.Fuzz(func(t *testing.T, comment, blank, version, rest string, capitals uint16) {
		name := strings.Map(func(r rune) rune {
			capitals = capitals<<1 | capitals>>15
			if capitals&1 == 1 {
				return unicode.ToUpper(r)
			}
			return r
		}, host)
		blank = strings.Map(func(r rune) rune {
			if strings.ContainsRune(" \t\r\n", r) {
				return r
			}
			return -1
		}, blank)
		comment = "(" + strings.NewReplacer("(", "", ")", "", `\`, "").Replace(comment) + ")"
		for _, value := range []string{
			blank + name + blank,
			blank + name + blank + ";" + rest,
			blank + name + "." + blank + ";" + rest,
			blank + name + blank + comment + version + ";" + rest,
			blank + comment + blank + name + comment + ";" + rest,
			blank + `"` + name + `"` + blank + ";" + rest,
		} {
			if got, ok := AuthServ([]byte(value)); ok && got != host {
				t.Errorf("%q is taken for %q", value, got)
			}
		}
	})
}

func TestAHostNameInUnicodeIsTheSame(t *testing.T) {
	t.Parallel()
	for _, value := range []string{"m\u00fcnchen.example; dkim=pass", "M\u00dcNCHEN.example.; dkim=pass", "xn--mnchen-3ya.example; none"} {
		if got, ok := AuthServ([]byte(value)); ok && got != "xn--mnchen-3ya.example" {
			t.Errorf("%q is taken for %q", value, got)
		}
	}
}
