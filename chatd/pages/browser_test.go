package pages

import (
	"os"
	"testing"

	"chmail/internal/browsertest"
)

// chromium is one headless browser for all tests of the package.
var chromium browsertest.Browser

func TestMain(m *testing.M) {
	code := m.Run()
	chromium.Close()
	os.Exit(code)
}
