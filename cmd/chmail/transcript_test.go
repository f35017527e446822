package main

import (
	"testing"
	"time"

	"chmail/internal/admin"
)

func TestTranscriptsNameFiles(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 11, 26, 9, 30, 0, 0, time.UTC)
	when := day(at)
	for _, c := range []struct {
		e    admin.Event
		want string
	}{
		{admin.Event{Kind: "file", From: "owner", At: at, Text: "offer.pdf", File: &admin.File{Type: "application/octet-stream", Size: 21504}}, when + "  alice@example.com has sent a file: offer.pdf (21 kB)\n"},
		{admin.Event{Kind: "file", From: "visitor", At: at, Text: "roof.jpg", File: &admin.File{Type: "image/jpeg", Size: 1023}}, when + "  Bob has sent a file: roof.jpg (1 kB)\n"},
		{admin.Event{Kind: "file", From: "visitor", At: at}, when + "  Bob: (a file, taken back)\n"},
	} {
		if got := eventWords(c.e, "alice@example.com", "Bob"); got != c.want {
			t.Errorf("%+v is shown as %q, want %q", c.e, got, c.want)
		}
	}
}
