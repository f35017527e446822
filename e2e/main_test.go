// Package e2e runs the built program as its users do: a configuration file, a real Redis, mail clients, terminals and
// browsers on one side, the server's process on the other. Nothing here reaches into the server's packages.
package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"chmail/internal/browsertest"
)

// chromium is the one browser of all tests here; the servers' certificates are signed by nobody whom it knows.
var chromium = browsertest.Browser{AnyCertificate: true}

// binary is the program under test, built once for all tests of this package.
func binary(t testing.TB) string {
	t.Helper()
	path := os.Getenv("CHMAIL_E2E_BINARY")
	if path == "" {
		t.Fatal("CHMAIL_E2E_BINARY is not set: TestMain sets it")
	}
	return path
}

func TestMain(m *testing.M) {
	os.Exit(buildAndRun(m))
}

func buildAndRun(m *testing.M) int {
	dir, err := os.MkdirTemp("", "chmail-e2e")
	if err != nil {
		fmt.Fprintln(os.Stderr, "making a folder for the program:", err)
		return 1
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "chmail")
	build := []string{"build", "-o", path}
	if os.Getenv("CHMAIL_RACE") == "true" { // the program under test with the race detector; what it finds fails the test
		build = append(build, "-race", "-gcflags=modernc.org/...=-d=checkptr=0") // as ./script/test has them
	}
	if out, err := exec.Command("go", append(build, "chmail/cmd/chmail")...).CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "building chmail: %v\n%s", err, out)
		return 1
	}
	if err := os.Setenv("CHMAIL_E2E_BINARY", path); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer chromium.Close()
	return m.Run()
}

// need returns the path of a program of others, or skips the test; with CI=true it fails it.
func need(t testing.TB, program string) string {
	t.Helper()
	path, err := exec.LookPath(program)
	if err == nil {
		return path
	}
	if os.Getenv("CI") == "true" {
		t.Fatalf("%s is missing: ./script/test installs it", program)
	}
	t.Skipf("%s is not installed; ./script/test installs it", program)
	return ""
}
