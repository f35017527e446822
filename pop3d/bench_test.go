package pop3d

import (
	"bytes"
	"context"
	"crypto/tls"
	"io"
	"iter"
	"log/slog"
	"net"
	"strconv"
	"strings"
	"testing"
)

// Each benchmark is one or many sessions through the whole server but for the network, or over loopback where the name says TCP.

func benchSession(b *testing.B, office *postOffice, said string, octets int64) {
	s := quietServer(office)
	b.SetBytes(octets)
	b.ReportAllocs()
	for b.Loop() {
		if end := s.run(&script{in: strings.NewReader(said), out: io.Discard}); end != "quit" {
			b.Fatal(end)
		}
	}
}

func BenchmarkLoginStat(b *testing.B) {
	benchSession(b, newPostOffice(), login+"STAT\r\nQUIT\r\n", 0)
}

func BenchmarkRetr1MB(b *testing.B) {
	office := newPostOffice()
	line := strings.Repeat("seventy-six characters of text ", 3)[:76] + "\r\n"
	office.deliver("alice@example.com", []byte(strings.Repeat(line, (1<<20)/len(line))))
	benchSession(b, office, login+strings.Repeat("RETR 1\r\n", 16)+"QUIT\r\n", 16<<20)
}

func BenchmarkRetr8KiB(b *testing.B) {
	office := newPostOffice()
	office.deliver("alice@example.com", bytes.Repeat([]byte("sixty-two characters of text, as mail programs like to send\r\n"), 130))
	benchSession(b, office, login+strings.Repeat("RETR 1\r\n", 100)+"QUIT\r\n", 100*8<<10)
}

func BenchmarkList100000(b *testing.B) {
	office := newPostOffice()
	office.fill("alice@example.com", 100_000)
	benchSession(b, office, login+"LIST\r\nQUIT\r\n", 0)
}

func BenchmarkDeleteAll100000(b *testing.B) {
	var said strings.Builder
	said.WriteString(login)
	for n := 1; n <= 100_000; n++ {
		said.WriteString("DELE " + strconv.Itoa(n) + "\r\n")
	}
	said.WriteString("QUIT\r\n")
	office := newPostOffice()
	office.fill("alice@example.com", 100_000)
	s := New(Options{Log: slog.New(slog.DiscardHandler), Accounts: office, Maildrops: undeleting{office}})
	b.ReportAllocs()
	for b.Loop() {
		if end := s.run(&script{in: strings.NewReader(said.String()), out: io.Discard}); end != "quit" {
			b.Fatal(end)
		}
	}
}

// undeleting opens maildrops that stay as they are.
type undeleting struct{ *postOffice }

func (u undeleting) Open(ctx context.Context, login string) (Maildrop, error) {
	d, err := u.postOffice.Open(ctx, login)
	return keeping{d}, err
}

type keeping struct{ Maildrop }

func (keeping) Expunge(context.Context, iter.Seq[int]) error { return nil }

// BenchmarkTCPSession is a mail check in TLS, client included: handshake, login, STAT, LIST, UIDL, QUIT. The certificate is ECDSA P-256.
func BenchmarkTCPSession(b *testing.B) {
	office := newPostOffice()
	office.fill("alice@example.com", 20)
	addr, trust := benchListen(b, office)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			c, err := tls.Dial("tcp", addr, trust)
			if err != nil {
				b.Error(err)
				return
			}
			_, err = io.WriteString(c, login+"STAT\r\nLIST\r\nUIDL\r\nQUIT\r\n")
			all, readErr := io.ReadAll(c)
			if err != nil || readErr != nil || !bytes.HasSuffix(all, []byte("+OK bye\r\n")) {
				b.Errorf("%v, %v, %q", err, readErr, all)
			}
			c.Close()
		}
	})
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "sessions/s")
}

// BenchmarkTCPRetr is the download of a large message in TLS, client included.
func BenchmarkTCPRetr(b *testing.B) {
	office := newPostOffice()
	text := bytes.Repeat([]byte("sixty-two characters of text, as mail programs like to send\r\n"), 1<<14)
	office.deliver("alice@example.com", text)
	addr, trust := benchListen(b, office)
	c, err := tls.Dial("tcp", addr, trust)
	if err != nil {
		b.Fatal(err)
	}
	defer c.Close()
	if _, err := io.WriteString(c, login); err != nil {
		b.Fatal(err)
	}
	first := "+OK " + strconv.Itoa(len(text)) + " octets\r\n"
	greeted := make([]byte, len("+OK mail.example.com POP3 ready\r\n+OK now the password\r\n+OK 1 messages ( octets)\r\n")+len(strconv.Itoa(len(text))))
	if _, err := io.ReadFull(c, greeted); err != nil {
		b.Fatal(err)
	}
	response := make([]byte, len(first)+len(text)+len(dotLine))
	b.SetBytes(int64(len(response)))
	for b.Loop() {
		if _, err := io.WriteString(c, "RETR 1\r\n"); err != nil {
			b.Fatal(err)
		}
		if _, err := io.ReadFull(c, response); err != nil || !bytes.HasPrefix(response, []byte(first)) || !bytes.HasSuffix(response, dotLine) {
			b.Fatal(err)
		}
	}
}

func benchListen(b *testing.B, office *postOffice) (addr string, trust *tls.Config) {
	serve, trust := testTLS(b)
	o := quietServer(office)
	s := New(Options{Hostname: "mail.example.com", Log: o.log, TLS: serve, Accounts: office, Maildrops: office, Presence: office})
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	done := make(chan error)
	go func() { done <- s.Serve(ln, true) }()
	b.Cleanup(func() {
		if err := s.Shutdown(context.Background()); err != nil {
			b.Error(err)
		}
		if err := <-done; err != nil {
			b.Error(err)
		}
	})
	return ln.Addr().String(), trust
}
