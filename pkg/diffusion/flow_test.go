package diffusion

import (
	"math"
	"slices"
	"strings"
	"testing"
)

func newFlow(t testing.TB, T int) *Process {
	t.Helper()
	return newProcess(t, Config{T: T, Schedule: FlowSchedule, Prediction: PredictFlow, Variance: FixedLarge})
}

// normalFlow is the exact velocity field between data N(mean, sd²) and noise, independent in every value. On the straight path
// x at τ is N((1-τ)·mean, s²) with s² = (1-τ)²·sd² + τ², and the flow keeps (x - (1-τ)·mean)/s, so that
//
//	u(x, τ) = -mean + s'/s·(x - (1-τ)·mean),    s·s' = τ - (1-τ)·sd²
type normalFlow struct {
	p        *Process
	mean, sd float64
}

func (f normalFlow) spread(t int) float64 { return math.Hypot(f.p.Signal[t]*f.sd, f.p.Sigma[t]) }

func (f normalFlow) u(x float64, t int) float64 {
	s, signal := f.spread(t), f.p.Signal[t]
	return -f.mean + (f.p.Sigma[t]-signal*f.sd*f.sd)/(s*s)*(x-signal*f.mean)
}

// image is where x at timestep t comes from.
func (f normalFlow) image(x float64, t int) float64 {
	return f.mean + f.sd/f.spread(t)*(x-f.p.Signal[t]*f.mean)
}

func (f normalFlow) Output(x []float32, t, _ []int32) ([]float32, error) {
	out, dim := make([]float32, len(x)), len(x)/len(t)
	for i, x := range x {
		out[i] = float32(f.u(float64(x), int(t[i/dim])))
	}
	return out, nil
}

// The path is straight and ends in pure noise; its tables of ᾱ have the same signal-to-noise ratio, and thinned out they are
// those of the timesteps kept.
func TestFlowSchedule(t *testing.T) {
	for _, T := range []int{2, 20, 1000, 1 << 17} {
		p := newFlow(t, T)
		for i := range T - 1 {
			if tau := float64(i+1) / float64(T); math.Abs(p.Sigma[i]-tau) > 1e-15 || p.Signal[i]+p.Sigma[i] != 1 && math.Abs(p.Signal[i]+p.Sigma[i]-1) > 1e-15 {
				t.Fatalf("T=%d: signal %.17g and noise %.17g at t=%d; want 1-τ and τ = %.17g", T, p.Signal[i], p.Sigma[i], i, tau)
			}
			if of := math.Log(p.AlphaBar[i]) - math.Log1p(-p.AlphaBar[i]); !(p.LogSNR(i+1) < p.LogSNR(i)) || math.Abs(p.LogSNR(i)-of) > 1e-5 {
				t.Fatalf("T=%d: log-SNR %g at t=%d, %g after it", T, p.LogSNR(i), i, p.LogSNR(i+1))
			}
		}
		if last := p.LogSNR(T - 1); math.IsInf(last, 0) || p.Signal[T-1]*float64(T) > 1e-3*1.001 {
			t.Errorf("T=%d: log-SNR %g and signal %g at the end", T, last, p.Signal[T-1])
		}
	}
	s, err := newFlow(t, 20).Respace([]int{4, 9, 19})
	if err != nil || !slices.Equal(s.Sigma, []float64{0.25, 0.5, 1 - 1e-3/20}) || math.Abs(s.Beta[1]-(1-0.5/0.9)) > 1e-12 {
		t.Errorf("every fifth timestep: noise %v, β %v (%v)", s.Sigma, s.Beta, err)
	}
}

func TestFlowRefuses(t *testing.T) {
	flow := newFlow(t, 20)
	noise := newProcess(t, Config{T: 20, Schedule: "linear", Prediction: PredictNoise, Variance: FixedLarge})
	made := func(c Config) error { _, err := New(c); return err }
	for what, err := range map[string]error{
		"set schedule to \"flow\"":             made(Config{T: 20, Schedule: "cosine", Prediction: PredictFlow, Variance: FixedLarge}),
		"set prediction to \"flow\"":           made(Config{T: 20, Schedule: FlowSchedule, Prediction: PredictVelocity, Variance: FixedLarge}),
		"set variance to":                      made(Config{T: 20, Schedule: FlowSchedule, Prediction: PredictFlow, Variance: LearnedRange}),
		"choose one of [\"euler\" \"heun\"]":   SamplerConfig{Name: DDIM, Steps: 5}.ValidateFor(flow),
		"[\"ancestral\" \"ddim\" \"dpm++2m\"]": SamplerConfig{Name: Heun, Steps: 5}.ValidateFor(noise),
		"eta is 0.5":                           SamplerConfig{Name: Euler, Steps: 5, Eta: 0.5}.ValidateFor(flow),
		"spacing is \"leading\"":               SamplerConfig{Name: Euler, Steps: 5, Spacing: SpacingLeading}.ValidateFor(flow),
		"set objective to \"simple\"":          TrainConfig{LearningRate: 1, Objective: ObjectiveVLB}.ValidateFor(flow),
	} {
		if err == nil || !strings.Contains(err.Error(), what) {
			t.Errorf("%v; want an error with %q", err, what)
		}
	}
	if _, err := Sample(t.Context(), flow, normalFlow{flow, 0, 1}, 1, 1, []int32{0}, DefaultSampler(), 1, nil); err == nil {
		t.Error("DDIM draws from a flow")
	}
}

// The velocity that follows from E[x_0|x] is the one that moves the marginal distributions ([flow] theorem 1), and a
// prediction, the image and the noise determine each other.
func TestFlowPrediction(t *testing.T) {
	p := newFlow(t, 50)
	f := normalFlow{p, 0.3, 0.25}
	for i := range p.T {
		const x = 0.8
		s, a := f.spread(i), p.Signal[i]
		x0 := f.mean + a*f.sd*f.sd/(s*s)*(x-a*f.mean)
		if got, want := p.Target(x0, p.Noise(x, x0, i), i), f.u(x, i); math.Abs(got-want) > 1e-12 {
			t.Errorf("t=%d: velocity %.15g from the expected image, %.15g of the flow", i, got, want)
		}
		if got := p.X0(x, f.u(x, i), i); math.Abs(got-x0) > 1e-12 {
			t.Errorf("t=%d: image %.15g from the velocity, want %.15g", i, got, x0)
		}
	}
	// Weighed to min(SNR, γ) on the error of x_0, which is that of the velocity times τ.
	w, err := p.LossWeights("min-snr:5")
	if err != nil {
		t.Fatal(err)
	}
	for i, w := range w {
		tau := p.Sigma[i]
		if snr := math.Pow((1-tau)/tau, 2); math.Abs(w/(tau*tau)-min(snr, 5)) > 1e-9 {
			t.Errorf("t=%d: weight %g on the velocity is %g on the image, want %g", i, w, w/(tau*tau), min(snr, 5))
		}
	}
}

// Halving the steps divides the error at the image by 2 with Euler's method and by 4 with Heun's, the last step to τ = 0
// included. In float64, without the network's rounding.
func TestFlowOrderOfConvergence(t *testing.T) {
	const start = 1.7
	f := normalFlow{newFlow(t, 960), 0.3, 0.25}
	for _, tc := range []struct {
		name  string
		order float64
	}{{Euler, 1}, {Heun, 2}} {
		previous := 0.0
		for _, steps := range []int{60, 120, 240, 480} {
			o := SamplerConfig{Name: tc.name, Steps: steps}
			kept, err := o.Timesteps(f.p.Schedule)
			if err != nil {
				t.Fatal(err)
			}
			s, err := f.p.Respace(kept)
			if err != nil {
				t.Fatal(err)
			}
			r := &Process{s, f.p.Prediction, f.p.Variance}
			solve, err := o.solver(r)
			if err != nil {
				t.Fatal(err)
			}
			x, x0 := []float64{start}, []float64{0}
			estimate := func(k int) { x0[0] = r.X0(x[0], f.u(x[0], kept[k]), k) }
			for k := steps - 1; k >= 0; k-- {
				estimate(k)
				solve.advance(k, x, x0, nil, nil)
				if c, ok := solve.(corrector); ok && k > 0 {
					estimate(k - 1)
					c.correct(k, x, x0)
				}
			}
			e := math.Abs(x[0] - f.image(start, f.p.T-1))
			t.Logf("%s, %d steps: off by %.3g", tc.name, steps, e)
			if order := math.Log2(previous / e); previous > 0 && math.Abs(order-tc.order) > 0.15 {
				t.Errorf("%s: error %.3g at %d steps, %.3g at %d: order %.2f, want %g", tc.name, previous, steps/2, e, steps, order, tc.order)
			}
			previous = e
		}
	}
}

// Sample draws the data's distribution: with 16,000 values the mean's standard error is sd/126, the deviation's sd/179; the
// tolerances are four of them. It asks the network once a step, or with Heun's method twice but for the last, and its images
// depend on seed and image alone. Euler's steps as linear ones give the same images.
func TestFlowSampling(t *testing.T) {
	const n, dim, mean, sd = 4000, 4, 0.3, 0.2
	p := newFlow(t, 1000)
	f := normalFlow{p, mean, sd}
	for _, tc := range []struct {
		o  SamplerConfig
		at []int32 // of the first batch
	}{
		{SamplerConfig{Name: Euler, Steps: 250, Seed: 5}, []int32{999, 995, 991}},
		{SamplerConfig{Name: Heun, Steps: 50, Seed: 5}, []int32{999, 979, 979, 959, 959}},
	} {
		d := &spy{Denoiser: f}
		x, err := Sample(t.Context(), p, d, 1, dim, make([]int32, n), tc.o, 2000, nil)
		if err != nil {
			t.Fatal(err)
		}
		m, s := moments(x)
		if math.Abs(m-mean) > 4*sd/126 || math.Abs(s-sd) > 4*sd/179 {
			t.Errorf("%s: samples are N(%.4f, %.4f²), want N(%g, %g²)", tc.o.Name, m, s, mean, sd)
		}
		if len(d.t) != 2*tc.o.Calls() {
			t.Errorf("%s: %d calls for two batches, want %d each", tc.o.Name, len(d.t), tc.o.Calls())
		}
		for i, at := range tc.at {
			if d.t[i][0] != at {
				t.Errorf("%s: call %d is at t=%d, want %d", tc.o.Name, i, d.t[i][0], at)
			}
		}
		few, err := Sample(t.Context(), p, f, 1, dim, make([]int32, 5), tc.o, 3, nil)
		if err != nil || !slices.Equal(few, x[:5*dim]) {
			t.Errorf("%s: five images in batches of three are not the first five (%v)", tc.o.Name, err)
		}
	}
	for _, clip := range []bool{false, true} {
		o := SamplerConfig{Name: Euler, Steps: 7, Clip: clip, Seed: 2}
		wide := normalFlow{p, 0.8, 0.5}
		steps, err := p.LinearSteps(o)
		if err != nil || !o.linear() || (SamplerConfig{Name: Heun, Steps: 7}).linear() {
			t.Fatal(err)
		}
		first := &firstSeen{Denoiser: wide}
		got, err := Sample(t.Context(), p, first, 1, 8, []int32{0}, o, 1, nil)
		if err != nil {
			t.Fatal(err)
		}
		for i, x := range first.x {
			x := float64(x)
			for _, s := range steps {
				x0 := s[1]*x + s[2]*wide.u(x, int(s[0]))
				if clip {
					x0 = min(max(x0, -1), 1)
				}
				x = s[3]*x + s[4]*x0
			}
			if math.Abs(x-float64(got[i])) > 1e-5 {
				t.Errorf("clip %v: value %d is %g by linear steps, %g drawn", clip, i, x, got[i])
			}
		}
	}
}

// firstSeen keeps the first images shown to a network.
type firstSeen struct {
	Denoiser
	x []float32
}

func (n *firstSeen) Output(x []float32, t, y []int32) ([]float32, error) {
	if n.x == nil {
		n.x = slices.Clone(x)
	}
	return n.Denoiser.Output(x, t, y)
}
