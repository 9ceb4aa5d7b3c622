package network

import (
	"math"
	"slices"
	"strings"

	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/pkg/errors"
	"gonum.org/v1/gonum/blas"
	"gonum.org/v1/gonum/blas/blas32"
)

// LoRA puts a low-rank adapter next to every kernel of a network, those of convolutions, of attention and of the other
// linear maps ([lora] eq. 3):
//
//	W + Alpha/Rank · A·B
//
// W is the kernel as a matrix [inputs, out], inputs running over the window's pixels and the incoming channels. A
// [inputs, Rank] is drawn as [lora]'s code does, uniformly within 1/sqrt(inputs), and B [Rank, out] starts at zero, so
// that a new adapter changes nothing. Both are weights named "lora_a" and "lora_b" next to the kernel's "weights". The
// zero value adds nothing, neither to the graph nor to the weights.
type LoRA struct {
	Rank  int     // of A·B, >= 0; 0: no adapters
	Alpha float64 // scale of the adapters, in multiples of Rank
}

// Validate reports a rank or a scale that no adapters have.
func (l LoRA) Validate() error {
	if l.Rank < 0 || l.Rank > 0 && !(l.Alpha > 0) || math.IsInf(l.Alpha, 0) {
		return errors.Errorf("network: adapters of rank %d and alpha %g; need a rank of 1 or more with a finite alpha > 0, or rank 0 for none", l.Rank, l.Alpha)
	}
	return nil
}

// Matrix is the shape of a kernel [..., in, out] as a matrix.
func Matrix(dims []int) (inputs, out int) {
	inputs, out = 1, dims[len(dims)-1]
	for _, d := range dims[:len(dims)-1] {
		inputs *= d
	}
	return inputs, out
}

// Adapt returns w, a kernel [..., in, out] in a graph, with its adapter added. weight gives the value there of the named weight next to
// the kernel, which begins as [Draw] draws it for the two sides and the scale.
func (l LoRA) Adapt(w *Node, weight func(name string, fanIn, fanOut int, scale float64, dims ...int) *Node) *Node {
	if l.Rank == 0 {
		return w
	}
	inputs, out := Matrix(w.Shape().Dimensions)
	// Variance 1/(3·inputs) is that of the uniform within 1/sqrt(inputs).
	down := weight(LoRAA, inputs, inputs, 1.0/3, inputs, l.Rank)
	up := weight(LoRAB, l.Rank, out, 0, l.Rank, out)
	change := MulScalar(Dot(down, up).Product(), l.Alpha/float64(l.Rank))
	return Add(w, Reshape(change, w.Shape().Dimensions...))
}

// Reset makes every adapter under scope a new one, with A drawn from seed and its path, and B zero.
func (l LoRA) Reset(scope *model.Scope, seed uint64) error {
	return l.each(scope, func(w, down, up *model.Variable) error {
		inputs, _ := Matrix(w.Shape().Dimensions)
		values := Draw(seed, strings.TrimPrefix(down.Path(), scope.Scope()), inputs, inputs, 1.0/3, down.Shape().Size())
		if err := down.SetValue(tensors.FromFlatDataAndDimensions(values, down.Shape().Dimensions...)); err != nil {
			return err
		}
		return up.SetValue(tensors.FromShape(up.Shape()))
	})
}

// Merge adds every adapter under scope to its kernel and sets its B to zero. The network's predictions stay the same but
// for rounding.
func (l LoRA) Merge(scope *model.Scope) error {
	return l.each(scope, func(w, down, up *model.Variable) error {
		flat := make([][]float32, 3)
		for i, v := range []*model.Variable{w, down, up} {
			value, err := v.Value()
			if err != nil {
				return err
			}
			if flat[i], err = tensors.CopyFlatData[float32](value); err != nil {
				return err
			}
		}
		inputs, out := Matrix(w.Shape().Dimensions)
		general := func(rows, cols int, data []float32) blas32.General {
			return blas32.General{Rows: rows, Cols: cols, Stride: cols, Data: data}
		}
		blas32.Gemm(blas.NoTrans, blas.NoTrans, float32(l.Alpha/float64(l.Rank)),
			general(inputs, l.Rank, flat[1]), general(l.Rank, out, flat[2]), 1, general(inputs, out, flat[0]))
		if err := w.SetValue(tensors.FromFlatDataAndDimensions(flat[0], w.Shape().Dimensions...)); err != nil {
			return err
		}
		return up.SetValue(tensors.FromShape(up.Shape()))
	})
}

// each calls f for every kernel under scope and its adapter, in the order of their paths.
func (l LoRA) each(scope *model.Scope, f func(w, down, up *model.Variable) error) error {
	weights, err := Weights(scope)
	if err != nil {
		return err
	}
	find := func(path string) *model.Variable {
		return weights[slices.IndexFunc(weights, func(v *model.Variable) bool { return v.Path() == path })]
	}
	for _, down := range weights {
		if down.Name() != LoRAA {
			continue
		}
		layer := strings.TrimSuffix(down.Path(), LoRAA)
		if err := f(find(layer+Kernel), down, find(layer+LoRAB)); err != nil {
			return err
		}
	}
	return nil
}
