package study

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"palimpsest/pkg/results"
	"palimpsest/pkg/results/resultstest"
)

// Of 1 … n the mean is (n+1)/2 and the sample variance n(n+1)/12.
func TestStatOfWholeNumbers(t *testing.T) {
	for n := 2; n < 9; n++ {
		var values []float64
		for k := range n {
			values = append(values, float64(k+1), math.NaN())
		}
		s := NewStat(values)
		mean, std := float64(n+1)/2, math.Sqrt(float64(n*(n+1))/12)
		if s.N != n || math.Abs(s.Mean-mean) > 1e-12 || math.Abs(s.Std-std) > 1e-12 {
			t.Errorf("1 … %d: %+v, want %g ± %g", n, s, mean, std)
		}
	}
}

// Runs of one seed are no independent runs: they count once, by their mean.
func TestSeedStatCountsASeedOnce(t *testing.T) {
	s := SeedStat([]uint64{7, 3, 7, 5}, []float64{1, 10, 3, math.NaN()})
	if s.N != 2 || s.Mean != 6 || math.Abs(s.Std-8/math.Sqrt2) > 1e-12 || !slices.Equal(s.seeds, []uint64{7, 3}) || !slices.Equal(s.values, []float64{2, 10}) {
		t.Errorf("%+v, want 2 and 10 of seeds 7 and 3", s)
	}
	d := s.minus(SeedStat([]uint64{1, 3, 7}, []float64{100, 4, 1}))
	if d.N != 2 || d.Mean != (1+6)/2.0 || !slices.Equal(d.seeds, []uint64{7, 3}) {
		t.Errorf("differences %+v, want 1 and 6", d)
	}
	if none := s.minus(NewStat([]float64{1, 2})); none.Known() {
		t.Errorf("values of unknown seeds are paired: %+v", none)
	}
}

// Student's t does not see units nor what a seed does to both settings, and turns with the order of the two.
func TestDifferenceInvariances(t *testing.T) {
	random := rand.New(rand.NewPCG(21, 22))
	for range 200 {
		n := 2 + random.IntN(6)
		a, b, scaledA, scaledB := make([]float64, n), make([]float64, n), make([]float64, n), make([]float64, n)
		scale := math.Exp(4 * random.NormFloat64())
		for i := range a {
			seed := 100 * random.NormFloat64()
			a[i], b[i] = random.NormFloat64(), 1+random.NormFloat64()
			scaledA[i], scaledB[i] = scale*(a[i]+seed), scale*(b[i]+seed)
		}
		d, turned, scaled := Compare(onSeeds(a...), onSeeds(b...)), Compare(onSeeds(b...), onSeeds(a...)), Compare(onSeeds(scaledA...), onSeeds(scaledB...))
		if d.Value != -turned.Value || d.P != turned.P || d.Low != -turned.High || d.High != -turned.Low || d.Sign() != -turned.Sign() {
			t.Fatalf("%+v turned is %+v", d, turned)
		}
		if near := 1e-9 * (1 + 100*scale); math.Abs(scaled.P-d.P) > 1e-7 || math.Abs(scaled.Value-scale*d.Value) > near || math.Abs(scaled.Low-scale*d.Low) > near*100 {
			t.Fatalf("%+v in other units is %+v (factor %g)", d, scaled, scale)
		}
		// The interval leaves out 0 exactly where the difference is told apart from 0.
		if apart := d.Low > 0 || d.High < 0; apart != (d.Sign() != 0) {
			t.Fatalf("%+v has sign %d", d, d.Sign())
		}
		if math.Abs((d.Low+d.High)/2-d.Value) > 1e-9*(d.High-d.Low) {
			t.Fatalf("the interval of %+v is not centred", d)
		}
		// A paired comparison is that of the differences with 0.
		if zero := onSeeds(a...).minus(onSeeds(b...)).FromZero(); zero.P != d.P || zero.Low != d.Low {
			t.Fatalf("%+v, by differences %+v", d, zero)
		}
	}
}

// With one degree of freedom Student's is Cauchy's distribution: p = 1 - 2/π·atan|t|, and t_0.975 = tan(0.475π) = 12.706.
func TestTwoSeedsByHand(t *testing.T) {
	d := Compare(onSeeds(3, 6), onSeeds(1, 2)) // differences 2 and 4: mean 3, standard error 1
	p, half := 1-2/math.Pi*math.Atan(3), math.Tan(0.475*math.Pi)
	if math.Abs(d.P-p) > 1e-12 || math.Abs(d.High-3-half) > 1e-9 || math.Abs(half-12.706) > 1e-3 {
		t.Errorf("%+v, want p = %g and 3 ± %g", d, p, half)
	}
}

// Of two settings with as many seeds and equal deviations Welch's degrees of freedom are those of Student's two-sample test,
// 2n - 2: for n = 2 that is 2, of which p = 1 - t/sqrt(t² + 2).
func TestWelchWithEqualDeviationsByHand(t *testing.T) {
	d := Compare(NewStat([]float64{5, 7}), NewStat([]float64{1, 3})) // 4 apart, variances 2: standard error sqrt(2)
	statistic := 4 / math.Sqrt2
	if want := 1 - statistic/math.Sqrt(statistic*statistic+2); math.Abs(d.P-want) > 1e-12 {
		t.Errorf("p = %g, want %g", d.P, want)
	}
}

// Corrected p-values, by R: p.adjust(c(0.01, 0.02, 0.03, 0.04, 0.05), "holm") is 0.05 0.08 0.09 0.09 0.09. In general they are
// in the order of the plain ones, none is smaller, the least is Bonferroni's, and their order does not matter.
func TestHolmProperties(t *testing.T) {
	for i, want := range []float64{0.05, 0.08, 0.09, 0.09, 0.09} {
		if got := holm([]float64{0.01, 0.02, 0.03, 0.04, 0.05})[i]; math.Abs(got-want) > 1e-12 {
			t.Errorf("value %d is %g, want %g", i, got, want)
		}
	}
	random := rand.New(rand.NewPCG(31, 32))
	for range 200 {
		p := make([]float64, 1+random.IntN(12))
		for i := range p {
			p[i] = math.Pow(random.Float64(), 3)
		}
		got := holm(p)
		order := random.Perm(len(p))
		mixed := make([]float64, len(p))
		for i, k := range order {
			mixed[i] = p[k]
		}
		for i, v := range holm(mixed) {
			if v != got[order[i]] {
				t.Fatalf("%v in another order is corrected otherwise", p)
			}
		}
		least := slices.Min(p)
		for i := range p {
			if got[i] < p[i] || got[i] > 1 || p[i] == least && math.Abs(got[i]-math.Min(1, least*float64(len(p)))) > 1e-15 {
				t.Fatalf("%v is corrected to %v", p, got)
			}
			for j := range p {
				if p[i] < p[j] && got[i] > got[j] {
					t.Fatalf("%v is corrected to %v, which is in another order", p, got)
				}
			}
		}
	}
}

// A column shows at least two digits of its smallest number, within limits.
func TestDecimalsFor(t *testing.T) {
	of := func(values ...float64) (out []Stat) {
		for _, v := range values {
			out = append(out, NewStat([]float64{v}))
		}
		return out
	}
	for _, tc := range []struct {
		values      []Stat
		least, most int
		want        int
	}{
		{of(12, 345), 1, 3, 1}, {of(1.2, 30), 0, 3, 1}, {of(0.012, 30), 1, 5, 3}, {of(0.012, 30), 1, 2, 2}, {of(-0.5, 30), 0, 5, 2},
		{of(0, math.NaN()), 2, 5, 2}, {nil, 1, 4, 1},
	} {
		if got := DecimalsFor(tc.values, tc.least, tc.most); got != tc.want {
			t.Errorf("%v within %d and %d: %d decimals, want %d", tc.values, tc.least, tc.most, got, tc.want)
		}
	}
}

func TestStatWords(t *testing.T) {
	if got := onSeeds(0.1, 0.3).Percent(1); got != "20.0 ± 14.1 %" {
		t.Errorf("a share is written %q", got)
	}
	for want, s := range map[string]Stat{"+0.5": NewStat([]float64{0.5}), "−0.5": NewStat([]float64{-0.5}), "0.0": NewStat([]float64{0}), "–": NewStat(nil)} {
		if got := s.Signed(1); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

// A method's matrix has the mean and deviation over seeds in each cell.
func TestMatrixOverSeeds(t *testing.T) {
	g := Group([]*results.Run{resultstest.Finals("er", "er", 1, 10, 20), resultstest.Finals("er", "er", 0, 14, 20)})[0]
	r := g.Matrix(FID)
	if r[1][0].Mean != 12 || math.Abs(r[1][0].Std-4/math.Sqrt2) > 1e-12 || r[1][1].Std != 0 || r[0][1].Known() || r[0][0].N != 2 {
		t.Errorf("%+v", r)
	}
	if !Measured([]Method{g}, FID) || Measured([]Method{g}, KID) {
		t.Error("FID was measured, KID was not")
	}
	if _, ok := Find([]Method{g}, "ewc"); ok {
		t.Error("ewc is found")
	}
	if found, ok := Find([]Method{g}, "er"); !ok || found.Label != "er" || found.Runs[0].Seed != 0 {
		t.Errorf("er is found as %+v", found)
	}
}
