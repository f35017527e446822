package picture

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

const (
	maxSegments = 4096 // of a header, a GIF's frames among them; nothing honest comes near
	maxFrames   = 2000
	frameCost   = 16 << 10 // octets that a GIF's frame takes beside its pixels: its palette, above all
	exifMost    = 64 << 10
)

// A header reads here and there in a file. The first fault stays, and everything after it reads as nothing.
type header struct {
	r    io.ReaderAt
	size int64
	err  error
}

func (h *header) bad(format string, args ...any) {
	if h.err == nil {
		h.err = fmt.Errorf("%w: %s", ErrBroken, fmt.Sprintf(format, args...))
	}
}

// at reads n octets; zeros after a fault, or when they are not all there, which is one.
func (h *header) at(off int64, n int) []byte {
	b := make([]byte, n)
	if h.err != nil {
		return b
	}
	if off < 0 || off+int64(n) > h.size {
		h.bad("it ends at octet %d", h.size)
		return b
	}
	if _, err := h.r.ReadAt(b, off); err != nil && !errors.Is(err, io.EOF) {
		h.err = fmt.Errorf("reading a picture: %w", err)
		clear(b)
	}
	return b
}

// png: PNG 3rd edition, 11.2.1. Interlaced ones are unpacked twice.
func (h *header) png() shape {
	b := h.at(8, 8+13)
	if string(b[4:8]) != "IHDR" {
		h.bad("a PNG without a header")
	}
	w, ht := binary.BigEndian.Uint32(b[8:]), binary.BigEndian.Uint32(b[12:])
	if w > 1<<20 || ht > 1<<20 {
		h.err = errors.Join(h.err, fmt.Errorf("%w: a side of more than a million pixels", ErrLarge))
		return shape{}
	}
	s := shape{kind: PNG, width: int(w), height: int(ht)}
	each := int64(4)
	if b[16] == 16 { // bits of a channel
		each = 8
	} else if b[17] == 3 { // a palette
		each = 1
	}
	if b[20] != 0 {
		each *= 2
	}
	s.memory = int64(w) * int64(ht) * each
	return s
}

// jpeg: ITU T.81 B.2, and Exif's orientation on the way.
func (h *header) jpeg() shape {
	s := shape{kind: JPEG, turn: 1}
	at := int64(2)
	for range maxSegments {
		b := h.at(at, 4)
		if h.err != nil {
			return s
		}
		if b[0] != 0xff {
			h.bad("octet %d of a JPEG is no marker", at)
			return s
		}
		if b[1] == 0xff { // a fill octet
			at++
			continue
		}
		length := int64(binary.BigEndian.Uint16(b[2:]))
		switch m := b[1]; {
		case m >= 0xd0 && m <= 0xd7: // alone
			at += 2
			continue
		case m < 0xc0: // between here and the decoder there must be no two opinions on what is passed over
			h.bad("a JPEG with marker %#x", m)
			return s
		case m == 0xc0 || m == 0xc1 || m == 0xc2:
			h.frame(&s, at+4, length-2, m == 0xc2)
			return s
		case m == 0xe1 && s.turn == 1:
			s.turn = orientation(h.at(at+4, int(min(max(length-2, 0), exifMost))))
		case m >= 0xc3 && m <= 0xcf && m != 0xc4 && m != 0xc8 && m != 0xcc, m == 0xd9, m == 0xda:
			h.bad("a JPEG of a kind that is not read, marker %#x", m)
			return s
		}
		if length < 2 {
			h.bad("a JPEG's segment of %d octets", length)
			return s
		}
		at += 2 + length
	}
	h.bad("a JPEG of too many segments")
	return s
}

// frame: T.81 B.2.2. A progressive picture keeps its coefficients until the last scan, four octets for each sample.
func (h *header) frame(s *shape, at, length int64, progressive bool) {
	b := h.at(at, 6)
	n := int64(b[5])
	if length != 6+3*n || n != 1 && n != 3 && n != 4 {
		h.bad("a JPEG of %d components in %d octets", n, length)
		return
	}
	s.height, s.width = int(binary.BigEndian.Uint16(b[1:])), int(binary.BigEndian.Uint16(b[3:]))
	samples := 4 * n // quarters of a sample for each pixel, where nothing better is known
	memory := 2 * samples
	if n == 1 {
		memory = samples
	} else if c := h.at(at+6, 9); n == 3 && c[4] == 0x11 && c[7] == 0x11 {
		if hv := int64(c[1]>>4) * int64(c[1]&15); hv == 1 || hv == 2 || hv == 4 {
			samples = 4 + 8/hv
			memory = samples
		}
	}
	if s.turn != 1 {
		memory *= 2
	}
	if progressive {
		memory += 4 * samples
	}
	// A component is unpacked in whole blocks, of 32 pixels at most.
	s.memory = (int64(s.width) + 32) * (int64(s.height) + 32) * memory / 4
}

// orientation finds the tag in an Exif segment (Exif 2.32, 4.6.4.A); 1, as it lies, when it says nothing that makes sense.
func orientation(b []byte) int {
	if len(b) < 14 || string(b[:6]) != "Exif\x00\x00" {
		return 1
	}
	b = b[6:]
	var order binary.ByteOrder = binary.BigEndian
	if string(b[:2]) == "II" {
		order = binary.LittleEndian
	}
	first := int64(order.Uint32(b[4:]))
	if first+2 > int64(len(b)) {
		return 1
	}
	tags := b[first:]
	n := int(order.Uint16(tags))
	for tags = tags[2:]; n > 0 && len(tags) >= 12; n, tags = n-1, tags[12:] {
		if order.Uint16(tags) != 0x0112 {
			continue
		}
		if turn := int(order.Uint16(tags[8:])); turn >= 1 && turn <= 8 {
			return turn
		}
		return 1
	}
	return 1
}

// gif: GIF89a, appendix B. Every frame is unpacked, so all of them count.
func (h *header) gif() shape {
	b := h.at(6, 7)
	s := shape{kind: GIF, width: int(binary.LittleEndian.Uint16(b)), height: int(binary.LittleEndian.Uint16(b[2:]))}
	at := int64(13) + table(b[4])
	frames := 0
	for range maxSegments {
		switch kind := h.at(at, 1)[0]; {
		case h.err != nil:
			return s
		case kind == 0x3b: // the end
			if frames == 0 {
				h.bad("a GIF without a picture")
			}
			canvas := int64(s.width) * int64(s.height)
			s.memory = s.pixels + canvas + int64(frames)*frameCost
			s.pixels = max(s.pixels, canvas) // whoever shows it unpacks that, however small the frames
			return s
		case kind == 0x21:
			if e := h.at(at+1, 2); e[0] == 0x01 && e[1] != 12 || e[0] == 0xf9 && e[1] != 4 { // the decoder takes these lengths for granted
				h.bad("a GIF's extension %#x of %d octets", e[0], e[1])
			}
			at = h.blocks(at + 2)
		case kind == 0x2c:
			f := h.at(at+1, 9)
			s.pixels += int64(binary.LittleEndian.Uint16(f[4:])) * int64(binary.LittleEndian.Uint16(f[6:]))
			if frames++; frames > maxFrames {
				h.err = errors.Join(h.err, fmt.Errorf("%w: a GIF of more than %d frames", ErrLarge, maxFrames))
			}
			at = h.blocks(at + 10 + table(f[8]) + 1)
		default:
			h.bad("octet %d of a GIF is %#x", at, kind)
		}
	}
	h.bad("a GIF of too many parts")
	return s
}

// table is the size of the colour table that a GIF's flags announce.
func table(flags byte) int64 {
	if flags&0x80 == 0 {
		return 0
	}
	return 3 << (1 + flags&7)
}

// blocks passes over a GIF's data blocks, and returns where they end.
func (h *header) blocks(at int64) int64 {
	for h.err == nil {
		n := int64(h.at(at, 1)[0])
		if at += 1 + n; n == 0 {
			break
		}
	}
	return at
}

// webp: RFC 9649. Sizes stand in up to three places, which need not agree; the largest counts, and no chunk may claim more than there is.
func (h *header) webp() shape {
	s := shape{kind: WebP}
	most := func(w, ht int64) { s.width, s.height = max(s.width, int(w)), max(s.height, int(ht)) }
	if int64(binary.LittleEndian.Uint32(h.at(4, 4)))+8 > h.size {
		h.bad("a WebP that claims more octets than it has")
	}
	alpha, at := false, int64(12)
	for range maxSegments {
		b := h.at(at, 8)
		length := int64(binary.LittleEndian.Uint32(b[4:]))
		if at += 8; h.err == nil && at+length > h.size {
			h.bad("a chunk of a WebP that claims more octets than there are")
		}
		if h.err != nil {
			return s
		}
		each := int64(2)
		switch string(b[:4]) {
		case "VP8X":
			c := h.at(at, 10)
			if c[0]&0x02 != 0 {
				h.bad("a moving WebP")
			}
			alpha = c[0]&0x10 != 0
			most(1+int64(c[4])+int64(c[5])<<8+int64(c[6])<<16, 1+int64(c[7])+int64(c[8])<<8+int64(c[9])<<16)
		case "VP8 ":
			c := h.at(at, 10)
			most(int64(binary.LittleEndian.Uint16(c[6:])&0x3fff), int64(binary.LittleEndian.Uint16(c[8:])&0x3fff))
			if s.opaque = !alpha; alpha {
				each = 14
			}
			s.memory = (int64(s.width) + 16) * (int64(s.height) + 16) * each
			return s
		case "VP8L":
			c := binary.LittleEndian.Uint32(h.at(at+1, 4))
			most(1+int64(c&0x3fff), 1+int64(c>>14&0x3fff))
			s.memory = int64(s.width) * int64(s.height) * 14
			return s
		}
		at += length + length&1
	}
	h.bad("a WebP of too many chunks")
	return s
}
