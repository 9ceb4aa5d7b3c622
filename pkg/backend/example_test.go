package backend_test

import (
	"fmt"
	"log"

	"github.com/gomlx/gomlx/core/graph"

	"palimpsest/pkg/backend"
)

// What computes, chosen for this machine, or by GOMLX_BACKEND.
func ExampleShared() {
	b, choice, err := backend.Shared()
	if err != nil {
		log.Fatal(err)
	}
	sum, err := graph.CallOnce(b, func(x *graph.Node) *graph.Node { return graph.ReduceAllSum(x) }, []float32{1, 2, 3})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(sum.Value(), choice.Why != "")
	// Output: 6 true
}
