package metrics

import (
	"math"
	"math/rand/v2"
	"testing"

	"gonum.org/v1/gonum/mat"
)

func TestKIDByHand(t *testing.T) {
	// In one dimension k(x,y) = (xy+1)³. For a = {0,1}, b = {1,2}: k(0,1) = 1 and k(1,2) = 27,
	// each twice over n(n-1) = 2; across 1, 1, 8 and 27, so 1 + 27 - 2·37/4 = 9.5.
	a, b := mat.NewDense(2, 1, []float64{0, 1}), mat.NewDense(2, 1, []float64{1, 2})
	got, err := KID(a, b, KIDOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if got.Mean != 9.5 || got.Subsets != 1 || got.Size != 2 {
		t.Errorf("KID = %+v, want 9.5 from one evaluation of 2 images", got)
	}
}

func TestKIDIsUnbiased(t *testing.T) {
	// For two draws from one distribution the mean over many draws is 0: within five standard
	// errors of the 400 draws themselves. The biased estimate would be far off.
	rng := rand.New(rand.NewPCG(5, 6))
	const draws, n, d = 400, 12, 3
	sum, squares := 0.0, 0.0
	for range draws {
		a, b := mat.NewDense(n, d, nil), mat.NewDense(n, d, nil)
		for _, m := range []*mat.Dense{a, b} {
			m.Apply(func(int, int, float64) float64 { return rng.NormFloat64() }, m)
		}
		kid, err := KID(a, b, KIDOptions{})
		if err != nil {
			t.Fatal(err)
		}
		sum += kid.Mean
		squares += kid.Mean * kid.Mean
	}
	mean := sum / draws
	se := math.Sqrt((squares/draws - mean*mean) / draws)
	if math.Abs(mean) > 5*se {
		t.Errorf("mean KID of equal distributions is %g, want 0 within 5 × %g", mean, se)
	}
}

func TestKIDSubsets(t *testing.T) {
	r := loadReference(t)
	a, b := r.pair("relu")
	opt := KIDOptions{Subsets: 10, SubsetSize: 15, Seed: 3}
	first, err := KID(a, b, opt)
	if err != nil {
		t.Fatal(err)
	}
	again, _ := KID(a, b, opt)
	if first != again {
		t.Errorf("one seed gave %+v and %+v", first, again)
	}
	opt.Seed = 4
	if other, _ := KID(a, b, opt); other.Mean == first.Mean {
		t.Errorf("seeds 3 and 4 drew the same subsets: %+v", other)
	}
	if first.Subsets != 10 || first.Size != 15 || first.Std == 0 {
		t.Errorf("result %+v, want 10 subsets of 15 that differ", first)
	}
	// The average over subsets is unbiased for the value over the full sets: within 5 standard errors.
	full, _ := KID(a, b, KIDOptions{})
	many, _ := KID(a, b, KIDOptions{Subsets: 400, SubsetSize: 15, Seed: 9})
	if math.Abs(many.Mean-full.Mean) > 5*many.Std/20 {
		t.Errorf("mean over 400 subsets is %g ± %g, full sets %g", many.Mean, many.Std/20, full.Mean)
	}
	// Sets of equal size up to 1000: subsets of the usual size are the full sets.
	c := takeRows(b, []int{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31, 32, 33, 34, 35, 36, 37, 38, 39})
	usual, _ := KID(a, c, KIDOptions{Subsets: 100, SubsetSize: 1000, Seed: 1})
	all, _ := KID(a, c, KIDOptions{})
	if usual != all {
		t.Errorf("usual KID %+v, full sets %+v", usual, all)
	}
}

func TestKIDSumOverBlocks(t *testing.T) {
	// More rows than a block of kernelSum: the sum over pairs equals the sum over halves.
	rng := rand.New(rand.NewPCG(7, 8))
	a := mat.NewDense(1100, 2, nil)
	a.Apply(func(int, int, float64) float64 { return rng.Float64() }, a)
	sum, diagonal := kernelSum(a, a, nil, nil)
	wantDiagonal, want := 0.0, 0.0
	for i := range 1100 {
		x := a.RawRowView(i)
		base := (x[0]*x[0]+x[1]*x[1])/2 + 1
		wantDiagonal += base * base * base
		for _, half := range []*mat.Dense{a.Slice(0, 500, 0, 2).(*mat.Dense), a.Slice(500, 1100, 0, 2).(*mat.Dense)} {
			s, _ := kernelSum(a.Slice(i, i+1, 0, 2).(*mat.Dense), half, nil, nil)
			want += s
		}
	}
	near(t, "sum", sum, want, 1e-12)
	near(t, "diagonal", diagonal, wantDiagonal, 1e-12)
}

func TestKIDRefusals(t *testing.T) {
	a := mat.NewDense(3, 2, nil)
	for name, call := range map[string]func() (KIDResult, error){
		"one image":       func() (KIDResult, error) { return KID(a, mat.NewDense(1, 2, nil), KIDOptions{}) },
		"other dimension": func() (KIDResult, error) { return KID(a, mat.NewDense(3, 3, nil), KIDOptions{}) },
		"subsets of one":  func() (KIDResult, error) { return KID(a, a, KIDOptions{Subsets: 2, SubsetSize: 1}) },
		"negative":        func() (KIDResult, error) { return KID(a, a, KIDOptions{Subsets: -1}) },
	} {
		if got, err := call(); err == nil || !math.IsNaN(got.Mean) {
			t.Errorf("%s: got %+v and no error", name, got)
		}
	}
}
