package unet

import (
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"
)

// adapt returns w, a kernel [..., in, out] under scope, with its adapter added.
func (b *builder) adapt(scope *model.Scope, w *Node) *Node {
	return b.lora.Adapt(w, func(name string, fanIn, fanOut int, scale float64, dims ...int) *Node {
		return b.value(b.variable(scope, name, fanIn, fanOut, scale, dims...), w)
	})
}
