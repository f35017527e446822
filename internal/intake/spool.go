package intake

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"sync"

	"chmail/internal/message"
)

// inMemory is the size up to which a mail does not touch the spool.
const inMemory = 64 << 10

// spool is a folder for large mails on their way in. Nothing in it was ever acknowledged, so nothing is synced.
type spool struct {
	dir     string
	buffers sync.Pool // *[]byte of inMemory+1 octets: the last one tells that there is more
}

func openSpool(dir string) (*spool, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("making the spool: %w", err)
	}
	left, err := filepath.Glob(filepath.Join(dir, "mail-*"))
	if err != nil {
		return nil, fmt.Errorf("sweeping the spool: %w", err)
	}
	for _, f := range left {
		if err := os.Remove(f); err != nil {
			return nil, fmt.Errorf("sweeping the spool: %w", err)
		}
	}
	s := &spool{dir: dir}
	s.buffers.New = func() any { b := make([]byte, inMemory+1); return &b }
	return s, nil
}

// draft is a mail that is being worked on.
type draft struct {
	spool  *spool
	src    message.Source
	tree   *message.Tree
	survey message.Survey
	buffer *[]byte    // in memory, from the pool
	files  []*os.File // in the spool; all but the last are older versions
}

func (d *draft) close(log *slog.Logger) {
	if d.buffer != nil {
		d.spool.buffers.Put(d.buffer)
	}
	for _, f := range d.files {
		if err := errors.Join(f.Close(), os.Remove(f.Name())); err != nil {
			log.Warn("intake: removing a file from the spool", "err", err)
		}
	}
}

// writer collects the bytes of a mail: in a buffer as long as they fit, in a file from then on.
type writer struct {
	d   *draft
	buf []byte
	f   *os.File
	n   int64
}

func (w *writer) Write(p []byte) (int, error) {
	w.n += int64(len(p))
	if w.f == nil {
		if len(w.buf)+len(p) <= cap(w.buf) {
			w.buf = append(w.buf, p...)
			return len(p), nil
		}
		if err := w.spill(); err != nil {
			return 0, err
		}
	}
	return w.f.Write(p)
}

// spill moves what has come so far into a file.
func (w *writer) spill() error {
	f, err := os.CreateTemp(w.d.spool.dir, "mail-*")
	if err != nil {
		return err
	}
	w.d.files = append(w.d.files, f)
	w.f = f
	_, err = f.Write(w.buf)
	return err
}

// source is what was written.
func (w *writer) source() message.Source {
	if w.f == nil {
		return &message.Memory{B: w.buf}
	}
	return io.NewSectionReader(w.f, 0, w.n)
}

// read takes in the whole mail and finds its structure.
func (in *Intake) read(r io.Reader) (*draft, error) {
	d := &draft{spool: in.spool}
	if err := d.fill(r); err != nil {
		d.close(in.log)
		return nil, full(err)
	}
	if err := d.scan(); err != nil {
		d.close(in.log)
		return nil, err
	}
	return d, nil
}

func (d *draft) fill(r io.Reader) error {
	b, ok := d.spool.buffers.Get().(*[]byte)
	if !ok {
		return errors.New("the pool of buffers gave something else")
	}
	d.buffer = b
	n := 0
	for n < len(*b) {
		k, err := r.Read((*b)[n:])
		d.survey.Write((*b)[n : n+k])
		n += k
		if err == io.EOF { // exactly: a connection that broke off says io.ErrUnexpectedEOF, and that is no end
			d.src = &message.Memory{B: (*b)[:n:n]}
			return nil
		}
		if err != nil {
			return fmt.Errorf("reading the mail: %w", err)
		}
	}
	w := &writer{d: d, buf: *b, n: int64(n)}
	if err := w.spill(); err != nil {
		return fmt.Errorf("spooling a mail: %w", err)
	}
	chunk := *b
	for {
		k, err := r.Read(chunk)
		d.survey.Write(chunk[:k])
		if _, werr := w.Write(chunk[:k]); werr != nil {
			return fmt.Errorf("spooling a mail: %w", werr)
		}
		if err == io.EOF {
			d.src = w.source()
			return nil
		}
		if err != nil {
			return fmt.Errorf("reading the mail: %w", err)
		}
	}
}

func (d *draft) scan() error {
	t, err := message.Scan(d.src)
	if err != nil {
		return fmt.Errorf("scanning a mail: %w", err)
	}
	d.tree = t
	return nil
}
