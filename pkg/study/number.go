package study

import (
	"palimpsest/pkg/metrics"
	"palimpsest/pkg/results"
)

// Number is one number of a run: a metric reduced over tasks.
type Number struct {
	Metric Metric
	What   string // "after the last task", "forgetting"
	of     func(*metrics.Matrix) float64
	way    metrics.Direction
}

// FinalOf is m after the last task, averaged over all tasks.
func FinalOf(m Metric) Number {
	return Number{m, "after the last task", (*metrics.Matrix).Final, m.Direction}
}

// ForgettingOf is by how much m has become worse since each task was learned, averaged over all tasks but the last;
// lower is better whichever way m improves. Joint training has none.
func ForgettingOf(m Metric) Number {
	return Number{m, "forgetting", func(r *metrics.Matrix) float64 { return r.Forgetting().SinceLearned }, metrics.LowerIsBetter}
}

// Of returns the number of a run in the unit it is shown in, NaN where it was not measured.
func (n Number) Of(r *results.Run) float64 { return n.of(Matrix(r, n.Metric)) * n.Metric.Factor() }

// byTask returns what [Number.Of] averages: the number of each task in the unit it is shown in, NaN where it was not
// measured. Forgetting is of all tasks but the last.
func (n Number) byTask(r *results.Run) []float64 {
	m := Matrix(r, n.Metric)
	if m.Tasks() == 0 {
		return nil
	}
	final := m.R[m.Tasks()-1]
	if n.Forgetting() {
		final = final[:m.Tasks()-1]
	}
	out := make([]float64, len(final))
	for j := range final {
		out[j] = final[j] * n.Metric.Factor()
		if n.Forgetting() {
			out[j] = m.TaskForgetting(j).SinceLearned * n.Metric.Factor()
		}
	}
	return out
}

// Name is what readers call it: "FID", "FID forgetting".
func (n Number) Name() string {
	if n.Forgetting() {
		return n.Metric.Name + " forgetting"
	}
	return n.Metric.Name
}

// Forgetting says whether n is what [ForgettingOf] gives.
func (n Number) Forgetting() bool { return n.What == "forgetting" }

// Axis is its title on an axis.
func (n Number) Axis() string {
	text := n.Name()
	if n.Metric.Unit != "" {
		text += ", " + n.Metric.Unit
	}
	return text + " (" + n.way.String() + ")"
}

// arrow is the sign in tables of which way is better.
func (n Number) arrow() string {
	if n.Rankable(1) < 0 {
		return "↑"
	}
	return "↓"
}

// Rankable turns a value so that the best is the smallest and gets rank 1.
func (n Number) Rankable(v float64) float64 {
	if n.way == metrics.HigherIsBetter {
		return -v
	}
	return v
}

// decimals is how many show differences between runs.
func (n Number) decimals() int { return max(n.Metric.Decimals, 1) }
