package study

import (
	"encoding/json"
	"math"
	"os"
	"reflect"
	"strconv"
	"testing"
)

func TestFriedmanByHand(t *testing.T) {
	// The same order in all n blocks: R_j = j, so that χ² takes its greatest value n(k-1).
	f := newFriedman([][]float64{{1, 2, 3}, {1, 2, 3}})
	if math.Abs(f.ChiSquared-4) > 1e-12 || math.Abs(f.P-math.Exp(-2)) > 1e-12 { // two degrees of freedom: p = exp(-χ²/2)
		t.Errorf("the same order gives %+v; want χ² = 4, p = exp(-2)", f)
	}
	if !math.IsInf(f.F, 1) || f.PF != 0 {
		t.Errorf("the same order gives F = %g, p = %g; want infinity and 0", f.F, f.PF)
	}
	// Opposite orders: all mean ranks are 2.
	if f := newFriedman([][]float64{{1, 2, 3}, {3, 2, 1}}); f.ChiSquared != 0 || f.P != 1 {
		t.Errorf("opposite orders give %+v; want χ² = 0, p = 1", f)
	}
	if f := newFriedman([][]float64{{2, 2, 2}, {2, 2, 2}}); !math.IsNaN(f.ChiSquared) {
		t.Errorf("ties everywhere give χ² = %g; want none", f.ChiSquared)
	}
}

// The ranks of [demsar] table 6, for which section 3.2.2 gives mean ranks, χ² = 9.28, F = 3.69 and the critical difference
// 1.25. It does not correct for ties, which ours does by the factor 1/(1 - Σ(t³-t)/(nk(k²-1))): three pairs and one
// four of 14 blocks of 4 are tied.
func TestFriedmanOfDemsar(t *testing.T) {
	ranks := [][]float64{{4, 3, 2, 1}, {1, 2, 3, 4}, {4, 1, 2, 3}, {4, 1, 3, 2}, {4, 2, 3, 1}, {1, 2.5, 4, 2.5}, {3, 2, 4, 1},
		{2.5, 2.5, 4, 1}, {4, 3, 2, 1}, {2.5, 2.5, 2.5, 2.5}, {4, 2.5, 1, 2.5}, {3, 2, 4, 1}, {4, 1, 2, 3}, {3, 1, 4, 2}}
	correction := 1 - (3*6+60)/(14.0*4*15)
	f := newFriedman(ranks)
	uncorrected := f.ChiSquared * correction
	if math.Abs(uncorrected-9.28) > 0.005 {
		t.Errorf("χ² = %.3f without the correction, want 9.28", uncorrected)
	}
	if got := 13 * uncorrected / (14*3 - uncorrected); math.Abs(got-3.69) > 0.005 {
		t.Errorf("F = %.3f without the correction, want 3.69", got)
	}
	if got := CriticalDifference(4, 14); math.Abs(got-1.25) > 0.005 {
		t.Errorf("critical difference %.3f, want 1.25", got)
	}
}

func TestRangeQuantile(t *testing.T) {
	// The range of two standard normal values is |N(0, 2)|; [demsar] table 5(a) has the others, over √2 and at places cut
	// instead of rounded.
	for k, want := range map[int]float64{2: 1.960, 3: 2.343, 4: 2.569, 5: 2.728, 6: 2.850, 7: 2.949, 8: 3.031, 9: 3.102, 10: 3.164} {
		if got := rangeQuantile(k, 0.95) / math.Sqrt2; math.Abs(got-want) > 0.001 {
			t.Errorf("q of %d methods is %.4f, want %.3f", k, got, want)
		}
	}
}

// testdata/friedman.json is by SciPy: see testdata/friedman.py.
func TestFriedmanAgreesWithSciPy(t *testing.T) {
	data, err := os.ReadFile("testdata/friedman.json")
	if err != nil {
		t.Fatal(err)
	}
	var want struct {
		Cases []struct {
			Ranks      [][]float64
			ChiSquared float64 `json:"chi_squared"`
			P          float64
		}
		Quantiles map[string]float64
	}
	if err := json.Unmarshal(data, &want); err != nil {
		t.Fatal(err)
	}
	if len(want.Cases) == 0 || len(want.Quantiles) == 0 {
		t.Fatal("no cases")
	}
	for i, c := range want.Cases {
		f := newFriedman(c.Ranks)
		if math.Abs(f.ChiSquared-c.ChiSquared) > 1e-9*c.ChiSquared || math.Abs(f.P-c.P) > 1e-9*c.P+1e-15 {
			t.Errorf("case %d: χ² = %.12g, p = %.12g; SciPy has %.12g and %.12g", i, f.ChiSquared, f.P, c.ChiSquared, c.P)
		}
	}
	for k, q := range want.Quantiles {
		n, err := strconv.Atoi(k)
		if err != nil {
			t.Fatal(err)
		}
		if got := rangeQuantile(n, 0.95); math.Abs(got-q) > 1e-6 {
			t.Errorf("95 %% quantile of the range of %d is %.9f; SciPy has %.9f", n, got, q)
		}
	}
}

func TestCliques(t *testing.T) {
	for _, tc := range []struct {
		sorted   []float64
		critical float64
		want     [][2]int
	}{
		{[]float64{1, 2, 3}, 0.5, nil},
		{[]float64{1, 2, 3}, 5, [][2]int{{0, 2}}},
		{[]float64{1, 1.5, 2.2, 4}, 1, [][2]int{{0, 1}, {1, 2}}}, // overlapping
		{[]float64{1, 1.5, 3, 3.2, 3.4}, 1, [][2]int{{0, 1}, {2, 4}}},
	} {
		if got := cliques(tc.sorted, tc.critical); !reflect.DeepEqual(got, tc.want) {
			t.Errorf("mean ranks %v within %g: %v, want %v", tc.sorted, tc.critical, got, tc.want)
		}
	}
}
