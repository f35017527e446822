package picture

import (
	"bufio"
	"fmt"
	"image"
	"image/color"
	"image/gif"
	"image/jpeg"
	"image/png"
	"io"

	"golang.org/x/image/webp"
)

const (
	quality    = 88      // of a JPEG that is written
	readBuffer = 4 << 10 // octets
)

// recode unpacks a picture and writes it anew. What the decoder finds must be what the header said: limits were held against that.
func recode(r io.ReadSeeker, w *sink, s shape) (Info, error) {
	in := bufio.NewReaderSize(r, readBuffer)
	if s.kind == JPEG || s.kind == PNG {
		cfg, _, err := image.DecodeConfig(in)
		if err != nil {
			return Info{}, broken(w, err)
		}
		if cfg.Width != s.width || cfg.Height != s.height {
			return Info{}, fmt.Errorf("%w: it has %d × %d pixels where its header says %d × %d", ErrBroken, cfg.Width, cfg.Height, s.width, s.height)
		}
		if _, err := r.Seek(0, io.SeekStart); err != nil {
			return Info{}, fmt.Errorf("going back to a picture's beginning: %w", err)
		}
		in.Reset(r)
	}
	if s.kind == GIF {
		return recodeGIF(in, w, s)
	}
	var img image.Image
	var err error
	switch s.kind {
	case JPEG:
		img, err = jpeg.Decode(in)
	case PNG:
		img, err = png.Decode(in)
	case WebP:
		img, err = webp.Decode(in)
	}
	if err != nil {
		return Info{}, broken(w, err)
	}
	size := img.Bounds().Size()
	if size.X > s.width || size.Y > s.height || size.X < 1 || size.Y < 1 {
		return Info{}, fmt.Errorf("%w: %v pixels where the header says %d × %d", ErrBroken, size, s.width, s.height)
	}
	info := Info{Type: PNG, Width: size.X, Height: size.Y}
	out := bufio.NewWriter(w)
	if s.kind == JPEG || s.kind == WebP && s.opaque {
		img = turned(img, s.turn)
		size = img.Bounds().Size()
		info = Info{Type: JPEG, Width: size.X, Height: size.Y}
		err = jpeg.Encode(out, img, &jpeg.Options{Quality: quality})
	} else {
		err = (&png.Encoder{CompressionLevel: png.DefaultCompression}).Encode(out, img)
	}
	if err == nil {
		err = out.Flush()
	}
	if err != nil {
		return Info{}, broken(w, err)
	}
	return info, nil
}

// recodeGIF writes a moving picture anew, frame by frame; comments and what applications put in stay out.
func recodeGIF(in io.Reader, w *sink, s shape) (Info, error) {
	g, err := gif.DecodeAll(in)
	if err != nil {
		return Info{}, broken(w, err)
	}
	clean := &gif.GIF{Image: g.Image, Delay: g.Delay, Disposal: g.Disposal, LoopCount: g.LoopCount, Config: image.Config{Width: s.width, Height: s.height}}
	if p, ok := g.Config.ColorModel.(color.Palette); ok && len(p) > 0 {
		clean.Config.ColorModel = p
		if int(g.BackgroundIndex) < len(p) {
			clean.BackgroundIndex = g.BackgroundIndex
		}
	}
	if err := gif.EncodeAll(w, clean); err != nil {
		return Info{}, broken(w, err)
	}
	return Info{Type: GIF, Width: s.width, Height: s.height}, nil
}

// broken says whose fault an error was: the picture's, unless writing it failed or time was up.
func broken(w *sink, err error) error {
	switch {
	case w.err != nil:
		return w.err
	case w.ctx.Err() != nil:
		return w.ctx.Err()
	}
	return fmt.Errorf("%w: %w", ErrBroken, err)
}
