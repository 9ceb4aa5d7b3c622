package datasets

import (
	"maps"
	"slices"

	"github.com/pkg/errors"
)

// Images is a set of labelled images of one size, [H,W,C] each, row by row with the channels
// of a pixel side by side, 0 (black) to 255. Labels[i], 0 or more, is the class of image i. A set of no
// images (N == 0) is valid, but it has a size too: the zero value is no set. [Images.Validate] says whether
// all of this holds, which the other methods take for granted unless they return an error or say that they panic; of a
// nil pointer only those that return an error can be called.
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

// Validate returns an error unless tasks can be made of the set: it has 1 to [MaxClasses] classes; Train and Test, and Val where it is not
// nil, are valid; their images are of one size and number of channels; and every label is the number of a class. Images of several sizes
// are brought to one by [Dataset.Prepared], before which a set of the user's own has none.
func (d *Dataset) Validate() error {
	if err := d.named(); err != nil {
		return err
	}
	if d.own != nil && d.prep == nil {
		return errors.Errorf("the images of %s are not prepared; call Dataset.Prepared first", d.where())
	}
	for _, part := range []struct {
		name string
		*Images
	}{{"Train", d.Train}, {"Val", d.Val}, {"Test", d.Test}} {
		if part.Images == nil && part.name == "Val" {
			continue
		}
		if err := part.fit(part.name+" of "+d.where(), d.Train, "those of Train", len(d.Classes)); err != nil {
			return err
		}
	}
	return nil
}

// fit returns an error that begins with what unless the images are valid, of the size and channels of like, which likes names, and labelled
// by numbers of so many classes.
func (im *Images) fit(what string, like *Images, likes string, classes int) error {
	if err := im.Validate(); err != nil {
		return errors.WithMessage(err, what)
	}
	if im.H != like.H || im.W != like.W || im.C != like.C {
		return errors.Errorf("%s are %d×%d×%d, %s %d×%d×%d; need one size and number of channels: prepare them by Dataset.Prepared",
			what, im.H, im.W, im.C, likes, like.H, like.W, like.C)
	}
	if i := slices.IndexFunc(im.Labels, func(label int32) bool { return int(label) >= classes }); i >= 0 {
		return errors.Errorf("image %d of %s has the label %d; need 0 to %d: a class for each", i, what, im.Labels[i], classes-1)
	}
	return nil
}

// mustBeValid panics, with the method's name, where the set is not valid.
func (im *Images) mustBeValid(method string) {
	if err := im.Validate(); err != nil {
		panic(errors.WithMessage(err, "datasets.Images."+method))
	}
}

// named returns an error unless d has 1 to MaxClasses classes.
func (d *Dataset) named() error {
	switch {
	case d == nil:
		return errors.New("no set (nil); load one with datasets.Load")
	case len(d.Classes) < 1 || len(d.Classes) > MaxClasses:
		return errors.Errorf("%s has the names of %d classes (Dataset.Classes); need 1 to %d", d.where(), len(d.Classes), MaxClasses)
	}
	return nil
}

// ImageSize is the number of bytes of one image, H·W·C.
func (im *Images) ImageSize() int { return im.H * im.W * im.C }

// Image returns the pixels of image i, [H,W,C], without copying. It panics if i is not
// in [0, N), as indexing does.
func (im *Images) Image(i int) []uint8 {
	if i < 0 || i >= im.N {
		panic(errors.Errorf("datasets.Images.Image: image %d of %d; need 0 to %d", i, im.N, im.N-1))
	}
	if im.Rows != nil {
		i = int(im.Rows[i])
	}
	size := im.ImageSize()
	return im.Pixels[i*size : (i+1)*size : (i+1)*size]
}

// Flat returns all pixels, [N,H,W,C]. It is a copy if the set is a view; otherwise it is Pixels
// itself, so do not write to it. It panics if a view is not valid.
func (im *Images) Flat() []uint8 {
	if im.Rows == nil {
		return im.Pixels
	}
	im.mustBeValid("Flat")
	pixels := make([]uint8, 0, im.N*im.ImageSize())
	for i := range im.N {
		pixels = append(pixels, im.Image(i)...)
	}
	return pixels
}

// Bytes is how many bytes the images take when they are stored: their pixels, and one byte for each
// label, or four if any label is above 255 (see [LabelBytes]).
func (im *Images) Bytes() int64 {
	return int64(im.N) * int64(im.ImageSize()+LabelBytes(im.Labels))
}

// Scaled are all pixels as numbers in [-1, 1], see [Scale]. It panics if the set is not valid.
func (im *Images) Scaled() []float32 {
	im.mustBeValid("Scaled")
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
	wanted := map[int]bool{}
	for _, c := range classes {
		wanted[c] = true
	}
	var idx []int
	for i, label := range im.Labels {
		if wanted[int(label)] {
			idx = append(idx, i)
		}
	}
	return idx
}

// CountPerClass returns the number of images of each class 0 .. classes-1. Labels that are none of
// these are not counted. It panics unless classes is from 0 to [MaxClasses].
func (im *Images) CountPerClass(classes int) []int {
	if classes < 0 || classes > MaxClasses {
		panic(errors.Errorf("datasets.Images.CountPerClass: %d classes; need 0 to %d", classes, MaxClasses))
	}
	n := make([]int, classes)
	for _, label := range im.Labels {
		if label >= 0 && int(label) < classes {
			n[label]++
		}
	}
	return n
}

// Present lists the classes of which there are images, ascending.
func (im *Images) Present() (classes []int) {
	present := map[int]bool{}
	for _, label := range im.Labels {
		present[int(label)] = true
	}
	return slices.Sorted(maps.Keys(present))
}

// Concat joins the images of all sets, one set after the other: a view where all share one store
// of pixels, a copy otherwise. Sets without images are skipped, nil among them; where there is no other, the
// result has the size of the first that has one, and is the zero value where none has. It returns an error if two
// sets differ in H, W or C, and if one is not valid.
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
		if err := s.Validate(); err != nil {
			return nil, errors.WithMessagef(err, "datasets.Concat: set %d", k)
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

// imagesIn is how many images of shape [h,w,c] so many values are; ok is false where they are no whole number of images, or where a
// side is below 1. It multiplies nothing that could overflow.
func imagesIn(values, h, w, c int) (n int, ok bool) {
	if min(h, w, c) < 1 {
		return 0, false
	}
	n = values / h / w / c
	return n, n*h*w*c == values
}

// Validate returns an error if the slices do not hold N images of H, W, C with a label of 0 or more each.
func (im *Images) Validate() error {
	if im == nil {
		return errors.New("datasets: no images (nil); load a set with datasets.Load")
	}
	if im.N < 0 || im.H <= 0 || im.W <= 0 || im.C <= 0 {
		return errors.Errorf("datasets: images of shape [%d,%d,%d,%d]; N must be 0 or more, H, W and C at least 1",
			im.N, im.H, im.W, im.C)
	}
	held, whole := imagesIn(len(im.Pixels), im.H, im.W, im.C)
	if im.Rows != nil {
		if i := slices.IndexFunc(im.Rows, func(row int32) bool { return row < 0 || int(row) >= held }); i >= 0 || len(im.Rows) != im.N {
			return errors.Errorf("datasets: a view of %d images has %d rows, of a store of %d images; need a row for each, from 0 to %d",
				im.N, len(im.Rows), held, held-1)
		}
	} else if !whole || held != im.N {
		return errors.Errorf("datasets: %d pixel bytes for images of shape [%d,%d,%d,%d]; need %d×%d×%d×%d",
			len(im.Pixels), im.N, im.H, im.W, im.C, im.N, im.H, im.W, im.C)
	}
	if len(im.Labels) != im.N {
		return errors.Errorf("datasets: %d labels for %d images; need one for each", len(im.Labels), im.N)
	}
	if i := slices.IndexFunc(im.Labels, func(label int32) bool { return label < 0 }); i >= 0 {
		return errors.Errorf("datasets: image %d has the label %d; need 0 or more: leave images without a label out", i, im.Labels[i])
	}
	return nil
}
