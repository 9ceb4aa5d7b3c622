package diffusers_test

import (
	"fmt"
	"log"

	"palimpsest/pkg/diffusers"
)

// A pipeline that diffusers or this program wrote: its network, its process, and what its labels mean.
func ExampleRead() {
	m, notes, err := diffusers.Read("../../notebooks/from_diffusers/learned", diffusers.Options{})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%d×%d pixels, %d tensors\n", m.Net.ImageSize, m.Net.ImageSize, len(m.Weights))
	fmt.Println(m.Process.T, m.Process.Schedule, m.Process.Prediction)
	fmt.Println(m.Labels.Names, m.Labels.NoLabel, notes)
	// Output:
	// 16×16 pixels, 115 tensors
	// 1000 cosine v
	// [T-shirt/top Trouser Pullover Dress Coat Sandal Shirt Sneaker Bag Ankle boot] 10 []
}
