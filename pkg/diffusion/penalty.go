package diffusion

import (
	"math"

	. "github.com/gomlx/gomlx/core/graph"
	"github.com/pkg/errors"
)

// Scopes of the quadratic penalty.
const (
	scopeImportance = "importance" // F
	scopeAnchor     = "anchor"     // θ*
)

// penaltyTerm holds the weights by a quadratic penalty.
var penaltyTerm = &term{
	name: "Penalty", declared: func(e Extra) bool { return e.Penalty },
	single: "hold the weights by the network's one quadratic penalty",
	vectors: func(Extra) []vector {
		return []vector{beside(scopeImportance, 0, startZero), beside(scopeAnchor, 0, startZero)}
	},
	strengths: []strength{{"PenaltyStrength", func(b Batch) float64 { return b.PenaltyStrength }}},
	pull: func(x *termGraph, grad *Node) (part, pulled *Node) { // strength·F·(θ-θ*)
		strength := x.input("PenaltyStrength")
		distance := Sub(x.before, x.vector(scopeAnchor))
		pull := Mul(x.vector(scopeImportance), distance)
		penalty := Mul(strength, MulScalar(ReduceAllSum(Mul(pull, distance)), 0.5))
		x.report("Penalty", penalty)
		return penalty, Add(grad, Mul(strength, pull))
	},
	scalars: []scalar{{"Penalty", func(r *StepResult, v float64) { r.Penalty = v }}},
}

// SetPenalty sets the quadratic penalty
//
//	Batch.PenaltyStrength/2 · Σ_i F_i·(θ_i - θ*_i)²
//
// to importance F and anchor θ*, both [P] in the order of [Network.Weights]. Both start at 0, which is no penalty. It fails
// for importances that are negative or not finite. The network must be extended by [Extra.Penalty].
func (n *Network) SetPenalty(importance, anchor []float32) error {
	if err := needs(n.extra.Penalty, "Penalty", "SetPenalty"); err != nil {
		return err
	}
	if len(importance) != n.Parameters() || len(anchor) != len(importance) {
		return errors.Errorf("diffusion: %d importances and %d anchors for %d weights; need one each", len(importance), len(anchor), n.Parameters())
	}
	for i, f := range importance {
		if !(f >= 0) || math.IsInf(float64(f), 0) || math.IsNaN(float64(anchor[i])) || math.IsInf(float64(anchor[i]), 0) {
			return errors.Errorf("diffusion: weight %d has importance %g and anchor %g; need a finite importance >= 0 and a finite anchor",
				i, f, anchor[i])
		}
	}
	if err := n.setFlat(scopeImportance, importance); err != nil {
		return err
	}
	return n.setFlat(scopeAnchor, anchor)
}

// Penalty returns what [Network.SetPenalty] set, both [P].
func (n *Network) Penalty() (importance, anchor []float32, err error) {
	if err := needs(n.extra.Penalty, "Penalty", "Penalty"); err != nil {
		return nil, nil, err
	}
	if importance, err = n.flat(scopeImportance); err != nil {
		return nil, nil, err
	}
	anchor, err = n.flat(scopeAnchor)
	return importance, anchor, err
}

// FoldPenalty adds to the penalty with importance F and anchor θ* another with importance f and anchor a, all [P], in
// place. The sum of quadratics is a quadratic, up to a constant that no gradient sees:
//
//	F(θ-θ*)² + f(θ-a)² = (F+f)·(θ - (Fθ*+fa)/(F+f))² + F·f/(F+f)·(θ*-a)²
//
// so that the penalties of any number of tasks and methods take the room of one. Where both importances are 0 the anchor
// is a. It fails for slices of different lengths.
func FoldPenalty(importance, anchor, f, a []float32) error {
	if len(anchor) != len(importance) || len(f) != len(importance) || len(a) != len(importance) {
		return errors.Errorf("diffusion: folding penalties of %d and %d importances, %d and %d anchors; need as many each",
			len(importance), len(f), len(anchor), len(a))
	}
	for i := range importance {
		sum := float64(importance[i]) + float64(f[i])
		if sum == 0 {
			anchor[i] = a[i]
			continue
		}
		// From the old anchor towards the new: exact where both are equal.
		anchor[i] = float32(float64(anchor[i]) + float64(f[i])/sum*(float64(a[i])-float64(anchor[i])))
		importance[i] = float32(sum)
	}
	return nil
}
