package counterpart

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/gomlx/compute"

	"palimpsest/pkg/backend"
	"palimpsest/pkg/backend/backendtest"
	"palimpsest/pkg/diffusers"
	"palimpsest/pkg/diffusion"
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

// The models of notebook 06, one that diffusers trained and one that it was exported to, draw what diffusers drew with them.
func TestModelsOfTheNotebook(t *testing.T) {
	back := backendtest.Open(t)
	for _, name := range []string{"model", "learned"} {
		d, err := Draw(back, filepath.Join("..", "..", "notebooks", "from_diffusers", name))
		if err != nil {
			t.Fatal(err)
		}
		furthest, err := d.Furthest()
		if err != nil || !(furthest <= ImageTolerance) || len(d.Theirs) < 16*16*20 || slices.Max(d.Theirs)-slices.Min(d.Theirs) < 1 {
			t.Errorf("%s: %d values, no pixel further apart than %g (%v); need at most %g", name, len(d.Theirs), furthest, err, ImageTolerance)
		}
		if sheet, err := d.Sheet(1); err != nil || sheet.Rect.Dx() != 9*16 || sheet.Rect.Dy() != len(d.Labels)/4*16 {
			t.Errorf("%s: a sheet of %v (%v)", name, sheet.Rect, err)
		}
	}
}

// Steps with which diffusers' DDIM goes to timesteps that it does not visit are refused, before Python is asked.
func TestStepsThatDoNotDivideAreRefused(t *testing.T) {
	dir := filepath.Join("..", "..", "notebooks", "from_diffusers", "model")
	m, _, err := diffusers.Read(dir, diffusers.Options{})
	if err != nil {
		t.Fatal(err)
	}
	err = Redraw(t.Context(), "nosuch", dir, 1, m.Process.T-1, 0)
	if want := fmt.Sprintf("such as %d", m.Process.T/2); err == nil || !strings.Contains(err.Error(), "do not divide") || !strings.Contains(err.Error(), want) {
		t.Errorf("%v; need one that says %q", err, want)
	}
	// A model is read once: what was read is not asked for again.
	copied := t.TempDir()
	if err := os.CopyFS(copied, os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	redraw, err := PrepareRedraw(copied, 1, m.Process.T)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(copied, "unet", "config.json"), []byte("{"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := redraw(t.Context(), "nosuch", 0); err == nil || !strings.Contains(err.Error(), "nosuch") {
		t.Errorf("%v; want that there is no such interpreter", err)
	}
	for _, tc := range []struct{ most, T, want int }{{50, 1000, 50}, {50, 120, 40}, {50, 97, 1}, {50, 20, 20}} {
		if got := diffusion.DividingSteps(tc.most, tc.T); got != tc.want {
			t.Errorf("up to %d of %d: %d; need %d", tc.most, tc.T, got, tc.want)
		}
	}
}

// FID, precision, recall, density and coverage of features are what torch-fidelity and prdc made of the same.
func TestMeasuresOfOthers(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("testdata", featuresFile))
	if err != nil {
		t.Fatal(err)
	}
	var theirs map[string]float64
	if err := json.Unmarshal(text, &theirs); err != nil {
		t.Fatal(err)
	}
	said, err := compareMeasures(theirs)
	if err != nil {
		t.Fatal(err)
	}
	t.Log(said)
	theirs["coverage"] += 2e-4 * (1 + theirs["coverage"])
	if _, err := compareMeasures(theirs); err == nil {
		t.Error("a coverage that is too far passes")
	}
}
