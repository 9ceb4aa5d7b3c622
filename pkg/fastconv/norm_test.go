//go:build cgo && linux && (amd64 || arm64)

package fastconv

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// TestNorm compares GroupNorm and SiLU with float64, the gradients with central differences of float64 along a direction,
// and all bits over numbers of threads and widths of vectors, and over statistics taken anew or known.
func TestNorm(t *testing.T) {
	needKernels(t)
	rng := rand.New(rand.NewPCG(11, 12))
	shapes := []normShape{{1, 1, 8, 8}, {2, 16, 512, 32}, {33, 4, 16, 1}, {2, 1024, 24, 3}, {3, 49, 17, 17}, {2, 35, 30, 5}}
	for range 10 {
		g := 1 + rng.IntN(8)
		shapes = append(shapes, normShape{1 + rng.IntN(4), 1 + rng.IntN(70), g * (8 + rng.IntN(12)), g})
	}
	for _, s := range shapes {
		n := s.b * s.p * s.c
		x, gamma, beta, dy := uniform(rng, n), uniform(rng, s.c), uniform(rng, s.c), uniform(rng, n)
		statistics := make([]float32, 2*s.b*s.c)
		x[0] = 90 // an exponent far outside of float32's range of e^x, where scale is not small
		y, _, _, err := normalise(s, x, gamma, beta, nil, statistics, 1, 0)
		if err != nil {
			t.Fatal(err)
		}
		var off, size float64
		for i, want := range plainNorm(s, x, gamma, beta) {
			off, size = off+(float64(y[i])-want)*(float64(y[i])-want), size+want*want
		}
		if !(math.Sqrt(off/size) <= 1e-5) {
			t.Errorf("%+v: relative error %.1e", s, math.Sqrt(off/size))
		}
		x[0] = 1
		if y, _, _, err = normalise(s, x, gamma, beta, nil, statistics, 1, 0); err != nil {
			t.Fatal(err)
		}
		dx, dgamma, dbeta, err := normalise(s, x, gamma, beta, dy, nil, 1, 0)
		if err != nil {
			t.Fatal(err)
		}
		loss := func() (sum float64) { // Σ dy·y
			for i, y := range plainNorm(s, x, gamma, beta) {
				sum += float64(dy[i]) * y
			}
			return sum
		}
		difference := func(a []float32, i int) float64 {
			before := a[i]
			a[i] = before + 1.0/512
			up, high := loss(), float64(a[i])
			a[i] = before - 1.0/512
			down, low := loss(), float64(a[i])
			a[i] = before
			return (up - down) / (high - low)
		}
		if s.p*s.c/s.g > 1 { // one value normalised is 0 whatever it was
			for range 3 {
				for k, a := range [][]float32{x, gamma, beta} {
					i, got := rng.IntN(len(a)), [][]float32{dx, dgamma, dbeta}[k]
					// The third derivative of a loss of this size, times the square of the step over 6, stays below a thousandth.
					if want := difference(a, i); math.Abs(float64(got[i])-want) > 1e-3*(1+math.Abs(want)) {
						t.Errorf("%+v: the gradient of %s at %d is %g, differences give %g", s, []string{"x", "gamma", "beta"}[k], i, got[i], want)
					}
				}
			}
		}
		for _, threads := range []int{2, 5} {
			for _, vector := range []int{0, 8} {
				y2, _, _, err := normalise(s, x, gamma, beta, nil, nil, threads, vector)
				if err != nil {
					t.Fatal(err)
				}
				dx2, dgamma2, dbeta2, err := normalise(s, x, gamma, beta, dy, statistics, threads, vector)
				if err != nil {
					t.Fatal(err)
				}
				if !slices.Equal(y, y2) || !slices.Equal(dx, dx2) || !slices.Equal(dgamma, dgamma2) || !slices.Equal(dbeta, dbeta2) {
					t.Errorf("%+v: %d threads with vectors of at most %d floats, and statistics that are known, give other bits", s, threads, vector)
				}
			}
		}
	}
}
