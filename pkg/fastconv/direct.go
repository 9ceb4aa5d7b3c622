//go:build cgo && linux && (amd64 || arm64)

package fastconv

// #include "conv.h"
// #include "threads.h"
import "C"

import (
	"math"
	"runtime"
	"slices"
	"unsafe"

	"github.com/pkg/errors"
)

// shape is a convolution's: batch, height, width, input channels, output channels; those of the gradient with respect to
// the input are the other way round.
type shape struct{ b, h, w, c, k int }

// operands returns how many values a kind of convolution takes and gives.
func (s shape) operands(kind string) (a, b, out int) {
	x, y, filter := s.b*s.h*s.w*s.c, s.b*s.h*s.w*s.k, 9*s.c*s.k
	switch kind {
	case filterGradient:
		return x, y, filter
	case half:
		y /= 4
	case doubled:
		y *= 4
	}
	return x, filter, y
}

// terms are added to the result of a forward pass, in this order; nil is none. otherBias is added to other before.
type terms struct {
	bias      []float32 // [k]
	image     []float32 // [b, k]
	other     []float32 // [b, h, w, k]
	otherBias []float32 // [k]
}

// kernel runs a kernel without XLA, on threads of its own, with vectors of at most so many floats (0: the widest there are).
func kernel(kind string, s shape, a, b []float32, threads, vector int) ([]float32, error) {
	return kernelWith(kind, s, a, b, terms{}, threads, vector)
}

// kernelWith is kernel with terms.
func kernelWith(kind string, s shape, a, b []float32, t terms, threads, vector int) ([]float32, error) {
	na, nb, n := s.operands(kind)
	if len(a) != na || len(b) != nb || na == 0 || nb == 0 {
		return nil, errors.Errorf("fastconv: %s of %+v takes %d and %d values, not %d and %d", kind, s, na, nb, len(a), len(b))
	}
	for i, x := range [][]float32{t.bias, t.image, t.other, t.otherBias} {
		if need := []int{s.k, s.b * s.k, n, s.k}[i]; x != nil && (kind != forward && kind != doubled || len(x) != need) {
			return nil, errors.Errorf("fastconv: term %d of %s of %+v has %d values, not %d", i, kind, s, len(x), need)
		}
	}
	out := make([]float32, n)
	code := map[string]C.int{forward: C.FORWARD, inputGradient: C.INPUT_GRADIENT, filterGradient: C.FILTER_GRADIENT, half: C.HALF, one: C.ONE, doubled: C.DOUBLED}[kind]
	sides := [5]C.int{C.int(s.b), C.int(s.h), C.int(s.w), C.int(s.c), C.int(s.k)}
	switch C.convolve_alone(code, &sides[0], (*C.float)(&a[0]), (*C.float)(&b[0]), pointer(t.bias), pointer(t.image),
		pointer(t.other), pointer(t.otherBias), (*C.float)(&out[0]), C.int(threads), C.int(vector)) {
	case 0:
		return out, nil
	case 1:
		return nil, errors.Errorf("fastconv: no memory for %s of %+v", kind, s)
	}
	return nil, errors.Errorf("fastconv: no kernel of this processor takes %s of %+v", kind, s)
}

func pointer(x []float32) *C.float { return (*C.float)(unsafe.SliceData(x)) }

// plain is one value of what kernel returns, by the sum that defines it.
func plain(kind string, s shape, a, b []float32, at int) float64 {
	pixel := func(x []float32, channels, n, i, j, c int) float64 {
		if i < 0 || j < 0 || i >= s.h || j >= s.w {
			return 0
		}
		return float64(x[((n*s.h+i)*s.w+j)*channels+c])
	}
	sum, k, at := 0.0, at%s.k, at/s.k
	if kind == filterGradient {
		c, column, row := at%s.c, at/s.c%3, at/s.c/3
		for n := range s.b {
			for i := range s.h {
				for j := range s.w {
					sum += pixel(a, s.c, n, i+row-1, j+column-1, c) * pixel(b, s.k, n, i, j, k)
				}
			}
		}
		return sum
	}
	h, w, step, border := s.h, s.w, 1, 1
	if kind == half {
		h, w, step, border = s.h/2, s.w/2, 2, 0
	}
	j, i, n := at%w, at/w%h, at/w/h
	for row := range 3 {
		for column := range 3 {
			for c := range s.c {
				at := ((row*3+column)*s.c+c)*s.k + k
				if kind == inputGradient {
					at = ((row*3+column)*s.k+k)*s.c + c
				}
				sum += pixel(a, s.c, n, step*i+row-border, step*j+column-border, c) * float64(b[at])
			}
		}
	}
	return sum
}

// block is a residual block's: that of its first convolution, groups, how many of its input's channels are joined to the others, and
// whether it makes what it adds of its input.
type block struct {
	shape
	g, j int
	skip bool
}

// operands are how many values a block has, and how many each of what it takes besides x, in the order of the plugin's call.
func (s block) operands() (x int, others [13]int, out int) {
	pixels, skip := s.b*s.h*s.w, 0
	y, other := pixels*s.k, pixels*s.k
	if s.skip {
		skip, other = s.c*s.k, 0
	}
	return pixels * (s.c - s.j), [13]int{s.c, s.c, 9 * s.c * s.k, s.k, s.b * s.k, s.k, s.k, 9 * s.k * s.k, s.k, other, s.k, pixels * s.j, skip}, y
}

// residualBlock runs the kernel of a residual block without XLA. Joined and skip are the last of the operands besides x; of those, other's bias may be nil.
func residualBlock(s block, x []float32, others [13][]float32, threads, vector int) ([]float32, error) {
	nx, n, ny := s.operands()
	if len(x) != nx || nx == 0 {
		return nil, errors.Errorf("fastconv: a residual block of %+v takes %d values, not %d", s, nx, len(x))
	}
	var pins runtime.Pinner
	defer pins.Unpin()
	var pointers [13]*C.float
	for i, o := range others {
		if len(o) != n[i] && (i != 10 || o != nil) {
			return nil, errors.Errorf("fastconv: operand %d of a residual block of %+v has %d values, not %d", i, s, len(o), n[i])
		}
		if len(o) > 0 {
			pins.Pin(&o[0])
			pointers[i] = pointer(o)
		}
	}
	out := make([]float32, ny)
	sides := [7]C.int{C.int(s.b), C.int(s.h), C.int(s.w), C.int(s.c), C.int(s.k), C.int(s.g), C.int(s.j)}
	if code := C.residual_alone(&sides[0], pointer(x), &pointers[0], pointer(out), C.int(threads), C.int(vector)); code != 0 {
		return nil, errors.Errorf("fastconv: no kernel of this processor takes, or no memory holds, a residual block of %+v (%d)", s, code)
	}
	return out, nil
}

// residualParts is what residualBlock returns, by the kernels of its parts; with skip not bit by bit.
func residualParts(s block, x []float32, o [13][]float32) ([]float32, error) {
	if s.j > 0 {
		var joined []float32
		a, b := s.c-s.j, s.j
		for p := range s.b * s.h * s.w {
			joined = append(append(joined, x[p*a:(p+1)*a]...), o[11][p*b:(p+1)*b]...)
		}
		x = joined
	}
	if s.skip {
		o[9] = make([]float32, s.b*s.h*s.w*s.k)
		for i := range o[9] {
			sum := 0.0
			for c := range s.c {
				sum += float64(x[i/s.k*s.c+c]) * float64(o[12][c*s.k+i%s.k])
			}
			o[9][i] = float32(sum)
		}
	}
	n := normShape{s.b, s.h * s.w, s.c, s.g}
	x, _, _, err := normalise(n, x, o[0], o[1], nil, nil, 1, 0)
	if err != nil {
		return nil, err
	}
	if x, err = kernelWith(forward, s.shape, x, o[2], terms{bias: o[3], image: o[4]}, 1, 0); err != nil {
		return nil, err
	}
	n.c = s.k
	if x, _, _, err = normalise(n, x, o[5], o[6], nil, nil, 1, 0); err != nil {
		return nil, err
	}
	s.c = s.k
	return kernelWith(forward, s.shape, x, o[7], terms{bias: o[8], other: o[9], otherBias: o[10]}, 1, 0)
}

// normShape is that of a normalisation: images, pixels, channels and groups.
type normShape struct{ b, p, c, g int }

// normalise runs the kernel of GroupNorm and SiLU without XLA; with dy it gives the gradients with respect to x, gamma and
// beta, else y alone. statistics are what it gives without dy, and with dy takes, unless they are nil.
func normalise(s normShape, x, gamma, beta, dy, statistics []float32, threads, vector int) (out, dgamma, dbeta []float32, err error) {
	n := s.b * s.p * s.c
	if n == 0 || len(x) != n || len(gamma) != s.c || len(beta) != s.c || dy != nil && len(dy) != n || statistics != nil && len(statistics) != 2*s.b*s.c {
		return nil, nil, nil, errors.Errorf("fastconv: a normalisation of %+v takes not %d, %d, %d and %d values", s, len(x), len(gamma), len(beta), len(dy))
	}
	sides := [4]C.int{C.int(s.b), C.int(s.p), C.int(s.c), C.int(s.g)}
	out, dgamma, dbeta = make([]float32, n), make([]float32, s.c), make([]float32, s.c)
	switch C.normalise_alone(&sides[0], pointer(x), pointer(gamma), pointer(beta), pointer(dy), pointer(out), pointer(dgamma),
		pointer(dbeta), pointer(statistics), C.int(threads), C.int(vector)) {
	case 0:
		return out, dgamma, dbeta, nil
	case 1:
		return nil, nil, nil, errors.Errorf("fastconv: no memory for a normalisation of %+v", s)
	}
	return nil, nil, nil, errors.Errorf("fastconv: no kernel of this processor normalises %+v", s)
}

// words runs the kernel of random bits without XLA and returns so many words and the next state.
func words(state [3]uint64, n, threads, vector int) (next [3]uint64, out []uint32, err error) {
	out = make([]uint32, n)
	if code := C.random_bits_alone((*C.uint64_t)(&state[0]), (*C.uint64_t)(&next[0]), C.size_t(n), (*C.uint32_t)(&out[0]), C.int(threads), C.int(vector)); code != 0 {
		return next, nil, errors.Errorf("fastconv: no kernel of this processor makes %d random words", n)
	}
	return next, out, nil
}

// plainNorm is what normalise returns without dy, in float64.
func plainNorm(s normShape, x, gamma, beta []float32) []float64 {
	out := make([]float64, len(x))
	for b := range s.b {
		for g := range s.g {
			var index []int
			for p := range s.p {
				for c := g * s.c / s.g; c < (g+1)*s.c/s.g; c++ {
					index = append(index, (b*s.p+p)*s.c+c)
				}
			}
			var mean, variance float64
			for _, i := range index {
				mean += float64(x[i]) / float64(len(index))
			}
			for _, i := range index {
				variance += (float64(x[i]) - mean) * (float64(x[i]) - mean) / float64(len(index))
			}
			for _, i := range index {
				u := (float64(x[i])-mean)/math.Sqrt(variance+normEpsilon)*float64(gamma[i%s.c]) + float64(beta[i%s.c])
				out[i] = u / (1 + math.Exp(-u))
			}
		}
	}
	return out
}

// try compares each kernel with the plain sum on one small case with every kind of remainder in it, so that a processor or
// a compiler that does not do what it promises costs speed alone. It takes a fraction of a millisecond.
func try() error {
	s := shape{b: 1, h: 5, w: 6, c: 17, k: 18}
	for _, kind := range []string{forward, inputGradient, filterGradient, half, one} {
		switch kind {
		case half:
			s = shape{b: 1, h: 4, w: 6, c: 32, k: 32}
		case one:
			s = shape{b: 1, h: 4, w: 5, c: 16, k: 1}
		}
		na, nb, n := s.operands(kind)
		a, b := waves(na), waves(nb)
		out, err := kernel(kind, s, a, b, 2, 0)
		if err != nil {
			return err
		}
		var off, size float64
		for i := 0; i < n; i += 7 {
			want := plain(kind, s, a, b, i)
			off, size = off+(float64(out[i])-want)*(float64(out[i])-want), size+want*want
		}
		if !(off <= size*1e-8) {
			return errors.Errorf("%s computes wrong values on this processor", kind)
		}
	}
	// The first of the known answers of the authors of Philox, a counter and a key of zeros.
	if _, w, err := words([3]uint64{}, 4, 1, 0); err != nil || !slices.Equal(w, []uint32{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}) {
		return errors.Errorf("%s computes wrong values on this processor", randomBits)
	}
	r := block{shape{b: 2, h: 5, w: 6, c: 18, k: 20}, 2, 7, false}
	nx, others, _ := r.operands()
	var o [13][]float32
	for i, n := range others {
		o[i] = waves(n)
	}
	whole, err := residualBlock(r, waves(nx), o, 2, 0)
	if err != nil {
		return err
	}
	if parts, err := residualParts(r, waves(nx), o); err != nil || !slices.Equal(whole, parts) {
		return errors.Errorf("%s computes wrong values on this processor", residual)
	}
	n := normShape{b: 1, p: 6, c: 20, g: 2}
	x, gamma, beta := waves(n.p*n.c), waves(n.c), waves(n.c)
	out, _, _, err := normalise(n, x, gamma, beta, nil, nil, 2, 0)
	if err != nil {
		return err
	}
	for i, want := range plainNorm(n, x, gamma, beta) {
		if !(math.Abs(float64(out[i])-want) <= 1e-4) {
			return errors.Errorf("%s computes wrong values on this processor", norm)
		}
	}
	return nil
}

// waves returns n values in [-1, 1] without a pattern that a wrong index would repeat.
func waves(n int) []float32 {
	x := make([]float32, n)
	for i := range x {
		x[i] = float32(math.Sin(float64(i) * float64(i+1)))
	}
	return x
}
