package mailauth

import (
	"crypto/sha256"
	"strings"
	"testing"
)

// TestTheFormOfABody holds both forms (RFC 6376 3.4.3, 3.4.4) against what they are by hand.
func TestTheFormOfABody(t *testing.T) {
	t.Parallel()
	run := strings.Repeat("x", 20<<10) // longer than what is gathered before it is hashed
	for name, c := range map[string]struct{ body, relaxed, simple string }{
		"empty":                     {"", "", "\r\n"},
		"blank lines":               {"\r\n \r\n\t\r\n", "", "\r\n \r\n\t\r\n"},
		"blanks":                    {"a  b\t \tc \r\n d\r\n\r\n\r\n", "a b c\r\n d\r\n", "a  b\t \tc \r\n d\r\n"},
		"no line end":               {"a ", "a\r\n", "a \r\n"},
		"a blank line between":      {"a\r\n\r\nb\r\n", "a\r\n\r\nb\r\n", "a\r\n\r\nb\r\n"},
		"a lone CR":                 {"a\rb\r\n", "a\rb\r\n", "a\rb\r\n"},
		"a lone CR behind a blank":  {"a \rb\r\n", "a \rb\r\n", "a \rb\r\n"},
		"a CR at the end":           {"a\r", "a\r\r\n", "a\r\r\n"},
		"a long run":                {"a " + run + " b" + run + "\r\n", "a " + run + " b" + run + "\r\n", "a " + run + " b" + run + "\r\n"},
		"a long run behind a blank": {"  " + run + "\r\n", " " + run + "\r\n", "  " + run + "\r\n"},
	} {
		for form, want := range map[string]string{"relaxed": c.relaxed, "simple": c.simple} {
			sum := sha256.Sum256([]byte(want))
			if got := must(bodyHash(source(c.body), 0, form))(t); string(got) != string(sum[:]) {
				t.Errorf("%s, %s: not the hash of %.40q", name, form, want)
			}
		}
	}
}
