package diffusion

import (
	"math/rand/v2"
	"sort"

	"github.com/pkg/errors"
	"gonum.org/v1/gonum/floats"
)

// TimestepDraw draws timesteps with given probabilities; it is the running sum of these.
type TimestepDraw []float64

// NewTimestepDraw draws timestep t, 0 .. len(weights)-1, in proportion to weights[t]. It panics unless weights are finite and 0 or
// more, with a positive and finite sum.
func NewTimestepDraw(weights []float64) TimestepDraw {
	for t, w := range weights {
		if !finite(w) {
			panic(errors.Errorf("diffusion.NewTimestepDraw: the weight of timestep %d is %g; need finite numbers of 0 or more", t, w))
		}
	}
	if sum := floats.Sum(weights); !(sum > 0) || !finite(sum) {
		panic(errors.Errorf("diffusion.NewTimestepDraw: %d weights that sum to %g; need a positive, finite sum", len(weights), sum))
	}
	return timestepDraw(weights)
}

// timestepDraw is NewTimestepDraw of weights that are right.
func timestepDraw(weights []float64) TimestepDraw {
	return floats.CumSum(make([]float64, len(weights)), weights)
}

// Draw inverts the distribution function at one uniform number. A timestep of probability 0 adds nothing to the running
// sum, so it is never the first to exceed u; gonum's Categorical can return one.
func (d TimestepDraw) Draw(rng *rand.Rand) int {
	u := rng.Float64() * d[len(d)-1] // less than the sum: 1-2⁻⁵³ times a number rounds below it
	return sort.Search(len(d), func(t int) bool { return d[t] > u })
}
