package study

import (
	"math"

	"palimpsest/pkg/metrics"
	"palimpsest/pkg/results"
)

// Metric is one number measured for every task after every task.
type Metric struct {
	Key       string // as in the stored form, "class_accuracy"
	Name      string // as readers see it, "class accuracy"
	Unit      string // "", "%" or "bits/dim"
	Direction metrics.Direction
	Qualifies bool // neither better nor worse by itself: it qualifies the other metrics
	Read      func(*results.TaskMetrics) *float64
}

// The metrics of a task. Shares and accuracies are stored in [0, 1] and shown in per cent.
var (
	FID           = Metric{Key: "fid", Name: "FID", Read: func(t *results.TaskMetrics) *float64 { return t.FID }}
	KID           = Metric{Key: "kid", Name: "KID", Read: func(t *results.TaskMetrics) *float64 { return t.KID }}
	ClassAccuracy = Metric{Key: "class_accuracy", Name: "class accuracy", Unit: "%", Direction: metrics.HigherIsBetter,
		Read: func(t *results.TaskMetrics) *float64 { return t.ClassAccuracy }}
	Precision = Metric{Key: "precision", Name: "precision", Direction: metrics.HigherIsBetter,
		Read: func(t *results.TaskMetrics) *float64 { return t.Precision }}
	Recall = Metric{Key: "recall", Name: "recall", Direction: metrics.HigherIsBetter,
		Read: func(t *results.TaskMetrics) *float64 { return t.Recall }}
	Density = Metric{Key: "density", Name: "density", Direction: metrics.HigherIsBetter,
		Read: func(t *results.TaskMetrics) *float64 { return t.Density }}
	Coverage = Metric{Key: "coverage", Name: "coverage", Direction: metrics.HigherIsBetter,
		Read: func(t *results.TaskMetrics) *float64 { return t.Coverage }}
	BPD = Metric{Key: "bpd", Name: "BPD", Unit: "bits/dim", Read: func(t *results.TaskMetrics) *float64 {
		if t.BPD == nil {
			return nil
		}
		return &t.BPD.Mean
	}}
	MemorisedBuffer = Metric{Key: "memorised_buffer", Name: "copies of buffer images, by ratio", Unit: "%", Qualifies: true,
		Read: func(t *results.TaskMetrics) *float64 { return t.MemorisedBuffer }}
	MemorisedTrain = Metric{Key: "memorised_train", Name: "copies of training images, by ratio", Unit: "%", Qualifies: true,
		Read: func(t *results.TaskMetrics) *float64 { return t.MemorisedTrain }}
)

// Metrics returns all metrics of a task, in the order they are shown in.
func Metrics() []Metric {
	return []Metric{FID, ClassAccuracy, KID, Precision, Recall, Density, Coverage, BPD, MemorisedBuffer, MemorisedTrain, CopiesBufferPixels, CopiesTrainPixels}
}

// Label names the metric with its unit and which way is better: an axis title.
func (m Metric) Label() string {
	if m.Qualifies {
		return m.Title()
	}
	return m.Title() + " (" + m.Direction.String() + ")"
}

// Title names the metric with its unit.
func (m Metric) Title() string {
	if m.Unit == "" {
		return m.Name
	}
	return m.Name + ", " + m.Unit
}

// Factor turns a stored value into the shown one.
func (m Metric) Factor() float64 {
	if m.Unit == "%" {
		return 100
	}
	return 1
}

// Of returns the metric of a task, NaN if it was not measured.
func (m Metric) Of(t *results.TaskMetrics) float64 { return value(m.Read(t)) }

// value is *p, or NaN for nil.
func value(p *float64) float64 {
	if p == nil {
		return math.NaN()
	}
	return *p
}

// Matrix returns R[i][j] of a run: metric m after learning task i on task j, NaN where it was not measured. Of
// several evaluations after the same task the last one counts. Averages over its tasks take the run's weights.
func Matrix(run *results.Run, m Metric) *metrics.Matrix {
	tasks := len(run.Benchmark.Tasks)
	r := metrics.NewMatrix(m.Name, m.Direction, tasks)
	r.Weights = run.Protocol.TaskWeights
	for _, e := range run.Evaluations {
		for k := range e.Tasks {
			if i, j := e.AfterTask, e.Tasks[k].Task; i >= 0 && i < tasks && j >= 0 && j < tasks {
				r.R[i][j] = m.Of(&e.Tasks[k])
			}
		}
	}
	return r
}

// FinalEvaluation returns the evaluation after the last task, or nil.
func FinalEvaluation(run *results.Run) *results.Evaluation {
	for i := len(run.Evaluations) - 1; i >= 0; i-- {
		if run.Evaluations[i].AfterTask == len(run.Benchmark.Tasks)-1 {
			return &run.Evaluations[i]
		}
	}
	return nil
}
