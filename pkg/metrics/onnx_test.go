package metrics

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"palimpsest/datasets"
	"palimpsest/pkg/backend"
	"palimpsest/pkg/backend/backendtest"
	"palimpsest/pkg/fuzztest"
	"palimpsest/pkg/oneline"

	"github.com/gomlx/compute-onnx/support/protos"
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	"gonum.org/v1/gonum/mat"
)

func TestONNXAgainstReferenceEvaluator(t *testing.T) {
	text, err := os.ReadFile("testdata/onnx.json")
	if err != nil {
		t.Fatal(err)
	}
	var ref struct {
		Shape []int
		NCHW  [][]float64 `json:"onnx-nchw"`
		NHWC  [][]float64 `json:"onnx-nhwc"`
	}
	if err := json.Unmarshal(text, &ref); err != nil {
		t.Fatal(err)
	}
	n, h, w := ref.Shape[0], ref.Shape[1], ref.Shape[2]
	images := onnxImages(n * h * w * 3)
	back := backendtest.Open(t)
	for name, want := range map[string][][]float64{"onnx-nchw": ref.NCHW, "onnx-nhwc": ref.NHWC} {
		net, err := LoadONNX(back, "testdata/"+name+".onnx", h, w, 3)
		if err != nil {
			t.Fatal(err)
		}
		defer net.Close()
		got, err := net.Features(images, n)
		if err != nil {
			t.Fatal(err)
		}
		if !mat.EqualApprox(got, dense(want), 1e-5) { // of order 1, in float32 both
			t.Errorf("%s: features\n%v\nwant\n%v", name, mat.Formatted(got), mat.Formatted(dense(want)))
		}
		model, _ := os.ReadFile("testdata/" + name + ".onnx")
		described, _ := os.ReadFile("testdata/" + name + ".json")
		if net.Dim() != 6 || net.Identity() != sha256Hex(append(model, described...)) || net.Name() != "features of "+name+".onnx, which sees images of 20×16 at 10×8" {
			t.Errorf("%d features, identity %s, name %s", net.Dim(), net.Identity(), net.Name())
		}
		if _, err := net.Features(images[1:], n); err == nil {
			t.Error("part of an image was taken")
		}
	}
	grey, err := LoadONNX(back, "testdata/onnx-nchw.onnx", 10, 8, 1)
	if err != nil {
		t.Fatal(err)
	}
	defer grey.Close()
	if _, _, c := grey.ImageShape(); c != 1 {
		t.Errorf("made for grey images, it takes %d channels", c)
	}
	if _, err := grey.Features(make([]float32, 80), 1); err != nil {
		t.Error(err)
	}
}

// onnxImages are so many values of images, as testdata/onnx_extractor.py and onnx_pools.py make them.
func onnxImages(values int) []float32 {
	pixels, images := make([]uint8, values), make([]float32, values)
	for i := range pixels {
		pixels[i] = uint8((i*i*31 + i*17) / 64 % 256)
	}
	datasets.Scale(images, pixels)
	return images
}

// Pools and activations as either of PyTorch's exporters writes them, pools with ceil_mode and with padding that counts in the mean too, and
// features that are pooled maps [N, D, 1, 1], give PyTorch's features; pools that cannot be computed are named.
func TestONNXAsPyTorch(t *testing.T) {
	const n, side = 2, 24
	images := onnxImages(n * side * side * 3)
	back := backendtest.Open(t)
	for _, of := range []string{"pools", "activations"} {
		text, err := os.ReadFile("testdata/onnx-" + of + ".json")
		if err != nil {
			t.Fatal(err)
		}
		var want [][]float64
		if err := json.Unmarshal(text, &want); err != nil {
			t.Fatal(err)
		}
		for _, exporter := range []string{"script", "dynamo"} {
			net, err := LoadONNX(back, "testdata/onnx-"+of+"-"+exporter+".onnx", side, side, 3)
			if err != nil {
				t.Error(err)
				continue
			}
			defer net.Close()
			if got, err := net.Features(images, n); err != nil || !mat.EqualApprox(got, dense(want), 1e-5) {
				t.Errorf("%s, %s: %v, features\n%v\nwant\n%v", of, exporter, err, mat.Formatted(got), mat.Formatted(dense(want)))
			}
		}
	}
	ints := func(name string, v ...int64) *protos.AttributeProto {
		return &protos.AttributeProto{Name: name, Type: protos.AttributeProto_INTS, Ints: v}
	}
	opset := []*protos.OperatorSetIdProto{{Version: 17}}
	for want, with := range map[string][]*protos.AttributeProto{
		"operation MaxPool p has dilations [2 2]; only 1":   {ints("kernel_shape", 3, 3), ints("dilations", 2, 2)},
		"p has storage_order 1":                             {ints("kernel_shape", 3, 3), {Name: "storage_order", Type: protos.AttributeProto_INT, I: 1}},
		"p has auto_pad SAME_UPPER":                         {ints("kernel_shape", 3, 3), {Name: "auto_pad", Type: protos.AttributeProto_STRING, S: []byte("SAME_UPPER")}},
		"p has kernel_shape [3]":                            {ints("kernel_shape", 3)},
		"p has ceil_mode with windows [1 1], strides [2 2]": {ints("kernel_shape", 1, 1), ints("strides", 2, 2), {Name: "ceil_mode", Type: protos.AttributeProto_INT, I: 1}},
	} {
		pool := &protos.NodeProto{OpType: "MaxPool", Name: "p", Input: []string{"x"}, Output: []string{"y"}, Attribute: with}
		g := &protos.GraphProto{Input: []*protos.ValueInfoProto{{Name: "x"}}, Node: []*protos.NodeProto{pool}}
		if err := plainONNX(&protos.ModelProto{OpsetImport: opset, Graph: g}, "y"); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v; want %q", err, want)
		}
	}
}

// What is wrong with either file is said in one line.
func TestLoadONNXRefusals(t *testing.T) {
	nchw, err := os.ReadFile("testdata/onnx-nchw.onnx")
	if err != nil {
		t.Fatal(err)
	}
	nhwc, err := os.ReadFile("testdata/onnx-nhwc.onnx")
	if err != nil {
		t.Fatal(err)
	}
	const rgb = `{"colours": "rgb", "range": [0, 1]}`
	back := backendtest.Open(t)
	pureGo, err := backend.PureGo()
	if err != nil {
		t.Fatal(err)
	}
	defer pureGo.Finalize()
	for name, tc := range map[string]struct{ model, info, want string }{
		"no description":    {string(nchw), "", "net.json beside it"},
		"a text":            {"this is no network\n", rgb, "no ONNX file"},
		"empty":             {"", rgb, "no ONNX file"},
		"cut":               {string(nchw[:len(nchw)/2]), rgb, "ONNX file"},
		"unknown operation": {strings.ReplaceAll(string(nchw), "Sigmoid", "Sigmoit"), rgb, "net.onnx: operation Sigmoit s2 cannot be computed here"},
		"empty description": {string(nchw), " ", "net.json: it is empty"},
		"renamed weights":   {strings.Replace(string(nchw), "w3", "w9", 1), rgb, "w9"},
		"no colours":        {string(nchw), `{"range": [0, 1]}`, "colours"},
		"no range":          {string(nchw), `{"colours": "rgb"}`, "range"},
		"mistyped":          {string(nchw), `{"colours": "rgb", "range": [0, 1], "means": [0, 0, 0]}`, "means"},
		"no std":            {string(nchw), `{"colours": "rgb", "range": [0, 1], "mean": [0, 0, 0]}`, "std"},
		"std of 0":          {string(nchw), `{"colours": "rgb", "range": [0, 1], "mean": [0, 0, 0], "std": [1, 0, 1]}`, "more than 0"},
		"grey":              {string(nchw), `{"colours": "grey", "range": [0, 1]}`, "colours"},
		"other layout":      {string(nchw), `{"colours": "rgb", "range": [0, 1], "layout": "nhwc"}`, "channels"},
		"other height":      {string(nchw), `{"colours": "rgb", "range": [0, 1], "height": 12}`, "height of 12"},
		"open sides":        {string(nhwc), rgb, "height"},
		"too small":         {string(nhwc), `{"colours": "rgb", "range": [0, 1], "height": 2, "width": 2}`, ""},
		"too large":         {string(nhwc), `{"colours": "rgb", "range": [0, 1], "height": 5000, "width": 2}`, "1024"},
		"no such output":    {string(nchw), `{"colours": "rgb", "range": [0, 1], "output": "logits"}`, "there are features"},
	} {
		path := filepath.Join(t.TempDir(), "net.onnx")
		if err := os.WriteFile(path, []byte(tc.model), 0o644); err != nil {
			t.Fatal(err)
		}
		if tc.info != "" {
			if err := os.WriteFile(strings.TrimSuffix(path, "onnx")+"json", []byte(tc.info), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		_, err := LoadONNX(back, path, 10, 8, 3)
		_, early := CompileONNX(pureGo, path, 10, 8, 3) // before a run has a backend
		for _, err := range []error{err, early} {
			if err == nil || !strings.Contains(err.Error(), tc.want) || !oneline.Is(err.Error()) || !strings.Contains(err.Error(), "net.") {
				t.Errorf("%s: error %v, want one line with %q", name, err, tc.want)
			}
		}
	}
}

// Tensors that a file cannot hold, or does not, are refused before the library makes room for them, in networks within too.
func TestONNXTensorsThatAreNotThere(t *testing.T) {
	tensor := func(dims ...int64) *protos.TensorProto { return &protos.TensorProto{Name: "w", Dims: dims} }
	elsewhere := tensor(2)
	elsewhere.ExternalData = []*protos.StringStringEntryProto{{Key: "location", Value: "/etc/passwd"}}
	for name, tc := range map[string]struct {
		tensor *protos.TensorProto
		want   string
	}{
		"huge":      {tensor(1<<40, 4), "more than the file holds"},
		"overflow":  {tensor(1<<62, 1<<62, 0), ""}, // no values at all
		"negative":  {tensor(-1), "more than the file holds"},
		"elsewhere": {elsewhere, "another file"},
		"right":     {tensor(10, 5), ""},
	} {
		within := &protos.GraphProto{Node: []*protos.NodeProto{{Attribute: []*protos.AttributeProto{{T: tc.tensor}}}}}
		for _, g := range []*protos.GraphProto{
			{Initializer: []*protos.TensorProto{tc.tensor}}, within,
			{Node: []*protos.NodeProto{{Attribute: []*protos.AttributeProto{{G: within}}}}},
		} {
			if err := checkONNXTensors(g, 50); (err == nil) != (tc.want == "") || err != nil && !strings.Contains(err.Error(), tc.want) {
				t.Errorf("%s: error %v, want %q", name, err, tc.want)
			}
		}
	}
}

// FuzzONNX parses arbitrary files, which may fail but neither panic nor take the memory that they declare.
func FuzzONNX(f *testing.F) {
	for _, name := range []string{"onnx-nchw", "onnx-nhwc"} {
		content, err := os.ReadFile("testdata/" + name + ".onnx")
		if err != nil {
			f.Fatal(err)
		}
		f.Add(content)
		f.Add(content[:len(content)/2])
	}
	f.Fuzz(func(t *testing.T, content []byte) {
		_ = fuzztest.Read(t, len(content), func() error {
			_, err := parseONNX(content, "")
			return err
		})
	})
}

// FuzzONNXInfo reads arbitrary descriptions. What it accepts is written as something that reads as the same.
func FuzzONNXInfo(f *testing.F) {
	for _, name := range []string{"onnx-nchw", "onnx-nhwc"} {
		text, err := os.ReadFile("testdata/" + name + ".json")
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
	f.Add([]byte("null"))
	f.Fuzz(func(t *testing.T, text []byte) {
		var info ONNXInfo
		if fuzztest.Read(t, len(text), func() (err error) { info, err = parseONNXInfo(text); return err }) != nil {
			return
		}
		fuzztest.Rereads(t, info, fuzztest.JSON, parseONNXInfo)
	})
}

// Rows of features are told from maps, also where these have as many values as there are images.
func TestFeaturesOf(t *testing.T) {
	for _, tc := range []struct {
		dims []int
		want int
	}{{[]int{6, 5}, 5}, {[]int{6, 5, 1, 1}, 5}, {[]int{6, 1, 1, 5}, 5}, {[]int{6, 1}, 1}, {[]int{6, 2, 3}, 0}, {[]int{6, 6, 6}, 0}, {[]int{5, 6}, 0}, {[]int{6}, 0}, {nil, 0}, {[]int{6, 0}, 0}} {
		if got := featuresOf(shapes.Make(dtypes.Float32, tc.dims...), 6); got != tc.want {
			t.Errorf("%v: %d features, want %d", tc.dims, got, tc.want)
		}
	}
	if got := featuresOf(shapes.Make(dtypes.Int32, 6, 5), 6); got != 0 {
		t.Errorf("of integers there are %d features", got)
	}
}
