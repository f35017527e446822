package smtpd

import (
	"bufio"
	"context"
	"crypto/tls"
	"io"
	"log/slog"
	"net"
	"strings"
	"testing"

	"chmail/internal/message"
)

// throwaway is a doorway that reads and forgets.
type throwaway struct{ buf []byte }

func (d throwaway) Submit(_ context.Context, _ *message.Envelope, r io.Reader) error {
	for {
		if _, err := r.Read(d.buf); err == io.EOF {
			return nil
		} else if err != nil {
			return err
		}
	}
}

func (throwaway) Room(context.Context, string, int64, bool) (bool, error) { return true, nil }

func (d throwaway) Accept(ctx context.Context, env *message.Envelope, r io.Reader) error {
	return d.Submit(ctx, env, r)
}

// BenchmarkMail delivers mails of 8 KiB over one connection that is held: by port 25 in plaintext, and by port 465 as somebody who has logged in.
// The client's share, and that of TLS, is in the figure.
func BenchmarkMail(b *testing.B) {
	for _, p := range []Profile{MX, Submissions} {
		b.Run(string(p), func(b *testing.B) { benchmark(b, p) })
	}
}

func benchmark(b *testing.B, p Profile) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	o := &office{}
	s := New(Options{
		Hostname: "mail.example.com", TLS: &tls.Config{Certificates: []tls.Certificate{certificate()}}, Accounts: o, Doorway: throwaway{make([]byte, 64<<10)}, Presence: o,
		Log: slog.New(slog.NewTextHandler(io.Discard, nil)),
	})
	go s.Serve(ln, p)
	defer s.Shutdown(context.Background())
	conn, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		b.Fatal(err)
	}
	login := ""
	if p == Submissions {
		conn = tls.Client(conn, trusting())
		login = "AUTH PLAIN AGFsaWNlQGV4YW1wbGUuY29tAG9wZW4gc2VzYW1l\r\n"
	}
	defer conn.Close()
	r := bufio.NewReader(conn)
	w := bufio.NewWriterSize(conn, 16<<10)
	say := func(text, want string) {
		w.WriteString(text)
		if err := w.Flush(); err != nil {
			b.Fatal(err)
		}
		for range strings.Count(want, " ") {
			if line, err := r.ReadSlice('\n'); err != nil || !strings.Contains(want, string(line[:4])) {
				b.Fatalf("%q, %v", line, err)
			}
		}
	}
	say("", "220 ")
	say("HELO bench\r\n", "250 ")
	if login != "" {
		say(login, "235 ")
	}
	text := strings.Repeat("All work and no play makes Jack a dull boy, and his mail is long enough\r\n", 8192/73) + ".\r\n"
	b.SetBytes(int64(len(text)))
	b.ReportAllocs()
	for b.Loop() {
		say("MAIL FROM:<alice@example.com>\r\nRCPT TO:<bob@example.com>\r\nDATA\r\n", "250 250 354 ")
		say(text, "250 ")
	}
}
