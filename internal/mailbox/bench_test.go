package mailbox

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"chmail/internal/message"
	"chmail/internal/sqldb"
)

// BenchmarkDeliver takes a mail of 8 KiB in and commits it to one of a thousand maildrops, as intake does.
func BenchmarkDeliver(b *testing.B) {
	for _, size := range []int{8 << 10, 128 << 10} {
		for _, writers := range []int{1, 10, 50} {
			b.Run(fmt.Sprintf("size=%dK/writers=%d", size>>10, writers), func(b *testing.B) { benchDeliver(b, size, writers) })
		}
	}
}

func benchDeliver(b *testing.B, size, writers int) {
	o := newOffice(b)
	body := letter("benchmark", size)
	times := make([][]time.Duration, writers)
	var next atomic.Int64
	var wg sync.WaitGroup
	b.ReportAllocs()
	b.ResetTimer()
	for i := range writers {
		wg.Go(func() {
			for n := next.Add(1); n <= int64(b.N); n = next.Add(1) {
				t0 := time.Now()
				m, err := o.Put(context.Background(), bytes.NewReader(body), int64(size))
				if err == nil {
					to := []message.Drop{{Login: fmt.Sprintf("user%d@example.com", n*7919%1000), Quota: 1 << 40}}
					err = o.db.Update(context.Background(), func(tx *sqldb.Tx) error { _, err := o.Deliver(tx, m, to, 0, t0); return err })
				}
				if err != nil {
					b.Error(err)
					return
				}
				times[i] = append(times[i], time.Since(t0))
			}
		})
	}
	wg.Wait()
	b.StopTimer()
	all := slices.Concat(times...)
	slices.Sort(all)
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "mails/s")
	b.ReportMetric(float64(all[len(all)*99/100])/1e6, "p99-ms")
}

// large is a maildrop of 100,000, with a hole here and there.
func large(b *testing.B) *office {
	b.Helper()
	o := newOffice(b)
	o.crowd(alice, 100_000)
	o.look(alice).quit(5, 1000, 50_000)
	return o
}

// BenchmarkOpen is a login with its STAT on a maildrop of 100,000.
func BenchmarkOpen(b *testing.B) {
	o := large(b)
	b.ReportAllocs()
	for b.Loop() {
		s := o.look(alice)
		if n, _ := s.Stat(); n != 99_997 {
			b.Fatalf("%d messages", n)
		}
		if err := s.Close(); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkOpenAndRead is a login that reads one message from the middle of 100,000.
func BenchmarkOpenAndRead(b *testing.B) {
	o := large(b)
	b.ReportAllocs()
	for b.Loop() {
		s := o.look(alice)
		if len(s.read(57_123)) != 7 {
			b.Fatal("wrong message")
		}
		if err := s.Close(); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkList is LIST or UIDL of 100,000.
func BenchmarkList(b *testing.B) {
	o := large(b)
	b.ReportAllocs()
	for b.Loop() {
		s, n := o.look(alice), 0
		if err := s.List(b.Context(), 1, func(message.Entry) bool { n++; return true }); err != nil || n != 99_997 {
			b.Fatalf("%d listed, %v", n, err)
		}
		if err := s.Close(); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkFetch reads and deletes a maildrop of 10 mails of 8 KiB: what a client does that leaves nothing on the server.
func BenchmarkFetch(b *testing.B) {
	o := newOffice(b)
	body := letter("benchmark", 8<<10)
	numbers := []int{1, 2, 3, 4, 5, 6, 7, 8, 9, 10}
	b.ReportAllocs()
	for b.Loop() {
		b.StopTimer()
		for range numbers {
			o.send(body, alice)
		}
		b.StartTimer()
		s := o.look(alice)
		for _, n := range numbers {
			if len(s.read(n)) != len(body) {
				b.Fatal("wrong message")
			}
		}
		s.quit(numbers...)
	}
}

// BenchmarkExpungeAll deletes 100,000 messages in one QUIT.
func BenchmarkExpungeAll(b *testing.B) {
	for b.Loop() {
		b.StopTimer()
		o := newOffice(b)
		o.crowd(alice, 100_000)
		s := o.look(alice)
		all := make([]int, 100_000)
		for i := range all {
			all[i] = i + 1
		}
		b.StartTimer()
		if err := s.Expunge(b.Context(), slices.Values(all)); err != nil {
			b.Fatal(err)
		}
	}
}
