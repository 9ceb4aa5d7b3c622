package datasets

import (
	"github.com/pkg/errors"
)

// Crop takes border pixels off each of the four sides, the reverse of Prep.Border. The result
// has new pixels and the same labels. For a border of 0 it is im itself, so do not write to it.
// It returns an error for a negative border and for one that leaves no pixel.
func (im *Images) Crop(border int) (*Images, error) {
	if err := im.Validate(); err != nil {
		return nil, err
	}
	if border == 0 {
		return im, nil
	}
	pixels, err := CropRows(im.Flat(), im.H, im.W, im.C, border)
	if err != nil {
		return nil, err
	}
	return &Images{N: im.N, H: im.H - 2*border, W: im.W - 2*border, C: im.C, Pixels: pixels, Labels: im.Labels}, nil
}

// CropRows takes border pixels off each of the four sides of images [N,H,W,C], bytes or
// numbers, and returns [N, H-2·border, W-2·border, C]. N follows from the length of images. For a
// border of 0 the result is images itself, so do not write to it. It returns an error for a
// negative border, for one that leaves no pixel, and if the length of images is no multiple of H·W·C.
func CropRows[T uint8 | float32](images []T, h, w, c, border int) ([]T, error) {
	n, ok := imagesIn(len(images), h, w, c)
	if !ok {
		return nil, errors.Errorf("datasets.CropRows: %d values of images of shape [%d,%d,%d]; need a whole number of images",
			len(images), h, w, c)
	}
	if widest := (min(h, w) - 1) / 2; border < 0 || border > widest {
		return nil, errors.Errorf("datasets.CropRows: a border of %d on images of %dx%d pixels; need 0 to %d", border, h, w, widest)
	}
	if border == 0 {
		return images, nil
	}
	line := (w - 2*border) * c
	out := make([]T, 0, n*(h-2*border)*line)
	for k := range n {
		i := k * h * w * c
		for y := border; y < h-border; y++ {
			from := i + (y*w+border)*c
			out = append(out, images[from:from+line]...)
		}
	}
	return out, nil
}
