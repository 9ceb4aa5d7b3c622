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
	lastLosses    = 5    // points whose median is the loss at the end: one batch may be far off
)

// Diverged says whether training left what can be called learning, though all numbers stayed finite, and the loss it ended
// at: the median of the last five stored averages. It has where that is more than ten times the lowest average of the run and
// more than ten times the loss of predicting nothing (1), or above 1000. Losses of a variational bound, of rehearsal with its
// weights and of penalties begin at up to 10, and healthy runs end below where they began.
func (r *Run) Diverged() (loss float64, diverged bool) {
	if len(r.Losses) == 0 {
		return math.NaN(), false
	}
	lowest := math.Inf(1)
	var last []float64
	for i, p := range r.Losses {
		lowest = math.Min(lowest, p.Loss)
		if i >= len(r.Losses)-lastLosses {
			last = append(last, p.Loss)
		}
	}
	slices.Sort(last)
	loss = last[len(last)/2]
	return loss, loss > divergedLimit || loss > divergedRise*math.Max(lossOfNothing, lowest)
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
