package results

import (
	"fmt"
	"math"
	"slices"
)

// Limits of [Run.Diverged].
const (
	divergedRise  = 10.0 // times the lowest loss of the run, and no less than lossOfNothing
	divergedLimit = 1e3  // whatever the run began with
	lossOfNothing = 1.0  // mean squared error of predicting 0 for noise, which has variance 1; for v and x_0 it is at most that
	neverLearned  = 2.0  // times lossOfNothing, which a plain loss is below from the first steps on
	lastLosses    = 5    // points whose median is the loss at the end: one batch may be far off
)

// Diverged says whether training left what can be called learning, though all numbers stayed finite, and the loss it ended
// at: the median of the last five stored averages. It has
//
//   - where that is more than ten times the lowest average of the run and of the loss of predicting nothing, 1, or above 1000:
//     losses of a variational bound, of rehearsal with its weights and of penalties begin at up to 10, and healthy runs end
//     below where they began;
//   - where a plain loss, the mean squared error with all timesteps alike, is never below twice that of predicting nothing
//     in the first task, in which nothing is rehearsed and nothing held: healthy runs are below 1 from the first steps on.
func (r *Run) Diverged() (loss float64, diverged bool) {
	if len(r.Losses) == 0 {
		return math.NaN(), false
	}
	lowest, first := math.Inf(1), math.Inf(1)
	var last []float64
	for i, p := range r.Losses {
		lowest = math.Min(lowest, p.Loss)
		if p.Task == r.Losses[0].Task {
			first = math.Min(first, p.Loss)
		}
		if i >= len(r.Losses)-lastLosses {
			last = append(last, p.Loss)
		}
	}
	slices.Sort(last)
	loss = last[len(last)/2]
	return loss, loss > divergedLimit || loss > divergedRise*math.Max(lossOfNothing, lowest) || r.plainLoss() && first > neverLearned*lossOfNothing
}

// plainLoss says whether the configuration names the mean squared error alone, without weights of timesteps.
func (r *Run) plainLoss() bool {
	train, ok := r.Config["train"].(map[string]any)
	if !ok {
		return false
	}
	is := func(key string, plain ...any) bool { return train[key] == nil || slices.Contains(plain, train[key]) }
	return is("objective", "", "simple") && is("loss_weight", "", "uniform") && is("vlb_weight", 0, 0.0)
}

// Limits of [Run.Collapsed].
const (
	manyIdentical = 0.1  // of the samples
	muchClipping  = 0.5  // of those pixel values that real images do not clip
	allClipped    = 0.95 // where it was not measured how many real images clip
	blackAndWhite = 0.9  // real images that clip more are themselves black and white: then clipping says nothing
)

// Collapsed says whether the samples of all tasks at the end are no images of their own, and why: a tenth or more of them
// has an exact duplicate, or at least half of the pixel values that real images leave between black and white are one of
// the two. It is false where neither was measured.
func (r *Run) Collapsed() (why string, collapsed bool) {
	if len(r.Evaluations) == 0 {
		return "", false
	}
	u := r.Evaluations[len(r.Evaluations)-1].Union
	if v := u.IdenticalSamples; v != nil && *v >= manyIdentical {
		return fmt.Sprintf("%.0f %% of the samples have an exact duplicate", 100**v), true
	}
	if v := u.ClippedPixels; v != nil && !(u.RealClippedPixels != nil && *u.RealClippedPixels > blackAndWhite) {
		limit, real := allClipped, ""
		if u.RealClippedPixels != nil {
			limit = *u.RealClippedPixels + muchClipping*(1-*u.RealClippedPixels)
			real = fmt.Sprintf(", of real images %.0f %%", 100**u.RealClippedPixels)
		}
		if *v >= limit {
			return fmt.Sprintf("%.0f %% of the samples' pixel values are black or white%s", 100**v, real), true
		}
	}
	return "", false
}
