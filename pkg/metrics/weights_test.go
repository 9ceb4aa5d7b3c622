package metrics

import (
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gomlx/gomlx/core/tensors"

	"palimpsest/pkg/backend/backendtest"
)

// A SHA-256 identifies weights only as long as equal weights are written as equal bytes.
func TestShippedWeightsAreWrittenAsTheyAre(t *testing.T) {
	backend := backendtest.Open(t)
	for _, name := range Shipped() {
		c, err := ReadClassifier(backend, os.DirFS("weights"), name)
		if err != nil {
			t.Fatal(err)
		}
		dir := t.TempDir()
		if _, err := c.Save(dir); err != nil {
			t.Fatal(err)
		}
		for _, file := range []string{c.FileName() + ".safetensors", c.FileName() + ".json"} {
			want, err := os.ReadFile(filepath.Join("weights", file))
			if err != nil {
				t.Fatal(err)
			}
			if got, err := os.ReadFile(filepath.Join(dir, file)); err != nil || string(got) != string(want) {
				t.Errorf("%s changes when it is read and saved (%v)", file, err)
			}
		}
	}
}

func TestWeightsMustBeFinite(t *testing.T) {
	dims := map[string][]int{"a": {1}, "b": {1, 2}}
	for _, last := range []float64{3, math.NaN(), math.Inf(1), math.Inf(-1)} {
		content, err := encodeWeights(map[string]*tensors.Tensor{"a": tensors.FromFlatDataAndDimensions([]float32{1}, 1),
			"b": tensors.FromFlatDataAndDimensions([]float32{2, float32(last)}, 1, 2)})
		if err != nil {
			t.Fatal(err)
		}
		values, err := decodeWeights(content, dims)
		if last == 3 {
			if err != nil || values["b"].Value().([][]float32)[0][1] != 3 {
				t.Errorf("good weights: %v, error %v", values, err)
			}
		} else if err == nil || !strings.Contains(err.Error(), "value 1 of tensor b is ") {
			t.Errorf("a weight of %g: error %v", last, err)
		}
	}
}
