package message

import (
	"errors"
	"fmt"
	"io"
	"iter"
)

const (
	// windowSize is how much of a large message is in memory while it is scanned; a root header must fit.
	windowSize = 256 << 10
	// smallSize is up to where a message that is not in memory is simply read whole.
	smallSize = 64 << 10
)

// window reads a Source by moving a buffer over it; of a message in memory it is the whole.
type window struct {
	src  Source
	size int64
	buf  []byte
	off  int64 // offset of buf[0]
	mem  bool  // buf is the whole message and stays
	err  error // first read error; from then on at returns nothing
}

func newWindow(src Source) *window {
	w := &window{src: src, size: src.Size()}
	if b := inMemory(src); b != nil {
		w.buf, w.mem = b, true
		return w
	}
	if w.size <= smallSize {
		w.buf = make([]byte, w.size)
		w.mem = true
		w.fill(w.buf, 0)
	}
	return w
}

// at returns the bytes at off: n of them where the message has so many, often more. In window mode they are valid until the next call.
func (w *window) at(off int64, n int) []byte {
	if w.err != nil || off >= w.size {
		return nil
	}
	if w.mem {
		return w.buf[off:]
	}
	if have := w.off + int64(len(w.buf)); off >= w.off && (have-off >= int64(n) || have == w.size) && have > off {
		return w.buf[off-w.off:]
	}
	if cap(w.buf) == 0 {
		w.buf = make([]byte, 0, windowSize)
	}
	w.buf = w.buf[:min(int64(cap(w.buf)), w.size-off)]
	w.off = off
	if !w.fill(w.buf, off) {
		return nil
	}
	return w.buf
}

func (w *window) fill(p []byte, off int64) bool {
	w.err = readFull(w.src, p, off)
	return w.err == nil
}

// ReadRange returns the bytes [off, end) of src, without copying when they are in memory. Not to be changed.
func ReadRange(src Source, off, end int64) ([]byte, error) {
	if err := checkRange(src, off, end); err != nil {
		return nil, err
	}
	if b := inMemory(src); b != nil {
		return b[off:end:end], nil
	}
	b := make([]byte, end-off)
	return b, readFull(src, b, off)
}

// Pieces returns the bytes [off, end) of src in pieces of at most step, each valid until the next. What is in memory is not copied,
// and anything else goes through one buffer. An error is the last thing that comes.
func Pieces(src Source, off, end int64, step int) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		if err := checkRange(src, off, end); err != nil {
			yield(nil, err)
			return
		}
		all := inMemory(src)
		var buf []byte
		if all == nil {
			buf = make([]byte, min(int64(step), end-off))
		}
		for off < end {
			n := min(int64(step), end-off)
			if all != nil {
				buf = all[off : off+n : off+n]
			} else if err := readFull(src, buf[:n], off); err != nil {
				yield(nil, err)
				return
			}
			if !yield(buf[:n], nil) {
				return
			}
			off += n
		}
	}
}

func checkRange(src Source, off, end int64) error {
	if off < 0 || end < off || end > src.Size() {
		return fmt.Errorf("reading message: range %d to %d of %d bytes", off, end, src.Size())
	}
	return nil
}

// inMemory returns all bytes of a source that has them in memory, or nil.
func inMemory(src Source) []byte {
	if s, ok := src.(slicer); ok {
		if b := s.Bytes(); int64(len(b)) == src.Size() {
			return b
		}
	}
	return nil
}

// readFull fills p with the bytes at off.
func readFull(src Source, p []byte, off int64) error {
	n, err := src.ReadAt(p, off)
	if n == len(p) {
		return nil
	}
	if err == nil || errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF // the source is shorter than it said
	}
	return fmt.Errorf("reading message at %d: %w", off, err)
}
