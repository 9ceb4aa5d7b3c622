package metrics_test

import (
	"fmt"
	"log"

	"gonum.org/v1/gonum/mat"

	"palimpsest/pkg/metrics"
)

// Two sets of one feature, of means 0 and 3 and sample variances 2 and 8: FID is 3² + (√2 - √8)² = 11.
func ExampleFID() {
	a := mat.NewDense(2, 1, []float64{-1, 1})
	b := mat.NewDense(2, 1, []float64{1, 5})
	fid, err := metrics.FID(a, b, metrics.FIDOptions{})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%.6f\n", fid)
	// Output: 11.000000
}
