package study

import (
	"math"

	"gonum.org/v1/gonum/integrate/quad"
	"gonum.org/v1/gonum/stat/distuv"
)

// Friedman is the test of [friedman], whether methods ranked within blocks are all alike: with the mean ranks R_j of k
// methods over n blocks,
//
//	χ² = (k-1)·n²·Σ_j (R_j - (k+1)/2)² / (Σ_ij r_ij² - n·k·(k+1)²/4)
//
// which for rankings without ties is 12n/(k(k+1))·Σ_j (R_j - (k+1)/2)². F is the statistic of Iman and Davenport,
// (n-1)·χ²/(n(k-1)-χ²), less conservative, [demsar]. Both take the blocks for independent.
type Friedman struct {
	Methods, Blocks int
	ChiSquared, P   float64 // P by χ² with k-1 degrees of freedom; NaN where all methods tie in all blocks
	F, PF           float64 // PF by F with k-1 and (k-1)(n-1) degrees of freedom
}

// newFriedman tests rankings, a row a block and in it the rank of every method, as averageRanks gives them.
func newFriedman(ranks [][]float64) Friedman {
	n, k := float64(len(ranks)), float64(len(ranks[0]))
	between, squares := 0.0, 0.0
	for j := range ranks[0] {
		sum := 0.0
		for _, r := range ranks {
			sum += r[j]
			squares += r[j] * r[j]
		}
		between += math.Pow(sum-n*(k+1)/2, 2)
	}
	f := Friedman{Methods: len(ranks[0]), Blocks: len(ranks)}
	f.ChiSquared = (k - 1) * between / (squares - n*k*(k+1)*(k+1)/4)
	f.P = distuv.ChiSquared{K: k - 1}.Survival(f.ChiSquared)
	f.F, f.PF = math.NaN(), math.NaN()
	if rest := n*(k-1) - f.ChiSquared; rest > 1e-9 && n > 1 {
		f.F = (n - 1) * f.ChiSquared / rest
		f.PF = distuv.F{D1: k - 1, D2: (k - 1) * (n - 1)}.Survival(f.F)
	} else if n > 1 && rest <= 1e-9 { // the same ranking in all blocks
		f.F, f.PF = math.Inf(1), 0
	}
	return f
}

// CriticalDifference is the one of Nemenyi's test, [demsar] section 3.2.2: two of k methods whose mean ranks over n
// independent blocks differ by less are not told apart at the level of 5 %,
//
//	CD = q·sqrt(k(k+1)/(6n))
//
// where q·√2 is the 95 % quantile of the range of k independent standard normal values. It is NaN for fewer than two methods or one
// block.
func CriticalDifference(k, n int) float64 {
	if k < 2 || n < 1 {
		return math.NaN()
	}
	return rangeQuantile(k, 0.95) / math.Sqrt2 * math.Sqrt(float64(k)*float64(k+1)/(6*float64(n)))
}

// rangeQuantile is the quantile of the studentised range of k values with infinitely many degrees of freedom. With z the
// greatest of the values,
//
//	P(range <= q) = k·∫ φ(z)·(Φ(z) - Φ(z-q))^(k-1) dz
func rangeQuantile(k int, p float64) float64 {
	normal := distuv.UnitNormal
	below := func(q float64) float64 {
		return float64(k) * quad.Fixed(func(z float64) float64 {
			return normal.Prob(z) * math.Pow(normal.CDF(z)-normal.CDF(z-q), float64(k-1))
		}, -9, 9, 200, quad.Legendre{}, 0)
	}
	low, high := 0.0, 20.0
	for range 60 {
		if middle := (low + high) / 2; below(middle) < p {
			low = middle
		} else {
			high = middle
		}
	}
	return (low + high) / 2
}

// cliques lists the runs [from, to] of sorted mean ranks that span less than the critical difference and are in no longer
// one: the bars of a critical-difference diagram.
func cliques(sorted []float64, critical float64) [][2]int {
	var out [][2]int
	end := 0
	for i := range sorted {
		j := i
		for j+1 < len(sorted) && sorted[j+1]-sorted[i] < critical {
			j++
		}
		if j > i && j > end {
			out, end = append(out, [2]int{i, j}), j
		}
	}
	return out
}

// seedRanks averages rankings of the tasks of each seed into one ranking a seed.
func seedRanks(b blocks, rankable func(float64) float64) [][]float64 {
	var out [][]float64
	for s := range b.seeds {
		values := make([]float64, len(b.methods))
		for m := range values {
			values[m] = rankable(b.mean(m, s))
		}
		out = append(out, averageRanks(values))
	}
	return out
}
