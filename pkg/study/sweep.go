package study

import (
	"cmp"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/pkg/errors"

	"palimpsest/pkg/results"
	"palimpsest/pkg/words"
)

// SweepLine is one setting of a strategy, except for λ, run with several λ.
type SweepLine struct {
	Name    string // how it differs from other lines of its benchmark and steps: "buffer 20", "16 + 4 rows"; "" for an only one
	Tasks   int
	Buffer  int // images that may be kept
	Fresh   int // rows a step
	Rows    int // replayed a step
	Steps   int // of the optimiser, over all tasks
	Variant string
	Lambdas []float64 // above 0, increasing
	Methods []Method  // at each λ

	bench benchmarkKey
	other string // its other settings
}

// Sweep is a study of one strategy over λ, by buffer, rows, steps and benchmark.
type Sweep struct {
	Strategy string
	Lines    []SweepLine // by benchmark, then steps, buffer and rows
	Methods  []Method    // of all strategies
}

// NewSweep collects the runs of a strategy with a setting lambda above 0 into lines. Settings of the strategy are as runs
// stored them; a buffer that was not stored is the most images held, rows are those of a step. It is an error if no line has
// two λ.
func NewSweep(runs []*results.Run, strategy string) (*Sweep, error) {
	s := &Sweep{Strategy: strategy, Methods: Group(runs)}
	found := map[float64]bool{}
	for _, g := range s.Methods {
		r := g.Runs[0]
		lambda, known := setting(r, "lambda")
		if g.Name() != strategy || !known || lambda <= 0 {
			continue
		}
		found[lambda] = true
		line := SweepLine{Tasks: g.Tasks(), bench: benchmarkOf(r), Buffer: bufferImages(r), Fresh: r.Cost.FreshRows, Rows: r.Cost.ReplayRows,
			Steps: r.Cost.Steps, Variant: variantOf(r), other: otherSettings(r)}
		i := slices.IndexFunc(s.Lines, func(l SweepLine) bool {
			return l.Training() == line.Training() && l.Buffer == line.Buffer && l.Fresh == line.Fresh && l.Rows == line.Rows &&
				l.Variant == line.Variant && l.other == line.other
		})
		if i < 0 {
			i, s.Lines = len(s.Lines), append(s.Lines, line)
		}
		l := &s.Lines[i]
		if k, there := slices.BinarySearch(l.Lambdas, lambda); there {
			l.Methods[k].Runs = append(slices.Clone(l.Methods[k].Runs), g.Runs...)
		} else {
			l.Lambdas, l.Methods = slices.Insert(l.Lambdas, k, lambda), slices.Insert(l.Methods, k, g)
		}
	}
	s.Lines = slices.DeleteFunc(s.Lines, func(l SweepLine) bool { return len(l.Lambdas) < 2 })
	if len(s.Lines) == 0 {
		return nil, errors.Errorf("study: the runs have %s of λ above 0 for %q, and no two under the same other settings; run `go run . bench --strategies finetune,%s --sweep lambda=0.1,0.3,1,3`",
			words.Count(len(found), "value"), strategy, strategy)
	}
	slices.SortStableFunc(s.Lines, func(a, b SweepLine) int {
		return cmp.Or(a.Training().compare(b.Training()), cmp.Compare(a.Buffer, b.Buffer), cmp.Compare(a.Rows, b.Rows),
			cmp.Compare(a.Fresh, b.Fresh), cmp.Compare(a.Variant, b.Variant), cmp.Compare(a.other, b.other))
	})
	s.name()
	return s, nil
}

// Training is what a line learned, and for how long.
func (l SweepLine) Training() Training { return Training{l.bench, l.Steps} }

// name names each line by how it differs from the others of its benchmark and length of training.
func (s *Sweep) name() {
	varies := func(of func(SweepLine) any) bool {
		return slices.ContainsFunc(s.Lines, func(l SweepLine) bool { return of(l) != of(s.Lines[0]) })
	}
	buffer := varies(func(l SweepLine) any { return l.Buffer })
	fresh := varies(func(l SweepLine) any { return l.Fresh })
	rows := varies(func(l SweepLine) any { return l.Rows })
	other := varies(func(l SweepLine) any { return l.other })
	for i, l := range s.Lines {
		var parts []string
		if buffer {
			parts = append(parts, fmt.Sprintf("buffer %d", l.Buffer))
		}
		if fresh {
			parts = append(parts, fmt.Sprintf("%d + %d rows", l.Fresh, l.Rows))
		} else if rows {
			parts = append(parts, fmt.Sprintf("%d rows", l.Rows))
		}
		if other && l.other != "" {
			parts = append(parts, l.other)
		}
		s.Lines[i].Name = strings.Join(parts, ", ")
	}
	// Whatever else differs goes by the variant's name.
	var same [][2]int
	for i, a := range s.Lines {
		for j, b := range s.Lines {
			if i != j && a.Name == b.Name && a.Training() == b.Training() {
				same = append(same, [2]int{i, j})
			}
		}
	}
	for _, pair := range same {
		if l := &s.Lines[pair[0]]; l.Variant != "" && !strings.HasSuffix(l.Name, l.Variant) {
			l.Name = strings.TrimPrefix(l.Name+", "+l.Variant, ", ")
		}
	}
}

// Title names a line with its benchmark and length of training, where the sweep has several.
func (s *Sweep) Title(l SweepLine) string {
	parts := slices.DeleteFunc([]string{l.Name, l.Training().Difference(s.Trainings())}, func(p string) bool { return p == "" })
	if len(parts) == 0 {
		return s.Strategy
	}
	return strings.Join(parts, ", ")
}

// Trainings are those of the lines, in their order.
func (s *Sweep) Trainings() []Training {
	var out []Training
	for _, l := range s.Lines {
		if !slices.Contains(out, l.Training()) {
			out = append(out, l.Training())
		}
	}
	return out
}

// Reference is the method of the strategy called name on a benchmark and as long, the first of several.
func (s *Sweep) Reference(name string, on Training) (Method, bool) {
	for _, g := range s.Methods {
		if g.Name() == name && trainingOf(g.Runs[0]) == on {
			return g, true
		}
	}
	return Method{}, false
}

// otherSettings lists the settings of a run's strategy, except λ, buffer and rows, that are not at their plain values: older
// runs do not store settings that were added later.
func otherSettings(r *results.Run) string {
	var parts []string
	for key, v := range r.Strategy.Settings {
		text := fmt.Sprint(v)
		switch {
		case key == "lambda" || key == "buffer" || key == "rows" || v == nil || text == "" || text == "uniform" || text == "constant" || text == "false":
		case reflect.ValueOf(v).Kind() == reflect.Slice:
			if reflect.ValueOf(v).Len() > 0 {
				parts = append(parts, key)
			}
		default:
			parts = append(parts, key+"="+text)
		}
	}
	slices.Sort(parts)
	return strings.Join(parts, " ")
}

// plainSettings says whether all settings of a run's strategy, except λ, buffer and rows, are plain ones.
func plainSettings(r *results.Run) bool {
	other := otherSettings(r)
	return other == "" || other == "policy=class-balanced"
}

// Copies is the measure of copies of buffer images that all lines have, and its criterion.
func (s *Sweep) Copies() (m Metric, criterion string) {
	var methods []Method
	for _, l := range s.Lines {
		methods = append(methods, l.Methods...)
	}
	_, m, criterion = CopyMetrics(methods)
	return m, criterion
}

// CopiesOf is the share of a run's final samples that copy a buffer image, in per cent, over the tasks it was measured for.
func (s *Sweep) CopiesOf() func(*results.Run) float64 {
	m, _ := s.Copies()
	return func(r *results.Run) float64 { return 100 * finalOfKnown(r, m) }
}

// Names are the names of the lines, each once.
func (s *Sweep) Names() []string {
	var out []string
	for _, l := range s.Lines {
		if !slices.Contains(out, l.Name) {
			out = append(out, l.Name)
		}
	}
	return out
}
