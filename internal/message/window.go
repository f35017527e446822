package message

import (
	"errors"
	"fmt"
	"io"
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
	if s, ok := src.(slicer); ok {
		if b := s.Bytes(); b != nil && int64(len(b)) == w.size {
			w.buf, w.mem = b, true
			return w
		}
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
	n, err := w.src.ReadAt(p, off)
	if n == len(p) {
		return true
	}
	if err == nil || errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF // the source is shorter than it said
	}
	w.err = fmt.Errorf("reading message at %d: %w", off, err)
	return false
}

// ReadRange returns the bytes [off, end) of src, without copying when they are in memory. Not to be changed.
func ReadRange(src Source, off, end int64) ([]byte, error) {
	if off < 0 || end < off || end > src.Size() {
		return nil, fmt.Errorf("reading message: range %d to %d of %d bytes", off, end, src.Size())
	}
	if s, ok := src.(slicer); ok {
		if b := s.Bytes(); b != nil && int64(len(b)) == src.Size() {
			return b[off:end:end], nil
		}
	}
	b := make([]byte, end-off)
	if n, err := src.ReadAt(b, off); n < len(b) {
		if err == nil || errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		return nil, fmt.Errorf("reading message at %d: %w", off, err)
	}
	return b, nil
}
