package chbroker

import (
	"maps"
	"testing"
	"testing/synctest"
	"time"
)

// TestCallsAreCounted: one is answered, one declined, one missed, and one was a scanner's.
func TestCallsAreCounted(t *testing.T) {
	story(t, func(t *testing.T, h *house) {
		d := h.desk(alice, "study", true)
		for conv, ends := range map[string]func(){
			"c1": func() { d.answers() },
			"c2": func() { h.Decline(alice, "study", d.lastCall()) },
			"c3": func() { after(6 * time.Second); h.Gone("c3") },
			"c4": func() { h.Gone("c4") },
		} {
			h.comes(conv, h.link(alice, "Roof"), 2*time.Second)
			after(time.Second)
			ends()
			after(time.Minute)
			if conv < "c3" {
				h.Gone(conv)
				after(time.Minute)
			}
		}
		synctest.Wait()
		h.mu.Lock()
		defer h.mu.Unlock()
		if want := map[Outcome]int{CallBegun: 4, CallAnswered: 1, CallDeclined: 1, CallMissed: 1, CallUnverified: 1}; !maps.Equal(h.counts, want) {
			t.Errorf("counted: %v, want %v", h.counts, want)
		}
		if len(h.rang) != 4 || h.rang[0] > time.Second {
			t.Errorf("it took %v until it rang", h.rang)
		}
	})
}
