package doctor

import (
	"context"
	"errors"
	"strings"
	"testing"
)

func TestAPostmasterWhomNobodyReadsIsFound(t *testing.T) {
	t.Parallel()
	look := func(reads bool, err error) []Finding {
		return New(Options{Postmaster: func(context.Context) (string, bool, error) { return "postmaster@example.org", reads, err }}).postmaster(t.Context())
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
