package unet

import (
	"math"
	"palimpsest/pkg/backend/backendtest"
	"palimpsest/pkg/network"
	"palimpsest/pkg/network/networktest"
	"slices"
	"strings"
	"testing"

	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/model"
)

func adapted(c Config) Config {
	c.LoRA = network.LoRA{Rank: 2, Alpha: 3}
	return c
}

// A network with new adapters is the one without, bit for bit, and has the same weights and more: for each kernel
// (inputs + out)·rank of them.
func TestNewAdaptersChangeNothing(t *testing.T) {
	c := referenceConfig()
	plain, with := networktest.Weights(backendtest.Open(t), c, 1), networktest.Weights(backendtest.Open(t), adapted(c), 1)
	names, adapters, want := map[string]bool{}, 0, 0
	for v := range plain.IterVariables() {
		names[v.Path()] = true
		if v.Name() == "weights" {
			inputs, out := network.Matrix(v.Shape().Dimensions)
			want += 2 * (inputs + out)
		}
	}
	for v := range with.IterVariables() {
		if network.IsLoRA(v) == names[v.Path()] {
			t.Errorf("%s is part of an adapter (%v), or of the network without (%v)", v.Path(), network.IsLoRA(v), names[v.Path()])
		}
		if network.IsLoRA(v) {
			adapters += v.Shape().Size()
		}
	}
	if adapters != want || with.NumVariables() <= plain.NumVariables() {
		t.Errorf("%d weights of adapters, want %d", adapters, want)
	}
	setWeights(t, plain)
	for v := range plain.IterVariables() { // an output of zero would hide much
		value, err := v.MustValue().Clone()
		if err != nil {
			t.Fatal(err)
		}
		if err := with.GetVariable(v.Path()).SetValue(value); err != nil {
			t.Fatal(err)
		}
	}
	a := call(t, plain, forward(c), networktest.Images(c, 2), []int32{3, 917}, []int32{1, 3})
	b := call(t, with, forward(adapted(c)), networktest.Images(c, 2), []int32{3, 917}, []int32{1, 3})
	if !slices.Equal(a, b) {
		t.Error("new adapters change predictions")
	}
}

// The kernel of a layer is W + α/r·A·B, by hand: with r = 2, α = 3, A's columns a, b and B's rows c, d it is
// W + 1.5·(a·cᵀ + b·dᵀ).
func TestAdaptedKernelByHand(t *testing.T) {
	for _, layer := range []struct {
		name string
		dims []int // of the kernel
		x    *tensors.Tensor
		call func(b *builder, scope *model.Scope, x *Node) *Node
	}{
		{"dense", []int{3, 2}, tensors.FromFlatDataAndDimensions([]float32{1, -2, 0.5, 3, 0, -1}, 2, 3),
			func(b *builder, scope *model.Scope, x *Node) *Node { return b.dense(scope.At("net"), x, 2, 1) }},
		{"conv", []int{3, 3, 2, 3}, tensors.FromFlatDataAndDimensions([]float32{1, -2, 0.5, 3, 0, -1, 2, 0.25}, 1, 2, 2, 2),
			func(b *builder, scope *model.Scope, x *Node) *Node { return b.conv(scope.At("net"), x, 3, 1, 1) }},
	} {
		t.Run(layer.name, func(t *testing.T) {
			store := model.NewStore()
			run := func(l network.LoRA) []float32 {
				return call(t, store, func(scope *model.Scope, x *Node) *Node {
					return layer.call(&builder{seed: 4, root: "/", lora: l}, scope, x)
				}, layer.x)
			}
			l := network.LoRA{Rank: 2, Alpha: 3}
			plain := run(l)
			inputs, out := network.Matrix(layer.dims)
			set := func(name string, f func(i int) float64) []float64 {
				v := store.GetVariable("/net/" + name)
				exact, values := make([]float64, v.Shape().Size()), make([]float32, v.Shape().Size())
				for i := range values {
					values[i] = float32(f(i))
					exact[i] = float64(values[i])
				}
				if err := v.SetValue(tensors.FromFlatDataAndDimensions(values, v.Shape().Dimensions...)); err != nil {
					t.Fatal(err)
				}
				return exact
			}
			w := set("weights", func(i int) float64 { return math.Sin(float64(i)) })
			a := set("lora_a", func(i int) float64 { return math.Cos(float64(3 * i)) })
			up := set("lora_b", func(i int) float64 { return float64(i%3) - 0.5 })
			withAdapter := run(l)
			byHand := make([]float64, len(w))
			for i := range inputs {
				for o := range out {
					byHand[i*out+o] = w[i*out+o] + 1.5*(a[2*i]*up[o]+a[2*i+1]*up[out+o])
				}
			}
			set("weights", func(i int) float64 { return byHand[i] })
			set("lora_b", func(int) float64 { return 0 })
			if got := run(network.LoRA{}); slices.Equal(got, plain) || !near(got, withAdapter, 1e-5) {
				t.Errorf("with the adapter %v, with the kernel by hand %v", withAdapter, got)
			}
		})
	}
}

// near compares what float32 should agree in.
func near(a, b []float32, tolerance float64) bool {
	for i := range a {
		if !(math.Abs(float64(a[i])-float64(b[i])) <= tolerance) {
			return false
		}
	}
	return len(a) == len(b)
}

// Merged, adapters leave predictions as they are; reset, they are as drawn at first from the same seed.
func TestMergeAndReset(t *testing.T) {
	c := adapted(referenceConfig())
	store := networktest.Weights(backendtest.Open(t), c, 1)
	drawn := map[string][]float32{}
	for v := range store.IterVariables() {
		if network.IsLoRA(v) {
			drawn[v.Path()] = tensors.MustCopyFlatData[float32](v.MustValue())
		}
	}
	setWeights(t, store)
	predict := func() []float32 {
		return call(t, store, forward(c), networktest.Images(c, 2), []int32{3, 917}, []int32{1, 3})
	}
	before := predict()
	scope := store.RootScope().At("net")
	weights := func() map[string][]float32 {
		all := map[string][]float32{}
		for v := range store.IterVariables() {
			all[v.Path()] = tensors.MustCopyFlatData[float32](v.MustValue())
		}
		return all
	}
	apart := weights()
	if err := c.LoRA.Merge(scope); err != nil {
		t.Fatal(err)
	}
	merged := weights()
	// Float32 through some thirty layers, as against the reference.
	if after := predict(); !near(after, before, 5e-5) {
		t.Errorf("merged, the network predicts %v; before %v", after[:4], before[:4])
	}
	for path, w := range merged {
		zeroed, kernel := strings.HasSuffix(path, network.LoRAB), strings.HasSuffix(path, "/weights")
		switch {
		case zeroed && slices.ContainsFunc(w, func(x float32) bool { return x != 0 }):
			t.Errorf("%s is not zero after merging", path)
		case kernel == slices.Equal(w, apart[path]) && !zeroed:
			t.Errorf("%s: changed by merging is %v", path, !kernel)
		}
	}
	for _, seed := range []uint64{2, 1} {
		if err := c.LoRA.Reset(scope, seed); err != nil {
			t.Fatal(err)
		}
		for path, w := range weights() {
			if first, ok := drawn[path]; !ok {
				if !slices.Equal(w, merged[path]) {
					t.Errorf("%s changed by new adapters", path)
				}
			} else if same := slices.Equal(w, first); same != (seed == 1 || strings.HasSuffix(path, network.LoRAB)) {
				t.Errorf("%s of seed %d equals that of seed 1: %v", path, seed, same)
			}
		}
	}
}

func TestLabelRows(t *testing.T) {
	c := referenceConfig() // 3 classes and none, width 16
	weights, err := network.Weights(networktest.Weights(backendtest.Open(t), c, 1).RootScope().At("net"))
	if err != nil {
		t.Fatal(err)
	}
	marks, at, seen := network.LabelRows(weights, []int{0, 2}), 0, 0
	for _, w := range weights {
		for i := range w.Shape().Size() {
			row := i / 16
			if want := w.Name() == "embedding" && (row == 0 || row == 2); marks[at+i] != want {
				t.Fatalf("value %d of %s is marked %v, want %v", i, w.Path(), !want, want)
			} else if want {
				seen++
			}
		}
		at += w.Shape().Size()
	}
	if at != len(marks) || seen != 32 {
		t.Errorf("%d marks for %d weights, %d set; want 32", len(marks), at, seen)
	}
}
