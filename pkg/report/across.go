package report

import (
	"cmp"
	"fmt"
	"slices"
)

// AcrossBenchmarks holds numbers of methods that ran on several benchmarks, a section a number: a row a method at its settings,
// a column a benchmark and number of optimiser steps.
func AcrossBenchmarks(methods []Method, numbers ...Number) *Table {
	t := &Table{}
	parts := bySteps(ByBenchmark(methods))
	keys, names := make([]benchmarkKey, len(parts)), make([]string, len(parts))
	for k, p := range parts {
		keys[k] = benchmarkOf(p[0].Runs[0])
	}
	for k, key := range keys {
		names[k] = cmp.Or(key.difference(keys), key.dataset)
		steps := parts[k][0].Runs[0].Cost.Steps
		for j, other := range parts {
			if keys[j] == key && other[0].Runs[0].Cost.Steps != steps {
				names[k] += fmt.Sprintf(", %d steps", steps)
				break
			}
		}
	}
	most := 0
	for _, g := range methods { // in the order of methods, not of benchmarks
		if name := withoutVariant(g.Runs[0]); !slices.Contains(t.Rows, name) {
			t.Rows = append(t.Rows, name)
		}
		most = max(most, len(g.Runs))
	}
	for _, n := range numbers {
		s := Section{Title: fmt.Sprintf("%s, by benchmark", n.Name())}
		for k, p := range parts {
			c := Column{Head: names[k], Unit: n.Metric.Unit, Arrow: n.arrow(), Long: n.Name() + " on this benchmark, averaged over its tasks."}
			for _, row := range t.Rows {
				value := NewStat(nil)
				if i := slices.IndexFunc(p, func(g Method) bool { return withoutVariant(g.Runs[0]) == row }); i >= 0 {
					value = p[i].Over(n.Of)
				}
				text := value.Format(1)
				if value.Known() && value.N < most {
					text += " (" + seeds(value.N) + ")"
				}
				c.Cells = append(c.Cells, Cell{Text: text, Sort: value.Mean})
			}
			s.Columns = append(s.Columns, c)
		}
		t.Sections = append(t.Sections, s)
	}
	t.Notes = []string{"Numbers compare down a column only: each benchmark has images, reference images and features of its own."}
	if most > 1 {
		t.Notes = append(t.Notes, fmt.Sprintf("± is the sample standard deviation over %s.", seeds(most)))
	}
	for k, p := range parts {
		r := p[0].Runs[0]
		sum := 0
		for _, task := range r.Benchmark.Tasks {
			sum += task.Train
		}
		t.Notes = append(t.Notes, fmt.Sprintf("%s: %d training images; %s.", upperFirst(names[k]), sum, comparedImages(r.Protocol)))
	}
	return t
}

// bySteps parts each group of methods by how many optimiser steps their runs took, few first.
func bySteps(groups [][]Method) [][]Method {
	var parts [][]Method
	for _, group := range groups {
		steps := func(g Method) int { return g.Runs[0].Cost.Steps }
		group = slices.Clone(group)
		slices.SortStableFunc(group, func(a, b Method) int { return cmp.Compare(steps(a), steps(b)) })
		for i, g := range group {
			if i == 0 || steps(g) != steps(group[i-1]) {
				parts = append(parts, nil)
			}
			parts[len(parts)-1] = append(parts[len(parts)-1], g)
		}
	}
	return parts
}
