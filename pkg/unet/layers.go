package unet

import (
	"math"
	"strings"

	"github.com/gomlx/compute/dtypes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/pkg/errors"

	"palimpsest/pkg/fastconv"
	"palimpsest/pkg/network"
)

// builder carries what every layer of one graph needs.
type builder struct {
	seed    uint64
	root    string // path of the network's scope: weights are drawn from the path below it
	rng     *Node  // state of the dropout masks; nil outside training
	dropout float64
	rows    int // that dropout is drawn for, [network.Inputs].Rows
	groups  int
	heads   int
	lora    network.LoRA
	weights func(*model.Variable) *Node // [network.Inputs].Weights
	half    bool                        // compute in bfloat16, [Config].Compute
	form    Form
	free    bool // [network.Inputs].NoGradient
}

// low is x in the numbers that the network computes with.
func (b *builder) low(x *Node) *Node {
	if b.half {
		return ConvertDType(x, dtypes.BFloat16)
	}
	return x
}

// high is x in float32.
func (b *builder) high(x *Node) *Node {
	if b.half {
		return ConvertDType(x, dtypes.Float32)
	}
	return x
}

// value is a weight's value in the graph of x.
func (b *builder) value(w *model.Variable, x *Node) *Node {
	if b.weights != nil {
		return b.weights(w)
	}
	return w.NodeValue(x)
}

// variable returns the named weight, drawn uniformly with variance scale/((fanIn+fanOut)/2) where it does
// not exist yet ("fan_avg", as [ddpm] does); scale 0 gives zeros. The draw depends on the seed and on the path
// alone, so it is the same on every backend and in whatever order the layers are built.
func (b *builder) variable(scope *model.Scope, name string, fanIn, fanOut int, scale float64, dims ...int) *model.Variable {
	if v := scope.GetVariable(name); v != nil {
		return v
	}
	size := 1
	for _, d := range dims {
		size *= d
	}
	values := network.Draw(b.seed, strings.TrimPrefix(scope.Scope(), b.root)+"/"+name, fanIn, fanOut, scale, size)
	v, err := scope.CreateVariable(name, tensors.FromFlatDataAndDimensions(values, dims...))
	if err != nil {
		panic(errors.WithMessagef(err, "unet: variable %s/%s", scope.Scope(), name))
	}
	return v
}

// constant returns the named vector of dims[0] values, filled with value where it does not exist yet.
func (b *builder) constant(scope *model.Scope, name string, value float32, size int) *model.Variable {
	if v := scope.GetVariable(name); v != nil {
		return v
	}
	values := make([]float32, size)
	for i := range values {
		values[i] = value
	}
	v, err := scope.CreateVariable(name, tensors.FromFlatDataAndDimensions(values, size))
	if err != nil {
		panic(errors.WithMessagef(err, "unet: variable %s/%s", scope.Scope(), name))
	}
	return v
}

// dense maps the last axis of x, [..., in] to [..., out].
func (b *builder) dense(scope *model.Scope, x *Node, out int, scale float64) *Node {
	return plus(b.product(scope, x, out, scale))
}

// linear returns the kernel and the bias of dense.
func (b *builder) linear(scope *model.Scope, x *Node, out int, scale float64) (w, bias *Node) {
	dims := x.Shape().Dimensions
	in := dims[len(dims)-1]
	w = b.adapt(scope, b.value(b.variable(scope, network.Kernel, in, out, scale, in, out), x))
	return w, b.value(b.constant(scope, "biases", 0, out), x)
}

// product is dense before its bias is added.
func (b *builder) product(scope *model.Scope, x *Node, out int, scale float64) (y, bias *Node) {
	dims := x.Shape().Dimensions
	in := dims[len(dims)-1]
	w, bias := b.linear(scope, x, out, scale)
	rows := x.Shape().Size() / in
	if len(dims) > 2 { // over pixels; embeddings are small
		x, w, bias = b.low(x), b.low(w), b.low(bias)
	}
	y = Dot(Reshape(x, rows, in), w).Product()
	return Reshape(y, append(append([]int{}, dims[:len(dims)-1]...), out)...), bias
}

// plus is x with a bias, or another vector as long as its last axis, added to all its rows.
func plus(x, bias *Node) *Node {
	dims := x.Shape().Dimensions
	out := dims[len(dims)-1]
	rows := x.Shape().Size() / out
	return Reshape(Add(Reshape(x, rows, out), BroadcastToDims(Reshape(bias, 1, out), rows, out)), dims...)
}

// conv is a 3×3 convolution: [B, H, W, in] to [B, H/stride, W/stride, out]. Zeros are put around the image at stride 1,
// below and to the right of it at stride 2 unless the form says otherwise, as in [ddpm] (GoMLX's PadSame would put them above and to the left there).
func (b *builder) conv(scope *model.Scope, x *Node, out, stride int, scale float64) *Node {
	return b.convSum(scope, x, 1, out, stride, scale, fastconv.Terms{})
}

// filters returns the kernel and the bias of a convolution of x to so many channels.
func (b *builder) filters(scope *model.Scope, x *Node, out int, scale float64) (w, bias *Node) {
	in := x.Shape().Dimensions[3]
	w = b.adapt(scope, b.value(b.variable(scope, network.Kernel, 9*in, 9*out, scale, 3, 3, in, out), x))
	return w, b.value(b.constant(scope, "biases", 0, out), x)
}

// grow is conv with stride 1 of x with height and width doubled by repeating pixels, [B, 2H, 2W, out].
func (b *builder) grow(scope *model.Scope, x *Node, out int) *Node {
	return b.convSum(scope, x, 2, out, 1, 1, fastconv.Terms{})
}

// convSum is conv, with repeat 2 grow, with more than a bias added, in one kernel where there is one.
func (b *builder) convSum(scope *model.Scope, x *Node, repeat, out, stride int, scale float64, t fastconv.Terms) *Node {
	w, bias := b.filters(scope, x, out, scale)
	pad := [2]int{1, 1}
	if stride == 2 && !b.form.PadAround {
		pad[0] = 0
	}
	x, w, t.Bias = b.low(x), b.low(w), b.low(bias)
	plain := func() *Node {
		x := x
		if repeat == 2 {
			x = upsample(x)
		}
		y := Convolve(x, w).Strides(stride).PaddingPerDim([][2]int{pad, pad}).Done()
		y = Add(y, BroadcastToShape(Reshape(t.Bias, 1, 1, 1, out), y.Shape()))
		if t.Image != nil {
			y = Add(y, BroadcastToShape(Reshape(t.Image, y.Shape().Dimensions[0], 1, 1, out), y.Shape()))
		}
		switch {
		case t.OtherBias != nil:
			return Add(plus(t.Other, t.OtherBias), y)
		case t.Other != nil:
			return Add(t.Other, y)
		}
		return y
	}
	if stride == 1 {
		if y := fastconv.ConvSum(x, w, repeat, t, plain); y != nil {
			return y
		}
	}
	return plain()
}

// groupNorm normalises x [B, H, W, C] over the pixels and channels of each group (arXiv:1803.08494, eq. 3),
// then scales and shifts each channel.
func (b *builder) groupNorm(scope *model.Scope, x *Node) *Node {
	x = b.high(x)
	gamma, beta := b.affine(scope, x)
	return b.normalised(x, gamma, beta)
}

// normSiLU is silu(groupNorm(x)), in one kernel where there is one.
func (b *builder) normSiLU(scope *model.Scope, x *Node) *Node {
	x = b.high(x)
	gamma, beta := b.affine(scope, x)
	plain := func(x, gamma, beta *Node) *Node { return silu(b.normalised(x, gamma, beta)) }
	if b.form.NormEps == 0 { // the kernel's
		if y := fastconv.NormSiLU(x, gamma, beta, b.groups, plain); y != nil {
			return y
		}
	}
	return plain(x, gamma, beta)
}

// affine returns the scale and shift of every channel after normalisation.
func (b *builder) affine(scope *model.Scope, x *Node) (gamma, beta *Node) {
	c := x.Shape().Dimensions[3]
	return b.value(b.constant(scope, "gain", 1, c), x), b.value(b.constant(scope, "offset", 0, c), x)
}

func (b *builder) normalised(x, gamma, beta *Node) *Node {
	epsilon := b.form.NormEps
	if epsilon == 0 {
		epsilon = 1e-6
	}
	batch, h, w, c := dims4(x)
	perGroup := c / b.groups
	flat := Reshape(x, batch, h*w, c)
	// Means over a channel's pixels first, then over the group's channels: the layout stays [.., C] throughout.
	groupMean := func(perChannel *Node) *Node { // [B, C] -> [B, 1, C]
		m := ReduceMean(Reshape(perChannel, batch, b.groups, perGroup), 2)
		m = BroadcastToDims(Reshape(m, batch, b.groups, 1), batch, b.groups, perGroup)
		return Reshape(m, batch, 1, c)
	}
	centred := Sub(flat, groupMean(ReduceMean(flat, 1)))
	variance := groupMean(ReduceMean(Mul(centred, centred), 1))
	scale := Mul(Reciprocal(Sqrt(AddScalar(variance, epsilon))), Reshape(gamma, 1, 1, c))
	return Reshape(Add(Mul(centred, scale), Reshape(beta, 1, 1, c)), batch, h, w, c)
}

// drop zeroes elements of x at the dropout rate while training and rescales the rest.
func (b *builder) drop(x *Node) *Node {
	if b.rng == nil || b.dropout == 0 {
		return x
	}
	var u *Node
	b.rng, u = network.RandomRows(RandomUniform, b.rng, x.Shape(), b.rows)
	keep := ConvertDType(GreaterOrEqual(u, Scalar(x.Graph(), x.DType(), b.dropout)), x.DType())
	return MulScalar(Mul(x, StopGradient(keep)), 1/(1-b.dropout))
}

// silu is x·sigmoid(x).
func silu(x *Node) *Node { return Mul(x, Sigmoid(x)) }

// timeEmbedding returns the sinusoidal features of [ddpm] (from arXiv:1706.03762, section 3.5): t [B] int32 to [B, width].
func (b *builder) timeEmbedding(t *Node, width int) *Node {
	half := width / 2
	steps := half - 1
	if b.form.OpenFreq {
		steps = half
	}
	freq := make([]float32, half)
	for i := range freq {
		freq[i] = float32(math.Exp(-math.Log(10000) * float64(i) / float64(steps)))
	}
	batch := t.Shape().Dimensions[0]
	angle := Mul(Reshape(ConvertDType(t, dtypes.Float32), batch, 1), Reshape(Const(t.Graph(), freq), 1, half))
	if b.form.CosFirst {
		return Concatenate([]*Node{Cos(angle), Sin(angle)}, 1)
	}
	return Concatenate([]*Node{Sin(angle), Cos(angle)}, 1)
}

func dims4(x *Node) (batch, h, w, c int) {
	d := x.Shape().Dimensions
	return d[0], d[1], d[2], d[3]
}
