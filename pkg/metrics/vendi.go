package metrics

import (
	"math"

	"github.com/pkg/errors"
	"gonum.org/v1/gonum/floats"
	"gonum.org/v1/gonum/mat"
)

// Vendi returns the Vendi score of features, [N, D], the effective number of different images among them, [vendi] definition
// 3.1: with K the cosines between the rows, an N×N matrix of diagonal 1, and λ the eigenvalues of K/N, which add up to 1,
//
//	VS = exp(-Σ λ·ln λ)
//
// It is 1 where all rows point one way, N where they are orthogonal, and never above N or D. It looks at variety alone: of
// samples no better than noise it may be higher than of real images. K/N and XᵀX/N, with X the rows brought to length 1,
// have the same eigenvalues except for zeros, so the smaller of the two is taken. A row of zeros is like no other and like
// itself neither: it adds nothing. It returns an error if there are no rows or a value is not finite.
func Vendi(features *mat.Dense) (float64, error) { return weightedVendi(features, nil) }

// weightedVendi is [Vendi] of rows that count by weights, [N]; nil: all alike. With shares p = w/Σw, the matrix is
// √p_i·K_ij·√p_j instead of K/N, the probability-weighted score of [vendi].
func weightedVendi(features *mat.Dense, weights []float64) (float64, error) {
	if err := checkFinite("metrics.Vendi", features); err != nil {
		return math.NaN(), err
	}
	n, d := features.Dims()
	share := shareOf(weights, n)
	x := mat.DenseCopyOf(features)
	for i := range n {
		row := x.RawRowView(i)
		if length := floats.Norm(row, 2); length > 0 {
			floats.Scale(math.Sqrt(share[i])/length, row)
		}
	}
	similarity := mat.NewSymDense(min(n, d), nil)
	if n < d {
		similarity.SymOuterK(1, x)
	} else {
		similarity.SymOuterK(1, x.T())
	}
	var eig mat.EigenSym
	if ok := eig.Factorize(similarity, false); !ok {
		return math.NaN(), errors.Errorf("metrics.Vendi: the eigenvalues of %d images with %d features did not converge", n, d)
	}
	entropy := 0.0
	for _, v := range eig.Values(nil) {
		if v > 0 { // below: rounding errors of 0, as x·ln x is at 0
			entropy -= v * math.Log(v)
		}
	}
	return math.Exp(entropy), nil
}

// shareOf are the shares of n rows that count by weights; nil: all alike.
func shareOf(weights []float64, n int) []float64 {
	share, total := make([]float64, n), 0.0
	for i := range share {
		share[i] = weightOf(weights, i)
		total += share[i]
	}
	floats.Scale(1/total, share)
	return share
}
