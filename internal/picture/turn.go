package picture

import (
	"image"
	"image/color"
)

// A photograph lies in its file as the sensor was held, and says how it is to be turned (Exif's orientation). Without that note it has to be turned itself.

// turned turns a picture as an orientation says: 2 is mirrored, 3 upside down, 4 mirrored upside down, 5 to 8 lie on a side.
func turned(img image.Image, how int) image.Image {
	if how < 2 || how > 8 {
		return img
	}
	switch img := img.(type) {
	case *image.Gray:
		w, h := img.Rect.Dx(), img.Rect.Dy()
		out := image.NewGray(turnedRect(w, h, how))
		turnPlane(out.Pix, out.Stride, img.Pix, img.Stride, w, h, how)
		return out
	case *image.YCbCr:
		if out := turnedYCbCr(img, how); out != nil {
			return out
		}
	}
	return &turning{img, how}
}

func turnedRect(w, h, how int) image.Rectangle {
	if how >= 5 {
		w, h = h, w
	}
	return image.Rect(0, 0, w, h)
}

// turnedYCbCr turns plane by plane; nil where a turned picture would have its colours in an order that there is no type for.
func turnedYCbCr(img *image.YCbCr, how int) image.Image {
	ratio := img.SubsampleRatio
	if how >= 5 {
		switch ratio {
		case image.YCbCrSubsampleRatio444, image.YCbCrSubsampleRatio420:
		case image.YCbCrSubsampleRatio422:
			ratio = image.YCbCrSubsampleRatio440
		case image.YCbCrSubsampleRatio440:
			ratio = image.YCbCrSubsampleRatio422
		default:
			return nil
		}
	}
	w, h := img.Rect.Dx(), img.Rect.Dy()
	out := image.NewYCbCr(turnedRect(w, h, how), ratio)
	turnPlane(out.Y, out.YStride, img.Y, img.YStride, w, h, how)
	cw, ch := chroma(img.SubsampleRatio, w, h)
	turnPlane(out.Cb, out.CStride, img.Cb, img.CStride, cw, ch, how)
	turnPlane(out.Cr, out.CStride, img.Cr, img.CStride, cw, ch, how)
	return out
}

// chroma is the size of a colour plane.
func chroma(ratio image.YCbCrSubsampleRatio, w, h int) (cw, ch int) {
	switch ratio {
	case image.YCbCrSubsampleRatio422:
		return (w + 1) / 2, h
	case image.YCbCrSubsampleRatio420:
		return (w + 1) / 2, (h + 1) / 2
	case image.YCbCrSubsampleRatio440:
		return w, (h + 1) / 2
	case image.YCbCrSubsampleRatio411:
		return (w + 3) / 4, h
	case image.YCbCrSubsampleRatio410:
		return (w + 3) / 4, (h + 1) / 2
	}
	return w, h
}

// turnPlane turns w × h samples. Of what comes out, sample (x, y) is the one that from says.
func turnPlane(dst []byte, dstStride int, src []byte, srcStride, w, h, how int) {
	ow, oh := w, h
	if how >= 5 {
		ow, oh = h, w
	}
	// Where the first sample of a row comes from, and how far it is from one to the next.
	fx, fy := from(0, 0, w, h, how)
	rx, ry := from(min(1, ow-1), 0, w, h, how)
	dx, dy := from(0, min(1, oh-1), w, h, how)
	along, down := (ry-fy)*srcStride+rx-fx, (dy-fy)*srcStride+dx-fx
	start := fy*srcStride + fx
	for y := range oh {
		at, row := start+y*down, dst[y*dstStride:y*dstStride+ow]
		for x := range row {
			row[x] = src[at]
			at += along
		}
	}
}

// from is where in a picture of w × h the pixel lies that is shown at (x, y).
func from(x, y, w, h, how int) (int, int) {
	switch how {
	case 2:
		return w - 1 - x, y
	case 3:
		return w - 1 - x, h - 1 - y
	case 4:
		return x, h - 1 - y
	case 5:
		return y, x
	case 6:
		return y, h - 1 - x
	case 7:
		return w - 1 - y, h - 1 - x
	case 8:
		return w - 1 - y, x
	}
	return x, y
}

// turning is any other picture turned, pixel by pixel as it is asked for.
type turning struct {
	image.Image
	how int
}

// Bounds are those of the turned picture.
func (t *turning) Bounds() image.Rectangle {
	b := t.Image.Bounds()
	return turnedRect(b.Dx(), b.Dy(), t.how)
}

// At is a pixel of the turned picture.
func (t *turning) At(x, y int) color.Color {
	b := t.Image.Bounds()
	fx, fy := from(x, y, b.Dx(), b.Dy(), t.how)
	return t.Image.At(b.Min.X+fx, b.Min.Y+fy)
}
