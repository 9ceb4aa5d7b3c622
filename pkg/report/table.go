package report

import (
	"math"
	"slices"
	"strings"

	"palimpsest/pkg/report/bits"
	"palimpsest/pkg/study"
	"palimpsest/pkg/table"
	"palimpsest/pkg/words"
)

// NewTable compares methods.
func NewTable(methods []study.Method) *table.Table {
	t := &table.Table{Rows: study.Labels(methods), Notes: Notes(methods), Warnings: study.Warnings(methods), Alarms: study.Alarms(methods)}
	summaries := make([]study.Summary, len(methods))
	for i, g := range methods {
		summaries[i] = g.Summary()
	}
	columnOf := func(head, unit, long string, least, most int, values []study.Stat) table.Column {
		c := table.Column{Head: head, Unit: unit, Long: long}
		for _, arrow := range []string{"↓", "↑"} {
			if short, found := strings.CutSuffix(head, " "+arrow); found {
				c.Head, c.Arrow = short, arrow
			}
		}
		decimals := study.DecimalsFor(values, least, most)
		for i, s := range values {
			text := s.Format(decimals)
			if s.Known() && s.N < methods[i].Seeds() {
				text += " (" + words.Seeds(s.N) + ")" // not all seeds measured it
			}
			c.Cells = append(c.Cells, table.Cell{Text: text, Sort: s.Mean})
		}
		return c
	}
	column := func(head, unit, long string, least, most int, scale float64, f func(*study.Summary) study.Stat) table.Column {
		values := make([]study.Stat, len(methods))
		for i := range summaries {
			values[i] = f(&summaries[i]).Times(scale)
		}
		return columnOf(head, unit, long, least, most, values)
	}
	// The columns that metrics declare themselves.
	finals := func(section string, qualifies bool) (out []table.Column) {
		for _, m := range study.Metrics() {
			if m.InTable.Section != section || m.Qualifies != qualifies {
				continue
			}
			values := make([]study.Stat, len(methods))
			for i, g := range methods {
				values[i] = g.ColumnOf(m)
			}
			c := columnOf(m.InTable.Head, m.Unit, m.InTable.Long, m.InTable.Least, m.InTable.Most, values)
			c.Arrow = m.Arrow()
			out = append(out, c)
		}
		return out
	}
	biggest := func(f func(*study.Summary) study.Stat) float64 {
		most := 0.0
		for i := range summaries {
			if v := f(&summaries[i]).Mean; !math.IsNaN(v) {
				most = math.Max(most, v)
			}
		}
		return most
	}
	// A count that no seed changes needs no deviation.
	count := func(f func(*study.Summary) study.Stat) func(*study.Summary) study.Stat {
		return func(s *study.Summary) study.Stat {
			v := f(s)
			if v.Std == 0 {
				v.Std = math.NaN()
			}
			return v
		}
	}
	bytes := func(head, long string, f func(*study.Summary) study.Stat) table.Column {
		unit, size := words.ByteUnit(biggest(f))
		return column(head, unit, long, 0, 2, 1/size, f)
	}

	t.Sections = []table.Section{
		{Title: study.Quality, Columns: slices.Concat([]table.Column{
			column("FID ↓", "", "FID after the last task, averaged over all tasks.", 1, 1, 1,
				func(s *study.Summary) study.Stat { return s.FID }),
			column("FID forgetting ↓", "", "By how much the FID of a task has risen at the end since it was learned, averaged over all tasks but the last.", 1, 1, 1,
				func(s *study.Summary) study.Stat { return s.FIDForgetting }),
			column("last task FID ↓", "", "FID of the task learned last, after learning it: plasticity.", 1, 1, 1,
				func(s *study.Summary) study.Stat { return s.LastTaskFID }),
			column("avg. incr. FID ↓", "", "FID averaged over the tasks seen so far, and that averaged over all moments of evaluation.", 1, 1, 1,
				func(s *study.Summary) study.Stat { return s.IncrementalFID }),
		}, finals(study.Quality, false), []table.Column{
			column("accuracy ↑", "%", "Share of class-conditional samples that the classifier puts in their class, after the last task.", 1, 1, 100,
				func(s *study.Summary) study.Stat { return s.ClassAccuracy }),
			column("accuracy lost ↓", "%", "By how many points the class accuracy of a task has fallen at the end since it was learned, averaged over all tasks but the last.", 1, 1, 100,
				func(s *study.Summary) study.Stat { return s.AccuracyForgetting }),
		})},
		{Title: study.Variety, Columns: slices.Concat(
			finals(study.Variety, false),
			[]table.Column{
				column("label KL ↓", "nats", "KL divergence from the test images' label histogram to that of the samples, as the classifier sees them.", 3, 4, 1,
					func(s *study.Summary) study.Stat { return s.LabelKL }),
				column("label ARD ↓", "", "Absolute difference of the two label histograms.", 3, 4, 1,
					func(s *study.Summary) study.Stat { return s.LabelARD }),
			},
			finals(study.Variety, true),
		)},
	}
	if s, any := study.YardstickSection(methods); any {
		t.Sections = append(t.Sections, s)
	}
	if study.Measured(methods, study.BPD) {
		t.Notes, t.Warnings = append(t.Notes, bits.Notes(methods)...), append(t.Warnings, bits.Warnings(methods)...)
		t.Sections = append(t.Sections, table.Section{Title: "Likelihood", Columns: []table.Column{
			column("BPD ↓", "bits/dim", "Bits per dimension of test images after the last task, by the variational bound, averaged over all tasks.", 3, 3, 1,
				func(s *study.Summary) study.Stat { return s.BPD }),
			column("BPD forgetting ↓", "bits/dim", "By how much the bits per dimension of a task have risen at the end since it was learned, averaged over all tasks but the last.", 3, 4, 1,
				func(s *study.Summary) study.Stat { return s.BPDForgetting }),
		}})
	}
	t.Sections = append(t.Sections, table.Section{Title: "What it cost", Columns: []table.Column{
		column("stored images", "", "Most images held at any time between tasks.", 0, 0, 1,
			count(func(s *study.Summary) study.Stat { return s.StoredImages })),
		bytes("stored", "Size of everything the strategy keeps.", count(func(s *study.Summary) study.Stat { return s.StoredBytes })),
		column("training", "s", "Seconds in training steps, compilation left out.", 0, 1, 1,
			func(s *study.Summary) study.Stat { return s.TrainSeconds }),
		column("extra evaluations", "", "Rows the strategy ran through a network beside the training step.", 0, 0, 1,
			count(func(s *study.Summary) study.Stat { return s.ExtraEvaluations })),
		bytes("peak memory", "Most memory the process held, more where it compiled than where it loaded what a run before had compiled.", func(s *study.Summary) study.Stat { return s.PeakRSS }),
	}})
	return t
}

// TextTable is the table of the methods for a terminal of 110 columns.
func TextTable(methods []study.Method) string { return NewTable(methods).String() + "\n" }

// MarkdownTable is the table of the methods in Markdown.
func MarkdownTable(methods []study.Method) string { return NewTable(methods).Markdown() }
