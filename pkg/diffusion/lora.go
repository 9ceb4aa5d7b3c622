package diffusion

import (
	"slices"

	"github.com/gomlx/gomlx/ml/model"

	"palimpsest/pkg/network"
)

// LoRAWeights marks which weights belong to adapters, [P] in the order of [Network.Weights]. The network must be extended
// by [Extra.LoRA].
func (n *Network) LoRAWeights() ([]bool, error) {
	if err := needs(n.extra.LoRA > 0, "LoRA", "LoRAWeights"); err != nil {
		return nil, err
	}
	if err := n.build(); err != nil {
		return nil, err
	}
	var marks []bool
	for _, w := range n.tensors {
		marks = append(marks, slices.Repeat([]bool{network.IsLoRA(w.variable)}, w.end-w.first)...)
	}
	return marks, nil
}

// LabelWeights marks which weights belong to the embeddings of the given labels alone, [P] in the order of
// [Network.Weights]: none where the network is unconditional.
func (n *Network) LabelWeights(labels []int) ([]bool, error) {
	if err := n.build(); err != nil {
		return nil, err
	}
	weights, err := network.Weights(n.names())
	if err != nil {
		return nil, err
	}
	return network.LabelRows(weights, labels), nil
}

// ResetLoRA begins new adapters, drawn from seed, that change no prediction, in the trained weights and in their moving
// average. The optimiser's state stays. The network must be extended by [Extra.LoRA].
func (n *Network) ResetLoRA(seed uint64) error {
	return n.eachLoRA("ResetLoRA", func(scope *model.Scope) error { return n.extra.adapters().Reset(scope, seed) })
}

// MergeLoRA adds the adapters to the kernels they belong to, in the trained weights and in their moving average, each with
// its own, and sets the adapters' B to zero: predictions stay as they are except for rounding. The network must be extended
// by [Extra.LoRA].
func (n *Network) MergeLoRA() error {
	return n.eachLoRA("MergeLoRA", n.extra.adapters().Merge)
}

// eachLoRA changes the adapters of the trained weights and of their average.
func (n *Network) eachLoRA(use string, change func(*model.Scope) error) error {
	if err := needs(n.extra.LoRA > 0, "LoRA", use); err != nil {
		return err
	}
	if err := n.oneByOne(scopeModel, change); err != nil {
		return err
	}
	return n.oneByOne(scopeEMA, change)
}
