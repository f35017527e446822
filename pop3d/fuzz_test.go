package pop3d

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net"
	"strings"
	"testing"
	"time"

	"chmail/internal/netutil"
)

func FuzzParse(f *testing.F) {
	for _, s := range []string{"STAT", "retr 1", "PASS  two  spaces ", "TOP 1 99999999999999999999", "", " ", "\x00", "LIST\t1", "RETR 4294967297", "AUTH PLAIN =", "Ünïcode 1", "DELE -1"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, line []byte) {
		c, ok := parse(line)
		if bytes.ContainsAny(line, "\x00\r\n\x1b\x7f") && ok {
			t.Fatalf("%q passes", line)
		}
		if !ok {
			return
		}
		if c.verb != strings.ToUpper(c.verb) || len(c.verb) > maxVerb || !strings.EqualFold(c.verb, string(line[:len(c.verb)])) {
			t.Fatalf("%q has the verb %q", line, c.verb)
		}
		if rest := line[len(c.verb):]; len(rest) > 0 && string(rest[1:]) != c.arg {
			t.Fatalf("%q has the argument %q", line, c.arg)
		}
		for want := 1; want <= 2; want++ {
			numbers, ok := c.numbers(want)
			if ok != (len(numbers) == want) {
				t.Fatalf("%q: %v, %v", line, numbers, ok)
			}
			for _, n := range numbers {
				if n < 0 || n > maxNumber {
					t.Fatalf("%q: %d", line, n)
				}
			}
		}
	})
}

// script is a connection whose client says everything at once and then leaves; what the server says goes to out.
type script struct {
	in     io.Reader
	out    io.Writer
	closed bool
}

func (s *script) Read(p []byte) (int, error)       { return s.in.Read(p) }
func (s *script) Write(p []byte) (int, error)      { return s.out.Write(p) }
func (s *script) Close() error                     { s.closed = true; return nil }
func (s *script) LocalAddr() net.Addr              { return fixedAddr("192.0.2.1:110") }
func (s *script) RemoteAddr() net.Addr             { return fixedAddr("198.51.100.7:40000") }
func (s *script) SetDeadline(time.Time) error      { return nil }
func (s *script) SetReadDeadline(time.Time) error  { return nil }
func (s *script) SetWriteDeadline(time.Time) error { return nil }

// run plays a script against the server as if it came through TLS, and returns why the session ended.
func (s *Server) run(conn *script) string {
	c := s.session(context.Background(), context.Background(), netutil.NewConn(conn, netutil.Limits{}))
	c.secure = true
	end := c.dialogue(time.Now())
	c.close(end, 0)
	// What the client missed of the end shows in what it got.
	_ = c.conn.Close()
	return end
}

func quietServer(office *postOffice) *Server {
	return New(Options{
		Hostname: "mail.example.com", Log: slog.New(slog.DiscardHandler), Accounts: office, Maildrops: office, Presence: office,
	})
}

func FuzzSession(f *testing.F) {
	const in = login
	for _, s := range []string{
		batch, in + "DELE 1\r\nDELE 3\r\nQUIT\r\n", in + "DELE 1\r\n", in + "RETR 1\nRETR 2\nRETR 3\nTOP 1 0\n",
		"AUTH PLAIN\r\nAGFsaWNlQGV4YW1wbGUuY29tAG9wZW4gc2VzYW1l\r\nUIDL\r\nQUIT\r\n",
		"AUTH LOGIN YWxpY2VAZXhhbXBsZS5jb20=\r\nb3BlbiBzZXNhbWU=\r\nDELE 2\r\nRSET\r\nDELE 1\r\nQUIT\r\n", "AUTH\r\nAUTH PLAIN =\r\nAUTH LOGIN\r\n*\r\n",
		"STLS\r\n", "GET / HTTP/1.1\r\n\r\n", strings.Repeat("x", 13_000), in + in, "\x16\x03\x01", in + "LIST 1\r\nLIST 0\r\nLIST 9\r\nLIST -\r\nLIST\r\n",
	} {
		f.Add([]byte(s))
	}
	texts := [][]byte{crlf("Subject: dots\n\n.\n..\n.a\n"), nil, []byte("no line end")}
	f.Fuzz(func(t *testing.T, said []byte) {
		office := newPostOffice()
		for _, text := range texts {
			office.deliver("alice@example.com", text)
		}
		var out bytes.Buffer
		end := quietServer(office).run(&script{in: bytes.NewReader(said), out: &out})
		if office.open != 0 {
			t.Fatalf("%q leaves the maildrop open", said)
		}
		deleted := office.uids("alice@example.com") != "uid-1 uid-2 uid-3"
		if deleted != strings.Contains(out.String(), " messages deleted\r\n") || deleted && end != "quit" {
			t.Fatalf("%q ends by %s, and there is left %q; replies:\n%s", said, end, office.uids("alice@example.com"), &out)
		}
		checkReplies(t, said, out.Bytes())
	})
}

// checkReplies reads what the server said as a client that knows nothing of what it asked: every line must be a reply, a challenge, or stand in
// a multi-line response that ends.
func checkReplies(t *testing.T, said, replies []byte) {
	multi := []string{"capabilities follow", "mechanisms follow", " messages\r\n", " octets\r\n", "top of the message follows"}
	for len(replies) > 0 {
		i := bytes.Index(replies, []byte("\r\n"))
		if i < 0 {
			t.Fatalf("%q: the last reply is cut: %q", said, replies)
		}
		line := string(replies[:i+2])
		replies = replies[i+2:]
		switch {
		case strings.HasPrefix(line, "-ERR "), strings.HasPrefix(line, "+ "):
		case strings.HasPrefix(line, "+OK"):
			for _, m := range multi {
				if strings.HasSuffix(line, m) || strings.HasSuffix(line, m+"\r\n") {
					_, replies = readResponse(t, replies)
					break
				}
			}
		default:
			t.Fatalf("%q is answered %q", said, line)
		}
	}
}
