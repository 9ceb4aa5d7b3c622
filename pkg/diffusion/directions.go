package diffusion

import (
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/pkg/errors"

	"palimpsest/pkg/unet"
)

// Variables of the rank-1 penalties.
const (
	scopeDirections    = "directions"        // μ_k, [K, ...] beside each weight
	scopeOrigin        = "directions_origin" // o, from which weights are measured
	pathOffsets        = "/directions_offset"
	pathDirectionCount = "/directions_count"
)

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
	directions, err := unet.Weights(n.scope(scopeDirections))
	if err != nil {
		return err
	}
	// Measured from the new origin, the offsets of those before move by μ_k·(old - new).
	moved, first := make([]float64, count), 0
	for _, v := range directions {
		value, err := v.Value()
		if err != nil {
			return err
		}
		size := v.Shape().Size() / n.extra.Directions
		all, err := tensors.CopyFlatData[float32](value)
		if err != nil {
			return err
		}
		for k := range count {
			for i, mu := range all[k*size : (k+1)*size] {
				moved[k] += float64(mu) * (float64(origin[first+i]) - float64(anchor[first+i]))
			}
		}
		copy(all[count*size:], direction[first:first+size])
		if err := v.SetValue(tensors.FromFlatDataAndDimensions(all, v.Shape().Dimensions...)); err != nil {
			return err
		}
		first += size
	}
	offsets := n.store.GetVariable(pathOffsets)
	value, err := offsets.Value()
	if err != nil {
		return err
	}
	values, err := tensors.CopyFlatData[float32](value)
	if err != nil {
		return err
	}
	for k := range moved {
		values[k] = float32(float64(values[k]) + moved[k])
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

// addDirections adds the rank-1 penalties' gradient, strength·Σ_k (μ_k·(θ-o) - offset_k)·μ_k, to grads.
func (x *extraGraph) addDirections(grads []*Node) {
	strength := Reshape(Slice(x.strengths, AxisElem(1)))
	count := x.n.extra.Directions
	flat := make([]*Node, len(grads)) // [K, size] each
	along := Neg(x.n.store.GetVariable(pathOffsets).NodeValue(x.g))
	for i, w := range x.before {
		flat[i] = Reshape(x.beside(scopeDirections, i).NodeValue(x.g), count, w.Shape().Size())
		moved := Reshape(Sub(w, x.beside(scopeOrigin, i).NodeValue(x.g)), -1)
		along = Add(along, Einsum("kp,p->k", flat[i], moved))
	}
	x.directions = Mul(strength, MulScalar(ReduceAllSum(Square(along)), 0.5))
	along = Mul(along, strength)
	for i, w := range x.before {
		grads[i] = Add(grads[i], Reshape(Einsum("k,kp->p", along, flat[i]), w.Shape().Dimensions...))
	}
}
