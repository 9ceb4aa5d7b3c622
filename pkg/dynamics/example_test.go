package dynamics_test

import (
	"fmt"

	"gonum.org/v1/gonum/mat"

	"palimpsest/pkg/dynamics"
)

// Rotated and scaled features of the same four examples are the same representation.
func ExampleCKA() {
	x := mat.NewDense(4, 2, []float64{1, 0, 0, 1, -1, 0, 3, 2})
	y := mat.NewDense(4, 2, nil)
	y.Mul(x, mat.NewDense(2, 2, []float64{0, 5, -5, 0}))
	cka, err := dynamics.CKA(x, y)
	fmt.Printf("%.3f %v\n", cka, err)
	// Output: 1.000 <nil>
}
