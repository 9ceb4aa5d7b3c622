// Package network says what a network is to a diffusion model: noisy images of one size in, a prediction of their shape out, and
// weights whose names tell what they are. Packages unet and dit have one each.
//
// References:
//
//	[lora]  Hu et al. LoRA: Low-Rank Adaptation of Large Language Models. arXiv:2106.09685
package network

import (
	"slices"

	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/pkg/errors"
)

// Network is an architecture, with all its sizes. Functions on *Node build graphs and panic on misuse.
type Network interface {
	// Shape is what goes in and comes out.
	Shape() Shape

	// Validate reports the first size that no network can be built from.
	Validate() error

	// Drops says whether the network drops values out while it trains, for which it needs [Inputs].Dropout.
	Drops() bool

	// Forward builds the network under scope and returns its output, [B, H, W, OutChannels]. Weights are created where the
	// scope has none, from seed and their path ([Draw]), under the names of [Kernel] and the others.
	Forward(scope *model.Scope, seed uint64, in Inputs) *Node

	// ForwardToMid builds the network up to its innermost activations only and returns these, [B, h, w, channels], which
	// measures of representation drift look at.
	ForwardToMid(scope *model.Scope, seed uint64, in Inputs) *Node

	// WithLoRA is the network with adapters next to every kernel, or without for the zero value. What a network that has no
	// adapters returns for another value fails in Validate.
	WithLoRA(LoRA) Network
}

// What no network is meant to exceed: its Validate refuses more in no time, where building it would end in none. The largest of
// the sizes by name, dit's XL, has 28 blocks and 675 million weights.
const (
	MostBlocks  = 1000
	MostWeights = 1e10
)

// Shape is what a network takes and returns.
type Shape struct {
	H, W        int // height and width in pixels
	Channels    int // colour channels of an image
	OutChannels int // Channels, or 2·Channels where a variance is learned
	Classes     int // labels are 0 .. Classes; Classes itself means "no label". 0: unconditional
}

// Values is the number of an image's values, D.
func (s Shape) Values() int { return s.H * s.W * s.Channels }

// Inputs are what one call of the network sees.
type Inputs struct {
	X *Node // [B, H, W, C] noisy images
	T *Node // [B] int32 timesteps, 0 .. T-1
	Y *Node // [B] int32 labels, 0 .. Classes; ignored where the network is unconditional

	// Dropout is a random state ([RNGStateFromSeed]); nil switches dropout off, as sampling and evaluation need.
	Dropout *Node

	// NoGradient says that no gradient is taken of the output, so that nothing between input and output need be kept.
	NoGradient bool

	// Rows is how many of the rows, from the first on, random draws are for; those after them only fill up a batch. 0: all.
	Rows int

	// Weights gives the value of a weight in the graph, of its shape; nil: each variable holds its own. A caller that keeps
	// the weights elsewhere, say all in one vector, still needs the variables, for their names and shapes.
	Weights func(w *model.Variable) *Node
}

// Names of weights.
const (
	Kernel    = "weights"   // of a convolution or another linear map, [..., in, out]
	Embedding = "embedding" // of labels, [Classes+1, width]
	LoRAA     = "lora_a"    // of an adapter ([LoRA]), next to its kernel
	LoRAB     = "lora_b"
)

// IsKernel says whether a weight is a kernel, and so no bias, gain, offset, embedding or part of an adapter.
func IsKernel(w *model.Variable) bool { return w.Name() == Kernel }

// IsLoRA says whether a weight is part of an adapter.
func IsLoRA(w *model.Variable) bool { return w.Name() == LoRAA || w.Name() == LoRAB }

// Weights returns the variables under scope in the order of their paths. It fails where the scope has none, that is
// before the first call built the network.
func Weights(scope *model.Scope) ([]*model.Variable, error) {
	vars := slices.Collect(scope.IterVariables())
	if len(vars) == 0 {
		return nil, errors.Errorf("network: scope %q holds no weights yet; build the network first", scope.Scope())
	}
	slices.SortFunc(vars, func(a, b *model.Variable) int {
		switch {
		case a.Path() < b.Path():
			return -1
		case a.Path() > b.Path():
			return 1
		}
		return 0
	})
	return vars, nil
}

// LabelRows marks, in the order of [Weights] with all weights flat [P], the rows of the label embedding that belong to
// labels. A network without labels has none.
func LabelRows(weights []*model.Variable, labels []int) []bool {
	wanted := map[int]bool{} // a search for each value would take the square of the number of classes
	for _, label := range labels {
		wanted[label] = true
	}
	var rows []bool
	for _, w := range weights {
		marks := make([]bool, w.Shape().Size())
		if w.Name() == Embedding {
			width := w.Shape().Dimensions[1]
			for i := range marks {
				marks[i] = wanted[i/width]
			}
		}
		rows = append(rows, marks...)
	}
	return rows
}

// SwapAxes returns values [n, a, b] as [n, b, a]: what libraries of other conventions keep a kernel as.
func SwapAxes(values []float32, n, a, b int) []float32 {
	out := make([]float32, len(values))
	for k := range n {
		for i := range a {
			for j := range b {
				out[(k*b+j)*a+i] = values[(k*a+i)*b+j]
			}
		}
	}
	return out
}
