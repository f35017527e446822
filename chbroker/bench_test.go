package chbroker

import (
	"context"
	"fmt"
	"net/netip"
	"testing"
	"time"

	"chmail/internal/call"
	"chmail/internal/message"
	"chmail/internal/sqldb"
)

func BenchmarkSeen(b *testing.B) {
	for name, open := range map[string]func(testing.TB) Maps{
		"memory": func(testing.TB) Maps { return NewMemory() },
		"redis":  func(t testing.TB) Maps { return startRedis(t).maps(t) },
	} {
		b.Run(name, func(b *testing.B) {
			h := openHouse(b, func(o *Options) { o.Maps = open(b) })
			s := call.Sign{Login: alice, Source: call.POP3, IP: netip.MustParseAddr("192.0.2.7")}
			b.ReportAllocs()
			for b.Loop() {
				h.Seen(context.Background(), s)
			}
		})
	}
}

func BenchmarkCard(b *testing.B) {
	h := openHouse(b)
	if c, err := h.Card(b.Context(), alice); err != nil || c.Port == 0 {
		b.Fatal(c, err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := h.Card(context.Background(), alice); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkKeep stores links of 100 logins, 50 in a transaction, as a busy doorway does.
func BenchmarkKeep(b *testing.B) {
	h := openHouse(b)
	m := message.Summary{MessageID: "<20260101120000.4711@laptop.example.com>", Subject: "Offer for the roof", References: "<1@example.com> <2@example.com>", Recipients: 1, Date: time.Now()}
	var logins []string
	for i := range 100 {
		logins = append(logins, fmt.Sprintf("p%d@example.com", i))
		h.port(logins[i])
	}
	b.ReportAllocs()
	n := 0
	for b.Loop() {
		cards := make([]call.Card, 50)
		for i := range cards {
			var err error
			if cards[i], err = h.Card(b.Context(), logins[n%len(logins)]); err != nil {
				b.Fatal(err)
			}
			n++
		}
		if err := h.db.Update(b.Context(), func(tx *sqldb.Tx) error {
			for _, c := range cards {
				if err := h.Keep(tx, c, m, time.Now()); err != nil {
					return err
				}
			}
			return nil
		}); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(max(n, 1)), "ns/link")
}

func BenchmarkResolve(b *testing.B) {
	h := openHouse(b)
	c, err := h.Card(b.Context(), alice)
	if err != nil {
		b.Fatal(err)
	}
	h.keep(c, message.Summary{Subject: "Roof"})
	token := tokenOf(c)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := h.Resolve(context.Background(), token); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkCleanLinks removes 20,000 expired links from in front of one that works; ns/link must not grow with their number.
func BenchmarkCleanLinks(b *testing.B) {
	const links = 20_000
	h := openHouse(b)
	h.link(alice, "Roof")
	for n := 0; b.Loop(); n++ {
		b.StopTimer()
		now := time.Now()
		h.manyLinks(bob, links, now.Add(time.Duration(n)))
		h.manyLinks(alice, 1, now.Add(time.Hour))
		var swept int64
		b.StartTimer()
		if err := h.cleanLinks(b.Context(), now.Add(time.Second), &swept); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(max(b.N, 1)*links), "ns/link")
}

// BenchmarkRemove removes a login with few links from among 100,000 links of others: what other writers wait for.
func BenchmarkRemove(b *testing.B) {
	h := openHouse(b)
	h.manyLinks(bob, 100_000, time.Now().Add(time.Hour))
	if err := h.index(b.Context()); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if err := h.db.Update(b.Context(), func(tx *sqldb.Tx) error { return h.Remove(tx, alice) }); err != nil {
			b.Fatal(err)
		}
	}
}
