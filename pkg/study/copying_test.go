package study

import (
	"fmt"
	"strings"
	"testing"

	"palimpsest/pkg/results"
	"palimpsest/pkg/results/resultstest"
)

// TestCopying: three tasks of 100 steps with 16 replayed rows draw each of 20 images of the first task 2 · 16 · 100 / 20 = 160 times, so that λ = 3
// weighs 480 and λ = 1 160; with 300 steps a task that is 480 at λ = 1, and the rule takes λ = 0.3. Where the first task has but 10 images, they are
// drawn 16 · 100 / 10 + 16 · 100 / 20 = 240 times. Ranks 1, 2, 3, 4 of λ × draws and 1.5, 3, 1.5, 4 of copies have ρ = 3 / √(5 · 4.5) = 0.63.
func TestCopying(t *testing.T) {
	var runs []*results.Run
	add := func(lambda float64, seed uint64, steps int, fid, copies float64) *results.Run {
		r := resultstest.Swept(lambda, 20, 16, 3, seed, fid, copies)
		r.Cost.Steps = 3 * steps
		delete(r.Config, "variant")
		r.Strategy.Label = fmt.Sprintf("er λ=%g buffer=20", lambda)
		for i := range r.Benchmark.Tasks {
			r.Benchmark.Tasks[i].Train = 50
		}
		tasks := r.Evaluations[len(r.Evaluations)-1].Tasks
		for k := range tasks { // the last task's samples copy nothing that counts
			share := copies * float64(2-k) / 1.5
			if k == 2 {
				share = 1
			}
			tasks[k].Copies = &results.Copies{Buffer: &results.CopyRates{Pixels: &share}}
		}
		return r
	}
	for seed := range uint64(3) {
		runs = append(runs, add(0.3, seed, 100, 12, 0), add(1, seed, 100, 10, 0), add(3, seed, 100, 14, 0.015),
			add(0.3, seed, 300, 8, 0.003), add(1, seed, 300, 11, 0.3))
	}
	c, err := Copying(runs, "er")
	if err != nil {
		t.Fatal(err)
	}
	var text strings.Builder
	for _, s := range c.Sentences() {
		text.WriteString(s + "\n")
	}
	for _, table := range c.Tables() {
		text.WriteString(table.Markdown())
	}
	for _, want := range []string{
		"below 300 (3 settings, 48 to 160): 0.0 to 0.3 % of", "300 or more (1 setting, 480 to 480): 30.0 to 30.0 % of", "λ above 1 (1 setting, 480 to 480): 1.5 to 1.5 %",
		"λ × draws by a Spearman's ρ of 0.63", "in 2 of 2 sweeps.",
		"| 300 steps | 160 | 1 | 10.0 ± 0.0 | 1 | 10.0 ± 0.0 | (best) | – | (λ = 1) |",
		"| 900 steps | 480 | 0.3 | 8.0 ± 0.0 | 0.3 | 8.0 ± 0.0 | (best) | – | −3.0 [−3.1, −2.9] |",
		"| 300 steps | 3 | 160 | 480 | 2.0 ± 0.0 | 1.5 ± 0.0 | 14.0 ± 0.1 |",
	} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("missing %q in:\n%s", want, text.String())
		}
	}
	r := add(1, 0, 100, 10, 0)
	r.Benchmark.Tasks[0].Train = 10
	if got := oldestDraws(r); got != 240 {
		t.Errorf("an image of a first task of ten was drawn %g times, want 240", got)
	}
	if _, err := Copying(resultstest.MadeUpSweep(), "er"); err == nil || !strings.Contains(err.Error(), "fixed yardstick") {
		t.Errorf("runs without the yardstick give %v", err)
	}
}
