package smtpd

import (
	"bytes"
	"errors"
	"io"
	"net"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/tools/txtar"

	"chmail/internal/address"
	"chmail/internal/message"
	"chmail/internal/netutil"
	"chmail/internal/smuggling"
)

// FuzzSession says any octets to port 25. Nothing may fall over, every reply must be one, and no mail may be delivered that the client did not end.
func FuzzSession(f *testing.F) {
	for _, e := range smuggling.Variants() {
		f.Add([]byte("HELO a\r\nMAIL FROM:<x@y.test>\r\nRCPT TO:<bob@example.com>\r\nDATA\r\nx" + e.Seq + smuggled))
	}
	files, err := filepath.Glob("testdata/*.txtar")
	if err != nil {
		f.Fatal(err)
	}
	for _, name := range files {
		a, err := txtar.ParseFile(name)
		if err != nil {
			f.Fatal(err)
		}
		var said strings.Builder
		for line := range strings.Lines(string(a.Files[0].Data)) {
			if text, ok := strings.CutPrefix(strings.TrimSuffix(line, "\n"), "C: "); ok && text != "STARTTLS" {
				said.WriteString(text + "\r\n")
			}
		}
		f.Add([]byte(said.String()))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		if bytes.Contains(bytes.ToUpper(in), []byte("STARTTLS")) {
			return // its handshake waits for what does not come
		}
		for line := range bytes.Lines(in) {
			if verb := bytes.ToUpper(line[:min(4, len(line))]); string(verb) != "HELO" && string(verb) != "EHLO" {
				continue
			}
			if slices.ContainsFunc(secrets(), func(s string) bool { return bytes.Contains(line, []byte(s)) }) {
				return // how a client calls itself is no secret, and in the log when it is refused
			}
		}
		s := newStage(t, func(o *Options) { o.TLS, o.Limits.Message, o.Limits.Errors = nil, 5000, 50 })
		c := s.connect(MX)
		go func() {
			c.say(string(in))
			c.conn.Close()
		}()
		<-c.idle
		s.shutdown()
		for line := range c.lines {
			wellFormed(t, line)
		}
		if strings.Contains(s.log.String(), "panic") {
			t.Fatalf("%s", s.log)
		}
		if !bytes.Contains(bytes.ToUpper(in), []byte("BDAT")) && len(s.office.mails) > ended(in) {
			t.Fatalf("%d mails from %q", len(s.office.mails), in)
		}
		for _, m := range s.office.mails {
			if text := strings.ReplaceAll(m.text, "\r\n", ""); strings.ContainsAny(text, "\r\n") || m.text != "" && !strings.HasSuffix(m.text, "\r\n") {
				t.Fatalf("delivered %q", m.text)
			}
		}
	})
}

// ended counts the places where a mail may end.
func ended(in []byte) (n int) {
	for i := range in {
		if bytes.HasPrefix(in[i:], []byte("\r\n.\r\n")) {
			n++
		}
	}
	return n
}

func wellFormed(t testing.TB, line string) {
	t.Helper()
	if strings.HasSuffix(line, "(no line end)") {
		return // the client left within it
	}
	if len(line) < 4 || line[0] < '2' || line[0] > '5' || line[3] != ' ' && line[3] != '-' || strings.Contains(line, "\r") || strings.HasSuffix(line, "(bare LF)") {
		t.Fatalf("not a reply: %q", line)
	}
}

// FuzzBody holds the reading of DATA and of chunks to a plain reading of the rules, however the octets are cut.
func FuzzBody(f *testing.F) {
	for _, e := range smuggling.Variants() {
		f.Add([]byte("one"+e.Seq+"two\r\n.\r\nNOOP\r\n"), 3, false)
		f.Add([]byte("one"+e.Seq+"two\r\n.\r\nNOOP\r\n"), 1, true)
	}
	f.Add([]byte(strings.Repeat("x", 20000)+"\r\n.\r\n"), 4096, false)
	f.Fuzz(func(t *testing.T, in []byte, cut int, loose bool) {
		const most = 30000
		c := netutil.NewConn(&pieces{in: in, cut: cut}, netutil.Limits{})
		b := &body{conn: c, most: most, loose: loose}
		got, err := io.ReadAll(b)
		rest, _ := c.Window(0)
		want, n, wantErr := readBody(in, loose)
		if len(want) <= most && (!bytes.HasPrefix(want, got) || wantErr == nil && len(got) != len(want) || !errors.Is(err, wantErr)) {
			t.Errorf("read %q, %v; want %q, %v", got, err, want, wantErr)
		}
		if err == nil && !bytes.HasPrefix(in[n:], rest) {
			t.Errorf("behind the end stands %q, want the beginning of %q", rest, in[n:])
		}
		if loose && err == nil {
			norm, err := io.ReadAll(newNormaliser(bytes.NewReader(got)))
			if plain := strings.ReplaceAll(string(norm), "\r\n", ""); err != nil || strings.ContainsAny(plain, "\r\n") ||
				strings.NewReplacer("\r", "", "\n", "").Replace(string(got)) != plain {
				t.Errorf("%q was normalised to %q, %v", got, norm, err)
			}
		}
	})
}

// readBody is what a mail by DATA is: its text, how many octets it took, and why it is none. Of a bad one it gives the text up to the fault.
func readBody(in []byte, loose bool) (text []byte, n int, err error) {
	begin := true
	for n < len(in) {
		rest := in[n:]
		if begin && bytes.HasPrefix(rest, []byte(".\r\n")) {
			return text, n + 3, nil
		}
		if begin && rest[0] == '.' {
			if bytes.HasPrefix([]byte(".\r\n"), rest) {
				break // cut off before it is decided
			}
			begin = false
			n++
			continue
		}
		crlf := bytes.HasPrefix(rest, []byte("\r\n"))
		switch {
		case crlf:
			text = append(text, "\r\n"...)
			n += 2
		case rest[0] == '\r' && len(rest) == 1:
			return text, n, io.ErrUnexpectedEOF
		case rest[0] == '\r' && !loose:
			return text, n, errBareCR
		case rest[0] == '\n' && !loose:
			return text, n, errBareLF
		default:
			text = append(text, rest[0])
			n++
		}
		begin = crlf
	}
	return text, n, io.ErrUnexpectedEOF
}

// pieces is a connection whose client has sent everything, cut in pieces, and left.
type pieces struct {
	net.Conn
	in  []byte
	cut int
}

func (p *pieces) Read(b []byte) (int, error) {
	if len(p.in) == 0 {
		return 0, io.EOF
	}
	n := copy(b, p.in[:min(max(p.cut, 1), len(p.in))])
	p.in = p.in[n:]
	return n, nil
}
func (p *pieces) RemoteAddr() net.Addr            { return nil }
func (p *pieces) SetReadDeadline(time.Time) error { return nil }

// FuzzLine reads any octets as a command line.
func FuzzLine(f *testing.F) {
	for _, s := range []string{
		"MAIL FROM:<a@b.test> SIZE=1", "RCPT TO:<\"a>b\\\"\"@c.test>", "RCPT TO:<@x,@y:a@b.test>", "RCPT TO: a@b.test NOTIFY=NEVER", "RCPT TO:<>", "RCPT TO:<postmaster>",
		"BDAT 100 LAST", "BDAT 4294967295", "BDAT 4294967296", "BDAT  1  last ", "BDAT -1", "BDAT +1", "BDAT 1 2", "bdat", "MAIL FROM:<@:>", "MAIL FROM:<\"", "RCPT TO:<a@b@c>",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		line := append(bytes.Clone(in), "\r\n"...)
		if bytes.IndexByte(in, '\n') >= 0 || checkLine(line, false) != nil {
			return // no line, or a refused one
		}
		switch v := verb(line); string(v[:]) {
		case "BDAT":
			if n, _, ok := parseChunk(line); ok && (n < 0 || n > 1<<32-1) {
				t.Fatalf("chunk of %d", n)
			}
		case "MAIL", "RCPT":
			for _, keyword := range []string{"FROM:", "TO:"} {
				p, rest := parsePath(line, keyword)
				if strings.ContainsAny(rest, "\r\n") {
					t.Fatalf("rest %q", rest)
				}
				if a := p.addr; p.err == nil && a.Domain != "" {
					if again, err := address.Parse(a.String()); err != nil || again != a {
						t.Fatalf("%q is %+v, and again %+v, %v", line, a, again, err)
					}
				}
			}
		}
		for _, c := range replyLine(message.Refuse(550, [3]int{5, 0, 0}, oneLine(string(in)))) {
			if c < ' ' || c > '~' {
				t.Fatalf("a reply with %q", c)
			}
		}
	})
}
