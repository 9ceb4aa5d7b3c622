package words

import (
	"math"
	"testing"
)

func TestPlusMinus(t *testing.T) {
	if got := PlusMinus(4.1234, math.NaN(), 3); got != "4.123 ± –" {
		t.Errorf("one value: %q", got)
	}
	if got := PlusMinus(4.1234, 0.05, 2); got != "4.12 ± 0.05" {
		t.Errorf("%q", got)
	}
}
