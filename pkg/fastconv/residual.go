package fastconv

import (
	"slices"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
)

// Block is a residual block, where a is GroupNorm followed by SiLU:
//
//	conv(a(conv(a(X), Kernel[0]) + Bias[0] + Image), Kernel[1]) + Bias[1] + (Other + OtherBias)
type Block struct {
	X           *Node    // [B, H, W, C]
	Gamma, Beta [2]*Node // [C], then [K]
	Groups      int
	Kernel      [2]*Node // [3, 3, C, K], then [3, 3, K, K]
	Bias        [2]*Node // [K]
	Image       *Node    // [B, K], added to all pixels of an image
	Other       *Node    // [B, H, W, K]
	OtherBias   *Node    // [K], may be nil
}

// residualMarkShape makes a barrier of ResidualBlock different from all others. It is read by [barrierText].
var residualMarkShape = shapes.Make(dtypes.Uint16, 1, 1, 1, 1, 1, 1, 1)

// ResidualBlock returns a residual block where a kernel computes it as a whole on the graph's backend, else nil. plain is the same,
// built of [NormSiLU] and [ConvSum]; all bits are the same, and what is between its parts never leaves the cache. It is for graphs
// that no gradient is taken of: that would compute plain too.
//
// As there the graph holds plain, and a barrier that marks it.
func ResidualBlock(plain *Node, r Block) *Node {
	if !runs(plain.Graph().Backend()) || plain.DType() != dtypes.Float32 || r.X.DType() != dtypes.Float32 {
		return nil
	}
	operands := []*Node{plain, r.X}
	for i := range 2 {
		c := r.Gamma[i].Shape().Dimensions[0]
		affine := func(x *Node) *Node { return Reshape(x, r.Groups, c/r.Groups) }
		operands = append(operands, affine(r.Gamma[i]), affine(r.Beta[i]), r.Kernel[i], r.Bias[i])
		if i == 0 {
			operands = append(operands, r.Image)
		}
	}
	operands = append(operands, r.Other)
	if r.OtherBias != nil {
		operands = append(operands, r.OtherBias)
	}
	var d [][]int
	for _, x := range operands {
		d = append(d, x.Shape().Dimensions)
	}
	if !residualFits(d) {
		return nil
	}
	return OptimizationBarriers(append(operands, Zeros(plain.Graph(), residualMarkShape))...)[0]
}

// A block of more channels, or of images of more values, would not stay in the cache. Of fewer images than that, the parts are
// better spread over the processors one by one.
const (
	maxBlockChannels = 256
	maxBlockValues   = 1 << 16
	minBlockImages   = 8
)

// residualFits says whether the shapes of a block's result and operands belong together and are ones the kernel takes.
func residualFits(d [][]int) bool {
	if len(d) != 12 && len(d) != 13 || len(d[0]) != 4 || len(d[1]) != 4 || len(d[2]) != 2 {
		return false
	}
	y, x, g := d[0], d[1], d[2][0]
	c, k := x[3], y[3]
	if g < 1 || c%g != 0 || k%g != 0 || c < minChannels || max(c, k) > maxBlockChannels || x[0] < minBlockImages || x[1]*x[2]*max(c, k) > maxBlockValues {
		return false
	}
	first, second, bias := []int{g, c / g}, []int{g, k / g}, []int{k}
	want := [][]int{y, x, first, first, {3, 3, c, k}, bias, {x[0], k}, second, second, {3, 3, k, k}, bias, y, bias}
	for i := range d {
		if !slices.Equal(d[i], want[i]) {
			return false
		}
	}
	return fits(forward, x, d[4], y)
}
