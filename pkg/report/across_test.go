package report

import (
	"slices"
	"strings"
	"testing"

	"palimpsest/pkg/results"
)

// A method has one row whatever it ran on; what it did not run on is missing; fewer seeds than others have are said.
func TestAcrossBenchmarks(t *testing.T) {
	var runs []*results.Run
	for seed, d := range []float64{-1, 0, 1} {
		small := finals("er", "er", uint64(seed), 10+d, 20+d)
		large := finals("er", "er mnist", uint64(seed), 30+d, 50+d)
		large.Benchmark.Dataset, large.Config["variant"] = "mnist, 2 tasks of 1 class", "mnist"
		runs = append(runs, small, large)
	}
	runs = append(runs, finals("gr", "gr", 0, 5, 6))
	table := AcrossBenchmarks(Group(runs), FinalOf(FID), ForgettingOf(FID))
	if !slices.Equal(table.Rows, []string{"er", "gr"}) || len(table.Sections) != 2 || len(table.Sections[0].Columns) != 2 {
		t.Fatalf("rows %v, %d sections", table.Rows, len(table.Sections))
	}
	want := map[string][]string{runs[0].Benchmark.Dataset: {"15.0 ± 1.0", "5.5 (1 seed)"}, "mnist": {"40.0 ± 1.0", missing}}
	for _, c := range table.Sections[0].Columns {
		for name, cells := range want {
			if strings.HasPrefix(name, c.Head) && (c.Cells[0].Text != cells[0] || c.Cells[1].Text != cells[1]) {
				t.Errorf("%s: %v, want %v", c.Head, c.Cells, cells)
			}
		}
	}
	if text := table.Text(110); !strings.Contains(text, "down a column only") || !strings.Contains(text, "Mnist: ") {
		t.Errorf("the notes do not say what compares, and on what:\n%s", text)
	}
}
