package main

import (
	"fmt"
	"math"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"palimpsest/pkg/experiment"
	"palimpsest/pkg/report"
	"palimpsest/pkg/results"
	"palimpsest/pkg/study"
	"palimpsest/pkg/table"
)

// The tables of README.md and of the pages of the stored studies are those that their commands make from the studies.
func TestTablesAreThoseOfTheStoredStudies(t *testing.T) {
	for _, s := range []struct{ file, name string }{
		{"notebooks/results/README.md", "quick"},
		{"notebooks/results/lambda.md", "headline"},
		{"notebooks/results/timesteps.md", "timesteps"},
		{"notebooks/results/gpu.md", "gpu"},
		{"notebooks/results/size.md", "headline32"},
		{"notebooks/results/size.md", "small32"},
		{"notebooks/results/colour.md", "cifar32"},
	} {
		set, err := study.Open("notebooks/results/" + s.name)
		if err != nil {
			t.Fatal(err)
		}
		if err := table.CheckSection(s.file, s.name, report.MarkdownTable(set.Group())); err != nil {
			t.Errorf("%v: run `go run . report notebooks/results/%s --table %s:%s`", err, s.name, s.file, s.name)
		}
	}
	for _, s := range []struct {
		file, name string // name is that of the section and of the part that stands in it
		dirs       []string
	}{
		{"README.md", "summary", []string{"quick"}},
		{"notebooks/results/methods.md", "intervals", []string{"methods"}},
		{"notebooks/results/lambda.md", "intervals", []string{"headline"}},
		{"notebooks/results/size.md", "intervals", []string{"headline32"}},
		{"notebooks/results/colour.md", "intervals", []string{"cifar32"}},
		{"notebooks/results/longer.md", "summary", []string{"longer"}},
		{"notebooks/results/keep.md", "storage", []string{"policies", "buffers", "middle"}},
		{"notebooks/results/long.md", "summary", []string{"long"}},
		{"notebooks/results/long.md", "copying", []string{"long"}},
		{"notebooks/results/methods.md", "pareto", []string{"methods"}},
		{"notebooks/results/methods.md", "ledger", []string{"methods"}},
		{"notebooks/results/lambda.md", "lambda", []string{"lambda", "headline", "quick"}},
		{"notebooks/results/copying.md", "copying", []string{"lambda", "headline", "quick", "headline32", "longest", "buffers", "buffers-seeds"}},
		{"notebooks/results/README.md", "benchmarks", []string{"quick", "datasets"}},
		{"notebooks/results/dit.md", "summary", []string{"quick", "dit"}},
		{"notebooks/results/perf.md", "summary", []string{"purego"}},
	} {
		for i, dir := range s.dirs {
			s.dirs[i] = "notebooks/results/" + dir
		}
		set, err := study.Open(s.dirs...)
		if err != nil {
			t.Fatal(err)
		}
		part, err := report.ExcerptOf(set, s.name, "er", "")
		if err != nil {
			t.Fatal(err)
		}
		if err := table.CheckSection(s.file, s.name, part.Markdown); err != nil {
			t.Errorf("%v: run `go run . report %s --only %s --table %s:%s`", err, strings.Join(s.dirs, " "), s.name, s.file, s.name)
		}
	}
}

// A card's runs are the processor's of the same seed, as gpu.md says, but for the last digits of float32.
func TestCardAgreesWithTheProcessor(t *testing.T) {
	card, err := study.Open("notebooks/results/gpu")
	if err != nil {
		t.Fatal(err)
	}
	processor, err := study.Open("notebooks/results/quick")
	if err != nil {
		t.Fatal(err)
	}
	compared := 0
	for _, a := range card.Runs {
		i := slices.IndexFunc(processor.Runs, func(r *results.Run) bool { return r.Name == a.Name })
		if i < 0 || a.Provenance.Machine.GPU == "" || processor.Runs[i].Provenance.Machine.GPU != "" {
			t.Fatalf("%s is not of a card, or no run of a processor bears its name", a.Name)
		}
		for k, e := range a.Evaluations {
			for j, task := range e.Tasks {
				compared++
				if got, want := *task.FID, *processor.Runs[i].Evaluations[k].Tasks[j].FID; !(math.Abs(got-want) <= 5e-4*want) {
					t.Errorf("%s after task %d: the FID of task %d is %g on the card, %g on the processor", a.Name, e.AfterTask, task.Task, got, want)
				}
			}
		}
	}
	if compared < 60 {
		t.Errorf("only %d numbers compared", compared)
	}
}

// The quick benchmark in bfloat16 is what perf.md says of it, and not told apart from that in float32.
func TestBfloat16AgreesWithFloat32(t *testing.T) {
	stats := func(dir string) map[string]study.Summary {
		set, err := study.Open("notebooks/results/" + dir)
		if err != nil {
			t.Fatal(err)
		}
		out := map[string]study.Summary{}
		for _, m := range set.Group() {
			out[m.Label] = m.Summary()
		}
		return out
	}
	page, err := os.ReadFile("notebooks/results/perf.md")
	if err != nil {
		t.Fatal(err)
	}
	half, full := stats("bfloat16"), stats("quick")
	for _, label := range []string{"finetune", "er λ=0.1", "er λ=0.3", "er λ=1", "joint"} {
		a, b := half[label], full[label]
		fid, accuracy := study.Compare(a.FID, b.FID), study.Compare(a.ClassAccuracy.Times(100), b.ClassAccuracy.Times(100))
		if !fid.Tested() || fid.Sign() != 0 || accuracy.Sign() != 0 && (label != "joint" || fmt.Sprintf("%.2f", accuracy.P) != "0.02") {
			t.Errorf("%s: in bfloat16 the FID is higher by %s, the class accuracy by %s (p = %.2f): told apart, or not tested", label, fid.Format(1), accuracy.Format(1), accuracy.P)
		}
		row := fmt.Sprintf("| %s | %s | %s | %s | %.2f | %s |\n", label, a.FID.Format(1), b.FID.Format(1), fid.Format(1), fid.P, accuracy.Format(1))
		if !strings.Contains(string(page), row) {
			t.Errorf("perf.md lacks the row\n%s", row)
		}
	}
}

// The stored runs of the transformer are what dit.md says of them: at the learning rate with the lowest FID on validation images,
// and behind the U-Net everywhere, in the same order of strategies.
func TestTransformerStudy(t *testing.T) {
	fid := func(dir, reference string) (map[string]float64, map[string]any) {
		set, err := study.Open(dir)
		if err != nil {
			t.Fatal(err)
		}
		all, rates := map[string]float64{}, map[string]any{}
		for _, m := range set.Group() {
			all[m.Label] = m.Summary().FID.Mean
			for _, r := range m.Runs {
				train, _ := r.Config["train"].(map[string]any)
				rates[m.Label] = train["learning_rate"]
				if r.Provenance.Dirty || r.Protocol.ReferenceSplit != reference {
					t.Errorf("%s in %s: dirty %t, measured against %s images", r.Name, dir, r.Provenance.Dirty, r.Protocol.ReferenceSplit)
				}
			}
		}
		return all, rates
	}
	best := func(dir string) (fids float64, rate any) {
		all, rates := fid(dir, "validation")
		fids = math.Inf(1)
		for label, f := range all {
			if f < fids {
				fids, rate = f, rates[label]
			}
		}
		return fids, rate
	}
	searched, rate := best("notebooks/results/dit/search")
	if unet, _ := best("notebooks/results/dit/search/unet"); !(unet < searched) {
		t.Errorf("at equal steps the U-Net's best FID is %g, the transformer's %g", unet, searched)
	}
	quick, _ := fid("notebooks/results/quick", "test")
	dit, rates := fid("notebooks/results/dit", "test")
	before := 0.0
	for _, label := range []string{"joint", "er λ=1", "er λ=0.3", "finetune"} {
		own := label + " DiT"
		times := dit[own] / quick[label]
		if rates[own] != rate || !(times > 1.1 && times < 2.3) || label != "finetune" && times < 1.7 || !(dit[own] > before) {
			t.Errorf("%s: a FID of %g, %g times the U-Net's, at the learning rate %v; the search chose %v", own, dit[own], times, rates[own], rate)
		}
		before = dit[own]
	}
}

// What README.md and the pages of the stored studies quote is what the studies give.
func TestFindingsAreThoseOfTheStoredStudies(t *testing.T) {
	set, err := study.Open("notebooks/results/quick")
	if err != nil {
		t.Fatal(err)
	}
	checkFindings(t, "README.md", "quick", report.Verdict(set.Group()))
	const page = "notebooks/results/timesteps.md"
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"forgetting", "forgetting32"} {
		stored := "notebooks/results/" + name
		sentences, err := report.Findings(stored)
		if err != nil {
			t.Fatal(err)
		}
		checkFindings(t, page, name, sentences)
		table, err := experiment.ForgettingByTimestep(stored, 5)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(string(text), table.Markdown()) {
			t.Errorf("%s lacks the table that `go run . dynamics %s` prints:\n%s", page, stored, table.Markdown())
		}
	}
}

// The finding on README's first screen is that of the stored runs.
func TestREADMEHasTheHeadline(t *testing.T) {
	text, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ study, lambda, before, after string }{
		{"headline", "0.1", "(ten seeds) λ = 0.1 ends at a FID ", " below that of λ = 1 at 16×16 pixels"},
		{"headline32", "0.3", "λ = 0.3\nat one ", " below at [32×32]"},
	} {
		set, err := study.Open("notebooks/results/" + c.study)
		if err != nil {
			t.Fatal(err)
		}
		fid := map[string]study.Stat{}
		for _, m := range set.Group() {
			fid[m.Label] = m.Summary().FID
		}
		d := study.Compare(fid["er λ=1 buffer=20"], fid["er λ="+c.lambda+" buffer=20"])
		if want := c.before + d.Format(1) + c.after; d.Rule() != "paired t over 10 seeds, p < 0.001" || !strings.Contains(string(text), want) {
			t.Errorf("README.md does not say %q, by %s", want, d.Rule())
		}
	}
}

// Numbers in the prose of the pages of the stored studies stand in what is made from the studies: in the page's own
// generated sections, in the studies' tables, or in the comparisons of er's settings two by two.
func TestProseHasTheNumbersOfTheStoredStudies(t *testing.T) {
	section := regexp.MustCompile(`(?s)<!-- (table|findings):\w+ -->.*?<!-- /(table|findings):\w+ -->`)
	code := regexp.MustCompile("(?s)```.*?```|`[^`]*`")
	number := regexp.MustCompile(`\S+ \[\S+, \S+\]|\d[\d.]* ± \d[\d.]*|p [=<] 0\.\d+|\d+\.\d+`)
	setting := regexp.MustCompile(`λ [=<] \d+(\.\d+)?|\d{4}\.\d{5}`) // or a paper's number at arXiv
	found := 0
	for page, studies := range map[string][]string{
		"README.md": nil, "methods.md": nil, "lambda.md": {"lambda", "headline", "quick"}, "timesteps.md": {"timesteps", "targeted"}, "size.md": {"headline32", "small32", "headline"}, "keep.md": {"policies", "buffers", "middle"}, "long.md": {"long"}, "colour.md": {"cifar32"}, "longer.md": {"longer", "policies"},
		"copying.md": {"lambda", "headline", "quick", "headline32", "longest", "buffers", "buffers-seeds"},
	} {
		text, err := os.ReadFile("notebooks/results/" + page)
		if err != nil {
			t.Fatal(err)
		}
		generated := study.RuleNote + strings.Join(section.FindAllString(string(text), -1), "\n")
		for i, name := range studies {
			studies[i] = "notebooks/results/" + name
		}
		if len(studies) > 0 {
			set, err := study.Open(studies...)
			if err != nil {
				t.Fatal(err)
			}
			pairs, err := report.Versus(set.Group(), "er", "er")
			if err != nil {
				t.Fatal(err)
			}
			generated += report.MarkdownTable(set.Group()) + strings.Join(pairs, "\n")
		}
		prose := code.ReplaceAllString(section.ReplaceAllString(string(text), ""), "")
		for line := range strings.Lines(prose) {
			if strings.HasPrefix(line, "|") {
				continue // the table that TestFindingsAreThoseOfTheStoredStudies compares
			}
			for _, n := range number.FindAllString(setting.ReplaceAllString(line, ""), -1) {
				found++
				if n = strings.TrimRight(strings.Trim(n, "("), "."); !strings.Contains(generated, n) {
					t.Errorf("notebooks/results/%s says %q in %q, which nothing made from the stored runs says", page, n, strings.TrimSpace(line))
				}
			}
		}
	}
	if found < 20 {
		t.Errorf("only %d numbers; they are no longer found", found)
	}
}

// checkFindings wants every line between <!-- findings:NAME --> and <!-- /findings:NAME --> of a file to be one of the
// sentences, which the stored study NAME gives.
func checkFindings(t *testing.T, file, name string, sentences []string) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	_, rest, found := strings.Cut(string(text), "<!-- findings:"+name+" -->\n")
	quoted, _, closed := strings.Cut(rest, "<!-- /findings:"+name+" -->")
	if !found || !closed || len(strings.Fields(quoted)) == 0 {
		t.Fatalf("%s has no findings of %s between its marks", file, name)
	}
	for line := range strings.Lines(strings.TrimSpace(quoted)) {
		if line = strings.TrimSpace(line); line != "" && !slices.Contains(sentences, strings.TrimPrefix(line, "- ")) {
			t.Errorf("%s quotes %q; the stored runs say no such thing, but\n%s", file, line, strings.Join(sentences, "\n"))
		}
	}
}

// The stored study is the quick benchmark as it stands: a change of its settings asks for new runs.
func TestStoredStudyHasTodaysSettings(t *testing.T) {
	set, err := study.Open("notebooks/results/quick")
	if err != nil {
		t.Fatal(err)
	}
	quick := experiment.Grid{Strategies: []string{"finetune", "er", "joint"}, Sweeps: []string{"lambda=1,0.3,0.1"}, Seeds: 3}
	configs, err := quick.Configs("quick", nil)
	if err != nil {
		t.Fatal(err)
	}
	var want, have []string
	replayed := map[string]int{}
	for _, c := range configs {
		want = append(want, c.RunName())
		if replayed[c.RunName()], err = c.ReplayRows(); err != nil {
			t.Fatal(err)
		}
	}
	for _, r := range set.Runs {
		have = append(have, r.Name)
		// A method that replays nothing may have had the loop's replay rows, at weight 0.
		if r.Cost.FreshRows != configs[0].Loop.FreshRows || r.Cost.ReplayRows != configs[0].Loop.ReplayRows && r.Cost.ReplayRows != replayed[r.Name] ||
			r.Cost.Steps != configs[0].Loop.StepsPerTask*len(r.Benchmark.Tasks) || r.Protocol.SamplesPerTask != configs[0].Evaluate.SamplesPerTask {
			t.Errorf("%s was run with %d steps of %d+%d rows and %d samples a task; the quick benchmark has other settings now",
				r.Name, r.Cost.Steps, r.Cost.FreshRows, r.Cost.ReplayRows, r.Protocol.SamplesPerTask)
		}
		if r.Provenance.Commit == "unknown" || r.Provenance.Machine.CPU == "" || r.Provenance.Command == "" {
			t.Errorf("%s does not say its commit, machine and command: %+v", r.Name, r.Provenance)
		}
	}
	slices.Sort(want)
	slices.Sort(have)
	if !slices.Equal(want, have) {
		t.Errorf("the stored runs are\n%v, the quick benchmark with three seeds is\n%v", have, want)
	}
}
