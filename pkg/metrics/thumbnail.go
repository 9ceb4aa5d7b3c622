package metrics

import "math"

// thumbnailEdge is the side of the squares of pixels that a thumbnail has one of: 16 times less to compare, and still most
// of what makes images differ.
const thumbnailEdge = 4

// thumbnailer makes small pictures of images that are never farther apart than the images: the sum of each square of
// thumbnailEdge² pixels, cut off at the border, in each channel, over the root of their number p. These are coordinates
// along orthonormal directions, for which
//
//	Σ_square (Σ_pixels (x-y))² / p ≤ Σ (x-y)²
type thumbnailer struct {
	size  int       // values a thumbnail
	place []int     // of each value of an image in the thumbnail
	scale []float64 // of each value of a thumbnail
}

func newThumbnailer(h, w, c int) thumbnailer {
	across, down := (w+thumbnailEdge-1)/thumbnailEdge, (h+thumbnailEdge-1)/thumbnailEdge
	t := thumbnailer{size: down * across * c, place: make([]int, 0, h*w*c)}
	pixels := make([]float64, t.size)
	for y := range h {
		for x := range w {
			for channel := range c {
				k := (y/thumbnailEdge*across+x/thumbnailEdge)*c + channel
				t.place = append(t.place, k)
				pixels[k]++
			}
		}
	}
	for _, p := range pixels {
		t.scale = append(t.scale, 1/math.Sqrt(p))
	}
	return t
}

// of returns the thumbnails of images, one after another, and their squared norms.
func (t thumbnailer) of(images []float32) (small []float32, norms []float64) {
	n := len(images) / len(t.place)
	small, norms = make([]float32, n*t.size), make([]float64, n)
	sums := make([]float64, t.size)
	for i := range n {
		clear(sums)
		for p, v := range images[i*len(t.place) : (i+1)*len(t.place)] {
			sums[t.place[p]] += float64(v)
		}
		out := small[i*t.size : (i+1)*t.size]
		for k, sum := range sums {
			out[k] = float32(sum * t.scale[k])
		}
		norms[i] = squaredNorm(out)
	}
	return small, norms
}

// limit is the largest squared distance of thumbnails, computed from their norms and a float32 scalar product, that images
// can have whose squared distance is at most bound. Their norms are at most a and b.
func (t thumbnailer) limit(bound, a, b float64) float64 {
	const u = 0x1p-24
	// Rounded to float32, each thumbnail is off by u times its norm, which is no more than the image's (1.01 covers the
	// rounding of the sums before, in float64).
	distance := math.Sqrt(bound) + 1.01*u*(a+b)
	return distance*distance + dotError(t.size, a*(1+u), b*(1+u))
}
