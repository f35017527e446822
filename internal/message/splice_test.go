package message

import (
	"bytes"
	"io"
	"math/rand/v2"
	"testing"
	"testing/iotest"
)

// splice applies splices in the plainest way.
func splice(msg []byte, s []Splice) []byte {
	var out []byte
	at := int64(0)
	for _, p := range s {
		out = append(append(out, msg[at:p.Off]...), p.Ins...)
		at = p.Off + p.Del
	}
	return append(out, msg[at:]...)
}

// randomSplices makes splices that fit n bytes.
func randomSplices(r *rand.Rand, n int) []Splice {
	var all []Splice
	for at := 0; ; {
		at += r.IntN(n/4 + 1)
		if at > n {
			return all
		}
		del := 0
		if r.IntN(2) == 0 {
			del = r.IntN(n - at + 1)
		}
		all = append(all, Splice{Off: int64(at), Del: int64(del), Ins: bytes.Repeat([]byte("+"), r.IntN(5))})
		at += del
		if r.IntN(3) == 0 {
			all = append(all, Splice{Off: int64(at), Ins: []byte("again")}) // a second one at the same place
		}
		if r.IntN(8) == 0 {
			return all
		}
	}
}

func TestSplicesComeOutAndCanBeUndone(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(1, 2))
	for range 500 {
		msg := bytes.Repeat([]byte("0123456789\r\n"), r.IntN(20))
		s := randomSplices(r, len(msg))
		want := splice(msg, s)
		for _, src := range []Source{&Memory{B: msg}, bytes.NewReader(msg)} {
			out, size := NewSplicedReader(src, s)
			got, err := io.ReadAll(iotest.OneByteReader(out))
			if err != nil || !bytes.Equal(got, want) || size != int64(len(want)) {
				t.Fatalf("%v over %d bytes: %q (%d), %v, want %q", s, len(msg), got, size, err, want)
			}
		}
		out, _ := NewSplicedReader(&Memory{B: msg}, s)
		if err := iotest.TestReader(out, want); err != nil {
			t.Fatal(err)
		}
		inv, err := Invert(&Memory{B: msg}, s)
		if err != nil {
			t.Fatal(err)
		}
		back, _ := NewSplicedReader(&Memory{B: want}, inv)
		if got, err := io.ReadAll(back); err != nil || !bytes.Equal(got, msg) {
			t.Fatalf("%v undone over %d bytes: %q, %v", s, len(msg), got, err)
		}
	}
}

func TestSplicesThatDoNotFitAreRefused(t *testing.T) {
	t.Parallel()
	src := &Memory{B: []byte("0123456789")}
	for _, s := range [][]Splice{
		{{Off: -1}}, {{Off: 11}}, {{Off: 5, Del: 6}}, {{Off: 5, Del: -1}}, {{Off: 3, Del: 3}, {Off: 5}}, {{Off: 5}, {Off: 3}}, {{Off: 1 << 62, Del: 1 << 62}},
	} {
		if CheckSplices(10, s) == nil {
			t.Errorf("%v passed", s)
		}
		r, size := NewSplicedReader(src, s)
		if b, err := io.ReadAll(r); err == nil || size != 0 {
			t.Errorf("%v gave %q", s, b)
		}
		if _, err := Invert(src, s); err == nil {
			t.Errorf("%v was inverted", s)
		}
	}
	r, _ := NewSplicedReader(&failing{bytes.NewReader([]byte("0123456789")), 5, nil}, nil)
	if b, err := io.ReadAll(r); err == nil {
		t.Errorf("a source that ends early gave %q", b)
	}
}

func TestSortingKeepsTheOrderAtOnePlace(t *testing.T) {
	t.Parallel()
	s := []Splice{{Off: 5, Ins: []byte("c")}, {Off: 0, Ins: []byte("a")}, {Off: 5, Del: 1, Ins: []byte("d")}, {Off: 0, Ins: []byte("b")}}
	SortSplices(s)
	if got := splice([]byte("0123456789"), s); string(got) != "ab01234cd6789" {
		t.Errorf("%q", got)
	}
}

func TestMemoryIsASource(t *testing.T) {
	t.Parallel()
	m := &Memory{B: []byte("0123")}
	if b, err := io.ReadAll(io.NewSectionReader(m, 1, 10)); err != nil || string(b) != "123" {
		t.Errorf("%q, %v", b, err)
	}
	if _, err := m.ReadAt(make([]byte, 1), -1); err == nil {
		t.Error("a negative offset passed")
	}
}
