package results_test

import (
	"fmt"
	"log"

	"palimpsest/pkg/results"
)

// A stored run tells how it was made, and what was measured after each task.
func ExampleLoad() {
	run, err := results.Load("../../notebooks/results/quick/er-lambda1-seed0.json")
	if err != nil {
		log.Fatal(err)
	}
	last := run.Evaluations[len(run.Evaluations)-1]
	fmt.Println(run.Strategy.Label, run.Benchmark.Dataset, len(last.Tasks), run.Protocol.SamplesPerTask)
	// Output: er λ=1 fashion-mnist-sample, 5 tasks of 2 classes 5 100
}
