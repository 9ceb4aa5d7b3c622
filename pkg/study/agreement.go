package study

import (
	"fmt"
	"math"
	"math/rand/v2"

	"github.com/pkg/errors"
	"gonum.org/v1/gonum/stat"

	"palimpsest/pkg/results"
)

// RankAgreement says how far two numbers put the same runs in the same order. Both are turned so that the best ranks
// first: agreement is positive whichever way each improves.
type RankAgreement struct {
	A, B Number
	// Runs ranks all runs, strategies and seeds alike. Its intervals draw runs with replacement, as though each had
	// been an independent draw of a strategy and a seed; runs of one strategy are nearer to each other than that.
	Runs Ranks
	// Methods ranks the means over seeds of the methods. Its intervals draw the seeds of each method with replacement
	// and keep the methods: they say how far other seeds could have changed the order of these methods. Without a
	// method of two seeds there are none. N below 3 leaves it undefined.
	Methods Ranks
}

// Agreement compares the orders that numbers a and b put runs in. It needs three runs that measured both, and
// differences between them.
func Agreement(runs []*results.Run, a, b Number) (RankAgreement, error) {
	var kept []*results.Run
	var x, y []float64
	for _, r := range runs {
		u, v := a.Rankable(a.Of(r)), b.Rankable(b.Of(r))
		if !math.IsNaN(u) && !math.IsNaN(v) {
			kept, x, y = append(kept, r), append(x, u), append(y, v)
		}
	}
	if len(kept) < 3 {
		how := ""
		if a.Metric.Key == BPD.Key || b.Metric.Key == BPD.Key {
			how = "; runs of " + BPDCommand + " measure likelihoods"
		}
		return RankAgreement{}, errors.Errorf("study: %d of %d runs have both %s and %s for every task; need at least 3%s", len(kept), len(runs), a.Name(), b.Name(), how)
	}
	out := RankAgreement{A: a, B: b, Runs: newRanks(x, y, Resamples, pairs(x, y))}
	if !out.Runs.Spearman.Known() {
		constant := a
		if stat.StdDev(x, nil) > 0 {
			constant = b
		}
		return RankAgreement{}, errors.Errorf("study: %s is the same in all %d runs; need differences, to rank them", constant.Name(), len(kept))
	}
	methods := Group(kept)
	meansX, meansY, drawn := make([]float64, len(methods)), make([]float64, len(methods)), [][2][]float64{}
	seeds := 1
	for i, g := range methods {
		var u, v []float64
		for _, r := range g.Runs {
			u, v = append(u, a.Rankable(a.Of(r))), append(v, b.Rankable(b.Of(r)))
		}
		meansX[i], meansY[i] = stat.Mean(u, nil), stat.Mean(v, nil)
		drawn = append(drawn, [2][]float64{u, v})
		seeds = max(seeds, len(u))
	}
	var resample func(*rand.Rand) ([]float64, []float64)
	if seeds > 1 {
		means := [2][]float64{make([]float64, len(methods)), make([]float64, len(methods))}
		resample = func(random *rand.Rand) ([]float64, []float64) {
			for i, d := range drawn {
				means[0][i], means[1][i] = 0, 0
				n := len(d[0])
				for range n {
					k := random.IntN(n)
					means[0][i] += d[0][k] / float64(n)
					means[1][i] += d[1][k] / float64(n)
				}
			}
			return means[0], means[1]
		}
	}
	out.Methods = Ranks{len(methods), Interval{math.NaN(), math.NaN(), math.NaN()}, Interval{math.NaN(), math.NaN(), math.NaN()}}
	if len(methods) > 2 {
		out.Methods = newRanks(meansX, meansY, Resamples, resample)
	}
	return out, nil
}

// Sentence says in words how far the two agree.
func (r RankAgreement) Sentence() string {
	tau := r.Runs.Kendall
	word := "agree in part"
	switch {
	case math.IsNaN(tau.Low):
		word = "were compared too rarely to tell whether they agree"
	case tau.Low <= 0 && tau.High >= 0:
		word = "cannot be told from unrelated orders"
	case tau.Value < 0:
		word = "contradict each other"
	case tau.Value > 0.8:
		word = "mostly agree"
	}
	text := fmt.Sprintf("%s and %s %s over %d runs: Kendall's τ-b is %s, Spearman's ρ %s", r.A.Name(), r.B.Name(), word, r.Runs.N,
		tau.Format(2), r.Runs.Spearman.Format(2))
	if r.Methods.Kendall.Known() {
		text += fmt.Sprintf("; over the means of %d methods τ-b is %s", r.Methods.N, r.Methods.Kendall.Format(2))
	}
	return text + "."
}
