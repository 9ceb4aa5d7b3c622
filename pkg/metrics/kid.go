package metrics

import (
	"math"
	"math/rand/v2"

	"github.com/pkg/errors"
	"gonum.org/v1/gonum/floats"
	"gonum.org/v1/gonum/mat"
	"gonum.org/v1/gonum/stat"
)

// KIDOptions says over which subsets [KID] averages. The zero value takes the full sets once.
type KIDOptions struct {
	Subsets    int    // number of random subsets, up to 2²⁰; 0 is the full sets, without drawing
	SubsetSize int    // images in a subset of each set; 0 or more than there are means min(1000, N, M)
	Seed       uint64 // seed of the drawing

	// Weights say what each image of the second set counts, [M], 0 or more and summing to M, at least two of them above 0; nil: all
	// alike. Full sets only.
	Weights []float64
}

// KIDResult is a kernel inception distance. The mean of its estimator over draws of the images
// is exact, so it may be below 0 where the two sets are alike.
type KIDResult struct {
	Mean    float64 // average over the subsets
	Std     float64 // standard deviation over the subsets (divided by their number); 0 for the full sets
	Subsets int     // evaluations that differ: 1 if every subset is the full set
	Size    int     // images a subset, the smaller of the two sets' numbers for the full sets
}

// KID returns the kernel inception distance [kid] of two sets of features, [N, D] and [M, D]: the
// unbiased estimate of the squared maximum mean discrepancy, [mmd] eq. 3,
//
//	Σ_{i≠j} k(a_i,a_j)/(n(n-1)) + Σ_{i≠j} k(b_i,b_j)/(m(m-1)) - 2·Σ_{i,j} k(a_i,b_j)/(n·m)
//
// with the cubic kernel k(x,y) = (x·y/D + 1)³. Subsets are drawn without replacement. Where the
// subset is as large as both sets, every subset is the full set, and it is computed once.
//
// With weights w, the sums over b become Σ_{i≠j} w_i·w_j·k(b_i,b_j) / (m² - Σ w²) and
// Σ_{i,j} w_j·k(a_i,b_j) / (n·m), which the equation above is for weights of 1.
//
// It returns an error if the dimensions differ, a value is not finite or so large that a sum overflows, a set has fewer than
// two images, or weights come with subsets or are none ([KIDOptions]).
func KID(a, b *mat.Dense, opt KIDOptions) (KIDResult, error) {
	nan := KIDResult{Mean: math.NaN(), Std: math.NaN()}
	n, m, err := checkPair("metrics.KID", a, b)
	if err != nil {
		return nan, err
	}
	if n < 2 || m < 2 {
		return nan, errors.Errorf("metrics.KID: %d and %d images; the unbiased estimate needs at least 2 of each", n, m)
	}
	if opt.Subsets < 0 || opt.Subsets > maxSubsets || opt.SubsetSize < 0 || opt.SubsetSize == 1 {
		return nan, errors.Errorf("metrics.KID: %d subsets of %d images; need 0 to %d subsets of 2 or more images (0: as many as usual)",
			opt.Subsets, opt.SubsetSize, maxSubsets)
	}
	if opt.Weights != nil && (opt.Subsets != 0 || len(opt.Weights) != m) {
		return nan, errors.Errorf("metrics.KID: %d weights for %d images and %d subsets; need one each, and no subsets", len(opt.Weights), m, opt.Subsets)
	}
	if err := checkWeights("metrics.KID", opt.Weights); err != nil {
		return nan, err
	}
	size := min(1000, n, m)
	if opt.SubsetSize > 0 {
		size = min(opt.SubsetSize, n, m)
	}
	if opt.Subsets == 0 || (size == n && size == m) {
		r := KIDResult{Mean: (&kernelSet{features: a}).mmd2(b, opt.Weights), Subsets: 1, Size: min(n, m)}
		if err := checkResult("metrics.KID", r.Mean, a, b); err != nil {
			return nan, err
		}
		return r, nil
	}
	rng := rand.New(rand.NewPCG(opt.Seed, 0))
	rowsA, rowsB := make([][]int, opt.Subsets), make([][]int, opt.Subsets)
	for i := range rowsA {
		rowsA[i], rowsB[i] = rng.Perm(n)[:size], rng.Perm(m)[:size]
	}
	r := kidOfSubsets(a, b, rowsA, rowsB)
	if err := checkResult("metrics.KID", r.Mean+r.Std, a, b); err != nil {
		return nan, err
	}
	return r, nil
}

// maxSubsets is far more subsets than anyone averages over; a slip of the keyboard is not to fill the memory.
const maxSubsets = 1 << 20

// checkWeights checks what rows count; nil is all alike.
func checkWeights(who string, weights []float64) error {
	if weights == nil {
		return nil
	}
	sum, positive := 0.0, 0
	for i, w := range weights {
		if !(w >= 0) || math.IsInf(w, 1) {
			return errors.Errorf("%s: the weight of image %d is %g; need finite numbers of 0 or more", who, i, w)
		}
		sum += w
		if w > 0 {
			positive++
		}
	}
	n := float64(len(weights))
	if positive < 2 || math.Abs(sum-n) > 1e-6*n {
		return errors.Errorf("%s: %d of %d weights are above 0 and all sum to %g; need 2 or more, and their number for a sum: multiply each by %d and divide it by the sum",
			who, positive, len(weights), sum, len(weights))
	}
	return nil
}

// kidOfSubsets averages the estimate over the given rows of a and b.
func kidOfSubsets(a, b *mat.Dense, rowsA, rowsB [][]int) KIDResult {
	values := make([]float64, len(rowsA))
	for i := range values {
		values[i] = (&kernelSet{features: takeRows(a, rowsA[i])}).mmd2(takeRows(b, rowsB[i]), nil)
	}
	mean, variance := stat.PopMeanVariance(values, nil)
	return KIDResult{Mean: mean, Std: math.Sqrt(variance), Subsets: len(values), Size: len(rowsA[0])}
}

// kernelSet is a set of images that others compare with. A reference set that many compare with is kept as one: the kernel
// among its own images is computed once.
type kernelSet struct {
	features *mat.Dense
	mean     *float64 // [meanKernel] of them; nil until first asked for
}

// mmd2 is the estimate of [KID] over all rows of a and b, those of b weighing weights; nil: all 1.
func (a *kernelSet) mmd2(b *mat.Dense, weights []float64) float64 {
	if a.mean == nil {
		mean := meanKernel(a.features, nil)
		a.mean = &mean
	}
	n, _ := a.features.Dims()
	m, _ := b.Dims()
	ab, _ := kernelSum(a.features, b, nil, weights)
	return *a.mean + meanKernel(b, weights) - 2*ab/(float64(n)*float64(m))
}

// meanKernel is the weighted mean of the cubic kernel over pairs of different rows of x.
func meanKernel(x *mat.Dense, weights []float64) float64 {
	n, _ := x.Dims()
	sum, diagonal := kernelSum(x, x, weights, weights)
	pairs := float64(n) * float64(n-1)
	if weights != nil {
		pairs = float64(n)*float64(n) - floats.Dot(weights, weights)
	}
	return (sum - diagonal) / pairs
}

// kernelSum returns the sum of the cubic kernel over all pairs of rows, each times the weights of its rows, and over the
// pairs of equal row numbers. Weights of nil are 1.
func kernelSum(a, b *mat.Dense, weightsA, weightsB []float64) (sum, diagonal float64) {
	n, d := a.Dims()
	m, _ := b.Dims()
	const block = 512 // rows at a time: bounds the memory, keeps the product fast
	for start := 0; start < n; start += block {
		end := min(start+block, n)
		var gram mat.Dense
		gram.Mul(a.Slice(start, end, 0, d), b.T())
		for i := range end - start {
			rowSum := 0.0
			for j, dot := range gram.RawRowView(i) {
				base := dot/float64(d) + 1
				k := base * base * base * weightOf(weightsB, j)
				rowSum += k
				if j == start+i && j < m {
					diagonal += k * weightOf(weightsA, start+i)
				}
			}
			sum += rowSum * weightOf(weightsA, start+i)
		}
	}
	return sum, diagonal
}

// takeRows copies the rows of m with the given numbers.
func takeRows(m *mat.Dense, rows []int) *mat.Dense {
	_, d := m.Dims()
	out := mat.NewDense(len(rows), d, nil)
	for i, r := range rows {
		out.SetRow(i, m.RawRowView(r))
	}
	return out
}

// checkPair checks that two sets of features are finite and of one dimension and returns their
// numbers of rows.
func checkPair(who string, a, b *mat.Dense) (n, m int, err error) {
	if err := checkFinite(who+", first set", a); err != nil {
		return 0, 0, err
	}
	if err := checkFinite(who+", second set", b); err != nil {
		return 0, 0, err
	}
	n, d := a.Dims()
	m, e := b.Dims()
	if d != e {
		return 0, 0, errors.Errorf("%s: %d features in the first set, %d in the second; take both from one extractor", who, d, e)
	}
	return n, m, nil
}
