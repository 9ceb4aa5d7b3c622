package sheet

import (
	"bytes"
	"image"
	"image/png"

	"github.com/pkg/errors"

	"palimpsest/pkg/atomicfile"
	"palimpsest/pkg/oneline"
)

// Lattice is how images lie in a stored sheet: of H×W pixels each, enlarged ones included, Columns in a row, with Gap pixels between
// them.
type Lattice struct{ H, W, Gap, Columns int }

// Find tells how a sheet of the given size and number of rows is laid out, with at most 4 pixels between images; ok is
// false if it cannot be one. The images have h×w pixels or a whole multiple of that.
func Find(size image.Point, rows, h, w int) (Lattice, bool) {
	h, w = max(h, 1), max(w, 1)
	if rows < 1 || h > size.Y || w > size.X || max(size.X, size.Y) > maxSide {
		return Lattice{}, false
	}
	for gap := range 5 {
		l := Lattice{H: (size.Y+gap)/rows - gap, Gap: gap}
		if (size.Y+gap)%rows != 0 || l.H <= 0 || l.H%h != 0 {
			continue
		}
		l.W = l.H / h * w
		if l.Columns = (size.X + gap) / (l.W + gap); (size.X+gap)%(l.W+gap) == 0 {
			return l, true
		}
	}
	return Lattice{}, false
}

// Read decodes a file.
func Read(path string) (image.Image, error) {
	data, err := atomicfile.Read(path, atomicfile.Large)
	if err != nil {
		return nil, err
	}
	img, err := decodePNG(data)
	return img, errors.WithMessage(oneline.Error(err), path)
}

// decodePNG decodes a picture for which its bytes can be enough: compression makes a file at most some thousand times smaller
// than its pixels, and the decoder would first take the memory for whatever size is declared.
func decodePNG(data []byte) (image.Image, error) {
	size, err := png.DecodeConfig(bytes.NewReader(data))
	if err != nil {
		return nil, errors.WithStack(err)
	}
	// A pixel has at least a bit, and a row's filter a byte.
	if need := int64(size.Height) * (1 + int64(size.Width)/8); need/1100 > int64(len(data)) || size.Width > maxSide || size.Height > maxSide {
		return nil, errors.Errorf("%d bytes declare a picture of %dx%d pixels; need at most %d a side, and enough bytes for them",
			len(data), size.Width, size.Height, maxSide)
	}
	img, err := png.Decode(bytes.NewReader(data))
	return img, errors.WithStack(err)
}

// maxSide is the largest height and width of a sheet, in pixels.
const maxSide = 1 << 14
