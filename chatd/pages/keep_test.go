package pages

import (
	"strings"
	"testing"
	"time"
)

func TestHowLongAConversationIsKeptIsSaid(t *testing.T) {
	t.Parallel()
	h := newHouseAt(t, realSite)
	for keep, says := range map[time.Duration][2]string{
		90 * 24 * time.Hour: {"Messages are kept for 90 days after the last.</p>", "Conversations are removed 90 days after"},
		0:                   {"Messages are kept without a time limit.</p>", "Conversations are kept for ever"},
	} {
		h.pages.o.Keep = keep
		if body := readAll(t, h.ask("GET", "/c/"+goodToken)); strings.Count(body, says[0]) != 2 { // before the log, and with the form
			t.Errorf("kept for %v: the reader is not told", keep)
		}
		if body := readAll(t, h.ask("GET", "/desk", cookie(h.signedIn(alice)))); !strings.Contains(body, says[1]) {
			t.Errorf("kept for %v: the owner is not told", keep)
		}
	}
}
