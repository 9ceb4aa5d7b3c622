package study

import (
	"math"

	"palimpsest/pkg/metrics"
	"palimpsest/pkg/results"
)

// Metric is one number measured for every task after every task. All that tables and figures need to know of it is here.
type Metric struct {
	Key       string // as in the stored form, "class_accuracy"
	Name      string // as readers see it, "class accuracy"
	Unit      string // "", "%" or "bits/dim"
	Direction metrics.Direction
	Qualifies bool // neither better nor worse by itself: it qualifies the other metrics
	Share     bool // it lies between 0, none, and 1, all; so do metrics whose unit is %
	Decimals  int  // that show differences between runs; 0 for one
	Read      func(*results.TaskMetrics) *float64

	InTable InTable // of its final average in the table of methods
}

// InTable is where and how the table of methods shows the final average of a metric.
type InTable struct {
	Section     string // [Quality] or [Variety]; "" where it has no column, or one that the table writes out
	Head        string // "precision"
	Long        string // what it means, one sentence
	Least, Most int    // decimals
	Known       bool   // the average is over the tasks it was measured for: a buffer need not hold every task
}

// Sections of the table of methods.
const (
	Quality = "Quality and forgetting"
	Variety = "Variety and copying"
)

// The metrics of a task. Shares and accuracies are stored in [0, 1] and shown in per cent.
var (
	FID = Metric{Key: "fid", Name: "FID", Read: func(t *results.TaskMetrics) *float64 { return t.FID }}
	KID = Metric{Key: "kid", Name: "KID", Decimals: 4, Read: func(t *results.TaskMetrics) *float64 { return t.KID },
		InTable: InTable{Quality, "KID", "KID after the last task, averaged over all tasks.", 2, 5, false}}
	ClassAccuracy = Metric{Key: "class_accuracy", Name: "class accuracy", Unit: "%", Direction: metrics.HigherIsBetter,
		Read: func(t *results.TaskMetrics) *float64 { return t.ClassAccuracy }}
	Precision = Metric{Key: "precision", Name: "precision", Share: true, Direction: metrics.HigherIsBetter, Decimals: 3,
		Read:    func(t *results.TaskMetrics) *float64 { return t.Precision },
		InTable: InTable{Variety, "precision", "Share of samples within the neighbourhoods of real images.", 2, 3, false}}
	Recall = Metric{Key: "recall", Name: "recall", Share: true, Direction: metrics.HigherIsBetter, Decimals: 3,
		Read:    func(t *results.TaskMetrics) *float64 { return t.Recall },
		InTable: InTable{Variety, "recall", "Share of real images within the neighbourhoods of samples.", 2, 3, false}}
	Density = Metric{Key: "density", Name: "density", Direction: metrics.HigherIsBetter, Decimals: 3,
		Read:    func(t *results.TaskMetrics) *float64 { return t.Density },
		InTable: InTable{Variety, "density", "How many neighbourhoods of real images a sample lies in, over k.", 2, 3, false}}
	Coverage = Metric{Key: "coverage", Name: "coverage", Share: true, Direction: metrics.HigherIsBetter, Decimals: 3,
		Read:    func(t *results.TaskMetrics) *float64 { return t.Coverage },
		InTable: InTable{Variety, "coverage", "Share of real images with a sample in their neighbourhood.", 2, 3, false}}
	Vendi = Metric{Key: "vendi", Name: "Vendi score", Direction: metrics.HigherIsBetter, Decimals: 1,
		Read:    func(t *results.TaskMetrics) *float64 { return t.Vendi },
		InTable: InTable{Variety, "Vendi", "How many images that are nothing like one another a task's samples are worth: 1 where all are alike.", 1, 2, false}}
	FLD = Metric{Key: "fld", Name: "FLD", Decimals: 1, Read: cappedFLD,
		InTable: InTable{Variety, "FLD", "Feature Likelihood Divergence: how much less likely test images are under the samples than under as many real images, in " +
			"hundredths of a nat a dimension; bad samples, missing variety and copies raise it. Above 1,000 counts as 1,000.", 1, 2, false}}
	BPD = Metric{Key: "bpd", Name: "BPD", Unit: "bits/dim", Decimals: 3, Read: func(t *results.TaskMetrics) *float64 {
		if t.BPD == nil {
			return nil
		}
		return &t.BPD.Mean
	}}
	MemorisedBuffer = Metric{Key: "memorised_buffer", Name: "copies of buffer images, by ratio", Unit: "%", Qualifies: true,
		Read:    func(t *results.TaskMetrics) *float64 { return t.MemorisedBuffer },
		InTable: InTable{Variety, "buffer copies by ratio", "Share of samples that copy an image of the rehearsal buffer.", 1, 1, true}}
	MemorisedTrain = Metric{Key: "memorised_train", Name: "copies of training images, by ratio", Unit: "%", Qualifies: true,
		Read:    func(t *results.TaskMetrics) *float64 { return t.MemorisedTrain },
		InTable: InTable{Variety, "train copies by ratio", "Share of samples that copy a training image.", 1, 1, false}}
)

// Metrics returns all metrics of a task, in the order they are shown in.
func Metrics() []Metric {
	return []Metric{FID, ClassAccuracy, KID, Precision, Recall, Density, Coverage, Vendi, FLD, BPD, MemorisedBuffer, MemorisedTrain, CopiesBufferPixels, CopiesTrainPixels}
}

// cappedFLD is FLD up to the number from which on its authors take samples for copies: what lies above is copies too, and would
// drown every mean.
func cappedFLD(t *results.TaskMetrics) *float64 {
	const copies = 1000
	if t.FLD == nil || *t.FLD <= copies {
		return t.FLD
	}
	most := float64(copies)
	return &most
}

// Arrow is the sign in tables of which way is better, "" for neither.
func (m Metric) Arrow() string {
	switch {
	case m.Qualifies:
		return ""
	case m.Direction == metrics.HigherIsBetter:
		return "↑"
	}
	return "↓"
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

// Bounds are the least and the greatest value it can have, as it is shown; false where there is no greatest.
func (m Metric) Bounds() (low, high float64, ok bool) {
	return 0, m.Factor(), m.Share || m.Unit == "%"
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
