package message

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"slices"
)

// Source is the bytes of a message, wherever they lie. *bytes.Reader and *io.SectionReader are Sources.
type Source interface {
	io.ReaderAt
	Size() int64
}

// Body is a Source that is to be closed.
type Body interface {
	Source
	io.Closer
}

// slicer is a Source that has its bytes in memory and hands them out without copying; nil when it has not.
type slicer interface{ Bytes() []byte }

// Memory is a Source over bytes in memory which this package reads without copying.
type Memory struct{ B []byte }

// ReadAt implements io.ReaderAt.
func (m *Memory) ReadAt(p []byte, off int64) (int, error) {
	if off < 0 {
		return 0, errors.New("message: negative offset")
	}
	if off >= int64(len(m.B)) {
		return 0, io.EOF
	}
	n := copy(p, m.B[off:])
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

// Size is the number of bytes.
func (m *Memory) Size() int64 { return int64(len(m.B)) }

// Bytes returns all bytes, not to be changed.
func (m *Memory) Bytes() []byte { return m.B }

// Splice replaces Del bytes at Off of the original by Ins.
type Splice struct {
	Off, Del int64
	Ins      []byte
}

// SortSplices brings splices into the order of their offsets; those at one offset keep the order in which they were given.
func SortSplices(s []Splice) {
	slices.SortStableFunc(s, func(a, b Splice) int { return cmp.Compare(a.Off, b.Off) })
}

// CheckSplices reports splices that are out of order, overlap or reach beyond size bytes.
func CheckSplices(size int64, s []Splice) error {
	var at int64
	for i, p := range s {
		if p.Off < at || p.Off > size || p.Del < 0 || p.Del > size-p.Off {
			return fmt.Errorf("splice %d at %d (%d bytes) does not fit behind %d in %d bytes", i, p.Off, p.Del, at, size)
		}
		at = p.Off + p.Del
	}
	return nil
}

// NewSplicedReader reads src with the splices applied and says how many bytes that will be. The splices must be sorted and must
// not overlap (CheckSplices); otherwise the first Read fails.
func NewSplicedReader(src Source, s []Splice) (r io.Reader, size int64) {
	size = src.Size()
	if err := CheckSplices(size, s); err != nil {
		return errReader{err}, 0
	}
	for _, p := range s {
		size += int64(len(p.Ins)) - p.Del
	}
	return &splicedReader{src: src, splices: s, end: src.Size()}, size
}

type errReader struct{ err error }

func (r errReader) Read([]byte) (int, error) { return 0, r.err }

type splicedReader struct {
	src     Source
	splices []Splice // those not yet finished
	ins     []byte   // rest of the text being inserted
	pos     int64    // next byte of src
	end     int64
}

func (r *splicedReader) Read(p []byte) (int, error) {
	n := 0
	for n < len(p) {
		if len(r.ins) > 0 {
			k := copy(p[n:], r.ins)
			r.ins = r.ins[k:]
			n += k
			continue
		}
		next := r.end
		if len(r.splices) > 0 {
			next = r.splices[0].Off
			if next == r.pos {
				r.ins = r.splices[0].Ins
				r.pos += r.splices[0].Del
				r.splices = r.splices[1:]
				continue
			}
		}
		if r.pos == r.end {
			break
		}
		want := min(int64(len(p)-n), next-r.pos)
		k, err := r.src.ReadAt(p[n:n+int(want)], r.pos)
		n += k
		r.pos += int64(k)
		if int64(k) < want {
			if err == nil || errors.Is(err, io.EOF) {
				err = io.ErrUnexpectedEOF // the source is shorter than it said
			}
			return n, fmt.Errorf("reading message: %w", err)
		}
	}
	if n == 0 && len(p) > 0 {
		return 0, io.EOF
	}
	return n, nil
}

// Invert returns the splices that turn the spliced message back into src.
func Invert(src Source, s []Splice) ([]Splice, error) {
	if err := CheckSplices(src.Size(), s); err != nil {
		return nil, err
	}
	inv := make([]Splice, 0, len(s))
	var shift int64
	for _, p := range s {
		old := make([]byte, p.Del)
		if _, err := src.ReadAt(old, p.Off); err != nil && !errors.Is(err, io.EOF) {
			return nil, fmt.Errorf("reading the replaced bytes: %w", err)
		}
		inv = append(inv, Splice{Off: p.Off + shift, Del: int64(len(p.Ins)), Ins: old})
		shift += int64(len(p.Ins)) - p.Del
	}
	return inv, nil
}
