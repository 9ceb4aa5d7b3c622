package main

import (
	"os"
	"slices"
	"strings"
	"testing"

	"palimpsest/pkg/experiment"
	"palimpsest/pkg/report"
)

// The README's tables are those its commands make from the stored studies.
func TestREADMETablesAreThoseOfTheStoredStudies(t *testing.T) {
	for _, name := range []string{"quick", "timesteps"} {
		study, err := report.Open("notebooks/results/" + name)
		if err != nil {
			t.Fatal(err)
		}
		if err := report.CheckTable("README.md", name, study.Runs); err != nil {
			t.Errorf("%v: run `go run . report notebooks/results/%s --table README.md:%s`", err, name, name)
		}
	}
	for _, s := range []struct {
		name string // of the section and of the part that stands in it
		dirs []string
	}{
		{"intervals", []string{"methods"}},
		{"pareto", []string{"methods"}},
		{"ledger", []string{"methods"}},
		{"lambda", []string{"lambda", "quick"}},
		{"benchmarks", []string{"quick", "datasets"}},
	} {
		for i, dir := range s.dirs {
			s.dirs[i] = "notebooks/results/" + dir
		}
		study, err := report.Open(s.dirs...)
		if err != nil {
			t.Fatal(err)
		}
		part, err := study.Part(s.name, "er", "")
		if err != nil {
			t.Fatal(err)
		}
		if err := report.CheckSection("README.md", s.name, part.Markdown); err != nil {
			t.Errorf("%v: run `go run . report %s --only %s --table README.md:%s`", err, strings.Join(s.dirs, " "), s.name, s.name)
		}
	}
	checkFindings(t, "forgetting")
	table, err := experiment.ForgettingByTimestep("notebooks/results/forgetting", 5)
	if err != nil {
		t.Fatal(err)
	}
	readme, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(readme), table.Markdown()) {
		t.Errorf("README.md lacks the table that `go run . dynamics notebooks/results/forgetting` prints:\n%s", table.Markdown())
	}
}

// checkFindings wants every sentence between <!-- findings:NAME --> and <!-- /findings:NAME --> of the README to be one that
// the stored study NAME gives.
func checkFindings(t *testing.T, name string) {
	t.Helper()
	text, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, found := strings.Cut(string(text), "<!-- findings:"+name+" -->\n")
	quoted, _, closed := strings.Cut(rest, "<!-- /findings:"+name+" -->")
	if !found || !closed || len(strings.Fields(quoted)) == 0 {
		t.Fatalf("README.md has no findings of %s between its marks", name)
	}
	sentences, err := report.Findings("notebooks/results/" + name)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(strings.TrimSpace(quoted)) {
		if line = strings.TrimSpace(line); line != "" && !slices.Contains(sentences, strings.TrimPrefix(line, "- ")) {
			t.Errorf("README.md quotes %q; the stored runs say no such thing (`go run . dynamics notebooks/results/%s --findings`)", line, name)
		}
	}
}

// The stored study is the quick benchmark as it stands: a change of its settings asks for new runs.
func TestStoredStudyHasTodaysSettings(t *testing.T) {
	study, err := report.Open("notebooks/results/quick")
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
	for _, r := range study.Runs {
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
