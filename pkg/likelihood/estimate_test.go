package likelihood

import (
	"math"
	"testing"

	"palimpsest/pkg/diffusion"

	"github.com/pkg/errors"
)

// Over many choices of timesteps, estimates scatter around the full sum by what they say: the mean of z = error/SE is 0
// and its mean square 1. With n = 400 choices and nearly normal z, standard errors 0.05 and 0.07 (more where the few
// terms of an estimate make its own SE uncertain).
func TestEstimatesAreUnbiased(t *testing.T) {
	p := newProcess(t, 201, diffusion.PredictNoise, diffusion.FixedLarge)
	g := &gaussian{p: p, deviation: deviation}
	b := bound(t, p, g, gaussianData(24, 16, deviation), unclipped())
	want := 0.0
	for _, x := range total(t, b) {
		want += x / 24
	}
	for _, q := range []EstimateOptions{
		{Terms: 21}, {Terms: 81},
	} {
		const n = 400
		var sum, squares, size float64
		for seed := range uint64(n) {
			q.Seed = seed
			e, err := estimateOf(b, q)
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
		t.Logf("%d of 201 terms: SE %.4f of %.4f bits; z has mean %.3f, mean square %.3f", q.Terms, size, want, sum, squares)
		if math.Abs(sum) > 0.25 || squares < 0.65 || squares > 1.5 {
			t.Errorf("%d terms: z has mean %g, mean square %g; want 0 and 1", q.Terms, sum, squares)
		}
	}
}

// An estimate that looks at every term is the full sum, and says so.
func TestEstimateOfAllTerms(t *testing.T) {
	p := newProcess(t, 41, diffusion.PredictNoise, diffusion.FixedSmall)
	g := &gaussian{p: p, deviation: deviation}
	data := gaussianData(3, 16, deviation)
	b := bound(t, p, g, data, unclipped())
	e, err := EstimateBPD(t.Context(), p, g, data, unclipped(), EstimateOptions{Terms: 41})
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range total(t, b) {
		if math.Abs(e.BPD[i]-want) > 1e-5 || e.SE[i] != 0 {
			t.Errorf("image %d: %g ± %g; want %g exactly", i, e.BPD[i], e.SE[i], want)
		}
	}
	q := EstimateOptions{Terms: 11, Seed: 5}
	direct, err := EstimateBPD(t.Context(), p, g, data, unclipped(), q)
	if err != nil {
		t.Fatal(err)
	}
	later, err := estimateOf(b, q)
	if err != nil {
		t.Fatal(err)
	}
	for i := range direct.BPD {
		if math.Abs(direct.BPD[i]-later.BPD[i]) > 1e-5 || direct.SE[i] == 0 {
			t.Errorf("image %d: %g from the network, %g from its stored terms", i, direct.BPD[i], later.BPD[i])
		}
	}
	for _, q := range []EstimateOptions{{Terms: 4}, {Terms: 43}, {Terms: 1}} {
		if _, err := estimateOf(b, q); err == nil {
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

// estimateOf makes the estimate from a whole bound that is already known, to see what few terms would have told. Images
// are numbered 0 .. N-1.
func estimateOf(b *Terms, q EstimateOptions) (*Estimate, error) {
	if !b.Whole() {
		return nil, errors.Errorf("likelihood: %d of %d timesteps; need all", len(b.Timesteps), b.T)
	}
	plan, err := q.plan(b.T, b.N, func(i int) int { return i })
	if err != nil {
		return nil, err
	}
	values, prior := make([]float64, b.N*q.Terms), make([]float64, b.N)
	for k, t := range plan.t {
		values[k] = float64(b.row(k / q.Terms)[t])
	}
	for i := range prior {
		prior[i] = float64(b.PriorBPD[i])
	}
	return plan.combine(prior, values), nil
}
