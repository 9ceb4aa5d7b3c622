package unet_test

import (
	"fmt"
	"log"

	"palimpsest/pkg/unet"
)

// The network of the quick benchmark: grey images of 16×16 pixels and ten classes.
func ExamplePreset() {
	c, err := unet.Preset("tiny", 16, 16, 1, 10)
	if err != nil {
		log.Fatal(err)
	}
	c.Dropout = 0.1
	fmt.Println(c.Base, c.Mults, c.Attention, c.Validate())
	fmt.Printf("%.0f million operations an image\n", c.Work()/1e6)
	// Output:
	// 16 [1 2 4] [] <nil>
	// 45 million operations an image
}
