package sheet_test

import (
	"fmt"
	"log"

	"palimpsest/pkg/sheet"
)

// Two images of 1×2 pixels below each other: -1 is black, 1 is white.
func ExampleNew() {
	img, err := sheet.New([]float32{-1, 1, 1, -1}, 2, 1, 1, 2, 1, 1)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(img.Bounds().Size(), img.RGBAAt(0, 0).R, img.RGBAAt(1, 0).R, img.RGBAAt(0, 1).R)
	// Output: (2,2) 0 255 255
}
