package report

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"palimpsest/pkg/results"
)

// swept is a run of er in a sweep. Tasks end at fid, but for little that the seed does to each λ its way, so that paired
// differences have a spread; copies is the share of samples that copy a buffer image, likewise where the buffer is 20.
func swept(lambda float64, buffer, rows, tasks int, seed uint64, fid, copies float64) *results.Run {
	off := []float64{1, -2, 1}[seed] * lambda
	fid += 0.02 * off * float64(1+buffer/200)
	if buffer == 20 {
		copies += 0.0005 * off
	}
	fids := make([]float64, tasks)
	for j := range fids {
		fids[j] = fid + float64(j) - float64(tasks-1)/2 // fid on average
	}
	label := fmt.Sprintf("er λ=%g buffer=%d", lambda, buffer)
	r := finals("er", label, seed, fids...)
	r.Strategy.Settings = map[string]any{"lambda": lambda, "buffer": buffer, "rows": 0, "draw": "uniform"}
	r.Cost.ReplayRows = rows
	if rows != 16 {
		r.Strategy.Settings["rows"] = rows
		r.Strategy.Label += fmt.Sprintf(" rows=%d", rows)
	}
	if tasks != 2 {
		r.Config["variant"] = fmt.Sprintf("%d tasks", tasks)
		r.Strategy.Label += fmt.Sprintf(" %d tasks", tasks)
	}
	for i := range r.Evaluations {
		for j := range r.Evaluations[i].Tasks {
			r.Evaluations[i].Tasks[j].MemorisedBuffer = p(copies)
		}
	}
	return r
}

// parabola is a FID with its least value at λ = best, in log10 λ.
func parabola(lambda, best float64) float64 { return 10 + 20*math.Pow(math.Log10(lambda/best), 2) }

var tried = []float64{0.1, 0.3, 1, 3}

// madeUpSweep has the best λ at 0.3 with a buffer of 20 and at 1 with one of 200, on 2 and on 3 tasks, fewer copies the
// smaller λ is, and a finetune.
func madeUpSweep() []*results.Run {
	var runs []*results.Run
	for seed := range uint64(3) {
		d := float64(seed) / 10
		for _, tasks := range []int{2, 3} {
			for _, lambda := range tried {
				runs = append(runs, swept(lambda, 20, 16, tasks, seed, parabola(lambda, 0.3)+d, 0.1*lambda+d/100),
					swept(lambda, 200, 16, tasks, seed, parabola(lambda, 1)+d, 0.01))
			}
			base := finals("finetune", "finetune", seed, make([]float64, tasks)...)
			for i := range base.Evaluations {
				for j := range base.Evaluations[i].Tasks {
					base.Evaluations[i].Tasks[j].FID = p(60 + d)
				}
			}
			if tasks == 3 {
				base.Strategy.Label, base.Config["variant"] = "finetune 3 tasks", "3 tasks"
			}
			runs = append(runs, base)
		}
	}
	return runs
}

func TestSweepLines(t *testing.T) {
	s, err := NewSweep(madeUpSweep(), "er")
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, l := range s.Lines {
		got = append(got, s.title(l))
		if !slices.Equal(l.Lambdas, tried) || len(l.Methods[0].Runs) != 3 {
			t.Errorf("%s has λ %v of %d runs", l.Name, l.Lambdas, len(l.Methods[0].Runs))
		}
	}
	if want := []string{"buffer 20, 2 tasks", "buffer 200, 2 tasks", "buffer 20, 3 tasks", "buffer 200, 3 tasks"}; !slices.Equal(got, want) {
		t.Errorf("lines %v, want %v", got, want)
	}
	// Runs that store no buffer are sorted by what they held; other settings tell lines apart.
	var old []*results.Run
	for _, lambda := range []float64{0.3, 1} {
		a := swept(lambda, 60, 16, 2, 0, 10, 0)
		delete(a.Strategy.Settings, "buffer")
		a.Cost.StoredImages = 60
		b := swept(lambda, 60, 4, 2, 0, 10, 0)
		c := swept(lambda, 60, 16, 2, 0, 10, 0)
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
	if _, err = NewSweep(old[:3], "er"); err == nil || !strings.Contains(err.Error(), "1 values of λ above 0") {
		t.Errorf("one λ gives %v", err)
	}
}

// Longer training is a line of its own, which λ is compared within and which is compared with the shorter.
func TestBestLambdaBySteps(t *testing.T) {
	var runs []*results.Run
	for seed := range uint64(3) {
		d := float64(seed) / 10
		for _, lambda := range tried {
			long := swept(lambda, 20, 16, 2, seed, parabola(lambda, 0.3)+d+d*lambda/10, lambda/10+d/100)
			long.Cost.Steps, long.Config["variant"] = 3*long.Cost.Steps, "steps_per_task=300"
			long.Strategy.Label += " steps_per_task=300"
			runs = append(runs, swept(lambda, 20, 16, 2, seed, parabola(lambda, 1)+d, 0.01), long)
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
	b, err := BestLambda(madeUpSweep(), "er")
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []float64{0.3, 1, 0.3, 1} {
		r := b.Rows[i]
		// Seeds shift every λ nearly alike: all are told apart.
		if r.Best != want || len(r.Level) > 0 || r.Reduced != 0.3 || r.Tried != 2 {
			t.Errorf("%s: best λ %g, not told apart %v, best below 1 %g of %d; want %g alone, and 0.3 of 2", b.Sweep.title(r.Line), r.Best, r.Level, r.Reduced, r.Tried, want)
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
		for k, lambda := range tried {
			no = append(no, swept(lambda, 20, 16, 2, seed, parabola(lambda, 3)+0.1*float64(seed), 0.5-0.1*lambda+0.01*float64(seed)))
			// The best λ is another one for every seed.
			unsure = append(unsure, swept(lambda, 20, 16, 2, seed, 20+5*math.Cos(2*float64(seed)+float64(k)), 0.1))
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
	if r := b.Rows[0]; len(r.Level) != len(tried)-1 {
		t.Errorf("seeds that disagree tell %g apart from all λ but %v", r.Best, r.Level)
	}
	one := slices.DeleteFunc(slices.Clone(no), func(r *results.Run) bool { return r.Seed > 0 })
	if b, err = BestLambda(one, "er"); err != nil {
		t.Fatal(err)
	}
	if text = strings.Join(b.Sentences(), "\n"); !strings.Contains(text, "better? Not decided by these seeds") || b.Rows[0].levelText() != missing {
		t.Errorf("one seed says:\n%s", text)
	}
}

// A λ that no seed shares with the others leaves its line out.
func TestBestLambdaLeavesOut(t *testing.T) {
	runs := slices.DeleteFunc(madeUpSweep(), func(r *results.Run) bool {
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
