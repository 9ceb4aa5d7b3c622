package study

import (
	"cmp"
	"math"
	"math/rand/v2"
	"slices"

	"gonum.org/v1/gonum/stat"

	"palimpsest/pkg/words"
)

// Interval is a number with an interval: of a difference Student's ([Difference]), of ranks and their correlations the
// percentile bootstrap's, [efron] chapter 13.
type Interval struct {
	Value     float64 // NaN where it is not defined: one side is constant
	Low, High float64 // of 95 %; NaN where there is none
}

// Known says whether the number is defined.
func (i Interval) Known() bool { return !math.IsNaN(i.Value) }

// Format writes "0.42 [0.10, 0.71]", without the brackets where there is no interval, "–" for no number.
func (i Interval) Format(decimals int) string {
	text := words.Number(i.Value, decimals)
	if i.Known() && !math.IsNaN(i.Low) {
		text += " [" + words.Number(i.Low, decimals) + ", " + words.Number(i.High, decimals) + "]"
	}
	return text
}

// Ranks says how far two rankings of the same things agree: 1 the same order, 0 none in common, −1 reversed.
type Ranks struct {
	N        int      // things ranked
	Spearman Interval // ρ: correlation of average ranks
	Kendall  Interval // τ-b: agreeing less disagreeing pairs, with ties in either ranking accounted for, [kendall]
}

// averageRanks gives the smallest value rank 1; equal values share the mean of their places.
func averageRanks(values []float64) []float64 {
	order := make([]int, len(values))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(i, j int) int { return cmp.Compare(values[i], values[j]) })
	ranks := make([]float64, len(values))
	for from := 0; from < len(order); {
		to := from + 1
		for to < len(order) && values[order[to]] == values[order[from]] {
			to++
		}
		for _, i := range order[from:to] {
			ranks[i] = float64(from+to+1) / 2
		}
		from = to
	}
	return ranks
}

// spearman is Pearson's correlation of the average ranks, NaN where x or y is constant.
func spearman(x, y []float64) float64 { return stat.Correlation(averageRanks(x), averageRanks(y), nil) }

// kendall is τ-b = (C − D)/sqrt((C + D + X)·(C + D + Y)) over all pairs, where C agree in their order, D disagree, X are
// tied in x alone and Y in y alone; pairs tied in both do not count. NaN where x or y is constant. (gonum's
// stat.Kendall is τ-a and counts ties by their sign bit.)
func kendall(x, y []float64) float64 {
	agree, disagree, tiedX, tiedY := 0.0, 0.0, 0.0, 0.0
	for i := range x {
		for j := range i {
			switch a, b := cmp.Compare(x[i], x[j]), cmp.Compare(y[i], y[j]); {
			case a == 0 && b == 0:
			case a == 0:
				tiedX++
			case b == 0:
				tiedY++
			case a == b:
				agree++
			default:
				disagree++
			}
		}
	}
	return (agree - disagree) / math.Sqrt((agree+disagree+tiedX)*(agree+disagree+tiedY))
}

// Resamples is how many times the bootstrap draws.
const Resamples = 2000

// newRanks compares the orders of x and y, with intervals from as many draws of resample, which returns what another
// study might have given. Draws in which a side is constant have no order and are left out; where they are more than
// half there is no interval. Without resample there is none either.
func newRanks(x, y []float64, draws int, resample func(*rand.Rand) (x, y []float64)) Ranks {
	r := Ranks{N: len(x), Spearman: Interval{spearman(x, y), math.NaN(), math.NaN()}, Kendall: Interval{kendall(x, y), math.NaN(), math.NaN()}}
	if resample == nil || !r.Spearman.Known() {
		return r
	}
	random := rand.New(rand.NewPCG(1, 0))
	var rho, tau []float64
	for range draws {
		a, b := resample(random)
		if v := spearman(a, b); !math.IsNaN(v) {
			rho, tau = append(rho, v), append(tau, kendall(a, b))
		}
	}
	if 2*len(rho) <= draws {
		return r
	}
	for _, c := range []struct {
		interval *Interval
		values   []float64
	}{{&r.Spearman, rho}, {&r.Kendall, tau}} {
		slices.Sort(c.values)
		c.interval.Low = stat.Quantile(0.025, stat.Empirical, c.values, nil)
		c.interval.High = stat.Quantile(0.975, stat.Empirical, c.values, nil)
	}
	return r
}

// pairs draws as many pairs as there are, with replacement.
func pairs(x, y []float64) func(*rand.Rand) ([]float64, []float64) {
	a, b := make([]float64, len(x)), make([]float64, len(x))
	return func(random *rand.Rand) ([]float64, []float64) {
		for k := range a {
			i := random.IntN(len(x))
			a[k], b[k] = x[i], y[i]
		}
		return a, b
	}
}

// AreaUnderROC is the probability that one of positives is above one of negatives, ties counting half: the statistic
// of Mann and Whitney over the number of pairs. It is NaN where one of them is empty or has a NaN.
func AreaUnderROC(positives, negatives []float64) float64 {
	if slices.ContainsFunc(positives, math.IsNaN) || slices.ContainsFunc(negatives, math.IsNaN) {
		return math.NaN()
	}
	ranks := averageRanks(append(append([]float64(nil), positives...), negatives...))
	sum := 0.0
	for _, r := range ranks[:len(positives)] {
		sum += r
	}
	n, m := float64(len(positives)), float64(len(negatives))
	return (sum - n*(n+1)/2) / (n * m)
}
