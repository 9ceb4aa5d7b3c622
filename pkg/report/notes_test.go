package report

import (
	"math"
	"strings"
	"testing"

	"palimpsest/pkg/results"
)

// Tasks of different sizes have the fewest and the most images in the notes.
func TestNotesOfUnequalTasks(t *testing.T) {
	r := newRun("er", "er", 0, 3)
	r.Protocol.ReferenceImages = 369
	for i, n := range []int{425, 369, 400} {
		r.Benchmark.Tasks[i].Test = n
	}
	if got, want := comparedImages(r), "N = 200 generated images a task against 369 to 425 images a task of the test split;"; !strings.HasPrefix(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	for i := range r.Benchmark.Tasks { // not recorded
		r.Benchmark.Tasks[i].Test = 0
	}
	if got := comparedImages(r); !strings.Contains(got, "against 369 images a task of") {
		t.Errorf("%q", got)
	}
}

// A covariance of N images in N dimensions has rank N - 1: it is singular at N = D too.
func TestNotesOfSingularCovariances(t *testing.T) {
	r := newRun("er", "er", 0, 2)
	for _, tc := range []struct {
		samples, real int
		want          string // "" for none
	}{
		{200, 200, ""}, {65, 65, ""}, {64, 200, "The covariance of the samples is singular"}, {10, 200, "The covariance of the samples is singular"},
		{200, 64, "The covariance of the real images of the smallest task is singular"},
		{64, 64, "The covariance of the samples and the real images of the smallest task is singular"},
	} {
		r.Protocol.SamplesPerTask, r.Protocol.ReferenceImages = tc.samples, tc.real
		got := sampleSizeNote(r)
		if strings.Contains(got, "singular") != (tc.want != "") || !strings.Contains(got, tc.want) {
			t.Errorf("%d samples, %d real images, 64 dimensions: %q", tc.samples, tc.real, got)
		}
	}
}

// Below the tables of methods at searched settings stands how they were chosen, and what stands at an end of its range. Today's
// er has λ = 3 of 0.1 to 3, from one seed.
func TestTunedNotes(t *testing.T) {
	found := searches("er")[""]
	if found == nil {
		t.Fatal("er has not been searched")
	}
	er, plain, moved := newRun("er", "er λ=3", 0, 2), newRun("er", "er", 1, 2), newRun("er", "er λ=77", 0, 2)
	er.Provenance.Command, moved.Provenance.Command = "go run . bench --tuned --seeds 3", "go run . bench --tuned"
	er.Strategy.Settings, moved.Strategy.Settings = map[string]any{}, map[string]any{"lambda": 77.0}
	for key, v := range found.Settings {
		er.Strategy.Settings[key] = v
		if n, ok := v.(int); ok { // as JSON reads it
			er.Strategy.Settings[key] = float64(n)
		}
	}
	text := strings.Join(tunedNotes([]Method{{Label: "er λ=3", Runs: []*results.Run{er}}, {Label: "er λ=77", Runs: []*results.Run{moved}}}), "\n")
	want := []string{"Settings of 1 methods were chosen by a search: of ", " with " + seeds(found.Search.Budget.Seeds) + " a candidate.",
		"Ran at settings of an earlier search than the one now in pkg/cl/tuned: er λ=77."}
	for _, key := range found.Edge {
		want = append(want, "Chosen at an end of the values tried, so that a better one may lie beyond: er: "+key+" = ")
	}
	for _, w := range want {
		if !strings.Contains(text, w) {
			t.Errorf("missing %q in:\n%s", w, text)
		}
	}
	if got := tunedNotes([]Method{{Label: "er", Runs: []*results.Run{plain}}}); len(got) > 0 {
		t.Errorf("a run at settings of its own has notes on a search: %q", got)
	}
	// A composite without a search of its own has those of its parts.
	if parts := searches("er+lwf"); parts["er_"] == nil || parts["lwf_"] == nil || len(parts) != 2 {
		t.Errorf("er+lwf has searches %v", parts)
	}
}

// No range of an axis keeps its ticks from ending, and none has more than a page can show.
func TestTicksEnd(t *testing.T) {
	values := []float64{0, 1, -1, 1e-300, 1e300, -1e300, math.MaxFloat64, math.Inf(1), math.Inf(-1), math.NaN(), 1 + 1e-15, 1e16, 1e16 + 2, 3.4e38, 5e-324}
	for _, low := range values {
		for _, high := range values {
			for name, ticks := range map[string]int{"linear": len(linearTicks{}.Ticks(low, high)), "log": len(logTicks{}.Ticks(low, high)),
				"few": len(fewTicks{}.Ticks(low, high)), "zero": len(zeroLog{low}.Ticks(low, high))} {
				if ticks > 40 {
					t.Errorf("%s ticks from %g to %g: %d", name, low, high, ticks)
				}
			}
		}
	}
}
