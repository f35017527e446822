package relay

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
)

// errLineEnd says that a message holds a CR or LF that stands alone. Where one server takes it for a line end and another does not, a mail can hide in
// a mail; so such a message goes nowhere.
var errLineEnd = errors.New("the message holds a CR or LF that stands alone")

// dots writes a message as DATA wants it (RFC 5321 4.5.2): a line that begins with a dot gets another. It refuses a bare CR or LF, wherever the pieces
// that it is given are cut.
type dots struct {
	w       io.Writer
	mid, cr bool // within a line; behind a CR
}

func (d *dots) Write(p []byte) (int, error) {
	from := 0 // of what is not written yet
	for at := 0; at < len(p); {
		if d.cr {
			if p[at] != '\n' {
				return from, errLineEnd
			}
			d.cr, d.mid = false, false
			at++
			continue
		}
		if !d.mid && p[at] == '.' {
			if err := d.pass(p[from:at], "."); err != nil {
				return from, err
			}
			from = at
		}
		d.mid = true
		end := bytes.IndexByte(p[at:], '\r')
		line := p[at:]
		if end >= 0 {
			line = line[:end]
		}
		if bytes.IndexByte(line, '\n') >= 0 {
			return from, errLineEnd
		}
		if end < 0 {
			break
		}
		d.cr = true
		at += end + 1
	}
	return len(p), d.pass(p[from:], "")
}

func (d *dots) pass(p []byte, more string) error {
	_, err := d.w.Write(p)
	if err == nil && more != "" {
		_, err = io.WriteString(d.w, more)
	}
	return err
}

// end writes what ends a message.
func (d *dots) end() error {
	switch {
	case d.cr:
		return errLineEnd
	case d.mid:
		return d.pass(nil, "\r\n.\r\n")
	}
	return d.pass(nil, ".\r\n")
}

// eyes is a writer of DATA that goes nowhere.
type eyes struct {
	dots
	eightBit bool // an octet above 127 has been there
}

func (e *eyes) Write(p []byte) (int, error) {
	e.eightBit = e.eightBit || !isASCII(p)
	return e.dots.Write(p)
}

// look reads a message once before it is sent: err is errLineEnd or that of reading; eightBit tells whether there are octets above 127. buf is for its use.
func look(buf, signature []byte, body io.ReaderAt, size int64) (eightBit bool, err error) {
	e := eyes{dots: dots{w: io.Discard}}
	if len(signature) > 0 && !bytes.HasSuffix(signature, []byte("\r\n")) {
		return false, errLineEnd
	}
	if err := copyMessage(&e, buf, signature, body, size); err != nil {
		return false, err
	}
	return e.eightBit, e.end()
}

// errStored says that the fault is on this side: the stored message cannot be read as it should be.
var errStored = errors.New("the stored message cannot be read")

// copyMessage writes all of a message into w, by way of buf. An error of reading it is errStored; any other is w's.
func copyMessage(w io.Writer, buf, signature []byte, body io.ReaderAt, size int64) error {
	if _, err := w.Write(signature); err != nil {
		return err
	}
	for off := int64(0); off < size; {
		p := buf[:min(size-off, int64(len(buf)))]
		if n, err := body.ReadAt(p, off); n < len(p) {
			return errors.Join(errStored, err)
		}
		if _, err := w.Write(p); err != nil {
			return err
		}
		off += int64(len(p))
	}
	return nil
}

func isASCII(p []byte) bool {
	const high = 0x8080808080808080
	for ; len(p) >= 8; p = p[8:] {
		if binary.LittleEndian.Uint64(p)&high != 0 {
			return false
		}
	}
	for _, c := range p {
		if c >= 0x80 {
			return false
		}
	}
	return true
}
