package datasets_test

import (
	"fmt"
	"log"

	"palimpsest/datasets"
)

// Five tasks of two classes each from the embedded images, at 16×16, a tenth of the
// training images held out.
func ExampleClassIncremental() {
	d, err := datasets.Load("fashion-mnist-sample")
	if err != nil {
		log.Fatal(err)
	}
	b, err := datasets.ClassIncremental(d, datasets.ClassIncrementalOptions{
		ClassesPerTask: 2,
		ValFraction:    0.1,
		Prep:           datasets.Prep{Size: 16, Method: "area"},
	})
	if err != nil {
		log.Fatal(err)
	}
	for _, task := range b.Tasks {
		fmt.Printf("%d: %-24s %d train, %d val, %d test, %dx%d\n",
			task.ID, task.Name, task.Train.N, task.Val.N, task.Test.N, b.H, b.W)
	}
	// Output:
	// 0: T-shirt/top + Trouser    1080 train, 120 val, 200 test, 16x16
	// 1: Pullover + Dress         1080 train, 120 val, 200 test, 16x16
	// 2: Coat + Sandal            1080 train, 120 val, 200 test, 16x16
	// 3: Shirt + Sneaker          1080 train, 120 val, 200 test, 16x16
	// 4: Bag + Ankle boot         1080 train, 120 val, 200 test, 16x16
}
