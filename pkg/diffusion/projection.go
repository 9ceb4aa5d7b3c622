package diffusion

import . "github.com/gomlx/gomlx/core/graph"

// projectionTerm keeps the step from raising the loss of reference rows: it replaces the gradient g by
//
//	g - (g·r)/(r·r)·r    where g·r < 0
//
// for the gradient r of the reference rows, [agem] eq. 11: the nearest gradient that does not raise their loss.
var projectionTerm = &term{
	name: "Projection", declared: func(e Extra) bool { return e.Projection },
	columns: []field[float32]{{"Reference", func(b Batch) []float32 { return ones(b.Reference) }}},
	rows: func(x *termGraph, weighted *Node) *Node {
		reference := x.column("Reference")
		x.report("Reference", ReduceAllSum(Mul(weighted, reference)))
		return Mul(weighted, OneMinus(reference))
	},
	gradient: func(x *termGraph, grad *Node, weights []*Node) *Node {
		reference := flatGradient(x.scalar("Reference"), weights)
		if x.n.extra.Mask {
			reference = x.masked(reference)
		}
		zero := ScalarZero(x.g, grad.DType())
		inner := ReduceAllSum(Mul(grad, reference))
		opposed := LessThan(inner, zero)
		factor := Where(opposed, Div(inner, MaxScalar(ReduceAllSum(Square(reference)), 1e-30)), zero)
		x.report("Projected", ConvertDType(opposed, grad.DType()))
		return Sub(grad, Mul(factor, reference))
	},
	scalars: []scalar{
		{"Reference", func(r *StepResult, v float64) { r.Reference = v }},
		{"Projected", func(r *StepResult, v float64) { r.Projected = v > 0 }}},
}
