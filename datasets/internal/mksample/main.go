// Command mksample makes the embedded Fashion-MNIST sample again from the full set, which
// `go run . data get fashion-mnist` brings. Run by `go generate ./datasets`.
package main

import (
	"fmt"
	"os"

	"palimpsest/datasets"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: mksample FOLDER (where the four files go)")
		os.Exit(2)
	}
	if err := datasets.MakeSample(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
