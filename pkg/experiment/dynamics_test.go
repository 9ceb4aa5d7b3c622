package experiment

import (
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"palimpsest/pkg/dynamics"
	"palimpsest/pkg/results"
)

// Two seeds of one strategy on two tasks: task 0 stood at losses 1 and 2 when just learned. Seed 0 ends at 2 and 2.5,
// so +100 % and +25 %; seed 1 at 1 and 3.5, so 0 % and +75 %. Means 50 % both, sample deviations sqrt(1/2) and sqrt(1/8).
func TestForgettingByTimestep(t *testing.T) {
	dir := t.TempDir()
	for seed, end := range [][2]float32{{2, 2.5}, {1, 3.5}} {
		r := &results.Run{Schema: results.Schema, Name: fmt.Sprintf("er-seed%d", seed), Seed: uint64(seed), Strategy: results.Strategy{Name: "er", Label: "er"},
			Benchmark: results.Benchmark{ImageSize: 16, Channels: 1, Tasks: []results.Task{{Name: "a"}, {Name: "b"}}}}
		folder := filepath.Join(dir, r.Name)
		s := &dynamics.Series{
			Axes: dynamics.Axes{Tasks: []string{"a", "b"}, Images: 2, Timesteps: []int{10, 30}, LogSNR: []float64{1, -1},
				Prediction: "eps", Probe: fmt.Sprint("seed", seed)},
			Checkpoints: []dynamics.Checkpoint{{Step: 1, Task: 0}, {Step: 2, Task: 1}},
			Loss:        []float32{1, 2, 9, 9, end[0], end[1], 1, 1},
			SE:          make([]float32, 8),
		}
		if err := os.MkdirAll(folder, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := s.Save(filepath.Join(folder, results.DynamicsFile)); err != nil {
			t.Fatal(err)
		}
		if err := r.Save(filepath.Join(folder, "result.json")); err != nil {
			t.Fatal(err)
		}
	}
	table, err := ForgettingByTimestep(dir, 2)
	if err != nil {
		t.Fatal(err)
	}
	if len(table.Rows) != 1 || table.Rows[0].Seeds != 2 {
		t.Fatalf("got %+v; want one strategy of two seeds", table)
	}
	row := table.Rows[0]
	for bin, want := range []struct{ mean, std float64 }{{0.5, math.Sqrt(0.5)}, {0.5, math.Sqrt(0.125)}} {
		if math.Abs(row.Relative[bin]-want.mean) > 1e-6 || math.Abs(row.Std[bin]-want.std) > 1e-6 {
			t.Errorf("bin %d: %g ± %g, want %g ± %g", bin, row.Relative[bin], row.Std[bin], want.mean, want.std)
		}
	}
	if text := table.Markdown(); !strings.Contains(text, "| er | +50 % ± 71 | +50 % ± 35 |") {
		t.Errorf("the table reads\n%s", text)
	}
	// With another number of steps the second run is no seed of the first.
	second := filepath.Join(dir, "er-seed1", "result.json")
	r, err := results.Load(second)
	if err != nil {
		t.Fatal(err)
	}
	r.Cost.Steps = 9
	if err := r.Save(second); err != nil {
		t.Fatal(err)
	}
	if apart, err := ForgettingByTimestep(dir, 2); err != nil || len(apart.Rows) != 2 ||
		!strings.Contains(apart.Markdown(), "| er, 9 steps | 0 % | +75 % |") || !strings.Contains(apart.Markdown(), "NOT COMPARABLE: the number of optimiser steps") {
		t.Errorf("%v, %+v", err, apart)
	}
	// The second run has lost what was measured during its first task.
	r.Cost.Steps, r.Evaluations = 0, make([]results.Evaluation, 2)
	r.Evaluations[1].AfterTask = 1
	if err := r.Save(second); err != nil {
		t.Fatal(err)
	}
	late := filepath.Join(dir, "er-seed1", results.DynamicsFile)
	s, err := dynamics.LoadSeries(late)
	if err != nil {
		t.Fatal(err)
	}
	whole := *s
	s.Checkpoints, s.Loss, s.SE = s.Checkpoints[1:], s.Loss[4:], s.SE[4:]
	if err := s.Save(late); err != nil {
		t.Fatal(err)
	}
	if left, err := ForgettingByTimestep(dir, 2); err != nil || len(left.Rows) != 1 || left.Rows[0].Seeds != 1 ||
		!strings.Contains(left.Markdown(), "- LEFT OUT: run er-seed1: its dynamics.json begins at step 2, in task 2, so that") {
		t.Errorf("%v, %+v", err, left)
	}
	if err := whole.Save(late); err != nil {
		t.Fatal(err)
	}
	if _, err := ForgettingByTimestep(dir, 3); err == nil || !strings.Contains(err.Error(), "fewer bins") {
		t.Errorf("three bins for two timesteps give %v", err)
	}
	if _, err := ForgettingByTimestep(t.TempDir(), 2); err == nil || !strings.Contains(err.Error(), "probe.every") {
		t.Errorf("a folder without runs gives %v", err)
	}
}
