package smtpd

import (
	"bytes"
	"errors"
	"io"

	"chmail/internal/message"
)

// errGivenUp is what reading a mail returns when the client gave it up between two chunks, by RSET, EHLO, STARTTLS or QUIT.
var errGivenUp = errors.New("given up by the client")

// beginChunks begins a mail by BDAT. go-smtp is asked for it with DATA; what it refuses is refused, and the chunk is read over.
func (g *gate) beginChunks(line []byte) error {
	if r := g.announce(line); r != nil {
		return g.refuse(r)
	}
	g.chunk.open = true
	if g.renew {
		g.line = nil
		g.reply(replyLine(errRenew))
		return nil
	}
	g.line = []byte("DATA\r\n")
	return nil
}

// announce notes what a BDAT line says. Where that cannot be known, or is more than anybody would want to read over, the connection has to end.
func (g *gate) announce(line []byte) *message.Refusal {
	size, last, ok := parseChunk(line)
	switch {
	case !ok:
		return errChunkSyntax
	case size > g.port.Limits.Message:
		return errChunkSize
	}
	g.chunk.left, g.chunk.last = size, last
	g.conn.Bulk(size > 0)
	return nil
}

// readChunk reads from the chunk, which must not be used up. The connection's end is never the mail's (libraries S1).
func (g *gate) readChunk(p []byte) (int, error) {
	n, err := g.conn.Read(p[:min(int64(len(p)), g.chunk.left)])
	if g.chunk.left -= int64(n); g.chunk.left == 0 {
		g.conn.Bulk(false)
	}
	if err != nil {
		return n, unexpected(err)
	}
	return n, nil
}

// skipChunk reads over what is left of the chunk: it follows its command whatever the reply is (RFC 3030 2; hazards 1, 3).
func (g *gate) skipChunk() error {
	var sink [4096]byte
	for g.chunk.left > 0 {
		if _, err := g.readChunk(sink[:]); err != nil {
			return err
		}
	}
	return nil
}

// nextChunk acknowledges a chunk and reads commands up to the next BDAT.
func (g *gate) nextChunk() error {
	g.say("250 2.0.0 Continue")
	for {
		line, err := g.readLine()
		if err != nil {
			return unexpected(err)
		}
		switch v := verb(line); string(v[:]) {
		case "BDAT":
			if r := g.announce(line); r != nil {
				return unexpected(g.refuse(r))
			}
			return nil
		case "NOOP":
			g.say("250 2.0.0 still here")
		case "RSET", "EHLO", "HELO", "STAR", "QUIT":
			g.chunk.then = bytes.Clone(line)
			return errGivenUp
		default:
			g.reply(replyLine(errMidMail))
		}
	}
}

// chunks is a mail that comes by BDAT, held to the same line ends as one that comes by DATA. It ends with the chunk that the client called the last.
type chunks struct {
	gate  *gate
	most  int64 // octets that may be given
	loose bool  // bare CR and LF pass, for a normaliser to deal with
	last  byte  // the last octet so far
	n     int64 // octets given
	err   error // io.EOF: the end of the mail
}

func (c *chunks) Read(p []byte) (int, error) {
	if c.err != nil || len(p) == 0 {
		return 0, c.err
	}
	for c.gate.chunk.left == 0 {
		if c.gate.chunk.last {
			return c.end(p)
		}
		if c.err = c.gate.nextChunk(); c.err != nil {
			return 0, c.err
		}
	}
	n, err := c.gate.readChunk(p)
	if err == nil {
		err = c.check(p[:n])
	}
	if c.n += int64(n); err == nil && c.n > c.most {
		err = errTooLarge
	}
	if c.err = err; err != nil {
		return 0, err
	}
	c.last = p[n-1]
	return n, nil
}

// end gives the last line its end, where the client did not.
func (c *chunks) end(p []byte) (int, error) {
	switch {
	case c.n == 0 || c.last == '\n':
		c.err = io.EOF
		return 0, c.err
	case c.last == '\r' && !c.loose:
		c.err = errBareCR
		return 0, c.err
	}
	c.n++
	if c.last != '\r' {
		c.last, p[0] = '\r', '\r'
		c.loose = true // that CR is ours
	} else {
		c.last, p[0] = '\n', '\n'
	}
	return 1, nil
}

// check looks for line ends other than CRLF in what follows c.last.
func (c *chunks) check(b []byte) error {
	if c.loose {
		return nil
	}
	cr := c.last == '\r'
	for i, rest := 0, b; len(rest) > 0; rest = rest[i+1:] {
		if cr && rest[0] != '\n' {
			return errBareCR
		}
		if i = bytes.IndexAny(rest, "\r\n"); i < 0 {
			return nil
		}
		if rest[i] == '\n' && !(cr && i == 0) {
			return errBareLF
		}
		cr = rest[i] == '\r'
	}
	return nil
}
