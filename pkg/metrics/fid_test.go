package metrics

import (
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"gonum.org/v1/gonum/mat"
	"gonum.org/v1/gonum/stat"
)

// gaussian returns stats with a diagonal covariance.
func gaussian(mean, variance []float64) *Stats {
	d := len(mean)
	s := &Stats{N: 1000, Mean: mean, Cov: mat.NewSymDense(d, nil)}
	for i, v := range variance {
		s.Cov.SetSym(i, i, v)
	}
	return s
}

func TestFrechetOfGaussians(t *testing.T) {
	// For diagonal covariances the distance is |μ_a-μ_b|² + Σ(σ_a-σ_b)².
	for _, tc := range []struct {
		name string
		a, b *Stats
		want float64
	}{
		{"equal", gaussian([]float64{1, 2}, []float64{4, 9}), gaussian([]float64{1, 2}, []float64{4, 9}), 0},
		{"shifted by (3, 4)", gaussian([]float64{0, 0}, []float64{1, 1}), gaussian([]float64{3, 4}, []float64{1, 1}), 25},
		{"deviations 1, 2 and 3, 5", gaussian([]float64{0, 0}, []float64{1, 4}), gaussian([]float64{0, 0}, []float64{9, 25}), 4 + 9},
		{"a dead feature", gaussian([]float64{0, 0}, []float64{0, 4}), gaussian([]float64{0, 0}, []float64{0, 1}), 1},
		{"a feature dead in one set", gaussian([]float64{0, 0}, []float64{0, 1}), gaussian([]float64{0, 0}, []float64{4, 1}), 4},
		{"one set constant", gaussian([]float64{1, 0}, []float64{0, 0}), gaussian([]float64{0, 0}, []float64{1, 1}), 3},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, err := Frechet(tc.a, tc.b, FIDOptions{})
			if err != nil {
				t.Fatal(err)
			}
			if math.Abs(got-tc.want) > 1e-12 {
				t.Errorf("distance %g, want %g", got, tc.want)
			}
		})
	}
}

// The trace by singular values is that by eigenvalues, of any rank; the factor is one of the covariance.
func TestTraceBySingularValues(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 5))
	// set has n images of d features of very unequal spread, the last of which is dead and the one before a copy of the first.
	set := func(n, d int) *Stats {
		m := mat.NewDense(n, d, nil)
		for i := range n {
			row := m.RawRowView(i)
			for j := range row[:d-1] {
				row[j] = float64(j) + math.Pow(10, float64(j%5-2))*rng.NormFloat64()
			}
			row[d-2] = row[0]
		}
		s, err := NewStats(m)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	for _, tc := range []struct {
		name string
		a, b *Stats
	}{
		{"many images", set(200, 24), set(300, 24)},
		{"few in the second", set(200, 24), set(7, 24)},
		{"few in both", set(9, 24), set(5, 24)},
		{"one set constant", gaussian([]float64{1, 0}, []float64{0, 0}), gaussian([]float64{0, 0}, []float64{1, 1})},
	} {
		want, err := traceByEigenvalues(tc.a, tc.b)
		if err != nil {
			t.Fatal(err)
		}
		got, err := traceBySingularValues(tc.a, tc.b)
		if err != nil {
			t.Fatal(err)
		}
		near(t, tc.name, got, want, 1e-6*math.Sqrt(mat.Trace(tc.a.Cov)*mat.Trace(tc.b.Cov)))
		f := tc.b.covFactor()
		var back mat.Dense
		back.Mul(f.T(), f)
		if !mat.EqualApprox(&back, tc.b.Cov, 1e-10*mat.Trace(tc.b.Cov)) {
			t.Errorf("%s: the factor's square is not the covariance", tc.name)
		}
	}
	// Diagonal: Σ σ_a·σ_b, exactly.
	got, err := traceBySingularValues(gaussian([]float64{0, 0, 0}, []float64{4, 9, 1e-8}), gaussian([]float64{0, 0, 0}, []float64{1, 25, 1e-8}))
	if err != nil {
		t.Fatal(err)
	}
	near(t, "of diagonal ones", got, 2*1+3*5+1e-8, 1e-12)
}

// Of more columns than a tile has, with weights and without.
func TestCovarianceByTiles(t *testing.T) {
	rng := rand.New(rand.NewPCG(7, 1))
	x := mat.NewDense(40, 300, nil)
	x.Apply(func(_, j int, _ float64) float64 { return float64(j%7) + rng.NormFloat64() }, x)
	weights := make([]float64, 40)
	for i := range weights {
		weights[i] = 1 + rng.Float64()
	}
	for _, w := range [][]float64{nil, weights} {
		mean := make([]float64, 300)
		for j := range mean {
			mean[j] = stat.Mean(mat.Col(nil, j, x), w)
		}
		var want mat.SymDense
		stat.CovarianceMatrix(&want, x, w)
		if got := productByTiles(covarianceFactor(x, mean, w)); !mat.EqualApprox(got, &want, 1e-12) {
			t.Errorf("weights %v: the covariance is another", w != nil)
		}
	}
}

// With fewer images than features the factor is that of the images, of as many rows, and the distance that of the covariances alone.
func TestFewImagesOfManyFeatures(t *testing.T) {
	rng := rand.New(rand.NewPCG(8, 1))
	set := func(n int) *Stats {
		x := mat.NewDense(n, 300, nil)
		x.Apply(func(_, j int, _ float64) float64 { return float64(j%5) + math.Max(0, rng.NormFloat64()) }, x)
		s, err := NewStats(x)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	a, b, many := set(20), set(31), set(310)
	for name, pair := range map[string][2]*Stats{"few and few": {a, b}, "few and many": {a, many}, "many and few": {many, b}} {
		plain := func(s *Stats) *Stats { return &Stats{N: s.N, Mean: s.Mean, Cov: s.Cov} }
		got, err := Frechet(pair[0], pair[1], FIDOptions{AllowSmallN: true})
		if err != nil {
			t.Fatal(err)
		}
		want, err := Frechet(plain(pair[0]), plain(pair[1]), FIDOptions{AllowSmallN: true})
		if err != nil {
			t.Fatal(err)
		}
		near(t, name, got, want, 1e-6*want)
	}
	if rows, _ := a.covFactor().Dims(); rows != 20 {
		t.Errorf("the factor of 20 images has %d rows", rows)
	}
}

func TestFIDIsNotNegative(t *testing.T) {
	// Of equal sets about half would come out below 0 by rounding.
	rng := rand.New(rand.NewPCG(9, 9))
	for range 20 {
		m := mat.NewDense(30, 6, nil)
		m.Apply(func(int, int, float64) float64 { return 100 * rng.NormFloat64() }, m)
		got, err := FID(m, m, FIDOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if got < 0 || got > 1e-9 {
			t.Fatalf("FID of a set with itself is %g", got)
		}
	}
}

func TestFIDIsInvariantUnderRotation(t *testing.T) {
	// Turning both sets by one angle changes neither means' distance nor the traces.
	r := loadReference(t)
	a, b := r.pair("full")
	_, d := a.Dims()
	turn := mat.NewDense(d, d, nil)
	for i := range d {
		turn.Set(i, i, 1)
	}
	c, s := math.Cos(0.7), math.Sin(0.7)
	turn.Set(0, 0, c)
	turn.Set(0, 5, -s)
	turn.Set(5, 0, s)
	turn.Set(5, 5, c)
	var ta, tb mat.Dense
	ta.Mul(a, turn)
	tb.Mul(b, turn)
	want, err := FID(a, b, FIDOptions{})
	if err != nil {
		t.Fatal(err)
	}
	got, err := FID(&ta, &tb, FIDOptions{})
	if err != nil {
		t.Fatal(err)
	}
	near(t, "FID of turned sets", got, want, 1e-9)
}

func TestFIDRefusals(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	sample := func(n, d int) *mat.Dense {
		m := mat.NewDense(n, d, nil)
		m.Apply(func(int, int, float64) float64 { return rng.NormFloat64() }, m)
		return m
	}
	bad := sample(20, 4)
	bad.Set(3, 1, math.NaN())
	for _, tc := range []struct {
		name string
		a, b *mat.Dense
		opt  FIDOptions
		want string
	}{
		{"fewer images than features", sample(7, 8), sample(50, 8), FIDOptions{}, "7 images are fewer than the 8 features"},
		{"the same in the second set", sample(50, 8), sample(7, 8), FIDOptions{}, "7 images are fewer than the 8 features"},
		{"other dimension", sample(20, 4), sample(20, 5), FIDOptions{}, "one extractor"},
		{"not finite", bad, sample(20, 4), FIDOptions{}, "feature 1 of image 3"},
		{"one image", sample(20, 4), sample(1, 4), FIDOptions{AllowSmallN: true}, "at least 2"},
		{"none", sample(20, 4), &mat.Dense{}, FIDOptions{AllowSmallN: true}, "no features"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, err := FID(tc.a, tc.b, tc.opt)
			if err == nil || !strings.Contains(err.Error(), tc.want) || !math.IsNaN(got) {
				t.Errorf("got %g and error %v, want NaN and an error with %q", got, err, tc.want)
			}
		})
	}
	if _, err := FID(sample(8, 8), sample(50, 8), FIDOptions{}); err != nil {
		t.Errorf("as many images as features: %v", err)
	}
	if _, err := FID(sample(7, 8), sample(50, 8), FIDOptions{AllowSmallN: true}); err != nil {
		t.Errorf("AllowSmallN: %v", err)
	}
}
