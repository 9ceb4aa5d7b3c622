package fastconv

import (
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
)

// Terms are what [ConvSum] adds to a convolution, in this order.
type Terms struct {
	Bias      *Node // [K]
	Image     *Node // [B, K], added to all pixels of an image; may be nil
	Other     *Node // [B, H, W, K], may be nil
	OtherBias *Node // [K], added to Other before; may be nil
}

// sumMarkShape makes a barrier of ConvSum different from all others. It is read by [barrierText].
var sumMarkShape = shapes.Make(dtypes.Uint16, 1, 1, 1, 1, 1, 1)

// ConvSum returns the 3×3 convolution of x [B, H, W, C] with w [3, 3, C, K], stride 1 and a border of one zero, plus terms,
// where a kernel computes it on the graph's backend; else nil. With repeat 2 every pixel of x is repeated to 2×2 before, and the
// result is [B, 2H, 2W, K]; without, it is 1. plain builds the same from ordinary operations.
//
// As with [NormSiLU] the graph holds what plain builds, and a barrier that marks it; its gradients are those of what plain
// builds.
func ConvSum(x, w *Node, repeat int, t Terms, plain func() *Node) *Node {
	if !runs(x.Graph().Backend()) || x.Rank() != 4 || w.Rank() != 4 || x.DType() != dtypes.Float32 {
		return nil
	}
	d, kind := x.Shape().Dimensions, forward
	if repeat == 2 {
		kind = doubled
	}
	if !fits(kind, d, w.Shape().Dimensions, []int{d[0], repeat * d[1], repeat * d[2], w.Shape().Dimensions[3]}) {
		return nil
	}
	operands := []*Node{plain(), x, w}
	for _, term := range []*Node{t.Bias, t.Image, t.Other, t.OtherBias} {
		if term != nil {
			operands = append(operands, term)
		}
	}
	return OptimizationBarriers(append(operands, Zeros(x.Graph(), sumMarkShape))...)[0]
}

// sumGradient hands the gradient of a barrier's result on to what plain built.
func sumGradient(in, dy []*Node) []*Node {
	out := make([]*Node, len(in))
	out[0] = dy[0]
	return out
}
