package sheet

import (
	"bytes"
	"image"
	"image/color"
	"image/png"

	"github.com/pkg/errors"

	"palimpsest/datasets"
	"palimpsest/pkg/atomicfile"
)

// New places images, [N, h, w, c] in [-1, 1] with c 1 or 3, row by row into rows × cols cells without gaps, each
// pixel scale × scale dots. Cells beyond N stay black. Values outside [-1, 1] are clamped.
//
// With scale 1, or any other, and a row a class in task order this is the sheet that [report.Strips] reads back.
func New(images []float32, rows, cols, h, w, c, scale int) (*image.RGBA, error) {
	if rows <= 0 || cols <= 0 || h <= 0 || w <= 0 || scale <= 0 || (c != 1 && c != 3) {
		return nil, errors.Errorf("sheet.New: %d × %d cells of %d×%d pixels with %d channels at scale %d; need positive sizes and 1 or 3 channels", rows, cols, h, w, c, scale)
	}
	per := h * w * c
	n := len(images) / per
	if len(images)%per != 0 || n > rows*cols {
		return nil, errors.Errorf("sheet.New: %d values are %g images of %d×%d×%d; need whole images, at most %d for %d × %d cells",
			len(images), float64(len(images))/float64(per), h, w, c, rows*cols, rows, cols)
	}
	bytes := make([]uint8, len(images))
	datasets.Unscale(bytes, images)
	out := image.NewRGBA(image.Rect(0, 0, cols*w*scale, rows*h*scale))
	for y := range out.Rect.Dy() {
		for x := range out.Rect.Dx() {
			k := y/scale/h*cols + x/scale/w
			colour := color.RGBA{A: 0xff}
			if k < n {
				at := k*per + (y/scale%h*w+x/scale%w)*c
				colour.R, colour.G, colour.B = bytes[at], bytes[at+(c-1)/2], bytes[at+c-1]
			}
			out.SetRGBA(x, y, colour)
		}
	}
	return out, nil
}

// maxRows is how many classes a stored sheet shows.
const maxRows = 100

// Rows are the classes that a stored sheet of images h pixels high shows, by their places 0 .. classes-1 in task order: all,
// or of very many some, evenly from all.
func Rows(classes, h int) []int {
	rows := make([]int, min(classes, maxRows, max(1, maxSide/max(h, 1))))
	for k := range rows {
		rows[k] = k * classes / len(rows)
	}
	return rows
}

// PNG encodes an image, as small as it gets.
func PNG(img image.Image) ([]byte, error) {
	var b bytes.Buffer
	encoder := png.Encoder{CompressionLevel: png.BestCompression}
	if err := encoder.Encode(&b, img); err != nil {
		return nil, errors.Wrap(err, "sheet: encoding a PNG")
	}
	return b.Bytes(), nil
}

// Write writes an image to path as PNG encodes it.
func Write(path string, img image.Image) error {
	data, err := PNG(img)
	if err != nil {
		return err
	}
	return atomicfile.Write(path, data)
}
