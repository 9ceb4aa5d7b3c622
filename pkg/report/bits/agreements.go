package bits

import (
	"fmt"
	"math"

	"palimpsest/pkg/results"
	"palimpsest/pkg/study"
	"palimpsest/pkg/table"
	"palimpsest/pkg/words"
)

// Agreements says how far bits per dimension rank runs as other metrics do.
type Agreements struct {
	Final      []study.RankAgreement // after the last task; as many as were measured
	Forgetting []study.RankAgreement
	methods    []study.Method
}

// NewAgreements compares bits per dimension with FID, coverage, class accuracy and KID, each after the last task and in
// how much was forgotten. Metrics that were not measured, and those that are the same everywhere, are left out; it is
// an error if nothing is left.
func NewAgreements(runs []*results.Run) (*Agreements, error) {
	runs, err := withBPD(runs)
	if err != nil {
		return nil, err
	}
	out := &Agreements{methods: study.Group(runs)}
	var first error
	for _, m := range []study.Metric{study.FID, study.Coverage, study.ClassAccuracy, study.KID} {
		for _, c := range []struct {
			to *[]study.RankAgreement
			of func(study.Metric) study.Number
		}{{&out.Final, study.FinalOf}, {&out.Forgetting, study.ForgettingOf}} {
			a, err := study.Agreement(runs, c.of(study.BPD), c.of(m))
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
func (r *Agreements) Table() *table.Table {
	t := &table.Table{Head: "BPD against", Warnings: append(study.Warnings(r.methods), Warnings(r.methods)...)}
	for _, m := range []study.Metric{study.FID, study.Coverage, study.ClassAccuracy, study.KID} {
		t.Rows = append(t.Rows, m.Name)
	}
	for _, s := range []struct {
		title string
		list  []study.RankAgreement
	}{{"After the last task, averaged over all tasks", r.Final}, {"In how much was forgotten", r.Forgetting}} {
		if len(s.list) == 0 {
			continue
		}
		columns := []table.Column{
			{Head: "runs", Long: "Runs that measured both."},
			{Head: "Spearman ρ, runs", Long: "Correlation of ranks over all runs."},
			{Head: "Kendall τ-b, runs", Long: "Agreeing less disagreeing pairs of runs."},
			{Head: "methods", Long: "Methods that measured both."},
			{Head: "Spearman ρ, methods", Long: "Correlation of ranks over the methods' means."},
			{Head: "Kendall τ-b, methods", Long: "Agreeing less disagreeing pairs of methods' means."},
		}
		for _, row := range t.Rows {
			cells := []string{words.Missing, words.Missing, words.Missing, words.Missing, words.Missing, words.Missing}
			for _, a := range s.list {
				if a.B.Metric.Name == row {
					cells = []string{words.Number(float64(a.Runs.N), 0), a.Runs.Spearman.Format(2), a.Runs.Kendall.Format(2),
						words.Number(float64(a.Methods.N), 0), a.Methods.Spearman.Format(2), a.Methods.Kendall.Format(2)}
				}
			}
			for k := range columns {
				columns[k].Cells = append(columns[k].Cells, table.Cell{Text: cells[k], Sort: math.NaN()})
			}
		}
		t.Sections = append(t.Sections, table.Section{Title: s.title, Columns: columns})
	}
	t.Notes = append([]string{
		"1: the same order; 0: none in common; −1: reversed. Every metric is turned so that the best ranks first.",
		fmt.Sprintf("Brackets: 95 %% percentile bootstrap, %d draws. Over runs, runs are drawn with replacement; over methods, the seeds of each method are, the methods staying. Few runs or seeds make such brackets too narrow: they show how ranks might have fallen and tell no two methods apart.", study.Resamples),
	}, Notes(r.methods)...)
	return t
}

// Sentences says in words how far BPD agrees with each metric.
func (r *Agreements) Sentences() []string {
	var out []string
	for _, a := range append(append([]study.RankAgreement(nil), r.Final...), r.Forgetting...) {
		out = append(out, a.Sentence())
	}
	return out
}
