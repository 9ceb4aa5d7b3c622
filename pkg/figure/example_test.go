package figure_test

import (
	"fmt"
	"log"

	"palimpsest/pkg/figure"
	"palimpsest/pkg/study"
)

// A drawing as SVG for a page, or as PNG for everything else.
func ExampleHeatmap() {
	set, err := study.Open("../../notebooks/results/quick")
	if err != nil {
		log.Fatal(err)
	}
	f := figure.Heatmap(set.Group()[:1], study.FID, 300)
	png, err := f.PNG(2)
	fmt.Println(f.Title, len(f.SVG()) > 0, len(png) > 0, err)
	// Output: FID after each task (rows) on each task (columns) true true <nil>
}
