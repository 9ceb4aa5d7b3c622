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
// pixel scale × scale dots. Cells beyond N stay black. Values outside [-1, 1] are clamped. It returns an error if the images are
// no whole ones or more than there are cells, and if the sheet would have more than 2^30 dots.
//
// With scale 1, or any other, and a row a class in task order this is the sheet that [report.Strips] reads back.
func New(images []float32, rows, cols, h, w, c, scale int) (*image.RGBA, error) {
	if rows <= 0 || cols <= 0 || h <= 0 || w <= 0 || scale <= 0 || (c != 1 && c != 3) {
		return nil, errors.Errorf("sheet.New: %d × %d cells of %d×%d pixels with %d channels at scale %d; need positive sizes and 1 or 3 channels", rows, cols, h, w, c, scale)
	}
	if dots := float64(rows) * float64(cols) * float64(h) * float64(w) * float64(scale) * float64(scale); dots > mostDots {
		return nil, errors.Errorf("sheet.New: %d × %d cells of %d×%d pixels at scale %d are %.3g dots; need %d at most", rows, cols, h, w, scale, dots, mostDots)
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

// mostDots is how many dots a sheet has at most, of four bytes each while it is made.
const mostDots = 1 << 30

// maxRows is how many classes a stored sheet shows.
const maxRows = 100

// Rows are the classes that a stored sheet of images h pixels high shows, by their places 0 .. classes-1 in task order: all,
// or of very many some, evenly from all. It panics if classes is negative.
func Rows(classes, h int) []int {
	if classes < 0 {
		panic(errors.Errorf("sheet.Rows: %d classes; need 0 or more", classes))
	}
	rows := make([]int, min(classes, maxRows, max(1, maxSide/max(h, 1))))
	for k := range rows {
		rows[k] = k * classes / len(rows)
	}
	return rows
}

// PNG encodes an image, as small as it gets.
func PNG(img image.Image) ([]byte, error) {
	if img == nil {
		return nil, errors.New("sheet: no image (nil); make one with sheet.New")
	}
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
