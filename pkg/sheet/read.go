package sheet

import (
	"bytes"
	"image"
	"image/png"

	"github.com/pkg/errors"

	"palimpsest/pkg/atomicfile"
	"palimpsest/pkg/oneline"
)

// Lattice is how images lie in a stored sheet: squares of so many pixels, their corners pitch pixels apart.
type Lattice struct{ Pixels, Pitch, Columns int }

// Find finds the lattice of a sheet of the given size with rows of images of side pixels, or a multiple of it, and
// up to four pixels between them.
func Find(size image.Point, rows, side int) (Lattice, bool) {
	for gap := range 5 {
		if (size.Y+gap)%rows != 0 {
			continue
		}
		l := Lattice{Pitch: (size.Y + gap) / rows}
		l.Pixels, l.Columns = l.Pitch-gap, (size.X+gap)/l.Pitch
		if l.Pixels > 0 && l.Pixels%max(side, 1) == 0 && (size.X+gap)%l.Pitch == 0 {
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
