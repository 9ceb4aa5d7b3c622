package notebooks

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"palimpsest/notebooks/kernel"
)

// unsigned are the notebooks that were stored before a run noted of which cells their outputs are. None is to come.
var unsigned = []string{"00_tour.ipynb", "01_benchmark.ipynb", "03_bpd_pitfalls.ipynb", "05_your_own_images.ipynb", "06_from_and_to_python.ipynb"}

// TestOutputsAreOfTheirCells refuses a notebook whose cells were changed after they were run, and one too large to be looked at
// on a code host.
func TestOutputsAreOfTheirCells(t *testing.T) {
	files, err := filepath.Glob("*.ipynb")
	if err != nil || len(files) == 0 {
		t.Fatal("no notebooks in this folder", err)
	}
	for _, file := range files {
		nb, err := kernel.Read(file)
		if err != nil {
			t.Fatal(err)
		}
		switch stale, old := nb.Stale(), slices.Contains(unsigned, file); {
		case stale && !old:
			t.Errorf("%s shows outputs of other cells than it has: go run . notebook %s -o notebooks/%s", file, file, file)
		case !stale && old:
			t.Errorf("%s is signed: take it off the list of those that are not", file)
		}
		info, err := os.Stat(file)
		if err != nil {
			t.Fatal(err)
		}
		if info.Size() > 1e6 {
			t.Errorf("%s has %d bytes, need at most 1,000,000", file, info.Size())
		}
	}
}
