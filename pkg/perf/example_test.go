package perf_test

import (
	"fmt"
	"log"

	"palimpsest/pkg/perf"
)

// A stored measurement: what was measured, and of which programs.
func ExampleLoad() {
	r, err := perf.Load("../../notebooks/results/perf/dit-tiny-16-onecore-step.json")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(r.Case.What, r.Case.Network, r.Case.Size, r.Case.Rows)
	for _, m := range r.Sittings[0].Measured {
		fmt.Println(m.Name, m.Parameters, len(m.Wall) == r.Sittings[0].Rounds)
	}
	// Output:
	// step dit-tiny 16 32
	// torch 403652 true
	// ours 403652 true
	// ours-go 403652 true
	// torch-compiled 403652 true
}
