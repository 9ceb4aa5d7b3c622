package experiment

import (
	"slices"
	"testing"

	"palimpsest/datasets"
)

// Metrics look at what is inside a border, so the inside of a bordered benchmark is the benchmark without one; and a run
// with a border is measured as any other.
func TestMetricsLookInsideTheBorder(t *testing.T) {
	c := smallConfig()
	c.Loop.StepsPerTask, c.CheckpointEvery = 2, 0
	c.Probe.Every, c.BPD.Images, c.BPD.Variants, c.Autopsy.Images = 0, 0, false, 0
	plain, err := c.LoadBenchmark()
	if err != nil {
		t.Fatal(err)
	}
	c.Benchmark.Prep.Border = 2
	bordered, err := c.LoadBenchmark()
	if err != nil {
		t.Fatal(err)
	}
	cropped, err := inside(bordered)
	if err != nil {
		t.Fatal(err)
	}
	if bordered.H != 20 || cropped.H != 16 || cropped.W != 16 || cropped.Prep != plain.Prep {
		t.Errorf("sides %d and %d, prepared %+v; want 20, 16 and %+v", bordered.H, cropped.H, cropped.Prep, plain.Prep)
	}
	for j, task := range plain.Tasks {
		for _, pair := range [][2]*datasets.Images{{task.Train, cropped.Tasks[j].Train}, {task.Test, cropped.Tasks[j].Test}} {
			if !slices.Equal(pair[0].Flat(), pair[1].Flat()) {
				t.Errorf("task %d: other pixels inside the border than without one", j)
			}
		}
	}
	r, err := Run(t.Context(), c, t.TempDir(), Options{})
	if err != nil {
		t.Fatal(err)
	}
	if r.Benchmark.ImageSize != 20 || r.Benchmark.Prep != "area 16 border 2" || r.Evaluations[2].Tasks[0].FID == nil || r.Evaluations[2].Tasks[0].MemorisedBuffer == nil {
		t.Errorf("%+v measured %+v", r.Benchmark, r.Evaluations[2].Tasks[0])
	}
}
