package dit

import (
	"encoding/json"
	"math"
	"os"
	"slices"
	"strings"
	"testing"

	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/model"

	"palimpsest/pkg/backend/backendtest"
	"palimpsest/pkg/network"
	"palimpsest/pkg/network/networktest"
)

// reference is testdata/reference.json, made there by
//
//	python3 reference.py > reference.json
//
// with PyTorch 2.
type reference struct {
	Output, Mid []float64
	Parameters  int
}

func load(t *testing.T) (r map[string]reference) {
	t.Helper()
	content, err := os.ReadFile("testdata/reference.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(content, &r); err != nil {
		t.Fatal(err)
	}
	return r
}

// values are the weights of a store by their path below the network's.
func values(t *testing.T, store *model.Store) map[string][]float32 {
	t.Helper()
	all := map[string][]float32{}
	for v := range store.IterVariables() {
		value, err := v.Value()
		if err != nil {
			t.Fatal(err)
		}
		all[strings.TrimPrefix(v.Path(), "/net/")] = tensors.MustCopyFlatData[float32](value)
	}
	return all
}

// The same network in PyTorch, by other hands than GoMLX's, gives the same output and the same activations in the middle:
// square images with labels, and others with three channels, a learned variance and no labels.
func TestForwardAgainstPyTorch(t *testing.T) {
	references := load(t)
	for name, c := range map[string]Config{
		"labels": {Height: 8, Width: 8, Channels: 1, OutChannels: 1, Classes: 3, Patch: 2, Depth: 3, Hidden: 16, Heads: 4},
		"wide":   {Height: 8, Width: 12, Channels: 3, OutChannels: 6, Patch: 4, Depth: 2, Hidden: 24, Heads: 2},
	} {
		want, store := references[name], networktest.Weights(backendtest.Open(t), c, 0)
		if got := store.NumParameters(); got != want.Parameters {
			t.Errorf("%s: %d weights, PyTorch made %d", name, got, want.Parameters)
		}
		networktest.SetWaves(t, store, 0.1)
		out, err := model.CallOnceN(backendtest.Open(t), store, func(scope *model.Scope, x, t, y *Node) []*Node {
			in := network.Inputs{X: x, T: t, Y: y}
			return []*Node{c.Forward(scope.At("net"), 0, in), c.ForwardToMid(scope.At("net"), 0, in)}
		}, networktest.Images(c, 2), []int32{3, 917}, []int32{1, 3})
		if err != nil {
			t.Fatal(err)
		}
		for i, want := range [][]float64{want.Output, want.Mid} {
			got := tensors.MustCopyFlatData[float32](out[i])
			if len(got) != len(want) {
				t.Fatalf("%s: %d values, PyTorch has %d", name, len(got), len(want))
			}
			worst := 0.0
			for k := range got {
				worst = max(worst, math.Abs(float64(got[k])-want[k]))
			}
			t.Logf("%s, output %d: off by at most %.2g", name, i, worst)
			if worst > 1e-5 {
				t.Errorf("%s, output %d: off by %g from PyTorch's", name, i, worst)
			}
		}
	}
}

// Sizes are those of [dit] table 1; the numbers of weights are PyTorch's for S/2, and the paper's, in millions, for the rest.
func TestPresets(t *testing.T) {
	count := func(name string) float64 {
		c, err := Preset(name, 32, 32, 4, 1000)
		if err != nil {
			t.Fatal(err)
		}
		c.OutChannels = 8
		d, p := float64(c.Hidden), float64(c.Patch*c.Patch)
		return float64(c.Depth)*(18*d*d+15*d) + p*4*d + d + timeFeatures*d + d + d*d + d + 1001*d + 2*d*d + 2*d + p*8*d + p*8
	}
	if got := count("S/2"); got != float64(load(t)["S/2"].Parameters) {
		t.Errorf("S/2 has %g weights, PyTorch's %d", got, load(t)["S/2"].Parameters)
	}
	for name, millions := range map[string]float64{"S/4": 33, "B/4": 130, "L/8": 458, "XL/2": 675} {
		if got := math.Round(count(name) / 1e6); math.Abs(got-millions) > 1 {
			t.Errorf("%s has %g million weights, the paper's %g", name, got, millions)
		}
	}
	for _, bad := range []string{"", "S", "S/3", "tiny/2", "M/2", "S/2/2"} {
		if _, err := Preset(bad, 32, 32, 1, 0); err == nil || !strings.Contains(err.Error(), "choose one of") {
			t.Errorf("size %q gives %v", bad, err)
		}
	}
	if _, err := Preset("S/8", 28, 32, 1, 0); err == nil || !strings.Contains(err.Error(), "32×32") {
		t.Errorf("sides that patches do not divide give %v", err)
	}
	tiny, err := Preset("tiny", 16, 16, 1, 10)
	if err != nil {
		t.Fatal(err)
	}
	for what, change := range map[string]func(*Config){
		"hidden": func(c *Config) { c.Hidden = 30 }, "positive": func(c *Config) { c.Depth = 0 }, "out_channels": func(c *Config) { c.OutChannels = 3 },
		"depth is": func(c *Config) { c.Depth = 1 << 20 }, "weights": func(c *Config) { c.Hidden = 1 << 20 },
		"classes": func(c *Config) { c.Classes = -1 }, "adapters": func(c *Config) { c.LoRA.Rank = 1 }, "of heads": func(c *Config) { c.Heads = 5 },
	} {
		c := tiny
		change(&c)
		if err := c.Validate(); err == nil || !strings.Contains(err.Error(), what) {
			t.Errorf("%s: %v", what, err)
		}
	}
}

// Weights begin as the paper's code draws them: what ends a block at zero, so that the network is zero and every block the
// identity; other maps uniformly within sqrt(6/(in+out)); embeddings normally with deviation 0.02, which over 8,320 values has a
// standard error of 0.8 %. Adapters change nothing but add two weights to each kernel.
func TestInitialWeights(t *testing.T) {
	c := Config{Height: 8, Width: 8, Channels: 1, OutChannels: 1, Classes: 129, Patch: 4, Depth: 1, Hidden: 64, Heads: 4}
	plain := values(t, networktest.Weights(backendtest.Open(t), c, 1))
	adapted := values(t, networktest.Weights(backendtest.Open(t), c.WithLoRA(network.LoRA{Rank: 2, Alpha: 2}), 1))
	kernels := 0
	for path, w := range plain {
		largest, sum := float32(0), 0.0
		for _, v := range w {
			largest, sum = max(largest, v, -v), sum+float64(v)*float64(v)
		}
		switch name := path[strings.LastIndex(path, "/")+1:]; {
		case name == "biases" || strings.Contains(path, "modulation") || path == "out/weights":
			if largest != 0 {
				t.Errorf("%s begins at up to %g, want 0", path, largest)
			}
		case strings.HasPrefix(path, "time") || name == network.Embedding:
			if d := math.Sqrt(sum / float64(len(w))); math.Abs(d/0.02-1) > 5/math.Sqrt(2*float64(len(w))) {
				t.Errorf("%s has deviation %g, want 0.02", path, d)
			}
		default:
			limit := map[string]float64{"in/weights": 6. / (16 + 64), "block0/attend/weights": 6. / (4 * 64), "block0/project/weights": 6. / (2 * 64),
				"block0/wide/weights": 6. / (5 * 64), "block0/narrow/weights": 6. / (5 * 64)}[path]
			if l := math.Sqrt(limit); float64(largest) > l || float64(largest) < 0.95*l {
				t.Errorf("%s begins within %g, want %g", path, largest, l)
			}
		}
		if strings.HasSuffix(path, network.Kernel) {
			kernels++
		}
		if !slices.Equal(adapted[path], w) {
			t.Errorf("%s begins elsewhere next to an adapter", path)
		}
	}
	if len(adapted) != len(plain)+2*kernels {
		t.Errorf("%d weights, and %d with adapters of %d kernels", len(plain), len(adapted), kernels)
	}
}
