package metrics

import (
	"math"
	"slices"
	"sync"

	"github.com/pkg/errors"
	"gonum.org/v1/gonum/floats"
	"gonum.org/v1/gonum/mat"

	"palimpsest/pkg/parallel"
)

// DefaultK is the number of neighbours that [prdc] uses.
const DefaultK = 5

// PRDCResult holds the four neighbourhood measures of generated against real images.
type PRDCResult struct {
	Precision float64 // share of generated images within the real manifold, [pr]
	Recall    float64 // share of real images within the generated manifold, [pr]
	Density   float64 // real balls an average generated image lies in, over K; may exceed 1, [prdc]
	Coverage  float64 // share of real images with a generated image in their ball, [prdc]
	K         int     // neighbours that set the radius of a ball
}

// PRDC returns precision, recall, density and coverage of generated features, [M, D], against
// real ones, [N, D]. The ball of an image reaches to its k-th nearest other image of the same
// set; a point on its surface is outside, as in the authors' code. With B_i the ball of real
// image i and B'_j that of generated image j,
//
//	precision = |{j : g_j in some B_i}| / M         density  = Σ_j |{i : g_j in B_i}| / (k·M)
//	recall    = |{i : r_i in some B'_j}| / N        coverage = |{i : some g_j in B_i}| / N
//
// k is [DefaultK] if 0. It returns an error if the dimensions differ, a value is not finite, or
// one of the sets has no more than k images.
func PRDC(real, generated *mat.Dense, k int) (PRDCResult, error) {
	return weightedPRDC(real, generated, k, nil)
}

// weightedPRDC is [PRDC] of generated images that count by weights, [M]; nil: all alike. Weights enter precision and
// density, whose sums over generated images become weighted means. Recall and coverage are shares of real images, which
// weights leave alone: an image is reached or it is not.
func weightedPRDC(real, generated *mat.Dense, k int, weights []float64) (PRDCResult, error) {
	if k == 0 {
		k = DefaultK
	}
	return (&manifold{features: real, k: k}).prdc(generated, weights)
}

// manifold is a set of real images with the balls around them. A reference set that many sets compare with is kept as one:
// finding its balls is most of the work where it is larger than they are.
type manifold struct {
	features *mat.Dense
	k        int
	radius   []float64 // of each ball; nil until first asked for
}

// prdc is [weightedPRDC] against r.
func (r *manifold) prdc(generated *mat.Dense, weights []float64) (PRDCResult, error) {
	real, k := r.features, r.k
	nan := PRDCResult{math.NaN(), math.NaN(), math.NaN(), math.NaN(), k}
	n, m, err := checkPair("metrics.PRDC", real, generated)
	if err != nil {
		return nan, err
	}
	if k < 0 || n <= k || m <= k {
		return nan, errors.Errorf("metrics.PRDC: %d real and %d generated images with k = %d; need k of 1 or more "+
			"and more than k images of each", n, m, k)
	}
	if r.radius == nil {
		r.radius = kthDistances(real, k)
	}
	radiusReal, radiusGen := r.radius, kthDistances(generated, k)
	ballsReal, ballsGen := ballsOf(radiusReal), ballsOf(radiusGen)
	inReal := make([]int, m)   // real balls that generated image j lies in
	inGen := make([]bool, n)   // is real image i in a generated ball
	covered := make([]bool, n) // has real image i a generated image in its ball
	var mu sync.Mutex
	parallel.For(n, func(i int) {
		var hits []int
		square := make([]float64, m)
		squaredDistancesOf(square, real.RawRowView(i), generated)
		for j, s := range square {
			far := func() float64 { return floats.Distance(real.RawRowView(i), generated.RawRowView(j), 2) }
			if ballsReal[i].holds(s, far) {
				covered[i] = true
				hits = append(hits, j)
			}
			if !inGen[i] && ballsGen[j].holds(s, far) {
				inGen[i] = true
			}
		}
		mu.Lock()
		defer mu.Unlock()
		for _, j := range hits {
			inReal[j]++
		}
	})
	p := PRDCResult{K: k}
	total := 0.0
	for j, c := range inReal {
		w := weightOf(weights, j)
		total += w
		if c > 0 {
			p.Precision += w
		}
		p.Density += w * float64(c)
	}
	for i := range n {
		if inGen[i] {
			p.Recall++
		}
		if covered[i] {
			p.Coverage++
		}
	}
	p.Precision /= total
	p.Density /= float64(k) * total
	p.Recall /= float64(n)
	p.Coverage /= float64(n)
	return p, nil
}

// A squared distance is computed faster than a distance, whose way to the sum avoids overflow by a division a term. Both err by a
// share of the number of features times 2^-52, far below apart, so that squares decide what distances would but for the closest
// cases, and sums that come near an end of float64's range.
const (
	apart               = 1e-9
	leastSure, mostSure = 1e-280, 1e280
)

// atMost is what no squared distance exceeds whose distance is at most that of another squared distance; Inf where squares are not sure.
func atMost(square float64) float64 {
	if !(square > leastSure && square < mostSure) {
		return math.Inf(1)
	}
	return square * (1 + apart)
}

// ball is a ball's radius and the squared distances below and above which a point is surely inside and outside.
type ball struct{ radius, inside, outside float64 }

func ballsOf(radius []float64) []ball {
	out := make([]ball, len(radius))
	for i, r := range radius {
		out[i] = ball{r, -1, atMost(r * r)}
		if !math.IsInf(out[i].outside, 1) {
			out[i].inside = r * r * (1 - apart)
		}
	}
	return out
}

// holds says whether a point at a distance, whose square is given, is in the ball.
func (b ball) holds(square float64, distance func() float64) bool {
	return square < b.inside || square <= b.outside && distance() < b.radius
}

// kthDistances returns for each row its distance to its k-th nearest other row.
func kthDistances(x *mat.Dense, k int) []float64 {
	n, _ := x.Dims()
	radius := make([]float64, n)
	parallel.For(n, func(i int) {
		square, least := make([]float64, n), newLeast(k)
		squaredDistancesOf(square, x.RawRowView(i), x)
		for j, s := range square {
			if j != i {
				least.add(s)
			}
		}
		most := atMost(least.last())
		least = newLeast(k)
		for j, s := range square {
			if j != i && s <= most {
				least.add(floats.Distance(x.RawRowView(i), x.RawRowView(j), 2))
			}
		}
		radius[i] = least.last()
	})
	return radius
}

// least are the smallest of the numbers added, ascending, Inf for those to come.
type least []float64

func newLeast(k int) least {
	l := make(least, k)
	for i := range l {
		l[i] = math.Inf(1)
	}
	return l
}

func (l least) last() float64 { return l[len(l)-1] }

func (l least) add(v float64) {
	if v < l.last() {
		at, _ := slices.BinarySearch(l, v)
		copy(l[at+1:], l[at:])
		l[at] = v
	}
}
