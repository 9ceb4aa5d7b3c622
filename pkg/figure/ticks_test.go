package figure

import (
	"math"
	"testing"
)

// No range of an axis keeps its ticks from ending, and none has more than a page can show.
func TestTicksEnd(t *testing.T) {
	values := []float64{0, 1, -1, 1e-300, 1e300, -1e300, math.MaxFloat64, math.Inf(1), math.Inf(-1), math.NaN(), 1 + 1e-15, 1e16, 1e16 + 2, 3.4e38, 5e-324}
	for _, low := range values {
		for _, high := range values {
			for name, ticks := range map[string]int{"linear": len(LinearTicks{}.Ticks(low, high)), "log": len(logTicks{}.Ticks(low, high)),
				"few": len(FewTicks{}.Ticks(low, high)), "zero": len(zeroLog{low}.Ticks(low, high))} {
				if ticks > 40 {
					t.Errorf("%s ticks from %g to %g: %d", name, low, high, ticks)
				}
			}
		}
	}
}
