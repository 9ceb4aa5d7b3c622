package cl

import (
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/pkg/errors"

	"palimpsest/pkg/words"
)

const (
	TimestepsUniform  = "uniform"  // timesteps drawn evenly, as the loop draws them
	TimestepsMeasured = "measured" // timesteps drawn by weights that were measured and are given with the name
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
			words.DidYouMean(form, []string{TimestepsUniform, "low", "high", "range", TimestepsMeasured}), timestepForms)
	}
	if low != nil || high != nil || !(0 <= from && from < to && to <= 1) {
		return 0, 0, errors.Errorf("cl: er: timesteps are %q; need fractions with 0 < F <= 1 in \"low:F\" and \"high:F\" and 0 <= A < B <= 1 in \"range:A-B\", as plain decimals",
			formula)
	}
	return from, to, nil
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
