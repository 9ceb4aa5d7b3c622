// Package dit builds the diffusion transformer DiT as a GoMLX graph: images are cut into patches, a transformer looks at all of
// them at once, and time and label scale, shift and gate what each of its blocks does.
//
// # Conventions
//
// Images are [batch, height, width, channels] float32; timesteps and labels are [batch] int32. The label equal to Config.Classes
// stands for "no label". A patch is p×p pixels, its values in the order of rows, columns, channels; patches are in the order of
// rows, then columns. Functions on *Node build graphs and panic on misuse; all others return errors.
//
// What the paper leaves open is as in its authors' code, github.com/facebookresearch/DiT: models.py.
//
// References:
//
//	[dit]  Peebles, Xie. Scalable Diffusion Models with Transformers. arXiv:2212.09748
package dit

import (
	"fmt"
	"math"

	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"

	"palimpsest/pkg/network"
)

// timeFeatures is the number of sinusoidal features of the timestep that go into its embedding.
const timeFeatures = 256

// widening is how much wider a block's inner layer is than the block.
const widening = 4

// Forward builds the network of [dit] figure 3 with adaLN-Zero blocks under scope and returns its output,
// [B, H, W, OutChannels]. Weights are created where the scope has none, from seed and their path: every block starts as the
// identity and the output as zero. It panics if the shapes do not match the configuration.
func (c Config) Forward(scope *model.Scope, seed uint64, in network.Inputs) *Node {
	b, x, cond := c.blocks(scope, seed, in, c.Depth)
	parts := b.parts(scope.At("out_modulation"), cond, 2)
	x = modulate(normalised(x), parts[0], parts[1])
	return c.join(b.dense(scope.At("out"), x, c.Patch*c.Patch*c.OutChannels, zeros))
}

// ForwardToMid builds the network up to the middle of its blocks and returns the activations there,
// [B, H/Patch, W/Patch, Width], which measures of representation drift look at.
func (c Config) ForwardToMid(scope *model.Scope, seed uint64, in network.Inputs) *Node {
	_, x, _ := c.blocks(scope, seed, in, (c.Depth+1)/2)
	return Reshape(x, in.X.Shape().Dimensions[0], c.Height/c.Patch, c.Width/c.Patch, c.Hidden)
}

// blocks builds the network up to and with the given number of blocks: x is [B, patches, Hidden], cond, of time and label,
// [B, Hidden].
func (c Config) blocks(scope *model.Scope, seed uint64, in network.Inputs, depth int) (b *builder, x, cond *Node) {
	if err := c.Validate(); err != nil {
		panic(err)
	}
	batch := in.X.Shape().Dimensions[0]
	in.X.AssertDims(batch, c.Height, c.Width, c.Channels)
	in.T.AssertDims(batch)
	b = &builder{seed: seed, root: scope.Scope(), lora: c.LoRA, weights: in.Weights}

	x = b.dense(scope.At("in"), c.cut(in.X), c.Hidden, linear)
	x = Add(x, BroadcastToShape(Const(x.Graph(), [][][]float32{c.positions()}), x.Shape()))

	cond = b.dense(scope.At("time0"), timeEmbedding(in.T), c.Hidden, embedded)
	cond = b.dense(scope.At("time1"), silu(cond), c.Hidden, embedded)
	if c.Classes > 0 {
		in.Y.AssertDims(batch)
		table := b.value(b.variable(scope.At("label"), network.Embedding, embedded, c.Classes+1, c.Hidden), x)
		cond = Add(cond, Gather(table, Reshape(in.Y, batch, 1)))
	}
	cond = silu(cond)
	for i := range depth {
		x = c.block(b, scope.At("%s", fmt.Sprintf("block%d", i)), x, cond)
	}
	return b, x, cond
}

// block is one adaLN-Zero block, [dit] section 3.2: attention and a wider layer, each on normalised patches that the condition
// scales and shifts, each gated by it before it is added.
func (c Config) block(b *builder, scope *model.Scope, x, cond *Node) *Node {
	m := b.parts(scope.At("modulation"), cond, 6)
	h := c.attention(b, scope, modulate(normalised(x), m[0], m[1]))
	x = Add(x, Mul(h, over(m[2], x)))
	h = b.dense(scope.At("wide"), modulate(normalised(x), m[3], m[4]), widening*c.Hidden, linear)
	h = b.dense(scope.At("narrow"), gelu(h), c.Hidden, linear)
	return Add(x, Mul(h, over(m[5], x)))
}

// attention is self-attention over the patches of x [B, patches, Hidden].
func (c Config) attention(b *builder, scope *model.Scope, x *Node) *Node {
	batch, n, dim := x.Shape().Dimensions[0], x.Shape().Dimensions[1], c.Hidden/c.Heads
	all := Reshape(b.dense(scope.At("attend"), x, 3*c.Hidden, linear), batch, n, 3, c.Heads, dim)
	head := func(i int) *Node {
		return Reshape(Slice(all, AxisRange(), AxisRange(), AxisElem(i), AxisRange(), AxisRange()), batch, n, c.Heads, dim)
	}
	scores := MulScalar(Einsum("bqhd,bkhd->bhqk", head(0), head(1)), 1/math.Sqrt(float64(dim)))
	mixed := Einsum("bhqk,bkhd->bqhd", Softmax(scores, -1), head(2))
	return b.dense(scope.At("project"), Reshape(mixed, batch, n, c.Hidden), c.Hidden, linear)
}

// cut parts images [B, H, W, channels] into patches [B, patches, values].
func (c Config) cut(x *Node) *Node {
	batch, channels := x.Shape().Dimensions[0], x.Shape().Dimensions[3]
	h, w, p := c.Height/c.Patch, c.Width/c.Patch, c.Patch
	x = TransposeAllAxes(Reshape(x, batch, h, p, w, p, channels), 0, 1, 3, 2, 4, 5)
	return Reshape(x, batch, h*w, p*p*channels)
}

// join makes images [B, H, W, OutChannels] of patches.
func (c Config) join(x *Node) *Node {
	batch, h, w, p := x.Shape().Dimensions[0], c.Height/c.Patch, c.Width/c.Patch, c.Patch
	x = TransposeAllAxes(Reshape(x, batch, h, w, p, p, c.OutChannels), 0, 1, 3, 2, 4, 5)
	return Reshape(x, batch, c.Height, c.Width, c.OutChannels)
}

// positions are the fixed features of where a patch lies, [patches][Hidden]: the first half of the features are sines and
// cosines of its column, the second half of its row.
func (c Config) positions() [][]float32 {
	quarter := c.Hidden / 4
	all := make([][]float32, 0, c.Height/c.Patch*c.Width/c.Patch)
	for row := range c.Height / c.Patch {
		for column := range c.Width / c.Patch {
			features := make([]float32, c.Hidden)
			for half, at := range []int{column, row} {
				for i := range quarter {
					angle := float64(at) / math.Pow(10000, float64(i)/float64(quarter))
					features[2*half*quarter+i], features[(2*half+1)*quarter+i] = float32(math.Sin(angle)), float32(math.Cos(angle))
				}
			}
			all = append(all, features)
		}
	}
	return all
}
