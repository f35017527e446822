package doctor

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
)

func TestAPostmasterWhomNobodyReadsIsFound(t *testing.T) {
	t.Parallel()
	look := func(reads bool, err error) []Finding {
		return New(Options{Running: Running{Postmaster: func(context.Context) (string, bool, error) { return "postmaster@example.org", reads, err }}}).postmaster(t.Context())
	}
	if got := look(true, nil); len(got) != 1 || got[0].State != OK {
		t.Errorf("one who reads: %+v", got)
	}
	if got := look(false, nil); len(got) != 1 || got[0].State != Warn || !strings.Contains(got[0].Mend, "chmail account passwd postmaster@example.org") {
		t.Errorf("one without a password: %+v", got)
	}
	if got := look(false, errors.New("no server runs")); len(got) != 0 {
		t.Errorf("while nobody knows: %+v", got)
	}
}

func TestAccountsWhoseMailIsHeldAreFound(t *testing.T) {
	t.Parallel()
	look := func(n int, err error) []Finding {
		return New(Options{Running: Running{Held: func(context.Context) ([]Held, error) {
			return slices.Repeat([]Held{{"alice@example.org", "more recipients in a day than relay.per_day allows"}}, n), err
		}}}).held(t.Context())
	}
	if got := look(0, nil); len(got) != 0 {
		t.Errorf("nobody's: %+v", got)
	}
	if got := look(1, nil); len(got) != 1 || got[0].State != Warn || got[0].Subject != "alice@example.org" || !strings.Contains(got[0].Text, "relay.per_day") || !strings.Contains(got[0].Mend, "chmail queue release --login alice@example.org") ||
		!strings.Contains(got[0].Mend, "chmail account passwd alice@example.org, and chmail account app-password list alice@example.org: remove") {
		t.Errorf("one whose mail is held: %+v", got)
	}
	if got := look(50, nil); len(got) != 21 || got[20].Subject != "30 more" {
		t.Errorf("many: %d findings, at last %+v", len(got), got[len(got)-1])
	}
	if got := look(1, errors.New("no server runs")); len(got) != 0 {
		t.Errorf("while nobody knows: %+v", got)
	}
}
