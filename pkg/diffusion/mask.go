package diffusion

import (
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/pkg/errors"
)

// scopeMask holds 1 for weights that train and 0 for those held fixed.
const scopeMask = "mask"

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
func (x *extraGraph) masked(grad *Node) *Node { return Mul(grad, x.vector(scopeMask)) }

// holdMasked undoes the update of what is held fixed: Adam's moments of earlier steps and weight decay would move it.
func (x *extraGraph) holdMasked() {
	w := x.n.vector(scopeModel)
	w.SetNodeValue(x.n.hold(x.before, w.NodeValue(x.g)))
}

// hold is after where a weight trains and before where it is held fixed.
func (n *Network) hold(before, after *Node) *Node {
	if !n.extra.Mask {
		return after
	}
	mask := n.vector(scopeMask).NodeValue(before)
	return Where(GreaterThan(mask, ZerosLike(mask)), after, before)
}
