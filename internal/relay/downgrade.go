package relay

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"mime/quotedprintable"
	"strings"
	"sync"
	"time"

	"chmail/internal/message"
)

const (
	maxDowngrade = 32 << 20 // octets of a mail that is converted; it is in memory then
	maxForwarded = 8        // messages within messages
	base64Line   = 76       // characters (RFC 2045 6.8)
)

const (
	maxConverting = 64 << 20    // octets of all mails of which there are copies at one time; each takes about three times its size
	roomWithin    = time.Minute // until there is room; servers wait for five (RFC 5321 4.5.3.2.7)
)

// room bounds the copies that are in memory, however many lines there are.
type room struct {
	mu    sync.Mutex
	limit int64
	taken int64
	freed chan struct{} // closed when somebody leaves; nil while nobody waits
}

// enter waits until there is room for a mail of this size; one that is larger than all of it has it alone. leave gives it back.
func (r *room) enter(ctx context.Context, size int64) (leave func(), ok bool) {
	ctx, cancel := context.WithTimeout(ctx, roomWithin)
	defer cancel()
	r.mu.Lock()
	defer r.mu.Unlock()
	for r.taken > 0 && r.taken+size > r.limit {
		if r.freed == nil {
			r.freed = make(chan struct{})
		}
		freed := r.freed
		r.mu.Unlock()
		select {
		case <-freed:
		case <-ctx.Done():
		}
		r.mu.Lock()
		if ctx.Err() != nil {
			return nil, false
		}
	}
	r.taken += size
	return sync.OnceFunc(func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.taken -= size
		if r.freed != nil {
			close(r.freed)
			r.freed = nil
		}
	}), true
}

// SevenBit makes a copy of a mail that holds seven bits only (RFC 6152 3): text becomes quoted-printable, anything else base64, and whatever is read from the copy is the same. It is
// ErrNotConvertible where that would do harm or cannot be done: inside what is signed or encrypted, in a header, in a mail whose structure is not certain. Signatures over
// the mail as a whole (DKIM) do not fit the copy.
func SevenBit(body io.ReaderAt, size int64) (converted io.ReaderAt, convertedSize int64, err error) {
	if size > maxDowngrade {
		return nil, 0, fmt.Errorf("%w: it has %d octets", ErrNotConvertible, size)
	}
	raw := make([]byte, size)
	if n, err := body.ReadAt(raw, 0); n < len(raw) {
		return nil, 0, errors.Join(errStored, err)
	}
	var c sevenBits
	if err := c.message(raw, 0, 0); err != nil {
		return nil, 0, err
	}
	message.SortSplices(c.splices)
	r, n := message.NewSplicedReader(&message.Memory{B: raw}, c.splices)
	out := bytes.NewBuffer(make([]byte, 0, n))
	if _, err := out.ReadFrom(r); err != nil {
		return nil, 0, fmt.Errorf("converting a mail: %w", err)
	}
	if !isASCII(out.Bytes()) {
		return nil, 0, fmt.Errorf("%w: there are octets above 127 outside its parts", ErrNotConvertible)
	}
	return bytes.NewReader(out.Bytes()), int64(out.Len()), nil
}

// sevenBits gathers what is to be changed in a mail.
type sevenBits struct{ splices []message.Splice }

// message goes through one message, which begins at base of the whole, within so many others.
func (c *sevenBits) message(raw []byte, base int64, depth int) error {
	tree, err := message.Scan(&message.Memory{B: raw})
	if err != nil {
		return err
	}
	if d := tree.Defects &^ (message.DefectUnterminated | message.DefectEmpty); d != 0 || tree.Head.Off != 0 || depth > maxForwarded {
		return fmt.Errorf("%w: %s", ErrNotConvertible, d)
	}
	for i := range tree.Parts {
		p := &tree.Parts[i]
		if isASCII(raw[p.Off:p.End]) {
			continue
		}
		encoding := "7bit"
		switch content := raw[p.Body:p.End]; {
		case p.Media.Type == "multipart/signed" || p.Media.Type == "multipart/encrypted":
			return fmt.Errorf("%w: what is signed or encrypted stays as it is", ErrNotConvertible)
		case p.Encoding != "7bit" && p.Encoding != "8bit" && p.Encoding != "binary":
			return fmt.Errorf("%w: octets above 127 in what is encoded", ErrNotConvertible)
		case p.Multipart():
		case p.Media.Type == "message/rfc822":
			if err := c.message(content, base+p.Body, depth+1); err != nil {
				return err
			}
		case strings.HasPrefix(p.Media.Type, "message/"):
			return fmt.Errorf("%w: %s must not be encoded", ErrNotConvertible, p.Media.Type) // RFC 2046 5.2
		default:
			var text []byte
			if encoding, text, err = encode(p.Media.Type, content); err != nil {
				return err
			}
			c.splices = append(c.splices, message.Splice{Off: base + p.Body, Del: p.End - p.Body, Ins: text})
		}
		c.label(tree, p, base, encoding)
	}
	return nil
}

// label writes the encoding into the part's header.
func (c *sevenBits) label(tree *message.Tree, p *message.Part, base int64, encoding string) {
	field := "Content-Transfer-Encoding: " + encoding + "\r\n"
	if p.CodeField != (message.Span{}) {
		c.splices = append(c.splices, message.Splice{Off: base + p.CodeField.Off, Del: p.CodeField.End - p.CodeField.Off, Ins: []byte(field)})
		return
	}
	if p.Multipart() || p.Media.Type == "message/rfc822" {
		return // seven bits are what holds without a field
	}
	if p.Parent < 0 && !tree.Head.Has("MIME-Version") {
		field = "MIME-Version: 1.0\r\n" + field
	}
	c.splices = append(c.splices, message.Splice{Off: base + p.Fields, Ins: []byte(field)})
}

// encode brings the content of a part into seven bits, with its line ends where it is text.
func encode(kind string, content []byte) (encoding string, text []byte, err error) {
	var out bytes.Buffer
	if strings.HasPrefix(kind, "text/") {
		w := quotedprintable.NewWriter(&out)
		_, err := w.Write(content)
		err = errors.Join(err, w.Close())
		return "quoted-printable", out.Bytes(), err
	}
	line := base64Line / 4 * 3
	buf := make([]byte, base64Line)
	for len(content) > 0 {
		n := min(line, len(content))
		base64.StdEncoding.Encode(buf, content[:n])
		out.Write(buf[:base64.StdEncoding.EncodedLen(n)])
		out.WriteString("\r\n")
		content = content[n:]
	}
	return "base64", out.Bytes(), nil
}
