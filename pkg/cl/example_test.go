package cl_test

import (
	"fmt"
	"log"

	"palimpsest/pkg/cl"
)

// A strategy is its name and the settings that differ from its usual ones. Parts are joined by "+".
func ExampleNew() {
	for _, spec := range []cl.Spec{
		{Name: "er", Settings: map[string]any{"lambda": 0.3}},
		{Name: "er+ewc_rank1", Settings: map[string]any{"buffer": 100}},
	} {
		s, err := cl.New(spec)
		if err != nil {
			log.Fatal(err)
		}
		fmt.Printf("%s stores %s\n", s.Label(), s.Info().Stores)
	}
	// Output:
	// er λ=0.3 stores a buffer of old images
	// er+ewc_rank1 (er λ=1 buffer=100, ewc_rank1 λ=10000) stores a buffer of old images; one direction a task and one origin
}
