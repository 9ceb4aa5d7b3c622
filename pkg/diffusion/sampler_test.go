package diffusion

import (
	"context"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/pkg/errors"
)

// gaussian is the exact denoiser of data N(mean, sd²), independent in every value:
//
//	E[x_0|x_t] = mean + a·sd²/(a²·sd²+σ²)·(x_t - a·mean),  a = sqrt(ᾱ), σ² = 1-ᾱ
//
// given in p's prediction. With a learned variance, its output there is v.
type gaussian struct {
	p        *Process
	mean, sd float64
	v        float32
	dim      int
	calls    int
}

func (g *gaussian) x0(x float64, t int) float64 {
	a, noise := g.p.Signal[t], 1-g.p.AlphaBar[t]
	return g.mean + a*g.sd*g.sd/(a*a*g.sd*g.sd+noise)*(x-a*g.mean)
}

func (g *gaussian) Output(x []float32, t, _ []int32) ([]float32, error) {
	g.calls++
	var out []float32
	for i, xt := range x {
		step := int(t[i/g.dim])
		x0 := g.x0(float64(xt), step)
		out = append(out, float32(g.p.Target(x0, g.p.Noise(float64(xt), x0, step), step)))
		if g.p.Variance == LearnedRange {
			out = append(out, g.v)
		}
	}
	return out, nil
}

// flowEnd is where the probability-flow equation takes x at timestep from when it reaches timestep to: for Gaussian
// data (x - a·mean)/sqrt(a²·sd²+σ²) stays constant along it.
func (g *gaussian) flowEnd(x float64, from, to int) float64 {
	scale := func(t int) float64 { return math.Sqrt(g.p.AlphaBar[t]*g.sd*g.sd + 1 - g.p.AlphaBar[t]) }
	return g.p.Signal[to]*g.mean + scale(to)/scale(from)*(x-g.p.Signal[from]*g.mean)
}

func newProcess(t testing.TB, c Config) *Process {
	t.Helper()
	p, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// moments returns mean and standard deviation.
func moments(x []float32) (mean, sd float64) {
	for _, v := range x {
		mean += float64(v)
	}
	mean /= float64(len(x))
	for _, v := range x {
		sd += (float64(v) - mean) * (float64(v) - mean)
	}
	return mean, math.Sqrt(sd / float64(len(x)))
}

// affine returns what o makes of the exact denoiser's x_0 = slope·x + offset, by moments: every step maps N(m, v) to
// N(c·m + d, c²·v + σ²), from N(0, 1) at the start.
func (g *gaussian) affine(t *testing.T, o SamplerConfig) (mean, sd float64) {
	kept, err := EvenTimesteps(g.p.T, o.Steps)
	if err != nil {
		t.Fatal(err)
	}
	variance := 1.0
	for k := len(kept) - 1; k >= 0; k-- {
		step := kept[k]
		offset := g.x0(0, step)
		slope := g.x0(1, step) - offset
		ab, prev := g.p.AlphaBar[step], 1.0
		if k > 0 {
			prev = g.p.AlphaBar[kept[k-1]]
		}
		beta := 1 - ab/prev
		small := beta * (1 - prev) / (1 - ab)
		var c, d, noise float64 // x_{k-1} = c·x + d + N(0, noise)
		switch o.Name {
		case Ancestral: // [ddpm] eq. 7
			onX0, onX := math.Sqrt(prev)*beta/(1-ab), math.Sqrt(1-beta)*(1-prev)/(1-ab)
			c, d = onX0*slope+onX, onX0*offset
			switch noise = small; g.p.Variance {
			case FixedLarge:
				noise = beta
			case LearnedRange:
				noise = math.Exp(float64(1+g.v)/2*math.Log(beta) + float64(1-g.v)/2*math.Log(small))
			}
			if k == 0 {
				noise = 0
			}
		case DDIM: // [ddim] eq. 12
			noise = o.Eta * o.Eta * small
			direction := math.Sqrt(1 - prev - noise)
			onX0, onX := math.Sqrt(prev)-direction*math.Sqrt(ab/(1-ab)), direction/math.Sqrt(1-ab)
			c, d = onX0*slope+onX, onX0*offset
		}
		mean, variance = c*mean+d, c*c*variance+noise
	}
	return mean, math.Sqrt(variance)
}

// Samples have the moments of the recursion in closed form. With 16,000 independent values their mean has the standard
// error sd/126 and their deviation sd/179: the tolerances are four of them. The last two lines take DPM-Solver++'s
// moments from the exact flow, which it meets to half a per cent here.
func TestSamplersReproduceAGaussian(t *testing.T) {
	const n, dim, mean, sd = 4000, 4, 0.3, 0.2
	for _, tc := range []struct {
		name              string
		schedule, predict string
		variance          string
		v                 float32
		o                 SamplerConfig
	}{
		{"ancestral small eps", "linear", PredictNoise, FixedSmall, 0, SamplerConfig{Name: Ancestral, Steps: 100}},
		{"ancestral large x0", "linear", PredictImage, FixedLarge, 0, SamplerConfig{Name: Ancestral, Steps: 100}},
		{"ancestral learned v", "cosine", PredictVelocity, LearnedRange, 0.5, SamplerConfig{Name: Ancestral, Steps: 100}},
		{"ancestral strided", "cosine", PredictVelocity, FixedSmall, 0, SamplerConfig{Name: Ancestral, Steps: 20}},
		{"ancestral strided learned", "linear", PredictNoise, LearnedRange, -0.5, SamplerConfig{Name: Ancestral, Steps: 20}},
		{"ddim 0", "linear", PredictVelocity, FixedLarge, 0, SamplerConfig{Name: DDIM, Steps: 20}},
		{"ddim 0.5", "linear", PredictNoise, FixedLarge, 0, SamplerConfig{Name: DDIM, Steps: 20, Eta: 0.5}},
		{"dpm++", "linear", PredictNoise, FixedLarge, 0, SamplerConfig{Name: DPMPP2M, Steps: 40}},
		{"dpm++ learned", "cosine", PredictImage, LearnedRange, 1, SamplerConfig{Name: DPMPP2M, Steps: 40}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			p := newProcess(t, Config{T: 100, Schedule: tc.schedule, Prediction: tc.predict, Variance: tc.variance})
			g := &gaussian{p: p, mean: mean, sd: sd, v: tc.v, dim: dim}
			x, err := Sample(t.Context(), p, g, 1, dim, make([]int32, n), tc.o, n/2, nil)
			if err != nil {
				t.Fatal(err)
			}
			wantMean, wantSD := g.affine(t, tc.o)
			if tc.o.Name == DPMPP2M {
				finish := func(start float64) float64 { return g.x0(g.flowEnd(start, p.T-1, 0), 0) }
				wantMean, wantSD = finish(0), finish(1)-finish(0)
			}
			gotMean, gotSD := moments(x)
			if math.Abs(gotMean-wantMean) > 4*sd/126 || math.Abs(gotSD/wantSD-1) > 4./179 {
				t.Errorf("mean %.4f, sd %.4f; want %.4f, %.4f", gotMean, gotSD, wantMean, wantSD)
			}
			if want := 2 * tc.o.Steps; g.calls != want {
				t.Errorf("%d network calls for two batches, want %d", g.calls, want)
			}
		})
	}
}

// With its 1000 steps the process of [ddpm] gives back the data's mean and, up to the variance chosen, deviation: by
// the recursion, without sampling error.
func TestAncestralApproachesTheData(t *testing.T) {
	for _, variance := range []string{FixedSmall, FixedLarge} {
		p := newProcess(t, Config{T: 1000, Schedule: "linear", Prediction: PredictNoise, Variance: variance})
		g := &gaussian{p: p, mean: 0.3, sd: 0.2}
		mean, sd := g.affine(t, SamplerConfig{Name: Ancestral, Steps: 1000})
		if math.Abs(mean-0.3) > 0.002 || math.Abs(sd/0.2-1) > 0.02 {
			t.Errorf("%s: mean %.5f, sd %.5f; want 0.3, 0.2 within 1 %% and 2 %%", variance, mean, sd)
		}
	}
}

// wide is a process whose log-SNR falls linearly, so that even timesteps are even steps of the solver.
func wide(t testing.TB, prediction string) *Process {
	const n, first, last = 481, 6.0, -8.0
	beta, prev := make([]float64, n), 1.0
	for i := range beta {
		ab := 1 / (1 + math.Exp(-(first + (last-first)*float64(i)/(n-1))))
		beta[i], prev = 1-ab/prev, ab
	}
	s, err := FromBetas("even log-SNR", beta)
	if err != nil {
		t.Fatal(err)
	}
	p, err := NewProcess(s, prediction, FixedLarge)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// solverError is how far a solver on the given steps ends from the exact solution, in float64: the network of Sample
// sees float32, whose rounding would hide the errors of small steps.
func solverError(t *testing.T, o SamplerConfig, steps int) float64 {
	p := wide(t, PredictNoise)
	g := &gaussian{p: p, mean: 0.3, sd: 0.25}
	o.Steps = steps + 1
	kept, err := o.Timesteps(p.Schedule)
	if err != nil {
		t.Fatal(err)
	}
	for i, k := range kept {
		if k != i*480/steps {
			t.Fatalf("timestep %d is %d, want %d", i, k, i*480/steps)
		}
	}
	s, err := p.Respace(kept)
	if err != nil {
		t.Fatal(err)
	}
	const start = 1.7
	x, x0 := []float64{start}, []float64{0}
	solve, err := o.solver(&Process{s, p.Prediction, p.Variance})
	if err != nil {
		t.Fatal(err)
	}
	for k := steps; k > 0; k-- { // to timestep 0; the last step, to the estimate, is exact in both
		x0[0] = g.x0(x[0], kept[k])
		solve.advance(k, x, x0, []float64{0}, nil)
	}
	return math.Abs(x[0] - g.flowEnd(start, 480, 0))
}

// Halving the steps divides the error by 2^order. Deterministic DDIM is the first-order solver of the same equation,
// [dpm++] section 4.
func TestOrderOfConvergence(t *testing.T) {
	for _, tc := range []struct {
		o     SamplerConfig
		order float64
	}{{SamplerConfig{Name: DPMPP2M}, 2}, {SamplerConfig{Name: DDIM}, 1}} {
		previous := 0.0
		for _, steps := range []int{60, 120, 240} {
			e := solverError(t, tc.o, steps)
			if order := math.Log2(previous / e); previous > 0 && math.Abs(order-tc.order) > 0.15 {
				t.Errorf("%s: error %.3g at %d steps, %.3g at %d: order %.2f, want %g", tc.o.Name, previous, steps/2, e, steps, order, tc.order)
			}
			previous = e
		}
	}
}

// The mean of one ancestral step plus its variance must be DDIM's at η = 1 with the fixed small variance: the two
// write the same distribution, [ddim] section 4.1.
func TestDDIMWithEtaOneIsAncestral(t *testing.T) {
	for _, steps := range []int{50, 9} {
		p := newProcess(t, Config{T: 50, Schedule: "linear", Prediction: PredictNoise, Variance: FixedSmall})
		kept, err := EvenTimesteps(50, steps)
		if err != nil {
			t.Fatal(err)
		}
		s, err := p.Respace(kept)
		if err != nil {
			t.Fatal(err)
		}
		r := &Process{s, p.Prediction, p.Variance}
		for k := range s.T {
			for _, z := range []float64{-1.5, 0, 0.7} {
				a, b := []float64{0.9}, []float64{0.9}
				x0, v, draw := []float64{-0.4}, []float64{0}, func(int) float64 { return z }
				(&ancestral{r}).advance(k, a, x0, v, draw)
				(&ddim{r, 1}).advance(k, b, x0, v, draw)
				if math.Abs(a[0]-b[0]) > 1e-12 {
					t.Errorf("%d steps, timestep %d, noise %g: ancestral %.15g, DDIM with eta 1 %.15g", steps, k, z, a[0], b[0])
				}
			}
		}
	}
}

func TestSampleDependsOnSeedAndImageAlone(t *testing.T) {
	const dim = 6
	p := newProcess(t, Config{T: 20, Schedule: "linear", Prediction: PredictNoise, Variance: FixedSmall})
	sample := func(o SamplerConfig, n, batch int) []float32 {
		x, err := Sample(t.Context(), p, &gaussian{p: p, sd: 0.5, dim: dim}, 1, dim, make([]int32, n), o, batch, nil)
		if err != nil {
			t.Fatal(err)
		}
		return x
	}
	for _, o := range []SamplerConfig{
		{Name: Ancestral, Steps: 20, Seed: 3}, {Name: DDIM, Steps: 7, Seed: 3}, {Name: DDIM, Steps: 7, Eta: 1, Seed: 3},
		{Name: DPMPP2M, Steps: 7, Clip: true, Seed: 3}} {
		want := sample(o, 7, 7)
		for _, batch := range []int{1, 3, 16} {
			if got := sample(o, 7, batch); !slices.Equal(got, want) {
				t.Errorf("%+v: images differ between batches of 7 and of %d", o, batch)
			}
		}
		if got := sample(o, 4, 4); !slices.Equal(got, want[:4*dim]) {
			t.Errorf("%+v: the first images change with the number of images", o)
		}
		other := o
		other.Seed++
		if got := sample(other, 7, 7); slices.Equal(got, want) {
			t.Errorf("%+v: another seed gives the same images", o)
		}
		if slices.Equal(want[:dim], want[dim:2*dim]) {
			t.Errorf("%+v: two images are equal", o)
		}
	}
	// Without noise on the way the end is a function of the start: eta 0 must differ from eta 1 only through noise.
	if a, b := sample(SamplerConfig{Name: DDIM, Steps: 7}, 2, 2), sample(SamplerConfig{Name: DDIM, Steps: 7, Eta: 1}, 2, 2); slices.Equal(a, b) {
		t.Error("eta 1 gives what eta 0 gives")
	}
}

// spy records what the network is asked.
type spy struct {
	Denoiser
	t, y [][]int32
}

func (s *spy) Output(x []float32, t, y []int32) ([]float32, error) {
	s.t, s.y = append(s.t, slices.Clone(t)), append(s.y, slices.Clone(y))
	return s.Denoiser.Output(x, t, y)
}

func TestSampleCallsTheNetworkOnOneTimestepAndOneSize(t *testing.T) {
	p := newProcess(t, Config{T: 10, Schedule: "cosine", Prediction: PredictNoise, Variance: FixedLarge})
	d := &spy{Denoiser: &gaussian{p: p, sd: 3, dim: 1}}
	var shown, done []int
	o := SamplerConfig{Name: DDIM, Steps: 4, Clip: true, OnEstimate: func(step, first int, x0 []float32) {
		shown = append(shown, step, first, len(x0))
		for _, x := range x0 {
			if x < -1 || x > 1 {
				t.Errorf("estimate %g is not clipped", x)
			}
		}
	}}
	if _, err := Sample(t.Context(), p, d, 1, 1, []int32{5, 6, 7}, o, 2, func(n, total int) { done = append(done, n, total) }); err != nil {
		t.Fatal(err)
	}
	var ts, ys, first [][]int32
	for range 2 {
		for _, step := range []int32{9, 6, 3, 0} {
			ts = append(ts, []int32{step, step})
		}
	}
	for range 4 {
		ys, first = append(ys, []int32{5, 6}), append(first, []int32{7, 7})
	}
	ys = append(ys, first...)
	if equal := func(a, b [][]int32) bool { return slices.EqualFunc(a, b, slices.Equal) }; !equal(d.t, ts) || !equal(d.y, ys) {
		t.Errorf("asked at t %v with labels %v, want %v with %v", d.t, d.y, ts, ys)
	}
	if want := []int{9, 0, 2, 6, 0, 2, 3, 0, 2, 0, 0, 2, 9, 2, 1, 6, 2, 1, 3, 2, 1, 0, 2, 1}; !slices.Equal(shown, want) {
		t.Errorf("estimates shown (t, first image, values): %v, want %v", shown, want)
	}
	if want := []int{1, 8, 2, 8, 3, 8, 4, 8, 5, 8, 6, 8, 7, 8, 8, 8}; !slices.Equal(done, want) {
		t.Errorf("progress %v, want %v", done, want)
	}
}

// zeros is a network that takes every image for zero, and records what it is shown.
type zeros map[int32][]float32

func (z zeros) Output(x []float32, t, _ []int32) ([]float32, error) {
	z[t[0]] = slices.Clone(x)
	return make([]float32, len(x)), nil
}

// The noise an image meets at a timestep is the same whichever timesteps were visited before.
func TestNoiseIsAFunctionOfTheTimestep(t *testing.T) {
	p := newProcess(t, Config{T: 7, Schedule: "linear", Prediction: PredictImage, Variance: FixedSmall})
	noiseAt4 := func(kept []int) float64 {
		z := zeros{}
		o := SamplerConfig{Name: Ancestral, Steps: len(kept)}
		if _, err := Sample(t.Context(), p, z, 1, 1, []int32{0}, o, 1, nil); err != nil {
			t.Fatal(err)
		}
		k := slices.Index(kept, 4)
		s, err := p.Respace(kept)
		if err != nil {
			t.Fatal(err)
		}
		return (float64(z[int32(kept[k-1])][0]) - s.PosteriorMeanXt[k]*float64(z[4][0])) / math.Sqrt(s.PosteriorVar[k])
	}
	all, some := noiseAt4([]int{0, 1, 2, 3, 4, 5, 6}), noiseAt4([]int{0, 2, 4, 6})
	if math.Abs(all-some) > 1e-5 {
		t.Errorf("noise at t=4 is %g after t=6 and 5, %g after t=6", all, some)
	}
}

func TestSampleStopsWithItsContext(t *testing.T) {
	p := newProcess(t, Config{T: 10, Schedule: "cosine", Prediction: PredictNoise, Variance: FixedLarge})
	ctx, cancel := context.WithCancel(t.Context())
	g := &gaussian{p: p, sd: 1, dim: 1}
	_, err := Sample(ctx, p, g, 1, 1, make([]int32, 4), SamplerConfig{Name: Ancestral, Steps: 10}, 1, func(int, int) { cancel() })
	if !errors.Is(err, context.Canceled) || g.calls != 1 {
		t.Errorf("error %v after %d calls, want context canceled after 1", err, g.calls)
	}
}

// constant is a network whose output depends on the label alone.
type constant struct{ channels, out int }

func (c constant) Output(x []float32, _, y []int32) ([]float32, error) {
	n := len(x) / len(y) / c.channels * c.out
	var out []float32
	for _, label := range y {
		for i := range n {
			out = append(out, float32(label)+float32(i%c.out)/8)
		}
	}
	return out, nil
}

func TestGuidance(t *testing.T) {
	// One pixel of two channels with variances: label 1 gives 1, 1.125, 1.25, 1.375, no label 9, 9.125, 9.25, 9.375.
	g := Guided{Denoiser: constant{2, 4}, Scale: 0.5, NoLabel: 9, Channels: 2, OutChannels: 4}
	got, err := g.Output(make([]float32, 2), []int32{0}, []int32{1})
	if err != nil {
		t.Fatal(err)
	}
	if want := []float32{1.5*1 - 0.5*9, 1.5*1.125 - 0.5*9.125, 1.25, 1.375}; !slices.Equal(got, want) {
		t.Errorf("guided output %v, want %v", got, want)
	}
	g.Scale = 0
	if got, _ := g.Output(make([]float32, 2), []int32{0}, []int32{1}); !slices.Equal(got, []float32{1, 1.125, 1.25, 1.375}) {
		t.Errorf("scale 0 gives %v, not the plain network's output", got)
	}
}

// noises is a network that predicts one noise everywhere, and records what it is shown.
type noises struct {
	noise float32
	seen  [][]float32
}

func (n *noises) Output(x []float32, _, _ []int32) ([]float32, error) {
	n.seen = append(n.seen, slices.Clone(x))
	out := make([]float32, len(x))
	for i := range out {
		out[i] = n.noise
	}
	return out, nil
}

// TestSamplerConventions takes one step of each sampler from the noisiest timestep to 0 by hand, where the estimate of x_0 lies
// beyond 1, and the step after it, to a finished image. In the names of diffusers: clip_sample, use_clipped_model_output,
// timestep_spacing "linspace", set_alpha_to_one, solver_order 2 with a first step of order 1, final_sigmas_type "zero".
func TestSamplerConventions(t *testing.T) {
	p := newProcess(t, Config{T: 50, Schedule: "linear", Prediction: PredictNoise, Variance: FixedSmall})
	ab, prev := p.AlphaBar[49], p.AlphaBar[0]
	for name, tc := range map[string]struct {
		o SamplerConfig
		// next is x at timestep 0 of x at timestep 49, given the network's noise, and the estimate of x_0 before clipping.
		next func(x, noise, x0 float64) float64
	}{
		"ddim": {SamplerConfig{Name: DDIM, Steps: 2}, func(_, noise, x0 float64) float64 {
			return math.Sqrt(prev)*x0 + math.Sqrt(1-prev)*noise
		}},
		"ddim clipped": {SamplerConfig{Name: DDIM, Steps: 2, Clip: true}, func(x, _, x0 float64) float64 {
			x0 = min(max(x0, -1), 1)
			return math.Sqrt(prev)*x0 + math.Sqrt(1-prev)*(x-math.Sqrt(ab)*x0)/math.Sqrt(1-ab)
		}},
		"dpm++2m clipped": {SamplerConfig{Name: DPMPP2M, Steps: 2, Clip: true}, func(x, _, x0 float64) float64 {
			x0 = min(max(x0, -1), 1)
			h := math.Log(math.Sqrt(prev/(1-prev))) - math.Log(math.Sqrt(ab/(1-ab)))
			return math.Sqrt((1-prev)/(1-ab))*x - math.Sqrt(prev)*(math.Exp(-h)-1)*x0
		}},
		"ancestral clipped": {SamplerConfig{Name: Ancestral, Steps: 2, Clip: true, Seed: 7}, func(x, _, x0 float64) float64 {
			x0, beta := min(max(x0, -1), 1), 1-ab/prev
			key := rand.New(rand.NewChaCha8(noiseKey(7, 0, 49)))
			return (math.Sqrt(prev)*beta*x0+math.Sqrt(1-beta)*(1-prev)*x)/(1-ab) + math.Sqrt(beta*(1-prev)/(1-ab))*key.NormFloat64()
		}},
	} {
		t.Run(name, func(t *testing.T) {
			n := &noises{noise: 0.25}
			out, err := Sample(t.Context(), p, n, 1, 1, []int32{0}, tc.o, 1, nil)
			if err != nil || len(n.seen) != 2 {
				t.Fatalf("%d calls of the network, %v", len(n.seen), err)
			}
			x, noise := float64(n.seen[0][0]), 0.25
			x0 := (x - math.Sqrt(1-ab)*noise) / math.Sqrt(ab)
			if math.Abs(x0) < 1.5 {
				t.Fatalf("the estimate %g is not far beyond 1, so clipping would not show", x0)
			}
			// The network sees float32.
			if got, want := float64(n.seen[1][0]), tc.next(x, noise, x0); math.Abs(got-want) > 1e-6*max(1, math.Abs(x0)) {
				t.Errorf("x at timestep 0 is %g, want %g", got, want)
			}
			end := (float64(n.seen[1][0]) - math.Sqrt(1-prev)*noise) / math.Sqrt(prev)
			if tc.o.Clip {
				end = min(max(end, -1), 1)
			}
			if math.Abs(float64(out[0])-end) > 1e-6*max(1, math.Abs(x0)) {
				t.Errorf("the image is %g, want the estimate %g at timestep 0", out[0], end)
			}
		})
	}
}

func TestTimesteps(t *testing.T) {
	even := func(T, n int) []int {
		ts, err := EvenTimesteps(T, n)
		if err != nil {
			t.Fatal(err)
		}
		return ts
	}
	if got, want := even(1000, 5), []int{0, 250, 500, 749, 999}; !slices.Equal(got, want) { // 249.75, 499.5, 749.25
		t.Errorf("EvenTimesteps(1000, 5) = %v, want %v", got, want)
	}
	for _, tc := range []struct {
		T, n int
		want []int
	}{
		{1000, 10, []int{0, 111, 222, 333, 444, 555, 666, 777, 888, 999}}, // numpy.linspace(0, 999, 10)
		{6, 3, []int{0, 3, 5}}, // 2.5, which NumPy rounds to 2
	} {
		if got := even(tc.T, tc.n); !slices.Equal(got, tc.want) {
			t.Errorf("EvenTimesteps(%d, %d) = %v, want %v", tc.T, tc.n, got, tc.want)
		}
	}
	if got := even(1000, 1); !slices.Equal(got, []int{999}) {
		t.Errorf("EvenTimesteps(1000, 1) = %v, want [999]", got)
	}
	for _, name := range []string{"linear", "cosine"} {
		for _, T := range []int{2, 50, 1000} {
			s, err := NewSchedule(name, T)
			if err != nil {
				t.Fatal(err)
			}
			for _, n := range []int{2, 7, 25, 50, T} {
				if n > T {
					continue
				}
				logSNR, err := s.LogSNRTimesteps(n)
				if err != nil {
					t.Fatal(err)
				}
				for _, ts := range [][]int{even(T, n), logSNR} {
					if len(ts) != n || ts[0] != 0 || ts[n-1] != T-1 || !slices.IsSorted(ts) || len(slices.Compact(slices.Clone(ts))) != n {
						t.Errorf("%s, T=%d, n=%d: %v does not ascend from 0 to %d", name, T, n, ts, T-1)
					}
				}
			}
		}
	}
	for _, n := range []int{0, -1, 11} {
		if _, err := EvenTimesteps(10, n); err == nil {
			t.Errorf("%d of 10 timesteps are accepted", n)
		}
	}
}

func TestSamplerConfigValidate(t *testing.T) {
	if err := DefaultSampler().Validate(); err != nil {
		t.Error(err)
	}
	for _, c := range []SamplerConfig{{}, {Name: "rk4", Steps: 5}, {Name: DDIM}, {Name: DDIM, Steps: 5, Eta: 1.5},
		{Name: DDIM, Steps: 5, Eta: math.NaN()}, {Name: Ancestral, Steps: 5, Eta: 0.5}} {
		if c.Validate() == nil {
			t.Errorf("%+v is accepted", c)
		}
	}
}
