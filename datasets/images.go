package datasets

import (
	"slices"

	"github.com/pkg/errors"
)

// Images is a set of labelled images of one size. Pixels are [N,H,W,C], row by row with
// the channels of a pixel side by side, 0 (black) to 255. Labels[i] is the class of
// image i. A set of no images (N == 0) is valid.
type Images struct {
	N, H, W, C int
	Pixels     []uint8
	Labels     []uint8
}

// Dataset is an image set with its official split into training and test images.
type Dataset struct {
	// Name is what Load knows the set by; the set that was really read, so "mnist-10k"
	// where "mnist" was asked for and only the small variant is on disk.
	Name string
	// Title is the name for readers, Licence the terms of the data.
	Title, Licence string
	// Source says where the images come from and how the split was made.
	Source string
	// Hash is the SHA-256 of the set's content (see Info.Hash): equal hashes are equal
	// pixels, labels and order. Stored with a result, it says what was trained on.
	Hash string
	// Classes are the names of the classes; a label is an index into it.
	Classes []string
	// Train and Test are the official splits.
	Train, Test *Images
}

// ImageSize is the number of bytes of one image, H·W·C.
func (im *Images) ImageSize() int { return im.H * im.W * im.C }

// Image returns the pixels of image i, [H,W,C], without copying. It panics if i is not
// in [0, N), as indexing does.
func (im *Images) Image(i int) []uint8 {
	size := im.ImageSize()
	return im.Pixels[i*size : (i+1)*size : (i+1)*size]
}

// Scaled are all pixels as numbers in [-1, 1], see [Scale].
func (im *Images) Scaled() []float32 {
	pixels := make([]float32, len(im.Pixels))
	Scale(pixels, im.Pixels)
	return pixels
}

// Select copies the images at idx, in that order, into a new set; an index may repeat.
// It panics if an index is not in [0, N), as indexing does.
func (im *Images) Select(idx []int) *Images {
	out := &Images{N: len(idx), H: im.H, W: im.W, C: im.C,
		Pixels: make([]uint8, 0, len(idx)*im.ImageSize()), Labels: make([]uint8, 0, len(idx))}
	for _, i := range idx {
		out.Pixels = append(out.Pixels, im.Image(i)...)
		out.Labels = append(out.Labels, im.Labels[i])
	}
	return out
}

// IndicesOf returns the indices of the images whose label is one of classes, ascending.
func (im *Images) IndicesOf(classes ...int) []int {
	var wanted [256]bool
	for _, c := range classes {
		if c >= 0 && c < len(wanted) {
			wanted[c] = true
		}
	}
	var idx []int
	for i, label := range im.Labels {
		if wanted[label] {
			idx = append(idx, i)
		}
	}
	return idx
}

// lacking returns the first of classes of which there is no image.
func (im *Images) lacking(classes []int) (class int, lacks bool) {
	n := im.CountPerClass(256)
	i := slices.IndexFunc(classes, func(c int) bool { return n[c] == 0 })
	if i < 0 {
		return 0, false
	}
	return classes[i], true
}

// CountPerClass returns the number of images of each class 0 .. classes-1. Labels beyond
// are not counted.
func (im *Images) CountPerClass(classes int) []int {
	n := make([]int, classes)
	for _, label := range im.Labels {
		if int(label) < classes {
			n[label]++
		}
	}
	return n
}

// Concat copies the images of all sets, one set after the other, into a new one. Sets
// without images are skipped. It returns an error if two sets differ in H, W or C.
func Concat(sets ...*Images) (*Images, error) {
	out := &Images{}
	for k, s := range sets {
		if s == nil || s.N == 0 {
			if s != nil && out.ImageSize() == 0 {
				out.H, out.W, out.C = s.H, s.W, s.C
			}
			continue
		}
		if out.N > 0 && (s.H != out.H || s.W != out.W || s.C != out.C) {
			return nil, errors.Errorf("datasets.Concat: set %d is %dx%dx%d but the sets before it are %dx%dx%d; "+
				"bring them to one size with Prep.Apply", k, s.H, s.W, s.C, out.H, out.W, out.C)
		}
		out.H, out.W, out.C = s.H, s.W, s.C
		out.N += s.N
		out.Pixels = append(out.Pixels, s.Pixels...)
		out.Labels = append(out.Labels, s.Labels...)
	}
	return out, nil
}

// Validate returns an error if the slices do not hold N images of H, W, C.
func (im *Images) Validate() error {
	if im == nil {
		return errors.New("datasets: no images (nil); load a set with datasets.Load")
	}
	if im.N < 0 || im.H <= 0 || im.W <= 0 || im.C <= 0 {
		return errors.Errorf("datasets: images of shape [%d,%d,%d,%d]; N must be 0 or more, H, W and C at least 1",
			im.N, im.H, im.W, im.C)
	}
	if want := im.N * im.ImageSize(); len(im.Pixels) != want {
		return errors.Errorf("datasets: %d pixel bytes for images of shape [%d,%d,%d,%d]; need %d",
			len(im.Pixels), im.N, im.H, im.W, im.C, want)
	}
	if len(im.Labels) != im.N {
		return errors.Errorf("datasets: %d labels for %d images; need one for each", len(im.Labels), im.N)
	}
	return nil
}
