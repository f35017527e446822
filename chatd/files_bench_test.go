package chatd

import (
	"context"
	"fmt"
	"io"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"chmail/internal/sqldb"
)

// BenchmarkFiles takes files of 10 MiB in, four at a time, and asks meanwhile how long a small commit waits, as that of a mail does.
func BenchmarkFiles(b *testing.B) {
	for _, at := range []int{0, 4} {
		b.Run(fmt.Sprint(at, " at once"), func(b *testing.B) {
			h := newHouse(b)
			h.stop()
			h.start(func(o *Options) { o.Files = FileLimits{Conversation: 1 << 40, Login: 1 << 40} })
			h.talking(offer, "Bob")
			body := strings.Repeat("0123456789abcdef", 10<<20/16)
			ctx, stop := context.WithCancel(b.Context())
			var wg sync.WaitGroup
			var mu sync.Mutex
			files, began := 0, time.Now()
			for line := range at {
				wg.Go(func() {
					for i := 0; ctx.Err() == nil; i++ {
						u := Upload{CID: fmt.Sprint(line, ".", i), Name: "x", Size: -1, Body: io.LimitReader(strings.NewReader(body), 10<<20), Peer: netip.AddrFrom4([4]byte{10, byte(line), byte(i), 1})}
						if _, err := h.send("Bob", u); err == nil {
							mu.Lock()
							files++
							mu.Unlock()
						}
					}
				})
			}
			var waits []time.Duration
			tick := time.NewTicker(5 * time.Millisecond) // mail comes when it comes, and does not wait for the one before it
			defer tick.Stop()
			for b.Loop() {
				began := <-tick.C
				if err := h.db.Update(b.Context(), func(tx *sqldb.Tx) error {
					_, err := tx.Exec(`UPDATE chatd_conversation SET seen = seen + 1`)
					return err
				}); err != nil {
					b.Fatal(err)
				}
				waits = append(waits, time.Since(began))
			}
			stop()
			wg.Wait()
			slices.Sort(waits)
			b.ReportMetric(float64(waits[len(waits)/2].Microseconds())/1000, "ms/median")
			b.ReportMetric(float64(waits[len(waits)*99/100].Microseconds())/1000, "ms/p99")
			b.ReportMetric(float64(files*10)/time.Since(began).Seconds(), "MiB/s")
		})
	}
}
