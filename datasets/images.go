package datasets

import (
	"slices"

	"github.com/pkg/errors"
)

// Images is a set of labelled images of one size, [H,W,C] each, row by row with the channels
// of a pixel side by side, 0 (black) to 255. Labels[i] is the class of image i. A set of no
// images (N == 0) is valid.
//
// Pixels stores images one after the other. If Rows is nil, image i of the set is image i in
// Pixels, which holds N images. Otherwise the set is a view: image i of the set is image Rows[i] in
// Pixels, which may hold further images, may be shared with other sets, and may be a file mapped
// into memory, which must not be written to. So read pixels with [Images.Image], or all of them
// with [Images.Flat]; use Pixels itself only in a set that you made.
type Images struct {
	N, H, W, C int
	Pixels     []uint8
	Rows       []int32
	Labels     []int32
}

// MaxClasses is how many classes a set or a benchmark may have.
const MaxClasses = 1 << 20

// Dataset is an image set with its official split into training and test images.
type Dataset struct {
	// Name is the set's name in the catalogue, or the name it was registered by. A set that was opened by its path has the name of its
	// folder or file, which need not be unique.
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
	// Val is the set's own validation split, nil if it has none. A benchmark uses it instead of holding out training images.
	Val *Images
	// Skipped are the pictures that are left out since they cannot be read; see [Prep.SkipBroken].
	Skipped []Broken

	own  *ownSet // of a set of the user's own
	prep *Prep   // by which the images are prepared; nil: they are as they came
}

// ImageSize is the number of bytes of one image, H·W·C.
func (im *Images) ImageSize() int { return im.H * im.W * im.C }

// Image returns the pixels of image i, [H,W,C], without copying. It panics if i is not
// in [0, N), as indexing does.
func (im *Images) Image(i int) []uint8 {
	if im.Rows != nil {
		i = int(im.Rows[i])
	}
	size := im.ImageSize()
	return im.Pixels[i*size : (i+1)*size : (i+1)*size]
}

// Flat returns all pixels, [N,H,W,C]. It is a copy if the set is a view; otherwise it is Pixels
// itself, so do not write to it.
func (im *Images) Flat() []uint8 {
	if im.Rows == nil {
		return im.Pixels
	}
	pixels := make([]uint8, 0, im.N*im.ImageSize())
	for i := range im.N {
		pixels = append(pixels, im.Image(i)...)
	}
	return pixels
}

// Bytes is how many bytes the images take when they are stored: their pixels, and one byte for each
// label, or four if any label is above 255.
func (im *Images) Bytes() int64 {
	return int64(im.N) * int64(im.ImageSize()+LabelBytes(im.Labels))
}

// Scaled are all pixels as numbers in [-1, 1], see [Scale].
func (im *Images) Scaled() []float32 {
	size := im.ImageSize()
	pixels := make([]float32, im.N*size)
	for i := range im.N {
		Scale(pixels[i*size:], im.Image(i))
	}
	return pixels
}

// Select returns the images at idx, in that order, as a view that shares the pixels; an index
// may repeat. It panics if an index is not in [0, N), as indexing does.
func (im *Images) Select(idx []int) *Images {
	out := &Images{N: len(idx), H: im.H, W: im.W, C: im.C, Pixels: im.Pixels,
		Rows: make([]int32, len(idx)), Labels: make([]int32, len(idx))}
	for k, i := range idx {
		out.Rows[k], out.Labels[k] = im.row(i), im.Labels[i]
	}
	return out
}

// row is the place of image i in the store.
func (im *Images) row(i int) int32 {
	if im.Rows != nil {
		return im.Rows[i]
	}
	return int32(i)
}

// IndicesOf returns the indices of the images whose label is one of classes, ascending.
func (im *Images) IndicesOf(classes ...int) []int {
	wanted := make([]bool, highest(im.Labels)+1)
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

// Present lists the classes of which there are images, ascending.
func (im *Images) Present() (classes []int) {
	for c, n := range im.CountPerClass(int(highest(im.Labels)) + 1) {
		if n > 0 {
			classes = append(classes, c)
		}
	}
	return classes
}

// highest is the highest label, -1 of none.
func highest(labels []int32) int32 {
	top := int32(-1)
	for _, label := range labels {
		top = max(top, label)
	}
	return top
}

// Concat joins the images of all sets, one set after the other: a view where all share one store
// of pixels, a copy otherwise. Sets without images are skipped. It returns an error if two sets
// differ in H, W or C.
func Concat(sets ...*Images) (*Images, error) {
	out := &Images{}
	var joined []*Images
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
		joined = append(joined, s)
		out.Labels = append(out.Labels, s.Labels...)
	}
	if len(joined) == 0 {
		return out, nil
	}
	if len(joined) == 1 {
		out.Pixels, out.Rows = joined[0].Pixels, joined[0].Rows
		return out, nil
	}
	store := joined[0].Pixels
	if slices.ContainsFunc(joined, func(s *Images) bool { return !sameStore(s.Pixels, store) }) {
		out.Pixels = make([]uint8, 0, out.N*out.ImageSize())
		for _, s := range joined {
			for i := range s.N {
				out.Pixels = append(out.Pixels, s.Image(i)...)
			}
		}
		return out, nil
	}
	out.Pixels, out.Rows = store, make([]int32, 0, out.N)
	for _, s := range joined {
		for i := range s.N {
			out.Rows = append(out.Rows, s.row(i))
		}
	}
	return out, nil
}

// sameStore says whether two stores, not empty, are one memory.
func sameStore(a, b []uint8) bool { return len(a) > 0 && len(a) == len(b) && &a[0] == &b[0] }

// Validate returns an error if the slices do not hold N images of H, W, C.
func (im *Images) Validate() error {
	if im == nil {
		return errors.New("datasets: no images (nil); load a set with datasets.Load")
	}
	if im.N < 0 || im.H <= 0 || im.W <= 0 || im.C <= 0 {
		return errors.Errorf("datasets: images of shape [%d,%d,%d,%d]; N must be 0 or more, H, W and C at least 1",
			im.N, im.H, im.W, im.C)
	}
	if im.Rows != nil {
		held := int32(len(im.Pixels) / im.ImageSize())
		if i := slices.IndexFunc(im.Rows, func(row int32) bool { return row < 0 || row >= held }); i >= 0 || len(im.Rows) != im.N {
			return errors.Errorf("datasets: a view of %d images has %d rows, of a store of %d images; need a row for each, from 0 to %d",
				im.N, len(im.Rows), held, held-1)
		}
	} else if want := im.N * im.ImageSize(); len(im.Pixels) != want {
		return errors.Errorf("datasets: %d pixel bytes for images of shape [%d,%d,%d,%d]; need %d",
			len(im.Pixels), im.N, im.H, im.W, im.C, want)
	}
	if len(im.Labels) != im.N {
		return errors.Errorf("datasets: %d labels for %d images; need one for each", len(im.Labels), im.N)
	}
	return nil
}
