//go:build cgo && linux && (amd64 || arm64)

package fastconv_test

import (
	"math/rand/v2"
	"slices"
	"testing"

	"palimpsest/pkg/fastconv"

	"github.com/gomlx/compute"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
)

// TestResidualInXLA makes sure that a marked residual block is computed as a whole, with the bits of its parts, and has their gradients;
// and that one of few images is left to its parts. So is a 1×1 product of what is added, which XLA makes in the parts.
func TestResidualInXLA(t *testing.T) {
	b := open(t)
	rng := rand.New(rand.NewPCG(21, 22))
	for _, s := range []struct {
		n, h, w, c, j, k int
		skip             bool
		whole            int
	}{
		{9, 8, 6, 16, 0, 16, false, 1}, {8, 8, 6, 48, 16, 16, false, 1}, {7, 8, 6, 16, 0, 32, false, 0},
		{100, 16, 16, 48, 16, 16, true, 1}, {25, 16, 16, 32, 16, 16, true, 1}, {100, 8, 8, 96, 32, 32, true, 1}, {10, 8, 8, 48, 16, 32, true, 1},
		{100, 8, 8, 16, 0, 32, true, 1}, {100, 4, 4, 128, 64, 64, true, 1}, {33, 4, 4, 96, 32, 64, true, 1}, {100, 4, 4, 32, 0, 64, true, 1},
		{8, 4, 4, 32, 0, 64, true, 0}, {20, 8, 8, 16, 0, 24, true, 0},
	} {
		const groups = 8
		h, w := s.h, s.w
		in := []any{random(rng, s.n, h, w, s.c-s.j), random(rng, s.c), random(rng, s.c), random(rng, 3, 3, s.c, s.k), random(rng, s.k), random(rng, s.n, s.k),
			random(rng, s.k), random(rng, s.k), random(rng, 3, 3, s.k, s.k), random(rng, s.k), random(rng, s.n, h, w, s.k), random(rng, s.k),
			random(rng, s.n, h, w, max(s.j, 1)), random(rng, s.c, s.k)}
		build := func(marked, gradient bool) ([]*tensors.Tensor, int64) {
			before := fastconv.Replaced()
			out, err := CallOnceN(b, func(in []*Node) []*Node {
				x, other := in[0], in[10]
				if s.j > 0 {
					x = Concatenate([]*Node{x, in[12]}, 3)
				}
				if s.skip {
					other = Reshape(Dot(Reshape(x, -1, s.c), in[13]).Product(), s.n, h, w, s.k)
				}
				parts := func() *Node {
					norm := func(x, gamma, beta *Node) *Node {
						return fastconv.NormSiLU(x, gamma, beta, groups, func(x, gamma, beta *Node) *Node {
							return Mul(x, BroadcastToShape(Reshape(Add(gamma, beta), 1, 1, 1, -1), x.Shape())) // in whose place the kernel's comes
						})
					}
					conv := func(x, w *Node, terms fastconv.Terms) *Node {
						return fastconv.ConvSum(x, w, 1, terms, func() *Node {
							y := Convolve(x, w).Strides(1).PaddingPerDim([][2]int{{1, 1}, {1, 1}}).Done()
							if terms.Other != nil { // its gradient
								y = Add(y, terms.Other)
							}
							return y
						})
					}
					y := conv(norm(x, in[1], in[2]), in[3], fastconv.Terms{Bias: in[4], Image: in[5]})
					return conv(norm(y, in[6], in[7]), in[8], fastconv.Terms{Bias: in[9], Other: other, OtherBias: in[11]})
				}
				y := parts()
				if marked {
					block := fastconv.Block{X: x, Gamma: [2]*Node{in[1], in[6]}, Beta: [2]*Node{in[2], in[7]}, Groups: groups,
						Kernel: [2]*Node{in[3], in[8]}, Bias: [2]*Node{in[4], in[9]}, Image: in[5], Other: other, OtherBias: in[11]}
					if s.skip {
						block.Skip = in[13]
					}
					if s.j > 0 {
						block.X, block.Joined = in[0], in[12]
					}
					whole := fastconv.ResidualBlock(y, block)
					if (whole != nil) != (s.whole == 1) {
						t.Errorf("%+v: marked is %v", s, whole != nil)
					}
					if whole != nil {
						y = whole
					}
				}
				if gradient {
					return append(Gradient(ReduceAllSum(Mul(y, y)), in[0], in[3]), y)
				}
				return []*Node{y}
			}, in...)
			if err != nil {
				t.Fatal(err)
			}
			return out, fastconv.Replaced() - before
		}
		for _, gradient := range []bool{false, true} {
			if gradient && s.n > 10 { // takes long to compile
				continue
			}
			got, replaced := build(true, gradient)
			want, parts := build(false, gradient)
			if replaced != parts+int64(s.whole) {
				t.Errorf("%+v: %d operations were replaced, of the parts %d; want %d more", s, replaced, parts, s.whole)
			}
			for i := range want {
				if !slices.Equal(tensors.MustCopyFlatData[float32](got[i]), tensors.MustCopyFlatData[float32](want[i])) {
					t.Errorf("%+v: result %d has other bits than that of the parts", s, i)
				}
			}
		}
	}
}

// TestPlainInXLA compares the small convolutions that this package sums as XLA does with XLA's own, which channels that come first
// are left to: bit by bit. A new plugin that sums in another order fails here; package fastconv's results then differ from what XLA gives.
func TestPlainInXLA(t *testing.T) {
	b := open(t)
	rng := rand.New(rand.NewPCG(19, 20))
	for _, s := range []struct{ n, h, w, c, k, stride, replaced int }{
		{100, 16, 16, 16, 16, 2, 1}, {16, 16, 16, 16, 16, 2, 1}, {4, 16, 16, 16, 16, 2, 1}, {33, 14, 28, 16, 16, 2, 1},
		{100, 8, 8, 32, 32, 2, 1}, {16, 8, 8, 32, 32, 2, 1}, {40, 14, 14, 32, 32, 2, 1}, {1, 16, 16, 16, 16, 2, 0}, {9, 8, 8, 64, 64, 2, 0},
		{100, 16, 16, 16, 1, 1, 1}, {1, 16, 16, 16, 1, 1, 1}, {16, 4, 4, 16, 1, 1, 1}, {1, 4, 4, 16, 1, 1, 0}, {7, 28, 14, 16, 1, 1, 1}, {9, 8, 8, 64, 1, 1, 0}, {9, 8, 8, 16, 3, 1, 0},
	} {
		pad := [][2]int{{2 - s.stride, 1}, {2 - s.stride, 1}}
		build := func(first bool) func(x, w *Node) *Node {
			return func(x, w *Node) *Node {
				if !first {
					return Convolve(x, w).Strides(s.stride).PaddingPerDim(pad).Done()
				}
				axes := compute.ConvolveAxesConfig{InputBatch: 0, InputChannels: 1, InputSpatial: []int{2, 3}, KernelInputChannels: 2, KernelOutputChannels: 3,
					KernelSpatial: []int{0, 1}, OutputBatch: 0, OutputChannels: 1, OutputSpatial: []int{2, 3}}
				y := Convolve(TransposeAllDims(x, 0, 3, 1, 2), w).AxesConfig(axes).Strides(s.stride).PaddingPerDim(pad).Done()
				return TransposeAllDims(y, 0, 2, 3, 1)
			}
		}
		x, w := random(rng, s.n, s.h, s.w, s.c), random(rng, 3, 3, s.c, s.k)
		before := fastconv.Replaced()
		ours, err := CallOnce(b, build(false), x, w)
		if err != nil {
			t.Fatal(err)
		}
		if got := fastconv.Replaced() - before; got != int64(s.replaced) {
			t.Errorf("%+v: %d convolutions were replaced, not %d", s, got, s.replaced)
		}
		xla, err := CallOnce(b, build(true), x, w)
		if err != nil {
			t.Fatal(err)
		}
		if s.replaced > 0 && !slices.Equal(tensors.MustCopyFlatData[float32](ours), tensors.MustCopyFlatData[float32](xla)) {
			t.Errorf("%+v: other bits than XLA's", s)
		}
	}
}
