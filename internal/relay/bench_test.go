package relay

import (
	"bufio"
	"bytes"
	"net"
	"strings"
	"testing"

	"chmail/internal/address"
	"chmail/internal/delivery"
)

// sink is a server that takes every mail.
func sink(nc net.Conn, caps string) {
	defer nc.Close()
	in, out := bufio.NewReader(nc), bufio.NewWriter(nc)
	say := func(s string) { _, _ = out.WriteString(s) }
	say("220 ready\r\n")
	for data := false; ; {
		if in.Buffered() == 0 && out.Flush() != nil {
			return
		}
		line, err := in.ReadSlice('\n')
		switch {
		case err != nil:
			return
		case data:
			if string(line) == ".\r\n" {
				data = false
				say("250 2.0.0 ok\r\n")
			}
		case bytes.HasPrefix(line, []byte("EHLO")):
			say(caps)
		case bytes.HasPrefix(line, []byte("DATA")):
			data = true
			say("354 go on\r\n")
		default:
			say("250 2.0.0 ok\r\n")
		}
	}
}

// BenchmarkMailsOverOneLine sends mails of 8 KiB over one connection on loopback; the server is on the same processors.
func BenchmarkMailsOverOneLine(b *testing.B) {
	for name, caps := range map[string]string{
		"pipelined":  "250-sink\r\n250-PIPELINING\r\n250-8BITMIME\r\n250-DSN\r\n250 SIZE\r\n",
		"one by one": "250-sink\r\n250 SIZE\r\n",
	} {
		b.Run(name, func(b *testing.B) {
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				b.Fatal(err)
			}
			defer l.Close()
			go func() {
				if nc, err := l.Accept(); err == nil {
					sink(nc, caps)
				}
			}()
			z := exampleOrg()
			z.ip["mx.example.org."] = []string{"127.0.0.1"}
			r := New(Options{Name: "relay.example.com", Resolver: z, AnyAddress: true, Port: uint16(l.Addr().(*net.TCPAddr).Port)})
			raw := []byte("Subject: x\r\n\r\n" + strings.Repeat(strings.Repeat("x", 76)+"\r\n", 105))
			m := delivery.Mail{
				From: address.Address{Local: "alice", Domain: "example.com"}, To: []delivery.Recipient{{Address: address.Address{Local: "bob", Domain: "example.org"}}},
				Body: bytes.NewReader(raw), Size: int64(len(raw)), Signature: []byte("DKIM-Signature: " + strings.Repeat("x", 500) + "\r\n"),
			}
			line, err := r.Open(b.Context(), "example.org", m)
			if err != nil {
				b.Fatal(err)
			}
			defer line.Close()
			b.ReportAllocs()
			b.SetBytes(m.Size)
			for b.Loop() {
				if verdicts, again := line.Send(b.Context(), m); !verdicts[0].Accepted() || !again {
					b.Fatal(told(&verdicts[0]))
				}
			}
		})
	}
}
