package likelihood

import (
	"context"
	"math"

	"github.com/pkg/errors"
)

// The embedded pair of [dopri]: nodes, stages, and the difference of the fifth- and fourth-order weights. The last
// stage's weights are the fifth-order solution, whose slope is the next step's first.
var (
	dopriNodes  = [7]float64{0, 1. / 5, 3. / 10, 4. / 5, 8. / 9, 1, 1}
	dopriStages = [7][6]float64{
		{},
		{1. / 5},
		{3. / 40, 9. / 40},
		{44. / 45, -56. / 15, 32. / 9},
		{19372. / 6561, -25360. / 2187, 64448. / 6561, -212. / 729},
		{9017. / 3168, -355. / 33, 46732. / 5247, 49. / 176, -5103. / 18656},
		{35. / 384, 0, 500. / 1113, 125. / 192, -2187. / 6784, 11. / 84},
	}
	dopriError = [7]float64{71. / 57600, 0, -71. / 16695, 71. / 1920, -17253. / 339200, 22. / 525, -1. / 40}
)

// steps counts what a solution took.
type steps struct{ accepted, rejected int }

// dormandPrince solves dy/ds = f(s, y) from y at from to to > from, in place, with adaptive steps of the fifth-order
// method. norm measures a step's estimated error in units of the tolerance: at most 1 is accepted.
func dormandPrince(ctx context.Context, f func(s float64, y, slope []float64) error, norm func(before, after, err []float64) float64,
	y []float64, from, to float64, maxSteps int, step func(s float64)) (steps, error) {
	var k [7][]float64
	for i := range k {
		k[i] = make([]float64, len(y))
	}
	next, diff := make([]float64, len(y)), make([]float64, len(y))
	var count steps
	if err := f(from, y, k[0]); err != nil {
		return count, err
	}
	h := (to - from) / 50
	for s := from; s < to; {
		if err := ctx.Err(); err != nil {
			return count, errors.WithMessagef(err, "likelihood: ODE stopped at %g of %g to %g", s, from, to)
		}
		if count.accepted+count.rejected >= maxSteps || s+h == s {
			return count, errors.Errorf("likelihood: ODE at %g of %g to %g after %d steps, the next %g long; loosen the tolerance or allow more steps",
				s, from, to, maxSteps, h)
		}
		last := s+h >= to
		if last {
			h = to - s
		}
		for i := 1; i < 7; i++ {
			for j := range next {
				sum := 0.0
				for m, c := range dopriStages[i][:i] {
					sum += c * k[m][j]
				}
				next[j] = y[j] + h*sum
			}
			if err := f(s+dopriNodes[i]*h, next, k[i]); err != nil {
				return count, err
			}
		}
		for j := range diff {
			diff[j] = 0
			for i, c := range dopriError {
				diff[j] += h * c * k[i][j]
			}
		}
		e := norm(y, next, diff)
		if !(e <= 1) { // also NaN
			count.rejected++
			h *= max(0.2, 0.9*math.Pow(e, -0.2))
			if math.IsNaN(e) {
				return count, errors.Errorf("likelihood: ODE at %g of %g to %g: the network's output is not a number", s, from, to)
			}
			continue
		}
		count.accepted++
		copy(y, next)
		k[0], k[6] = k[6], k[0]
		if s += h; last {
			s = to
		}
		h *= min(5, max(0.2, 0.9*math.Pow(max(e, 1e-10), -0.2)))
		if step != nil {
			step(s)
		}
	}
	return count, nil
}
