package metrics

import (
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"palimpsest/pkg/backend/backendtest"

	"github.com/gomlx/gomlx/core/tensors"
	"gonum.org/v1/gonum/mat"
)

const tinyInception = "testdata/inception-tiny.safetensors"

func TestInceptionAgainstPyTorch(t *testing.T) {
	data, err := os.ReadFile("testdata/inception.json")
	if err != nil {
		t.Fatal(err)
	}
	var ref struct {
		Size     int         `json:"size"`
		Features [][]float64 `json:"features"`
	}
	if err := json.Unmarshal(data, &ref); err != nil {
		t.Fatal(err)
	}
	net, err := LoadInception(backendtest.Open(t), tinyInception)
	if err != nil {
		t.Fatal(err)
	}
	n, size := len(ref.Features), ref.Size*ref.Size*3
	pixels := make([]float32, n*size)
	for i := range pixels {
		pixels[i] = float32(float64((i*i*31+i*17)/64%256)/127.5 - 1) // as testdata/inception.py
	}
	got, err := net.Features(pixels, n)
	if err != nil {
		t.Fatal(err)
	}
	// 48 float32 layers against float64, of features of order 1.
	if want := dense(ref.Features); !mat.EqualApprox(got, want, 1e-4) {
		t.Errorf("features\n%v\nwant\n%v", mat.Formatted(got), mat.Formatted(want))
	}
	if net.Dim() != len(ref.Features[0]) || len(net.Identity()) != 64 || !strings.Contains(net.Name(), "inception-tiny.safetensors") {
		t.Errorf("dim %d, identity %q, name %q", net.Dim(), net.Identity(), net.Name())
	}
	if _, err := net.Features(pixels[:size-3], 1); err == nil || !strings.Contains(err.Error(), "square") {
		t.Errorf("an image that is not square: error %v", err)
	}
	if _, err := net.Features(nil, 0); err == nil {
		t.Error("no images gave no error")
	}
}

func TestBilinearWeights(t *testing.T) {
	// Two pixels to four: centres at -0.25, 0.25, 0.75, 1.25 of the input, the border repeated.
	want := [][]float32{{1, 0}, {0.75, 0.25}, {0.25, 0.75}, {0, 1}}
	for o, row := range bilinearWeights(2, 4) {
		for i, v := range row {
			if v != want[o][i] {
				t.Errorf("output %d, input %d: weight %g, want %g", o, i, v, want[o][i])
			}
		}
	}
	for _, size := range [][2]int{{32, 299}, {299, 32}, {7, 7}, {1, 5}} {
		for o, row := range bilinearWeights(size[0], size[1]) {
			sum := 0.0
			for _, v := range row {
				sum += float64(v)
			}
			if math.Abs(sum-1) > 1e-6 {
				t.Errorf("%d to %d: weights of output %d sum to %g", size[0], size[1], o, sum)
			}
		}
	}
}

func TestLoadInceptionRefusals(t *testing.T) {
	backend := backendtest.Open(t)
	good, err := os.ReadFile(tinyInception)
	if err != nil {
		t.Fatal(err)
	}
	rename := func(old, new string) []byte {
		if len(old) != len(new) || !strings.Contains(string(good), old) {
			t.Fatalf("cannot replace %q", old)
		}
		return []byte(strings.Replace(string(good), old, new, 1))
	}
	for name, tc := range map[string]struct {
		content []byte
		want    string
	}{
		"missing tensor":      {rename("Mixed_6e.branch7x7dbl_4.conv", "Mixed_6e.branch7x7dbl_9.conv"), "Mixed_6e.branch7x7dbl_4.conv.weight"},
		"missing batch norm":  {rename("Conv2d_1a_3x3.bn.running_var", "Conv2d_1a_3x3.bn.running_xxx"), "Conv2d_1a_3x3.bn.running_var"},
		"cut short":           {good[:len(good)/2], "truncated"},
		"no safetensors file": {[]byte("hello"), "no safetensors file"},
	} {
		path := filepath.Join(t.TempDir(), "weights.safetensors")
		if err := os.WriteFile(path, tc.content, 0o644); err != nil {
			t.Fatal(err)
		}
		if _, err := LoadInception(backend, path); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: error %v, want one with %q", name, err, tc.want)
		}
	}
	// torchvision's ImageNet weights have the same names and an auxiliary classifier.
	content, err := encodeWeights(map[string]*tensors.Tensor{"AuxLogits.fc.weight": tensors.FromFlatDataAndDimensions([]float32{1}, 1, 1)})
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "imagenet.safetensors")
	if err := os.WriteFile(path, content, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := LoadInception(backend, path); err == nil || !strings.Contains(err.Error(), "ImageNet") {
		t.Errorf("torchvision's weights: error %v", err)
	}
	if _, err := LoadInception(backend, "testdata/none.safetensors"); err == nil {
		t.Error("a file that is not there gave no error")
	}
}
