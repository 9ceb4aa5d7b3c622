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
	X           *Node    // [B, H, W, C], or where Joined is not nil, its first channels
	Joined      *Node    // [B, H, W, ...], its last channels; may be nil
	Gamma, Beta [2]*Node // [C], then [K]
	Groups      int
	Kernel      [2]*Node // [3, 3, C, K], then [3, 3, K, K]
	Bias        [2]*Node // [K]
	Image       *Node    // [B, K], added to all pixels of an image
	Other       *Node    // [B, H, W, K], or with Skip the same that XLA computes
	Skip        *Node    // [C, K], may be nil: Other is the product of X with it
	OtherBias   *Node    // [K], may be nil without Skip
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
	if r.Joined != nil {
		operands = append(operands, r.Joined)
	}
	for i := range 2 {
		c := r.Gamma[i].Shape().Dimensions[0]
		affine := func(x *Node) *Node { return Reshape(x, r.Groups, c/r.Groups) }
		operands = append(operands, affine(r.Gamma[i]), affine(r.Beta[i]), r.Kernel[i], r.Bias[i])
		if i == 0 {
			operands = append(operands, r.Image)
		}
	}
	if r.Skip != nil {
		operands = append(operands, r.Skip)
	} else {
		operands = append(operands, r.Other)
	}
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
	minSkip          = 512 // pixels of all images
)

// residualFits says whether the shapes of a block's result and operands belong together and are ones the kernel takes.
func residualFits(d [][]int) bool {
	if len(d) < 12 || len(d[0]) != 4 || len(d[1]) != 4 {
		return false
	}
	y, x := d[0], slices.Clone(d[1])
	if joined := d[2]; len(joined) == 4 {
		if !slices.Equal(joined[:3], x[:3]) {
			return false
		}
		x[3] += joined[3]
		d = slices.Delete(slices.Clone(d), 2, 3)
	}
	if len(d) != 12 && len(d) != 13 || len(d[2]) != 2 {
		return false
	}
	c, k, g := x[3], y[3], d[2][0]
	d = slices.Concat([][]int{y, x}, d[2:])
	if g < 1 || c%g != 0 || k%g != 0 || c < minChannels || max(c, k) > maxBlockChannels || x[0] < minBlockImages || x[1]*x[2]*max(c, k) > maxBlockValues {
		return false
	}
	first, second, bias := []int{g, c / g}, []int{g, k / g}, []int{k}
	other := y
	if len(d[11]) == 2 { // the kernel sums as XLA does where outputs are this many, and where there are enough pixels
		if k != 16 && k != 32 && k != 64 || c%(64/k) != 0 || x[0]*x[1]*x[2] < minSkip || len(d) != 13 {
			return false
		}
		other = []int{c, k}
	}
	want := [][]int{y, x, first, first, {3, 3, c, k}, bias, {x[0], k}, second, second, {3, 3, k, k}, bias, other, bias}
	for i := range d {
		if !slices.Equal(d[i], want[i]) {
			return false
		}
	}
	return fits(forward, x, d[4], y)
}
