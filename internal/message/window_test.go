package message

import (
	"bytes"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

// composer writes mails at random that are mostly sound and sometimes broken.
type composer struct {
	*rand.Rand
	b     bytes.Buffer
	eol   string
	names []string // boundaries to choose from; few, so that they collide
	sound bool     // nothing broken in this one
}

func (c *composer) one(of ...string) string { return of[c.IntN(len(of))] }

func (c *composer) line(s string) { c.b.WriteString(s + c.eol) }

// filler writes about n octets of lines, some of which look like something.
func (c *composer) filler(n int) {
	for end := c.b.Len() + n; c.b.Len() < end; {
		kind := c.IntN(30)
		if c.sound {
			kind = max(kind, 1)
		}
		switch kind {
		case 0:
			c.line("--" + c.one(c.names...) + c.one("x", "-", "--x", " y"))
		case 1:
			c.line("--" + c.one("", " ", "-", "zz"))
		case 2:
			c.line(strings.Repeat("long ", c.IntN(2000)))
		default:
			c.line(strings.Repeat(c.one("word ", "-", "\n--", "=3D", "\x00\xff"), c.IntN(12)))
		}
	}
}

func (c *composer) entity(depth, budget int) {
	for range c.IntN(3) {
		c.line(c.one("Subject: x", "X-Y: z", "Content-ID: <1@x>", "X: y"+c.eol+" folded"))
		if !c.sound {
			c.line(c.one("Content-Disposition: inline", " folded", "no field"))
		}
	}
	if depth == 0 || c.IntN(3) == 0 {
		c.line(c.one("Content-Type: text/plain", "Content-Type: text/html; charset=utf-8", "Content-Transfer-Encoding: base64", "X: y"))
		c.line("")
		c.filler(budget)
		return
	}
	name := c.one(c.names...)
	if c.sound {
		name = c.names[depth%len(c.names)]
	}
	c.line("Content-Type: multipart/" + c.one("mixed", "alternative", "digest") + "; boundary=\"" + name + "\"")
	c.line("")
	c.filler(c.IntN(200))
	parts := 1 + c.IntN(4)
	for range parts {
		c.line("--" + name + c.one("", "", " ", "\t"))
		c.entity(depth-1, budget/parts)
	}
	if c.sound || c.IntN(6) > 0 {
		c.line("--" + name + "--")
	}
	c.filler(c.IntN(200))
}

func compose(seed uint64, size int) []byte {
	c := &composer{Rand: rand.New(rand.NewPCG(seed, 1)), eol: "\r\n", names: []string{"out", "in", "inner", "=_x", "a b"}}
	c.sound = c.IntN(2) == 0
	if c.IntN(8) == 0 {
		c.eol = "\n"
	}
	if c.IntN(8) == 0 {
		c.line("From somebody Mon")
	}
	c.line("From: a@x.test")
	for c.IntN(4) == 0 {
		c.line("X-Large: " + strings.Repeat("y", c.IntN(MaxHeader)))
	}
	c.entity(5, size)
	b := c.b.Bytes()
	if !c.sound && c.IntN(2) == 0 && len(b) > 0 { // a piece is missing, as when a transfer went wrong
		from := c.IntN(len(b))
		b = slices.Delete(b, from, min(len(b), from+c.IntN(300)))
	}
	return b
}

// A message in memory and the same one in a file have the same structure, to the byte.
func TestWindowSeesWhatMemorySees(t *testing.T) {
	t.Parallel()
	large, certain := 0, 0
	for seed := range uint64(200) {
		msg := compose(seed, int(seed*seed*11))
		want := scan(t, msg)
		got, err := Scan(bytes.NewReader(msg))
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(got, want) {
			t.Fatalf("seed %d, %d bytes:\nwindow %+v\nmemory %+v", seed, len(msg), got, want)
		}
		if len(msg) > smallSize {
			large++
		}
		if want.Defects == 0 && len(want.Parts) > 2 {
			certain++
		}
	}
	if large < 50 || certain < 5 {
		t.Errorf("only %d messages were large and %d certain: the test tests nothing", large, certain)
	}
}

// counting notices how much of a Source is read, and how much at once.
type counting struct {
	*bytes.Reader
	total, most int
}

func (c *counting) ReadAt(p []byte, off int64) (int, error) {
	c.total += len(p)
	c.most = max(c.most, len(p))
	return c.Reader.ReadAt(p, off)
}

// Each of these is made to send a scanner back and forth, or to make it compare too much.
func hostile(n int) map[string][]byte {
	head := "Content-Type: multipart/mixed; boundary=b\r\n\r\n"
	var nest strings.Builder
	for i := range MaxDepth - 1 {
		long := strings.Repeat("x", maxBoundary-4) + string(rune('a'+i%26)) + string(rune('a'+i/26))
		nest.WriteString("Content-Type: multipart/mixed; boundary=" + long + "\r\n\r\n--" + long + "\r\n")
	}
	return map[string][]byte{
		"dashes":          []byte(head + strings.Repeat("\n--", n/3)),
		"look-alikes":     []byte(head + strings.Repeat("--bx\r\n", n/6)),
		"parts":           []byte(head + strings.Repeat("--b\r\n\r\n", n/7)),
		"long boundaries": []byte(nest.String() + "\r\n" + strings.Repeat("--"+strings.Repeat("x", maxBoundary-4)+"\r\n", n/200)),
		"spaces":          []byte(head + strings.Repeat("--b"+strings.Repeat(" ", 400)+"\r\n", n/400)),
		"empty lines":     []byte(head + strings.Repeat("\r\n", n/2)),
		"one line":        []byte(head + strings.Repeat("-", n)),
		"comments":        []byte("Content-Type: " + strings.Repeat("(", MaxHeader/2) + "\r\n" + strings.Repeat("a: b\r\n", n/6)),
	}
}

func TestScanningIsLinear(t *testing.T) {
	t.Parallel()
	const size = 4 << 20
	for name, msg := range hostile(size) {
		src := &counting{Reader: bytes.NewReader(msg)}
		began := time.Now()
		if _, err := Scan(src); err != nil {
			t.Fatal(err)
		}
		if src.total > 3*len(msg) || src.most > windowSize {
			t.Errorf("%s: %d bytes read of %d, %d at once", name, src.total, len(msg), src.most)
		}
		// Quadratic would be minutes; the limit leaves room for a busy machine and the race detector.
		if took := time.Since(began); took > 20*time.Second {
			t.Errorf("%s: %v for %d bytes", name, took, len(msg))
		}
	}
}

func TestReadRangeKeepsToTheMessage(t *testing.T) {
	t.Parallel()
	msg := []byte("0123456789")
	for _, src := range []Source{&Memory{B: msg}, bytes.NewReader(msg)} {
		if b, err := ReadRange(src, 2, 5); err != nil || string(b) != "234" || cap(b) != 3 {
			t.Errorf("%q, capacity %d, %v", b, cap(b), err)
		}
		for _, r := range [][2]int64{{-1, 2}, {3, 2}, {0, 11}, {11, 12}} {
			if b, err := ReadRange(src, r[0], r[1]); err == nil {
				t.Errorf("range %v gave %q", r, b)
			}
		}
	}
	if _, err := ReadRange(&failing{bytes.NewReader(msg), 4, nil}, 0, 5); err == nil {
		t.Error("a source that ends early was not noticed")
	}
}

func FuzzScan(f *testing.F) {
	f.Add(crlf(nested))
	f.Add([]byte(nested))
	for seed := range uint64(8) {
		f.Add(compose(seed, 300))
	}
	for _, msg := range hostile(2000) {
		f.Add(msg[:min(len(msg), 4000)])
	}
	f.Fuzz(func(t *testing.T, msg []byte) {
		tree := scan(t, msg)
		// Seen through a window, behind a part that is too large for memory, nothing is different but the offsets.
		if len(msg) > smallSize/2 {
			return
		}
		large := append(crlf("Content-Type: multipart/mixed; boundary=\"fuzz \x01\"\n\n"), bytes.Repeat([]byte("x\r\n"), smallSize/3+1)...)
		large = append(append(large, "--fuzz \x01\r\n"...), msg...)
		want := scan(t, large)
		got, err := Scan(bytes.NewReader(large))
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(got, want) {
			t.Fatalf("window %+v\nmemory %+v", got, want)
		}
		for i := range tree.Head.Fields {
			if n := tree.Head.Name(i); len(n) == 0 || bytes.ContainsAny(n, " \t\r\n:") {
				t.Fatalf("field name %q", n)
			}
		}
	})
}
