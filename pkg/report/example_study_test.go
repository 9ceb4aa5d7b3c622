package report_test

import (
	"context"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/janpfeifer/must"

	"palimpsest/pkg/cl"
	"palimpsest/pkg/experiment"
	"palimpsest/pkg/report"
	"palimpsest/pkg/results"
	"palimpsest/pkg/sheet"
	"palimpsest/pkg/study"
)

// Two strategies are trained and compared: README.md's program, with the settings of [small] in the place of the quick benchmark's.
func Example_study() {
	dir := must.M1(os.MkdirTemp("", "palimpsest")) + "/"
	defer os.RemoveAll(dir)
	var runs []*results.Run
	for _, name := range []string{"finetune", "er"} {
		c := small()
		c.Strategy = cl.Spec{Name: name}
		runs = append(runs, must.M1(experiment.Run(context.Background(), c, dir+name, experiment.Options{})))
	}
	fmt.Println(report.NewTable(study.Group(runs)).Rows)
	grid := must.M1(report.Strips(runs[1], dir+"er"))
	must.M(os.WriteFile(dir+"er.png", must.M1(sheet.PNG(grid)), 0o644))
	fmt.Println(len(must.M1(os.ReadDir(dir))), "things in the folder")
	// Output:
	// [finetune er λ=1]
	// 3 things in the folder
}

// small are settings that train a very small network for moments.
func small() experiment.Config {
	return must.M1(experiment.OverrideConfig("small", []byte(`
benchmark: {class_order: given, classes: [7, 9, 0, 3]}
network: {base: 8, mults: [1]}
diffusion: {timesteps: 50}
loop: {steps_per_task: 4, fresh_rows: 4, replay_rows: 4}
evaluate: {samples_per_task: 16, batch: 16, allow_small_n: true, sampler: {steps: 2}}
cores: 1
`), nil))
}

// README.md's program is that of the example, line by line, but for where it writes and what it prints.
func TestProgramOfReadme(t *testing.T) {
	readme, source := string(must.M1(os.ReadFile("../../README.md"))), string(must.M1(os.ReadFile("example_study_test.go")))
	_, program, found := strings.Cut(readme, "```go\npackage main\n")
	program, _, ended := strings.Cut(program, "```")
	if !found || !ended {
		t.Fatal("README.md has no program")
	}
	lines := 0
	for line := range strings.Lines(program) {
		line = strings.TrimSpace(line)
		if line == "" || line == "func main() {" {
			continue
		}
		lines++
		line = strings.NewReplacer("experiment.DefaultConfig()", "small()", `"runs/mine/"+`, "dir+", `"runs/mine/er"`, `dir+"er"`, `"er.png"`, `dir+"er.png"`,
			"fmt.Print(report.TextTable(study.Group(runs)))", "fmt.Println(report.NewTable(study.Group(runs)).Rows)",
			"experiment.Options{Log: os.Stdout}", "experiment.Options{}").Replace(line)
		if !strings.Contains(source, "\t"+line+"\n") && line != ")" && line != "}" && line != "import (" {
			t.Errorf("the example has no line %s", line)
		}
	}
	if lines < 15 {
		t.Errorf("the program has %d lines", lines)
	}
}
