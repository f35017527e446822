package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"chmail/internal/address"
	"chmail/internal/mailauth"
	"chmail/internal/mailbox"
	"chmail/internal/message"
	"chmail/internal/metrics"
	"chmail/internal/queue"
	"chmail/internal/relay"
	"chmail/internal/sqldb"
)

// sink is another host that takes everything, and lets us wait for each answer.
type sink struct {
	ln    net.Listener
	delay time.Duration
	mails atomic.Int64
}

func newSink(b *testing.B, delay time.Duration) *sink {
	b.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	s := &sink{ln: ln, delay: delay}
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			go s.serve(c)
		}
	}()
	b.Cleanup(func() { _ = ln.Close() })
	return s
}

// serve answers whatever came together after one delay, as a host does that is that far away.
func (s *sink) serve(c net.Conn) {
	defer c.Close()
	r, w := bufio.NewReader(c), bufio.NewWriter(c)
	say := func(text string) { w.WriteString(text + "\r\n") }
	say("220 sink.test ESMTP")
	body := false
	for {
		if r.Buffered() == 0 {
			if w.Buffered() > 0 {
				time.Sleep(s.delay)
			}
			if w.Flush() != nil {
				return
			}
		}
		l, err := r.ReadSlice('\n')
		switch verb, _, _ := strings.Cut(string(bytes.TrimSpace(l)), " "); {
		case err != nil:
			return
		case body:
			if body = string(l) != ".\r\n"; !body {
				s.mails.Add(1)
				say("250 2.0.0 taken")
			}
		case verb == "EHLO":
			say("250-sink.test\r\n250-PIPELINING\r\n250 8BITMIME")
		case verb == "DATA":
			body = true
			say("354 go on")
		case verb == "QUIT":
			say("221 bye")
			_ = w.Flush()
			return
		default:
			say("250 2.0.0 ok")
		}
	}
}

// noDNS has every domain's mail server be itself, somewhere.
type noDNS struct{}

func (noDNS) LookupMX(context.Context, string) ([]*net.MX, error) {
	return nil, &net.DNSError{IsNotFound: true}
}
func (noDNS) LookupIPAddr(context.Context, string) ([]net.IPAddr, error) {
	return []net.IPAddr{{IP: net.IPv4(127, 0, 0, 1)}}, nil
}
func (noDNS) LookupTXT(context.Context, string) ([]string, error) {
	return nil, &net.DNSError{IsNotFound: true}
}

// nobody gets no reports.
type nobody struct{}

func (nobody) Prepare(context.Context, string, time.Time, io.Reader) (queue.Parcel, error) {
	return nil, errors.New("nobody is there")
}

// BenchmarkRelay sends 8 KiB mails to 100 destinations that are 50 ms away, from the queue's rows in SQL to the last one's removal. mails/s is the rate; heap_MB what is in memory while all
// the mails wait.
func BenchmarkRelay(b *testing.B) { benchmarkRelay(b, nil) }

// BenchmarkRelaySigned is the same with both DKIM signatures on each mail. rsa/s is how many signatures the computer's cores make in a second if they do nothing else; how much of a
// run's time is spent in RSA, a profile tells (docs/performance.md).
func BenchmarkRelaySigned(b *testing.B) {
	folder := filepath.Join(b.TempDir(), "dkim")
	keys := mailauth.NewKeys(folder)
	for _, a := range []mailauth.Algorithm{mailauth.RSA, mailauth.Ed25519} {
		if _, err := keys.New("example.com", "s-"+string(a), a); err != nil {
			b.Fatal(err)
		}
	}
	old := time.Now().Add(-time.Hour) // as in a running server: a folder that has just been changed is read each time
	if err := os.Chtimes(filepath.Join(folder, "example.com"), old, old); err != nil {
		b.Fatal(err)
	}
	rate := rsaRate(b)
	benchmarkRelay(b, signer{keys})
	b.ReportMetric(rate, "rsa/s")
}

// rsaRate measures for a second.
func rsaRate(b *testing.B) float64 {
	b.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		b.Fatal(err)
	}
	var made atomic.Int64
	var all sync.WaitGroup
	begin := time.Now()
	for range runtime.GOMAXPROCS(0) {
		all.Go(func() {
			for digest := sha256.Sum256([]byte("a mail")); time.Since(begin) < time.Second; made.Add(1) {
				if _, err := rsa.SignPKCS1v15(nil, key, crypto.SHA256, digest[:]); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	all.Wait()
	return float64(made.Load()) / time.Since(begin).Seconds()
}

func benchmarkRelay(b *testing.B, sign queue.Signer) {
	s := newSink(b, 50*time.Millisecond)
	db, err := sqldb.Open(b.Context(), filepath.Join(b.TempDir(), "relay.db"), mailbox.Schema(), queue.Schema())
	if err != nil {
		b.Fatal(err)
	}
	store, err := mailbox.New(mailbox.Options{DB: db, Dir: filepath.Join(b.TempDir(), "blobs"), Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		b.Fatal(err)
	}
	out := relay.New(relay.Options{Name: "mail.example.com", Resolver: noDNS{}, AnyAddress: true, Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, s.ln.Addr().String())
	}})
	q, err := queue.New(b.Context(), queue.Options{
		DB: db, Store: store, Carrier: carrier{out, metrics.New()}, Post: nobody{}, Route: func(_, to address.Address) string { return to.Domain },
		Signer: sign, Hostname: "mail.example.com", Postmaster: "postmaster@example.com", Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		b.Fatal(err)
	}
	fill(b, db, store, q, b.N)
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	b.ResetTimer()
	q.Start()
	for tick := time.NewTicker(10 * time.Millisecond); s.mails.Load() < int64(b.N); {
		<-tick.C
	}
	b.StopTimer()
	b.ReportMetric(float64(m.HeapAlloc)/1e6, "heap_MB")
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "mails/s")
	if err := errors.Join(q.Close(), store.Close(), db.Close()); err != nil {
		b.Fatal(err)
	}
}

// fill queues n mails.
func fill(b *testing.B, db *sqldb.DB, store *mailbox.Store, q *queue.Queue, n int) {
	b.Helper()
	text := []byte("Return-Path: <a@example.com>\r\nFrom: a@example.com\r\nSubject: x\r\n\r\n" + strings.Repeat(strings.Repeat("x", 76)+"\r\n", 105))
	for i := 0; i < n; {
		err := db.Update(context.Background(), func(tx *sqldb.Tx) error {
			for k := 0; k < 500 && i < n; k, i = k+1, i+1 {
				id, err := store.Deliver(tx, message.Stored{Body: text, Size: int64(len(text))}, nil, 1, time.Now())
				if err != nil {
					return err
				}
				env := &message.Envelope{ID: message.NewID(), From: address.Address{Local: "a", Domain: "example.com"}, To: []address.Address{{Local: "b", Domain: fmt.Sprintf("d%d.test", i%100)}}, Received: time.Now()}
				if err := q.Enqueue(tx, message.Outgoing{Env: env, To: []int{0}, Message: id, Size: int64(len(text)), Skip: 30}); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			b.Fatal(err)
		}
	}
}
