package cl_test

import (
	"strings"
	"testing"

	"palimpsest/datasets"
	"palimpsest/pkg/cl"
	"palimpsest/pkg/diffusion"
)

// What a strategy's Begin would refuse is known from the setup, before there is a network.
func TestCheck(t *testing.T) {
	noise := noiseProcess(t)
	flow, err := diffusion.New(diffusion.Config{T: 10, Schedule: diffusion.FlowSchedule, Prediction: diffusion.PredictFlow, Variance: diffusion.FixedLarge})
	if err != nil {
		t.Fatal(err)
	}
	bench := &datasets.Benchmark{H: 8, W: 8, C: 1, ClassNames: []string{"a", "b"}, Tasks: make([]datasets.Task, 2)}
	for _, tc := range []struct {
		name     string
		settings map[string]any
		rows     int
		flow     bool
		want     string
	}{
		{"er", nil, 4, false, ""},
		{"er", nil, 0, false, "needs replay rows"},
		{"er", map[string]any{"lambda": 0}, 0, false, ""},
		{"er", map[string]any{"timesteps": "range:0.51-0.52"}, 4, false, "none of the process's 10"},
		{"mir", nil, 0, false, "needs replay rows"},
		{"agem", nil, 0, false, "needs replay rows"},
		{"gdumb", nil, 0, false, ""},
		{"der", map[string]any{"beta": 1}, 1, false, "der with lambda and beta has 1 replay rows"},
		{"ccd", nil, 1, false, "ccd has 1 replay rows"},
		{"gr", map[string]any{"sampler_steps": 11}, 4, false, "draws them in 11 steps, but the process has 10 timesteps"},
		{"gr", map[string]any{"sampler_steps": 10}, 4, false, ""},
		{"gaussian_distillation", nil, 0, false, "needs replay rows"},
		{"er+gr", map[string]any{"gr_sampler_steps": 11}, 4, false, "part gr of er+gr"},
		{"finetune", nil, 0, false, ""},
		{"gr", nil, 4, true, `strategy.sampler "ddim"`},
		{"gr", map[string]any{"sampler": "euler"}, 4, true, ""},
		{"gr", map[string]any{"sampler": "euler"}, 4, false, "choose one of"},
		{"er+gr", nil, 4, true, "part gr of er+gr"},
	} {
		process := noise
		if tc.flow {
			process = flow
		}
		s, err := cl.New(cl.Spec{Name: tc.name, Settings: tc.settings})
		if err != nil {
			t.Fatal(err)
		}
		err = cl.Check(s, cl.SetupOf(bench, cl.LoopConfig{StepsPerTask: 1, FreshRows: 4, ReplayRows: tc.rows}, process))
		if (err == nil) != (tc.want == "") || err != nil && !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s with %v and %d rows gives %v, want %q", tc.name, tc.settings, tc.rows, err, tc.want)
		}
	}
}

// noiseProcess is a process of 10 timesteps.
func noiseProcess(t *testing.T) *diffusion.Process {
	t.Helper()
	p, err := diffusion.New(diffusion.Config{T: 10, Schedule: "linear", Prediction: diffusion.PredictNoise, Variance: diffusion.FixedLarge})
	if err != nil {
		t.Fatal(err)
	}
	return p
}
