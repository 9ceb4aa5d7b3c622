package cl

import (
	"math"
	"math/rand/v2"
	"slices"
	"sort"
	"strconv"
	"strings"

	"github.com/pkg/errors"
	"gonum.org/v1/gonum/floats"
)

const (
	TimestepsUniform  = "uniform"  // timesteps drawn evenly, as the loop draws them
	TimestepsMeasured = "measured" // timesteps drawn by weights that were measured, given beside the name
)

// timestepForms lists what a formula may be.
var timestepForms = []string{TimestepsUniform, "low:F", "high:F", "range:A-B", TimestepsMeasured}

// timestepRange reads a formula, as [ER.TimestepProbabilities] explains them, into the fractions of all timesteps
// between which w is 1.
func timestepRange(formula string) (from, to float64, err error) {
	form, argument, _ := strings.Cut(formula, ":")
	var low, high error
	switch {
	case formula == "" || formula == TimestepsUniform:
		return 0, 1, nil
	case form == "low":
		to, high = strconv.ParseFloat(argument, 64)
	case form == "high":
		to = 1
		from, low = strconv.ParseFloat(argument, 64)
		from = 1 - from
	case form == "range":
		a, b, _ := strings.Cut(argument, "-")
		from, low = strconv.ParseFloat(a, 64)
		to, high = strconv.ParseFloat(b, 64)
	case form == TimestepsMeasured:
		return 0, 0, errors.Errorf("cl: er: timesteps are %q without timestep_weights; the weights come from a study's forgetting map: use --sweep timesteps=measured:DIR with that study's folder",
			formula)
	default:
		return 0, 0, errors.Errorf("cl: er: timesteps are %q%s; choose one of %q, for instance \"low:0.25\"", formula,
			DidYouMean(form, []string{TimestepsUniform, "low", "high", "range", TimestepsMeasured}), timestepForms)
	}
	if low != nil || high != nil || !(0 <= from && from < to && to <= 1) {
		return 0, 0, errors.Errorf("cl: er: timesteps are %q; need fractions with 0 < F <= 1 in \"low:F\" and \"high:F\" and 0 <= A < B <= 1 in \"range:A-B\", as plain decimals",
			formula)
	}
	return from, to, nil
}

// TimestepProbabilities returns p [T], the distribution over the T timesteps of a process that replay rows draw theirs
// from: a weight w(t) >= 0 divided by its sum. w is given by the formula Timesteps,
//
//	"" or "uniform"  1 everywhere
//	"low:F"          1 for the lowest (least noisy) fraction F of all timesteps, else 0; 0 < F <= 1
//	"high:F"         1 for the highest fraction F, else 0; 0 < F <= 1
//	"range:A-B"      1 from fraction A of all timesteps up to fraction B, else 0; 0 <= A < B <= 1
//
// or by the values TimestepWeights, of which the first is w(0), the last w(T-1), and the others lie evenly between
// them with w linear from one to the next; T values are w itself, of more some are read nowhere. Timesteps "measured" is
// the name of such values and needs them.
//
// Fractions are plain decimals, rounded to whole timesteps: "range:A-B" is t = round(A·T) .. round(B·T)-1, so ranges
// that meet share no timestep; "low:F" is "range:0-F" and "high:F" is "range:(1-F)-1". It is an error if T is not
// positive, if Timesteps is none of these or leaves no timestep, if TimestepWeights has a negative or infinite number
// or none that is positive, if there are values and a Timesteps other than "measured", or "measured" without values.
func (e *ER) TimestepProbabilities(T int) ([]float64, error) {
	if T < 1 {
		return nil, errors.Errorf("cl: er: a process of %d timesteps; need at least 1", T)
	}
	if err := e.validateTimesteps(); err != nil {
		return nil, err
	}
	var weights []float64
	var err error
	if len(e.TimestepWeights) > 0 {
		weights, err = knotWeights(e.TimestepWeights, T)
	} else {
		weights, err = formulaWeights(e.Timesteps, T)
	}
	if err != nil {
		return nil, err
	}
	floats.Scale(1/floats.Sum(weights), weights)
	return weights, nil
}

// targeted says that replay rows have timesteps of their own.
func (e *ER) targeted() bool {
	return len(e.TimestepWeights) > 0 || (e.Timesteps != "" && e.Timesteps != TimestepsUniform)
}

// validateTimesteps reports timesteps that no process has.
func (e *ER) validateTimesteps() error {
	if len(e.TimestepWeights) == 0 {
		_, _, err := timestepRange(e.Timesteps)
		return err
	}
	if e.Timesteps != "" && e.Timesteps != TimestepsMeasured {
		return errors.Errorf("cl: er: timesteps are %q and there are %d timestep_weights too; give one of them, or name the weights \"measured\"", e.Timesteps, len(e.TimestepWeights))
	}
	return checkWeights(e.TimestepWeights)
}

// formulaWeights returns w [T] of a formula. It is an error if no timestep is left.
func formulaWeights(formula string, T int) ([]float64, error) {
	from, to, err := timestepRange(formula)
	if err != nil {
		return nil, err
	}
	first, end := int(math.Round(from*float64(T))), int(math.Round(to*float64(T)))
	if first >= end {
		return nil, errors.Errorf("cl: er: timesteps are %q, which is none of the process's %d; widen them to at least 1/%d of all", formula, T, T)
	}
	weights := make([]float64, T)
	for t := first; t < end; t++ {
		weights[t] = 1
	}
	return weights, nil
}

// checkWeights reports weights that are no distribution once normalised.
func checkWeights(weights []float64) error {
	for i, w := range weights {
		if !(w >= 0) || math.IsInf(w, 0) {
			return errors.Errorf("cl: er: timestep weight %d of %d is %g; need finite numbers >= 0", i, len(weights), w)
		}
	}
	if slices.Max(weights) == 0 {
		return errors.Errorf("cl: er: all %d timestep weights are 0; need one that is positive", len(weights))
	}
	return nil
}

// knotWeights returns w [T], up to a factor, from any number of evenly spaced values of it that are a distribution. It
// is an error if all of w is 0.
func knotWeights(knots []float64, T int) ([]float64, error) {
	largest := slices.Max(knots) // sums of the largest numbers there are would overflow
	weights, gaps := make([]float64, T), max(T-1, 1)
	for t := range weights {
		k, rest := t*(len(knots)-1)/gaps, t*(len(knots)-1)%gaps
		weights[t] = knots[k] / largest
		if rest > 0 {
			f := float64(rest) / float64(gaps)
			weights[t] = (1-f)*weights[t] + f*knots[k+1]/largest
		}
	}
	return weights, errors.WithMessagef(checkWeights(weights), "%d weights read at %d timesteps", len(knots), T)
}

// timestepSampler draws timesteps; it is the running sum of their probabilities.
type timestepSampler []float64

// draw inverts the distribution function at one uniform number. A timestep of probability 0 adds nothing to the
// running sum, so it is never the first to exceed u; gonum's Categorical can return one.
func (s timestepSampler) draw(rng *rand.Rand) int32 {
	u := rng.Float64() * s[len(s)-1] // less than the sum: 1-2⁻⁵³ times a number rounds below it
	return int32(sort.Search(len(s), func(t int) bool { return s[t] > u }))
}
