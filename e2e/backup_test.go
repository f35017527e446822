package e2e

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestAServerGoesOnFromItsBackup(t *testing.T) {
	t.Parallel()
	const login = "alice@example.com"
	s := newServer(t, "")
	s.account(t, login, annsPassword)
	s.start(t)
	large := strings.Repeat(strings.Repeat("x", 70)+"\n", 3000) // it lies in a file of its own
	for subject, text := range map[string]string{"small": "Hello.", "large": large} {
		if err := s.submit(login, annsPassword, login, letter(login, login, subject, text)); err != nil {
			t.Fatal(err)
		}
	}
	folder := filepath.Join(s.dir, "backup")
	if out, errs, code := s.chmail(t, "", "backup", folder); code != 0 || !strings.Contains(out, "1 large message,") {
		t.Fatalf("while it runs: %d, %s%s", code, out, errs)
	}
	if _, errs, code := s.chmail(t, "", "backup", folder); code == 0 || !strings.Contains(errs, "not empty") {
		t.Errorf("over another backup: %d, %s", code, errs)
	}
	// What comes later is not in it, and what goes is.
	if err := s.submit(login, annsPassword, login, letter(login, login, "later", "Hello.")); err != nil {
		t.Fatal(err)
	}
	m := s.maildrop(t, login, annsPassword)
	for i := 1; i <= m.count(); i++ {
		m.ok(fmt.Sprintf("DELE %d", i))
	}
	m.quit()
	s.stop(t)
	if err := errors.Join(os.RemoveAll(filepath.Join(s.dir, "data")), os.Rename(folder, filepath.Join(s.dir, "data"))); err != nil {
		t.Fatal(err)
	}
	s.start(t)
	if m := s.maildrop(t, login, annsPassword); m.count() != 2 {
		t.Errorf("%d messages are there again", m.count())
	}
	if _, body := s.fetched(t, login, annsPassword, about("large")); len(body) < len(large) {
		t.Errorf("the large message has %d octets", len(body))
	}
}
