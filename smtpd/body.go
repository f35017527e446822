package smtpd

import (
	"bytes"
	"fmt"
	"io"

	"chmail/internal/message"
	"chmail/internal/netutil"
)

var (
	errBareLF   = message.Refuse(550, [3]int{5, 6, 11}, "a bare LF in the mail: lines end in CRLF")
	errBareCR   = message.Refuse(550, [3]int{5, 6, 11}, "a bare CR in the mail: lines end in CRLF")
	errTooLarge = message.Refuse(552, [3]int{5, 3, 4}, "the mail is larger than this server takes")
)

// A body is a mail as DATA sends it (RFC 5321 4.1.1.4): read strictly from the connection, dot-stuffing removed, to the line with the single dot and not one
// octet further. Only CRLF.CRLF ends it.
type body struct {
	conn  *netutil.Conn
	most  int64 // octets that may be given
	loose bool  // bare CR and LF pass, for a normaliser to deal with; they do not begin a line
	n     int64 // octets given
	ready int   // octets at the front of the connection's buffer that are checked and belong to the mail
	mid   bool  // behind ready stands the middle of a line
	large bool  // there was more than most
	err   error // what stands behind ready; io.EOF: the end of the mail
}

func (b *body) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	for b.ready == 0 {
		if b.err == nil {
			b.err = b.check()
		}
		if b.ready == 0 && b.err != nil {
			return 0, b.err
		}
	}
	if b.n+int64(b.ready) > b.most {
		b.large = true
		return 0, errTooLarge
	}
	w, _ := b.conn.Window(0) // nothing is read for it
	n := copy(p, w[:b.ready])
	b.conn.Discard(n)
	b.ready -= n
	b.n += int64(n)
	return n, nil
}

// check looks through what is buffered, or else comes next, and sets ready. It returns an error only for what stands behind ready.
func (b *body) check() error {
	w, err := b.conn.Window(1)
	if err != nil {
		return unexpected(err)
	}
	if !b.mid && w[0] == '.' {
		if end, err := b.dot(); end || err != nil {
			return err
		}
		if w, err = b.conn.Window(1); err != nil {
			return unexpected(err)
		}
	}
	for b.ready < len(w) {
		if !b.mid && b.ready > 0 && w[b.ready] == '.' {
			return nil // looked at once it is in front
		}
		rest := w[b.ready:]
		lf := bytes.IndexByte(rest, '\n')
		line := rest[:lf+1]
		if lf < 0 {
			line = rest
		}
		cr := bytes.IndexByte(line, '\r')
		switch {
		case lf < 0 && cr < 0: // a long line goes on
			b.take(len(line), true)
		case lf < 0 && cr == len(line)-1: // its LF may be coming
			if cr > 0 || b.ready > 0 {
				b.take(cr, b.mid || cr > 0)
				return nil
			}
			if w, err = b.conn.Window(2); err != nil {
				return unexpected(err)
			}
		case cr >= 0 && cr == lf-1:
			b.take(len(line), false)
		case b.loose:
			b.takeLoose(line)
		case cr >= 0:
			return errBareCR
		default:
			return errBareLF
		}
	}
	return nil
}

// take adds checked octets; mid says whether they leave off in the middle of a line.
func (b *body) take(n int, mid bool) { b.ready, b.mid = b.ready+n, mid }

// takeLoose takes a piece with bare line ends. A line begins only behind CRLF, and a CR at the end of the piece waits for what follows it.
func (b *body) takeLoose(line []byte) {
	n := len(line)
	if line[n-1] == '\r' {
		n--
	}
	b.take(n, !bytes.HasSuffix(line, []byte("\r\n")))
}

// dot deals with a dot at the beginning of a line: it is the end, or it was added by the sender and goes.
func (b *body) dot() (end bool, err error) {
	for n := 1; n <= 3; n++ {
		w, err := b.conn.Window(n)
		if err != nil {
			return false, unexpected(err)
		}
		if w[n-1] != ".\r\n"[n-1] {
			b.conn.Discard(1)
			b.mid = true
			return false, nil
		}
	}
	b.conn.Discard(3)
	return true, io.EOF
}

// finish reads on to the end of the mail, so that the next command can be read, for at most as many octets again as a mail may have
// (libraries S13). An error means that the end was not found, hence no next command.
func (b *body) finish() error {
	b.most += b.n + int64(b.ready)
	var sink [4096]byte
	for {
		if _, err := b.Read(sink[:]); err == io.EOF {
			return nil
		} else if err != nil {
			return err
		}
	}
}

func unexpected(err error) error {
	if err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	return fmt.Errorf("reading a mail: %w", err)
}
