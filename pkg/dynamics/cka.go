package dynamics

import (
	"math"

	"github.com/pkg/errors"
	"gonum.org/v1/gonum/mat"
)

// CKA is the linear centred kernel alignment of two representations of the same n examples, x [n, p] and y [n, q], [cka]
// section 3, from the plain (biased) estimate of HSIC:
//
//	‖YᵀX‖²_F / (‖XᵀX‖_F·‖YᵀY‖_F),    columns centred
//
// It is in [0, 1], 1 where one is an orthogonal map and scaling of the other. With more features than examples it is
// near 1 even for unrelated representations: there, [UnbiasedCKA] says more. It fails for fewer than 2 examples, values
// that are not finite, or a representation that is the same for all examples.
func CKA(x, y mat.Matrix) (float64, error) {
	k, l, err := grams(x, y, 2)
	if err != nil {
		return 0, err
	}
	return ratio(dot(k, l), dot(k, k), dot(l, l))
}

// UnbiasedCKA is CKA from the unbiased estimate of HSIC, [hsic] eq. 5 as [widecka] eq. 3 uses it: near 0 for unrelated
// representations however many features there are, 1 for one that is an orthogonal map and scaling of the other, and
// possibly below 0. (The ratio itself is not without bias.) It needs 4 examples, and fails as CKA does or where a
// representation's estimate of its own HSIC is not positive.
func UnbiasedCKA(x, y mat.Matrix) (float64, error) {
	k, l, err := grams(x, y, 4)
	if err != nil {
		return 0, err
	}
	return ratio(unbiased(k, l), unbiased(k, k), unbiased(l, l))
}

// grams returns the Gram matrices of x and y with columns centred, [n, n].
func grams(x, y mat.Matrix, least int) (k, l *mat.Dense, err error) {
	n, _ := x.Dims()
	if m, _ := y.Dims(); m != n || n < least {
		return nil, nil, errors.Errorf("dynamics: representations of %d and %d examples; need as many, and at least %d", n, m, least)
	}
	return gram(x), gram(y), nil
}

// gram is the Gram matrix of x, [n, n], its columns centred. Unbiased HSIC does not depend on the centring, which there
// spares digits.
func gram(x mat.Matrix) *mat.Dense {
	c := mat.DenseCopyOf(x)
	n, p := c.Dims()
	// Distances from the first example: those of examples all alike are exactly zero, and stay so.
	first := mat.VecDenseCopyOf(c.RowView(0))
	mean := mat.NewVecDense(p, nil)
	for i := range n {
		row := c.RowView(i).(*mat.VecDense)
		row.SubVec(row, first)
		mean.AddScaledVec(mean, 1/float64(n), row)
	}
	for i := range n {
		row := c.RowView(i).(*mat.VecDense)
		row.SubVec(row, mean)
	}
	var g mat.Dense
	g.Mul(c, c.T())
	return &g
}

// dot is the sum of products of two matrices' values.
func dot(k, l *mat.Dense) float64 {
	n, m := k.Dims()
	sum := 0.0
	for i := range n {
		for j := range m {
			sum += k.At(i, j) * l.At(i, j)
		}
	}
	return sum
}

// unbiased is n(n-3) times the unbiased estimate of HSIC of two Gram matrices [n, n], whose diagonals do not enter:
//
//	Σ K∘L + ΣK·ΣL/((n-1)(n-2)) - 2/(n-2)·Σ_i (ΣK_i)(ΣL_i)
func unbiased(k, l *mat.Dense) float64 {
	n, _ := k.Dims()
	var products, sumK, sumL, rows float64
	for i := range n {
		var rowK, rowL float64
		for j := range n {
			if i != j {
				products += k.At(i, j) * l.At(i, j)
				rowK += k.At(i, j)
				rowL += l.At(i, j)
			}
		}
		sumK, sumL, rows = sumK+rowK, sumL+rowL, rows+rowK*rowL
	}
	size := float64(n)
	return products + sumK*sumL/((size-1)*(size-2)) - 2/(size-2)*rows
}

// ratio is kl/sqrt(kk·ll).
func ratio(kl, kk, ll float64) (float64, error) {
	if !(kk > 0 && ll > 0) || math.IsInf(kk, 0) || math.IsInf(ll, 0) {
		return 0, errors.Errorf("dynamics: the representations' own HSIC are %g and %g, up to a factor; need finite values > 0: more examples, not all alike", kk, ll)
	}
	return kl / (math.Sqrt(kk) * math.Sqrt(ll)), nil
}
