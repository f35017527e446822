package main

import (
	"errors"
	"io"
	"strings"
	"testing"
)

func TestAPasswordIsOneLineOfStandardInput(t *testing.T) {
	t.Parallel()
	for input, want := range map[string]string{
		"a fine long password\n": "a fine long password", "a fine long password\r\nsecond line\n": "a fine long password",
		"without a line end": "without a line end", "  blanks belong to it \n": "  blanks belong to it ", "pässwörd\n": "pässwörd",
	} {
		o := outside{in: strings.NewReader(input), out: io.Discard, err: io.Discard}
		if got, err := o.readPassword(t.Context(), "alice@example.com"); err != nil || got != want {
			t.Errorf("%q: read %q, %v", input, got, err)
		}
	}
	for _, input := range []string{"", "\n", "\r\n", strings.Repeat("x", maxPassword+1) + "\n"} {
		o := outside{in: strings.NewReader(input), out: io.Discard, err: io.Discard}
		_, err := o.readPassword(t.Context(), "alice@example.com")
		var usage usageError
		if !errors.As(err, &usage) {
			t.Errorf("%.10q: %v, want a usage error", input, err)
		}
	}
}
