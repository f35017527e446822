package relay

import (
	"bufio"
	"bytes"
	"errors"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"chmail/internal/delivery"
)

func FuzzReply(f *testing.F) {
	for _, s := range []string{
		"250 2.1.5 ok\r\n", "250-mx\r\n250-SIZE 100\r\n250-AUTH=LOGIN\r\n250 AUTH PLAIN LOGIN\r\n", "220\r\n", "550-5.1.1 a\n550 5.1.1 b\n", "421 \x1b[0m\xff\r\n",
		"250-a\r\n550 b\r\n", "99 x\r\n", "2500 x\r\n", "250 2.1234.5 x\r\n", "250 2..5 x\r\n", "250 5.1.1 x\r\n", strings.Repeat("250-x\r\n", 200) + "250 x\r\n", "250 " + strings.Repeat("x", 3000) + "\r\n",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		in := bufio.NewReaderSize(bytes.NewReader(b), maxReplyLine)
		for {
			r, err := readReply(in)
			if err != nil {
				return
			}
			v := r.verdict()
			if r.code < 200 || r.code > 599 || len(r.lines) == 0 || len(r.lines) > maxReplyLines || v.Enhanced[0] != r.code/100 || v.Enhanced[1] > 999 || v.Enhanced[2] > 999 {
				t.Fatalf("%q: %+v", b, r)
			}
			if len(v.Text) > delivery.MaxText || !utf8.ValidString(v.Text) || strings.ContainsFunc(v.Text, func(c rune) bool { return !unicode.IsPrint(c) }) {
				t.Fatalf("%q: the text %q", b, v.Text)
			}
			if c := parseCapabilities(r.lines); c.size < 0 {
				t.Fatalf("%q: %+v", b, c)
			}
		}
	})
}

// FuzzDots holds the writer of DATA against a reader of the strict kind: what a server reads is what was stored, and whatever holds a bare CR or LF does not get there.
func FuzzDots(f *testing.F) {
	for _, s := range []string{"a\r\n.\r\n..b\r\n", "", ".", "\r\n.\r\n", "a\n.\n", "a\r.\r", "\r", "\r\r\n", "a\r\n\n", "x\r\n.", "ü\r\n"} {
		f.Add([]byte(s), 3)
	}
	f.Fuzz(func(t *testing.T, b []byte, step int) {
		if step < 1 {
			step = 1
		}
		var out bytes.Buffer
		d := dots{w: &out}
		var err error
		for rest := b; len(rest) > 0 && err == nil; {
			p := rest[:min(step, len(rest))]
			var n int
			if n, err = d.Write(p); err == nil && n != len(p) {
				t.Fatalf("%d of %d octets, and no error", n, len(p))
			}
			rest = rest[len(p):]
		}
		if err == nil {
			err = d.end()
		}
		whole := strings.ReplaceAll(string(b), "\r\n", "")
		if bare := strings.ContainsAny(whole, "\r\n"); bare != errors.Is(err, errLineEnd) || err != nil != bare {
			t.Fatalf("%q: %v", b, err)
		}
		if err != nil {
			return
		}
		var lines []string
		rest := out.String()
		for {
			line, more, ok := strings.Cut(rest, "\r\n")
			if !ok {
				t.Fatalf("%q became %q: without end", b, out.String())
			}
			if rest = more; line == "." {
				break
			}
			lines = append(lines, strings.TrimPrefix(line, "."))
		}
		got := strings.Join(append(lines, ""), "\r\n")
		if want := string(b); rest != "" || got != want && got != want+"\r\n" {
			t.Fatalf("%q became %q, which reads %q and leaves %q", b, out.String(), got, rest)
		}
	})
}
