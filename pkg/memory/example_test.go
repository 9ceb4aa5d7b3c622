package memory_test

import (
	"fmt"
	"log"

	"palimpsest/datasets"
	"palimpsest/pkg/memory"
)

// A buffer of four images holds two of each of two classes, whichever came first.
func ExampleBuffer() {
	buffer, err := memory.New(4, memory.ClassBalanced{}, 0)
	if err != nil {
		log.Fatal(err)
	}
	for task, class := range []int32{3, 7} {
		images := &datasets.Images{N: 10, H: 1, W: 1, C: 1, Pixels: make([]uint8, 10), Labels: make([]int32, 10)}
		for i := range images.Labels {
			images.Labels[i] = class
		}
		if err := buffer.Add(task, images); err != nil {
			log.Fatal(err)
		}
		fmt.Println(buffer.Images().Labels)
	}
	// Output:
	// [3 3 3 3]
	// [3 3 7 7]
}
