package diffusion

import (
	"slices"

	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/gomlx/gomlx/ml/train/optimizer"
	"github.com/pkg/errors"

	"palimpsest/pkg/network"
)

// Whatever has a value for every weight is one vector in the store, so that a step takes and gives a dozen arrays, not
// some hundreds, and clips, updates and averages them all in a few wide operations. Graphs cut the network's tensors out of
// the vector ([Network.parts]); files hold tensors by their names ([Network.stored]).

// vector is a variable of the store with a value for every weight, in the order of [Network.Weights].
type vector struct {
	path          string
	rows          int    // its shape is [rows, P]; 0: [P]
	initial       int    // startZero, startOne or startWeight
	before, after string // of a weight's name in StateFile
}

// Initial values of a vector.
const (
	startZero = iota
	startOne
	startWeight
)

// beside is a vector whose tensors have a folder of their own in StateFile.
func beside(scope string, rows, initial int) vector {
	return vector{path: "/" + scope, rows: rows, initial: initial, before: scope + "/"}
}

// vectors lists all vectors of the store.
func (n *Network) vectors() []vector {
	return slices.Concat([]vector{beside(scopeModel, 0, startWeight), beside(scopeEMA, 0, startWeight)}, n.moments(), n.termVectors())
}

// moments are those of GoMLX's Adam, under the names it looks for.
func (n *Network) moments() (list []vector) {
	of := optimizer.AdamDefaultScope + "/" + scopeModel
	for _, moment := range []string{"_1st_moment", "_2nd_moment"} {
		list = append(list, vector{path: "/" + of + moment, before: of + "/", after: moment})
	}
	return list
}

// vector is the variable that [beside] names.
func (n *Network) vector(scope string) *model.Variable { return n.store.GetVariable("/" + scope) }

// weight is one tensor of the network, the values first to before end of a vector.
type weight struct {
	variable   *model.Variable // name and shape; without a value
	first, end int
}

// names is the scope under which the architecture finds the weights' variables.
func (n *Network) names() *model.Scope { return n.layout.RootScope().At(scopeModel) }

// parts cuts a vector into the network's tensors, in the graph of x.
func (n *Network) parts(x *Node, scope string) []*Node {
	return n.cut(n.vector(scope).NodeValue(x))
}

// cut is [Network.parts] of a vector's value.
func (n *Network) cut(all *Node) []*Node {
	parts := make([]*Node, len(n.tensors))
	for i, w := range n.tensors {
		parts[i] = Reshape(Slice(all, AxisRange(w.first, w.end)), w.variable.Shape().Dimensions...)
	}
	return parts
}

// on has a call of the network compute with parts of a vector.
func (n *Network) on(parts []*Node, in network.Inputs) network.Inputs {
	values := make(map[*model.Variable]*Node, len(parts))
	for i, w := range n.tensors {
		values[w.variable] = parts[i]
	}
	in.Weights = func(w *model.Variable) *Node { return values[w] }
	return in
}

// forward is the network's output on parts of a vector.
func (n *Network) forward(parts []*Node, in network.Inputs) *Node {
	return n.Net.Forward(n.names(), n.seed, n.on(parts, in))
}

// flatGradient is the gradient of a scalar with respect to the vector that parts were cut from, [P]. With respect to the
// vector itself, autodiff would add up as many vectors as there are parts, each zero except for one.
func flatGradient(of *Node, parts []*Node) *Node {
	grads := Gradient(of, parts...)
	for i, g := range grads {
		grads[i] = Reshape(g, -1)
	}
	return Concatenate(grads, 0)
}

// Weights returns the trained weights, or their moving average, as one slice [P], P being [Network.Parameters]: one
// tensor after the other in ascending order of their names in [StateFile], each flat in row-major order. All flat
// slices of this package that run over weights have this order.
func (n *Network) Weights(ema bool) ([]float32, error) {
	if ema {
		return n.flat(scopeEMA)
	}
	return n.flat(scopeModel)
}

// SetWeights replaces the trained weights, or their moving average, by values [P] in the order of [Network.Weights]. The
// optimiser's state stays. Its error is [Diverged] where a value is not finite.
func (n *Network) SetWeights(values []float32, ema bool) error {
	if i := notFinite(values); i >= 0 {
		return Divergedf("diffusion: weight %d is to be %g; need finite weights: has training diverged?", i, values[i])
	}
	if ema {
		return n.setFlat(scopeEMA, values)
	}
	return n.setFlat(scopeModel, values)
}

// Kernels lists where the kernels of convolutions and of the other linear maps lie in the order of [Network.Weights]: the
// i-th from its first to before its last index.
func (n *Network) Kernels() ([][2]int, error) {
	if err := n.build(); err != nil {
		return nil, err
	}
	var kernels [][2]int
	for _, w := range n.tensors {
		if network.IsKernel(w.variable) {
			kernels = append(kernels, [2]int{w.first, w.end})
		}
	}
	return kernels, nil
}

// flat returns a copy of a vector.
func (n *Network) flat(scope string) ([]float32, error) {
	if err := n.build(); err != nil {
		return nil, err
	}
	return valuesOf(n.vector(scope))
}

// notFinite is the place of the first value that is NaN or infinite, -1 where all are finite.
func notFinite(values []float32) int {
	return slices.IndexFunc(values, func(v float32) bool { return v-v != 0 })
}

// valuesOf copies a variable's values.
func valuesOf(v *model.Variable) ([]float32, error) {
	value, err := v.Value()
	if err != nil {
		return nil, err
	}
	return tensors.CopyFlatData[float32](value)
}

// setFlat replaces a vector.
func (n *Network) setFlat(scope string, values []float32) error {
	if err := n.build(); err != nil {
		return err
	}
	if size := n.Parameters(); len(values) != size {
		return errors.Errorf("diffusion: %d values for %d weights; need one each, in the order of Network.Weights", len(values), size)
	}
	return n.vector(scope).SetValue(tensors.FromFlatDataAndDimensions(values, len(values)))
}

// oneByOne has change see the values of a vector in the variables under [Network.names], and keeps what it makes of them.
func (n *Network) oneByOne(scope string, change func(*model.Scope) error) error {
	values, err := n.flat(scope)
	if err != nil {
		return err
	}
	defer n.forget()
	for _, w := range n.tensors {
		if err := w.variable.SetValue(tensors.FromFlatDataAndDimensions(values[w.first:w.end], w.variable.Shape().Dimensions...)); err != nil {
			return err
		}
	}
	if err := change(n.names()); err != nil {
		return err
	}
	if values, err = n.gather(); err != nil {
		return err
	}
	return n.setFlat(scope, values)
}

// gather joins the values of the variables under [Network.names].
func (n *Network) gather() ([]float32, error) {
	parts := make([][]float32, len(n.tensors))
	for i, w := range n.tensors {
		var err error
		if parts[i], err = valuesOf(w.variable); err != nil {
			return nil, err
		}
	}
	return slices.Concat(parts...), nil
}

// forget frees those values; names and shapes stay.
func (n *Network) forget() {
	for _, w := range n.tensors {
		_ = w.variable.Reset() // of a tensor that never was on a device, which cannot fail
	}
}
