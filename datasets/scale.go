package datasets

import (
	"math"
	"math/rand/v2"

	"github.com/pkg/errors"
)

// Scale writes bytes as numbers in [-1, 1]: dst[i] = src[i]/127.5 - 1. It panics if dst is shorter than src.
func Scale(dst []float32, src []uint8) {
	if len(dst) < len(src) {
		panic(errors.Errorf("datasets.Scale: room for %d numbers, and %d bytes", len(dst), len(src)))
	}
	for i, v := range src {
		dst[i] = scaled[v]
	}
}

// scaled holds v/127.5 - 1, computed in float64 and rounded once.
var scaled = func() (t [256]float32) {
	for v := range t {
		t[v] = float32(float64(v)/127.5 - 1)
	}
	return t
}()

// Unscale is the inverse of Scale for samples of a model: dst[i] = 127.5·(src[i]+1),
// rounded to the nearest and clamped to 0 .. 255; NaN becomes 0. It panics if dst is shorter than src.
func Unscale(dst []uint8, src []float32) {
	if len(dst) < len(src) {
		panic(errors.Errorf("datasets.Unscale: room for %d bytes, and %d numbers", len(dst), len(src)))
	}
	for i, v := range src {
		x := math.Round(127.5 * (float64(v) + 1))
		switch {
		case x >= 255:
			dst[i] = 255
		case x > 0: // false for NaN
			dst[i] = uint8(x)
		default:
			dst[i] = 0
		}
	}
}

// Flips says for each of the rows of a training step's batch whether it is flipped, each
// with probability 1/2. It depends on seed and step alone and keeps no state, so a
// resumed run flips as an uninterrupted one does. It panics if rows is negative.
func Flips(seed, step uint64, rows int) []bool {
	if rows < 0 {
		panic(errors.Errorf("datasets.Flips: %d rows; need 0 or more", rows))
	}
	r := rand.New(rand.NewPCG(seed, streamFlip<<56|step))
	flips := make([]bool, rows)
	for i := range flips {
		flips[i] = r.Uint64()>>63 == 1
	}
	return flips
}

// FlipRow mirrors one image [H,W,C] left to right in place. It panics unless image is one image of that shape.
func FlipRow[T uint8 | float32](image []T, h, w, c int) {
	if n, ok := imagesIn(len(image), h, w, c); !ok || n != 1 {
		panic(errors.Errorf("datasets.FlipRow: %d values as an image of shape [%d,%d,%d]; need %d×%d×%d, each at least 1", len(image), h, w, c, h, w, c))
	}
	for y := range h {
		line := image[y*w*c : (y+1)*w*c]
		for x := range w / 2 {
			a, b := line[x*c:(x+1)*c], line[(w-1-x)*c:(w-x)*c]
			for ch := range c {
				a[ch], b[ch] = b[ch], a[ch]
			}
		}
	}
}
