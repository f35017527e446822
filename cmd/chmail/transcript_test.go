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
		{admin.Event{Kind: "file", From: "owner", At: at, Text: "offer.pdf", File: &admin.File{Type: "application/octet-stream", Size: 21504}}, when + "  alice@example.com has sent a file: offer.pdf (21.0 KiB)\n"},
		{admin.Event{Kind: "file", From: "visitor", At: at, Text: "roof.jpg", File: &admin.File{Type: "image/jpeg", Size: 1023}}, when + "  Bob has sent a file: roof.jpg (1023 bytes)\n"},
		{admin.Event{Kind: "file", From: "visitor", At: at}, when + "  Bob: (a file, taken back)\n"},
	} {
		if got := eventWords(c.e, "alice@example.com", "Bob"); got != c.want {
			t.Errorf("%+v is shown as %q, want %q", c.e, got, c.want)
		}
	}
	for n, want := range map[int64]string{0: "0 bytes", 1024: "1.0 KiB", 150 << 10: "150 KiB", 10 << 20: "10.0 MiB", 3 << 30: "3.0 GiB"} {
		if got := octets(n); got != want {
			t.Errorf("%d octets are %q, want %q", n, got, want)
		}
	}
}
