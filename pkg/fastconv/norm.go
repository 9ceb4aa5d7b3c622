package fastconv

import (
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/pkg/errors"
)

// normEpsilon is package unet's and NORM_EPSILON in conv.h.
const normEpsilon = 1e-6

// NormSiLU returns SiLU(GroupNorm(x)) for x [B, H, W, C] with gamma and beta [C], as package unet defines it, where a kernel
// computes it on the graph's backend; else nil. plain builds the same from ordinary operations.
//
// The graph holds what plain builds and an optimization barrier that takes it together with x, gamma and beta. To XLA that
// means what it says. [replace] hands the barrier the kernel's result instead, and nothing uses the other any more. The
// gradient is marked in the same way. A gradient of the gradient panics.
func NormSiLU(x, gamma, beta *Node, groups int, plain func(x, gamma, beta *Node) *Node) *Node {
	if !runs(x.Graph().Backend()) || x.Rank() != 4 || x.DType() != dtypes.Float32 {
		return nil
	}
	d := x.Shape().Dimensions
	if d[3] < minChannels || d[3] > maxChannels {
		return nil
	}
	x = Reshape(x, d[0], d[1]*d[2], d[3])
	gamma, beta = Reshape(gamma, groups, d[3]/groups), Reshape(beta, groups, d[3]/groups)
	y := Reshape(plain(Reshape(x, d...), Reshape(gamma, d[3]), Reshape(beta, d[3])), x.Shape().Dimensions...)
	return Reshape(OptimizationBarriers(y, x, gamma, beta, mark(x.Graph()))[0], d...)
}

// markShape makes a barrier of ours different from all others. It is read by [barrierText].
var markShape = shapes.Make(dtypes.Uint16, 1, 1, 1, 1, 1)

func mark(g *Graph) *Node { return Zeros(g, markShape) }

// The gradient of a barrier is GoMLX's, except for those that NormSiLU, ConvSum and ResidualBlock mark.
func init() {
	others := VJPRegistration[NodeTypeOptimizationBarrier]
	VJPRegistration[NodeTypeOptimizationBarrier] = func(barrier *Node, dy []*Node, shape shapes.Shape) []*Node {
		in := barrier.Inputs()
		switch {
		case in[len(in)-1].Shape().Equal(sumMarkShape), in[len(in)-1].Shape().Equal(residualMarkShape):
			return sumGradient(in, dy)
		case !in[len(in)-1].Shape().Equal(markShape):
			return others(barrier, dy, shape)
		case len(in) != 5 || shape.Rank() != 0:
			panic(errors.New("fastconv: a normalisation has the gradient of a scalar alone, and that has none; set " + Env + "=off"))
		}
		y, x, gamma, beta, v := in[0], in[1], in[2], in[3], dy[0]
		// v depends on x too, which is not this gradient's business.
		d := Gradient(ReduceAllSum(Mul(y, StopGradient(v))), x, gamma, beta)
		d = OptimizationBarriers(d[0], d[1], d[2], x, gamma, beta, v, in[4])
		return []*Node{nil, d[0], d[1], d[2], nil} // y is a function of the others, whose gradients these are
	}
}
