package report

import (
	"cmp"
	"math"
	"slices"
	"strings"
)

// Table is the comparison of strategies: sections of columns over the same rows, and the notes that make its
// numbers readable. [Table.Text], [Table.Markdown] and [Table.HTML] write it.
type Table struct {
	Head     string   // what the rows are; "" for "strategy"
	Rows     []string // labels of the methods
	Sections []Section
	Notes    []string // how the numbers were measured
	Alarms   []string // which rows are of runs that diverged or collapsed
	Warnings []string // why rows must not be compared, if so
}

// Section is a set of columns that belong together.
type Section struct {
	Title   string
	Columns []Column
}

// Column is one number for every row.
type Column struct {
	Head  string // "FID"
	Unit  string // "", "%", "MiB"
	Arrow string // "↓" lower is better, "↑" higher is better, "" neither
	Long  string // what it means, one sentence
	Cells []Cell
}

// Cell is one number of the table.
type Cell struct {
	Text string // "12.3 ± 0.4", "–"
	Sort float64
}

// Title is the column's head with its unit and arrow, "class accuracy, % ↑".
func (c Column) Title() string {
	text := c.Head
	if c.Unit != "" {
		text += ", " + c.Unit
	}
	if c.Arrow != "" {
		text += "\u00a0" + c.Arrow // never alone on a line
	}
	return text
}

// NewTable compares methods.
func NewTable(methods []Method) *Table {
	t := &Table{Rows: rows(methods), Notes: Notes(methods), Warnings: Warnings(methods), Alarms: alarms(methods)}
	summaries := make([]Summary, len(methods))
	for i, g := range methods {
		summaries[i] = g.Summary()
	}
	column := func(head, unit, long string, least, most int, scale float64, f func(*Summary) Stat) Column {
		values := make([]Stat, len(methods))
		for i := range summaries {
			values[i] = f(&summaries[i]).Times(scale)
		}
		c := Column{Head: head, Unit: unit, Long: long}
		for _, arrow := range []string{"↓", "↑"} {
			if short, found := strings.CutSuffix(head, " "+arrow); found {
				c.Head, c.Arrow = short, arrow
			}
		}
		decimals := decimalsFor(values, least, most)
		for i, s := range values {
			text := s.Format(decimals)
			if s.Known() && s.N < len(methods[i].Runs) {
				text += " (" + seeds(s.N) + ")" // not all seeds measured it
			}
			c.Cells = append(c.Cells, Cell{Text: text, Sort: s.Mean})
		}
		return c
	}
	biggest := func(f func(*Summary) Stat) float64 {
		most := 0.0
		for i := range summaries {
			if v := f(&summaries[i]).Mean; !math.IsNaN(v) {
				most = math.Max(most, v)
			}
		}
		return most
	}
	// A count that no seed changes needs no deviation.
	count := func(f func(*Summary) Stat) func(*Summary) Stat {
		return func(s *Summary) Stat {
			v := f(s)
			if v.Std == 0 {
				v.Std = math.NaN()
			}
			return v
		}
	}
	bytes := func(head, long string, f func(*Summary) Stat) Column {
		unit, size := byteUnit(biggest(f))
		return column(head, unit, long, 0, 2, 1/size, f)
	}

	t.Sections = []Section{
		{"Quality and forgetting", []Column{
			column("FID ↓", "", "FID after the last task, averaged over all tasks.", 1, 1, 1,
				func(s *Summary) Stat { return s.FID }),
			column("FID forgetting ↓", "", "By how much the FID of a task has risen at the end since it was learned, averaged over all tasks but the last.", 1, 1, 1,
				func(s *Summary) Stat { return s.FIDForgetting }),
			column("last task FID ↓", "", "FID of the task learned last, after learning it: plasticity.", 1, 1, 1,
				func(s *Summary) Stat { return s.LastTaskFID }),
			column("avg. incr. FID ↓", "", "FID averaged over the tasks seen so far, and that averaged over all moments of evaluation.", 1, 1, 1,
				func(s *Summary) Stat { return s.IncrementalFID }),
			column("KID ↓", "", "KID after the last task, averaged over all tasks.", 2, 5, 1,
				func(s *Summary) Stat { return s.KID }),
			column("accuracy ↑", "%", "Share of class-conditional samples that the classifier puts in their class, after the last task.", 1, 1, 100,
				func(s *Summary) Stat { return s.ClassAccuracy }),
			column("accuracy lost ↓", "%", "By how many points the class accuracy of a task has fallen at the end since it was learned, averaged over all tasks but the last.", 1, 1, 100,
				func(s *Summary) Stat { return s.AccuracyForgetting }),
		}},
		{"Variety and copying", []Column{
			column("precision ↑", "", "Share of samples within the neighbourhoods of real images.", 2, 3, 1,
				func(s *Summary) Stat { return s.Precision }),
			column("recall ↑", "", "Share of real images within the neighbourhoods of samples.", 2, 3, 1,
				func(s *Summary) Stat { return s.Recall }),
			column("density ↑", "", "How many neighbourhoods of real images a sample lies in, over k.", 2, 3, 1,
				func(s *Summary) Stat { return s.Density }),
			column("coverage ↑", "", "Share of real images with a sample in their neighbourhood.", 2, 3, 1,
				func(s *Summary) Stat { return s.Coverage }),
			column("label KL ↓", "nats", "KL divergence from the test images' label histogram to that of the samples, as the classifier sees them.", 3, 4, 1,
				func(s *Summary) Stat { return s.LabelKL }),
			column("label ARD ↓", "", "Absolute difference of the two label histograms.", 3, 4, 1,
				func(s *Summary) Stat { return s.LabelARD }),
			column("buffer copies by ratio", "%", "Share of samples that copy an image of the rehearsal buffer.", 1, 1, 100,
				func(s *Summary) Stat { return s.MemorisedBuffer }),
			column("train copies by ratio", "%", "Share of samples that copy a training image.", 1, 1, 100,
				func(s *Summary) Stat { return s.MemorisedTrain }),
		}},
	}
	if s, any := yardstickSection(methods); any {
		t.Sections = append(t.Sections, s)
	}
	if measured(methods, BPD) {
		t.Notes, t.Warnings = append(t.Notes, bpdNotes(methods)...), append(t.Warnings, bpdWarnings(methods)...)
		t.Sections = append(t.Sections, Section{"Likelihood", []Column{
			column("BPD ↓", "bits/dim", "Bits per dimension of test images after the last task, by the variational bound, averaged over all tasks.", 3, 3, 1,
				func(s *Summary) Stat { return s.BPD }),
			column("BPD forgetting ↓", "bits/dim", "By how much the bits per dimension of a task have risen at the end since it was learned, averaged over all tasks but the last.", 3, 4, 1,
				func(s *Summary) Stat { return s.BPDForgetting }),
		}})
	}
	t.Sections = append(t.Sections, Section{"What it cost", []Column{
		column("stored images", "", "Most images held at any time between tasks.", 0, 0, 1,
			count(func(s *Summary) Stat { return s.StoredImages })),
		bytes("stored", "Size of everything the strategy keeps.", count(func(s *Summary) Stat { return s.StoredBytes })),
		column("training", "s", "Seconds in training steps, compilation left out.", 0, 1, 1,
			func(s *Summary) Stat { return s.TrainSeconds }),
		column("extra evaluations", "", "Rows the strategy ran through a network beside the training step.", 0, 0, 1,
			count(func(s *Summary) Stat { return s.ExtraEvaluations })),
		bytes("peak memory", "Most memory the process held, more where it compiled than where it loaded what a run before had compiled.", func(s *Summary) Stat { return s.PeakRSS }),
	}})
	return t
}

// byteUnit chooses the unit in which v bytes are read best.
func byteUnit(v float64) (name string, size float64) {
	switch {
	case v >= 1<<30:
		return "GiB", 1 << 30
	case v >= 1<<20:
		return "MiB", 1 << 20
	case v >= 1<<10:
		return "KiB", 1 << 10
	}
	return "bytes", 1
}

// legend says what the arrows of the heads mean, if there are any.
func (t *Table) legend() string {
	const dash = "– not measured or does not apply."
	for _, s := range t.Sections {
		for _, c := range s.Columns {
			if c.Arrow != "" {
				return "↓ lower is better, ↑ higher is better, " + dash
			}
		}
	}
	return dash
}

// notes are the table's warnings, legend and notes, as they stand under every rendering.
func (t *Table) notes() []string {
	out := slices.Clone(t.Alarms)
	for _, w := range t.Warnings {
		out = append(out, "NOT COMPARABLE: "+w)
	}
	return append(append(out, t.legend()), t.Notes...)
}

// head is the title of the rows' labels.
func (t *Table) head() string { return cmp.Or(t.Head, "strategy") }

// String is the table for a terminal of 110 columns.
func (t *Table) String() string { return strings.TrimRight(t.Text(110), "\n") }
