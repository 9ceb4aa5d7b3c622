package metrics

import (
	"bytes"
	"encoding/json"
	"io/fs"
	"strings"
	"testing"

	"github.com/gomlx/gomlx/core/tensors"

	"palimpsest/pkg/fuzztest"
	"palimpsest/pkg/safetensors"
)

// FuzzClassifierInfo reads arbitrary descriptions of classifiers. What it accepts is written as something that reads as the same.
func FuzzClassifierInfo(f *testing.F) {
	text, err := fs.ReadFile(shipped, "weights/mnist-area16.json")
	if err != nil {
		f.Fatal(err)
	}
	for _, change := range []struct{ from, to string }{{"", ""}, {`"channels": 1`, `"channels": 1000000000000000000`}, {`"size": 16`, `"size": -16`},
		{`"size": 16`, `"size": 1e2`}, {`"classes": [`, `"classes": [[],`}, {"}", "} 1"}} {
		f.Add([]byte(strings.Replace(string(text), change.from, change.to, 1)))
	}
	f.Add([]byte("null"))
	f.Fuzz(func(t *testing.T, text []byte) {
		var info ClassifierInfo
		if fuzztest.Read(t, len(text), func() (err error) { info, err = parseInfo(text); return err }) != nil {
			return
		}
		fuzztest.Rereads(t, info, fuzztest.JSON, parseInfo)
	})
}

// FuzzWeights reads arbitrary weights of a small layer; what it accepts is finite and reads back as the same.
func FuzzWeights(f *testing.F) {
	dims := map[string][]int{"weights": {2, 3}, "biases": {3}}
	good := encoded(f, map[string]*tensors.Tensor{
		"weights": tensors.FromFlatDataAndDimensions([]float32{1, -2, 3, 0, 5, 6}, 2, 3), "biases": tensors.FromFlatDataAndDimensions([]float32{7, 8, 9}, 3)})
	f.Add(good)
	f.Add(good[:len(good)-1])
	f.Add(bytes.Replace(good, []byte("[2,3]"), []byte("[3,2]"), 1))
	f.Add(append(bytes.Clone(good[:len(good)-4]), 0, 0, 0xc0, 0x7f)) // not a number
	read := func(content []byte) (map[string]*tensors.Tensor, error) { return decodeWeights(content, dims) }
	f.Fuzz(func(t *testing.T, content []byte) {
		var values map[string]*tensors.Tensor
		if fuzztest.Read(t, len(content), func() (err error) { values, err = read(content); return err }) != nil {
			return
		}
		fuzztest.Rereads(t, values, encodeWeights, read)
	})
}

func encoded(f *testing.F, values map[string]*tensors.Tensor) []byte {
	f.Helper()
	content, err := encodeWeights(values)
	if err != nil {
		f.Fatal(err)
	}
	return content
}

// FuzzInception reads arbitrary weights of one convolution of the network and its normalisation.
func FuzzInception(f *testing.F) {
	vector := func(v ...float32) *tensors.Tensor { return tensors.FromFlatDataAndDimensions(v, len(v)) }
	values := map[string]*tensors.Tensor{"c.conv.weight": tensors.FromFlatDataAndDimensions([]float32{1, 2, 3, 4}, 2, 1, 1, 2),
		"c.bn.weight": vector(1, 2), "c.bn.bias": vector(0, 1), "c.bn.running_mean": vector(3, 4), "c.bn.running_var": vector(1, 2),
		"c.bn.num_batches_tracked": tensors.FromScalar(int64(0))}
	good := encoded(f, values)
	f.Add(good)
	f.Add(good[:len(good)-1])
	f.Add(bytes.Replace(good, []byte(`"F32"`), []byte(`"I64"`), 1))
	f.Add(bytes.Replace(good, []byte("[2,1,1,2]"), []byte("[2,0,1,2]"), 1))
	values["c.bn.running_var"] = vector(-1, 2)
	f.Add(encoded(f, values))
	f.Fuzz(func(t *testing.T, content []byte) {
		_ = fuzztest.Read(t, len(content), func() error {
			values, _, err := safetensors.ReadAll(bytes.NewReader(content), int64(len(content)))
			if err != nil {
				return err
			}
			return foldConvolution(map[string]*tensors.Tensor{}, values, "c")
		})
	})
}

// FuzzCells reads arbitrary matrices of numbers.
func FuzzCells(f *testing.F) {
	for _, text := range []string{"[[1,null],[2.5]]", "[]", "null", "[null]", "[[1e999]]", "[[[]]]", `{"a":1}`} {
		f.Add([]byte(text))
	}
	read := func(text []byte) (g Cells, err error) {
		err = json.Unmarshal(text, &g)
		return g, err
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		var g Cells
		if fuzztest.Read(t, len(text), func() (err error) { g, err = read(text); return err }) != nil {
			return
		}
		fuzztest.Rereads(t, g, fuzztest.JSON, read)
	})
}
