package relay

import (
	"context"
	"io"
	"net"
	"strings"
	"testing"
	"unicode"

	"chmail/internal/delivery"
)

// FuzzServer lets a server say anything: all at once, and then it closes. Whatever that is, each recipient has one verdict, which is whole and agrees with itself.
func FuzzServer(f *testing.F) {
	for _, s := range []string{
		"220 x\r\n250-x\r\n250 PIPELINING\r\n250 ok\r\n250 ok\r\n550 no\r\n354 go\r\n250 ok\r\n250-y\r\n250 DSN\r\n221 bye\r\n",
		"220 x\r\n250-x\r\n250-STARTTLS\r\n250 SMTPUTF8\r\n220 go\r\n\x15\x03\x03\x00\x02\x02\x28",
		"220 x\r\n250-x\r\n250-8BITMIME\r\n250 SIZE 10\r\n", "220 x\r\n502 x\r\n250 x\r\n250 x\r\n452 x\r\n552 4.5.3 x\r\n354 x\r\n", "421 x\r\n", "220 x\r\n250 x\r\n354 x\r\n",
		"220 x\r\n250-x\r\n250 PIPELINING\r\n550 x\r\n250 x\r\n250 x\r\n354 x\r\n250 x\r\n250 x\r\n250 x\r\n",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, said []byte) {
		o := Options{Name: "relay.example.com", Resolver: exampleOrg(), Own: nobody, Downgrade: func(body io.ReaderAt, size int64) (io.ReaderAt, int64, []byte, error) {
			c, n, err := SevenBit(body, size)
			return c, n, nil, err
		}}
		o.Dial = func(context.Context, string, string) (net.Conn, error) {
			client, server := net.Pipe()
			go func() {
				defer server.Close()
				go func() { _, _ = io.Copy(io.Discard, server) }()
				_, _ = server.Write(said)
			}()
			return client, nil
		}
		m := mailOf(t, "to a@example.org NOTIFY=NEVER\nto b@example.org\nto jürgen@example.org\nutf8\n\nSubject: x\n\nü\n")
		line, err := New(o).Open(t.Context(), "example.org", m)
		if err != nil {
			check(t, said, err.(*delivery.Verdict), false)
			return
		}
		defer line.Close()
		for again := true; again; {
			var verdicts []delivery.Verdict
			if verdicts, again = line.Send(t.Context(), m); len(verdicts) != len(m.To) {
				t.Fatalf("%q: %d verdicts", said, len(verdicts))
			}
			for i := range verdicts {
				check(t, said, &verdicts[i], true)
			}
			again = again && verdicts[0].Code != 0 // a mail that was not offered will not be, ever
		}
	})
}

func check(t *testing.T, said []byte, v *delivery.Verdict, sent bool) {
	t.Helper()
	class := v.Enhanced[0]
	if class != 2 && class != 4 && class != 5 || v.Code != 0 && v.Code/100 != class || v.Temporary != (class == 4) || v.Accepted() != (class == 2) || v.Accepted() && !sent {
		t.Fatalf("%q: %s", said, told(v))
	}
	if len(v.Text) > delivery.MaxText || strings.ContainsFunc(v.Text, func(r rune) bool { return !unicode.IsPrint(r) }) || v.Relayed && !v.Accepted() || v.Stale && !v.Temporary {
		t.Fatalf("%q: %s", said, told(v))
	}
}
