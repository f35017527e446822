// Package picture makes pictures that strangers send harmless: what is shown to others was decoded and encoded anew here, so that it holds nothing but
// pixels. Where a photograph was taken, its author's name, what a forger hid behind the last pixel: all of that stays out, and what only claims to be a
// picture is none. JPEG, PNG, GIF and WebP are known; WebP becomes JPEG or PNG, since there is nothing that writes it.
//
// A picture's header is read first, by size and shape alone. One that would take more memory than there is for it is refused before anything is
// unpacked (hazards 4, "XSS by file / name").
package picture

import (
	"context"
	"errors"
	"fmt"
	"io"
)

// The types of pictures, as Sniff and Info name them.
const (
	JPEG = "image/jpeg"
	PNG  = "image/png"
	GIF  = "image/gif"
	WebP = "image/webp"
)

// SniffLen is how many octets Sniff looks at.
const SniffLen = 12

// ErrLarge says that a picture has more pixels than may be, needs more memory to be unpacked, or does not fit where it was to be written.
var ErrLarge = errors.New("the picture is too large")

// ErrBroken says that something begins like a picture and cannot be read as one.
var ErrBroken = errors.New("the picture is broken")

// Sniff tells by its first octets what type of picture something is; "" for what is none. Names and claims count for nothing.
func Sniff(head []byte) string {
	is := func(at int, what string) bool {
		return len(head) >= at+len(what) && string(head[at:at+len(what)]) == what
	}
	switch {
	case is(0, "\xff\xd8\xff"):
		return JPEG
	case is(0, "\x89PNG\r\n\x1a\n"):
		return PNG
	case is(0, "GIF87a"), is(0, "GIF89a"):
		return GIF
	case is(0, "RIFF") && is(8, "WEBP"):
		return WebP
	}
	return ""
}

// Limits bound what a picture may cost; zero numbers take the defaults named with them.
type Limits struct {
	Pixels int64 // of a picture, or of all frames of a moving one; 50 million
	Memory int64 // octets to unpack one; 128 MiB
	AtOnce int   // pictures that are unpacked at the same time; 1
}

// A Cleaner encodes pictures anew.
type Cleaner struct {
	limits Limits
	slots  chan struct{}
}

// NewCleaner makes one.
func NewCleaner(l Limits) *Cleaner {
	if l.Pixels == 0 {
		l.Pixels = 50_000_000
	}
	if l.Memory == 0 {
		l.Memory = 128 << 20
	}
	if l.AtOnce == 0 {
		l.AtOnce = 1
	}
	return &Cleaner{limits: l, slots: make(chan struct{}, l.AtOnce)}
}

// Info is what a cleaned picture is.
type Info struct {
	Type          string // JPEG, PNG or GIF
	Width, Height int    // pixels, as it is shown
}

// shape is what a header tells of a picture, before anything is unpacked.
type shape struct {
	kind          string
	width, height int
	pixels        int64 // of all frames together
	memory        int64 // octets that unpacking takes, at most
	turn          int   // Exif's orientation, 1 to 8
	opaque        bool  // a WebP without transparency, and lossy: a photograph
}

// Clean reads a picture of size octets and writes it anew to w. It waits for its turn. ErrLarge and ErrBroken are the sender's fault, and so is
// nothing else; an error of w comes back as it is.
func (c *Cleaner) Clean(ctx context.Context, r io.ReaderAt, size int64, w io.Writer) (info Info, err error) {
	s, err := survey(r, size)
	if err != nil {
		return Info{}, err
	}
	switch {
	case s.width < 1 || s.height < 1:
		return Info{}, fmt.Errorf("%w: it has no pixels", ErrBroken)
	case s.pixels > c.limits.Pixels, s.memory > c.limits.Memory:
		return Info{}, fmt.Errorf("%w: %s, %d × %d pixels, %d in all, %d octets to unpack", ErrLarge, s.kind, s.width, s.height, s.pixels, s.memory)
	}
	select {
	case c.slots <- struct{}{}:
		defer func() { <-c.slots }()
	case <-ctx.Done():
		return Info{}, fmt.Errorf("waiting to unpack a picture: %w", ctx.Err())
	}
	defer func() { // the decoders are not ours, and what they are fed with is anybody's
		if p := recover(); p != nil {
			info, err = Info{}, fmt.Errorf("%w: a decoder's panic: %v", ErrBroken, p)
		}
	}()
	return recode(&source{ctx: ctx, r: io.NewSectionReader(r, 0, size)}, &sink{ctx: ctx, w: w}, s)
}

// survey reads a picture's header.
func survey(r io.ReaderAt, size int64) (shape, error) {
	h := &header{r: r, size: size}
	var s shape
	switch kind := Sniff(h.at(0, SniffLen)); kind {
	case JPEG:
		s = h.jpeg()
	case PNG:
		s = h.png()
	case GIF:
		s = h.gif()
	case WebP:
		s = h.webp()
	default:
		h.bad("no picture")
	}
	if h.err != nil {
		return shape{}, h.err
	}
	if s.pixels == 0 {
		s.pixels = int64(s.width) * int64(s.height)
	}
	return s, nil
}

// A source ends reading with its context: a decoder knows of none.
type source struct {
	ctx context.Context
	r   io.ReadSeeker
}

func (s *source) Read(p []byte) (int, error) {
	if err := s.ctx.Err(); err != nil {
		return 0, err
	}
	return s.r.Read(p)
}

func (s *source) Seek(offset int64, whence int) (int64, error) { return s.r.Seek(offset, whence) }

// A sink ends writing with its context, and remembers whose fault an error was.
type sink struct {
	ctx context.Context
	w   io.Writer
	err error
}

func (s *sink) Write(p []byte) (int, error) {
	if s.err == nil {
		s.err = s.ctx.Err()
	}
	if s.err != nil {
		return 0, s.err
	}
	var n int
	n, s.err = s.w.Write(p)
	return n, s.err
}
