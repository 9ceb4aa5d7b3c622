// Package networktest has a network for tests that need a trained network but not any one in particular. What a test of a step, a
// strategy or a file costs is nearly all compilation, and a step of this network compiles in a tenth of the U-Net's time.
package networktest

import (
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/pkg/errors"

	"palimpsest/pkg/network"
)

// Least is a network with a hidden layer and one of everything that a diffusion model may find in a network: kernels of a convolution
// and of linear maps, biases, an embedding of labels, the time, dropout and adapters. Its last layer starts at zero, as the U-Net's.
type Least struct {
	H, W        int // height and width in pixels
	Channels    int // colour channels of an image
	OutChannels int // Channels, or 2·Channels where a variance is learned
	Classes     int // labels are 0 .. Classes, the last for "no label"; 0: unconditional
	Hidden      int // width of the hidden layer
	Dropout     float64
	LoRA        network.LoRA
}

// Shape implements [network.Network].
func (c Least) Shape() network.Shape {
	return network.Shape{H: c.H, W: c.W, Channels: c.Channels, OutChannels: c.OutChannels, Classes: c.Classes}
}

// Validate implements [network.Network].
func (c Least) Validate() error {
	if min(c.H, c.W, c.Channels, c.OutChannels, c.Hidden) < 1 || c.Classes < 0 || c.Dropout < 0 || c.Dropout >= 1 {
		return errors.Errorf("networktest: no network of %+v", c)
	}
	return c.LoRA.Validate()
}

// Drops implements [network.Network].
func (c Least) Drops() bool { return c.Dropout > 0 }

// WithLoRA implements [network.Network].
func (c Least) WithLoRA(l network.LoRA) network.Network {
	c.LoRA = l
	return c
}

// Forward implements [network.Network]:
//
//	h = tanh(conv(x) + t·a + b + label),    out = dropout(h)·V + c
func (c Least) Forward(scope *model.Scope, seed uint64, in network.Inputs) *Node {
	h := c.ForwardToMid(scope, seed, in)
	if in.Dropout != nil && c.Dropout > 0 {
		_, u := network.RandomRows(RandomUniform, in.Dropout, h.Shape(), in.Rows)
		h = Where(LessThan(u, Scalar(h.Graph(), u.DType(), 1-c.Dropout)), DivScalar(h, 1-c.Dropout), ZerosLike(h))
	}
	l := layer{c, scope.At("out"), seed, in, scope.Scope()}
	batch := in.X.Shape().Dimensions[0]
	out := Dot(Reshape(h, batch*c.H*c.W, c.Hidden), l.kernel(0, c.Hidden, c.OutChannels)).Product()
	return Reshape(Add(out, BroadcastToShape(Reshape(l.weight("biases", 1, 1, 0, c.OutChannels), 1, c.OutChannels), out.Shape())), batch, c.H, c.W, c.OutChannels)
}

// ForwardToMid implements [network.Network]: the hidden layer, [B, H, W, Hidden].
func (c Least) ForwardToMid(scope *model.Scope, seed uint64, in network.Inputs) *Node {
	if err := c.Validate(); err != nil {
		panic(err)
	}
	batch := in.X.Shape().Dimensions[0]
	in.X.AssertDims(batch, c.H, c.W, c.Channels)
	at := func(name string) layer { return layer{c, scope.At("%s", name), seed, in, scope.Scope()} }
	time := at("time")
	t := Reshape(MulScalar(ConvertDType(in.T, in.X.DType()), 1.0/1000), batch, 1)
	each := Dot(t, time.kernel(1, 1, c.Hidden)).Product()
	each = Add(each, BroadcastToShape(Reshape(time.weight("biases", 1, 1, 0, c.Hidden), 1, c.Hidden), each.Shape()))
	if c.Classes > 0 {
		table := at("label").weight(network.Embedding, 1, 1, 1.0/3, c.Classes+1, c.Hidden)
		each = Add(each, Gather(table, Reshape(in.Y, batch, 1)))
	}
	h := Convolve(in.X, at("in").kernel(1, 3, 3, c.Channels, c.Hidden)).PadSame().Done()
	return Tanh(Add(h, BroadcastToShape(Reshape(each, batch, 1, 1, c.Hidden), h.Shape())))
}

// layer is a place for weights.
type layer struct {
	Least
	scope *model.Scope
	seed  uint64
	in    network.Inputs
	root  string
}

// kernel is a kernel [..., in, out] with its adapter; scale as in [network.Draw].
func (l layer) kernel(scale float64, dims ...int) *Node {
	inputs, out := network.Matrix(dims)
	return l.LoRA.Adapt(l.weight(network.Kernel, inputs, out, scale, dims...), l.weight)
}

// weight is the named weight's value, drawn first where the scope has none.
func (l layer) weight(name string, fanIn, fanOut int, scale float64, dims ...int) *Node {
	w := l.scope.GetVariable(name)
	if w == nil {
		size := 1
		for _, d := range dims {
			size *= d
		}
		values := network.Draw(l.seed, l.scope.Scope()[len(l.root):]+"/"+name, fanIn, fanOut, scale, size)
		var err error
		if w, err = l.scope.CreateVariable(name, tensors.FromFlatDataAndDimensions(values, dims...)); err != nil {
			panic(err)
		}
	}
	if l.in.Weights != nil {
		return l.in.Weights(w)
	}
	return w.NodeValue(l.in.X)
}
