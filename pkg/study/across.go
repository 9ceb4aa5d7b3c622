package study

import (
	"cmp"
	"fmt"
	"maps"
	"slices"

	"palimpsest/pkg/table"
	"palimpsest/pkg/words"
)

// AcrossBenchmarks holds numbers of methods that ran on several benchmarks, a section a number: a row a method at its settings,
// a column a benchmark and number of optimiser steps.
func AcrossBenchmarks(methods []Method, numbers ...Number) *table.Table {
	t := &table.Table{Alarms: Alarms(methods)}
	parts := map[Training][]Method{}
	for _, g := range methods {
		key := trainingOf(g.Runs[0])
		parts[key] = append(parts[key], g)
	}
	keys := slices.SortedFunc(maps.Keys(parts), Training.compare)
	names := make([]string, len(keys))
	for k, key := range keys {
		names[k] = cmp.Or(key.Difference(keys), key.bench.dataset)
	}
	most := 0
	for _, g := range methods { // in the order of methods, not of benchmarks
		if name := withoutVariant(g.Runs[0]); !slices.Contains(t.Rows, name) {
			t.Rows = append(t.Rows, name)
		}
		most = max(most, g.Seeds())
	}
	for _, n := range numbers {
		s := table.Section{Title: fmt.Sprintf("%s, by benchmark", n.Name())}
		for k, key := range keys {
			p := parts[key]
			c := table.Column{Head: names[k], Unit: n.Metric.Unit, Arrow: n.arrow(), Long: n.Name() + " on this benchmark, averaged over its tasks."}
			for _, row := range t.Rows {
				value, mark := NewStat(nil), ""
				if i := slices.IndexFunc(p, func(g Method) bool { return withoutVariant(g.Runs[0]) == row }); i >= 0 {
					value, mark = p[i].Over(n.Of), marks(p[i])
				}
				text := value.Format(1)
				if value.Known() && value.N < most {
					text += " (" + words.Seeds(value.N) + ")"
				}
				c.Cells = append(c.Cells, table.Cell{Text: text + mark, Sort: value.Mean})
			}
			s.Columns = append(s.Columns, c)
		}
		t.Sections = append(t.Sections, s)
	}
	t.Notes = []string{"Numbers compare down a column only: each benchmark has images, reference images and features of its own."}
	t.Notes = withRepeatNotes(t.Notes, methods)
	if most > 1 {
		t.Notes = append(t.Notes, fmt.Sprintf("± is the sample standard deviation over %s.", words.Seeds(most)))
	}
	for k, key := range keys {
		r := parts[key][0].Runs[0]
		sum := 0
		for _, task := range r.Benchmark.Tasks {
			sum += task.Train
		}
		t.Notes = append(t.Notes, fmt.Sprintf("%s: %d training images; %s.", words.UpperFirst(names[k]), sum, ComparedImages(r)))
	}
	return t
}
