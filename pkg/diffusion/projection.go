package diffusion

import . "github.com/gomlx/gomlx/core/graph"

// project replaces the gradient g by
//
//	g - (g·r)/(r·r)·r    where g·r < 0
//
// for the gradient r of the reference rows, [agem] eq. 11: the nearest gradient that does not raise their loss.
func (x *extraGraph) project(grad, reference *Node) *Node {
	zero := ScalarZero(x.g, grad.DType())
	inner := ReduceAllSum(Mul(grad, reference))
	opposed := LessThan(inner, zero)
	factor := Where(opposed, Div(inner, MaxScalar(ReduceAllSum(Square(reference)), 1e-30)), zero)
	x.projected = ConvertDType(opposed, grad.DType())
	return Sub(grad, Mul(factor, reference))
}
