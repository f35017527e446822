package picture

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"image"
	"image/color"
	"image/gif"
	"image/jpeg"
	"image/png"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/image/webp"
)

const secret = "52.5200 N 13.4050 E, by Bob's phone" // in no picture that leaves here

// quarters is a picture of four colours, so that one sees how it is turned.
func quarters(w, h int) *image.RGBA {
	img := image.NewRGBA(image.Rect(0, 0, w, h))
	colours := [2][2]color.RGBA{{{200, 0, 0, 255}, {0, 160, 0, 255}}, {{0, 0, 200, 255}, {220, 220, 0, 255}}}
	for y := range h {
		for x := range w {
			img.SetRGBA(x, y, colours[2*y/h][2*x/w])
		}
	}
	return img
}

func mustJPEG(t testing.TB, img image.Image) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := jpeg.Encode(&b, img, &jpeg.Options{Quality: 95}); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// photo is a JPEG with what a telephone writes into one: how it was held, and where.
func photo(t testing.TB, img image.Image, turn int) []byte {
	exif := []byte("Exif\x00\x00MM\x00*\x00\x00\x00\x08\x00\x02")
	exif = append(exif, 0x01, 0x0e, 0, 2, 0, 0, 0, byte(len(secret)), 0, 0, 0, 38)
	exif = append(exif, 0x01, 0x12, 0, 3, 0, 0, 0, 1, 0, byte(turn), 0, 0)
	exif = append(exif, 0, 0, 0, 0)
	exif = append(exif, secret...)
	plain := mustJPEG(t, img)
	out := append([]byte{0xff, 0xd8, 0xff, 0xe1}, byte((len(exif)+2)>>8), byte(len(exif)+2))
	return append(append(out, exif...), plain[2:]...)
}

func mustPNG(t testing.TB, img image.Image) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := png.Encode(&b, img); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// chunk is a chunk of a PNG.
func chunk(kind, data string) []byte {
	b := binary.BigEndian.AppendUint32(nil, uint32(len(data)))
	b = append(b, kind+data...)
	return binary.BigEndian.AppendUint32(b, crc32.ChecksumIEEE(b[4:]))
}

// moving is a GIF of so many frames, with a comment.
func moving(t testing.TB, w, h, frames int) []byte {
	t.Helper()
	g := &gif.GIF{LoopCount: 3}
	for i := range frames {
		p := image.NewPaletted(image.Rect(0, 0, w, h), color.Palette{color.Black, color.White, color.RGBA{200, 0, 0, 255}})
		p.SetColorIndex(i%w, 0, 1)
		g.Image, g.Delay = append(g.Image, p), append(g.Delay, 10+i)
	}
	var b bytes.Buffer
	if err := gif.EncodeAll(&b, g); err != nil {
		t.Fatal(err)
	}
	all := b.Bytes()
	comment := append(append([]byte{0x21, 0xfe, byte(len(secret))}, secret...), 0)
	return append(append(append([]byte{}, all[:len(all)-1]...), comment...), 0x3b)
}

// flat is a lossless WebP of one colour: every code has one symbol, so no pixel takes a bit (RFC 9649, 3.7).
func flat(w, h int) []byte {
	var bits []byte
	n := 0
	put := func(v uint64, count int) {
		for i := range count {
			if n%8 == 0 {
				bits = append(bits, 0)
			}
			bits[n/8] |= byte(v>>i&1) << (n % 8)
			n++
		}
	}
	put(0x2f, 8)
	put(uint64(w-1), 14)
	put(uint64(h-1), 14)
	put(0, 1+3+1+1+1)
	for _, symbol := range []uint64{160, 200, 20, 255, 0} { // green, red, blue, alpha, distance
		put(1|0<<1|1<<2, 3)
		put(symbol, 8)
	}
	bits = append(bits, 0, 0, 0, 0)
	return riff("VP8L", bits)
}

// riff puts chunks into a WebP: kind, body, kind, body …
func riff(kind string, body []byte) []byte {
	if len(body)%2 != 0 {
		body = append(body, 0)
	}
	b := append([]byte("WEBP"+kind), binary.LittleEndian.AppendUint32(nil, uint32(len(body)))...)
	b = append(b, body...)
	return append(binary.LittleEndian.AppendUint32([]byte("RIFF"), uint32(len(b))), b...)
}

func clean(t testing.TB, c *Cleaner, in []byte) ([]byte, Info, error) {
	t.Helper()
	var out bytes.Buffer
	info, err := c.Clean(context.Background(), bytes.NewReader(in), int64(len(in)), &out)
	return out.Bytes(), info, err
}

func TestNothingButPixelsComesThrough(t *testing.T) {
	t.Parallel()
	img := quarters(40, 24)
	plainPNG := mustPNG(t, img)
	behind := []byte("<script>alert(1)</script>" + secret)
	for name, c := range map[string]struct {
		in   []byte
		want Info
	}{
		"a photograph":                     {photo(t, img, 1), Info{JPEG, 40, 24}},
		"a photograph, held on its side":   {photo(t, img, 6), Info{JPEG, 24, 40}},
		"something behind the last pixel":  {append(mustJPEG(t, img), behind...), Info{JPEG, 40, 24}},
		"a grey photograph, upside down":   {photo(t, image.NewGray(img.Rect), 3), Info{JPEG, 40, 24}},
		"a drawing with a note":            {append(append(append([]byte{}, plainPNG[:33]...), chunk("tEXt", "Author\x00"+secret)...), plainPNG[33:]...), Info{PNG, 40, 24}},
		"a drawing with a page behind it":  {append(append([]byte{}, plainPNG...), behind...), Info{PNG, 40, 24}},
		"a moving picture with a comment":  {moving(t, 10, 6, 3), Info{GIF, 10, 6}},
		"a WebP":                           {flat(300, 200), Info{PNG, 300, 200}},
		"a WebP with something behind it":  {append(flat(9, 9), behind...), Info{PNG, 9, 9}},
		"a drawing of which one sees half": {mustPNG(t, image.NewNRGBA(image.Rect(0, 0, 7, 5))), Info{PNG, 7, 5}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			out, info, err := clean(t, NewCleaner(Limits{}), c.in)
			if err != nil {
				t.Fatal(err)
			}
			if info != c.want || Sniff(out) != c.want.Type {
				t.Errorf("it became %+v, of type %q, want %+v", info, Sniff(out), c.want)
			}
			for _, what := range []string{secret, "Exif", "script", "Author"} {
				if bytes.Contains(out, []byte(what)) {
					t.Errorf("%q has come through", what)
				}
			}
			cfg, _, err := image.DecodeConfig(bytes.NewReader(out))
			if err != nil || cfg.Width != info.Width || cfg.Height != info.Height {
				t.Errorf("what came out reads as %d × %d: %v", cfg.Width, cfg.Height, err)
			}
			if _, again, err := clean(t, NewCleaner(Limits{}), out); err != nil || again != info {
				t.Errorf("cleaned once more it is %+v: %v", again, err)
			}
		})
	}
}

// A photograph is shown as it was meant to be seen, whichever way the telephone was held and however its colours are stored.
func TestPhotographsStandUpright(t *testing.T) {
	t.Parallel()
	for turn := 1; turn <= 8; turn++ {
		for name, make := range map[string]func() image.Image{
			"4:2:0": func() image.Image { return quarters(64, 48) }, "odd": func() image.Image { return quarters(37, 21) },
			"4:4:4": func() image.Image { return planes(64, 48, image.YCbCrSubsampleRatio444) }, "4:2:2": func() image.Image { return planes(64, 48, image.YCbCrSubsampleRatio422) },
			"4:1:1": func() image.Image { return planes(64, 48, image.YCbCrSubsampleRatio411) }, "colours of printers": func() image.Image { return image.NewCMYK(image.Rect(0, 0, 32, 16)) },
		} {
			t.Run(fmt.Sprint(name, " held as ", turn), func(t *testing.T) {
				t.Parallel()
				src := make()
				got, want := turned(src, turn), &turning{src, turn}
				if turn == 1 {
					want = &turning{src, 0}
				}
				if turn == 1 && got != src {
					t.Fatal("what stands upright is turned")
				}
				if got.Bounds().Size() != want.Bounds().Size() {
					t.Fatalf("%v, want %v", got.Bounds(), want.Bounds())
				}
				near(t, got, want)
			})
		}
		// Through a whole file: the red quarter is upper left in what was photographed, and where it comes to lie Exif says.
		out, _, err := clean(t, NewCleaner(Limits{}), photo(t, quarters(64, 64), turn))
		if err != nil {
			t.Fatal(err)
		}
		img, err := jpeg.Decode(bytes.NewReader(out))
		if err != nil {
			t.Fatal(err)
		}
		red := [9][2]int{{}, {8, 8}, {56, 8}, {56, 56}, {8, 56}, {8, 8}, {56, 8}, {56, 56}, {8, 56}}[turn]
		if r, g, b, _ := img.At(red[0], red[1]).RGBA(); r>>8 < 150 || g>>8 > 60 || b>>8 > 60 {
			t.Errorf("held as %d, the red quarter is not at %v: %d %d %d", turn, red, r>>8, g>>8, b>>8)
		}
	}
}

func planes(w, h int, ratio image.YCbCrSubsampleRatio) image.Image {
	img, from := image.NewYCbCr(image.Rect(0, 0, w, h), ratio), quarters(w, h)
	for y := range h {
		for x := range w {
			c := from.RGBAAt(x, y)
			yy, cb, cr := color.RGBToYCbCr(c.R, c.G, c.B)
			img.Y[img.YOffset(x, y)], img.Cb[img.COffset(x, y)], img.Cr[img.COffset(x, y)] = yy, cb, cr
		}
	}
	return img
}

// near compares two pictures; where a colour sample belongs to several pixels it may be one pixel off, at the borders of colours.
func near(t *testing.T, got, want image.Image) {
	t.Helper()
	b, off := want.Bounds(), 0
	for y := range b.Dy() {
		for x := range b.Dx() {
			r, g, bl, _ := got.At(x, y).RGBA()
			wr, wg, wb, _ := want.At(x, y).RGBA()
			if absolute(r, wr)+absolute(g, wg)+absolute(bl, wb) > 0x1800 {
				off++
			}
		}
	}
	if off > b.Dx()+b.Dy() {
		t.Errorf("%d of %d pixels are others", off, b.Dx()*b.Dy())
	}
}

func absolute(a, b uint32) uint32 { return max(a, b) - min(a, b) }

// A few octets can announce gigabytes. They are refused by what they announce: nothing of it is ever taken from memory.
func TestBombsAreRefusedBeforeTheyAreUnpacked(t *testing.T) {
	t.Parallel()
	ihdr := func(w, h uint32, depth, kind, lace byte) []byte {
		b := binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(nil, w), h)
		return append([]byte("\x89PNG\r\n\x1a\n"), chunk("IHDR", string(append(b, depth, kind, 0, 0, lace)))...)
	}
	sof := func(marker byte, w, h uint16) []byte {
		b := []byte{0xff, 0xd8, 0xff, marker, 0, 17, 8, byte(h >> 8), byte(h), byte(w >> 8), byte(w), 3, 1, 0x11, 0, 2, 0x11, 0, 3, 0x11, 0}
		return append(b, make([]byte, 64)...)
	}
	extended := func(w, h uint32, inner []byte) []byte {
		b := []byte{0, 0, 0, 0, byte(w - 1), byte((w - 1) >> 8), byte((w - 1) >> 16), byte(h - 1), byte((h - 1) >> 8), byte((h - 1) >> 16)}
		whole := append(riff("VP8X", b), inner[12:]...)
		binary.LittleEndian.PutUint32(whole[4:], uint32(len(whole)-8))
		return whole
	}
	one := moving(t, 4, 4, 1)
	colours := 13 + int(table(one[10])) // where its first block begins
	liar := flat(9, 9)
	binary.LittleEndian.PutUint32(liar[4:], 1<<31-16)
	binary.LittleEndian.PutUint32(liar[16:], 1<<31-32)
	part := flat(9, 9)
	binary.LittleEndian.PutUint32(part[16:], 1<<31-32)
	for name, c := range map[string]struct {
		in   []byte
		want error
	}{
		"a PNG of 60000 × 60000":                                {ihdr(60000, 60000, 8, 2, 0), ErrLarge},
		"a PNG of four milliards of pixels a side":              {ihdr(1<<32-1, 1<<32-1, 1, 0, 0), ErrLarge},
		"a PNG of 16 bits, in seven passes":                     {ihdr(4000, 3000, 16, 6, 1), ErrLarge},
		"a JPEG of 65535 × 65535":                               {sof(0xc0, 65535, 65535), ErrLarge},
		"a JPEG that keeps all its coefficients":                {sof(0xc2, 6000, 4000), ErrLarge},
		"a WebP of 16384 × 16384":                               {flat(16384, 16384), ErrLarge},
		"a WebP that calls itself small outside":                {extended(1, 1, flat(16384, 16384)), ErrLarge},
		"a WebP that is small inside":                           {extended(1<<24, 1<<24, flat(1, 1)), ErrLarge},
		"a WebP of which a part claims more than there is":      {part, ErrBroken},
		"a WebP that claims two gigabytes":                      {liar, ErrBroken},
		"a GIF of a thousand large frames":                      {moving(t, 400, 300, 1000), ErrLarge},
		"a GIF of a small frame on a large canvas":              {append(append([]byte("GIF89a"), 0xff, 0xff, 0xff, 0xff), one[10:]...), ErrLarge},
		"a GIF of very many frames":                             {moving(t, 1, 1, maxFrames+1), ErrLarge},
		"a JPEG that hides its size in what looks like padding": {append([]byte{0xff, 0xd8, 0xff, 0x00, 0, 21}, append(sof(0xc0, 65535, 65535)[2:21], sof(0xc0, 8, 8)[2:]...)...), ErrBroken},
		"a GIF that hides frames in a text":                     {append(append([]byte{}, one[:colours]...), append([]byte{0x21, 0x01, 0}, one[colours:]...)...), ErrBroken},
		"a JPEG without a height":                               {sof(0xc0, 100, 0), ErrBroken},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			// What has survived the survey would be unpacked.
			if s, err := survey(bytes.NewReader(c.in), int64(len(c.in))); err == nil && s.width*s.height > 0 && s.pixels <= 50_000_000 && s.memory <= 128<<20 {
				t.Fatalf("the survey finds nothing in it: %+v", s)
			}
			if _, _, err := clean(t, NewCleaner(Limits{}), c.in); !errors.Is(err, c.want) {
				t.Errorf("%v, want %v", err, c.want)
			}
		})
	}
}

func TestWhatIsNoPictureIsNone(t *testing.T) {
	t.Parallel()
	for name, in := range map[string]string{
		"a drawing in XML": `<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>`, "a page": "<!DOCTYPE html><script>alert(1)</script>",
		"a page that begins like a picture": "GIF89a<script>alert(1)</script>", "nothing": "", "a beginning": "\xff\xd8\xff", "half a drawing": "\x89PNG\r\n\x1a\n",
		"a letter": "%PDF-1.7", "a bitmap": "BM\x00\x00", "an icon": "\x00\x00\x01\x00", "a film": "\x00\x00\x00\x18ftypheic",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			out, _, err := clean(t, NewCleaner(Limits{}), []byte(in))
			if !errors.Is(err, ErrBroken) || len(out) > 0 {
				t.Errorf("%d octets come out: %v", len(out), err)
			}
		})
	}
	whole := mustPNG(t, quarters(64, 64))
	if _, _, err := clean(t, NewCleaner(Limits{}), whole[:len(whole)/2]); !errors.Is(err, ErrBroken) {
		t.Errorf("half a drawing: %v", err)
	}
}

// What other programs write: WebP as a photograph, and one that is seen through; a JPEG that comes in passes; a PNG of seven.
func TestPicturesOfOtherPrograms(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]Info{"photo.webp": {JPEG, 40, 24}, "glass.webp": {PNG, 40, 24}, "progressive.jpg": {JPEG, 40, 24}, "laced.png": {PNG, 20, 12}} {
		in, err := os.ReadFile(filepath.Join("testdata", name))
		if err != nil {
			t.Fatal(err)
		}
		out, info, err := clean(t, NewCleaner(Limits{}), in)
		if err != nil || info != want || Sniff(out) != want.Type {
			t.Errorf("%s becomes %+v, of type %q: %v", name, info, Sniff(out), err)
		}
		if name != "glass.webp" {
			continue
		}
		img, err := png.Decode(bytes.NewReader(out))
		if err != nil {
			t.Fatal(err)
		}
		if _, _, _, a := img.At(20, 12).RGBA(); a < 0x7000 || a > 0x9000 {
			t.Errorf("what was seen through half has alpha %#x", a)
		}
	}
}

type fullDisk struct{}

var errFull = errors.New("no space")

func (fullDisk) Write([]byte) (int, error) { return 0, errFull }

// Whose fault it is decides what the sender is told.
func TestADiskThatIsFullIsNotThePicturesFault(t *testing.T) {
	t.Parallel()
	in := mustJPEG(t, quarters(64, 64))
	_, err := NewCleaner(Limits{}).Clean(context.Background(), bytes.NewReader(in), int64(len(in)), fullDisk{})
	if !errors.Is(err, errFull) || errors.Is(err, ErrBroken) {
		t.Errorf("a full disk: %v", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	c := NewCleaner(Limits{})
	c.slots <- struct{}{} // somebody else's picture is being unpacked
	_, err = c.Clean(ctx, bytes.NewReader(in), int64(len(in)), io.Discard)
	if !errors.Is(err, context.Canceled) || errors.Is(err, ErrBroken) {
		t.Errorf("a sender who has gone: %v", err)
	}
}

func TestMovingPicturesGoOnMoving(t *testing.T) {
	t.Parallel()
	out, _, err := clean(t, NewCleaner(Limits{}), moving(t, 10, 6, 4))
	if err != nil {
		t.Fatal(err)
	}
	g, err := gif.DecodeAll(bytes.NewReader(out))
	if err != nil {
		t.Fatal(err)
	}
	if len(g.Image) != 4 || g.LoopCount != 3 || fmt.Sprint(g.Delay) != "[10 11 12 13]" {
		t.Errorf("%d frames, %d rounds, delays %v", len(g.Image), g.LoopCount, g.Delay)
	}
	if r, _, _, _ := g.Image[2].At(2, 0).RGBA(); r>>8 < 200 {
		t.Error("a frame shows something else")
	}
}

// The survey's promise: whatever is fed in, what comes out is a picture of the size that was said, and small limits hold.
func FuzzClean(f *testing.F) {
	f.Add(photo(f, quarters(16, 8), 6))
	f.Add(mustPNG(f, quarters(8, 8)))
	f.Add(moving(f, 4, 4, 2))
	f.Add(flat(20, 10))
	f.Add([]byte("GIF89a"))
	for _, name := range []string{"photo.webp", "glass.webp", "progressive.jpg", "laced.png"} {
		in, err := os.ReadFile(filepath.Join("testdata", name))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(in)
	}
	f.Add([]byte(strings.Repeat("\xff\xd8\xff\xe1", 9)))
	limits := Limits{Pixels: 1 << 20, Memory: 8 << 20}
	f.Fuzz(func(t *testing.T, in []byte) {
		out, info, err := clean(t, NewCleaner(limits), in)
		if err != nil {
			if !errors.Is(err, ErrBroken) && !errors.Is(err, ErrLarge) {
				t.Errorf("neither broken nor large: %v", err)
			}
			return
		}
		cfg, kind, err := image.DecodeConfig(bytes.NewReader(out))
		if err != nil || "image/"+kind != info.Type || cfg.Width != info.Width || cfg.Height != info.Height {
			t.Errorf("%+v reads as %s of %d × %d: %v", info, kind, cfg.Width, cfg.Height, err)
		}
		if int64(cfg.Width)*int64(cfg.Height) > limits.Pixels {
			t.Errorf("%+v is beyond the limit", info)
		}
	})
}

// The test's own WebP is one.
func TestTheFlatWebPIsOne(t *testing.T) {
	t.Parallel()
	img, err := webp.Decode(bytes.NewReader(flat(30, 20)))
	if err != nil || img.Bounds() != image.Rect(0, 0, 30, 20) {
		t.Fatal(img, err)
	}
	if r, g, b, a := img.At(3, 3).RGBA(); r>>8 != 200 || g>>8 != 160 || b>>8 != 20 || a>>8 != 255 {
		t.Error("its colour is another", r>>8, g>>8, b>>8, a>>8)
	}
}

// BenchmarkClean cleans a telephone's photograph of 12 million pixels, upright and on its side.
func BenchmarkClean(b *testing.B) {
	img := image.NewYCbCr(image.Rect(0, 0, 4032, 3024), image.YCbCrSubsampleRatio420)
	for i := range img.Y {
		img.Y[i] = byte(i*2654435761>>13)&31 + byte(i>>14)
	}
	for _, turn := range []int{1, 6} {
		in := photo(b, img, turn)
		b.Run(fmt.Sprint("held as ", turn), func(b *testing.B) {
			b.SetBytes(int64(len(in)))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := NewCleaner(Limits{}).Clean(context.Background(), bytes.NewReader(in), int64(len(in)), io.Discard); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
