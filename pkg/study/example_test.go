package study_test

import (
	"fmt"
	"log"

	"palimpsest/pkg/study"
)

// Runs of one strategy form a method.
func ExampleOpen() {
	set, err := study.Open("../../notebooks/results/quick")
	if err != nil {
		log.Fatal(err)
	}
	for _, m := range set.Group() {
		fmt.Println(m.Label, len(m.Runs))
	}
	// Output:
	// finetune 3
	// er λ=0.1 3
	// er λ=0.3 3
	// er λ=1 3
	// joint 3
}
