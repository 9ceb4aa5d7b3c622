package study

import (
	"encoding/json"
	"math"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"
)

// onSeeds are values of seeds 0, 1, ….
func onSeeds(values ...float64) Stat {
	seeds := make([]uint64, len(values))
	for i := range seeds {
		seeds[i] = uint64(i)
	}
	return SeedStat(seeds, values)
}

// With two degrees of freedom Student's distribution is F(t) = 1/2 + t/(2·sqrt(t² + 2)), so p = 1 - t/sqrt(t² + 2), and the
// quantile of 0.975 solves it: t = 0.95·sqrt(2)/sqrt(1 - 0.95²).
func TestPairedTByHand(t *testing.T) {
	// Buffer 20 and ten tasks: FID of λ = 0.3 less that of λ = 1 in seeds 0, 1, 2, whose means lie by little more apart than one
	// standard deviation of either, yet λ = 1 is lower in every seed.
	d := Compare(onSeeds(18.9+1.6, 16.8+2.2, 20.2+1.1), onSeeds(18.9, 16.8, 20.2))
	mean := (1.6 + 2.2 + 1.1) / 3
	deviation := math.Sqrt((math.Pow(1.6-mean, 2) + math.Pow(2.2-mean, 2) + math.Pow(1.1-mean, 2)) / 2)
	statistic := mean / (deviation / math.Sqrt(3))
	p, half := 1-statistic/math.Sqrt(statistic*statistic+2), 0.95*math.Sqrt2/math.Sqrt(1-0.95*0.95)*deviation/math.Sqrt(3)
	for _, c := range []struct {
		what      string
		got, want float64
	}{{"difference", d.Value, mean}, {"p", d.P, p}, {"low", d.Low, mean - half}, {"high", d.High, mean + half}} {
		if math.Abs(c.got-c.want) > 1e-9 {
			t.Errorf("%s is %.12g, want %.12g", c.what, c.got, c.want)
		}
	}
	if math.Abs(d.P-0.04) > 0.005 || d.Sign() != 1 {
		t.Errorf("p = %g, sign %d; want 0.04 and higher", d.P, d.Sign())
	}
	if got, want := d.Words("better", "worse", "", 1), "worse by 1.6 [0.3, 3.0] (paired t over 3 seeds, p = 0.036)"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

// testdata/ttests.json is by SciPy: see testdata/ttests.py.
func TestDifferencesAgreeWithSciPy(t *testing.T) {
	data, err := os.ReadFile("testdata/ttests.json")
	if err != nil {
		t.Fatal(err)
	}
	type result struct{ P, Low, High float64 }
	var want struct {
		SciPy string
		Cases []struct {
			A, B   []float64
			Welch  result
			Paired *result
		}
	}
	if err := json.Unmarshal(data, &want); err != nil {
		t.Fatal(err)
	}
	if len(want.Cases) == 0 || want.SciPy == "" {
		t.Fatal("no cases, or no version of SciPy")
	}
	check := func(i int, d Difference, w result, rule string) {
		t.Helper()
		if math.Abs(d.P-w.P) > 1e-9 || math.Abs(d.Low-w.Low) > 1e-9 || math.Abs(d.High-w.High) > 1e-9 || !strings.HasPrefix(d.Rule(), rule) {
			t.Errorf("case %d: %+v by %q, want %+v by %s of SciPy %s", i, d, d.Rule(), w, rule, want.SciPy)
		}
	}
	for i, c := range want.Cases {
		check(i, Compare(NewStat(c.A), NewStat(c.B)), c.Welch, "Welch's t")
		if c.Paired != nil {
			check(i, Compare(onSeeds(c.A...), onSeeds(c.B...)), *c.Paired, "paired t")
			differences := make([]float64, len(c.A))
			for k := range differences {
				differences[k] = c.A[k] - c.B[k]
			}
			check(i, NewStat(differences).FromZero(), *c.Paired, "t over")
		}
	}
}

// Of normal differences Student's interval covers the truth in 95 % of studies whatever the number of seeds, and what seeds do
// to both settings alike does not matter. Over 20000 studies the share has a standard error of 0.15 points; five of them are
// allowed. The percentile bootstrap of three seeds would cover some 75 %.
func TestPairedIntervalCovers(t *testing.T) {
	const studies, truth = 20000, 1.5
	random := rand.New(rand.NewPCG(5, 6))
	for _, n := range []int{2, 3, 5} {
		covered, wrong := 0, 0
		for range studies {
			var a, b, level []float64
			for range n {
				seed := 10 * random.NormFloat64()
				a, b = append(a, seed+truth+random.NormFloat64()), append(b, seed+2*random.NormFloat64())
				level = append(level, seed+random.NormFloat64())
			}
			if d := Compare(onSeeds(a...), onSeeds(b...)); d.Low <= truth && truth <= d.High {
				covered++
			}
			if Compare(onSeeds(level...), onSeeds(b...)).Sign() != 0 {
				wrong++
			}
		}
		if share := float64(covered) / studies; math.Abs(share-0.95) > 5*0.0015 {
			t.Errorf("intervals of %d seeds cover the truth in %g of studies; want 0.95", n, share)
		}
		if share := float64(wrong) / studies; math.Abs(share-0.05) > 5*0.0015 {
			t.Errorf("%d seeds tell equal settings apart in %g of studies; want 0.05", n, share)
		}
	}
}

// Welch's t is not exact. With three seeds on each side, deviations three times apart, it is known to cover some 95 %, and
// between 93 and 97 % is asked for.
func TestWelchIntervalCovers(t *testing.T) {
	const studies, truth = 20000, 1.5
	random := rand.New(rand.NewPCG(7, 8))
	covered := 0
	for range studies {
		var a, b []float64
		for range 3 {
			a, b = append(a, truth+random.NormFloat64()), append(b, 3*random.NormFloat64())
		}
		if d := Compare(NewStat(a), NewStat(b)); d.Low <= truth && truth <= d.High {
			covered++
		}
	}
	if share := float64(covered) / studies; share < 0.93 || share > 0.97 {
		t.Errorf("Welch's intervals cover the truth in %g of studies", share)
	}
}

func TestDifferenceRules(t *testing.T) {
	of := func(seeds []uint64, values ...float64) Stat { return SeedStat(seeds, values) }
	for _, tc := range []struct {
		name string
		d    Difference
		rule string
		sign int
	}{
		{"lower in every seed", Compare(onSeeds(1, 2, 3), onSeeds(5, 6.1, 7)), "paired t over 3 seeds, p < 0.001", -1},
		{"other seeds", Compare(of([]uint64{0, 1, 2}, 1, 2, 3), of([]uint64{3, 4, 5}, 9, 8, 7)), "Welch's t over 3 and 3 seeds, p = 0.002", -1},
		{"some seeds in common", Compare(of([]uint64{0, 1, 2}, 1, 2, 99), of([]uint64{0, 1, 5}, 3, 4.1, 0)), "paired t over 2 seeds, p = 0.016", -1},
		{"one seed in common", Compare(of([]uint64{0, 1}, 1, 2), of([]uint64{1, 2}, 3, 4)), "Welch's t over 2 and 2 seeds, p = 0.106", 0},
		{"one seed", Compare(onSeeds(1), onSeeds(100)), "one seed: not decided", 0},
		{"one against three", Compare(onSeeds(1), onSeeds(100, 101, 102)), "one seed against 3: not decided", 0},
		{"equal", Compare(onSeeds(1, 2), onSeeds(1, 2)), "paired t over 2 seeds, p = 1.000", 0},
		{"no spread", Compare(onSeeds(1, 2, 3), onSeeds(2, 3, 4)), "no spread to judge by (paired t over 3 seeds): not decided", 0},
		{"not measured", Compare(NewStat(nil), onSeeds(1, 2)), "not measured", 0},
		// Two runs of one seed are no two seeds.
		{"a seed twice", Compare(of([]uint64{0, 0}, 1, 2), of([]uint64{0, 0}, 5, 5)), "one seed: not decided", 0},
		{"one forgetting", onSeeds(3).FromZero(), "one seed: not decided", 0},
		{"forgetting", onSeeds(30, 31, 32).FromZero(), "t over 3 seeds, p < 0.001", 1},
	} {
		if tc.d.Rule() != tc.rule || tc.d.Sign() != tc.sign {
			t.Errorf("%s: %q, sign %d; want %q, %d", tc.name, tc.d.Rule(), tc.d.Sign(), tc.rule, tc.sign)
		}
	}
	for _, tc := range []struct {
		d    Difference
		want string
	}{
		{Compare(onSeeds(1), onSeeds(3)), "better by 2.0 (one seed: not decided)"},
		{Compare(onSeeds(1, 2, 3), onSeeds(2, 2, 2)), "not told apart (0.0 [−2.5, 2.5] points, paired t over 3 seeds, p = 1.000)"},
		{Compare(NewStat(nil), onSeeds(3)), "not measured"},
	} {
		if got := tc.d.Words("better", "worse", " points", 1); strings.ReplaceAll(got, "2.0 points", "2.0") != tc.want {
			t.Errorf("%q, want %q", got, tc.want)
		}
	}
}

// Numbers of a method carry their seeds into other units and signs.
func TestStatTimesKeepsSeeds(t *testing.T) {
	a, b := onSeeds(0.1, 0.2, 0.4).Times(100), onSeeds(0.2, 0.3, 0.6).Times(100)
	if d := Compare(a, b); math.Abs(d.Value+40.0/3) > 1e-9 || !strings.HasPrefix(d.Rule(), "paired t") {
		t.Errorf("%+v by %q", d, d.Rule())
	}
	if s := onSeeds(-1, -3).Abs(); s.Mean != 2 || s.Std != math.Sqrt2 || !slices.Equal(s.values, []float64{1, 3}) {
		t.Errorf("%+v", s)
	}
}

// By hand: sorted 0.01 0.02 0.03 0.04 times 4, 3, 2, 1 is 0.04 0.06 0.06 0.04, of which none may be below one before it.
func TestHolm(t *testing.T) {
	got := holm([]float64{0.04, 0.01, math.NaN(), 0.03, 0.02})
	for i, want := range []float64{0.06, 0.04, math.NaN(), 0.06, 0.06} {
		if math.Abs(got[i]-want) > 1e-12 || math.IsNaN(got[i]) != math.IsNaN(want) {
			t.Errorf("corrected p-value %d is %g, want %g", i, got[i], want)
		}
	}
	if got := holm([]float64{0.9, 0.8}); got[0] != 1 || got[1] != 1 {
		t.Errorf("p-values above 1: %v", got)
	}
}

// No p-value is rounded onto the limit from beside it.
func TestProbability(t *testing.T) {
	for v, want := range map[float64]string{0.0004: "p < 0.001", 0.036: "p = 0.036", 0.0496: "p = 0.0496", 0.05004: "p = 0.05004", 0.05: "p = 0.050", 1: "p = 1.000"} {
		if got := probability(v); got != want {
			t.Errorf("%g is written %q, want %q", v, got, want)
		}
	}
}
