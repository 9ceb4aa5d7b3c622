package notebook_test

import (
	"fmt"

	"palimpsest/pkg/notebook"
	"palimpsest/pkg/results"
	"palimpsest/pkg/study"
)

// A cell that reads a stored run and shows its table. Get ends the cell if there is an error. Outside a notebook the table is
// not shown.
func ExampleGet() {
	run := notebook.Get(results.Load("../../notebooks/results/quick/er-lambda1-seed0.json"))
	notebook.ShowTable(study.Group([]*results.Run{run}))
	fmt.Println(run.Name)
	// Output: er-lambda1-seed0
}
