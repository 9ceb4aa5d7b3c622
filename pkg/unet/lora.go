package unet

import (
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"

	"palimpsest/pkg/network"
)

// adapt returns w, a kernel [..., in, out] under scope, with its adapter added.
func (b *builder) adapt(scope *model.Scope, w *Node) *Node {
	if b.lora.Rank == 0 {
		return w
	}
	inputs, out := network.Matrix(w.Shape().Dimensions)
	// Variance 1/(3·inputs) is that of the uniform within 1/sqrt(inputs).
	down := b.value(b.variable(scope, network.LoRAA, inputs, inputs, 1.0/3, inputs, b.lora.Rank), w)
	up := b.value(b.variable(scope, network.LoRAB, b.lora.Rank, out, 0, b.lora.Rank, out), w)
	change := MulScalar(Dot(down, up).Product(), b.lora.Alpha/float64(b.lora.Rank))
	return Add(w, Reshape(change, w.Shape().Dimensions...))
}
