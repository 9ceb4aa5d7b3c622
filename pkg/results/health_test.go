package results

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestDiverged(t *testing.T) {
	for _, tc := range []struct {
		name   string
		losses []float64
		want   bool
	}{
		{"none", nil, false},
		{"healthy", []float64{0.78, 0.4, 0.3, 0.25, 0.2, 0.21, 0.2}, false},
		{"learns nothing", []float64{1, 1.01, 0.99, 1, 1, 1}, false},
		{"a learning rate of 1e9", []float64{3e17, 8e19, 9e20, 9e20, 9e20, 9e20, 9e20}, true},
		{"level, but absurd", []float64{9e20, 9e20, 9e20}, true},
		{"a tenfold rise", []float64{0.8, 0.5, 0.4, 2, 6, 11, 11, 12, 11}, true},
		{"a rise below the loss of nothing", []float64{0.8, 0.02, 0.02, 0.3, 0.4, 0.4, 0.4, 0.4}, false},
		{"one bad batch", []float64{0.8, 0.5, 0.4, 0.3, 50, 0.3, 0.3}, false},
		{"a bound", []float64{6.7, 2.1, 1.3, 13.7, 2, 4, 3, 10.8, 2.5}, false}, // as stored runs of a bound go
		{"a penalty at a task's first steps", []float64{0.78, 0.2, 3, 0.46, 0.4, 0.4}, false},
		{"never below twice nothing", []float64{10.0, 20.6, 7.6, 16.4, 13.8, 1.6}, true}, // 60 steps at a learning rate of 1
	} {
		r := &Run{Config: map[string]any{"train": map[string]any{"loss_weight": "", "vlb_weight": 0.0}}}
		if strings.Contains(tc.name, "bound") {
			r.Config = map[string]any{"train": map[string]any{"objective": "vlb", "loss_weight": "", "vlb_weight": 0.0}}
		}
		for i, l := range tc.losses {
			r.Losses = append(r.Losses, LossPoint{Step: 10 * (i + 1), Task: i / 3, Loss: l})
		}
		if loss, got := r.Diverged(); got != tc.want {
			t.Errorf("%s: ends at %g, diverged %v; want %v", tc.name, loss, got, tc.want)
		}
	}
}

func TestCollapsed(t *testing.T) {
	p := func(v float64) *float64 { return &v }
	for _, tc := range []struct {
		name  string
		union UnionMetrics
		want  string // part of why, "" for none
	}{
		{"not measured", UnionMetrics{}, ""},
		{"healthy", UnionMetrics{ClippedPixels: p(0.45), RealClippedPixels: p(0.5), IdenticalSamples: p(0)}, ""},
		{"constant", UnionMetrics{ClippedPixels: p(0), RealClippedPixels: p(0.5), IdenticalSamples: p(1)}, "100 % of the samples have an exact duplicate"},
		{"all clipped", UnionMetrics{ClippedPixels: p(1), RealClippedPixels: p(0.5), IdenticalSamples: p(0)}, "100 % of the samples' pixel values are black or white, of real images 50 %"},
		{"half of what real images leave", UnionMetrics{ClippedPixels: p(0.75), RealClippedPixels: p(0.5)}, "75 %"},
		{"a little less", UnionMetrics{ClippedPixels: p(0.74), RealClippedPixels: p(0.5)}, ""},
		{"the real share unknown", UnionMetrics{ClippedPixels: p(0.96)}, "96 %"},
		{"images that are black and white", UnionMetrics{ClippedPixels: p(1), RealClippedPixels: p(0.98), IdenticalSamples: p(0.01)}, ""},
	} {
		r := &Run{Evaluations: []Evaluation{{Union: UnionMetrics{IdenticalSamples: p(1)}}, {AfterTask: 1, Union: tc.union}}} // the last one counts
		why, got := r.Collapsed()
		if got != (tc.want != "") || !strings.Contains(why, tc.want) {
			t.Errorf("%s: %v, %q; want %q", tc.name, got, why, tc.want)
		}
	}
	if _, got := new(Run).Collapsed(); got {
		t.Error("a run without evaluations has collapsed")
	}
}

// None of the stored runs, bounds, penalties and tenfold weights among them, is taken for one that diverged or collapsed.
func TestStoredRunsAreHealthy(t *testing.T) {
	for _, f := range storedRuns(t) {
		r, err := Load(f)
		if err != nil {
			t.Fatal(err)
		}
		if loss, bad := r.Diverged(); bad {
			t.Errorf("%s: diverged, its loss ends at %g", f, loss)
		}
		if why, bad := r.Collapsed(); bad {
			t.Errorf("%s: collapsed, %s", f, why)
		}
	}
}

// storedRuns are the files of all stored runs of this repository.
func storedRuns(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob("../../notebooks/results/*/*.json")
	files = slices.DeleteFunc(files, func(f string) bool { return filepath.Base(filepath.Dir(f)) == "perf" }) // measurements of speed
	if err != nil || len(files) < 100 {
		t.Fatalf("%d stored runs, %v", len(files), err)
	}
	return files
}
