package intake

import (
	"bufio"
	"bytes"
	"fmt"
	"io"

	"chmail/internal/message"
)

const (
	lineWidth = 76 // of encoded lines, at most (RFC 2045 6.7 and 6.8)
	hexDigits = "0123456789ABCDEF"
)

// foldLine folds one header line, its line end included, at spaces that are there, as late as possible. Unfolded it is what it was.
func foldLine(w *bufio.Writer, r *bufio.Reader) error {
	line, err := io.ReadAll(r) // of a header, hence bounded
	if err != nil {
		return fmt.Errorf("reading the mail: %w", err)
	}
	line = bytes.TrimSuffix(line, []byte(crlf))
	for len(line) > message.MaxLine {
		at := foldPlace(line)
		if at == 0 {
			return longHeader
		}
		w.Write(line[:at]) // the first error stays until Flush
		w.WriteString(crlf)
		line = line[at:]
	}
	w.Write(line)
	_, err = w.WriteString(crlf)
	return err
}

// foldPlace returns the last blank within reach that has something visible on both sides, since a line of nothing but blanks could end the header; or 0.
func foldPlace(line []byte) int {
	const blanks = " \t"
	first := len(line) - len(bytes.TrimLeft(line, blanks))
	last := len(bytes.TrimRight(line, blanks))
	if first >= last {
		return 0
	}
	i := bytes.LastIndexAny(line[first:min(message.MaxLine+1, last)], blanks)
	if i < 0 {
		return 0
	}
	return first + i
}

// quoted writes quoted-printable (RFC 2045 6.7).
type quoted struct {
	w      *bufio.Writer
	column int
}

// room makes room for n characters.
func (q *quoted) room(n int) {
	if q.column+n >= lineWidth {
		q.w.WriteString("=\r\n")
		q.column = 0
	}
}

// put writes one octet, as itself where it can stand so.
func (q *quoted) put(c byte, literal bool) {
	n := 3
	if literal {
		n = 1
	}
	q.room(n)
	// A line that begins with hyphens could be taken for a delimiter.
	if literal && (q.column > 0 || c != '-') {
		q.w.WriteByte(c)
		q.column++
		return
	}
	q.w.Write([]byte{'=', hexDigits[c>>4], hexDigits[c&15]})
	q.column += 3
}

func (q *quoted) newline() error {
	_, err := q.w.WriteString(crlf)
	q.column = 0
	return err
}

// encodeQuoted writes a body in quoted-printable. Its lines stay its lines.
func encodeQuoted(w *bufio.Writer, r *bufio.Reader) error {
	q := &quoted{w: w}
	for {
		c, err := r.ReadByte()
		switch {
		case err == io.EOF:
			return nil
		case err != nil:
			return fmt.Errorf("reading the mail: %w", err)
		case c == '\r': // never alone
		case c == '\n':
			if err := q.newline(); err != nil {
				return err
			}
		case c == ' ' || c == '\t':
			next, err := r.Peek(1)
			q.put(c, err == nil && next[0] != '\r') // at the end of a line it would be lost
		default:
			q.put(c, c > ' ' && c < 0x7f && c != '=')
		}
	}
}

// rewrapQuoted breaks the long lines of a body that is in quoted-printable already. A body that is not well-formed is refused: its readers do not agree what it says.
func rewrapQuoted(w *bufio.Writer, r *bufio.Reader) error {
	q := &quoted{w: w}
	first := true // the column is the first of a line of the original
	for {
		c, err := r.ReadByte()
		switch {
		case err == io.EOF:
			return nil
		case err != nil:
			return fmt.Errorf("reading the mail: %w", err)
		case c == '\r':
			continue
		case c == '\n':
			if err := q.newline(); err != nil {
				return err
			}
			first = true
			continue
		case c == '=':
			err = q.escape(r)
		case c == ' ' || c == '\t':
			err = q.blanks(r, c)
		default:
			if q.column+1 < lineWidth || !atEnd(r) {
				q.room(1)
			}
			if c == '-' && q.column == 0 && !first {
				q.put(c, false)
			} else {
				w.WriteByte(c)
				q.column++
			}
		}
		if err != nil {
			return err
		}
		first = false
	}
}

// atEnd tells whether the line ends here.
func atEnd(r *bufio.Reader) bool {
	next, err := r.Peek(1)
	return err != nil || next[0] == '\r'
}

// escape takes over what an equals sign begins: an octet, or a soft line break.
func (q *quoted) escape(r *bufio.Reader) error {
	next, _ := r.Peek(2)
	switch {
	case len(next) == 2 && isHex(next[0]) && isHex(next[1]):
		q.room(3)
		q.w.WriteByte('=')
		q.w.Write(next)
		q.column += 3
		_, err := r.Discard(2)
		return err
	case string(next) == crlf || len(next) == 0:
		q.column++
		return q.w.WriteByte('=')
	}
	return longKept
}

// blanks takes over a run of blanks that begins with c. Those at the end of a line are not there for a reader, and must not come to be inside one.
func (q *quoted) blanks(r *bufio.Reader, c byte) error {
	for n := 1; ; n++ {
		next, err := r.Peek(n)
		if err == bufio.ErrBufferFull {
			return longKept
		}
		if err != nil || next[n-1] == '\r' {
			_, err := r.Discard(n - 1)
			return err
		}
		if next[n-1] != ' ' && next[n-1] != '\t' {
			break
		}
	}
	q.room(1)
	q.column++
	return q.w.WriteByte(c)
}

// isHex tells whether c is a hexadecimal digit; lower case is read by everybody.
func isHex(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'A' && c <= 'F' || c >= 'a' && c <= 'f'
}

// rewrapBase64 breaks the long lines of a body in base64.
func rewrapBase64(w *bufio.Writer, r *bufio.Reader) error {
	q := &quoted{w: w}
	for {
		c, err := r.ReadByte()
		switch {
		case err == io.EOF:
			return nil
		case err != nil:
			return fmt.Errorf("reading the mail: %w", err)
		case c == '\r':
		case c == '\n':
			if err := q.newline(); err != nil {
				return err
			}
		case c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '+' || c == '/' || c == '=':
			if q.column == lineWidth {
				if err := q.newline(); err != nil {
					return err
				}
			}
			w.WriteByte(c)
			q.column++
		default:
			return longKept
		}
	}
}
