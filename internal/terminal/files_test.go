package terminal

import (
	"strings"
	"testing"

	"github.com/charmbracelet/x/ansi"
)

const fileAt = "https://chat.example.com/c/9fXq2kTq0uVw3Ew7n8aZ5g/files/Yy5dC0e2TqC6uJ1m4n3zXg?pass=AbC"

func TestFilesAreNamedWithTheirSizeAndAddress(t *testing.T) {
	t.Parallel()
	s := sit(t, 150, 18, "Bob")
	s.does(Event{N: 1, Kind: "file", Text: "offer.pdf", File: &File{21504, fileAt}, At: at}, Event{N: 2, Kind: "file", Mine: true, Text: "roof.jpg", File: &File{3 << 20, ""}, At: at},
		Event{N: 3, Kind: "file", Text: "", At: at}, Event{N: 4, Kind: "file", Text: "x\x1b[31m\u202egnp.exe", File: &File{9, "https://evil.example/\x1b]0;"}, At: at})
	s.shows("Alice Example: offer.pdf (21 kB)", fileAt, "You: roof.jpg (3 MB) ✓", "A file was taken back.", "gnp.exe (9 bytes)")
	s.hides("evil.example", "\u202e")
	s.does(Event{N: 5, Kind: "delete", Of: 1, At: at})
	s.shows("Alice Example: (taken back)")
	s.hides("offer.pdf")

	narrow := sit(t, 60, 18, "Bob") // an address breaks there, and every piece of it is the whole link
	narrow.does(Event{N: 1, Kind: "file", Text: "offer.pdf", File: &File{21504, fileAt}, At: at})
	narrow.shows(fileAt[:60], fileAt[60:])
	if n := strings.Count(narrow.v.View().Content, ansi.SetHyperlink(fileAt)); n != 2 {
		t.Errorf("%d rows lead to the file:\n%q", n, narrow.v.View().Content)
	}

	for n, want := range map[int64]string{0: "0 bytes", 1: "1 byte", 999: "999 bytes", 1024: "1 kB", 9728: "9.5 kB", 150 << 10: "150 kB", 10 << 20: "10 MB", 3 << 30: "3 GB"} {
		if got := Octets(n); got != want {
			t.Errorf("%d are %s, want %s", n, got, want)
		}
	}

	var out strings.Builder
	p := NewPlain(&out)
	p.Tell(Up{Owner: "Alice"})
	p.Tell(Event{N: 1, Kind: "file", Text: "offer.pdf", File: &File{1023, fileAt}, At: at})
	if want := "Alice has sent a file: offer.pdf (1 kB) " + fileAt + "\n"; !strings.HasSuffix(out.String(), want) {
		t.Errorf("line by line it is %q, want %q", out.String(), want)
	}
}
