package study

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"palimpsest/pkg/results"
	"palimpsest/pkg/results/resultstest"
	"palimpsest/pkg/words"
)

func TestSweepLines(t *testing.T) {
	s, err := NewSweep(resultstest.MadeUpSweep(), "er")
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, l := range s.Lines {
		got = append(got, s.Title(l))
		if !slices.Equal(l.Lambdas, resultstest.Lambdas) || len(l.Methods[0].Runs) != 3 {
			t.Errorf("%s has λ %v of %d runs", l.Name, l.Lambdas, len(l.Methods[0].Runs))
		}
	}
	if want := []string{"buffer 20, 2 tasks", "buffer 200, 2 tasks", "buffer 20, 3 tasks", "buffer 200, 3 tasks"}; !slices.Equal(got, want) {
		t.Errorf("lines %v, want %v", got, want)
	}
	// Runs that store no buffer are sorted by what they held; other settings tell lines apart.
	var old []*results.Run
	for _, lambda := range []float64{0.3, 1} {
		a := resultstest.Swept(lambda, 60, 16, 2, 0, 10, 0)
		delete(a.Strategy.Settings, "buffer")
		a.Cost.StoredImages = 60
		b := resultstest.Swept(lambda, 60, 4, 2, 0, 10, 0)
		c := resultstest.Swept(lambda, 60, 16, 2, 0, 10, 0)
		c.Strategy.Settings["policy"], c.Strategy.Label = "ring", c.Strategy.Label+" policy=ring"
		old = append(old, a, b, c)
	}
	if s, err = NewSweep(old, "er"); err != nil {
		t.Fatal(err)
	}
	got = nil
	for _, l := range s.Lines {
		got = append(got, fmt.Sprintf("%s/%d", l.Name, l.Buffer))
	}
	if want := []string{"4 rows/60", "16 rows/60", "16 rows, policy=ring/60"}; !slices.Equal(got, want) {
		t.Errorf("lines %v, want %v", got, want)
	}
	if _, err = NewSweep(old[:3], "er"); err == nil || !strings.Contains(err.Error(), "1 value of λ above 0") {
		t.Errorf("one λ gives %v", err)
	}
}

// Longer training is a line of its own, which λ is compared within and which is compared with the shorter.
func TestBestLambdaBySteps(t *testing.T) {
	var runs []*results.Run
	for seed := range uint64(3) {
		d := float64(seed) / 10
		for _, lambda := range resultstest.Lambdas {
			long := resultstest.Swept(lambda, 20, 16, 2, seed, resultstest.Parabola(lambda, 0.3)+d+d*lambda/10, lambda/10+d/100)
			long.Cost.Steps, long.Config["variant"] = 3*long.Cost.Steps, "steps_per_task=300"
			long.Strategy.Label += " steps_per_task=300"
			runs = append(runs, resultstest.Swept(lambda, 20, 16, 2, seed, resultstest.Parabola(lambda, 1)+d, 0.01), long)
		}
	}
	b, err := BestLambda(runs, "er")
	if err != nil {
		t.Fatal(err)
	}
	text := strings.Join(b.Sentences(), "\n")
	for _, want := range []string{
		"300 steps: of the 2 λ below 1 the best, λ = 0.3", "900 steps: of the 2 λ below 1 the best, λ = 0.3",
		"lower in 1 of 2 settings", "From 300 steps to 900 steps the best λ goes from 1 to 0.3: it falls",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("the sentences lack %q:\n%s", want, text)
		}
	}
}

func TestBestLambdaOfAParabola(t *testing.T) {
	b, err := BestLambda(resultstest.MadeUpSweep(), "er")
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []float64{0.3, 1, 0.3, 1} {
		r := b.Rows[i]
		// Seeds shift every λ nearly alike: all are told apart.
		if r.Best != want || len(r.Level) > 0 || r.Reduced != 0.3 || r.Tried != 2 {
			t.Errorf("%s: best λ %g, not told apart %v, best below 1 %g of %d; want %g alone, and 0.3 of 2", b.Sweep.Title(r.Line), r.Best, r.Level, r.Reduced, r.Tried, want)
		}
	}
	text := strings.Join(b.Sentences(), "\n")
	for _, want := range []string{
		"Is a reduced λ better than λ = 1? It depends: by the paired t (p < 0.05) the FID of the best λ below 1 is lower in 2 of 4 settings, higher in 2 and not told apart in 0.",
		"Buffer 20, 2 tasks: of the 2 λ below 1 the best, λ = 0.3 ends at a FID of 10.1 ± 0.1, λ = 1 at 15.6 ± 0.1; it is better by 5.5 [",
		"Does a reduced λ copy less than λ = 1? In part: by the paired t (p < 0.05) the share of samples that copy a buffer image, told by the distance ratio, is lower in 2 of 4 settings, higher in 0 and not told apart in 2.",
		"From buffer 20, 2 tasks to buffer 200, 2 tasks the best λ goes from 0.3 to 1: it rises, the FID of the second less that of the first going from ",
		"From buffer 20, 2 tasks to buffer 20, 3 tasks the best λ stays at 0.3.",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("missing %q in:\n%s", want, text)
		}
	}
}

// The sentences can say no, and that they do not know.
func TestBestLambdaSaysNo(t *testing.T) {
	var no, unsure []*results.Run
	for seed := range uint64(3) {
		for k, lambda := range resultstest.Lambdas {
			no = append(no, resultstest.Swept(lambda, 20, 16, 2, seed, resultstest.Parabola(lambda, 3)+0.1*float64(seed), 0.5-0.1*lambda+0.01*float64(seed)))
			// The best λ is another one for every seed.
			unsure = append(unsure, resultstest.Swept(lambda, 20, 16, 2, seed, 20+5*math.Cos(2*float64(seed)+float64(k)), 0.1))
		}
	}
	b, err := BestLambda(no, "er")
	if err != nil {
		t.Fatal(err)
	}
	text := strings.Join(b.Sentences(), "\n")
	for _, want := range []string{"better than λ = 1? No: ", "copy less than λ = 1? No: "} {
		if !strings.Contains(text, want) {
			t.Errorf("missing %q in:\n%s", want, text)
		}
	}
	if got := b.Rows[0].lambdaText(); got != "≥3" {
		t.Errorf("the best λ at the end of those tried is written %q", got)
	}
	if b, err = BestLambda(unsure, "er"); err != nil {
		t.Fatal(err)
	}
	if r := b.Rows[0]; len(r.Level) != len(resultstest.Lambdas)-1 {
		t.Errorf("seeds that disagree tell %g apart from all λ but %v", r.Best, r.Level)
	}
	one := slices.DeleteFunc(slices.Clone(no), func(r *results.Run) bool { return r.Seed > 0 })
	if b, err = BestLambda(one, "er"); err != nil {
		t.Fatal(err)
	}
	if text = strings.Join(b.Sentences(), "\n"); !strings.Contains(text, "better? Not decided by these seeds") || b.Rows[0].levelText() != words.Missing {
		t.Errorf("one seed says:\n%s", text)
	}
}

// Without rehearsal, λ = 0, a run is in no line: the axis is logarithmic.
func TestSweepLeavesOutZero(t *testing.T) {
	var runs []*results.Run
	for _, lambda := range []float64{0, 0.3, 1} {
		runs = append(runs, resultstest.Swept(lambda, 20, 16, 2, 0, 10, 0))
	}
	s, err := NewSweep(runs, "er")
	if err != nil || len(s.Lines) != 1 || !slices.Equal(s.Lines[0].Lambdas, []float64{0.3, 1}) {
		t.Errorf("%+v, %v", s, err)
	}
	if _, err := NewSweep(runs[:2], "er"); err == nil || !strings.Contains(err.Error(), "1 value of λ above 0") {
		t.Errorf("λ = 0 counts as one: %v", err)
	}
}

// A λ that no seed shares with the others leaves its line out.
func TestBestLambdaLeavesOut(t *testing.T) {
	runs := slices.DeleteFunc(resultstest.MadeUpSweep(), func(r *results.Run) bool {
		buffer, _ := setting(r, "buffer")
		lambda, _ := setting(r, "lambda")
		return r.Strategy.Name == "er" && buffer == 20 && len(r.Benchmark.Tasks) == 2 && (lambda == 1) != (r.Seed == 2)
	})
	b, err := BestLambda(runs, "er")
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(b.Left, []string{"buffer 20, 2 tasks"}) || len(b.Rows) != 3 {
		t.Errorf("left out %v of %d lines", b.Left, len(b.Rows))
	}
}

// Lines are compared where they differ in one of buffer, rows, tasks and steps alone.
func TestDifferInOne(t *testing.T) {
	base := SweepLine{Buffer: 20, Rows: 16, Fresh: 16, Tasks: 5, Steps: 750}
	for _, tc := range []struct {
		change func(*SweepLine)
		want   bool
	}{
		{func(l *SweepLine) {}, false},
		{func(l *SweepLine) { l.Buffer = 200 }, true},
		{func(l *SweepLine) { l.Steps = 2250; l.Variant = "long" }, true},
		{func(l *SweepLine) { l.Tasks = 10; l.bench.tasks = 10 }, true},
		{func(l *SweepLine) { l.Rows, l.Fresh = 4, 28 }, true},          // the same number of rows in all
		{func(l *SweepLine) { l.Rows, l.Fresh = 4, 20 }, false},         // another number of rows, and other fresh ones
		{func(l *SweepLine) { l.Buffer = 200; l.Rows = 4 }, false},      // two at once
		{func(l *SweepLine) { l.Buffer = 200; l.other = "x" }, false},   // and a setting
		{func(l *SweepLine) { l.Buffer = 200; l.Variant = "v" }, false}, // and something without a number
		{func(l *SweepLine) { l.Steps = 9; l.bench.dataset = "mnist" }, false},
	} {
		other := base
		tc.change(&other)
		if got := differInOne(base, other); got != tc.want || differInOne(other, base) != tc.want {
			t.Errorf("%+v and %+v: %t, want %t", base, other, got, tc.want)
		}
	}
}

// The answer to a question follows from how many settings are on which side.
func TestAnswers(t *testing.T) {
	for _, tc := range []struct {
		below, level, above, open int
		want                      string
	}{{2, 0, 0, 0, "yes"}, {2, 1, 0, 0, "in part"}, {2, 1, 1, 0, "it depends"}, {0, 3, 1, 0, "no"}, {0, 3, 0, 2, "not told apart"}, {1, 0, 0, 4, "yes"}} {
		c := counts{}
		for n, d := range map[*int]Difference{&tc.below: Compare(onSeeds(1, 1.1), onSeeds(9, 9)), &tc.above: Compare(onSeeds(9, 9.1), onSeeds(1, 1)),
			&tc.level: Compare(onSeeds(1, 2), onSeeds(2, 1)), &tc.open: Compare(onSeeds(1), onSeeds(2))} {
			for range *n {
				c.add(d)
			}
		}
		c.add(Compare(NewStat(nil), onSeeds(1))) // counts for nothing
		if c != (counts{tc.below, tc.level, tc.above, tc.open}) || c.answer() != tc.want || c.all() != tc.below+tc.level+tc.above+tc.open {
			t.Errorf("%+v: %+v answers %q, want %q", tc, c, c.answer(), tc.want)
		}
	}
}

// A sweep's row at the end of the values tried is marked, and its λ below 1 are counted.
func TestEdges(t *testing.T) {
	r := BestLambdaRow{Line: SweepLine{Lambdas: []float64{0.1, 0.3, 1}}}
	for lambda, want := range map[float64]string{0.1: "≤0.1", 0.3: "0.3", 1: "≥1"} {
		if r.Best = lambda; r.lambdaText() != want {
			t.Errorf("best λ %g is written %q, want %q", lambda, r.lambdaText(), want)
		}
	}
}
