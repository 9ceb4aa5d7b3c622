package counterpart

import (
	"bytes"
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

// The event file is, byte for byte, the one that TensorBoard's own reader read when it was written.
func TestEventsOfTensorBoard(t *testing.T) {
	want, err := os.ReadFile(filepath.Join("testdata", eventsFile))
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(eventsOf(), want) {
		t.Error("the events are written otherwise; have TensorBoard read them, and keep them, by `go run . counterpart --write`")
	}
}
