package diffusion

import (
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/pkg/errors"
)

// scopeMask holds 1 for weights that train and 0 for those held fixed.
const scopeMask = "mask"

// maskTerm holds weights fixed one by one. Adam's moments of earlier steps and weight decay would move them even without a
// gradient, so their update is undone too.
var maskTerm = &term{
	name: "Mask", declared: func(e Extra) bool { return e.Mask },
	single:   "say which weights train",
	vectors:  func(Extra) []vector { return []vector{beside(scopeMask, 0, startOne)} },
	gradient: func(x *termGraph, grad *Node, _ []*Node) *Node { return x.masked(grad) },
	update: func(x *termGraph, before, after *Node) *Node {
		mask := x.vector(scopeMask)
		return Where(GreaterThan(mask, ZerosLike(mask)), after, before)
	},
}

// SetMask says which weights train, [P] in the order of [Network.Weights]; the others keep their value bit for bit, and
// neither their gradient nor weight decay counts, and so does their moving average. At first all train.
// The network must be extended by [Extra.Mask].
func (n *Network) SetMask(train []bool) error {
	if err := needs(n.extra.Mask, "Mask", "SetMask"); err != nil {
		return err
	}
	if len(train) != n.Parameters() {
		return errors.Errorf("diffusion: a mask of %d values for %d weights; need one each", len(train), n.Parameters())
	}
	values := make([]float32, len(train))
	for i, yes := range train {
		if yes {
			values[i] = 1
		}
	}
	return n.setFlat(scopeMask, values)
}

// masked is a gradient without that of what is held fixed.
func (x *termGraph) masked(grad *Node) *Node { return Mul(grad, x.vector(scopeMask)) }
