package dit_test

import (
	"fmt"
	"log"

	"palimpsest/pkg/dit"
)

// The smallest transformer for colour images of 32×32 pixels and ten classes, in patches of 4×4 pixels.
func ExamplePreset() {
	c, err := dit.Preset("tiny", 32, 32, 3, 10)
	if err != nil {
		log.Fatal(err)
	}
	c.Patch = 4
	fmt.Println(c.Depth, c.Hidden, c.Heads, c.Validate())
	fmt.Printf("%.0f million operations an image\n", c.Work()/1e6)
	// Output:
	// 5 64 4 <nil>
	// 38 million operations an image
}
