package counterpart

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/gomlx/compute"

	"palimpsest/pkg/backend"
)

// Models that diffusers made with random weights, one of each form that is supported, predict what they do there, and DDIM draws
// the same images. The files are `go run . counterpart --write`'s.
func TestModelsOfDiffusers(t *testing.T) {
	folders, err := os.ReadDir(filepath.Join("testdata", "forms"))
	if err != nil {
		t.Fatal(err)
	}
	if len(folders) < 5 {
		t.Fatalf("%d forms; need five", len(folders))
	}
	t.Setenv(compute.ConfigEnvVar, "go") // which compiles nothing
	back, _, err := backend.Open()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range folders {
		t.Run(f.Name(), func(t *testing.T) {
			said, err := Form(back, filepath.Join("testdata", "forms", f.Name()))
			if err != nil {
				t.Fatal(err)
			}
			t.Log(said)
		})
	}
}
