// Package unet builds the noise-prediction U-Net of DDPM as a GoMLX graph.
//
// # Conventions
//
// Images are [batch, height, width, channels] float32. Timesteps and labels are [batch] int32. The label equal to
// Config.Classes stands for "no label": an unconditional call of a class-conditional network, as classifier-free
// guidance needs. Functions on *Node build graphs and panic on misuse; all others return errors.
//
// References:
//
//	[ddpm]  Ho, Jain, Abbeel. Denoising Diffusion Probabilistic Models. arXiv:2006.11239
//	[iddpm] Nichol, Dhariwal. Improved Denoising Diffusion Probabilistic Models. arXiv:2102.09672
package unet

import (
	"fmt"
	"math"
	"palimpsest/pkg/fastconv"
	"palimpsest/pkg/network"
	"slices"

	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"
)

// Forward builds the network of [ddpm] appendix B under scope and returns its output, [B, H, W, OutChannels]:
// residual blocks with GroupNorm, SiLU and the time (and label) embedding added between their two convolutions,
// self-attention at chosen resolutions, strided convolutions down, nearest-neighbour upsampling up, and a last
// convolution that starts at zero. Weights are created where the scope has none, from seed and their path.
// It panics if the shapes do not match the configuration.
func (c Config) Forward(scope *model.Scope, seed uint64, in network.Inputs) *Node {
	b, h, emb, skips := c.down(scope, seed, in)
	for level, mult := range slices.Backward(c.Mults) {
		for i := range c.ResBlocks + 1 {
			s := scope.At("%s", fmt.Sprintf("up%d_%d", level, i))
			skip := skips[len(skips)-1]
			skips = skips[:len(skips)-1]
			h = b.residual(s, Concatenate([]*Node{h, skip}, 3), emb, c.Base*mult, h, skip)
			if c.attends(h) {
				h = b.attention(s.At("attention"), h, false)
			}
		}
		if level > 0 {
			h = b.grow(scope.At("%s", fmt.Sprintf("up%d_grow", level)), h, c.Base*mult)
		}
	}
	h = b.normSiLU(scope.At("out_norm"), h)
	return b.high(b.conv(scope.At("out"), h, c.OutChannels, 1, 0))
}

// ForwardToMid builds the network up to its middle block only and returns the activations after it,
// [B, H/2^k, W/2^k, channels] with k = len(Mults)-1, which measures of representation drift look at.
func (c Config) ForwardToMid(scope *model.Scope, seed uint64, in network.Inputs) *Node {
	b, mid, _, _ := c.down(scope, seed, in)
	return b.high(mid)
}

// attends says whether blocks of x's resolution end in attention.
func (c Config) attends(x *Node) bool {
	_, h, w, _ := dims4(x)
	return slices.Contains(c.Attention, min(h, w))
}

// down builds the half of the network that ends in the middle block, mid; emb is the embedding of time and label, [B, 4·Base],
// and skips are what the other half takes, from the last on.
func (c Config) down(scope *model.Scope, seed uint64, in network.Inputs) (b *builder, mid, emb *Node, skips []*Node) {
	if err := c.Validate(); err != nil {
		panic(err)
	}
	batch := in.X.Shape().Dimensions[0]
	height, wide := c.sides()
	in.X.AssertDims(batch, height, wide, c.Channels)
	in.T.AssertDims(batch)
	b = &builder{seed: seed, root: scope.Scope(), rng: in.Dropout, rows: in.Rows, dropout: c.Dropout, groups: c.Groups, heads: c.Heads,
		lora: c.LoRA, weights: in.Weights, free: in.NoGradient, half: c.Compute == BFloat16, form: c.Form}

	width := 4 * c.Base
	emb = b.timeEmbedding(in.T, c.Base)
	emb = b.dense(scope.At("time0"), emb, width, 1)
	emb = b.dense(scope.At("time1"), silu(emb), width, 1)
	if c.Classes > 0 {
		in.Y.AssertDims(batch)
		table := b.value(b.variable(scope.At("label"), network.Embedding, 1, 1, 1.0/3, c.Classes+1, width), in.X)
		emb = Add(emb, Gather(table, Reshape(in.Y, batch, 1)))
	}
	emb = silu(emb)

	h := b.conv(scope.At("in"), in.X, c.Base, 1, 1)
	skips = []*Node{h}
	for level, mult := range c.Mults {
		for i := range c.ResBlocks {
			s := scope.At("%s", fmt.Sprintf("down%d_%d", level, i))
			h = b.residual(s, h, emb, c.Base*mult)
			if c.attends(h) {
				h = b.attention(s.At("attention"), h, false)
			}
			skips = append(skips, h)
		}
		if level < len(c.Mults)-1 {
			h = b.conv(scope.At("%s", fmt.Sprintf("down%d_pool", level)), h, c.Base*mult, 2, 1)
			skips = append(skips, h)
		}
	}

	h = b.residual(scope.At("mid0"), h, emb, h.Shape().Dimensions[3])
	if c.MidAttn {
		h = b.attention(scope.At("mid_attention"), h, c.Form.PlainMid)
	}
	h = b.residual(scope.At("mid1"), h, emb, h.Shape().Dimensions[3])
	return b, h, emb, skips
}

// residual is one residual block: norm, SiLU, convolution, plus embedding, norm (or norm, then scaled and shifted by the
// embedding: [Form].ScaleShift), SiLU, dropout, convolution (zero at the start), added to x or, where the channels change, to
// its 1×1 projection. x is [B, H, W, in], emb [B, 4·Base]. Where x is two arrays joined, they are its parts.
func (b *builder) residual(scope *model.Scope, x, emb *Node, out int, parts ...*Node) *Node {
	batch, _, _, in := dims4(x)
	normed := b.normSiLU(scope.At("norm0"), x)
	var h, e *Node
	if b.form.ScaleShift {
		h = b.conv(scope.At("conv0"), normed, out, 1, 1)
		e = b.dense(scope.At("embed"), emb, 2*out, 1)
		spread := func(e *Node) *Node { return BroadcastToShape(Reshape(e, batch, 1, 1, out), h.Shape()) }
		scale, shift := Slice(e, AxisRange(), AxisRange(0, out)), Slice(e, AxisRange(), AxisRange(out, 2*out))
		h = silu(Add(Mul(b.groupNorm(scope.At("norm1"), h), OnePlus(spread(scale))), spread(shift)))
	} else {
		e = b.low(b.dense(scope.At("embed"), emb, out, 1))
		h = b.convSum(scope.At("conv0"), normed, 1, out, 1, 1, fastconv.Terms{Image: e})
		h = b.normSiLU(scope.At("norm1"), h)
	}
	h = b.drop(h)
	shortcut := fastconv.Terms{Other: x}
	if in != out {
		shortcut.Other, shortcut.OtherBias = b.product(scope.At("skip"), x, out, 1)
	}
	y := b.convSum(scope.At("conv1"), h, 1, out, 1, 0, shortcut)
	if b.free && b.rng == nil && !b.half && !b.form.ScaleShift && b.form.NormEps == 0 {
		r := fastconv.Block{X: x, Groups: b.groups, Image: e, Other: shortcut.Other, OtherBias: shortcut.OtherBias}
		for i, part := range []*Node{x, y} { // y has the channels that the second half takes
			r.Gamma[i], r.Beta[i] = b.affine(scope.At("norm%d", i), part)
			r.Kernel[i], r.Bias[i] = b.filters(scope.At("conv%d", i), part, out, float64(1-i))
		}
		kernel := r
		if in != out {
			kernel.Skip, _ = b.linear(scope.At("skip"), x, out, 1)
			if len(parts) == 2 {
				kernel.X, kernel.Joined = parts[0], parts[1]
			}
		}
		for _, r := range []fastconv.Block{kernel, r} {
			if whole := fastconv.ResidualBlock(y, r); whole != nil {
				return whole
			}
		}
	}
	return y
}

// attention is self-attention over the pixels of x [B, H, W, C] with a residual connection whose last projection
// starts at zero. plain leaves its normalisation out.
func (b *builder) attention(scope *model.Scope, x *Node, plain bool) *Node {
	batch, h, w, c := dims4(x)
	heads := b.heads
	if b.form.HeadDim > 0 {
		heads = c / b.form.HeadDim
	}
	n, dim := h*w, c/heads
	normed := x
	if !plain {
		normed = b.groupNorm(scope.At("norm"), x)
	}
	project := func(name string) *Node {
		return Reshape(b.dense(scope.At("%s", name), normed, c, 1), batch, n, heads, dim)
	}
	q, k, v := project("query"), project("key"), project("value")
	scores := MulScalar(Einsum("bqhd,bkhd->bhqk", q, k), 1/math.Sqrt(float64(dim)))
	mixed := Einsum("bhqk,bkhd->bqhd", b.low(Softmax(b.high(scores), -1)), v)
	return Add(x, b.dense(scope.At("project"), Reshape(mixed, batch, h, w, c), c, 0))
}

// upsample doubles height and width by repeating pixels.
func upsample(x *Node) *Node {
	batch, h, w, c := dims4(x)
	x = BroadcastToDims(Reshape(x, batch, h, 1, w, 1, c), batch, h, 2, w, 2, c)
	return Reshape(x, batch, 2*h, 2*w, c)
}
