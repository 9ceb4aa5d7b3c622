package report

import (
	"fmt"
	"math"
	"math/rand/v2"

	"github.com/pkg/errors"
	"gonum.org/v1/gonum/stat"

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
func (n Number) Of(r *results.Run) float64 { return n.of(Matrix(r, n.Metric)) * n.Metric.factor() }

// Name is what readers call it: "FID", "FID forgetting".
func (n Number) Name() string {
	if n.forgetting() {
		return n.Metric.Name + " forgetting"
	}
	return n.Metric.Name
}

func (n Number) forgetting() bool { return n.What == "forgetting" }

// axis is its title on an axis.
func (n Number) axis() string {
	text := n.Name()
	if n.Metric.Unit != "" {
		text += ", " + n.Metric.Unit
	}
	return text + " (" + n.way.String() + ")"
}

// arrow is the sign in tables of which way is better.
func (n Number) arrow() string {
	if n.rankable(1) < 0 {
		return "↑"
	}
	return "↓"
}

// rankable turns a value so that the best is the smallest and gets rank 1.
func (n Number) rankable(v float64) float64 {
	if n.way == metrics.HigherIsBetter {
		return -v
	}
	return v
}

// decimals is how many show differences between runs.
func (n Number) decimals() int {
	switch n.Metric.Key {
	case BPD.Key, Coverage.Key, Precision.Key, Recall.Key, Density.Key:
		return 3
	case KID.Key:
		return 4
	}
	return 1
}

// RankAgreement says how far two numbers put the same runs in the same order. Both are turned so that the best ranks
// first: agreement is positive whichever way each improves.
type RankAgreement struct {
	A, B Number
	// Runs ranks all runs, strategies and seeds alike. Its intervals draw runs with replacement, as though each had
	// been an independent draw of a strategy and a seed; runs of one strategy are nearer to each other than that.
	Runs Ranks
	// Methods ranks the means over seeds of the methods. Its intervals draw the seeds of each method with replacement
	// and keep the methods: they say how far other seeds could have changed the order of these methods. Without a
	// method of two seeds there are none. N below 3 leaves it undefined.
	Methods Ranks
}

// Agreement compares the orders that numbers a and b put runs in. It needs three runs that measured both, and
// differences between them.
func Agreement(runs []*results.Run, a, b Number) (RankAgreement, error) {
	var kept []*results.Run
	var x, y []float64
	for _, r := range runs {
		u, v := a.rankable(a.Of(r)), b.rankable(b.Of(r))
		if !math.IsNaN(u) && !math.IsNaN(v) {
			kept, x, y = append(kept, r), append(x, u), append(y, v)
		}
	}
	if len(kept) < 3 {
		how := ""
		if a.Metric.Key == BPD.Key || b.Metric.Key == BPD.Key {
			how = "; runs of " + bpdCommand + " measure likelihoods"
		}
		return RankAgreement{}, errors.Errorf("report: %d of %d runs have both %s and %s for every task; need at least 3%s", len(kept), len(runs), a.Name(), b.Name(), how)
	}
	out := RankAgreement{A: a, B: b, Runs: newRanks(x, y, resamples, pairs(x, y))}
	if !out.Runs.Spearman.Known() {
		constant := a
		if stat.StdDev(x, nil) > 0 {
			constant = b
		}
		return RankAgreement{}, errors.Errorf("report: %s is the same in all %d runs; need differences, to rank them", constant.Name(), len(kept))
	}
	methods := Group(kept)
	meansX, meansY, drawn := make([]float64, len(methods)), make([]float64, len(methods)), [][2][]float64{}
	seeds := 1
	for i, g := range methods {
		var u, v []float64
		for _, r := range g.Runs {
			u, v = append(u, a.rankable(a.Of(r))), append(v, b.rankable(b.Of(r)))
		}
		meansX[i], meansY[i] = stat.Mean(u, nil), stat.Mean(v, nil)
		drawn = append(drawn, [2][]float64{u, v})
		seeds = max(seeds, len(u))
	}
	var resample func(*rand.Rand) ([]float64, []float64)
	if seeds > 1 {
		means := [2][]float64{make([]float64, len(methods)), make([]float64, len(methods))}
		resample = func(random *rand.Rand) ([]float64, []float64) {
			for i, d := range drawn {
				means[0][i], means[1][i] = 0, 0
				n := len(d[0])
				for range n {
					k := random.IntN(n)
					means[0][i] += d[0][k] / float64(n)
					means[1][i] += d[1][k] / float64(n)
				}
			}
			return means[0], means[1]
		}
	}
	out.Methods = Ranks{len(methods), Interval{math.NaN(), math.NaN(), math.NaN()}, Interval{math.NaN(), math.NaN(), math.NaN()}}
	if len(methods) > 2 {
		out.Methods = newRanks(meansX, meansY, resamples, resample)
	}
	return out, nil
}

// Sentence says in words how far the two agree.
func (r RankAgreement) Sentence() string {
	tau := r.Runs.Kendall
	word := "agree in part"
	switch {
	case math.IsNaN(tau.Low):
		word = "were compared too rarely to tell whether they agree"
	case tau.Low <= 0 && tau.High >= 0:
		word = "cannot be told from unrelated orders"
	case tau.Value < 0:
		word = "contradict each other"
	case tau.Value > 0.8:
		word = "mostly agree"
	}
	text := fmt.Sprintf("%s and %s %s over %d runs: Kendall's τ-b is %s, Spearman's ρ %s", r.A.Name(), r.B.Name(), word, r.Runs.N,
		tau.Format(2), r.Runs.Spearman.Format(2))
	if r.Methods.Kendall.Known() {
		text += fmt.Sprintf("; over the means of %d methods τ-b is %s", r.Methods.N, r.Methods.Kendall.Format(2))
	}
	return text + "."
}

// BPDRanks says how far bits per dimension rank runs as other metrics do.
type BPDRanks struct {
	Final      []RankAgreement // after the last task; as many as were measured
	Forgetting []RankAgreement
	methods    []Method
}

// NewBPDRanks compares bits per dimension with FID, coverage, class accuracy and KID, each after the last task and in
// how much was forgotten. Metrics that were not measured, and those that are the same everywhere, are left out; it is
// an error if nothing is left.
func NewBPDRanks(runs []*results.Run) (*BPDRanks, error) {
	runs, err := withBPD(runs)
	if err != nil {
		return nil, err
	}
	out := &BPDRanks{methods: Group(runs)}
	var first error
	for _, m := range []Metric{FID, Coverage, ClassAccuracy, KID} {
		for _, c := range []struct {
			to *[]RankAgreement
			of func(Metric) Number
		}{{&out.Final, FinalOf}, {&out.Forgetting, ForgettingOf}} {
			a, err := Agreement(runs, c.of(BPD), c.of(m))
			if err == nil {
				*c.to = append(*c.to, a)
			} else if first == nil {
				first = err
			}
		}
	}
	if len(out.Final)+len(out.Forgetting) == 0 {
		return nil, first
	}
	return out, nil
}

// Table holds the agreements, a row a metric that BPD is compared with.
func (r *BPDRanks) Table() *Table {
	t := &Table{Head: "BPD against", Warnings: append(Warnings(r.methods), bpdWarnings(r.methods)...)}
	for _, m := range []Metric{FID, Coverage, ClassAccuracy, KID} {
		t.Rows = append(t.Rows, m.Name)
	}
	for _, s := range []struct {
		title string
		list  []RankAgreement
	}{{"After the last task, averaged over all tasks", r.Final}, {"In how much was forgotten", r.Forgetting}} {
		if len(s.list) == 0 {
			continue
		}
		columns := []Column{
			{Head: "runs", Long: "Runs that measured both."},
			{Head: "Spearman ρ, runs", Long: "Correlation of ranks over all runs."},
			{Head: "Kendall τ-b, runs", Long: "Agreeing less disagreeing pairs of runs."},
			{Head: "methods", Long: "Methods that measured both."},
			{Head: "Spearman ρ, methods", Long: "Correlation of ranks over the methods' means."},
			{Head: "Kendall τ-b, methods", Long: "Agreeing less disagreeing pairs of methods' means."},
		}
		for _, row := range t.Rows {
			cells := []string{missing, missing, missing, missing, missing, missing}
			for _, a := range s.list {
				if a.B.Metric.Name == row {
					cells = []string{number(float64(a.Runs.N), 0), a.Runs.Spearman.Format(2), a.Runs.Kendall.Format(2),
						number(float64(a.Methods.N), 0), a.Methods.Spearman.Format(2), a.Methods.Kendall.Format(2)}
				}
			}
			for k := range columns {
				columns[k].Cells = append(columns[k].Cells, Cell{cells[k], math.NaN()})
			}
		}
		t.Sections = append(t.Sections, Section{s.title, columns})
	}
	t.Notes = append([]string{
		"1: the same order; 0: none in common; −1: reversed. Every metric is turned so that the best ranks first.",
		fmt.Sprintf("Brackets: 95 %% percentile bootstrap, %d draws. Over runs, runs are drawn with replacement; over methods, the seeds of each method are, the methods staying. Few runs or seeds make such brackets too narrow: they show how ranks might have fallen and tell no two methods apart.", resamples),
	}, bpdNotes(r.methods)...)
	return t
}

// Sentences says in words how far BPD agrees with each metric.
func (r *BPDRanks) Sentences() []string {
	var out []string
	for _, a := range append(append([]RankAgreement(nil), r.Final...), r.Forgetting...) {
		out = append(out, a.Sentence())
	}
	return out
}
