package metrics

import (
	"crypto/sha256"
	"math"
	"slices"
	"unsafe"

	"github.com/pkg/errors"
	"gonum.org/v1/gonum/blas/blas32"

	"palimpsest/datasets"
)

// DefaultCopyRatio is the usual bound on the distance ratio below which a sample is a copy,
// [yoon23], [gu23].
const DefaultCopyRatio = 1.0 / 3

// ErrFewImages is the cause, by errors.Is, when a set of images holds fewer than two distinct
// ones: with no second nearest image there is no ratio, and memorisation is not defined (it is
// neither 0 nor 1).
var ErrFewImages = errors.New("fewer than two distinct images")

// ImageSet is a set of distinct images, a replay buffer or training images, in which nearest
// neighbours are looked up. It is safe for concurrent use.
//
// Equal images count once. With two copies of one image in the set, a sample that copies it
// would have d1 = d2 and so a ratio of 1 or 0/0, the opposite of what it is; with duplicates
// removed, an exact copy always has d1 = 0 < d2. Near-duplicates do remain and can hide a copy,
// as they do in the literature.
//
// Where training mirrors images left to right, a mirrored copy is a copy: a set made by [NewMirroredSet] takes for the
// distance to an image the smaller of those to it and to its mirror image. An image and its own mirror image are thus
// one image, never nearest and second nearest.
type ImageSet struct {
	size    int       // values an image
	pixels  []float32 // [len(first), size], distinct
	norm    []float64 // squared norms
	maxNorm float64   // largest norm
	first   []int     // number of each distinct image in the caller's slice, ascending

	thumbnails thumbnailer
	sketches   sketches // of distinct images

	// Height, width and channels of images that are mirrored; 0: none are.
	h, w, c int
}

// What an image of a set has at most, which is more than any that is trained on: a side, and values.
const maxSide, maxValues = 1 << 14, 1 << 28

// newImageSet is [NewMirroredSet] of images that are not mirrored. It copies what it keeps. The shape
// of an image changes no result, but a search is quicker where neighbouring values are known.
func newImageSet(pixels []float32, h, w, c int) (*ImageSet, error) {
	size := h * w * c
	if h < 1 || w < 1 || c < 1 || max(h, w, c) > maxSide || size > maxValues {
		return nil, errors.Errorf("metrics.ImageSet: images of %d×%d with %d channels; need numbers from 1 to %d, and at most %d values an image", h, w, c, maxSide, maxValues)
	}
	if err := checkImages("metrics.ImageSet", pixels, size); err != nil {
		return nil, err
	}
	if err := checkLevels("metrics.ImageSet", pixels); err != nil {
		return nil, err
	}
	s := &ImageSet{size: size, thumbnails: newThumbnailer(h, w, c)}
	seen := make(map[[sha256.Size]byte]struct{}, len(pixels)/size)
	s.pixels = make([]float32, 0, len(pixels)) // grown as it goes it would take twice that
	for i := range len(pixels) / size {
		img := pixels[i*size : (i+1)*size]
		key := sha256.Sum256(unsafe.Slice((*byte)(unsafe.Pointer(&img[0])), 4*size))
		if _, dup := seen[key]; dup {
			continue
		}
		seen[key] = struct{}{}
		s.pixels = append(s.pixels, img...)
		s.first = append(s.first, i)
		n := squaredNorm(img)
		s.norm = append(s.norm, n)
		s.maxNorm = math.Max(s.maxNorm, math.Sqrt(n))
	}
	s.sketches = newSketches(s.thumbnails.size+1, s.Len(), s.sketcher(s.pixels))
	return s, nil
}

// Len returns the number of distinct images.
func (s *ImageSet) Len() int { return len(s.first) }

// NewMirroredSet makes a set of images [H, W, C], flat [N, H, W, C] in [-1, 1], that training mirrors left to right. N may be 0 or 1:
// then [ImageSet.Nearest] returns [ErrFewImages]. It returns an error if the shape is none, or pixels is not a whole number of images or holds
// a value that is not finite.
func NewMirroredSet(pixels []float32, h, w, c int) (*ImageSet, error) {
	s, err := newImageSet(pixels, h, w, c)
	if err != nil {
		return nil, err
	}
	s.h, s.w, s.c = h, w, c
	return s, nil
}

// between is the set of the images numbered from (included) to (excluded) in the slice that the set was made of, less those
// that repeat an earlier one. It shares their memory.
func (s *ImageSet) between(from, to int) *ImageSet {
	a, b := s.rowOf(from), s.rowOf(to)
	part := *s
	part.pixels, part.norm, part.first = s.pixels[a*s.size:b*s.size], s.norm[a:b], s.first[a:b]
	part.sketches = s.sketches.between(a, b)
	return &part
}

// sketcher sketches images for [newSketches].
func (s *ImageSet) sketcher(images []float32) func(i int, row []float64) {
	return func(i int, row []float64) { s.thumbnails.sketch(images[i*s.size:(i+1)*s.size], row) }
}

// rowOf is how many distinct images come before image number i.
func (s *ImageSet) rowOf(i int) int {
	row, _ := slices.BinarySearch(s.first, i)
	return row
}

// mirrors says whether mirrored copies are copies.
func (s *ImageSet) mirrors() bool { return s.w > 0 }

// mirrored are images [H, W, C], one after another, mirrored left to right.
func mirrored(images []float32, h, w, c int) []float32 {
	out, size := slices.Clone(images), h*w*c
	for start := 0; start < len(out); start += size {
		datasets.FlipRow(out[start:start+size], h, w, c)
	}
	return out
}

// Neighbour says how near a sample comes to a set of images.
type Neighbour struct {
	Index  int     // the nearest image, by its number in the slice that the set was made of
	D1, D2 float64 // Euclidean distances to the nearest and to the second nearest distinct image
}

// Copy says whether the sample is a copy of its nearest image: D1 < ratio·D2, [yoon23], [gu23].
func (n Neighbour) Copy(ratio float64) bool { return n.D1 < ratio*n.D2 }

// Nearest finds, for each of the samples, flat [N, size] in [-1, 1], its two nearest images of
// the set. Thumbnails, whose distances are never larger ([sketches]), rule out most of the set, and float32
// scalar products, |x-y|² = |x|² + |y|² - 2·x·y, most of the rest, both within their proven
// rounding errors. What is left is measured in float64 from the differences, so the result is
// that of an exhaustive float64 search.
//
// It returns an error whose cause is [ErrFewImages] if the set has fewer than two distinct
// images, and others if samples is not a whole number of images or not finite.
func (s *ImageSet) Nearest(samples []float32) ([]Neighbour, error) {
	if err := checkImages("metrics.ImageSet.Nearest", samples, s.size); err != nil {
		return nil, err
	}
	if err := checkLevels("metrics.ImageSet.Nearest", samples); err != nil {
		return nil, err
	}
	if s.Len() < 2 {
		return nil, errors.Wrapf(ErrFewImages, "metrics.ImageSet.Nearest: %d distinct images, need 2 for a distance ratio", s.Len())
	}
	return s.nearest(samples), nil
}

// nearest is Nearest of a set of any size; where there is no nearest or second nearest image, its distance is infinite
// and its number -1.
func (s *ImageSet) nearest(samples []float32) []Neighbour {
	near := s.search(samples)
	if s.mirrors() {
		for i, other := range s.search(mirrored(samples, s.h, s.w, s.c)) {
			near[i] = near[i].merge(other)
		}
	}
	out := make([]Neighbour, len(near))
	for i, p := range near {
		out[i] = Neighbour{Index: -1, D1: p.distance[0], D2: p.distance[1]}
		if row := p.row[0]; row >= 0 {
			out[i].Index = s.first[row]
		}
	}
	return out
}

// pair are the two nearest distinct images of a sample, by their rows in the set; -1 and Inf where there is none.
type pair struct {
	row      [2]int
	distance [2]float64
}

// noPair has found nothing yet.
func noPair() pair { return pair{[2]int{-1, -1}, [2]float64{math.Inf(1), math.Inf(1)}} }

// add takes in one image, which may be among the two already.
func (p *pair) add(row int, distance float64) {
	switch {
	case row == p.row[0]:
		p.distance[0] = min(p.distance[0], distance)
	case distance < p.distance[0]:
		p.row, p.distance = [2]int{row, p.row[0]}, [2]float64{distance, p.distance[0]}
	case distance < p.distance[1]:
		p.row[1], p.distance[1] = row, distance
	}
}

// merge is the pair of two searches in one set.
func (p pair) merge(o pair) pair {
	p.add(o.row[0], o.distance[0])
	p.add(o.row[1], o.distance[1])
	return p
}

// search finds the two nearest images of each sample.
func (s *ImageSet) search(samples []float32) []pair {
	out := make([]pair, len(samples)/s.size)
	s.sketches.compare(len(out), s.sketcher(samples), func(i int, of sketched) {
		out[i] = s.nearestOf(samples[i*s.size:(i+1)*s.size], of)
	})
	return out
}

// nearestOf finds the two nearest images of x, whose sketch is compared with those of the set.
func (s *ImageSet) nearestOf(x []float32, small sketched) pair {
	bound := math.Inf(1) // no image at a larger squared distance is among the two nearest
	// Of any two images, the farther one bounds the distance to the second nearest: take those whose sketches are nearest.
	if first, second := small.nearest(); second >= 0 {
		bound = math.Max(s.squaredDistance(x, first), s.squaredDistance(x, second))
	}
	norm := squaredNorm(x)
	slack := dotError(s.size, math.Sqrt(norm), s.maxNorm)
	least := s.sketches.least(small, bound)
	of := blas32.Vector{N: s.size, Data: x, Inc: 1}
	near := noPair()
	for j, c := range small.closeness {
		if c < least {
			continue
		}
		dot := blas32.Dot(of, blas32.Vector{N: s.size, Data: s.pixels[j*s.size : (j+1)*s.size], Inc: 1})
		if norm+s.norm[j]-2*float64(dot) > bound+slack {
			continue
		}
		near.add(j, math.Sqrt(s.squaredDistance(x, j)))
		// A little more than the square, which the root has rounded.
		if d := near.distance[1] * near.distance[1] * (1 + 0x1p-50); d < bound {
			bound = d
			least = s.sketches.least(small, bound)
		}
	}
	return near
}

// squaredDistance is that of x to image j, in float64 from the differences.
func (s *ImageSet) squaredDistance(x []float32, j int) float64 {
	y, sum := s.pixels[j*s.size:(j+1)*s.size], 0.0
	for p, v := range x {
		diff := float64(v) - float64(y[p])
		sum += diff * diff
	}
	return sum
}

// dotError bounds the error of |x|² + |y|² - 2·x·y whose scalar product, of n terms, is computed in float32: it errs by at
// most n·u·|x|·|y| (first order, u = 2^-24, any order of summation), the sum by twice that; 1.01 covers the higher orders.
func dotError(n int, x, y float64) float64 { return 1.01 * 2 * float64(n) * 0x1p-24 * x * y }

// weightedCopyShare is the share of samples that are copies by [Neighbour.Copy], NaN without samples, counting by weights; nil: all alike.
func weightedCopyShare(neighbours []Neighbour, ratio float64, weights []float64) float64 {
	return shareWhere(len(neighbours), weights, func(i int) bool { return neighbours[i].Copy(ratio) })
}

// squaredNorm returns |x|² in float64.
func squaredNorm(x []float32) float64 {
	sum := 0.0
	for _, v := range x {
		sum += float64(v) * float64(v)
	}
	return sum
}

// checkLevels checks that values are no farther from [-1, 1] than scalar products in float32 bear.
func checkLevels(who string, pixels []float32) error {
	const most = 1e6
	if i := slices.IndexFunc(pixels, func(v float32) bool { return v > most || v < -most }); i >= 0 {
		return notFinitef("%s: value %d is %g; need values in [-1, 1], or at most %g in size: did the sampler diverge?", who, i, pixels[i], float64(most))
	}
	return nil
}

// checkImages checks that pixels holds a whole number of images of finite values.
func checkImages(who string, pixels []float32, size int) error {
	if size < 1 || len(pixels)%size != 0 {
		return errors.Errorf("%s: %d values are not a whole number of images of %d values", who, len(pixels), size)
	}
	for i, v := range pixels {
		if f := float64(v); math.IsNaN(f) || math.IsInf(f, 0) {
			return notFinitef("%s: value %d of image %d is %g; need finite values in [-1, 1]: did the sampler diverge?",
				who, i%size, i/size, v)
		}
	}
	return nil
}
