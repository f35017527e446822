package smuggling

import (
	"strings"
	"testing"
)

// TestTheTableIsTrueToItsFates holds each row against the rule itself, so that a row added in haste does not weaken three tests.
func TestTheTableIsTrueToItsFates(t *testing.T) {
	t.Parallel()
	names := make(map[string]bool)
	for i, v := range Variants() {
		rest := strings.ReplaceAll(v.Seq, "\r\n", "")
		want := Text
		switch {
		case strings.ContainsAny(rest, "\r\n"):
			want = Bare
		case i == 0:
			want = End
		}
		if v.Fate != want || (v.Seq == "\r\n.\r\n") != (v.Fate == End) {
			t.Errorf("%s has the fate %d, want %d", v, v.Fate, want)
		}
		if name := v.String(); names[name] || strings.ContainsAny(name, "\r\n \x00") {
			t.Errorf("%q is the name of two, or cannot be printed", name)
		}
		names[v.String()] = true
	}
	if len(names) < 12 {
		t.Errorf("%d variants, want 12 at least", len(names))
	}
}
