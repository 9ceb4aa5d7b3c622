package likelihood_test

import (
	"fmt"
	"math"

	"palimpsest/pkg/likelihood"
)

// A normal distribution in the middle of the 256 levels, as wide as one of them, 2/255, gives its own level 0.383 (within half a
// standard deviation): 1.38 bits.
func ExampleLogBinNats() {
	nats := likelihood.LogBinNats(128, 128*2.0/255-1, math.Log(2.0/255), likelihood.ExactCDF)
	fmt.Printf("%.2f bits\n", -nats/math.Ln2)
	// Output: 1.38 bits
}
