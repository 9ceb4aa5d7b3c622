package study

import (
	"encoding/json"
	"math"
	"math/rand/v2"
	"os"
	"testing"
)

func TestRanksByHand(t *testing.T) {
	for _, tc := range []struct {
		name         string
		x, y         []float64
		rho, tau     float64
		undetermined bool
	}{
		{"the same order", []float64{1, 2, 3}, []float64{10, 200, 3000}, 1, 1, false},
		{"reversed", []float64{1, 2, 3}, []float64{3, 2, 1}, -1, -1, false},
		// One of three pairs disagrees; ρ = 1 − 6·Σd²/(n(n²−1)) = 1 − 6·2/24.
		{"one swap of three", []float64{1, 2, 3}, []float64{2, 1, 3}, 0.5, 1.0 / 3, false},
		// Ranks 1.5 1.5 3 and 1 2 3: covariance 1.5, variances 1.5 and 2. Pairs: 2 agree, 1 tied in x.
		{"a tie in x", []float64{5, 5, 9}, []float64{1, 2, 3}, 1.5 / math.Sqrt(1.5*2), 2 / math.Sqrt(2*3), false},
		// Pairs 1-2 tied in both and left out, the other five agree.
		{"a tie in both", []float64{1, 1, 2, 3}, []float64{7, 7, 8, 9}, 1, 1, false},
		{"constant", []float64{1, 1, 1}, []float64{1, 2, 3}, math.NaN(), math.NaN(), true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			rho, tau := spearman(tc.x, tc.y), kendall(tc.x, tc.y)
			if tc.undetermined {
				if !math.IsNaN(rho) || !math.IsNaN(tau) {
					t.Errorf("ρ = %g and τ = %g of a constant", rho, tau)
				}
			} else if math.Abs(rho-tc.rho) > 1e-12 || math.Abs(tau-tc.tau) > 1e-12 {
				t.Errorf("ρ = %g and τ = %g, want %g and %g", rho, tau, tc.rho, tc.tau)
			}
		})
	}
}

// testdata/ranks.json is by SciPy: see testdata/ranks.py.
func TestRanksAgreeWithSciPy(t *testing.T) {
	data, err := os.ReadFile("testdata/ranks.json")
	if err != nil {
		t.Fatal(err)
	}
	var cases []struct {
		X, Y, Ranks              []float64
		Spearman, Kendall, AUROC float64
	}
	if err := json.Unmarshal(data, &cases); err != nil {
		t.Fatal(err)
	}
	for i, c := range cases {
		for k, r := range averageRanks(c.X) {
			if r != c.Ranks[k] {
				t.Errorf("case %d: rank %d is %g, want %g", i, k, r, c.Ranks[k])
			}
		}
		for name, v := range map[string][2]float64{"ρ": {spearman(c.X, c.Y), c.Spearman}, "τ": {kendall(c.X, c.Y), c.Kendall}, "AUROC": {AreaUnderROC(c.X, c.Y), c.AUROC}} {
			if math.Abs(v[0]-v[1]) > 1e-12 {
				t.Errorf("case %d of %d: %s = %.15g, want %.15g", i, len(c.X), name, v[0], v[1])
			}
		}
	}
}

// Of bivariate normals with correlation r, ρ is 6/π·asin(r/2) and τ is 2/π·asin r, so that coverage can be counted.
// Over 200 studies a share of 95 % has a standard error of 1.5 points. The percentile interval of so few runs is known to
// cover somewhat less than it says; what would show an error is far from that.
func TestBootstrapCovers(t *testing.T) {
	const r, studies, n = 0.6, 200, 24
	random := rand.New(rand.NewPCG(3, 4))
	covered := [2]int{}
	for range studies {
		x, y := make([]float64, n), make([]float64, n)
		for i := range x {
			x[i] = random.NormFloat64()
			y[i] = r*x[i] + math.Sqrt(1-r*r)*random.NormFloat64()
		}
		got := newRanks(x, y, 200, pairs(x, y))
		for k, c := range []struct {
			interval Interval
			truth    float64
		}{{got.Spearman, 6 / math.Pi * math.Asin(r/2)}, {got.Kendall, 2 / math.Pi * math.Asin(r)}} {
			if c.interval.Low <= c.truth && c.truth <= c.interval.High {
				covered[k]++
			}
		}
	}
	for k, name := range []string{"ρ", "τ"} {
		if share := float64(covered[k]) / studies; share < 0.88 || share > 0.99 {
			t.Errorf("95 %% intervals of %s cover the truth in %g of studies", name, share)
		}
	}
}

// Without ties ρ = 1 - 6·Σd²/(n(n²-1)) and τ = 1 - 4·D/(n(n-1)) with D pairs in other orders; both see orders alone. Ranks sum
// to n(n+1)/2 whatever ties there are.
func TestRanksOfPermutations(t *testing.T) {
	random := rand.New(rand.NewPCG(9, 10))
	for range 200 {
		n := 3 + random.IntN(12)
		x, y := make([]float64, n), make([]float64, n)
		for i, k := range random.Perm(n) {
			x[i], y[i] = float64(i), float64(k)
		}
		squares, crossed := 0.0, 0.0
		for i := range y {
			squares += (y[i] - x[i]) * (y[i] - x[i])
			for j := range i {
				if y[j] > y[i] {
					crossed++
				}
			}
		}
		size := float64(n)
		if rho, want := spearman(x, y), 1-6*squares/(size*(size*size-1)); math.Abs(rho-want) > 1e-12 {
			t.Fatalf("ρ = %g of %v, want %g", rho, y, want)
		}
		if tau, want := kendall(x, y), 1-4*crossed/(size*(size-1)); math.Abs(tau-want) > 1e-12 {
			t.Fatalf("τ = %g of %v, want %g", tau, y, want)
		}
		stretched, tied := make([]float64, n), make([]float64, n)
		for i, v := range y {
			stretched[i], tied[i] = math.Exp(v/3), math.Floor(v/2)
		}
		if kendall(x, stretched) != kendall(x, y) || spearman(x, stretched) != spearman(x, y) {
			t.Fatalf("%v stretched has other ranks", y)
		}
		sum := 0.0
		for _, r := range averageRanks(tied) {
			sum += r
		}
		if sum != size*(size+1)/2 {
			t.Fatalf("the ranks of %v sum to %g", tied, sum)
		}
		if a, b := AreaUnderROC(tied, y), AreaUnderROC(y, tied); math.Abs(a+b-1) > 1e-12 {
			t.Fatalf("areas %g and %g of one pair of samples do not sum to 1", a, b)
		}
	}
}
