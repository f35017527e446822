package terminal

import (
	"strings"
	"testing"
	"unicode"
)

// FuzzWhatComesFromTheServer lets pages, frames and texts say what they like: nothing of it panics, or reaches the terminal raw.
func FuzzWhatComesFromTheServer(f *testing.F) {
	f.Add(readerPage("Alice", "ws://localhost:8080/ws"))
	f.Add(`{"t":"event","n":1,"kind":"say","from":"owner","at":"2026-11-26T02:00:00Z","text":"a\u001b[2J\nb"}`)
	f.Add("\x1b]0;owned\x07\u202e\x9b e\u0301 日本\r\n\tx")
	f.Fuzz(func(t *testing.T, text string) {
		door, _ := readPage(strings.NewReader(text)) // that it is no page of ours is no fault
		fr, _ := readFrame([]byte(text))
		v := newView(&fakeTalker{}, door, text, false)
		for _, u := range []Update{Up{Owner: text}, Event{N: 1, Kind: "say", Text: text}, Event{N: 2, Kind: fr.Kind, Text: fr.Text, Name: text}, Refused{"m", fr.Text}} {
			v.Update(u)
		}
		v.write(text)
		screen := strings.NewReplacer("\x1b[1m", "", "\x1b[2m", "", "\x1b[22m", "").Replace(v.View().Content)
		for _, r := range screen {
			if unicode.IsControl(r) && r != '\n' {
				t.Fatalf("%U reaches the terminal: %q", r, screen)
			}
		}
		for _, piece := range Pieces(text) {
			if piece == "" || len(piece) > 3*maxUnits {
				t.Fatalf("a message of %d bytes", len(piece))
			}
		}
	})
}
