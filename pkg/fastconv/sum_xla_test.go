//go:build cgo && linux && (amd64 || arm64)

package fastconv_test

import (
	"math/rand/v2"
	"slices"
	"testing"

	"palimpsest/pkg/fastconv"

	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
)

// TestSumInXLA compares a convolution with terms in one kernel with the same convolution and additions by XLA: the values bit
// by bit, and the gradients too, which are the same operations.
func TestSumInXLA(t *testing.T) {
	b := open(t)
	rng := rand.New(rand.NewPCG(13, 14))
	const n, h, w, c, k = 3, 6, 8, 16, 24
	in := []any{random(rng, n, h, w, c), random(rng, 3, 3, c, k), random(rng, k), random(rng, n, k), random(rng, n, h, w, k), random(rng, k), random(rng, n, h, w, k)}
	for choice := range 8 {
		repeat, choice := 1+choice/4, choice%4
		in := slices.Clone(in)
		if repeat == 2 {
			in[0] = random(rng, n, h/2, w/2, c)
		}
		build := func(one bool) ([]*tensors.Tensor, int64) {
			before := fastconv.Replaced()
			out, err := CallOnceN(b, func(in []*Node) []*Node {
				x, kernel, r := in[0], in[1], in[6]
				terms := fastconv.Terms{Bias: in[2]}
				if choice > 0 {
					terms.Image = in[3]
				}
				if choice > 1 {
					terms.Other = in[4]
				}
				if choice > 2 {
					terms.OtherBias = in[5]
				}
				plain := func() *Node {
					x := x
					if repeat == 2 {
						x = Reshape(BroadcastToDims(Reshape(x, n, h/2, 1, w/2, 1, c), n, h/2, 2, w/2, 2, c), n, h, w, c)
					}
					y := Convolve(x, kernel).Strides(1).PaddingPerDim([][2]int{{1, 1}, {1, 1}}).Done()
					y = Add(y, BroadcastToShape(Reshape(terms.Bias, 1, 1, 1, k), y.Shape()))
					if terms.Image != nil {
						y = Add(y, BroadcastToShape(Reshape(terms.Image, n, 1, 1, k), y.Shape()))
					}
					if terms.OtherBias != nil {
						y = Add(y, Add(terms.Other, BroadcastToShape(Reshape(terms.OtherBias, 1, 1, 1, k), y.Shape())))
					} else if terms.Other != nil {
						y = Add(y, terms.Other)
					}
					return y
				}
				build := plain
				if one {
					build = func() *Node { return fastconv.ConvSum(x, kernel, repeat, terms, plain) }
				}
				y := build()
				return append(Gradient(ReduceAllSum(Mul(y, r)), in[:3+choice]...), y)
			}, in...)
			if err != nil {
				t.Fatal(err)
			}
			return out, fastconv.Replaced() - before
		}
		got, replaced := build(true)
		want, alone := build(false)
		if replaced != alone+1 {
			t.Errorf("choice %d, repeat %d: %d operations were replaced, of the plain graph %d; want one more", choice, repeat, replaced, alone)
		}
		for i := range want {
			if !slices.Equal(tensors.MustCopyFlatData[float32](got[i]), tensors.MustCopyFlatData[float32](want[i])) {
				t.Errorf("choice %d, repeat %d: result %d has other bits than the plain graph's", choice, repeat, i)
			}
		}
	}
}
