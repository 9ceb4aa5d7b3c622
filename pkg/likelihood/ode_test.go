package likelihood

import (
	"context"
	"math"
	"strings"
	"testing"

	"gonum.org/v1/gonum/mat"
	"gonum.org/v1/gonum/stat"
	"gonum.org/v1/gonum/stat/distmv"

	"palimpsest/pkg/diffusion"
)

// correlated is the exact denoiser of a Gaussian N(0, covariance) with its Jacobian.
type correlated struct {
	p          *diffusion.Process
	covariance *mat.SymDense
	maps       map[int32]*mat.Dense // prediction = map·x at a timestep
}

func (c *correlated) at(t int32) *mat.Dense {
	if m := c.maps[t]; m != nil {
		return m
	}
	dim := c.covariance.SymmetricDim()
	signal, sigma := c.p.Signal[t], c.p.Sigma[t]
	var inverse, mean mat.Dense
	noisy := mat.NewDense(dim, dim, nil)
	noisy.Scale(signal*signal, c.covariance)
	for j := range dim {
		noisy.Set(j, j, noisy.At(j, j)+sigma*sigma)
	}
	if err := inverse.Inverse(noisy); err != nil {
		panic(err)
	}
	mean.Mul(c.covariance, &inverse)
	prediction := mat.NewDense(dim, dim, nil)
	for i := range dim {
		for j := range dim {
			x0, x := signal*mean.At(i, j), 0.0
			if i == j {
				x = 1
			}
			prediction.Set(i, j, c.p.Target(x0, c.p.Noise(x, x0, int(t)), int(t)))
		}
	}
	c.maps[t] = prediction
	return prediction
}

func (c *correlated) OutputVJP(x []float32, t, y []int32, probe []float32) (prediction, product []float32, err error) {
	dim := len(x) / len(t)
	prediction, product = make([]float32, len(x)), make([]float32, len(x))
	for r, step := range t {
		m := c.at(step)
		for i := range dim {
			for j := range dim {
				prediction[r*dim+i] += float32(m.At(i, j)) * x[r*dim+j]
				product[r*dim+j] += float32(m.At(i, j)) * probe[r*dim+i]
			}
		}
	}
	return prediction, product, nil
}

// closedFormBPD is what [ODE] should give for image i and draw: the flow scales x = signal_0·image along every principal axis by
// sqrt((signal_T²·λ+σ_T²)/(signal_0²·λ+σ_0²)), λ being the covariance's eigenvalue, to where it is taken for N(0, 1).
func (c *correlated) closedFormBPD(data *Data, i, draw int, seed uint64) float64 {
	f := newFlow(c.p, c, data.Dim, 1, true)
	f.start(0, data, i, draw, seed)
	var eigen mat.EigenSym
	eigen.Factorize(c.covariance, true)
	var axes mat.Dense
	eigen.VectorsTo(&axes)
	variance := func(t int, lambda float64) float64 {
		return c.p.Signal[t]*c.p.Signal[t]*lambda + c.p.Sigma[t]*c.p.Sigma[t]
	}
	nats := 0.0
	for k, lambda := range eigen.Values(nil) {
		stretch := variance(c.p.T-1, lambda) / variance(0, lambda)
		x := 0.0
		for j := range data.Dim {
			x += axes.At(j, k) * f.y[j]
		}
		x *= c.p.Signal[0]
		nats += 0.5*x*x*stretch + 0.5*math.Log(2*math.Pi) - 0.5*math.Log(stretch) - math.Log(c.p.Signal[0])
	}
	return bitsPerDim(nats, data.Dim) + math.Log2(127.5)
}

func newCorrelated(p *diffusion.Process) *correlated {
	return &correlated{p, mat.NewSymDense(3, []float64{0.09, 0.05, -0.02, 0.05, 0.06, 0.01, -0.02, 0.01, 0.04}), map[int32]*mat.Dense{}}
}

func odeData() *Data {
	return &Data{N: 3, Dim: 3, Channels: 1, Pixels: []uint8{128, 100, 140, 200, 170, 120, 60, 90, 150}, Labels: make([]int32, 3)}
}

// The tolerance is 1e-3 bits per dimension: the solver's, 1e-6, and the float32 of the denoiser are far below; what is
// seen is ε being interpolated between timesteps, an error that falls with their number.
func TestODEOfGaussian(t *testing.T) {
	data := odeData()
	for _, prediction := range []string{diffusion.PredictNoise, diffusion.PredictImage, diffusion.PredictVelocity, diffusion.PredictFlow} {
		p := newProcess(t, 1000, prediction, diffusion.FixedLarge)
		c := newCorrelated(p)
		o := ODEOptions{Batch: 2, Draws: 2, Seed: 4, Exact: true, RTol: 1e-6, ATol: 1e-6, MaxSteps: 2000}
		share := 0.0
		o.Progress = func(s float64) {
			if s < share || s > 1 {
				t.Errorf("progress %g after %g", s, share)
			}
			share = s
		}
		l, err := ODE(t.Context(), p, c, data, o)
		if err != nil {
			t.Fatal(err)
		}
		for k, got := range l.DrawBPD {
			want := c.closedFormBPD(data, k/2, k%2, 4)
			t.Logf("%s: image %d, draw %d: %.6f bits, closed form %.6f", prediction, k/2, k%2, got, want)
			if math.Abs(got-want) > 1e-3 {
				t.Errorf("%s: image %d, draw %d: %.6f bits; want %.6f", prediction, k/2, k%2, got, want)
			}
		}
		t.Logf("%s: %d steps, %d rows", prediction, l.Steps, l.Rows)
		if share != 1 || l.Rows%int64(2*2*3) != 0 || l.BPD[1] != stat.Mean(l.DrawBPD[2:4], nil) {
			t.Errorf("share %g, %d rows, mean %g of %v", share, l.Rows, l.BPD[1], l.DrawBPD[2:4])
		}
	}
}

// A flow ends in pure noise, so that its likelihood is that of the data set itself with the noise of timestep 0 on top:
// N(0, covariance + τ_0²/(1-τ_0)²), whatever the way there. The signal left at the end, 1e-3/T, is far below the tolerance.
func TestODEOfFlowIsTheDataSetsLikelihood(t *testing.T) {
	data, p := odeData(), newProcess(t, 1000, diffusion.PredictFlow, diffusion.FixedLarge)
	c := newCorrelated(p)
	l, err := ODE(t.Context(), p, c, data, ODEOptions{Batch: 3, Draws: 1, Seed: 9, Exact: true, RTol: 1e-6, ATol: 1e-6, MaxSteps: 2000})
	if err != nil {
		t.Fatal(err)
	}
	noisy := mat.NewSymDense(3, nil)
	noisy.CopySym(c.covariance)
	for j := range 3 {
		noisy.SetSym(j, j, noisy.At(j, j)+math.Pow(p.Sigma[0]/p.Signal[0], 2))
	}
	normal, ok := distmv.NewNormal(make([]float64, 3), noisy, nil)
	if !ok {
		t.Fatal("no covariance")
	}
	f := newFlow(p, c, 3, 1, true)
	for i, got := range l.BPD {
		f.start(0, data, i, 0, 9)
		if want := bitsPerDim(-normal.LogProb(f.y[:3]), 3) + math.Log2(127.5); math.Abs(got-want) > 1e-3 {
			t.Errorf("image %d: %.6f bits; the density says %.6f", i, got, want)
		}
	}
	o := DefaultOptions()
	if _, err := Bound(t.Context(), p, &gaussian{p: p, deviation: 1}, data, nil, o); err == nil || !strings.Contains(err.Error(), "by the ODE") {
		t.Errorf("the bound of a flow gives %v", err)
	}
	if _, err := EstimateBPD(t.Context(), p, &gaussian{p: p, deviation: 1}, data, o, EstimateOptions{Terms: 5}); err == nil || !strings.Contains(err.Error(), "by the ODE") {
		t.Errorf("an estimate of the bound of a flow gives %v", err)
	}
}

// Hutchinson's estimate is the exact trace on average, each draw having the same dequantisation noise as its exact
// counterpart; within 5 standard errors over 64 draws, which must not vanish for a correlated Gaussian.
func TestHutchinson(t *testing.T) {
	p := newProcess(t, 100, diffusion.PredictNoise, diffusion.FixedLarge)
	c := newCorrelated(p)
	data := odeData()
	data.N, data.Pixels, data.Labels = 1, data.Pixels[:3], data.Labels[:1]
	o := ODEOptions{Batch: 64, Draws: 64, Seed: 1, RTol: 1e-4, ATol: 1e-4, MaxSteps: 1000}
	estimate, err := ODE(t.Context(), p, c, data, o)
	if err != nil {
		t.Fatal(err)
	}
	o.Exact = true
	exact, err := ODE(t.Context(), p, c, data, o)
	if err != nil {
		t.Fatal(err)
	}
	difference := make([]float64, o.Draws)
	for i := range difference {
		difference[i] = estimate.DrawBPD[i] - exact.DrawBPD[i]
	}
	mean, deviation := stat.MeanStdDev(difference, nil)
	t.Logf("Hutchinson is off by %.5f ± %.5f bits a draw", mean, deviation)
	if deviation < 1e-3 || math.Abs(mean) > 5*deviation/8 {
		t.Errorf("Hutchinson is off by %g, deviation %g", mean, deviation)
	}
	if !(estimate.SE[0] > 0) {
		t.Errorf("standard error %g", estimate.SE[0])
	}
}

// Dequantised levels fill their bins evenly, and probes are signs: n = 30,000 draws, standard error of the mean
// 1/sqrt(12 n) = 0.0017 bins.
func TestDequantisation(t *testing.T) {
	const n = 30000
	p := newProcess(t, 10, diffusion.PredictNoise, diffusion.FixedLarge)
	f := newFlow(p, nil, n, 1, false)
	data := &Data{N: 1, Dim: n, Channels: 1, Pixels: make([]uint8, n), Labels: make([]int32, 1)}
	f.start(0, data, 0, 0, 1)
	var sum, signs, low, high float64
	for j, x := range f.y[:n] {
		place := (x + 1) * 127.5
		sum, low, high = sum+place/n, min(low, place), max(high, place)
		if f.probe[j] != 1 && f.probe[j] != -1 {
			t.Fatalf("probe %g", f.probe[j])
		}
		signs += float64(f.probe[j]) / n
	}
	if math.Abs(sum) > 0.01 || low < -0.5 || low > -0.499 || high > 0.5 || high < 0.499 || math.Abs(signs) > 0.03 {
		t.Errorf("bins filled from %g to %g, mean %g; signs' mean %g", low, high, sum, signs)
	}
}

// y' = cos(s)·y has y = exp(sin s).
func TestSolver(t *testing.T) {
	solve := func(tolerance float64) (float64, steps) {
		y := []float64{1}
		n, err := dormandPrince(t.Context(), func(s float64, y, slope []float64) error {
			slope[0] = math.Cos(s) * y[0]
			return nil
		}, func(_, after, err []float64) float64 { return math.Abs(err[0]) / tolerance }, y, 0, 10, 1000, nil)
		if err != nil {
			t.Fatal(err)
		}
		return math.Abs(y[0] - math.Exp(math.Sin(10))), n
	}
	loose, few := solve(1e-5)
	tight, many := solve(1e-10)
	if loose > 1e-4 || tight > 1e-9 {
		t.Errorf("errors %g and %g at tolerances 1e-5 and 1e-10", loose, tight)
	}
	// The fifth order takes 10^(5/5) = 10 times the steps for an error 10^5 times smaller.
	if ratio := float64(many.accepted) / float64(few.accepted); ratio < 5 || ratio > 15 {
		t.Errorf("%d and %d steps", few.accepted, many.accepted)
	}
}

func TestSolverRefuses(t *testing.T) {
	norm := func(_, _, err []float64) float64 { return math.Abs(err[0]) / 1e-6 }
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	for _, c := range []struct {
		ctx   context.Context
		slope func(s float64) float64
		want  string
	}{
		{t.Context(), func(float64) float64 { return math.NaN() }, "not a number"},
		{t.Context(), func(s float64) float64 { return math.Sin(1e5*s) * 1e5 }, "after 100 steps"},
		{ended, math.Sin, "stopped"},
	} {
		_, err := dormandPrince(c.ctx, func(s float64, _, slope []float64) error {
			slope[0] = c.slope(s)
			return nil
		}, norm, []float64{0}, 0, 10, 100, nil)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("error %v; want one with %q", err, c.want)
		}
	}
	p := newProcess(t, 10, diffusion.PredictNoise, diffusion.FixedLarge)
	if _, err := ODE(t.Context(), p, newCorrelated(p), odeData(), ODEOptions{Batch: 1, Draws: 1, MaxSteps: 1}); err == nil {
		t.Error("tolerance 0 passes")
	}
}

// The flow passes no timestep in which the image would grow out of what a network has seen, and gives up next to nothing
// of the image's signal for it.
func TestFlowEndsBeforeLongSteps(t *testing.T) {
	for name, want := range map[string]int{"linear": 999, "cosine": 996} {
		p, err := diffusion.New(diffusion.Config{T: 1000, Schedule: name, Prediction: diffusion.PredictVelocity, Variance: diffusion.FixedLarge})
		if err != nil {
			t.Fatal(err)
		}
		f := newFlow(p, nil, 1, 1, false)
		if f.last != want || p.Beta[f.last] >= 0.5 || p.AlphaBar[f.last] > 1e-4 {
			t.Errorf("%s: the flow ends at t = %d with β = %g and ᾱ = %g; want t = %d", name, f.last, p.Beta[f.last], p.AlphaBar[f.last], want)
		}
	}
}
