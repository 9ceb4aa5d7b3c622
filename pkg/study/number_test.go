package study

import (
	"encoding/json"
	"math"
	"strings"
	"testing"

	"palimpsest/pkg/metrics"
	"palimpsest/pkg/results"
	"palimpsest/pkg/results/resultstest"
)

// Every metric reads the field of the stored form that its key names, and no other: with that field alone it is known, and all
// others are not.
func TestMetricsReadTheirFields(t *testing.T) {
	seen := map[string]bool{}
	for _, m := range Metrics() {
		if seen[m.Key] {
			t.Errorf("two metrics have the key %q", m.Key)
		}
		seen[m.Key] = true
		text := `{"` + m.Key + `": 0.25}`
		switch {
		case m.Key == BPD.Key:
			text = `{"bpd": {"mean": 0.25}}`
		case strings.HasPrefix(m.Key, "copies_of_buffer"):
			text = `{"copies": {"buffer": {"pixels": 0.25}}}`
		case strings.HasPrefix(m.Key, "copies_of_training"):
			text = `{"copies": {"train": {"pixels": 0.25}}}`
		}
		var stored results.TaskMetrics
		if err := json.Unmarshal([]byte(text), &stored); err != nil {
			t.Fatal(err)
		}
		for _, other := range Metrics() {
			got := other.Of(&stored)
			if want := other.Key == m.Key; want && got != 0.25 || !want && !math.IsNaN(got) {
				t.Errorf("of %s, %s is %g", text, other.Name, got)
			}
		}
	}
}

// Turned so that the best is the smallest, a number that improves upwards changes its sign; forgetting is worse where it is
// higher, whichever way the metric improves.
func TestNumbersAreTurned(t *testing.T) {
	for _, tc := range []struct {
		n                 Number
		turned            float64 // of 2
		arrow, name, axis string
	}{
		{FinalOf(FID), 2, "↓", "FID", "FID (lower is better)"},
		{ForgettingOf(FID), 2, "↓", "FID forgetting", "FID forgetting (lower is better)"},
		{FinalOf(ClassAccuracy), -2, "↑", "class accuracy", "class accuracy, % (higher is better)"},
		{ForgettingOf(ClassAccuracy), 2, "↓", "class accuracy forgetting", "class accuracy forgetting, % (lower is better)"},
		{FinalOf(BPD), 2, "↓", "BPD", "BPD, bits/dim (lower is better)"},
	} {
		if got := tc.n.Rankable(2); got != tc.turned || tc.n.arrow() != tc.arrow || tc.n.Name() != tc.name || tc.n.Axis() != tc.axis {
			t.Errorf("%s: %g %s %q %q, want %+v", tc.n.Name(), got, tc.n.arrow(), tc.n.Name(), tc.n.Axis(), tc)
		}
	}
}

// By hand, two tasks: accuracy 0.9 when learned and 0.3 at the end, 0.8 of the newest. Shares are shown in per cent.
func TestNumbersByHand(t *testing.T) {
	r := resultstest.NewRun("er", "er", 0, 2)
	cell := func(task int, v float64) results.TaskMetrics {
		return results.TaskMetrics{Task: task, ClassAccuracy: resultstest.Float(v)}
	}
	r.Evaluations = []results.Evaluation{
		{AfterTask: 0, Tasks: []results.TaskMetrics{cell(0, 0.5)}}, // replaced by the next, which is of the same task
		{AfterTask: 0, Tasks: []results.TaskMetrics{cell(0, 0.9)}},
		{AfterTask: 1, Tasks: []results.TaskMetrics{cell(0, 0.3), cell(1, 0.8)}},
	}
	for name, v := range map[string][2]float64{
		"final": {FinalOf(ClassAccuracy).Of(r), 55}, "forgetting": {ForgettingOf(ClassAccuracy).Of(r), 60},
	} {
		if math.Abs(v[0]-v[1]) > 1e-9 {
			t.Errorf("%s is %g, want %g", name, v[0], v[1])
		}
	}
	if got := FinalOf(FID).Of(r); !math.IsNaN(got) {
		t.Errorf("FID, which was not measured, is %g", got)
	}
	r.Protocol.TaskWeights = []float64{3, 1}
	if got := FinalOf(ClassAccuracy).Of(r); math.Abs(got-(3*30+80)/4.0) > 1e-9 {
		t.Errorf("with weights 3 and 1 the final accuracy is %g, want 42.5", got)
	}
	if e := FinalEvaluation(r); e != &r.Evaluations[2] {
		t.Errorf("the final evaluation is %+v", e)
	}
	r.Evaluations = r.Evaluations[:2]
	if e := FinalEvaluation(r); e != nil {
		t.Errorf("without the last task the final evaluation is %+v", e)
	}
}

// The matrix has the metric's direction and leaves out what a file names beyond its tasks.
func TestMatrixIgnoresStrangeTasks(t *testing.T) {
	r := resultstest.Finals("er", "er", 0, 1, 2)
	r.Evaluations = append(r.Evaluations, results.Evaluation{AfterTask: 7, Tasks: []results.TaskMetrics{{Task: 0, FID: resultstest.Float(9)}}})
	r.Evaluations[1].Tasks = append(r.Evaluations[1].Tasks, results.TaskMetrics{Task: -1, FID: resultstest.Float(9)})
	m := Matrix(r, FID)
	if m.Tasks() != 2 || m.R[1][0] != 1 || m.R[1][1] != 2 || m.R[0][0] != 0 || !math.IsNaN(m.R[0][1]) || m.Direction != metrics.LowerIsBetter {
		t.Errorf("%+v", m)
	}
}

// Names and units of axes.
func TestMetricLabels(t *testing.T) {
	for m, want := range map[*Metric]string{&FID: "FID (lower is better)", &ClassAccuracy: "class accuracy, % (higher is better)",
		&MemorisedBuffer: "copies of buffer images, by ratio, %"} {
		if got := m.Label(); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
