package e2e

import (
	"os"
	"os/exec"
	"strings"
	"testing"
)

// TestWhoeverReadsTheOutputMayHaveHadEnough: `chmail account list | head -1` prints its line and nothing else.
func TestWhoeverReadsTheOutputMayHaveHadEnough(t *testing.T) {
	t.Parallel()
	s := newServer(t, "")
	s.account(t, alice, alicesPassword)
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Close(); err != nil { // nobody reads any more
		t.Fatal(err)
	}
	var errs strings.Builder
	list := exec.Command(binary(t), "account", "list", "--json", "--config", s.config)
	list.Stdout, list.Stderr = w, &errs
	if err := list.Run(); err == nil || errs.Len() > 0 {
		t.Errorf("it ends with %v and says %q", err, errs.String())
	}
	if err := w.Close(); err != nil {
		t.Error(err)
	}
}
