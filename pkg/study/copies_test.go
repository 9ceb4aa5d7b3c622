package study

import (
	"math"
	"testing"

	"palimpsest/pkg/results"
	"palimpsest/pkg/results/resultstest"
)

// copied gives the final samples of a run shares of copies by the fixed yardstick.
func copied(r *results.Run, share float64) *results.Run {
	r.Protocol.Copies = &results.CopyProtocol{Quantile: 0.01, HeldOut: 1000, Train: 6000, PixelThreshold: 10}
	for i := range r.Evaluations {
		for j := range r.Evaluations[i].Tasks {
			m := &r.Evaluations[i].Tasks[j]
			m.Copies = &results.Copies{Train: &results.CopyRates{Pixels: resultstest.Float(share)}}
			if m.MemorisedBuffer != nil {
				m.Copies.Buffer = &results.CopyRates{Pixels: resultstest.Float(2 * share)}
			}
		}
	}
	return r
}

// Copies are compared by the fixed yardstick where all that were searched have it, every seed of them, else by the ratio.
func TestCopyMetrics(t *testing.T) {
	for _, tc := range []struct {
		name string
		of   func(*results.Run) bool // which runs were searched by the yardstick
		want Metric
	}{
		{"none", func(*results.Run) bool { return false }, MemorisedTrain},
		{"all", func(*results.Run) bool { return true }, CopiesTrainPixels},
		{"all but one seed", func(r *results.Run) bool { return r.Seed > 0 || r.Strategy.Name != "er" }, MemorisedTrain},
		{"all but one method", func(r *results.Run) bool { return r.Strategy.Name != "joint" }, MemorisedTrain},
	} {
		runs := resultstest.MadeUp(2)
		for _, r := range runs {
			if tc.of(r) {
				copied(r, 0.05)
			}
		}
		train, buffer, _ := CopyMetrics(Group(runs))
		if train.Key != tc.want.Key || (buffer.Key == CopiesBufferPixels.Key) != (train.Key == CopiesTrainPixels.Key) {
			t.Errorf("%s: %s and %s", tc.name, train.Name, buffer.Name)
		}
	}
	methods := Group([]*results.Run{copied(resultstest.MadeUp(1)[1], 0.05)})
	if got := methods[0].FinalShare(CopiesBufferPixels).Mean; math.Abs(got-0.1) > 1e-12 {
		t.Errorf("the share of copies of the buffer is %g, want 0.1", got)
	}
	if s, any := YardstickSection(methods); !any || s.Columns[0].Cells[0].Text != "10.0 (–)" || math.Abs(s.Columns[2].Cells[0].Sort-5) > 1e-12 {
		t.Errorf("%+v", s)
	}
	if _, any := YardstickSection(Group(resultstest.MadeUp(1))); any {
		t.Error("runs without the yardstick have a section of it")
	}
}
