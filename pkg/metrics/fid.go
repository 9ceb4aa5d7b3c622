package metrics

import (
	"math"
	"slices"
	"sync"

	"github.com/pkg/errors"
	"gonum.org/v1/gonum/floats"
	"gonum.org/v1/gonum/mat"
	"gonum.org/v1/gonum/stat"
)

// Stats holds the mean and covariance of a set of features: all that FID needs to know of it.
// Make it once for a reference set and keep it: what [Frechet] makes of the covariance first, the slow
// half of the work, is kept too. It is safe for concurrent use.
type Stats struct {
	N    int           // number of images
	Mean []float64     // [D]
	Cov  *mat.SymDense // [D, D], unbiased: divided by N-1, as numpy.cov does

	rootOnce sync.Once
	root     *mat.Dense // symmetric square root of Cov
	rootErr  error

	factorOnce sync.Once
	factor     *mat.Dense // [min(N, D), D], Cov is factorᵀ·factor
}

// NewStats computes the mean and the unbiased covariance of features, [N, D] with N >= 2.
// It returns an error if there are fewer than two rows or if a value is not finite or so large that its square overflows.
func NewStats(features *mat.Dense) (*Stats, error) { return newWeightedStats(features, nil) }

// newWeightedStats is NewStats of rows that count by weights, which sum to N; nil weighs all alike. With shares s = w/N,
//
//	μ = Σ s·x    C = Σ s·(x-μ)(x-μ)ᵀ / (1 - Σ s²)
//
// which is unbiased for rows drawn from one distribution, and what NewStats computes where weights are equal.
func newWeightedStats(features *mat.Dense, weights []float64) (*Stats, error) {
	if err := checkFinite("metrics.NewStats", features); err != nil {
		return nil, err
	}
	n, d := features.Dims()
	if n < 2 {
		return nil, errors.Errorf("metrics.NewStats: %d images; a covariance needs at least 2", n)
	}
	s := &Stats{N: n, Mean: make([]float64, d), Cov: mat.NewSymDense(d, nil)}
	if weights != nil {
		// The library divides by the sum of weights less 1: weights that sum to 1/Σs², the number of equal rows that
		// would be as sure, make that the divisor above.
		square := floats.Dot(weights, weights)
		effective := float64(n) / square * float64(n)
		if effective <= 1 {
			return nil, errors.Errorf("metrics.NewStats: one of %d images has all weight; a covariance needs at least 2", n)
		}
		weights = slices.Clone(weights)
		floats.Scale(float64(n)/square, weights)
	}
	column := make([]float64, n)
	for j := range d {
		s.Mean[j] = stat.Mean(mat.Col(column, j, features), weights)
	}
	if d > manyFeatures {
		factor := covarianceFactor(features, s.Mean, weights)
		s.Cov = productByTiles(factor)
		if n < d { // fewer rows than Cholesky's
			s.factor = factor
		}
	} else {
		stat.CovarianceMatrix(s.Cov, features, weights)
	}
	if err := checkResult("metrics.NewStats", s.sum(), features); err != nil {
		return nil, err
	}
	return s, nil
}

// sum is that of all numbers in s, finite where all are, short of an overflow.
func (s *Stats) sum() float64 { return floats.Sum(s.Mean) + mat.Sum(s.Cov) }

// covarianceFactor returns F [N, D], whose rows are √(w/(Σw - 1))·(x-μ), so that FᵀF is what stat.CovarianceMatrix computes.
func covarianceFactor(features *mat.Dense, mean, weights []float64) *mat.Dense {
	n, d := features.Dims()
	divisor := float64(n) - 1
	if weights != nil {
		divisor = floats.Sum(weights) - 1
	}
	factor := mat.NewDense(n, d, nil)
	for i := range n {
		row := factor.RawRowView(i)
		floats.SubTo(row, features.RawRowView(i), mean)
		weight := 1.0
		if weights != nil {
			weight = weights[i]
		}
		floats.Scale(math.Sqrt(weight/divisor), row)
	}
	return factor
}

// productByTiles is fᵀ·f on all cores.
func productByTiles(f *mat.Dense) *mat.SymDense {
	n, d := f.Dims()
	const tile = 256
	product := mat.NewSymDense(d, nil)
	for i := 0; i < d; i += tile {
		rows := f.Slice(0, n, i, min(i+tile, d)).T()
		for j := i; j < d; j += tile {
			var part mat.Dense
			part.Mul(rows, f.Slice(0, n, j, min(j+tile, d)))
			high, wide := part.Dims()
			for k := range high {
				for l := range wide {
					product.SetSym(i+k, j+l, part.At(k, l))
				}
			}
		}
	}
	return product
}

// Dim returns D, the number of features.
func (s *Stats) Dim() int { return len(s.Mean) }

// sqrtCov returns the symmetric square root of the covariance.
func (s *Stats) sqrtCov() (*mat.Dense, error) {
	s.rootOnce.Do(func() { s.root, s.rootErr = symmetricRoot(s.Cov) })
	return s.root, s.rootErr
}

// covFactor returns F with FᵀF the covariance: the features' own where they are few, else by Cholesky's decomposition with pivots,
// which singular ones have too.
func (s *Stats) covFactor() *mat.Dense {
	s.factorOnce.Do(func() {
		if s.factor != nil {
			return
		}
		var c mat.PivotedCholesky
		c.Factorize(s.Cov, -1) // not ok means singular: rows of zeros follow
		var u mat.TriDense
		c.UTo(&u)
		d := s.Dim()
		s.factor = mat.NewDense(d, d, nil)
		for to, from := range c.ColumnPivots(nil) {
			for i := range d {
				s.factor.Set(i, from, u.At(i, to))
			}
		}
	})
	return s.factor
}

// FIDOptions sets what [FID] and [Frechet] accept. The zero value is the safe one.
type FIDOptions struct {
	// AllowSmallN computes a number even if a set has fewer images than there are features.
	// Its covariance is then singular, and FID, which falls as N grows, is far from its limit:
	// such numbers compare only with others of the same N.
	AllowSmallN bool
}

// FID returns the Fréchet inception distance [fid] between two sets of features, [N, D] and
// [M, D]; see [Frechet]. To compare many sets with one reference, use [NewStats] and [Frechet].
func FID(a, b *mat.Dense, opt FIDOptions) (float64, error) {
	sa, err := NewStats(a)
	if err != nil {
		return math.NaN(), errors.WithMessage(err, "first set")
	}
	sb, err := NewStats(b)
	if err != nil {
		return math.NaN(), errors.WithMessage(err, "second set")
	}
	return Frechet(sa, sb, opt)
}

// Frechet returns the squared Fréchet distance between two Gaussians, [fid] eq. 6,
//
//	|μ_a - μ_b|² + Tr(C_a) + Tr(C_b) - 2·Tr((C_a·C_b)^(1/2))
//
// The matrix C_a·C_b is not symmetric, and ReLU features make it singular, where a general
// matrix square root fails or turns complex. The last trace is therefore taken as the sum of
// the square roots of the eigenvalues of S·C_b·S, which is symmetric and has the same
// eigenvalues; S is the symmetric square root of C_a. With more than 256 features, where eigenvectors take
// minutes, it is the sum of the singular values of F_a·F_bᵀ, whose squares these eigenvalues are; FᵀF = C, with as many rows as images
// where these are fewer than features.
//
// It returns an error if one of the two is nil or not as [NewStats] makes it, if the dimensions differ, if covariances are so large
// that their product overflows or, without AllowSmallN, if one of the sets has fewer images than features.
func Frechet(a, b *Stats, opt FIDOptions) (float64, error) {
	for i, s := range []*Stats{a, b} {
		name := []string{"first", "second"}[i]
		if s == nil || len(s.Mean) == 0 || s.Cov == nil || s.Cov.SymmetricDim() != len(s.Mean) {
			return math.NaN(), errors.Errorf("metrics.Frechet: the %s set has no mean of D features with a covariance of D×D; make it by metrics.NewStats", name)
		}
		if sum := s.sum(); math.IsNaN(sum) || math.IsInf(sum, 0) {
			return math.NaN(), notFinitef("metrics.Frechet: the mean and covariance of the %s set sum to %g; need finite numbers", name, sum)
		}
	}
	d := a.Dim()
	if b.Dim() != d {
		return math.NaN(), errors.Errorf("metrics.Frechet: %d features in the first set, %d in the second; "+
			"take both from one extractor", d, b.Dim())
	}
	if n := min(a.N, b.N); n < d && !opt.AllowSmallN {
		return math.NaN(), errors.Errorf("metrics.Frechet: %d images are fewer than the %d features, so the covariance "+
			"is singular and FID misleads; use at least %d images, or KID, or set AllowSmallN and compare equal N only",
			n, d, d)
	}
	trace := traceByEigenvalues
	if d > manyFeatures {
		trace = traceBySingularValues
	}
	sum, err := trace(a, b)
	if err != nil {
		return math.NaN(), err
	}
	dist := mat.Trace(a.Cov) + mat.Trace(b.Cov) - 2*sum
	for j := range d {
		diff := a.Mean[j] - b.Mean[j]
		dist += diff * diff
	}
	if err := checkResult("metrics.Frechet", dist, a.Cov, b.Cov, mat.NewVecDense(d, a.Mean), mat.NewVecDense(d, b.Mean)); err != nil {
		return math.NaN(), err
	}
	return math.Max(dist, 0), nil // equal sets: rounding may leave a tiny negative number
}

// manyFeatures is up to how many features a covariance is computed by gonum at once, and eigenvectors are used. Beyond, both take minutes.
// The ways agree but for rounding; stored digits of classifiers' features come from the first.
const manyFeatures = 256

// traceByEigenvalues is Tr((C_a·C_b)^(1/2)) from the eigenvalues of S·C_b·S.
func traceByEigenvalues(a, b *Stats) (float64, error) {
	root, err := a.sqrtCov()
	if err != nil {
		return math.NaN(), err
	}
	var half, product mat.Dense
	half.Mul(root, b.Cov)
	product.Mul(&half, root)
	if err := checkResult("metrics.Frechet", mat.Sum(&product), a.Cov, b.Cov); err != nil {
		return math.NaN(), err
	}
	var eig mat.EigenSym
	if ok := eig.Factorize(symmetrise(&product), false); !ok {
		return math.NaN(), errors.Errorf("metrics.Frechet: the eigenvalues of the %[1]d×%[1]d covariance product did not converge", a.Dim())
	}
	return floats.Sum(roots(eig.Values(nil))), nil
}

// traceBySingularValues is Tr((C_a·C_b)^(1/2)) from the singular values of F_a·F_bᵀ.
func traceBySingularValues(a, b *Stats) (float64, error) {
	var product mat.Dense
	product.Mul(a.covFactor(), b.covFactor().T())
	if err := checkResult("metrics.Frechet", mat.Sum(&product), a.Cov, b.Cov); err != nil {
		return math.NaN(), err
	}
	var svd mat.SVD
	if ok := svd.Factorize(&product, mat.SVDNone); !ok {
		return math.NaN(), errors.Errorf("metrics.Frechet: the singular values of the %[1]d×%[1]d product of covariance factors did not converge", a.Dim())
	}
	return floats.Sum(svd.Values(nil)), nil
}

// symmetricRoot returns the symmetric S with S·S = c, for c positive semidefinite.
func symmetricRoot(c *mat.SymDense) (*mat.Dense, error) {
	var eig mat.EigenSym
	if ok := eig.Factorize(c, true); !ok {
		return nil, errors.Errorf("metrics: the eigenvalues of a %d×%d covariance did not converge",
			c.SymmetricDim(), c.SymmetricDim())
	}
	var vectors, scaled, root mat.Dense
	eig.VectorsTo(&vectors)
	lambda := roots(eig.Values(nil))
	scaled.Apply(func(_, j int, v float64) float64 { return v * lambda[j] }, &vectors)
	root.Mul(&scaled, vectors.T())
	return &root, nil
}

// roots replaces each eigenvalue of a positive semidefinite matrix by its square root. An
// eigenvalue below the rounding error of the largest is one of a singular direction and counts
// as 0: its root would magnify the error from 1e-16 to 1e-8.
func roots(values []float64) []float64 {
	largest := 0.0
	for _, v := range values {
		largest = math.Max(largest, math.Abs(v))
	}
	const epsilon = 0x1p-52
	floor := largest * epsilon * float64(len(values))
	for i, v := range values {
		if v <= floor {
			values[i] = 0
		} else {
			values[i] = math.Sqrt(v)
		}
	}
	return values
}

// symmetrise returns (m + mᵀ)/2, which removes the rounding error's asymmetry.
func symmetrise(m *mat.Dense) *mat.SymDense {
	d, _ := m.Dims()
	s := mat.NewSymDense(d, nil)
	for i := range d {
		for j := i; j < d; j++ {
			s.SetSym(i, j, (m.At(i, j)+m.At(j, i))/2)
		}
	}
	return s
}

// checkFinite returns an error that names the first value of m that is NaN or infinite.
func checkFinite(who string, m *mat.Dense) error {
	if m == nil || m.IsEmpty() {
		return errors.Errorf("%s: no features; need a matrix [N, D] with at least one row", who)
	}
	n, d := m.Dims()
	for i := range n {
		for j, v := range m.RawRowView(i) {
			if math.IsNaN(v) || math.IsInf(v, 0) {
				return notFinitef("%s: feature %d of image %d (of %d×%d) is %g; need finite numbers: "+
					"did the sampler diverge?", who, j, i, n, d, v)
			}
		}
	}
	return nil
}
