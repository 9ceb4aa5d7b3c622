package notebooks

import (
	"os"
	"path/filepath"
	"testing"

	"palimpsest/notebooks/kernel"
)

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
		if nb.Stale() {
			t.Errorf("%s shows outputs of other cells than it has: go run . notebook %s -o notebooks/%s", file, file, file)
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
