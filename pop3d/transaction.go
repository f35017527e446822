package pop3d

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"time"

	"chmail/internal/message"
)

// box is the maildrop of a session in the transaction state (RFC 1939 5).
type box struct {
	Maildrop
	count  int
	octets int64
	marks  marks
}

// commitTime bounds the deletion at QUIT. It has a time of its own, since by then neither the end of the session nor of
// the server is a reason to leave it undone.
const commitTime = 30 * time.Second

// known checks a message number.
func (s *session) known(n int) (reply, bool) {
	switch {
	case n < 1 || n > s.box.count:
		return refusal("", "no such message; there are %d", s.box.count), false
	case s.box.marks.has(n):
		return refusal("", "message %d is deleted", n), false
	}
	return reply{}, true
}

// entry looks up a message that the client named.
func (s *session) entry(n int) (message.Entry, reply, bool) {
	if r, ok := s.known(n); !ok {
		return message.Entry{}, r, false
	}
	e, err := s.box.Entry(s.work, n)
	if err != nil {
		return e, s.trouble("looking up a message", err), false
	}
	return e, reply{}, true
}

// stat is STAT: marked messages are not counted.
func (s *session) stat(c command) reply {
	if !c.bare() {
		return noArgument("STAT")
	}
	return fine("%d %d", s.box.count-s.box.marks.count, s.box.octets-s.box.marks.octets)
}

// list is LIST: sizes are exactly what RETR sends, dot-stuffing aside (hazards 25).
func (s *session) list(c command) reply {
	return s.listing(c, func(b []byte, e message.Entry) []byte { return strconv.AppendInt(b, e.Size, 10) })
}

// uidl is UIDL.
func (s *session) uidl(c command) reply {
	return s.listing(c, func(b []byte, e message.Entry) []byte { return append(b, e.UID...) })
}

// listing answers LIST and UIDL: of each message its number and what detail appends.
func (s *session) listing(c command, detail func([]byte, message.Entry) []byte) reply {
	line := func(b []byte, e message.Entry) []byte {
		return detail(append(strconv.AppendInt(b, int64(e.Number), 10), ' '), e)
	}
	if c.bare() {
		return s.wholeListing(line)
	}
	n, ok := c.numbers(1)
	if !ok {
		return fault("%s takes a message number or nothing", c.verb)
	}
	e, r, ok := s.entry(n[0])
	if !ok {
		return r
	}
	return fine("%s", line(nil, e))
}

// maxListed is room for one line of a listing: two numbers, or a number and a unique id of at most 70 octets (RFC 1939 7).
const maxListed = 128

// pageSize is how much of a listing is made at once, in octets: one write.
const pageSize = 32 << 10

// wholeListing streams the listing, a page at a time. The first page is read before the +OK, so that what goes wrong can still be said.
func (s *session) wholeListing(line func([]byte, message.Entry) []byte) reply {
	chunk := s.server.chunk()
	next := 1
	page := func() ([]byte, error) {
		b, full := (*chunk)[:0:pageSize], false
		err := s.box.List(s.work, next, func(e message.Entry) bool {
			next = e.Number + 1
			if !s.box.marks.has(e.Number) {
				b = append(line(b, e), "\r\n"...)
			}
			full = pageSize-len(b) < maxListed
			return !full
		})
		if err == nil && !full && next <= s.box.count {
			err = fmt.Errorf("the listing ends before message %d of %d", next, s.box.count)
		}
		return b, err
	}
	first, err := page()
	if err != nil {
		s.server.giveBack(chunk)
		return s.trouble("listing the maildrop", err)
	}
	return reply{
		ok:   true,
		text: fmt.Sprintf("%d messages", s.box.count-s.box.marks.count),
		body: func(w io.Writer) error {
			defer s.server.giveBack(chunk)
			for b := first; ; {
				if _, err := w.Write(b); err != nil {
					return err
				}
				if next > s.box.count {
					_, err := w.Write(dotLine)
					return err
				}
				if b, err = page(); err != nil {
					return fmt.Errorf("listing the maildrop: %w: %w", errMidway, err)
				}
			}
		},
	}
}

// retr is RETR.
func (s *session) retr(c command) reply {
	n, ok := c.numbers(1)
	if !ok {
		return fault("RETR takes a message number")
	}
	e, r, ok := s.entry(n[0])
	if !ok {
		return r
	}
	return s.text(e, fmt.Sprintf("%d octets", e.Size), func(src io.Reader) io.Reader { return src })
}

// top is TOP.
func (s *session) top(c command) reply {
	n, ok := c.numbers(2)
	if !ok {
		return fault("TOP takes a message number and a number of lines")
	}
	e, r, ok := s.entry(n[0])
	if !ok {
		return r
	}
	return s.text(e, "top of the message follows", func(src io.Reader) io.Reader { return &topReader{src: src, lines: n[1]} })
}

// errMidway is a response of which the rest cannot be had. What lies beneath may look as if the client had gone.
var errMidway = errors.New("in the midst of a response")

// errSize is a message whose bytes are not those that were counted at delivery.
var errSize = errors.New("the message has not the size that its entry says")

// text streams a message, or the part of it that view lets through. The first chunk is read before the +OK.
func (s *session) text(e message.Entry, first string, view func(io.Reader) io.Reader) reply {
	src, err := s.box.Read(s.work, e.Number)
	if err != nil {
		return s.trouble("reading a message", err)
	}
	d := &download{src: src, view: view(&sizedReader{src: src, left: e.Size}), chunk: s.server.chunk()}
	if err := d.fill(); err != nil {
		s.server.giveBack(d.chunk)
		return s.trouble("reading a message", errors.Join(err, src.Close()))
	}
	return reply{ok: true, text: first, body: func(w io.Writer) error {
		defer s.server.giveBack(d.chunk)
		err := d.send(w)
		if err == nil {
			s.tally.messages++
			s.server.counts.retrieved.Add(1)
		}
		s.tally.octets += d.sent
		s.server.counts.octets.Add(uint64(d.sent))
		return errors.Join(err, src.Close())
	}}
}

// download is a message on its way, one chunk of it in memory.
type download struct {
	src   io.ReadCloser
	view  io.Reader
	chunk *[]byte
	n     int  // octets in the chunk
	last  bool // nothing comes after them
	sent  int64
}

func (d *download) fill() error {
	n, err := io.ReadFull(d.view, (*d.chunk)[margin:])
	d.n = n
	if d.last = err == io.EOF || err == io.ErrUnexpectedEOF; d.last {
		return nil
	}
	return err
}

// send writes what was filled and all the rest. When the session's time is over, writing fails.
func (d *download) send(w io.Writer) error {
	var dots stuffer
	for {
		if _, err := w.Write(dots.stuff(*d.chunk, d.n)); err != nil {
			return err
		}
		d.sent += int64(d.n)
		if d.last {
			_, err := w.Write(dots.end())
			return err
		}
		if err := d.fill(); err != nil {
			return fmt.Errorf("reading a message: %w: %w", errMidway, err)
		}
	}
}

// sizedReader makes an error of a message that is shorter or longer than it should be, or that breaks off: where it ends, the
// response must not end as if all were well.
type sizedReader struct {
	src  io.Reader
	left int64
}

func (r *sizedReader) Read(p []byte) (int, error) {
	n, err := r.src.Read(p)
	r.left -= int64(n)
	switch {
	case err != nil && err != io.EOF:
		return n, fmt.Errorf("with %d octets to come: %w", r.left, err)
	case r.left < 0 || err == io.EOF && r.left != 0:
		return 0, errSize
	}
	return n, err
}

// dele is DELE: it marks.
func (s *session) dele(c command) reply {
	n, ok := c.numbers(1)
	if !ok {
		return fault("DELE takes a message number")
	}
	e, r, ok := s.entry(n[0])
	if !ok {
		return r
	}
	s.box.marks.add(e.Number, e.Size)
	return fine("message %d deleted", e.Number)
}

// rset is RSET: nothing is marked any more.
func (s *session) rset(c command) reply {
	if !c.bare() {
		return noArgument("RSET")
	}
	s.box.marks = marks{}
	return fine("%d messages (%d octets)", s.box.count, s.box.octets)
}

// noop is NOOP.
func (s *session) noop(c command) reply {
	if !c.bare() {
		return noArgument("NOOP")
	}
	return fine("")
}

// quit is QUIT. In the transaction state it is the update state (RFC 1939 6): what was marked is deleted, durably, before the +OK; when that
// fails nothing is, and the session ends all the same.
func (s *session) quit(c command) reply {
	if !c.bare() {
		return noArgument("QUIT")
	}
	if s.state == authorization || s.box.marks.count == 0 {
		return fine("bye").ending("quit")
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(s.ctx), commitTime)
	defer cancel()
	if err := s.box.Expunge(ctx, s.box.marks.all()); err != nil {
		r := s.trouble("deleting messages", err).ending("deletion failed")
		r.text = "not everything could be deleted; try again later"
		return r
	}
	s.tally.deleted = s.box.marks.count
	s.server.counts.deleted.Add(uint64(s.tally.deleted))
	return fine("%d messages deleted", s.tally.deleted).ending("quit")
}

func noArgument(verb string) reply { return fault("%s takes no argument", verb) }
