package metrics

import (
	"math"
	"slices"

	"gonum.org/v1/gonum/blas"
	"gonum.org/v1/gonum/blas/blas32"
	"gonum.org/v1/gonum/floats"
	"gonum.org/v1/gonum/mat"

	"palimpsest/pkg/parallel"
)

// sketches are short vectors that stand for long ones, those of a set in which nearest ones are looked up: coordinates along
// orthonormal directions, and the length of what these leave. They are as long as what they stand for and never farther apart,
//
//	Σ_directions (x-y)² + (|x_rest| - |y_rest|)² ≤ |x-y|²
//
// so that most of a set is ruled out by them.
type sketches struct {
	width   int       // values a sketch
	n       int       // how many
	columns []float32 // [width+1][stride]: value by value, then half the squared lengths
	stride  int
	longest float64 // no sketch is longer
}

// newSketches takes n sketches; sketch writes number i into row, [width].
func newSketches(width, n int, sketch func(i int, row []float64)) sketches {
	s := sketches{width: width, n: n, stride: n, columns: make([]float32, (width+1)*n)}
	row := make([]float64, width)
	for i := range n {
		sketch(i, row)
		for k, v := range row {
			s.columns[k*n+i] = float32(v)
		}
		square := roundedSquare(row)
		s.columns[width*n+i] = float32(square / 2)
		s.longest = max(s.longest, math.Sqrt(square)*(1+0x1p-20))
	}
	return s
}

// roundedSquare is the squared length of a sketch in float32.
func roundedSquare(row []float64) (sum float64) {
	for _, v := range row {
		sum += float64(float32(v)) * float64(float32(v))
	}
	return sum
}

// between are the sketches numbered from (included) to (excluded). They share memory.
func (s sketches) between(from, to int) sketches {
	s.n, s.columns = to-from, s.columns[from:]
	return s
}

// sketched is a vector compared with a set's sketches.
type sketched struct {
	square    float64   // of the length of its sketch in float32
	length    float64   // that its sketch has at most
	closeness []float32 // [n], the larger the nearer: scalar products of sketches less half the squared length of the set's
}

// vectorProducts multiplies matrices, in any order: by gonum, or faster where this build and processor can (vectors.go).
var vectorProducts = func(a, b, to blas32.General) { blas32.Gemm(blas.NoTrans, blas.NoTrans, 1, a, b, 0, to) }

// compare calls visit for each of n vectors, whose sketches sketch writes as in [newSketches]; in any order, and for several at the
// same time.
func (s sketches) compare(n int, sketch func(i int, row []float64), visit func(i int, of sketched)) {
	const block = 8 // vectors a product: 8 · 60,000 float32 are 2 MB
	wide, row := s.width+1, make([]float64, s.width)
	small, closeness, of := make([]float32, min(block, n)*wide), make([]float32, min(block, n)*s.n), make([]sketched, min(block, n))
	for start := 0; start < n; start += block {
		count := min(block, n-start)
		for i := range count {
			sketch(start+i, row)
			for k, v := range row {
				small[i*wide+k] = float32(v)
			}
			small[i*wide+s.width] = -1
			square := roundedSquare(row)
			of[i] = sketched{square, math.Sqrt(square) * (1 + 0x1p-20), closeness[i*s.n : (i+1)*s.n]}
		}
		if s.n > 0 {
			vectorProducts(blas32.General{Rows: count, Cols: wide, Stride: wide, Data: small},
				blas32.General{Rows: wide, Cols: s.n, Stride: s.stride, Data: s.columns},
				blas32.General{Rows: count, Cols: s.n, Stride: s.n, Data: closeness})
		}
		parallel.For(count, func(i int) { visit(start+i, of[i]) })
	}
}

// nearest are the two of the set whose sketches are nearest, -1 where there are none.
func (v sketched) nearest() (first, second int) {
	first, second = -1, -1
	most, next := float32(math.Inf(-1)), float32(math.Inf(-1))
	for j, c := range v.closeness {
		if c > next {
			if c > most {
				first, second, most, next = j, first, c, most
			} else {
				second, next = j, c
			}
		}
	}
	return first, second
}

// least is the closeness that no vector of the set has less of whose squared distance is at most bound.
func (s sketches) least(v sketched, bound float64) float32 {
	const u = 0x1p-24
	// Rounded to float32, each sketch is off by u times its length (1.02 covers directions that are orthonormal to nine digits, and
	// rounding before, in float64).
	distance := math.Sqrt(bound) + 1.02*u*(v.length+s.longest)
	// A sum of so many products errs by u times their number and size, and so does the half square; 1.01 covers higher orders.
	wrong := 1.01 * u * float64(s.width+2) * s.longest * (v.length + s.longest/2)
	return math.Nextafter32(float32((v.square-distance*distance)/2-wrong), float32(math.Inf(-1)))
}

// featureSet are features among whose rows nearest ones are looked up.
type featureSet struct {
	rows       *mat.Dense // [N, D]
	square     []float64  // squared lengths
	longest    float64
	directions *mat.Dense // of sketches, [D, k]; nil: there are none
	sketches   sketches
}

// newFeatureSet takes features, sketched along directions, which may be nil.
func newFeatureSet(rows, directions *mat.Dense) *featureSet {
	n, _ := rows.Dims()
	s := &featureSet{rows: rows, square: squares(rows)}
	s.longest = math.Sqrt(slices.Max(s.square))
	if directions != nil && s.longest < mostSketched {
		_, k := directions.Dims()
		s.directions, s.sketches = directions, newSketches(k+1, n, alongDirections(rows, directions))
	}
	return s
}

// squares are the squared lengths of rows.
func squares(x *mat.Dense) []float64 {
	n, _ := x.Dims()
	out := make([]float64, n)
	for i := range out {
		out[i] = floats.Dot(x.RawRowView(i), x.RawRowView(i))
	}
	return out
}

// between are the rows numbered from (included) to (excluded), at least one. They share memory.
func (s *featureSet) between(from, to int) *featureSet {
	part := *s
	part.rows, part.square = rowsBetween(s.rows, from, to), s.square[from:to]
	if s.directions != nil {
		part.sketches = s.sketches.between(from, to)
	}
	return &part
}

// distances are those of the rows of x to the nearest rows of the set; Inf where that is nil, which has none. Sketches rule out most
// rows, |y|² - 2·x·y those that are farther by more than the rounding of that; what is left is measured from the differences, so that the result is
// that of an exhaustive float64 search.
func (s *featureSet) distances(x *mat.Dense) []float64 {
	n, d := x.Dims()
	out := make([]float64, n)
	if s == nil {
		for i := range out {
			out[i] = math.Inf(1)
		}
		return out
	}
	lengths := squares(x)
	visit := func(i int, of sketched) {
		row := x.RawRowView(i)
		value := func(j int) float64 { return s.square[j] - 2*floats.Dot(row, s.rows.RawRowView(j)) }
		size := math.Sqrt(lengths[i]) + s.longest
		slack := 4 * float64(d+4) * 0x1p-53 * size * size
		// Of rows whose value is at most v, none is farther.
		least := func(v float64) float32 { return s.sketches.least(of, max(0, lengths[i]+v)+slack) }
		enough := float32(math.Inf(-1))
		if first, _ := of.nearest(); first >= 0 {
			enough = least(value(first))
		}
		out[i] = math.Inf(1)
		lowest := math.Inf(1)
		for j := range s.square {
			if of.closeness != nil && of.closeness[j] < enough {
				continue
			}
			// The product cannot tell an exact copy from one that is nearly so.
			if v := value(j); !(v > lowest+slack) { // also where it is too large for a number
				lowest = min(lowest, v)
				out[i] = min(out[i], floats.Distance(row, s.rows.RawRowView(j), 2))
			}
		}
	}
	if s.directions != nil && math.Sqrt(slices.Max(lengths)) < mostSketched {
		s.sketches.compare(n, alongDirections(x, s.directions), visit)
	} else {
		parallel.For(n, func(i int) { visit(i, sketched{}) })
	}
	return out
}

// mostSketched is the length of features up to which float32 holds what is computed of sketches.
const mostSketched = 1e15

// Along how many directions features are sketched, and of how many rows these are the main ones.
const featureDirections, directionRows = 24, 64

// directionsOf are orthonormal directions along which features are long, judged by some of the rows, [D, k]; nil where those are all
// zeros or too long.
func directionsOf(features *mat.Dense) *mat.Dense {
	n, d := features.Dims()
	some := make([]int, min(n, directionRows))
	for i := range some {
		some[i] = i * n / len(some)
	}
	x := takeRows(features, some)
	if !(math.Sqrt(slices.Max(squares(x))) < mostSketched) {
		return nil
	}
	var gram mat.SymDense
	gram.SymOuterK(1, x)
	var eig mat.EigenSym
	if !eig.Factorize(&gram, true) {
		return nil
	}
	// XᵀU/√λ of the largest eigenvalues λ of XXᵀ; smaller ones would leave directions that are not orthogonal to nine digits.
	values := eig.Values(nil)
	slices.Reverse(values)
	k := 0
	for k < min(len(values), featureDirections) && values[k] > 1e-6*values[0] {
		k++
	}
	if k == 0 {
		return nil
	}
	var vectors mat.Dense
	eig.VectorsTo(&vectors)
	out := mat.NewDense(d, k, nil)
	out.Mul(x.T(), vectors.Slice(0, len(some), len(some)-k, len(some)))
	out.Apply(func(_, j int, v float64) float64 { return v / math.Sqrt(values[k-1-j]) }, out)
	return out
}

// alongDirections sketches rows of features for [newSketches].
func alongDirections(x, directions *mat.Dense) func(i int, row []float64) {
	var along, rest mat.Dense
	along.Mul(x, directions)
	rest.Mul(&along, directions.T())
	rest.Sub(x, &rest)
	return func(i int, row []float64) {
		left := rest.RawRowView(i)
		row[copy(row, along.RawRowView(i))] = math.Sqrt(floats.Dot(left, left))
	}
}
