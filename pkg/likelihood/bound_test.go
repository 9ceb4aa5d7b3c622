package likelihood

import (
	"context"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/pkg/errors"
	"gonum.org/v1/gonum/stat"
	"gonum.org/v1/gonum/stat/distuv"

	"palimpsest/pkg/diffusion"
)

const deviation = 0.25 // of the Gaussian data of all tests

func bound(t *testing.T, p *diffusion.Process, d diffusion.Denoiser, data *Data, o Options) *Terms {
	t.Helper()
	b, err := Bound(t.Context(), p, d, data, nil, o)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func total(t *testing.T, b *Terms) []float64 {
	t.Helper()
	x, err := b.TotalBPD()
	if err != nil {
		t.Fatal(err)
	}
	return x
}

func unclipped() Options { return Options{Batch: 64, CDF: ExactCDF, Seed: 3} }

// KL(N(sqrt(ab)·x0, 1-ab) ‖ N(0, 1)) = (ab·(x0²-1) - ln(1-ab))/2, so ab = 3/4 and |x0| = 1 give ln 2 nats: one bit.
func TestPriorIsOneBit(t *testing.T) {
	s, err := diffusion.FromBetas("test", []float64{0.125, 1. / 7})
	if err != nil {
		t.Fatal(err)
	}
	if got := priorBPD(s, []uint8{0, 255, 255}); math.Abs(got-1) > 1e-12 {
		t.Errorf("prior is %g bits per dimension; want 1", got)
	}
}

// Every term agrees with its expectation over noise, in every variance and prediction. The decoder's has no closed form
// and is left to the next test.
func TestTermsOfGaussian(t *testing.T) {
	data := gaussianData(32, 64, deviation)
	square := 0.0
	for _, k := range data.Pixels {
		square += levels[k] * levels[k] / float64(len(data.Pixels))
	}
	for _, variance := range []string{diffusion.FixedLarge, diffusion.FixedSmall, diffusion.LearnedRange} {
		for _, prediction := range []string{diffusion.PredictNoise, diffusion.PredictImage, diffusion.PredictVelocity} {
			p := newProcess(t, 25, prediction, variance)
			g := &gaussian{p: p, deviation: deviation}
			g.v = g.exactV
			b := bound(t, p, g, data, unclipped())
			for step, got := range meanTerms(b) {
				if step == 0 { // the decoder's
					continue
				}
				logVar := p.ReverseLogVar(step, g.exactV(step))
				mean, spread := g.meanTermBPD(step, logVar, square)
				if tolerance := 5*math.Sqrt(spread/float64(len(data.Pixels))) + 1e-6; math.Abs(got-mean) > tolerance {
					t.Errorf("%s %s: L_%d is %.6f bits; want %.6f ± %.6f", variance, prediction, step, got, mean, tolerance)
				}
			}
		}
	}
}

// evenNoise is noise of images of dim values that takes every quantile of the normal once, in an order drawn for the
// image and timestep: its moments are exact, which makes averages over it far less noisy.
func evenNoise(dst []float32, id, t int) {
	for j, k := range generator(0, id, t, "even").Perm(len(dst)) {
		dst[j] = float32(distuv.UnitNormal.Quantile((float64(k) + 0.5) / float64(len(dst))))
	}
}

// slackBPD is what a reverse step of another variance than the true one costs: the divergence of two Gaussians of equal
// means.
func (g *gaussian) slackBPD(t int, logVar float64) float64 {
	exact := diffusion.Process{Schedule: g.p.Schedule, Variance: diffusion.LearnedRange}
	logRatio := exact.ReverseLogVar(t, g.exactV(t)) - logVar
	return 0.5 * (math.Exp(logRatio) - 1 - logRatio) / math.Ln2
}

// With the true reverse variance the chain is exact, and the bound is the data's own code length at any T (to the
// rounding of levels, which a decoder of about a bin's width notices). A fixed variance adds slackBPD at every t > 0 and
// what its decoder costs.
func TestBoundReachesEntropy(t *testing.T) {
	data := gaussianData(8, 1024, deviation)
	entropy := entropyBPD(data, deviation)
	if differential := 0.5*math.Log2(2*math.Pi*math.E*deviation*deviation) + math.Log2(127.5); math.Abs(entropy-differential) > 0.05 {
		t.Fatalf("the data's entropy is %g bits; the Gaussian's %g", entropy, differential)
	}
	o := unclipped()
	o.Noise = evenNoise
	for _, steps := range []int{25, 50, 100} {
		run := func(variance string) (*gaussian, Parts) {
			p := newProcess(t, steps, diffusion.PredictVelocity, variance)
			g := &gaussian{p: p, deviation: deviation}
			g.v = g.exactV
			parts, err := bound(t, p, g, data, o).Parts()
			if err != nil {
				t.Fatal(err)
			}
			return g, parts
		}
		_, exact := run(diffusion.LearnedRange)
		t.Logf("T = %d: bound %.5f, entropy %.5f", steps, exact.TotalBPD, entropy)
		if math.Abs(exact.TotalBPD-entropy) > 0.01 {
			t.Errorf("T = %d: bound %g bits; want the entropy %g", steps, exact.TotalBPD, entropy)
		}
		for _, variance := range []string{diffusion.FixedLarge, diffusion.FixedSmall} {
			g, parts := run(variance)
			slack := 0.0
			for s := 1; s < steps; s++ {
				slack += g.slackBPD(s, g.p.ReverseLogVar(s, 0))
			}
			got := parts.DiffuseBPD - exact.DiffuseBPD
			t.Logf("T = %d, %s: %.5f bits of slack, %.5f by closed form; decoder %.5f more", steps, variance, got, slack, parts.DecoderBPD-exact.DecoderBPD)
			if math.Abs(got-slack) > 0.01+0.01*slack {
				t.Errorf("T = %d, %s: slack %g bits; want %g", steps, variance, got, slack)
			}
		}
	}
}

// As T grows the slack of fixed-large at t > 0 falls as 1/T and that of fixed-small does not vanish: near the data, where
// noise is far below the data's own spread, the true variance is β_t, and β̃_t stays below it by the factor t/(t+1).
func TestRateOfSlack(t *testing.T) {
	slack := func(variance string, steps int) float64 {
		p := newProcess(t, steps, diffusion.PredictNoise, variance)
		g := &gaussian{p: p, deviation: deviation}
		sum := 0.0
		for s := 1; s < steps; s++ {
			sum += g.slackBPD(s, p.ReverseLogVar(s, 0))
		}
		return sum
	}
	for steps := 500; steps <= 4000; steps *= 2 {
		large, small := slack(diffusion.FixedLarge, steps), slack(diffusion.FixedSmall, steps)
		t.Logf("T = %d: fixed-large %.6f, fixed-small %.6f bits", steps, large, small)
		if ratio := slack(diffusion.FixedLarge, steps/2) / large; math.Abs(ratio-2) > 0.1 {
			t.Errorf("T = %d: fixed-large's slack falls by %g; want 2", steps, ratio)
		}
		// Σ ½·(1/t - ln(1+1/t)) = γ/2 nats.
		if limit := 0.5 * 0.5772156649 / math.Ln2; small < limit {
			t.Errorf("T = %d: fixed-small's slack is %g bits; its limit is above %g", steps, small, limit)
		}
	}
}

// v = -1 is fixed-small; v = 1 is fixed-large but for the decoder, whose β_0 fixed-large replaces by β̃_1.
func TestLearnedEqualsFixed(t *testing.T) {
	data := gaussianData(4, 16, deviation)
	run := func(variance string, v float64, clip bool) *Terms {
		p := newProcess(t, 30, diffusion.PredictNoise, variance)
		o := unclipped()
		o.Clip = clip
		return bound(t, p, &gaussian{p: p, deviation: deviation, v: func(int) float64 { return v }}, data, o)
	}
	same := func(a, b *Terms, from int) bool {
		for k := range a.TermBPD {
			if k%30 >= from && math.Abs(float64(a.TermBPD[k]-b.TermBPD[k])) > 1e-6*(1+math.Abs(float64(b.TermBPD[k]))) {
				return false
			}
		}
		return slices.Equal(a.MSEImage, b.MSEImage)
	}
	for _, clip := range []bool{true, false} {
		small, large := run(diffusion.FixedSmall, 0, clip), run(diffusion.FixedLarge, 0, clip)
		if !same(run(diffusion.LearnedRange, -1, clip), small, 0) {
			t.Error("v = -1 is not fixed-small")
		}
		if !same(run(diffusion.LearnedRange, 1, clip), large, 1) {
			t.Error("v = 1 is not fixed-large")
		}
		if same(small, large, 1) {
			t.Error("fixed-small and fixed-large agree")
		}
	}
}

// far predicts images outside [-1, 1].
type far struct{}

func (far) Output(x []float32, t, y []int32) ([]float32, error) {
	return slices.Repeat([]float32{7}, len(x)), nil
}

func TestClipping(t *testing.T) {
	p := newProcess(t, 10, diffusion.PredictImage, diffusion.FixedSmall)
	data := &Data{N: 1, Dim: 1, Channels: 1, Pixels: []uint8{255}, Labels: []int32{0}}
	o := unclipped()
	for _, clip := range []bool{false, true} {
		o.Clip = clip
		want := float32(36) // (7-1)²
		if clip {
			want = 0
		}
		if b := bound(t, p, far{}, data, o); b.MSEImage[5] != want {
			t.Errorf("clip %v: squared error %g; want %g", clip, b.MSEImage[5], want)
		}
	}
}

// Neither the batch nor which images are asked for together changes a term, and no row is computed twice where the batch
// divides the work.
func TestRowsAndNoise(t *testing.T) {
	p := newProcess(t, 20, diffusion.PredictNoise, diffusion.FixedLarge)
	data := gaussianData(8, 16, deviation)
	g := &gaussian{p: p, deviation: deviation}
	o := unclipped()
	o.Batch = 32
	last := 0
	o.Progress = func(done, total int) {
		if total != 160 || done <= last {
			t.Errorf("progress %d of %d after %d", done, total, last)
		}
		last = done
	}
	whole := bound(t, p, g, data, o)
	if g.rows.Load() != 160 || last != 160 {
		t.Errorf("%d rows, progress %d; want 160", g.rows.Load(), last)
	}
	o.Progress = nil
	o.Batch = 7
	if !slices.Equal(bound(t, p, g, data, o).TermBPD, whole.TermBPD) {
		t.Error("terms depend on the batch")
	}
	part := &Data{N: 2, Dim: 16, Channels: 1, Pixels: data.Pixels[3*16 : 5*16], Labels: []int32{0, 0}, IDs: []int{3, 4}}
	some, err := Bound(t.Context(), p, g, part, []int{0, 5, 19}, o)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 2 {
		for k, step := range []int{0, 5, 19} {
			if some.TermBPD[3*i+k] != whole.TermBPD[20*(3+i)+step] {
				t.Errorf("image %d, t = %d: %g alone, %g among others", 3+i, step, some.TermBPD[3*i+k], whole.TermBPD[20*(3+i)+step])
			}
		}
	}
	if _, err := some.TotalBPD(); err == nil {
		t.Error("three terms pass for a bound")
	}
	o.Seed++
	if slices.Equal(bound(t, p, g, data, o).TermBPD, whole.TermBPD) {
		t.Error("two seeds share their noise")
	}
}

// Parts, timesteps and bins all add up to the total, whatever the bins.
func TestSummariesAddUp(t *testing.T) {
	p := newProcess(t, 40, diffusion.PredictNoise, diffusion.FixedSmall)
	b := bound(t, p, &gaussian{p: p, deviation: deviation}, gaussianData(6, 16, deviation), unclipped())
	parts, err := b.Parts()
	if err != nil {
		t.Fatal(err)
	}
	near := func(name string, got, want float64) {
		t.Helper()
		if math.Abs(got-want) > 1e-9 {
			t.Errorf("%s: %g; want %g", name, got, want)
		}
	}
	near("total", parts.TotalBPD, stat.Mean(total(t, b), nil))
	near("parts", parts.PriorBPD+parts.DiffuseBPD+parts.DecoderBPD, parts.TotalBPD)
	sum := 0.0
	for _, mean := range meanTerms(b) {
		sum += mean
	}
	near("timesteps", sum+parts.PriorBPD, parts.TotalBPD)
}

// meanTerms are the terms of a whole bound, by timestep, averaged over images.
func meanTerms(b *Terms) []float64 {
	means := make([]float64, b.T)
	for i := range b.N {
		for t, term := range b.row(i) {
			means[t] += float64(term) / float64(b.N)
		}
	}
	return means
}

type failing struct{ err error }

func (f failing) Output([]float32, []int32, []int32) ([]float32, error) { return nil, f.err }

func TestBoundRefuses(t *testing.T) {
	p := newProcess(t, 20, diffusion.PredictNoise, diffusion.FixedLarge)
	data := gaussianData(2, 4, deviation)
	g := &gaussian{p: p, deviation: deviation}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	broken := errors.New("broken network")
	learned := newProcess(t, 20, diffusion.PredictNoise, diffusion.LearnedRange)
	for _, c := range []struct {
		name, want string
		run        func() error
	}{
		{"batch", "batch is 0", func() error { _, err := Bound(t.Context(), p, g, data, nil, Options{CDF: ExactCDF}); return err }},
		{"CDF", "choose", func() error { _, err := Bound(t.Context(), p, g, data, nil, Options{Batch: 1}); return err }},
		{"timestep", "ascending", func() error { _, err := Bound(t.Context(), p, g, data, []int{3, 3}, unclipped()); return err }},
		{"sizes", "need", func() error {
			_, err := Bound(t.Context(), p, g, &Data{N: 2, Dim: 4, Channels: 1}, nil, unclipped())
			return err
		}},
		{"context", "stopped", func() error { _, err := Bound(ended, p, g, data, nil, unclipped()); return err }},
		{"network", "broken", func() error { _, err := Bound(t.Context(), p, failing{broken}, data, nil, unclipped()); return err }},
		{"width", "learned-range", func() error { _, err := Bound(t.Context(), learned, g, data, nil, unclipped()); return err }},
	} {
		if err := c.run(); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v; want one with %q", c.name, err, c.want)
		}
	}
}
