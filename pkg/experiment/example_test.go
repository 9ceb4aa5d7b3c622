package experiment_test

import (
	"context"
	"fmt"
	"os"
	"strings"

	"github.com/janpfeifer/must"

	"palimpsest/pkg/backend"
	"palimpsest/pkg/diffusion"
	"palimpsest/pkg/experiment"
)

// Train a network on one task after another, with rehearsal, and draw images from it. The settings that the text leaves out are
// those of the quick benchmark; this network is very small, and trained for moments only.
func Example() {
	ctx, dir := context.Background(), must.M1(os.MkdirTemp("", "palimpsest"))
	defer os.RemoveAll(dir)

	config := must.M1(experiment.OverrideConfig("er", []byte(settings), nil))
	run := must.M1(experiment.Run(ctx, config, dir+"/er", experiment.Options{}))
	back, _ := must.M2(backend.Shared())
	trained := must.M1(experiment.OpenTrained(back, dir+"/er"))
	drawn := must.M1(trained.Draw(ctx, []int{0, 2}, 3, diffusion.DefaultSampler(), 0))
	trained.Close()

	fmt.Println(run.Strategy.Label, "after", run.Cost.Steps, "steps:", len(run.Evaluations), "evaluations of", len(run.Evaluations[1].Tasks), "tasks")
	fmt.Println(len(drawn.Images)/16/16, "images of classes", drawn.Labels)
	// Output:
	// er λ=0.3 buffer=12 after 20 steps: 2 evaluations of 2 tasks
	// 6 images of classes [0 0 0 2 2 2]
}

const settings = `
benchmark: {class_order: given, classes: [7, 9, 0, 3]}
network: {base: 8, mults: [1]}
diffusion: {timesteps: 50}
loop: {steps_per_task: 10, fresh_rows: 4, replay_rows: 4}
strategy: {name: er, lambda: 0.3, buffer: 12}
evaluate: {samples_per_task: 16, batch: 16, allow_small_n: true, sampler: {steps: 2}}
cores: 1
`

// A misspelt setting is refused, with the one that was meant.
func ExampleOverrideConfig() {
	_, err := experiment.OverrideConfig("mine.yaml", nil, []string{"loop.step_per_task=300"})
	text, _, _ := strings.Cut(err.Error(), "?")
	fmt.Println(text + "?")
	// Output:
	// set loop.step_per_task=300: there is no setting "loop.step_per_task" (did you mean "steps_per_task"?
}
