package pop3d

import (
	"bufio"
	"bytes"
	"io"
	"math/rand/v2"
	"net/textproto"
	"strings"
	"testing"
	"testing/iotest"
)

// stuffed is the body of a multi-line response, made in pieces of at most so many octets.
func stuffed(text []byte, piece int) []byte {
	var s stuffer
	chunk := make([]byte, chunkSize)
	var b []byte
	for rest := text; len(rest) > 0; {
		n := copy(chunk[margin:], rest[:min(piece, len(rest))])
		b = append(b, s.stuff(chunk, n)...)
		rest = rest[n:]
	}
	return append(b, s.end()...)
}

func TestALineThatBeginsWithADotGetsASecond(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ text, want string }{
		{"", ".\r\n"},
		{"one\r\n", "one\r\n.\r\n"},
		{".\r\n", "..\r\n.\r\n"},
		{"..\r\n.\r\na.\r\n", "...\r\n..\r\na.\r\n.\r\n"},
		{"a\r\n.\r\nb", "a\r\n..\r\nb\r\n.\r\n"},
		{"\r\n.\r\n", "\r\n..\r\n.\r\n"},
		{"no end", "no end\r\n.\r\n"},
		{"bare CR\r", "bare CR\r\r\n.\r\n"},
		{"bare LF\n", "bare LF\n\r\n.\r\n"},
		{"bare LF\n.\r\nafter it\r\n", "bare LF\n..\r\nafter it\r\n.\r\n"},
		{"\n", "\n\r\n.\r\n"},
		{".", "..\r\n.\r\n"},
	} {
		for piece := 1; piece <= len(c.text)+1; piece++ {
			if got := string(stuffed([]byte(c.text), piece)); got != c.want {
				t.Errorf("%q in pieces of %d: %q, want %q", c.text, piece, got, c.want)
			}
		}
	}
}

// readResponse reads a multi-line response to its end as a strict client does, and returns the text and what lies behind.
func readResponse(t testing.TB, response []byte) (text, rest []byte) {
	for line := range bytes.SplitAfterSeq(response, []byte("\r\n")) {
		response = response[len(line):]
		if string(line) == ".\r\n" {
			return text, response
		}
		text = append(text, bytes.TrimPrefix(line, []byte("."))...)
	}
	t.Fatalf("the response has no end; its text begins %.80q", text)
	return nil, nil
}

func FuzzStuffing(f *testing.F) {
	for _, s := range []string{"", ".\r\n", "a\r\n..\r\n", "x\n.\r\n", "\r.\r\n", "\r\n.\r\n.", "no end", "a\r\n\r\n.b\r\n"} {
		f.Add([]byte(s), 3)
	}
	f.Fuzz(func(t *testing.T, text []byte, piece int) {
		piece = max(1, piece%64)
		response := stuffed(text, piece)
		if whole := stuffed(text, len(text)+1); !bytes.Equal(response, whole) {
			t.Fatalf("in pieces of %d: %q; in one: %q", piece, response, whole)
		}
		// A client that takes any LF for a line end comes to the same end.
		lenient := bufio.NewReader(bytes.NewReader(response))
		if _, err := textproto.NewReader(lenient).ReadDotBytes(); err != nil || lenient.Buffered() > 0 {
			t.Fatalf("%q: a lenient client reads %v, and %d octets are left", response, err, lenient.Buffered())
		}
		got, rest := readResponse(t, response)
		if len(rest) > 0 {
			t.Fatalf("%q ends %d octets too early", response, len(rest))
		}
		if bytes.Contains(bytes.ReplaceAll(text, []byte("\r\n"), nil), newline) {
			return // not a stored message: a strict client sees the dots that were stuffed for the lenient one
		}
		if want := append(bytes.Clone(text), ending(text)...); !bytes.Equal(got, want) {
			t.Fatalf("got %q, want %q", got, want)
		}
	})
}

// ending is the line end that a text lacks.
func ending(text []byte) string {
	if len(text) == 0 || bytes.HasSuffix(text, []byte("\r\n")) {
		return ""
	}
	return "\r\n"
}

// topOf is what TOP sends, found out line by line.
func topOf(text []byte, lines int) []byte {
	body, at := false, 0
	for line := range bytes.SplitAfterSeq(text, newline) {
		if body && lines == 0 {
			break
		}
		at += len(line)
		if body {
			lines--
		}
		body = body || string(line) == "\r\n" || string(line) == "\n"
	}
	return text[:at]
}

func TestDotsWithoutEndFitIntoTheChunk(t *testing.T) {
	t.Parallel()
	for _, text := range []string{".\n", ".\r\n", "\n."} {
		long := []byte(strings.Repeat(text, 5*chunkSize/len(text)))
		if got, want := stuffed(long, len(long)), stuffed(long, 1); !bytes.Equal(got, want) {
			t.Errorf("%q repeated differs when it is stuffed by the chunk", text)
		}
	}
}

func TestTopEndsAfterItsLines(t *testing.T) {
	t.Parallel()
	text := crlf("Subject: x\nX-Folded: a\n b\n\nfirst\n\nthird\nfourth")
	for _, c := range []struct {
		lines int
		want  string
	}{
		{0, "Subject: x\nX-Folded: a\n b\n\n"},
		{1, "Subject: x\nX-Folded: a\n b\n\nfirst\n"},
		{2, "Subject: x\nX-Folded: a\n b\n\nfirst\n\n"},
		{4, "Subject: x\nX-Folded: a\n b\n\nfirst\n\nthird\nfourth"},
		{maxNumber, "Subject: x\nX-Folded: a\n b\n\nfirst\n\nthird\nfourth"},
	} {
		got, err := io.ReadAll(&topReader{src: iotest.OneByteReader(bytes.NewReader(text)), lines: c.lines})
		if err != nil || string(got) != string(crlf(c.want)) {
			t.Errorf("TOP %d: %q, %v", c.lines, got, err)
		}
	}
	// Nothing is read of the message behind the cut.
	src := strings.NewReader("A: b\r\n\r\nbody\r\n" + strings.Repeat("x", 1<<20))
	if _, err := io.ReadAll(&topReader{src: src, lines: 1}); err != nil || src.Len() < 1<<19 {
		t.Errorf("%v; %d octets were left", err, src.Len())
	}
}

func FuzzTop(f *testing.F) {
	for _, s := range []string{"", "\r\n", "a: b\r\n\r\nc\r\nd\r\n", "a: b\n\nc\n", "no body\r\n", "\r\r\n\r\nx", "a\r\n\r", "a\r\r\n\r\n"} {
		f.Add([]byte(s), 1, uint64(1))
	}
	f.Fuzz(func(t *testing.T, text []byte, lines int, seed uint64) {
		lines = max(0, lines)
		src := &ragged{rest: text, rand: rand.New(rand.NewPCG(seed, 0))}
		got, err := io.ReadAll(&topReader{src: src, lines: lines})
		if want := topOf(text, lines); err != nil || !bytes.Equal(got, want) {
			t.Fatalf("TOP %d of %q: %q and %v, want %q", lines, text, got, err, want)
		}
	})
}

// ragged gives out pieces of random length, the last one together with the end.
type ragged struct {
	rest []byte
	rand *rand.Rand
}

func (r *ragged) Read(p []byte) (int, error) {
	n := copy(p, r.rest[:min(len(r.rest), r.rand.IntN(9))])
	r.rest = r.rest[n:]
	if len(r.rest) == 0 {
		return n, io.EOF
	}
	return n, nil
}

func TestMarks(t *testing.T) {
	t.Parallel()
	var m marks
	want := []int{1, 2, 63, 64, 65, 100_000}
	for _, n := range []int{100_000, 64, 2, 65, 1, 63} {
		m.add(n, 10)
	}
	var got []int
	for n := range m.all() {
		if !m.has(n) {
			t.Errorf("%d is yielded but not marked", n)
		}
		got = append(got, n)
	}
	if len(got) != len(want) || m.count != len(want) || m.octets != 60 || m.has(3) || m.has(200_000) {
		t.Errorf("marks %v (%d, %d octets), want %v", got, m.count, m.octets, want)
	}
	for i := range want {
		if got[i] != want[i] {
			t.Errorf("marks %v, want %v", got, want)
		}
	}
	for n := range m.all() {
		if n == 2 {
			break // a store that gives up half-way is let go
		}
	}
}

func BenchmarkStuffing(b *testing.B) {
	for name, line := range map[string]string{
		"text":   strings.Repeat("seventy-six characters of text ", 3)[:76] + "\r\n",
		"dots":   ".\r\n",
		"binary": strings.Repeat("x", 1<<16),
	} {
		b.Run(name, func(b *testing.B) {
			text := bytes.Repeat([]byte(line), (1<<20)/len(line))
			b.SetBytes(int64(len(text)))
			b.ReportAllocs()
			chunk := make([]byte, chunkSize)
			for b.Loop() {
				var s stuffer
				for rest := text; len(rest) > 0; {
					n := copy(chunk[margin:], rest)
					if _, err := io.Discard.Write(s.stuff(chunk, n)); err != nil {
						b.Fatal(err)
					}
					rest = rest[n:]
				}
			}
		})
	}
}
