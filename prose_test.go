package main

import (
	"fmt"
	"math"
	"regexp"
	"slices"
	"strings"
	"testing"

	"palimpsest/notebooks/kernel"
	"palimpsest/pkg/dynamics"
	"palimpsest/pkg/report"
	"palimpsest/pkg/report/bits"
	"palimpsest/pkg/report/forget"
	"palimpsest/pkg/results"
	"palimpsest/pkg/study"
	"palimpsest/pkg/words"
)

// Notebooks 02 and 03 show what the stored studies of both sizes give. A number in their prose stands in what they show, or it is
// worked out here from the studies.
func TestNotebooksSayWhatTheStoredStudiesGive(t *testing.T) {
	const at16, at32 = "notebooks/results/forgetting", "notebooks/results/forgetting32"
	var given02, given03 []string // what must be shown
	for _, dir := range []string{at16, at32} {
		d := must(forget.Open(dir))(t)
		given02 = append(given02, append(must(d.ForgettingFindings())(t), must(d.StitchingFindings())(t)...)...)
		methods := must(study.Open(dir))(t).Group()
		given03 = append(given03, append(must(bits.PartsSentences(methods))(t), report.NewScorecard(methods).Markdown())...)
	}
	d := must(forget.Open(at16))(t)
	for _, of := range []func() ([]string, error){d.CourseFindings, d.RecoveryFindings, d.DriftFindings, d.InterferenceFindings} {
		given02 = append(given02, must(of())(t)...)
	}
	targeted := must(study.Open("notebooks/results/targeted"))(t).Group()
	given02 = append(given02, report.TargetedFindings(targeted)...)
	larger := must(study.Open(at32))(t).Runs
	given03 = append(given03, must(bits.LostSentence(larger))(t), must(bits.LostTable(larger, 8))(t).Markdown())

	steps := fmt.Sprintf("after %d steps a task", larger[0].Cost.Steps/len(larger[0].Benchmark.Tasks))
	checkProse(t, "02_forgetting_dynamics", given02, append(targetedProse(t, targeted), steps, fmt.Sprintf("undo %s %% of the rise in FID of task 1", earliestSteps(t, at16))))
	worked := []string{strings.Replace(steps, "a", "A", 1)}
	for dir, times := range map[string][2]float64{at16: {3.5, 4.5}, at32: {2, 2}} { // how many times as high the prose calls the FID
		accuracy, lost, better, fid := firstTask(t, dir)
		worked = append(worked, "a class accuracy of "+accuracy.text(0)+" % to one of "+lost.text(0)+" %", "by "+better.text(1)+" %")
		if got := [2]float64{math.Round(2*fid.low) / 2, math.Round(2*fid.high) / 2}; got != times {
			t.Errorf("%s: the FID of task 1 is %g to %g times as high in the end; the prose says %v", dir, fid.low, fid.high, times)
		}
	}
	var all extent
	for _, m := range must(study.Open(at16))(t).Group() {
		all.add(m.Summary().BPD.Mean)
	}
	worked = append(worked, fmt.Sprintf("%.1f to %.2f", all.low, all.high))
	checkProse(t, "03_bpd_pitfalls", given03, worked)
}

// must ends a test with an error, or returns what came without one.
func must[T any](v T, err error) func(*testing.T) T {
	return func(t *testing.T) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

// checkProse wants a notebook to show all that is given, its prose to have all that was worked out, and every number of the prose in
// one or the other.
func checkProse(t *testing.T, name string, given, worked []string) {
	t.Helper()
	unsaid := regexp.MustCompile("(?s)```.*?```|`[^`]*`|\\]\\([^)]*\\)|\\d{4}\\.\\d{5}|[*]|<[^>]*>") // code, addresses, papers' numbers at arXiv
	number := regexp.MustCompile(`[−+]?\d+(\.\d+)? ± \d+(\.\d+)?|p [=<≤] 0\.\d+|\d+(\.\d+)? to \d+(\.\d+)?|\d+ of \d+|[≥≤] \d{3}|\d+\.\d+|\d+ %|\d+ s\b`)
	var shown strings.Builder
	prose := ""
	for _, c := range must(kernel.Read("notebooks/" + name + ".ipynb"))(t).Cells {
		if c.Type == "markdown" {
			prose += strings.Join(strings.Fields(unsaid.ReplaceAllString(c.Source, "")), " ") + "\n"
		}
		for _, o := range c.Outputs {
			if text, ok := o.Data["text/markdown"].(string); ok {
				shown.WriteString(text + "\n")
			}
		}
	}
	for _, g := range given {
		if !strings.Contains(shown.String(), g) {
			t.Errorf("%s does not show what the stored runs give; run `go run . notebook %s -o notebooks/%s.ipynb`:\n%s", name, name, name, g)
		}
	}
	for _, w := range worked {
		if !strings.Contains(prose, w) {
			t.Errorf("the prose of %s lacks what the stored runs give: %s", name, w)
		}
	}
	said := shown.String() + strings.Join(worked, "\n")
	numbers := number.FindAllString(prose, -1)
	for _, n := range numbers {
		forms := []string{n}
		if t, from := strings.CutPrefix(n, "≥ "); from {
			forms = append(forms, "t = "+t+"–")
		} else if t, to := strings.CutPrefix(n, "≤ "); to {
			forms = append(forms, "–"+t)
		}
		if !slices.ContainsFunc(forms, func(f string) bool { return strings.Contains(said, f) }) {
			t.Errorf("the prose of %s says %q, which nothing that it shows says", name, n)
		}
	}
	if len(numbers) < 20 {
		t.Errorf("only %d numbers in the prose of %s; they are no longer found", len(numbers), name)
	}
}

// extent is from the least to the greatest of the numbers added.
type extent struct {
	low, high float64
	known     bool
}

func (e *extent) add(v float64) {
	if !e.known {
		*e = extent{v, v, true}
	}
	e.low, e.high = math.Min(e.low, v), math.Max(e.high, v)
}

func (e extent) text(decimals int) string {
	return words.Number(e.low, decimals) + " to " + words.Number(e.high, decimals)
}

// firstTask is what became of fine-tuning's first task, over the seeds: class accuracy, in per cent, learned and at the end, by how
// many per cent its bits are better, and how many times as high its FID is.
func firstTask(t *testing.T, dir string) (accuracy, lost, better, fid extent) {
	m, ok := study.Labelled(must(study.Open(dir))(t).Group(), "finetune")
	if !ok {
		t.Fatalf("%s has no finetune", dir)
	}
	for _, r := range m.Runs {
		at := func(m study.Metric) (learned, end float64) {
			all := study.Matrix(r, m).R
			return all[0][0], all[len(all)-1][0]
		}
		learned, end := at(study.ClassAccuracy)
		accuracy.add(100 * learned)
		lost.add(100 * end)
		learned, end = at(study.BPD)
		better.add(100 * (learned - end) / learned)
		learned, end = at(study.FID)
		fid.add(end / learned)
	}
	return accuracy, lost, better, fid
}

// earliestSteps is the share of fine-tuning's rise in FID of the first task, in per cent over the seeds, that goes away with the
// network before forgetting at t ≥ 888.
func earliestSteps(t *testing.T, dir string) string {
	var undone extent
	m, _ := study.Labelled(must(study.Open(dir))(t).Group(), "finetune")
	for _, r := range m.Runs {
		s := must(dynamics.LoadAutopsy(results.BesideRun(dir, r.Name, results.AutopsyFile)))(t).Stitches[0]
		last := len(s.Thresholds) - 1
		before, final := (s.OldHigh.FID[0]+s.OldLow.FID[last])/2, (s.OldHigh.FID[last]+s.OldLow.FID[0])/2
		undone.add(100 * (final - s.OldHigh.FID[slices.Index(s.Thresholds, 888)]) / (final - before))
	}
	return undone.text(0)
}

// targetedProse is what the prose of notebook 02 says of rehearsal at some timesteps: how much worse it is, and how many rows a step has.
func targetedProse(t *testing.T, methods []study.Method) []string {
	fid := func(rows, at string) study.Stat {
		m, ok := study.Labelled(methods, "er λ=1 rows="+rows+at)
		if !ok {
			t.Fatalf("no method of %s rows%s", rows, at)
		}
		return m.Summary().FID
	}
	var worse, p extent
	for _, at := range []string{" t=high:0.5", " t=measured"} {
		d := study.Compare(fid("16", at), fid("16", ""))
		worse.add(d.Value)
		p.add(d.P)
	}
	step := func(rows string) int {
		m, _ := study.Labelled(methods, "er λ=1 rows="+rows)
		return m.Runs[0].Cost.FreshRows + m.Runs[0].Cost.ReplayRows
	}
	return []string{"ends " + worse.text(1) + " of FID behind", fmt.Sprintf("p ≤ %.3f", p.high), fmt.Sprintf("%d rows a step instead of %d", step("4"), step("16"))}
}
