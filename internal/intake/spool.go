package intake

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"chmail/internal/message"
)

const (
	inMemory    = 64 << 10     // up to here a mail does not touch the spool
	roomSize    = inMemory + 4 // the first octet too many shows, and a missing line end has room
	spoolPrefix = "mail-"      // of the files in the spool
	maxIdle     = 100          // reads that give nothing before a reader is given up
	crlf        = "\r\n"
)

// spool is a folder for large mails on their way in. Nothing in it was ever acknowledged, so nothing is synced.
type spool struct {
	dir   string
	rooms sync.Pool // *[]byte with the capacity roomSize
}

func openSpool(dir string) (*spool, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("making the spool: %w", err)
	}
	left, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("sweeping the spool: %w", err)
	}
	for _, e := range left {
		if e.Type().IsRegular() && strings.HasPrefix(e.Name(), spoolPrefix) {
			if err := os.Remove(filepath.Join(dir, e.Name())); err != nil {
				return nil, fmt.Errorf("sweeping the spool: %w", err)
			}
		}
	}
	s := &spool{dir: dir}
	s.rooms.New = func() any { b := make([]byte, 0, roomSize); return &b }
	return s, nil
}

// draft is a mail that is being worked on: written, then sealed, then read, then closed. It lies in memory, or beyond inMemory in a file.
type draft struct {
	spool  *spool
	room   *[]byte // of a draft in a file: what is not written yet
	file   *os.File
	size   int64
	survey message.Survey
	ends   lineEnds
	src    message.Source // of a sealed draft; valid until close
	tree   *message.Tree
}

func (s *spool) draft() *draft {
	return &draft{spool: s, room: s.rooms.Get().(*[]byte)} // nothing else is ever put there
}

// close gives back what the draft holds.
func (d *draft) close(log *slog.Logger) {
	*d.room = (*d.room)[:0]
	d.spool.rooms.Put(d.room)
	d.room, d.src = nil, nil
	if d.file == nil {
		return
	}
	if err := errors.Join(d.file.Close(), os.Remove(d.file.Name())); err != nil {
		log.Warn("intake: removing a file from the spool", "err", err)
	}
}

// ReadFrom takes everything that r gives.
func (d *draft) ReadFrom(r io.Reader) (n int64, err error) {
	for idle := 0; ; {
		b, err := d.space()
		if err != nil {
			return n, err
		}
		k, err := r.Read(b)
		*d.room = (*d.room)[:len(*d.room)+k]
		n += int64(k)
		switch {
		case err == io.EOF: // exactly: a connection that broke off says io.ErrUnexpectedEOF, and that is no end
			return n, nil
		case err != nil:
			return n, fmt.Errorf("reading the mail: %w", err)
		case k > 0:
			idle = 0
		case idle == maxIdle:
			return n, fmt.Errorf("reading the mail: %w", io.ErrNoProgress)
		default:
			idle++
		}
	}
}

// Write takes the next bytes.
func (d *draft) Write(p []byte) (n int, err error) {
	for n < len(p) {
		b, err := d.space()
		if err != nil {
			return n, err
		}
		k := copy(b, p[n:])
		*d.room = (*d.room)[:len(*d.room)+k]
		n += k
	}
	return n, nil
}

// space returns room for more bytes, at least one octet, behind those that are there.
func (d *draft) space() ([]byte, error) {
	if len(*d.room) > inMemory {
		if err := d.spill(); err != nil {
			return nil, err
		}
	}
	b := *d.room
	return b[len(b):cap(b)], nil
}

// spill moves what is in memory into the file.
func (d *draft) spill() (err error) {
	if d.file == nil {
		if d.file, err = os.CreateTemp(d.spool.dir, spoolPrefix); err != nil {
			return fmt.Errorf("spooling a mail: %w", err)
		}
	}
	b := *d.room
	d.look(b)
	if _, err := d.file.Write(b); err != nil {
		return fmt.Errorf("spooling a mail: %w", err)
	}
	*d.room = b[:0]
	return nil
}

// look notes what bytes are like.
func (d *draft) look(b []byte) {
	d.survey.Write(b) // never fails
	d.ends.write(b)
	d.size += int64(len(b))
}

// seal ends the writing and finds the structure of the mail. It refuses bytes that no mail may hold. A last line without an end gets one: by DATA there is always
// one, by BDAT there need not be, and POP3 would send it anyway.
func (d *draft) seal() (err error) {
	if d.file == nil {
		d.look(*d.room)
	} else if err := d.spill(); err != nil {
		return err
	}
	if d.size > 0 && d.ends.last != '\n' && d.ends.last != '\r' {
		d.look([]byte(crlf))
		*d.room = append(*d.room, crlf...)
		if d.file != nil {
			if _, err := d.file.Write(*d.room); err != nil {
				return fmt.Errorf("spooling a mail: %w", err)
			}
		}
	}
	switch {
	case d.ends.bare():
		return bareEnd
	case d.survey.NUL:
		return nulOctet
	}
	if d.file == nil {
		d.src = &message.Memory{B: *d.room}
	} else {
		d.src = io.NewSectionReader(d.file, 0, d.size)
	}
	if d.tree, err = message.Scan(d.src); err != nil {
		return fmt.Errorf("scanning a mail: %w", err)
	}
	return nil
}

// read takes in the whole mail and finds its structure. Nothing is left behind when it fails.
func (in *Intake) read(r io.Reader) (*draft, error) {
	d := in.spool.draft()
	_, err := d.ReadFrom(r)
	if err == nil {
		err = d.seal()
	}
	if err != nil {
		d.close(in.log)
		return nil, full(err)
	}
	return d, nil
}

// lineEnds counts line ends in bytes that come by.
type lineEnds struct {
	cr, lf, both int64
	last         byte
}

func (l *lineEnds) write(p []byte) {
	if len(p) == 0 {
		return
	}
	before := l.last == '\r'
	l.cr += int64(bytes.Count(p, []byte{'\r'}))
	for rest := p; ; before = false {
		i := bytes.IndexByte(rest, '\n')
		if i < 0 {
			break
		}
		l.lf++
		if i > 0 && rest[i-1] == '\r' || i == 0 && before {
			l.both++
		}
		rest = rest[i+1:]
	}
	l.last = p[len(p)-1]
}

// bare tells whether a CR or LF stood by itself.
func (l *lineEnds) bare() bool { return l.lf != l.both || l.cr != l.both }
