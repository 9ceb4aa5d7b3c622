package goconv

import (
	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
)

// Logistic implements compute.Function: 1/(1+exp(-x)). In a build with vectors on amd64 it is 1/(2+expm1(-x)), which differs by
// rounding. The backend's vector code leaves the processor in a state in which math.Exp, assembly that mixes two
// encodings, is some hundred times slower, and math.Expm1, which is plain Go, is not.
func (f *function) Logistic(x compute.Value) (compute.Value, error) {
	shape, err := f.Shape(x)
	if err != nil {
		return nil, err
	}
	if !vectors || shape.DType != dtypes.Float32 {
		return f.Function.Logistic(x)
	}
	return f.sigmoid(x)
}

// sigmoid returns 1/(2+expm1(-x)) for x of float32. An x below -88 gives an infinity on the way and 0 in the end.
func (f *function) sigmoid(x compute.Value) (compute.Value, error) {
	one, err := f.Constant([]float32{1})
	if err != nil {
		return nil, err
	}
	two, err := f.Constant([]float32{2})
	if err != nil {
		return nil, err
	}
	b := &chain{f: f}
	y := b.do(func() (compute.Value, error) { return f.Neg(x) })
	y = b.do(func() (compute.Value, error) { return f.Expm1(y) })
	y = b.do(func() (compute.Value, error) { return f.Add(y, two) })
	y = b.do(func() (compute.Value, error) { return f.Div(one, y) })
	return y, b.err
}
