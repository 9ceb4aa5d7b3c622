package dit

import (
	"math"
	"strings"

	"github.com/gomlx/compute/dtypes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/pkg/errors"

	"palimpsest/pkg/network"
)

// builder carries what every layer of one graph needs.
type builder struct {
	seed    uint64
	root    string // path of the network's scope: weights are drawn from the path below it
	lora    network.LoRA
	weights func(*model.Variable) *Node // [network.Inputs].Weights
}

// start says how a weight is drawn first, as in the code of [dit]'s authors: uniformly by the mean of its two sides, the
// embeddings' normally with deviation 0.02, and what ends a block at zero.
type start int

const (
	linear start = iota
	embedded
	zeros
)

// value is a weight's value in the graph of x.
func (b *builder) value(w *model.Variable, x *Node) *Node {
	if b.weights != nil {
		return b.weights(w)
	}
	return w.NodeValue(x)
}

// variable returns the named weight [in, out], drawn where it does not exist yet from the seed and its path alone.
func (b *builder) variable(scope *model.Scope, name string, from start, in, out int) *model.Variable {
	if v := scope.GetVariable(name); v != nil {
		return v
	}
	path := strings.TrimPrefix(scope.Scope(), b.root) + "/" + name
	var values []float32
	switch from {
	case linear:
		values = network.Draw(b.seed, path, in, out, 1, in*out)
	case embedded:
		values = network.DrawNormal(b.seed, path, 0.02, in*out)
	case zeros:
		values = make([]float32, in*out)
	}
	return b.create(scope, name, values, in, out)
}

func (b *builder) create(scope *model.Scope, name string, values []float32, dims ...int) *model.Variable {
	v, err := scope.CreateVariable(name, tensors.FromFlatDataAndDimensions(values, dims...))
	if err != nil {
		panic(errors.WithMessagef(err, "dit: variable %s/%s", scope.Scope(), name))
	}
	return v
}

// dense maps the last axis of x, [..., in] to [..., out].
func (b *builder) dense(scope *model.Scope, x *Node, out int, from start) *Node {
	dims := x.Shape().Dimensions
	in := dims[len(dims)-1]
	w := b.value(b.variable(scope, network.Kernel, from, in, out), x)
	w = b.lora.Adapt(w, func(name string, fanIn, fanOut int, scale float64, dims ...int) *Node {
		path := strings.TrimPrefix(scope.Scope(), b.root) + "/" + name
		return b.value(b.variableOf(scope, name, network.Draw(b.seed, path, fanIn, fanOut, scale, dims[0]*dims[1]), dims...), w)
	})
	bias := b.value(b.variableOf(scope, "biases", make([]float32, out), out), x)
	rows := x.Shape().Size() / in
	y := Dot(Reshape(x, rows, in), w).Product()
	y = Add(y, BroadcastToDims(Reshape(bias, 1, out), rows, out))
	return Reshape(y, append(append([]int{}, dims[:len(dims)-1]...), out)...)
}

// variableOf is the named weight, which begins with values.
func (b *builder) variableOf(scope *model.Scope, name string, values []float32, dims ...int) *model.Variable {
	if v := scope.GetVariable(name); v != nil {
		return v
	}
	return b.create(scope, name, values, dims...)
}

// parts maps the condition [B, Hidden] to n vectors of its width, by a layer that begins at zero.
func (b *builder) parts(scope *model.Scope, cond *Node, n int) []*Node {
	width := cond.Shape().Dimensions[1]
	all := b.dense(scope, cond, n*width, zeros)
	parts := make([]*Node, n)
	for i := range parts {
		parts[i] = Slice(all, AxisRange(), AxisRange(i*width, (i+1)*width))
	}
	return parts
}

// over repeats v [B, Hidden] for every patch of x [B, patches, Hidden].
func over(v, x *Node) *Node {
	return BroadcastToShape(Reshape(v, v.Shape().Dimensions[0], 1, v.Shape().Dimensions[1]), x.Shape())
}

// modulate scales x by 1+scale and shifts it.
func modulate(x, shift, scale *Node) *Node {
	return Add(Mul(x, OnePlus(over(scale, x))), over(shift, x))
}

// normalised is x with mean 0 and variance 1 over its last axis (arXiv:1607.06450), without gain and offset.
func normalised(x *Node) *Node {
	centred := Sub(x, ReduceAndKeep(x, ReduceMean, -1))
	variance := ReduceAndKeep(Square(centred), ReduceMean, -1)
	return Mul(centred, Reciprocal(Sqrt(AddScalar(variance, 1e-6))))
}

// gelu is the approximation by tanh of arXiv:1606.08415 section 2, which [dit]'s code takes.
func gelu(x *Node) *Node {
	inner := MulScalar(Add(x, MulScalar(Mul(Square(x), x), 0.044715)), math.Sqrt(2/math.Pi))
	return MulScalar(Mul(x, OnePlus(Tanh(inner))), 0.5)
}

// silu is x·sigmoid(x).
func silu(x *Node) *Node { return Mul(x, Sigmoid(x)) }

// timeEmbedding returns sinusoidal features of t [B] int32, [B, timeFeatures]: cosines, then sines.
func timeEmbedding(t *Node) *Node {
	freq := make([]float32, timeFeatures/2)
	for i := range freq {
		freq[i] = float32(math.Exp(-math.Log(10000) * float64(i) / float64(len(freq))))
	}
	batch := t.Shape().Dimensions[0]
	angle := Mul(Reshape(ConvertDType(t, dtypes.Float32), batch, 1), Reshape(Const(t.Graph(), freq), 1, len(freq)))
	return Concatenate([]*Node{Cos(angle), Sin(angle)}, 1)
}
