package study

import (
	"math"

	"palimpsest/pkg/metrics"
	"palimpsest/pkg/results"
)

// finalOfKnown is m after the last task, averaged over the tasks that it was measured for.
func finalOfKnown(r *results.Run, m Metric) float64 {
	x := Matrix(r, m)
	if x.Tasks() == 0 {
		return math.NaN()
	}
	return metrics.WeightedMeanOfKnown(x.R[x.Tasks()-1], x.Weights)
}

// ColumnOf is the final average of a metric as [Metric.InTable] has it, in the unit it is shown in.
func (g Method) ColumnOf(m Metric) Stat {
	of := func(r *results.Run) float64 { return Matrix(r, m).Final() }
	if m.InTable.Known {
		of = func(r *results.Run) float64 { return finalOfKnown(r, m) }
	}
	return g.Over(of).Times(m.Factor())
}

// Summary holds a method's numbers for the table. "Final" is after the last task, averaged over all tasks; a
// number is missing as soon as one of the cells of R it needs was not measured.
type Summary struct {
	FID                Stat // final average
	FIDForgetting      Stat // final FID minus FID just after learning, average over all tasks but the last
	LastTaskFID        Stat // FID of the task learned last: plasticity
	IncrementalFID     Stat // average over training of the average over the tasks seen by then
	Coverage           Stat // final average
	ClassAccuracy      Stat // final average, in [0, 1]
	AccuracyForgetting Stat // class accuracy lost since learned, average over all tasks but the last
	LabelKL            Stat // over all final samples together, nats
	LabelARD           Stat // over all final samples together
	BPD                Stat // final average, bits per dimension
	BPDForgetting      Stat // final BPD minus BPD just after learning, average over all tasks but the last
	MemorisedBuffer    Stat // share of final samples that copy a buffer image by ratio, average over the tasks with a buffer
	MemorisedTrain     Stat // share of final samples that copy a training image by ratio, average over tasks
	StoredImages       Stat
	StoredBytes        Stat
	TrainSeconds       Stat
	ExtraEvaluations   Stat
	PeakRSS            Stat // bytes
}

// Summary computes the method's numbers.
func (g Method) Summary() Summary {
	final := func(m Metric) Stat {
		return g.Over(func(r *results.Run) float64 { return Matrix(r, m).Final() })
	}
	forgetting := func(m Metric) Stat {
		return g.Over(func(r *results.Run) float64 { return Matrix(r, m).Forgetting().SinceLearned })
	}
	union := func(f func(*results.UnionMetrics) *float64) Stat {
		return g.Over(func(r *results.Run) float64 {
			if e := FinalEvaluation(r); e != nil {
				return value(f(&e.Union))
			}
			return math.NaN()
		})
	}
	cost := func(f func(*results.Cost) float64) Stat {
		return g.Over(func(r *results.Run) float64 { return f(&r.Cost) })
	}
	return Summary{
		FID:           final(FID),
		FIDForgetting: forgetting(FID),
		LastTaskFID: g.Over(func(r *results.Run) float64 {
			m := Matrix(r, FID).R
			if len(m) == 0 {
				return math.NaN()
			}
			return m[len(m)-1][len(m)-1]
		}),
		IncrementalFID:     g.Over(func(r *results.Run) float64 { return Matrix(r, FID).AverageIncremental() }),
		Coverage:           final(Coverage),
		ClassAccuracy:      final(ClassAccuracy),
		AccuracyForgetting: forgetting(ClassAccuracy),
		LabelKL:            union(func(u *results.UnionMetrics) *float64 { return u.LabelKL }),
		LabelARD:           union(func(u *results.UnionMetrics) *float64 { return u.LabelARD }),
		BPD:                final(BPD),
		BPDForgetting:      forgetting(BPD),
		MemorisedBuffer:    g.FinalShare(MemorisedBuffer),
		MemorisedTrain:     final(MemorisedTrain),
		StoredImages:       cost(func(c *results.Cost) float64 { return float64(c.StoredImages) }),
		StoredBytes:        cost(func(c *results.Cost) float64 { return float64(c.StoredBytes) }),
		TrainSeconds:       cost(func(c *results.Cost) float64 { return c.TrainSeconds }),
		ExtraEvaluations:   cost(func(c *results.Cost) float64 { return float64(c.ExtraEvaluations) }),
		PeakRSS: cost(func(c *results.Cost) float64 {
			if c.PeakRSS == 0 { // the system does not report it
				return math.NaN()
			}
			return float64(c.PeakRSS)
		}),
	}
}
