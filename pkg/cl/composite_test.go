package cl_test

import (
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"palimpsest/pkg/cl"
	"palimpsest/pkg/cl/cltest"
	"palimpsest/pkg/diffusion"
	"palimpsest/pkg/network"
)

// loopRows are the replay rows of a loop: as many as two parts need at most.
const loopRows = 8

// alone is a strategy, out of a loop and with the name of a network only, that has learned two tasks of the suite's benchmark.
func alone(t *testing.T, spec cl.Spec) cl.Strategy {
	t.Helper()
	s := made(t, spec.Name, spec.Settings)
	setup := cl.Setup{Seed: 3, Tasks: 6, StepsPerTask: 4, FreshRows: 4, ReplayRows: loopRows, H: 8, W: 8, C: 1, Classes: 6, Timesteps: 20,
		Network: &diffusion.Network{Shape: network.Shape{Classes: 6}}}
	setup.ReplayRows = s.ReplayRows(loopRows)
	if err := s.Begin(setup); err != nil {
		t.Fatal(err)
	}
	for task, of := range cltest.NewBenchmark().Tasks[:2] {
		if err := cl.Taught(s, task, of.Train); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

// before is a step of the k-th task, k = 1 being the first, as a strategy makes it: four fresh rows of weight 1/4.
func before(t *testing.T, s cl.Strategy, k int) *cl.Step {
	t.Helper()
	step := blank(s, k)
	if err := s.BeforeStep(step); err != nil {
		t.Fatal(err)
	}
	return step
}

// blank is that step before the strategy has made anything of it.
func blank(s cl.Strategy, k int) *cl.Step {
	replay := s.ReplayRows(loopRows)
	step := &cl.Step{Task: k - 1, Fresh: 4, Replay: replay, StreamImages: 24, RNG: rand.New(rand.NewPCG(1, 2))}
	rows := 4 + replay
	step.Batch = diffusion.Batch{X: make([]float32, rows*64), Y: make([]int32, rows), T: make([]int32, rows), W: make([]float32, rows)}
	for i := range 4 {
		step.Batch.W[i] = 0.25
	}
	return step
}

// TestOneOwnerOfTheFreshFactor: at the fifth task two parts of schedule 1-1/k leave each of four fresh rows 1/4·1/5 = 0.05, not
// 0.01, and each has its own (1-1/5)·λ beside it.
func TestOneOwnerOfTheFreshFactor(t *testing.T) {
	for name, tc := range map[string]struct {
		spec  cl.Spec
		fresh float64    // weight of a fresh row
		parts [2]float64 // sums over the four replay rows of each part
	}{
		"two alike":        {cl.Spec{Name: "er+er_balanced", Settings: map[string]any{"schedule": "1-1/k", "lambda": 0.5}}, 0.05, [2]float64{0.4, 0.8}},
		"the other order":  {cl.Spec{Name: "er_balanced+er", Settings: map[string]any{"schedule": "1-1/k", "lambda": 0.5}}, 0.05, [2]float64{0.8, 0.4}},
		"one and none":     {cl.Spec{Name: "er+er_balanced", Settings: map[string]any{"lambda": 0.5}}, 0.05, [2]float64{0.5, 0.8}},
		"one and 1/k":      {cl.Spec{Name: "er+er_balanced", Settings: map[string]any{"schedule": "1/k", "lambda": 0.5}}, 0.05, [2]float64{0.1, 0.8}},
		"none":             {cl.Spec{Name: "er+agem", Settings: map[string]any{"lambda": 0.5}}, 0.25, [2]float64{0.5, 1}},
		"weight 0 says it": {cl.Spec{Name: "gr+generative_distillation", Settings: map[string]any{"gr_lambda": 0, "generative_distillation_lambda": 0}}, 0.05, [2]float64{}},
	} {
		t.Run(name, func(t *testing.T) {
			step := before(t, alone(t, tc.spec), 5)
			for row, w := range step.Batch.W[:4] {
				if math.Abs(float64(w)-tc.fresh) > 1e-8 {
					t.Errorf("fresh row %d weighs %g, want %g", row, w, tc.fresh)
				}
			}
			if step.Replay == 0 {
				return
			}
			for i, want := range tc.parts {
				if got := sum(step.Batch.W[4+4*i : 8+4*i]); math.Abs(got-want) > 1e-7 {
					t.Errorf("the rows of part %d weigh %g, want %g", i, got, want)
				}
			}
		})
	}
}

// TestAdaptiveBesideAnother: er's adaptive coefficient compares the losses as they are, so that with equal losses it is λ = 0.5 at
// the fifth task, not 0.5·5 because the other part divides the fresh rows' weights by 5.
func TestAdaptiveBesideAnother(t *testing.T) {
	for _, name := range []string{"er+er_balanced", "er_balanced+er"} {
		s := alone(t, cl.Spec{Name: name, Settings: map[string]any{"schedule": "adaptive", "lambda": 0.5}})
		at := 4 + 4*slices.Index(strings.Split(name, "+"), "er")
		for i, want := range []float64{0.5, 0.5, 1} {
			step := before(t, s, 5)
			if got := sum(step.Batch.W[at : at+4]); math.Abs(got-want) > 1e-6 {
				t.Errorf("%s, step %d: er's rows weigh %g, want %g", name, i, got, want)
			}
			weights := slices.Clone(step.Batch.W)
			old := float32(1)
			if i == 1 {
				old = 2.95 // 0.95·1 + 1·2.95 is twice 0.95·1 + 1·1: the running means
			}
			losses := []float32{1, 1, 1, 1, old, old, old, old, old, old, old, old}
			if err := s.AfterStep(step, diffusion.StepResult{Rows: losses}); err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(step.Batch.W, weights) {
				t.Errorf("%s, step %d: the weights are %v after the step, %v before", name, i, step.Batch.W, weights)
			}
		}
	}
}

// doubling scales fresh rows in a way of its own.
type doubling struct {
	cl.Base `yaml:"-"`
}

func (*doubling) Info() cl.Info {
	return cl.Info{Name: "doubling", Title: "twice the fresh rows", Paper: "none", Equation: "L = 2·mean(loss_fresh)", Stores: "nothing"}
}
func (*doubling) Label() string { return "doubling" }
func (d *doubling) BeforeStep(s *cl.Step) error {
	for i := range s.Fresh {
		s.Batch.W[i] *= 2
	}
	return nil
}

// TestTwoFactorsAreRefused: parts that scale the fresh rows differently are named, with what to do.
func TestTwoFactorsAreRefused(t *testing.T) {
	register(t, func() cl.Strategy { return &doubling{} })
	if step := before(t, alone(t, cl.Spec{Name: "doubling+er"}), 5); step.Batch.W[0] != 0.5 {
		t.Errorf("beside er a fresh row weighs %g, want 0.5", step.Batch.W[0])
	}
	s := alone(t, cl.Spec{Name: "doubling+er_balanced"})
	step := &cl.Step{Task: 4, Fresh: 1, Batch: diffusion.Batch{W: []float32{1, 0, 0, 0, 0, 0, 0, 0, 0}, X: make([]float32, 9*64), Y: make([]int32, 9)}, Replay: loopRows, RNG: rand.New(rand.NewPCG(1, 2))}
	err := s.BeforeStep(step)
	for _, want := range []string{"doubling scales the fresh rows by 2 and er_balanced by 0.2", "give both the same schedule"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("the error is %v, want it to say %q", err, want)
		}
	}
}

// TestEveryPairHasOneFreshFactor: whatever two strategies are joined, a step's fresh rows weigh what they weigh for the one of them
// that scales them, or 1. lora and packnet need a network to begin and scale nothing.
func TestEveryPairHasOneFreshFactor(t *testing.T) {
	var specs []cl.Spec
	for _, s := range cl.BuiltIn() {
		if name := s.Info().Name; name != "lora" && name != "packnet" {
			specs = append(specs, cl.Spec{Name: name})
		}
	}
	complement := map[string]any{"er_schedule": cl.ScheduleComplement}
	pairs, scaled := 0, 0
	for i, a := range specs {
		for _, b := range specs[i+1:] {
			for _, settings := range []map[string]any{nil, complement} {
				if settings != nil && a.Name != "er" && b.Name != "er" {
					continue
				}
				pair := cl.Spec{Name: a.Name + "+" + b.Name, Settings: settings}
				if _, err := cl.New(pair); err != nil {
					continue // they do not go together
				}
				want := 1.
				for _, one := range []cl.Spec{a, b} {
					if one.Name == "er" && settings != nil {
						one.Settings = map[string]any{"schedule": cl.ScheduleComplement}
					}
					want = min(want, freshWeight(before(t, alone(t, one), 3)))
				}
				if got := freshWeight(before(t, alone(t, pair), 3)); math.Abs(got-want) > 1e-7 {
					t.Errorf("%s %v: fresh rows weigh %g, want %g", pair.Name, settings, got, want)
				}
				if pairs++; want < 1 {
					scaled++
				}
			}
		}
	}
	if pairs < 100 || scaled < 50 {
		t.Errorf("%d pairs, in %d of which fresh rows are scaled; want more", pairs, scaled)
	}
}

// freshWeight is the sum of the fresh rows' weights.
func freshWeight(s *cl.Step) float64 { return sum(s.Batch.W[:s.Fresh]) }

func sum(weights []float32) (sum float64) {
	for _, w := range weights {
		sum += float64(w)
	}
	return sum
}
