package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"
)

// BenchmarkRing lets readers, whose pages are open long enough to ring, show intent one after the other, and reports how long it takes until the owner's open desk has
// its alert: what is between a person's first movement and the sound.
func BenchmarkRing(b *testing.B) {
	const readers = 25
	s := newServer(b, "")
	text, err := os.ReadFile(s.config)
	if err != nil {
		b.Fatal(err)
	}
	if err := os.WriteFile(s.config, []byte(strings.Replace(string(text), "  ports:", "  limits: {link: 1000, network: 1000}\n  ports:", 1)), 0o600); err != nil {
		b.Fatal(err)
	}
	s.account(b, alice, alicesPassword)
	s.account(b, bob, bobsPassword)
	s.start(b)
	link, port := s.mailWithPort(b, "Offer for the roof")
	desk, err := s.owner(b, "none").dial(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	defer desk.CloseNow()
	var took []time.Duration
	for b.Loop() {
		took = took[:0]
		s.get(b, link) // the port begins to listen
		var intents []func() error
		for i := range readers {
			conn, err := s.joined(b.Context(), s.client(), "https", s.url(), link, port, i)
			if err != nil {
				b.Fatal(err)
			}
			defer conn.CloseNow()
			intents = append(intents, func() error { return write(b.Context(), conn, map[string]any{"t": "intent"}) })
		}
		pause := time.NewTimer(2100 * time.Millisecond) // a page rings no sooner than two seconds after it was opened
		<-pause.C
		for _, intent := range intents {
			began := time.Now()
			if err := intent(); err != nil {
				b.Fatal(err)
			}
			for {
				_, raw, err := desk.Read(b.Context())
				if err != nil {
					b.Fatal(err)
				}
				var f struct{ T, Call string }
				if err := json.Unmarshal(raw, &f); err != nil {
					b.Fatal(err)
				}
				if f.T == "ring" {
					took = append(took, time.Since(began))
					if err := write(b.Context(), desk, map[string]any{"t": "decline", "call": f.Call}); err != nil {
						b.Fatal(err)
					}
					break
				}
			}
		}
	}
	slices.Sort(took)
	for _, p := range []int{50, 95} {
		b.ReportMetric(float64(took[len(took)*p/100].Microseconds())/1000, fmt.Sprintf("p%d-ms", p))
	}
}
