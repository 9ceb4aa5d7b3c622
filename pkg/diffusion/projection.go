package diffusion

import . "github.com/gomlx/gomlx/core/graph"

// project replaces the gradient g by
//
//	g - (g·r)/(r·r)·r    where g·r < 0
//
// for the gradient r of the reference rows, [agem] eq. 11: the nearest gradient that does not raise their loss.
func (x *extraGraph) project(grads, reference []*Node) {
	zero := ScalarZero(x.g, grads[0].DType())
	inner := zero
	for i := range grads {
		inner = Add(inner, ReduceAllSum(Mul(grads[i], reference[i])))
	}
	opposed := LessThan(inner, zero)
	factor := Where(opposed, Div(inner, MaxScalar(squaredNorm(reference), 1e-30)), zero)
	for i := range grads {
		grads[i] = Sub(grads[i], Mul(factor, reference[i]))
	}
	x.projected = ConvertDType(opposed, grads[0].DType())
}
