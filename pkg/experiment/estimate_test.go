package experiment

import (
	"context"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"palimpsest/datasets"
	"palimpsest/pkg/backend/backendtest"
	"palimpsest/pkg/cl"
	"palimpsest/pkg/host"
	"palimpsest/pkg/results"
)

// spec is a run of the quick benchmark.
func spec(name string, seed uint64, settings map[string]any) Config {
	c := DefaultConfig()
	c.Strategy, c.Seed = cl.Spec{Name: name, Settings: settings}, seed
	return c
}

// The quick benchmark trains 5 tasks × 150 steps × 32 rows, and draws 100 images of each task learned by then by 10 steps
// after each task: those of 1 + … + 5 tasks.
func TestWork(t *testing.T) {
	for _, tc := range []struct {
		name   string
		change func(*Config)
		want   Work
	}{
		{"er", func(*Config) {}, Work{5 * 150 * 32 * 3, 15 * 100 * 10}},
		{"ahead of learning", func(c *Config) { c.Evaluate.Ahead = true }, Work{5 * 150 * 32 * 3, 5 * 5 * 100 * 10}},
		{"of no class", func(c *Config) { c.Network.Conditional = false }, Work{5 * 150 * 32 * 3, 5 * 5 * 100 * 10}},
		{"joint, measured once", func(c *Config) { c.Strategy = cl.Spec{Name: "joint"} }, Work{5 * 150 * 32 * 3, 5 * 100 * 10}},
		{"fewer replay rows", func(c *Config) { c.Strategy.Settings = map[string]any{"rows": 4} }, Work{5 * 150 * 20 * 3, 15 * 100 * 10}},
		{"three tasks", func(c *Config) { c.Benchmark.ClassOrder, c.Benchmark.Classes = "given", []int{5, 4, 3, 2, 1} }, Work{3 * 150 * 32 * 3, 6 * 100 * 10}},
		{"two domains", func(c *Config) {
			c.Benchmark.Scenario, c.Benchmark.Datasets = "domain-incremental", []string{"mnist", "fashion-mnist"}
		}, Work{2 * 150 * 32 * 3, 3 * 100 * 10}},
		{"guidance asks twice", func(c *Config) { c.Loop.LabelDropout, c.Evaluate.Guidance = 0.1, 2 }, Work{5 * 150 * 32 * 3, 2 * 15 * 100 * 10}},
		// 15 probes, of which 5 at the tasks' ends, of 5 tasks × 8 images × 20 timesteps.
		{"a probe", func(c *Config) { c.Probe.Every = 50 }, Work{5 * 150 * 32 * 3, 15*100*10 + 15*5*8*20}},
		{"likelihoods", func(c *Config) { c.BPD.Images = 4 }, Work{5 * 150 * 32 * 3, 15*100*10 + 5*5*4*41}},
	} {
		c := spec("er", 0, nil)
		tc.change(&c)
		if got, err := c.Work(); err != nil || got != tc.want {
			t.Errorf("%s: %+v (%v), want %+v", tc.name, got, err, tc.want)
		}
	}
}

// What is counted beforehand is what a run finds it has to measure.
func TestWorkIsTheRunsOwn(t *testing.T) {
	back := backendtest.Open(t)
	c := smallConfig()
	r := &run{config: c, dir: t.TempDir(), log: io.Discard, opt: Options{Backend: back}}
	defer r.close()
	if err := r.prepare(t.Context()); err != nil {
		t.Fatal(err)
	}
	got, err := c.Work()
	if err != nil {
		t.Fatal(err)
	}
	if got.Measure != r.clock.rowsLeft || got.Train != 3*r.clock.stepsLeft*(c.Loop.FreshRows+r.loop.ReplayRows()) {
		t.Errorf("counted %+v; the run has %d rows to measure and %d steps", got, r.clock.rowsLeft, r.clock.stepsLeft)
	}
}

// finish leaves the folder of a finished run of c that took the given seconds.
func finish(t *testing.T, dir string, c Config, cpu string, train, measure, compile, wall float64) {
	t.Helper()
	folder := filepath.Join(dir, c.RunName())
	if err := os.MkdirAll(folder, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := claim(c, folder, nil); err != nil {
		t.Fatal(err)
	}
	machine := host.Machine()
	if cpu != "" {
		machine.CPU = cpu
	}
	replay, err := c.ReplayRows()
	if err != nil {
		t.Fatal(err)
	}
	start := time.Date(2026, 11, 23, 0, 0, 0, 0, time.UTC)
	r := results.Run{Schema: results.Schema, Name: c.RunName(), Strategy: results.Strategy{Name: c.Strategy.Name, Label: c.Strategy.Name},
		Benchmark:  results.Benchmark{ImageSize: 16, Channels: 1, Tasks: []results.Task{{Name: "a"}, {Name: "b"}}},
		Cost:       results.Cost{Steps: 750, FreshRows: 16, ReplayRows: replay, TrainSeconds: train, EvalSeconds: measure, CompileSeconds: compile},
		Provenance: results.Provenance{Machine: machine, Started: start, Finished: start.Add(time.Duration(wall * float64(time.Second)))}}
	if err := r.Save(filepath.Join(folder, "result.json")); err != nil {
		t.Fatal(err)
	}
}

// From an er that took 1 ms a training row, 2 ms a measured one and 18 s beside, and an lwf that took twice as long:
//
//	er λ=1 seed 1     18 + 72 + 30 = 120 s       er λ=0.3, 30 % done   18 + 0.7·102 = 89.4 s
//	joint             18 + 72 + 10 = 100 s       gr                    120 s, and what it generates
//	lwf seed 1        20 + 144 + 30 = 194 s
//
// Two workers: the first takes 120 + 120, the second 89.4 + 100 + 194.
func TestEstimateByHand(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a[b]") // which is no pattern
	er := map[string]any{"lambda": 1}
	finish(t, dir, spec("er", 0, er), "", 72, 30, 10, 120)
	finish(t, dir, spec("lwf", 0, nil), "", 144, 30, 20, 9000) // it lay still in between
	finish(t, dir, spec("er", 7, er), "another processor", 1, 1, 1, 3)
	begun := spec("er", 0, map[string]any{"lambda": 0.3})
	if err := os.MkdirAll(filepath.Join(dir, begun.RunName(), "checkpoints", "phase01-step000075"), 0o755); err != nil {
		t.Fatal(err)
	}
	s := Study{Dir: dir, Runs: []Config{spec("er", 0, er), spec("er", 1, er), begun, spec("joint", 0, nil), spec("gr", 0, nil), spec("lwf", 1, nil)}}
	e, err := s.Estimate(t.Context(), 2, func(context.Context, Config) (Rates, error) {
		t.Error("finished runs tell, but steps are timed")
		return Rates{}, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []float64{0, 120, 89.4, 100, 120, 194} {
		if got := e.Runs[i].Seconds; math.Abs(got-want) > 1e-9 {
			t.Errorf("%s takes %g s, want %g", e.Runs[i].Name, got, want)
		}
	}
	if math.Abs(e.Seconds-623.4) > 1e-9 || math.Abs(e.Wall-383.4) > 1e-9 || e.Finished != 1 {
		t.Errorf("in all %g s, on two workers %g s, %d finished; want 623.4, 383.4, 1", e.Seconds, e.Wall, e.Finished)
	}
	if !slices.Equal(e.Without, []string{"gr"}) {
		t.Errorf("not included is what %v evaluate; want gr's alone", e.Without)
	}
	for workers, want := range map[int]string{2: "2 at a time", 100: "5 at a time"} {
		e.Workers = workers
		if want = "about 6 min for 5 runs (1 more is finished), " + want; e.String() != want {
			t.Errorf("got %q, want %q", e, want)
		}
	}
	if table := e.Table(); !strings.Contains(table, "er-lambda0.3-seed0") || !strings.Contains(table, "(30% done)") || !strings.Contains(table, "72 ") {
		t.Errorf("the table is\n%s", table)
	}
}

// Where no run tells, steps are timed once for each kind of network, at the most rows; without a clock the time is unknown.
func TestEstimateByCalibration(t *testing.T) {
	wide := spec("er", 0, map[string]any{"rows": 48})
	big := spec("joint", 0, nil)
	big.Network.Size = "small"
	s := Study{Dir: t.TempDir(), Runs: []Config{spec("joint", 1, nil), wide, big}}
	var asked []string
	e, err := s.Estimate(t.Context(), 1, func(_ context.Context, c Config) (Rates, error) {
		asked = append(asked, c.RunName()+" "+c.Network.Size)
		return Rates{Train: 1e-3, Measure: 1e-3, Fixed: 5}, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{"er-rows48-seed0 tiny", "joint-seed0 small"}; !slices.Equal(asked, want) {
		t.Errorf("timed %v, want %v", asked, want)
	}
	// 5 + 72 + 5 twice, and 5 + 144 + 15.
	if math.Abs(e.Wall-(82+82+164)) > 1e-9 || !strings.Contains(e.Basis, "timed now") {
		t.Errorf("%g s from %q, want 328", e.Wall, e.Basis)
	}
	if e, err := s.Estimate(t.Context(), 1, nil); err != nil || e.String() != "3 runs, for an unknown time" {
		t.Errorf("without a clock: %v, %v", e, err)
	}
}

func TestMinutes(t *testing.T) {
	for seconds, want := range map[float64]string{40: "40 s", 99: "99 s", 3120: "52 min", 12600: "3.5 h"} {
		if got := Minutes(seconds); got != want {
			t.Errorf("%g: %q, want %q", seconds, got, want)
		}
	}
}

// Timing some steps gives rates, and leaves nothing behind.
func TestCalibrate(t *testing.T) {
	back := backendtest.Open(t)
	c := smallConfig()
	c.Loop.StepsPerTask = 2
	var seen string
	rates, err := CalibrateApart(t.Context(), c, func(ctx context.Context, dir string, w int, out io.Writer) error {
		seen = dir
		stored, err := StoredConfig(dir)
		if err != nil {
			return err
		}
		r, err := Calibrate(ctx, stored, Options{Backend: back})
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(out, `{"train": %g, "measure": %g, "fixed": %g}`, r.Train, r.Measure, r.Fixed)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if !(rates.Train > 0) || !(rates.Measure > 0) || !(rates.Fixed > 0) {
		t.Errorf("rates %+v; want positive ones", rates)
	}
	if _, err := os.Stat(seen); !os.IsNotExist(err) {
		t.Errorf("%s is left behind (%v)", seen, err)
	}
}

// Large images are timed at a part of their sides, others as they are.
func TestLargeImagesAreTimedSmaller(t *testing.T) {
	for _, tc := range []struct {
		prep        datasets.Prep
		h, w, times int
	}{
		{datasets.Prep{Size: 1024, Method: "area"}, 64, 64, 256},
		{datasets.Prep{Height: 128, Width: 64, Method: "pad", Border: 32}, 48, 32, 16},
		{datasets.Prep{Size: 64, Method: "pad"}, 64, 64, 1},
		{datasets.Prep{Size: 90, Method: "pad"}, 90, 90, 1},
	} {
		c := DefaultConfig()
		c.Benchmark.Prep = tc.prep
		small, times, err := c.shrunk()
		if err != nil {
			t.Fatal(err)
		}
		h, w, _, err := datasets.PreparedShape(small.Benchmark.Prep, small.Benchmark.Datasets...)
		if err != nil || h != tc.h || w != tc.w || times != tc.times {
			t.Errorf("%+v: %d×%d, %d times, %v; want %d×%d, %d times", tc.prep, h, w, times, err, tc.h, tc.w, tc.times)
		}
	}
}
