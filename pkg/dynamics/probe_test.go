package dynamics

import (
	"context"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"palimpsest/pkg/diffusion"
	"palimpsest/pkg/likelihood"
)

func newProcess(t testing.TB, steps int, prediction, variance string) *diffusion.Process {
	t.Helper()
	schedule := "linear"
	if prediction == diffusion.PredictFlow {
		schedule = diffusion.FlowSchedule
	}
	p, err := diffusion.New(diffusion.Config{T: steps, Schedule: schedule, Prediction: prediction, Variance: variance})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func newProbe(t testing.TB, p *diffusion.Process, tasks []Task, o Options) *Probe {
	t.Helper()
	probe, err := NewProbe(p, tasks, o)
	if err != nil {
		t.Fatal(err)
	}
	return probe
}

func measure(t testing.TB, p *Probe, d diffusion.Denoiser) *Snapshot {
	t.Helper()
	s, err := p.Measure(context.Background(), d, nil)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// flatTasks are tasks of n images of 2 pixels, all values of the images of a task being one level; labels name the task.
func flatTasks(levels []uint8, n, channels int) []Task {
	var tasks []Task
	for y, level := range levels {
		d := &likelihood.Data{N: n, Dim: 2 * channels, Channels: channels}
		for range n {
			d.Labels = append(d.Labels, int32(y))
			d.Pixels = append(d.Pixels, slices.Repeat([]uint8{level}, d.Dim)...)
		}
		tasks = append(tasks, Task{string(rune('A' + y)), d})
	}
	return tasks
}

// knower knows the flat image behind every label and errs by a known amount, of either sign, by timestep and label.
type knower struct {
	p        *diffusion.Process
	levels   []uint8
	channels int
	err      func(t, y int) float64
	batches  []int
}

func (k *knower) Output(x []float32, t, y []int32) ([]float32, error) {
	k.batches = append(k.batches, len(t))
	dim := len(x) / len(t)
	var out []float32
	for i := range x {
		r := i / dim
		step, x0 := int(t[r]), value(k.levels[y[r]])
		e := k.err(step, int(y[r])) * float64(1-2*(i%2))
		out = append(out, float32(k.p.Target(x0, k.p.Noise(float64(x[i]), x0, step), step)+e))
		if k.p.Variance == diffusion.LearnedRange && i%k.channels == k.channels-1 {
			out = append(out, slices.Repeat([]float32{77}, k.channels)...)
		}
	}
	return out, nil
}

// A denoiser whose error is a known function of timestep and task gives exactly that map, whatever it predicts.
func TestKnownErrorIsMeasured(t *testing.T) {
	levels := []uint8{30, 200, 128}
	for _, prediction := range []string{diffusion.PredictNoise, diffusion.PredictImage, diffusion.PredictVelocity, diffusion.PredictFlow} {
		for _, variance := range []string{diffusion.FixedLarge, diffusion.LearnedRange} {
			if prediction == diffusion.PredictFlow && variance == diffusion.LearnedRange {
				continue // a flow has none
			}
			p := newProcess(t, 100, prediction, variance)
			steps := []int{1, 10, 40, 99}
			probe := newProbe(t, p, flatTasks(levels, 3, 3), Options{Timesteps: steps, Batch: 7, Seed: 3})
			k := &knower{p: p, levels: levels, channels: 3, err: func(t, y int) float64 { return 0.5 + float64(y) + float64(t)/50 }}
			mean, se, err := measure(t, probe, k).Mean(prediction)
			if err != nil {
				t.Fatal(err)
			}
			for i, got := range mean {
				e := k.err(steps[i%4], i/4)
				if math.Abs(got-e*e) > 1e-5*e*e || se[i] > 1e-5 {
					t.Errorf("%s, %s: task %d at timestep %d loses %g ± %g, want %g", prediction, variance, i/4, steps[i%4], got, se[i], e*e)
				}
			}
			if len(k.batches) != 6 || slices.Min(k.batches) != 7 || slices.Max(k.batches) != 7 {
				t.Errorf("36 rows came in batches of %d, want 6 of 7", k.batches)
			}
		}
	}
}

// A network for each task, asked for task by task, gives each task's own losses, and an error on the way stops.
func TestMeasureAsksTaskByTask(t *testing.T) {
	levels := []uint8{30, 200, 128}
	p := newProcess(t, 100, diffusion.PredictNoise, diffusion.FixedLarge)
	probe := newProbe(t, p, flatTasks(levels, 3, 1), Options{Timesteps: []int{1, 40}, Batch: 4, Seed: 3})
	now := -1
	k := &knower{p: p, levels: levels, channels: 1, err: func(_, y int) float64 {
		if y != now {
			t.Errorf("an image of task %d was shown to the network of task %d", y, now)
		}
		return 1 + float64(now)
	}}
	s, err := probe.Measure(context.Background(), k, func(task int, measure func() error) error { now = task; return measure() })
	if err != nil {
		t.Fatal(err)
	}
	mean, _, err := s.Mean(diffusion.PredictNoise)
	if err != nil {
		t.Fatal(err)
	}
	for i, got := range mean {
		if want := math.Pow(1+float64(i/2), 2); math.Abs(got-want) > 1e-5*want {
			t.Errorf("task %d loses %g, want %g", i/2, got, want)
		}
	}
	_, err = probe.Measure(context.Background(), k, func(int, func() error) error { return context.Canceled })
	if err != context.Canceled {
		t.Errorf("Measure returns %v, want the error of the switch", err)
	}
}

// gaussian is the exact denoiser of independent N(0, deviation²).
type gaussian struct {
	p         *diffusion.Process
	deviation float64
}

func (g gaussian) Output(x []float32, t, _ []int32) ([]float32, error) {
	out, dim := make([]float32, len(x)), len(x)/len(t)
	for i, x := range x {
		step := int(t[i/dim])
		s, ab := g.deviation*g.deviation, g.p.AlphaBar[step]
		x0 := math.Sqrt(ab) * s / (ab*s + 1 - ab) * float64(x)
		out[i] = float32(g.p.Target(x0, g.p.Noise(float64(x), x0, step), step))
	}
	return out, nil
}

// gaussianTask are images of levels rounded from N(0, deviation²).
func gaussianTask(n, dim int, deviation float64) Task {
	random := rand.New(rand.NewPCG(1, 2))
	d := &likelihood.Data{N: n, Dim: dim, Channels: 1, Labels: make([]int32, n)}
	for range n * dim {
		x := deviation * random.NormFloat64()
		d.Pixels = append(d.Pixels, uint8(math.Round(min(max(x, -1), 1)*127.5+127.5)))
	}
	return Task{"Gaussian", d}
}

// The exact denoiser of a Gaussian loses the posterior variance, s²(1-ᾱ)/(ᾱs²+1-ᾱ), in x_0, up to the levels' rounding.
func TestGaussianPosteriorVariance(t *testing.T) {
	const deviation, n = 0.25, 256
	for _, prediction := range []string{diffusion.PredictNoise, diffusion.PredictVelocity} {
		p := newProcess(t, 1000, prediction, diffusion.FixedSmall)
		steps, err := Strata(1000, 10)
		if err != nil {
			t.Fatal(err)
		}
		s := measure(t, newProbe(t, p, []Task{gaussianTask(n, 64, deviation)}, Options{Timesteps: steps, Batch: 64}), gaussian{p, deviation})
		mean, se, err := s.Mean(diffusion.PredictImage)
		if err != nil {
			t.Fatal(err)
		}
		for k, step := range steps {
			ab := p.AlphaBar[step]
			want := deviation * deviation * (1 - ab) / (ab*deviation*deviation + 1 - ab)
			// An image's loss is near want·χ²/64: its relative deviation sqrt(2/64) gives the standard error.
			if ratio := se[k] / (want * math.Sqrt(2./64/n)); math.Abs(mean[k]-want) > 4*se[k] || ratio < 0.8 || ratio > 1.2 {
				t.Errorf("%s, timestep %d: %g ± %g (%g of its theory), want %g", prediction, step, mean[k], se[k], ratio, want)
			}
		}
	}
}

// A flow's losses are those of its own path: the error of x_0 is τ times the velocity's, that of the noise 1-τ times.
func TestConvertFlow(t *testing.T) {
	p := newProcess(t, 100, diffusion.PredictFlow, diffusion.FixedLarge)
	probe := newProbe(t, p, flatTasks([]uint8{9}, 2, 1), Options{Timesteps: []int{0, 30, 99}, Batch: 1})
	for to, factor := range map[string]func(tau float64) float64{
		diffusion.PredictImage: func(tau float64) float64 { return tau * tau },
		diffusion.PredictNoise: func(tau float64) float64 { return (1 - tau) * (1 - tau) },
		diffusion.PredictFlow:  func(float64) float64 { return 1 },
	} {
		got, err := probe.Convert([]float64{4, 4, 4}, to)
		if err != nil {
			t.Fatal(err)
		}
		for i, step := range []int{0, 30, 99} {
			if want := 4 * factor(p.Sigma[step]); math.Abs(got[i]-want) > 1e-9*want {
				t.Errorf("to %s at timestep %d: %g, want %g", to, step, got[i], want)
			}
		}
	}
}

// The factors between losses are those of turning each prediction into the others.
func TestConvert(t *testing.T) {
	predictions := []string{diffusion.PredictNoise, diffusion.PredictImage, diffusion.PredictVelocity}
	for _, from := range predictions {
		p := newProcess(t, 100, from, diffusion.FixedLarge)
		probe := newProbe(t, p, flatTasks([]uint8{9}, 2, 1), Options{Timesteps: []int{0, 30, 99}, Batch: 1})
		for _, to := range predictions {
			got, err := probe.Convert([]float64{4, 4, 4, 4, 4, 4}, to)
			if err != nil {
				t.Fatal(err)
			}
			target := newProcess(t, 100, to, diffusion.FixedLarge)
			for i, step := range []int{0, 30, 99, 0, 30, 99} {
				const x0, noise = 0.3, -1.2
				xt := p.Signal[step]*x0 + p.Sigma[step]*noise
				estimate := p.X0(xt, p.Target(x0, noise, step)+2, step) // an error of 2
				e := target.Target(estimate, p.Noise(xt, estimate, step), step) - target.Target(x0, noise, step)
				if math.Abs(got[i]-e*e) > 1e-9*e*e {
					t.Errorf("%s to %s at timestep %d: %g, want %g", from, to, step, got[i], e*e)
				}
			}
		}
		if _, err := probe.Convert([]float64{1, 2, 3}, "eps2"); err == nil {
			t.Error("a loss in eps2 passes")
		}
	}
}

func TestBins(t *testing.T) {
	g := Axes{Tasks: []string{"a"}, Images: 2, Timesteps: []int{0, 10, 20, 40}, LogSNR: []float64{9, 4, 1, -3}, Prediction: "eps"}
	values := []float64{1, 2, 4, 8, 10, 20, 40, 80}
	for _, tc := range []struct {
		bins  Bins
		count []int
		want  []float64
	}{
		{Bins{AxisT, []float64{0, 20, 40}}, []int{2, 2}, []float64{1.5, 6, 15, 60}},
		{Bins{AxisLogSNR, []float64{-3, 1, 9}}, []int{1, 3}, []float64{8, 7. / 3, 80, 70. / 3}},
		{Bins{AxisT, []float64{5, 21, 30}}, []int{2, 0}, []float64{3, math.NaN(), 30, math.NaN()}},
	} {
		got, count, err := g.Bin(values, tc.bins)
		if err != nil {
			t.Fatal(err)
		}
		same := slices.EqualFunc(got, tc.want, func(a, b float64) bool { return math.Abs(a-b) < 1e-12 || math.IsNaN(a) && math.IsNaN(b) })
		if !same || !slices.Equal(count, tc.count) {
			t.Errorf("%v: %g of %d, want %g of %d", tc.bins, got, count, tc.want, tc.count)
		}
	}
	for axis, want := range map[string][]float64{AxisT: {0, 20, 40}, AxisLogSNR: {-3, 3, 9}} {
		if b, err := g.EvenBins(axis, 2); err != nil || !slices.Equal(b.Edges, want) {
			t.Errorf("even bins of %s: %g, %v", axis, b.Edges, err)
		}
	}
	for _, b := range []Bins{{"s", []float64{0, 1}}, {AxisT, []float64{0}}, {AxisT, []float64{1, 1}}} {
		if _, _, err := g.Bin(values, b); err == nil {
			t.Errorf("bins %v pass", b)
		}
	}
}

func TestStrata(t *testing.T) {
	for _, tc := range []struct {
		T, n int
		want []int
	}{{1000, 4, []int{125, 375, 625, 875}}, {3, 3, []int{0, 1, 2}}, {10, 1, []int{5}}} {
		if got, err := Strata(tc.T, tc.n); err != nil || !slices.Equal(got, tc.want) {
			t.Errorf("%d strata of %d: %d, %v; want %d", tc.n, tc.T, got, err, tc.want)
		}
	}
	if _, err := Strata(3, 4); err == nil {
		t.Error("4 strata of 3 pass")
	}
}

// Noise is the image's own: neither the batch nor the other tasks of a probe change a loss.
func TestMeasurementDoesNotDependOnBatch(t *testing.T) {
	p := newProcess(t, 50, diffusion.PredictNoise, diffusion.FixedLarge)
	a, b := gaussianTask(5, 4, 0.3), gaussianTask(5, 4, 0.1)
	d := gaussian{p, 0.5}
	both := measure(t, newProbe(t, p, []Task{a, b}, Options{Timesteps: []int{5, 20}, Batch: 3, Seed: 1}), d)
	alone := measure(t, newProbe(t, p, []Task{b}, Options{Timesteps: []int{5, 20}, Batch: 64, Seed: 1}), d)
	if !slices.Equal(both.Rows[10:], alone.Rows) {
		t.Errorf("%g beside another task, %g alone", both.Rows[10:], alone.Rows)
	}
	seeded := newProbe(t, p, []Task{b}, Options{Timesteps: []int{5, 20}, Batch: 64, Seed: 2})
	if again := measure(t, seeded, d); slices.Equal(again.Rows, alone.Rows) || again.Probe == alone.Probe {
		t.Error("another seed has the same noise or the same identity")
	}
}

type answer []float32

func (a answer) Output([]float32, []int32, []int32) ([]float32, error) { return a, nil }

func TestProbeRefuses(t *testing.T) {
	p := newProcess(t, 50, diffusion.PredictNoise, diffusion.FixedLarge)
	tasks := flatTasks([]uint8{1, 2}, 2, 1)
	for name, o := range map[string]Options{"no batch": {Timesteps: []int{1}}, "no timestep": {Batch: 1}, "descending": {Timesteps: []int{3, 1}, Batch: 1},
		"timestep T": {Timesteps: []int{50}, Batch: 1}} {
		if _, err := NewProbe(p, tasks, o); err == nil {
			t.Errorf("%s passes", name)
		}
	}
	o := Options{Timesteps: []int{1}, Batch: 4}
	for name, tasks := range map[string][]Task{"no task": nil, "one image": flatTasks([]uint8{1}, 1, 1),
		"unequal tasks": {tasks[0], flatTasks([]uint8{1}, 3, 1)[0]}} {
		if _, err := NewProbe(p, tasks, o); err == nil {
			t.Errorf("%s passes", name)
		}
	}
	probe := newProbe(t, p, tasks, o)
	nan := make(answer, 8)
	nan[7] = float32(math.NaN())
	for say, d := range map[string]answer{"returned 7 values": make(answer, 7), "loss at timestep 1 is NaN": nan} {
		if _, err := probe.Measure(context.Background(), d, nil); err == nil || !strings.Contains(err.Error(), say) {
			t.Errorf("error %v; want one that says %q", err, say)
		}
	}
	ctx, stop := context.WithCancel(context.Background())
	stop()
	if _, err := probe.Measure(ctx, make(answer, 8), nil); err == nil || !strings.Contains(err.Error(), "stopped after 0 of 4") {
		t.Errorf("stopped: error %v", err)
	}
}
