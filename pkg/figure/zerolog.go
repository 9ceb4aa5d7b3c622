package figure

import (
	"math"

	"gonum.org/v1/plot"
)

// zeroLog is a logarithmic axis with a place for zero left of its values: many methods cost nothing. least is the
// smallest value above zero.
type zeroLog struct{ least float64 }

// zeroShare is the place of zero along the axis, and valueShare the place where the values begin.
const zeroShare, valueShare = 0.05, 0.15

// Normalize implements [plot.Normalizer].
func (z zeroLog) Normalize(_, high, x float64) float64 {
	if x <= 0 {
		return zeroShare
	}
	return valueShare + (1-valueShare)*math.Log(x/z.least)/math.Log(high/z.least)
}

// Ticks implements [plot.Ticker].
func (z zeroLog) Ticks(_, high float64) []plot.Tick {
	ticks := logTicks{}.Ticks(z.least, high)
	if high/z.least > 1e5 { // too many decades to label them all
		kept := ticks[:0]
		for _, t := range ticks {
			if int(math.Round(math.Log10(t.Value)))%2 == 0 {
				kept = append(kept, t)
			}
		}
		ticks = kept
	}
	return append([]plot.Tick{{Value: 0, Label: "0"}}, ticks...)
}
