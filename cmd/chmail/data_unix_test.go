//go:build unix

package main

import (
	"os"
	"strings"
	"testing"
)

// TestNobodyWorksInAnotherUsersData, root least of all: what it made there the server could not open.
func TestNobodyWorksInAnotherUsersData(t *testing.T) {
	t.Parallel()
	others := "/" // root's
	if os.Geteuid() == 0 {
		others = t.TempDir()
		if err := os.Chown(others, 12345, -1); err != nil {
			t.Fatal(err)
		}
	}
	d, err := openData(others)
	if d != nil || err == nil || !strings.Contains(err.Error(), "sudo -u") {
		t.Errorf("%v, %v", d, err)
	}
	if left, err := os.ReadDir(others); err != nil || os.Geteuid() == 0 && len(left) > 0 {
		t.Errorf("left are %v, %v", left, err)
	}
}
