package stamp

import (
	"bytes"
	"encoding/base64"
	"io"
	"math/rand/v2"
	"net/mail"
	"reflect"
	"strconv"
	"strings"
	"testing"

	"chmail/internal/message"
)

func newRand(seed uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, 42)) }

const link = "https://chat.example.com/c/AbCdEfGhIjKlMnOpQrStUv"

func aCard() Card {
	return Card{Login: "alice@example.com", Name: "Alice Liddell", Host: "chat.example.com", Port: 24001, Link: link}
}

// crlf writes a mail of a test with the line ends of the wire.
func crlf(s string) []byte { return []byte(strings.ReplaceAll(s, "\n", "\r\n")) }

// stamped is a mail before and after.
type stamped struct {
	Result
	in, out       []byte
	before, after *message.Tree
}

// put stamps a mail and holds what must be true of every stamp, whatever the mail was.
func put(t testing.TB, in []byte, card Card) *stamped {
	t.Helper()
	kept := bytes.Clone(in)
	s := &stamped{in: in}
	src := &message.Memory{B: in}
	var err error
	if s.before, err = message.Scan(src); err != nil {
		t.Fatal(err)
	}
	if s.Result, err = Plan(src, s.before, card); err != nil {
		t.Fatal(err)
	}
	r, size := message.NewSplicedReader(src, s.Splices)
	if s.out, err = io.ReadAll(r); err != nil || int64(len(s.out)) != size {
		t.Fatalf("the splices do not fit: %v", err)
	}
	if !bytes.Equal(in, kept) {
		t.Fatal("the message in memory was written into")
	}
	if s.after, err = message.Scan(&message.Memory{B: s.out}); err != nil {
		t.Fatal(err)
	}
	s.undo(t)
	s.sameInAFile(t, card)
	s.structure(t)
	s.header(t, card)
	for i := range s.before.Parts {
		s.body(t, i, card)
	}
	s.twice(t, card)
	return s
}

// twice: stamped once more with the same card, nothing changes.
func (s *stamped) twice(t testing.TB, card Card) {
	t.Helper()
	// A bare CR, which no mail brings in, becomes one line end with what is put behind it.
	if s.Verdict.Kind == Skipped || s.before.Defects != 0 || s.bareCR() {
		return
	}
	src := &message.Memory{B: s.out}
	again, err := Plan(src, s.after, card)
	if err != nil || again.Verdict != s.Verdict {
		t.Fatalf("stamped twice: %s, %v, was %s", again.Verdict, err, s.Verdict)
	}
	r, _ := message.NewSplicedReader(src, again.Splices)
	if out, err := io.ReadAll(r); err != nil || !bytes.Equal(out, s.out) {
		t.Fatalf("stamped twice: %q, %v, once %q", out, err, s.out)
	}
}

// bareCR tells whether a carriage return stands alone somewhere in the text of a part.
func (s *stamped) bareCR() bool {
	for i := range s.before.Parts {
		p := &s.before.Parts[i]
		if text := plain(p.Encoding, s.in[p.Body:p.End]); strings.Count(text, "\r") != strings.Count(text, "\r\n") {
			return true
		}
	}
	return false
}

// undo: the recorded splices take the stamp off again, to the byte.
func (s *stamped) undo(t testing.TB) {
	t.Helper()
	inv, err := message.Invert(&message.Memory{B: s.in}, s.Splices)
	if err != nil {
		t.Fatal(err)
	}
	r, _ := message.NewSplicedReader(&message.Memory{B: s.out}, inv)
	if back, err := io.ReadAll(r); err != nil || !bytes.Equal(back, s.in) {
		t.Fatalf("taken off again: %q, %v, was %q", back, err, s.in)
	}
}

// sameInAFile: where the bytes lie makes no difference.
func (s *stamped) sameInAFile(t testing.TB, card Card) {
	t.Helper()
	again, err := Plan(bytes.NewReader(s.in), s.before, card)
	if err != nil || !reflect.DeepEqual(again, s.Result) {
		t.Fatalf("in a file: %+v, %v, in memory %+v", again, err, s.Result)
	}
}

// structure: the same parts in the same order, their headers and boundaries untouched.
func (s *stamped) structure(t testing.TB) {
	t.Helper()
	// What is taken out of a header may be its only odd line end.
	const but = ^message.DefectMixedEOL
	if len(s.before.Parts) != len(s.after.Parts) || s.before.Defects&but != s.after.Defects&but {
		t.Fatalf("%d parts (%v) became %d (%v): %q", len(s.before.Parts), s.before.Defects, len(s.after.Parts), s.after.Defects, s.out)
	}
	for i := range s.before.Parts {
		b, a := &s.before.Parts[i], &s.after.Parts[i]
		if b.Parent != a.Parent || b.Media != a.Media || b.Encoding != a.Encoding || b.Disposition != a.Disposition || b.Named != a.Named || b.Defects&but != a.Defects&but {
			t.Fatalf("part %d was %+v, is %+v", i, b, a)
		}
		if i > 0 && !bytes.Equal(s.in[b.Delim.Off:b.Body], s.out[a.Delim.Off:a.Body]) || !bytes.Equal(s.in[b.Close.Off:b.Close.End], s.out[a.Close.Off:a.Close.End]) {
			t.Fatalf("delimiters or header of part %d changed", i)
		}
	}
}

// header: the card's fields and no other CH field, in their order, above everything; the rest as it was.
func (s *stamped) header(t testing.TB, card Card) {
	t.Helper()
	var want, rest []string
	if card.Login != "" && s.Verdict.Kind != Skipped {
		want = append(want, "CH-Login: "+card.Login)
		if card.Host != "" {
			want = append(want, "CH-Host: "+card.Host)
		}
		if card.Port != 0 {
			want = append(want, "CH-Port: "+strconv.Itoa(card.Port))
		}
		if card.Link != "" {
			want = append(want, "CH-Link: <"+card.Link+">")
		}
	}
	for i := range s.before.Head.Fields {
		if n := string(s.before.Head.Name(i)); len(n) < 3 || !strings.EqualFold(n[:3], "ch-") {
			rest = append(rest, string(s.before.Head.Raw[s.before.Head.Fields[i].Off:s.before.Head.Fields[i].End]))
		}
	}
	h := &s.after.Head
	for i := range h.Fields {
		if i < len(want) {
			if got := string(h.Name(i)) + ": " + h.Text(i); got != want[i] {
				t.Fatalf("field %d is %q, want %q", i, got, want[i])
			}
			continue
		}
		if got := string(h.Raw[h.Fields[i].Off:h.Fields[i].End]); i-len(want) >= len(rest) || got != rest[i-len(want)] {
			t.Fatalf("field %d is %q; were %q", i, got, rest)
		}
	}
	if len(h.Fields) != len(want)+len(rest) {
		t.Fatalf("%d fields, want %d and %d", len(h.Fields), len(want), len(rest))
	}
	if s.before.Defects == 0 && s.before.Head.Off == 0 {
		if m, err := mail.ReadMessage(bytes.NewReader(s.out)); err == nil && len(m.Header["Ch-Login"]) > 1 {
			t.Fatal("two CH-Login fields")
		}
	}
}

// body: a part that carries the link carries it once, everything else is what it was.
func (s *stamped) body(t testing.TB, i int, card Card) {
	t.Helper()
	b, a := &s.before.Parts[i], &s.after.Parts[i]
	old, now := s.in[b.Body:b.End], s.out[a.Body:a.End]
	carries := false
	for _, k := range s.Parts {
		carries = carries || k == i
	}
	if !carries {
		if !b.Multipart() && !bytes.Equal(old, now) {
			t.Fatalf("part %d changed: %q to %q", i, old, now)
		}
		return
	}
	was, is := plain(b.Encoding, old), plain(a.Encoding, now)
	place := card.Link[:strings.LastIndexByte(card.Link, '/')+1]
	if strings.Contains(was, place) { // an older line of ours may have given way
		if !strings.Contains(is, card.Link) {
			t.Fatalf("part %d: the link is not in it: %q", i, is)
		}
		s.others(t, was, is, place, card)
		return
	}
	if strings.Count(is, card.Link) != 1 && !strings.Contains(card.Link, "&") {
		t.Fatalf("part %d: the link is in it %d times: %q", i, strings.Count(is, card.Link), is)
	}
	// What was there before is still there, in one piece before and one behind.
	n := 0
	for n < len(was) && n < len(is) && was[n] == is[n] {
		n++
	}
	if len(is) < len(was) || !anySplit(was, is, n) {
		t.Fatalf("part %d: %q became %q", i, was, is)
	}
	for line := range bytes.SplitSeq(now, []byte("\n")) {
		line = bytes.TrimSuffix(line, []byte("\r"))
		if b.Encoding == "quoted-printable" && len(line) > 76 && !bytes.Contains(old, line) {
			t.Fatalf("part %d: a line of %d octets: %q", i, len(line), line)
		}
		if len(line) > 400+80 && !bytes.Contains(old, line) && b.Encoding != "base64" {
			t.Fatalf("part %d: a line of %d octets", i, len(line))
		}
	}
	if b.Encoding == "7bit" || b.Encoding == "quoted-printable" {
		for _, sp := range s.Splices {
			if sp.Off >= b.Body && sp.Off <= b.End && !isASCII(string(sp.Ins)) {
				t.Fatalf("part %d in %s: %q", i, b.Encoding, sp.Ins)
			}
		}
	}
}

// others: lines of ours that name somebody else are still there, as often as they were.
func (s *stamped) others(t testing.TB, was, is, place string, card Card) {
	t.Helper()
	count := func(text string) map[string]int {
		n := make(map[string]int)
		lines := strings.Split(strings.ReplaceAll(text, "\r\n", "\n"), "\n")
		for k, line := range lines {
			line = strings.TrimSuffix(line, "\r") // a bare one becomes a line end with what is put behind it
			if k > 0 && strings.HasPrefix(line, place) && strings.HasPrefix(lines[k-1], "Chat with ") && !strings.Contains(lines[k-1], "the sender") && !strings.Contains(lines[k-1], displayName(card.Name)) &&
				(card.Mine == nil || !card.Mine(line)) {
				n[lines[k-1]+"\n"+line]++
			}
		}
		return n
	}
	now := count(is)
	for line, n := range count(was) {
		if now[line] < n {
			t.Fatalf("somebody else's line %q is gone: %q became %q", line, was, is)
		}
	}
}

// anySplit tells whether is, with one run of bytes taken out somewhere up to octet n, is was.
func anySplit(was, is string, n int) bool {
	more := len(is) - len(was)
	for k := n; k >= 0; k-- {
		if is[k+more:] == was[k:] {
			return true
		}
		if k > 0 && is[k-1+more] != was[k-1] {
			return false
		}
	}
	return false
}

// plain decodes a body in the plainest way.
func plain(encoding string, b []byte) string {
	switch encoding {
	case "base64":
		b = bytes.Map(func(r rune) rune {
			if r <= ' ' {
				return -1
			}
			return r
		}, b)
		out, err := base64.StdEncoding.AppendDecode(nil, b)
		if err != nil {
			return err.Error()
		}
		return string(out)
	case "quoted-printable":
		return plainQuoted(b)
	}
	return string(b)
}

// plainQuoted decodes quoted-printable; a broken escape stands for itself.
func plainQuoted(b []byte) string {
	var out []byte
	for i := 0; i < len(b); i++ {
		if b[i] != '=' {
			out = append(out, b[i])
			continue
		}
		rest := b[i+1:]
		trimmed := bytes.TrimLeft(rest, " \t")
		switch {
		case len(trimmed) == 0:
			i = len(b)
		case trimmed[0] == '\n':
			i += len(rest) - len(trimmed) + 1
		case bytes.HasPrefix(trimmed, []byte("\r\n")):
			i += len(rest) - len(trimmed) + 2
		case len(trimmed) == 1 && trimmed[0] == '\r':
			i = len(b)
		case len(trimmed) < len(rest):
			out = append(out, '=')
			i += len(rest) - len(trimmed) // as in decode: blanks behind a broken escape are lost
		default:
			if len(rest) >= 2 && unhex(rest[0]) >= 0 && unhex(rest[1]) >= 0 {
				out = append(out, byte(unhex(rest[0])<<4|unhex(rest[1])))
				i += 2
				continue
			}
			out = append(out, '=')
		}
	}
	return string(out)
}

// wrapped encodes in base64 with lines of this width.
func wrapped(b []byte, width int) []byte {
	var out []byte
	s := base64.StdEncoding.EncodeToString(b)
	for len(s) > 0 {
		n := min(width, len(s))
		out = append(append(out, s[:n]...), "\r\n"...)
		s = s[n:]
	}
	return out
}
