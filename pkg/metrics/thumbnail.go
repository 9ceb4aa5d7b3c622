package metrics

import "math"

// thumbnailEdge is the side of the squares of pixels that a thumbnail has one of: 4, which leaves a sixteenth to compare and still most
// of what makes images differ; of images of at most 16×16 pixels, in which less is alike, 2.
func thumbnailEdge(h, w int) int {
	if h*w <= 16*16 {
		return 2
	}
	return 4
}

// thumbnailer makes small pictures of images that are never farther apart than the images: the sum of each square of
// [thumbnailEdge]² pixels, cut off at the border, in each channel, over the root of their number p. These are coordinates
// along orthonormal directions, for which
//
//	Σ_square (Σ_pixels (x-y))² / p ≤ Σ (x-y)²
type thumbnailer struct {
	size  int       // values a thumbnail
	place []int     // of each value of an image in the thumbnail
	scale []float64 // of each value of a thumbnail
}

func newThumbnailer(h, w, c int) thumbnailer {
	edge := thumbnailEdge(h, w)
	across, down := (w+edge-1)/edge, (h+edge-1)/edge
	t := thumbnailer{size: down * across * c, place: make([]int, 0, h*w*c)}
	pixels := make([]float64, t.size)
	for y := range h {
		for x := range w {
			for channel := range c {
				k := (y/edge*across+x/edge)*c + channel
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

// sketch writes the thumbnail of an image, and the length of what it leaves of it, [size+1].
func (t thumbnailer) sketch(image []float32, row []float64) {
	sums := row[:t.size]
	clear(sums)
	for p, v := range image {
		sums[t.place[p]] += float64(v)
	}
	for k, scale := range t.scale {
		sums[k] *= scale * scale // the mean
	}
	rest := 0.0
	for p, v := range image {
		diff := float64(v) - sums[t.place[p]]
		rest += diff * diff
	}
	for k, scale := range t.scale {
		sums[k] /= scale
	}
	row[t.size] = math.Sqrt(rest)
}
