package diffusion

import (
	"slices"

	"github.com/gomlx/compute/shapes"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/pkg/errors"

	"palimpsest/pkg/network"
)

// Extra declares what a network's training step can do besides its denoising loss. All of it is part of the one compiled
// step and is steered from step to step by the [Batch] and between steps by the network's setters, so that nothing
// compiles twice. The zero value adds nothing, neither to the graph nor to what is stored.
type Extra struct {
	Teacher    bool // a frozen copy of the network: [Network.SetTeacher], [Batch.Distil]
	Given      bool // noise and predictions that are given: [Batch.Noise], [Batch.Target]
	Penalty    bool // a quadratic penalty on the weights: [Network.SetPenalty]
	Directions int  // most rank-1 penalties on the weights: [Network.AddDirection]
	Projection bool // the gradient projected against that of reference rows: [Batch.Reference]
	Mask       bool // weights held fixed one by one: [Network.SetMask]
	Path       bool // the loss's path integral along training: [Network.PathIntegral]

	// LoRA is the rank of adapters next to every kernel, which become weights of the network like all others
	// ([network.LoRA]), and LoRAAlpha their scale: [Network.ResetLoRA], [Network.MergeLoRA]. Rank 0: none.
	LoRA      int
	LoRAAlpha float64
}

// Merge declares what either of two methods needs; rank-1 penalties add up, and of two ranks of adapters the larger holds.
func (e Extra) Merge(o Extra) Extra {
	rank, alpha := e.LoRA, e.LoRAAlpha
	if o.LoRA > rank {
		rank, alpha = o.LoRA, o.LoRAAlpha
	}
	return Extra{
		Teacher: e.Teacher || o.Teacher, Given: e.Given || o.Given, Penalty: e.Penalty || o.Penalty,
		Directions: e.Directions + o.Directions, Projection: e.Projection || o.Projection, Mask: e.Mask || o.Mask, Path: e.Path || o.Path,
		LoRA: rank, LoRAAlpha: alpha,
	}
}

// adapters are those next to the kernels.
func (e Extra) adapters() network.LoRA { return network.LoRA{Rank: e.LoRA, Alpha: e.LoRAAlpha} }

// any says whether something is declared.
func (e Extra) any() bool { return e != Extra{} }

// terms are all that a step can have besides its denoising loss. Their order is that of the step's graph, of the parts of the
// loss that add up and of what changes the gradient: another order is another program, and other digits.
var terms = []*term{pureNoiseTerm, teacherTerm, givenTerm, penaltyTerm, directionsTerm, maskTerm, projectionTerm, pathTerm}

// terms are those declared.
func (e Extra) terms() (declared []*term) {
	for _, t := range terms {
		if t.declared(e) {
			declared = append(declared, t)
		}
	}
	return declared
}

// Clash says what methods that need e and o would both do though a network does it for one of them only, as in "a and b
// both say which weights train"; "" where they go together.
func (e Extra) Clash(o Extra) string {
	for _, t := range terms {
		if t.single != "" && t.declared(e) && t.declared(o) {
			return t.single
		}
	}
	return ""
}

// termVectors lists what the declared terms keep for every weight.
func (n *Network) termVectors() []vector {
	return join(n.terms, func(t *term) []vector {
		if t.vectors == nil {
			return nil
		}
		return t.vectors(n.extra)
	})
}

// Extend declares, once and before the first [Network.Step], what the training step needs besides the denoising loss.
// What is declared is stored by [Network.Save], and [Network.Load] wants a file of a network extended alike. Extending
// again by the same changes nothing; it fails for anything else, since the step would compile again.
func (n *Network) Extend(e Extra) error {
	if err := n.open(); err != nil {
		return err
	}
	switch {
	case e.Directions < 0:
		return errors.Errorf("diffusion: %d rank-1 penalties declared; need 0 or more", e.Directions)
	case e == n.extra:
		return nil
	case n.stepped:
		return errors.Errorf("diffusion: extending to %+v after the first step; call Extend right after NewNetwork", e)
	case n.extra.any():
		return errors.Errorf("diffusion: extended to %+v already, now to %+v; merge what several methods need and call Extend once", n.extra, e)
	case e.LoRA > 0 && n.built:
		return errors.Errorf("diffusion: adapters of rank %d for a network that has its weights already; call Extend right after NewNetwork", e.LoRA)
	}
	adapted := n.Net.WithLoRA(e.adapters())
	if err := adapted.Validate(); err != nil {
		return err
	}
	n.Net, n.extra, n.terms = adapted, e, e.terms()
	if n.built {
		return n.buildExtra()
	}
	return nil
}

// Extra is what the network was extended by.
func (n *Network) Extra() Extra { return n.extra }

// ExtraParameters is the number of values that [Extra] keeps besides the weights, their averages and the optimiser's
// state.
func (n *Network) ExtraParameters() int {
	perWeight := 0
	for _, x := range n.termVectors() {
		perWeight += max(x.rows, 1)
	}
	return perWeight * n.Parameters()
}

// buildExtra creates the variables that the extensions need, after all others.
func (n *Network) buildExtra() error {
	for _, x := range n.termVectors() {
		value, err := x.value(n.vector(scopeModel))
		if err != nil {
			return err
		}
		if err := n.untrained(x.path, value); err != nil {
			return err
		}
	}
	for _, t := range n.terms {
		if t.others == nil {
			continue
		}
		for _, x := range t.others(n.extra) {
			if err := n.untrained(x.path, tensors.FromShape(x.shape)); err != nil {
				return err
			}
		}
	}
	return nil
}

// value is the vector's initial value, given the weights.
func (x vector) value(weights *model.Variable) (*tensors.Tensor, error) {
	shape := weights.Shape()
	if x.rows > 0 {
		shape = shapes.Make(shape.DType, x.rows, shape.Size())
	}
	switch x.initial {
	case startWeight:
		value, err := weights.Value()
		if err != nil {
			return nil, err
		}
		return value.Clone()
	case startOne:
		return tensors.FromFlatDataAndDimensions(slices.Repeat([]float32{1}, shape.Size()), shape.Dimensions...), nil
	}
	return tensors.FromShape(shape), nil
}

// needs fails where the network was not extended by what a caller is about to use.
func needs(declared bool, field, use string) error {
	if declared {
		return nil
	}
	return errors.Errorf("diffusion: %s needs a network extended by %s (diffusion.Extra); declare it with Network.Extend before the first step, a strategy by what its Needs returns", use, field)
}
