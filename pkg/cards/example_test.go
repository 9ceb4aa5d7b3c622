package cards_test

import (
	"fmt"
	"log"

	"palimpsest/pkg/cards"
)

// What a search has chosen for a strategy, ready for experiment.Config.
func ExampleTunedSpec() {
	spec, err := cards.TunedSpec("er")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(spec.Name, spec.Settings["lambda"])
	// Output: er 1
}
