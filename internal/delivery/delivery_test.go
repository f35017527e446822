package delivery

import (
	"strings"
	"testing"
	"unicode/utf8"
)

func TestAVerdictIsOneLineForPeople(t *testing.T) {
	t.Parallel()
	for want, v := range map[string]Verdict{
		"mx.example.org [192.0.2.1]: 550 5.1.1 no such user": {Code: 550, Enhanced: [3]int{5, 1, 1}, Text: "no such user", Remote: "mx.example.org [192.0.2.1]"},
		"4.4.3 the name server does not answer":              {Enhanced: [3]int{4, 4, 3}, Text: "the name server does not answer", Temporary: true},
		"mx.example.org [192.0.2.1]: 250 2.0.0":              {Code: 250, Enhanced: [3]int{2, 0, 0}, Remote: "mx.example.org [192.0.2.1]"},
	} {
		if got := v.Error(); got != want {
			t.Errorf("%q, want %q", got, want)
		}
		if v.Accepted() != (v.Code == 250) {
			t.Errorf("%q: accepted %v", want, v.Accepted())
		}
	}
}

func TestWhatAStrangerSaysIsMadeHarmless(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"ok":                           "ok",
		"  two\r\n\twords  ":           "two words",
		"a\x1b[2Jb\x00":                "a?[2Jb?",
		"\xff":                         "?",
		"\u202eabc":                    "?abc",
		"grüße":                        "grüße",
		strings.Repeat("ü", 300):       strings.Repeat("ü", 256),
		strings.Repeat("x ", 300):      strings.TrimSuffix(strings.Repeat("x ", 256), " "),
		strings.Repeat("x", 511) + "ü": strings.Repeat("x", 511),
	} {
		got := Line(in)
		if got != want || len(got) > MaxText || !utf8.ValidString(got) {
			t.Errorf("%q became %q, want %q", in, got, want)
		}
	}
}
