package backendtest

import (
	"os"
	"path/filepath"
	"testing"

	"palimpsest/pkg/backend"

	"github.com/gomlx/compute"
	"github.com/gomlx/gomlx/core/graph"
)

func TestOpenMultiplies(t *testing.T) {
	b := Open(t)
	square, err := graph.CallOnce(b, func(x *graph.Node) *graph.Node { return graph.Dot(x, x).Product() },
		[][]float32{{1, 2}, {3, 4}})
	if err != nil {
		t.Fatal(err)
	}
	got := square.Value().([][]float32)
	// By hand: [1 2; 3 4]² = [7 10; 15 22], exact in float32.
	for i, row := range [][]float32{{7, 10}, {15, 22}} {
		for j, want := range row {
			if got[i][j] != want {
				t.Errorf("element %d,%d is %g, want %g", i, j, got[i][j], want)
			}
		}
	}
	if Open(t) != b {
		t.Error("a second Open gave another backend")
	}
}

// TestOpenUsesThePlugin makes sure that tests do not fall to pure Go unnoticed.
func TestOpenUsesThePlugin(t *testing.T) {
	if !backend.XLABuilt || !backend.CPU.Supported() || os.Getenv(compute.ConfigEnvVar) != "" {
		t.Skip("no XLA plugin for this machine, or another backend asked for")
	}
	Open(t)
	if _, err := backend.CPUPluginPath(); err != nil {
		t.Error(err)
	}
}

// TestOpenInFolderNamedCUDA opens the plugin under a path that go-xla takes for CUDA's.
func TestOpenInFolderNamedCUDA(t *testing.T) {
	Open(t)
	library, err := backend.CPUPluginPath()
	if err != nil {
		t.Skip("no XLA plugin here")
	}
	dir := filepath.Join(t.TempDir(), "nvidia-cuda")
	if err := os.Symlink(filepath.Dir(library), dir); err != nil {
		t.Fatal(err)
	}
	t.Setenv(compute.ConfigEnvVar, "xla:"+filepath.Join(dir, filepath.Base(library)))
	b, choice, err := backend.Open()
	if err != nil {
		t.Fatal(err)
	}
	defer b.Finalize()
	if choice.Name != "user" || len(choice.Failed) > 0 {
		t.Errorf("opened %s after %q", choice.Name, choice.Failed)
	}
}
