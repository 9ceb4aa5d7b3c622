package experiment

import (
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"palimpsest/datasets"
)

// TestRefusedDrawings: images that are none of a run's are written in no form, not even a part of them.
func TestRefusedDrawings(t *testing.T) {
	trained := &Trained{Benchmark: &datasets.Benchmark{ClassNames: []string{"a", "b"}, H: 1, W: 2, C: 1}}
	for name, tc := range map[string]struct {
		drawn *Drawn
		row   int
		want  string
	}{
		"nothing":              {nil, 1, "no images were drawn (nil)"},
		"more labels":          {&Drawn{Images: make([]float32, 4), Labels: []int{0, 1, 1}}, 1, "4 values and 3 labels; need a label for each image of 1×2×1"},
		"more images":          {&Drawn{Images: make([]float32, 6), Labels: []int{0, 1}}, 1, "6 values and 2 labels"},
		"a label below 0":      {&Drawn{Images: make([]float32, 4), Labels: []int{0, -1}}, 1, "image 1 has the label -1; need 0 to 1: [a, b]"},
		"a label of no class":  {&Drawn{Images: make([]float32, 4), Labels: []int{2, 0}}, 1, "image 0 has the label 2; need 0 to 1: [a, b]"},
		"a value of no number": {&Drawn{Images: []float32{0, 0, 0, float32(math.NaN())}, Labels: []int{0, 0}}, 1, "value 1 of image 1 is NaN"},
		"an infinite value":    {&Drawn{Images: []float32{float32(math.Inf(-1)), 0}, Labels: []int{0}}, 1, "value 0 of image 0 is -Inf"},
		"none a row":           {&Drawn{Images: make([]float32, 4), Labels: []int{0, 0}}, 0, "2 images with 0 a row"},
		"less than none a row": {&Drawn{Images: make([]float32, 4), Labels: []int{0, 0}}, -1, "2 images with -1 a row"},
		"a row that is short":  {&Drawn{Images: make([]float32, 6), Labels: []int{0, 0, 1}}, 2, "3 images with 2 a row"},
	} {
		dir := t.TempDir()
		at := func(name string) string { return filepath.Join(dir, name) }
		errs := map[string]error{"WriteSheet": trained.WriteSheet(at("a.png"), tc.drawn, tc.row)}
		if !strings.Contains(tc.want, "a row") {
			errs["WriteFolder"], errs["WriteNPZ"] = trained.WriteFolder(at("a"), tc.drawn), trained.WriteNPZ(at("a.npz"), tc.drawn)
			errs["WriteFeatures"] = trained.WriteFeatures(at("f.npz"), tc.drawn)
		}
		for by, err := range errs {
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("%s by %s: %v; want %q", name, by, err, tc.want)
			}
		}
		if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
			t.Errorf("%s: %v is written, %v", name, left, err)
		}
	}
	good := &Drawn{Images: make([]float32, 4), Labels: []int{0, 1}}
	dir := t.TempDir()
	for _, err := range []error{trained.WriteSheet(filepath.Join(dir, "a.png"), good, 1), trained.WriteFolder(filepath.Join(dir, "a"), good), trained.WriteNPZ(filepath.Join(dir, "a.npz"), good)} {
		if err != nil {
			t.Error(err)
		}
	}
}
