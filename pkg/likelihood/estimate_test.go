package likelihood

import (
	"math"
	"testing"

	"palimpsest/pkg/diffusion"
)

// Over many choices of timesteps, estimates scatter around the full sum by what they say: the mean of z = error/SE is 0
// and its mean square 1. With n = 400 choices and nearly normal z, standard errors 0.05 and 0.07 (more where the few
// terms of an estimate make its own SE uncertain).
func TestEstimatesAreUnbiased(t *testing.T) {
	p := newProcess(t, 201, diffusion.PredictNoise, diffusion.FixedLarge)
	g := &gaussian{p: p, deviation: deviation}
	b := bound(t, p, g, gaussianData(24, 16, deviation), unclipped())
	weights, err := WeightsOf(b)
	if err != nil {
		t.Fatal(err)
	}
	want := 0.0
	for _, x := range total(t, b) {
		want += x / 24
	}
	for _, q := range []EstimateOptions{
		{Method: Stratified, Terms: 21}, {Method: Stratified, Terms: 81}, {Method: ByImportance, Terms: 21, Weights: weights},
	} {
		const n = 400
		var sum, squares, size float64
		for seed := range uint64(n) {
			q.Seed = seed
			e, err := EstimateOf(b, q)
			if err != nil {
				t.Fatal(err)
			}
			if e.Rows != 24*q.Terms {
				t.Fatalf("%d rows; want %d", e.Rows, 24*q.Terms)
			}
			mean, se := e.MeanBPD()
			z := (mean - want) / se
			sum, squares, size = sum+z/n, squares+z*z/n, size+se/n
		}
		t.Logf("%s, %d of 201 terms: SE %.4f of %.4f bits; z has mean %.3f, mean square %.3f", q.Method, q.Terms, size, want, sum, squares)
		if math.Abs(sum) > 0.25 || squares < 0.65 || squares > 1.5 {
			t.Errorf("%s, %d terms: z has mean %g, mean square %g; want 0 and 1", q.Method, q.Terms, sum, squares)
		}
	}
}

// An estimate that looks at every term is the full sum, and says so.
func TestEstimateOfAllTerms(t *testing.T) {
	p := newProcess(t, 41, diffusion.PredictNoise, diffusion.FixedSmall)
	g := &gaussian{p: p, deviation: deviation}
	data := gaussianData(3, 16, deviation)
	b := bound(t, p, g, data, unclipped())
	e, err := EstimateBPD(t.Context(), p, g, data, unclipped(), EstimateOptions{Method: Stratified, Terms: 41})
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range total(t, b) {
		if math.Abs(e.BPD[i]-want) > 1e-5 || e.SE[i] != 0 {
			t.Errorf("image %d: %g ± %g; want %g exactly", i, e.BPD[i], e.SE[i], want)
		}
	}
	q := EstimateOptions{Method: Stratified, Terms: 11, Seed: 5}
	direct, err := EstimateBPD(t.Context(), p, g, data, unclipped(), q)
	if err != nil {
		t.Fatal(err)
	}
	later, err := EstimateOf(b, q)
	if err != nil {
		t.Fatal(err)
	}
	for i := range direct.BPD {
		if math.Abs(direct.BPD[i]-later.BPD[i]) > 1e-5 || direct.SE[i] == 0 {
			t.Errorf("image %d: %g from the network, %g from its stored terms", i, direct.BPD[i], later.BPD[i])
		}
	}
	for _, q := range []EstimateOptions{{Method: Stratified, Terms: 4}, {Method: Stratified, Terms: 43}, {Method: ByImportance, Terms: 5},
		{Method: ByImportance, Terms: 5, Weights: make([]float64, 41)}, {Method: "other", Terms: 5}} {
		if _, err := EstimateOf(b, q); err == nil {
			t.Errorf("%+v passes", q)
		}
	}
}

func TestStridesCoverAll(t *testing.T) {
	for _, T := range []int{3, 10, 41, 1000} {
		for strides := 1; 2*strides <= T-1; strides++ {
			edges := strideEdges(T, strides)
			if edges[0] != 1 || edges[strides] != T {
				t.Fatalf("T = %d, %d strides: %v", T, strides, edges)
			}
			for s := range strides {
				if edges[s+1]-edges[s] < 2 {
					t.Fatalf("T = %d, %d strides: %v", T, strides, edges)
				}
			}
		}
	}
}
