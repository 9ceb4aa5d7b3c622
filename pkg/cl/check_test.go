package cl_test

import (
	"strings"
	"testing"

	"palimpsest/datasets"
	"palimpsest/pkg/cl"
)

// What a strategy's Begin would refuse is known from the setup, before there is a network.
func TestCheck(t *testing.T) {
	bench := &datasets.Benchmark{H: 8, W: 8, C: 1, ClassNames: []string{"a", "b"}, Tasks: make([]datasets.Task, 2)}
	for _, tc := range []struct {
		name     string
		settings map[string]any
		rows     int
		want     string
	}{
		{"er", nil, 4, ""},
		{"er", nil, 0, "needs replay rows"},
		{"er", map[string]any{"lambda": 0}, 0, ""},
		{"er", map[string]any{"timesteps": "range:0.51-0.52"}, 4, "none of the process's 10"},
		{"mir", nil, 0, "needs replay rows"},
		{"agem", nil, 0, "needs replay rows"},
		{"gdumb", nil, 0, ""},
		{"der", map[string]any{"beta": 1}, 1, "der with lambda and beta has 1 replay rows"},
		{"ccd", nil, 1, "ccd has 1 replay rows"},
		{"gr", map[string]any{"sampler_steps": 11}, 4, "draws them in 11 steps, but the process has 10 timesteps"},
		{"gr", map[string]any{"sampler_steps": 10}, 4, ""},
		{"gaussian_distillation", nil, 0, "needs replay rows"},
		{"er+gr", map[string]any{"gr_sampler_steps": 11}, 4, "part gr of er+gr"},
		{"finetune", nil, 0, ""},
	} {
		s, err := cl.New(cl.Spec{Name: tc.name, Settings: tc.settings})
		if err != nil {
			t.Fatal(err)
		}
		err = cl.Check(s, cl.SetupOf(bench, cl.LoopConfig{StepsPerTask: 1, FreshRows: 4, ReplayRows: tc.rows}, 10))
		if (err == nil) != (tc.want == "") || err != nil && !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s with %v and %d rows gives %v, want %q", tc.name, tc.settings, tc.rows, err, tc.want)
		}
	}
}
