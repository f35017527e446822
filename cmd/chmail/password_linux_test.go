package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// openTerminal makes a terminal; what a person types and sees is the other end of it.
func openTerminal(t *testing.T) (person, terminal *os.File) {
	t.Helper()
	person, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { person.Close() })
	if err := unix.IoctlSetPointerInt(int(person.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	number, err := unix.IoctlGetInt(int(person.Fd()), unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	terminal, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { terminal.Close() })
	return person, terminal
}

func TestAPasswordIsAskedForOnATerminal(t *testing.T) {
	t.Parallel()
	for typed, want := range map[string]struct{ password, fault string }{
		"pässword\rpässword\r":         {"pässword", ""},
		" blanks \r blanks \r":         {" blanks ", ""},
		"mistyqe\x7f\x7fpe\rmistype\r": {"mistype", ""},
		"\x04":                         {"", "broken off"}, // Ctrl-D
		"\x03":                         {"", "broken off"}, // Ctrl-C
		"password\r\x04":               {"", "broken off"},
		"half\x03":                     {"", "broken off"},
		"\r":                           {"", "empty"},
		"one\rother\r":                 {"", "differ"},
	} {
		person, terminal := openTerminal(t)
		before, err := unix.IoctlGetTermios(int(terminal.Fd()), unix.TCGETS)
		if err != nil {
			t.Fatal(err)
		}
		asked, asks := io.Pipe()
		var shown strings.Builder
		all := make(chan error, 1)
		go func() { // types once the terminal is ready, which is when the question is there
			_, err := asked.Read(make([]byte, 1))
			if err == nil {
				_, err = person.WriteString(typed)
			}
			if err == nil {
				_, err = io.Copy(&shown, asked)
			}
			all <- err
		}()
		o := outside{in: terminal, out: io.Discard, err: asks}
		got, err := o.readPassword(t.Context(), "alice@example.com")
		asks.Close()
		if err := <-all; err != nil {
			t.Fatal(err)
		}
		if got != want.password || (err == nil) != (want.fault == "") || err != nil && !strings.Contains(err.Error(), want.fault) {
			t.Errorf("typed %q: %q, %v", typed, got, err)
		}
		if want.password != "" && strings.Contains(shown.String(), strings.TrimSpace(want.password)) {
			t.Errorf("typed %q: it is shown: %q", typed, shown.String())
		}
		after, err := unix.IoctlGetTermios(int(terminal.Fd()), unix.TCGETS)
		if err != nil || *after != *before {
			t.Errorf("typed %q: the terminal is left as %+v (%v), was %+v", typed, after, err, before)
		}
	}
}
