package chatd

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"
	"golang.org/x/time/rate"

	"chmail/internal/web"
)

// BenchmarkFanOut is one conversation whose events go out to many sockets on loopback: from being posted to having been read by
// everybody, the commits included.
func BenchmarkFanOut(b *testing.B) {
	for _, sockets := range []int{2, 100} {
		b.Run(fmt.Sprintf("sockets=%d", sockets), func(b *testing.B) {
			h := newHouse(b)
			bob, conv := h.talking(offer, "Bob")
			bob.cut()
			r, err := h.srv.rooms.take(b.Context(), conv)
			if err != nil {
				b.Fatal(err)
			}
			defer h.srv.rooms.release(r)
			srv := httptest.NewServer(http.HandlerFunc(h.listener))
			defer srv.Close()
			var arrived sync.WaitGroup
			for range sockets {
				conn, _, err := websocket.Dial(b.Context(), strings.Replace(srv.URL, "http", "ws", 1), nil)
				if err != nil {
					b.Fatal(err)
				}
				b.Cleanup(func() { _ = conn.CloseNow() })
				arrived.Go(func() {
					for range b.N {
						if _, _, err := conn.Read(b.Context()); err != nil {
							b.Error(err)
							return
						}
					}
				})
			}
			h.gather(r, sockets)
			sink := newClient(nil, func() {})
			text := strings.Repeat("a message of ordinary length ", 3)
			b.ResetTimer()
			stop := make(chan struct{})
			defer close(stop)
			go func() { // the acknowledgements are for nobody
				for {
					select {
					case <-sink.queue:
					case <-stop:
						return
					}
				}
			}()
			for i := range b.N {
				r.post(b.Context(), said{c: sink, side: owner, cid: fmt.Sprint(i), text: text})
			}
			arrived.Wait()
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "events/s")
			b.ReportMetric(float64(b.N*sockets)/b.Elapsed().Seconds(), "deliveries/s")
		})
	}
}

// gather waits until so many follow a room.
func (h *house) gather(r *room, n int) {
	for {
		r.tail.mu.Lock()
		here := len(r.tail.clients)
		r.tail.mu.Unlock()
		if here >= n {
			return
		}
		runtime.Gosched()
	}
}

// listener is a socket that hears of Alice's conversations.
func (h *house) listener(w http.ResponseWriter, r *http.Request) {
	sock, err := accept(w, r)
	if err != nil {
		h.t.Error(err)
		return
	}
	ctx := sock.conn.CloseRead(context.Background())
	c := newClient(sock, func() {})
	detach := h.srv.rooms.attachDesk(alice, c)
	c.write(ctx)
	detach()
}

// BenchmarkSayToAck is a terminal on loopback that waits for each acknowledgement: read, committed to the disk, told.
func BenchmarkSayToAck(b *testing.B) {
	for _, terminals := range []int{1, 50} {
		b.Run(fmt.Sprintf("terminals=%d", terminals), func(b *testing.B) {
			h := newHouse(b)
			h.srv.limits.fresh = web.NewLimiter(1_000_000, time.Minute)
			port := h.at(alice)
			var all []*phone
			for range terminals {
				p := h.connect(port)
				p.say("JOIN " + offer + "\n")
				conv := strings.Fields(p.expect("OK "))[0]
				h.srv.rooms.living(conv).pace[visitor].SetLimit(rate.Inf)
				all = append(all, p)
			}
			b.ResetTimer()
			var done sync.WaitGroup
			for _, p := range all {
				done.Go(func() {
					for range b.N {
						p.say("a message of ordinary length, as one types it\n")
						p.expect("+ ")
					}
				})
			}
			done.Wait()
			b.ReportMetric(float64(b.N*terminals)/b.Elapsed().Seconds(), "messages/s")
		})
	}
}

// BenchmarkEncode is the frame of an event, made once for everybody.
func BenchmarkEncode(b *testing.B) {
	e := event{N: 1, Kind: kindSay, From: visitor, CID: randomID(), Text: strings.Repeat("a message of ordinary length ", 3)}
	b.ReportAllocs()
	for b.Loop() {
		if err := e.encode("AAAAAAAAAAAAAAAAAAAAAA", "Bob"); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkPortsOpen opens the ports of 5,000 logins, all of which stay open, and reports what one costs in time and memory; then somebody joins on the last.
func BenchmarkPortsOpen(b *testing.B) {
	const logins = 5000
	for b.Loop() {
		b.StopTimer()
		h := newHouse(b)
		var before, after runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		b.StartTimer()
		opened, last := 0, 0
		for number := 10_000; opened < logins && number < 32_000; number++ {
			if h.srv.ports.open(b.Context(), number, fmt.Sprint("user", opened, "@example.com")) == nil { // another program may have it
				opened, last = opened+1, number
			}
		}
		b.StopTimer()
		if opened < logins {
			b.Fatalf("%d ports could be opened", opened)
		}
		runtime.GC()
		runtime.ReadMemStats(&after)
		b.ReportMetric(float64(after.HeapInuse+after.StackInuse-before.HeapInuse-before.StackInuse)/logins/1024, "KB/port")
		h.broker.give(alice, last)
		if err := h.srv.ports.open(b.Context(), last, alice); err != nil {
			b.Fatal(err)
		}
		h.reader(offer, "Bob", 0, last).expect("joined")
		b.StartTimer()
	}
	b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N*logins), "µs/port")
}
