//go:build cgo && linux && (amd64 || arm64)

package fastconv

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

var allKinds = []string{forward, inputGradient, filterGradient}

// needKernels skips the test where the processor has no vectors the kernels use.
func needKernels(t testing.TB) {
	if Vectors() == "none" {
		t.Skip("this processor has no AVX2 with FMA")
	}
}

func uniform(rng *rand.Rand, n int) []float32 {
	x := make([]float32, n)
	for i := range x {
		x[i] = 2*rng.Float32() - 1
	}
	return x
}

// relativeError is the root of the mean square difference from the plain sum over that of the plain sum, of some values
// drawn at random.
func relativeError(rng *rand.Rand, kind string, s shape, a, b, out []float32) float64 {
	var off, size float64
	for range 200 {
		i := rng.IntN(len(out))
		want := plain(kind, s, a, b, i)
		off, size = off+(float64(out[i])-want)*(float64(out[i])-want), size+want*want
	}
	return math.Sqrt(off / size)
}

// checkShape compares every kernel with the plain sum, and its bits over numbers of threads and widths of vectors.
func checkShape(t testing.TB, rng *rand.Rand, s shape) {
	for _, kind := range allKinds {
		if s.c < minChannels && kind != forward {
			continue
		}
		na, nb, _ := s.operands(kind)
		a, b := uniform(rng, na), uniform(rng, nb)
		want, err := kernel(kind, s, a, b, 1, 0)
		if err != nil {
			t.Fatal(err)
		}
		if e := relativeError(rng, kind, s, a, b, want); !(e <= 2e-5) {
			t.Errorf("%s of %+v: relative error %.1e", kind, s, e)
		}
		for _, threads := range []int{1, 2, 3, 8} {
			for _, vector := range []int{0, 8} {
				got, err := kernel(kind, s, a, b, threads, vector)
				if err != nil {
					t.Fatal(err)
				}
				if !slices.Equal(got, want) {
					t.Errorf("%s of %+v: %d threads with vectors of at most %d floats give other bits", kind, s, threads, vector)
				}
			}
		}
	}
}

// TestKernels runs shapes at the edges of what is taken, those of the presets that differ in kind, and random ones.
func TestKernels(t *testing.T) {
	needKernels(t)
	rng := rand.New(rand.NewPCG(1, 2))
	shapes := []shape{
		{1, 4, 4, 8, 8}, {1, 4, 4, 16, 512}, {1, 4, 5, 512, 8}, {2, 28, 28, 16, 32}, {2, 7, 7, 64, 32}, {2, 8, 8, 320, 272},
		{70, 4, 4, 16, 16}, {33, 8, 8, 48, 17}, {8, 32, 32, 32, 32},
	}
	for range 25 {
		shapes = append(shapes, shape{1 + rng.IntN(4), 4 + rng.IntN(14), 4 + rng.IntN(14), 8 + rng.IntN(70), 8 + rng.IntN(70)})
	}
	for range 25 {
		shapes = append(shapes, shape{1 + rng.IntN(4), 4 + rng.IntN(14), 4 + rng.IntN(24), 1 + rng.IntN(7), 8 + rng.IntN(70)})
	}
	for _, s := range shapes {
		checkShape(t, rng, s)
	}
}

// TestPlain compares the kernels of small convolutions with the plain sum, and their bits over numbers of threads and widths of vectors.
func TestPlain(t *testing.T) {
	needKernels(t)
	rng := rand.New(rand.NewPCG(15, 16))
	for kind, shapes := range map[string][]shape{
		half: {{3, 16, 16, 16, 16}, {2, 8, 8, 32, 32}, {1, 4, 6, 16, 16}, {2, 14, 22, 32, 32}, {1, 28, 28, 16, 16}},
		one:  {{3, 16, 16, 16, 1}, {1, 4, 5, 16, 1}, {2, 9, 31, 16, 1}},
	} {
		for _, s := range shapes {
			na, nb, _ := s.operands(kind)
			a, b := uniform(rng, na), uniform(rng, nb)
			want, err := kernel(kind, s, a, b, 1, 0)
			if err != nil {
				t.Fatal(err)
			}
			if e := relativeError(rng, kind, s, a, b, want); !(e <= 1e-6) {
				t.Errorf("%s of %+v: relative error %.1e", kind, s, e)
			}
			for _, threads := range []int{1, 2, 5} {
				for _, vector := range []int{0, 8} {
					if got, err := kernel(kind, s, a, b, threads, vector); err != nil || !slices.Equal(got, want) {
						t.Errorf("%s of %+v: %d threads with vectors of at most %d floats give other bits (%v)", kind, s, threads, vector, err)
					}
				}
			}
		}
	}
	for kind, s := range map[string]shape{half: {1, 8, 8, 24, 24}, one: {1, 8, 8, 17, 1}} {
		na, nb, _ := s.operands(kind)
		if _, err := kernel(kind, s, make([]float32, na), make([]float32, nb), 1, 0); err == nil {
			t.Errorf("%s of %+v is not refused", kind, s)
		}
	}
}

// TestResidual makes sure that a residual block has the bits that its parts give one by one, whatever the number of threads and the
// vectors are.
func TestResidual(t *testing.T) {
	needKernels(t)
	rng := rand.New(rand.NewPCG(17, 18))
	shapes := []block{{shape{9, 16, 16, 48, 16}, 8, 16, true}, {shape{33, 4, 4, 128, 64}, 8, 64, true}, {shape{10, 8, 8, 16, 32}, 8, 0, true},
		{shape{5, 6, 9, 22, 32}, 2, 3, true}, {shape{8, 5, 7, 9, 30}, 3, 0, false}, {shape{2, 4, 4, 128, 256}, 4, 0, false}}
	for range 6 {
		g := 1 + rng.IntN(4)
		shapes = append(shapes, block{shape{1 + rng.IntN(20), 4 + rng.IntN(14), 4 + rng.IntN(14), g * (8 + rng.IntN(9)), g * (8 + rng.IntN(9))}, g, rng.IntN(8), false})
	}
	for i, s := range shapes {
		nx, n, _ := s.operands()
		x := uniform(rng, nx)
		var others [13][]float32
		for j := range others {
			if j != 10 || i%2 == 0 {
				others[j] = uniform(rng, n[j])
			}
		}
		want, err := residualParts(s, x, others)
		if err != nil {
			t.Fatal(err)
		}
		if s.skip {
			got, err := residualBlock(s, x, others, 1, 0)
			if err != nil {
				t.Fatal(err)
			}
			var off, size float64
			for i := range want {
				off, size = off+math.Pow(float64(got[i])-float64(want[i]), 2), size+math.Pow(float64(want[i]), 2)
			}
			if !(math.Sqrt(off/size) <= 1e-6) {
				t.Errorf("%+v: relative error %.1e", s, math.Sqrt(off/size))
			}
			want = got
		}
		for _, threads := range []int{1, 2, 5} {
			for _, vector := range []int{0, 8} {
				if got, err := residualBlock(s, x, others, threads, vector); err != nil || !slices.Equal(got, want) {
					t.Errorf("%+v: %d threads with vectors of at most %d floats give other bits than the parts (%v)", s, threads, vector, err)
				}
			}
		}
	}
}

// TestTerms makes sure that what is added inside the kernel gives the bits that it gives when added after it, term by term.
func TestTerms(t *testing.T) {
	needKernels(t)
	rng := rand.New(rand.NewPCG(7, 8))
	for _, s := range []shape{{2, 8, 8, 16, 32}, {3, 5, 7, 9, 31}, {3, 6, 11, 3, 21}} {
		nx, nw, ny := s.operands(forward)
		x, w := uniform(rng, nx), uniform(rng, nw)
		alone, err := kernel(forward, s, x, w, 1, 0)
		if err != nil {
			t.Fatal(err)
		}
		all := terms{uniform(rng, s.k), uniform(rng, s.b*s.k), uniform(rng, ny), uniform(rng, s.k)}
		for choice := range 16 {
			chosen := func(i int, x []float32) []float32 {
				if choice>>i&1 == 0 {
					return nil
				}
				return x
			}
			some := terms{chosen(0, all.bias), chosen(1, all.image), chosen(2, all.other), chosen(3, all.otherBias)}
			want := slices.Clone(alone)
			for i := range want {
				k := i % s.k
				if some.bias != nil {
					want[i] += some.bias[k]
				}
				if some.image != nil {
					want[i] += some.image[i/(s.h*s.w*s.k)*s.k+k]
				}
				if some.other != nil {
					other := some.other[i]
					if some.otherBias != nil {
						other += some.otherBias[k]
					}
					want[i] += other
				}
			}
			for _, vector := range []int{0, 8} {
				got, err := kernelWith(forward, s, x, w, some, 2, vector)
				if err != nil {
					t.Fatal(err)
				}
				if !slices.Equal(got, want) {
					t.Errorf("%+v, choice %04b of terms, vectors of at most %d: other bits", s, choice, vector)
				}
			}
		}
	}
}

// TestDoubled makes sure that a convolution of doubled pixels has the bits of that of an image that holds them repeated, whatever the
// number of threads and the vectors are.
func TestDoubled(t *testing.T) {
	needKernels(t)
	rng := rand.New(rand.NewPCG(19, 20))
	shapes := []shape{{3, 8, 8, 32, 32}, {20, 4, 4, 64, 64}, {1, 2, 2, 8, 8}, {2, 3, 5, 16, 24}, {2, 7, 4, 9, 17}, {1, 2, 33, 272, 8}}
	for range 10 {
		shapes = append(shapes, shape{1 + rng.IntN(9), 2 + rng.IntN(9), 2 + rng.IntN(9), 8 + rng.IntN(60), 8 + rng.IntN(60)})
	}
	for _, s := range shapes {
		nx, nw, ny := s.operands(doubled)
		x, w := uniform(rng, nx), uniform(rng, nw)
		whole := shape{s.b, 2 * s.h, 2 * s.w, s.c, s.k}
		repeated := make([]float32, 4*nx)
		for i := range repeated {
			c, column, row, b := i%s.c, i/s.c%whole.w, i/s.c/whole.w%whole.h, i/s.c/whole.w/whole.h
			repeated[i] = x[((b*s.h+row/2)*s.w+column/2)*s.c+c]
		}
		for _, add := range []terms{{}, {bias: uniform(rng, s.k)}, {uniform(rng, s.k), uniform(rng, s.b*s.k), uniform(rng, ny), uniform(rng, s.k)}} {
			want, err := kernelWith(forward, whole, repeated, w, add, 1, 0)
			if err != nil {
				t.Fatal(err)
			}
			for _, threads := range []int{1, 2, 5} {
				for _, vector := range []int{0, 8} {
					if got, err := kernelWith(doubled, s, x, w, add, threads, vector); err != nil || !slices.Equal(got, want) {
						t.Errorf("%+v: %d threads with vectors of at most %d floats give other bits than repeated pixels (%v)", s, threads, vector, err)
					}
				}
			}
		}
	}
}

// FuzzKernels is TestKernels at shapes a fuzzer chooses.
func FuzzKernels(f *testing.F) {
	f.Add(uint8(1), uint8(5), uint8(6), uint16(17), uint16(18), uint64(0))
	f.Fuzz(func(t *testing.T, b, h, w uint8, c, k uint16, seed uint64) {
		needKernels(t)
		s := shape{1 + int(b)%5, 4 + int(h)%30, 4 + int(w)%30, 1 + int(c)%512, 8 + int(k)%505}
		if s.b*s.h*s.w*s.c*s.k > 1<<24 {
			t.Skip("takes too long")
		}
		checkShape(t, rand.New(rand.NewPCG(seed, 0)), s)
	})
}

// TestGradients compares the gradients of L = Σ r·y, y the forward pass, along a direction with central differences of L.
// L is linear in x and in w, so that these are exact at any step but for float32's rounding, and a step of 1/2 keeps that small.
func TestGradients(t *testing.T) {
	needKernels(t)
	rng := rand.New(rand.NewPCG(3, 4))
	dot := func(a, b []float32) (sum float64) {
		for i := range a {
			sum += float64(a[i]) * float64(b[i])
		}
		return sum
	}
	must := func(out []float32, err error) []float32 {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	along := func(x, d []float32, step float32) []float32 {
		out := make([]float32, len(x))
		for i := range x {
			out[i] = x[i] + step*d[i]
		}
		return out
	}
	for _, s := range []shape{{2, 8, 8, 16, 32}, {3, 5, 7, 9, 31}} {
		nx, nw, ny := s.operands(forward)
		x, w, r := uniform(rng, nx), uniform(rng, nw), uniform(rng, ny)
		dx, dw := uniform(rng, nx), uniform(rng, nw)
		loss := func(x, w []float32) float64 { return dot(r, must(kernel(forward, s, x, w, 2, 0))) }

		// Autodiff hands the kernel over with its rows and columns reversed: the last of nine comes first.
		turned := make([]float32, nw)
		for q := range 9 {
			copy(turned[(8-q)*s.c*s.k:][:s.c*s.k], w[q*s.c*s.k:])
		}
		back := shape{s.b, s.h, s.w, s.k, s.c}
		gotX := dot(dx, must(kernel(inputGradient, back, r, turned, 2, 0)))
		gotW := dot(dw, must(kernel(filterGradient, s, x, r, 2, 0)))
		wantX := loss(along(x, dx, .5), w) - loss(along(x, dx, -.5), w)
		wantW := loss(x, along(w, dw, .5)) - loss(x, along(w, dw, -.5))
		// Both are sums of some thousand products of either sign, of a size near the root of their number.
		tolerance := 1e-5 * math.Sqrt(float64(9*s.c)*float64(ny))
		if math.Abs(gotX-wantX) > tolerance || math.Abs(gotW-wantW) > tolerance {
			t.Errorf("%+v: along a direction the gradients give %g and %g, differences %g and %g (tolerance %g)", s, gotX, gotW, wantX, wantW, tolerance)
		}
	}
}

func TestTry(t *testing.T) {
	needKernels(t)
	if err := try(); err != nil {
		t.Error(err)
	}
}
