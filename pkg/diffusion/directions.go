package diffusion

import (
	"math"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/pkg/errors"
)

// Variables of the rank-1 penalties.
const (
	scopeDirections    = "directions"        // μ_k, [K, P]
	scopeOrigin        = "directions_origin" // o, from which weights are measured
	pathOffsets        = "/directions_offset"
	pathDirectionCount = "/directions_count"
)

// directionsTerm holds the weights by rank-1 penalties.
var directionsTerm = &term{
	name: "Directions", declared: func(e Extra) bool { return e.Directions > 0 },
	vectors: func(e Extra) []vector {
		return []vector{beside(scopeDirections, e.Directions, startZero), beside(scopeOrigin, 0, startZero)}
	},
	others: func(e Extra) []pathShape {
		return []pathShape{{pathOffsets, shapes.Make(dtypes.Float32, e.Directions)}, {pathDirectionCount, shapes.Make(dtypes.Int64)}}
	},
	strengths: []strength{{"DirectionStrength", func(b Batch) float64 { return b.DirectionStrength }}},
	pull: func(x *termGraph, grad *Node) (part, pulled *Node) { // strength·Σ_k (μ_k·(θ-o) - offset_k)·μ_k
		strength := x.input("DirectionStrength")
		directions := x.vector(scopeDirections)
		along := Einsum("kp,p->k", directions, Sub(x.before, x.vector(scopeOrigin)))
		along = Sub(along, x.n.store.GetVariable(pathOffsets).NodeValue(x.g))
		penalties := Mul(strength, MulScalar(ReduceAllSum(Square(along)), 0.5))
		x.report("Directions", penalties)
		return penalties, Add(grad, Einsum("k,kp->p", Mul(along, strength), directions))
	},
	scalars: []scalar{{"Directions", func(r *StepResult, v float64) { r.Directions = v }}},
}

// AddDirection adds a rank-1 penalty: with those before, the loss has
//
//	Batch.DirectionStrength/2 · Σ_k (μ_k·(θ - θ*_k))²
//
// for μ_k = direction and θ*_k = anchor, both [P] in the order of [Network.Weights] ([rank1] with the mean gradient as μ).
// A weight w of its own goes into μ_k as sqrt(w). Of each penalty μ_k is stored and one number, μ_k·(θ*_k - o); the
// origin o, common to all, is the newest anchor, so that nothing large cancels in float32. It fails where all declared
// penalties ([Extra.Directions]) are taken.
func (n *Network) AddDirection(direction, anchor []float32) error {
	if err := needs(n.extra.Directions > 0, "Directions", "AddDirection"); err != nil {
		return err
	}
	if len(direction) != n.Parameters() || len(anchor) != len(direction) {
		return errors.Errorf("diffusion: a direction of %d values and %d anchors for %d weights; need one each", len(direction), len(anchor), n.Parameters())
	}
	for i, mu := range direction {
		if !finite(math.Abs(float64(mu))) || !finite(math.Abs(float64(anchor[i]))) {
			return errors.Errorf("diffusion: weight %d has direction %g and anchor %g; need finite numbers", i, mu, anchor[i])
		}
	}
	count, err := n.DirectionCount()
	if err != nil {
		return err
	}
	if count >= n.extra.Directions {
		return errors.Errorf("diffusion: all %d rank-1 penalties are taken; declare more in Extra.Directions", count)
	}
	origin, err := n.flat(scopeOrigin)
	if err != nil {
		return err
	}
	directions := n.vector(scopeDirections)
	all, err := valuesOf(directions)
	if err != nil {
		return err
	}
	offsets := n.store.GetVariable(pathOffsets)
	values, err := valuesOf(offsets)
	if err != nil {
		return err
	}
	// Measured from the new origin, the offsets of those before move by μ_k·(old - new).
	size := len(direction)
	for k := range count {
		moved := 0.0
		for i, mu := range all[k*size : (k+1)*size] {
			moved += float64(mu) * (float64(origin[i]) - float64(anchor[i]))
		}
		values[k] = float32(float64(values[k]) + moved)
	}
	copy(all[count*size:], direction)
	if err := directions.SetValue(tensors.FromFlatDataAndDimensions(all, n.extra.Directions, size)); err != nil {
		return err
	}
	if err := offsets.SetValue(tensors.FromFlatDataAndDimensions(values, len(values))); err != nil {
		return err
	}
	if err := n.store.GetVariable(pathDirectionCount).SetValue(tensors.FromFlatDataAndDimensions([]int64{int64(count + 1)})); err != nil {
		return err
	}
	return n.setFlat(scopeOrigin, anchor)
}

// DirectionCount is the number of rank-1 penalties added so far.
func (n *Network) DirectionCount() (int, error) {
	if err := needs(n.extra.Directions > 0, "Directions", "DirectionCount"); err != nil {
		return 0, err
	}
	if err := n.build(); err != nil {
		return 0, err
	}
	value, err := n.store.GetVariable(pathDirectionCount).Value()
	if err != nil {
		return 0, err
	}
	count, err := tensors.CopyFlatData[int64](value)
	if err != nil {
		return 0, err
	}
	return int(count[0]), nil
}
