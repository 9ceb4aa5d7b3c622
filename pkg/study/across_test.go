package study

import (
	"slices"
	"strings"
	"testing"

	"palimpsest/pkg/results"
	"palimpsest/pkg/results/resultstest"
	"palimpsest/pkg/words"
)

// A method has one row whatever it ran on, for however many steps; what it did not run on is missing; fewer seeds than others
// have are said.
func TestAcrossBenchmarks(t *testing.T) {
	var runs []*results.Run
	for seed, d := range []float64{-1, 0, 1} {
		small := resultstest.Finals("er", "er", uint64(seed), 10+d, 20+d)
		large := resultstest.Finals("er", "er mnist", uint64(seed), 30+d, 50+d)
		large.Benchmark.Dataset, large.Config["variant"] = "mnist, 2 tasks of 1 class", "mnist"
		long := resultstest.Finals("er", "er mnist long", uint64(seed), 3+d, 5+d)
		long.Benchmark.Dataset, long.Config["variant"], long.Cost.Steps = large.Benchmark.Dataset, "mnist long", 3*large.Cost.Steps
		runs = append(runs, small, large, long)
	}
	runs = append(runs, resultstest.Finals("gr", "gr", 0, 5, 6))
	table := AcrossBenchmarks(Group(runs), FinalOf(FID), ForgettingOf(FID))
	if !slices.Equal(table.Rows, []string{"er", "gr"}) || len(table.Sections) != 2 || len(table.Sections[0].Columns) != 3 {
		t.Fatalf("rows %v, %d sections", table.Rows, len(table.Sections))
	}
	dataset, _, _ := strings.Cut(runs[0].Benchmark.Dataset, ",")
	for k, want := range [][]string{
		{dataset, "15.0 ± 1.0", "5.5 (1 seed)"},
		{"mnist, 300 steps", "40.0 ± 1.0", words.Missing},
		{"mnist, 900 steps", "4.0 ± 1.0", words.Missing},
	} {
		c := table.Sections[0].Columns[k]
		if got := []string{c.Head, c.Cells[0].Text, c.Cells[1].Text}; !slices.Equal(got, want) {
			t.Errorf("column %d is %q, want %q", k, got, want)
		}
	}
	if text := table.Text(110); !strings.Contains(text, "down a column only") || !strings.Contains(text, "Mnist, 900 steps: ") {
		t.Errorf("the notes do not say what compares, and on what:\n%s", text)
	}
}
