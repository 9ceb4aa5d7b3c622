package dynamics

import (
	"context"
	"math"
	"slices"
	"strings"
	"testing"

	"palimpsest/pkg/backend/backendtest"
	"palimpsest/pkg/diffusion"
	"palimpsest/pkg/unet"
)

func activations(t *testing.T, p *Probe, r Representation) *Activations {
	t.Helper()
	a, err := p.Activations(context.Background(), r)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// feature makes activations, of any number, of one noisy image, its timestep and its label.
type feature func(x []float32, t, y int32) []float32

func (f feature) Output(x []float32, t, y []int32) ([]float32, error) {
	var out []float32
	for r := range t {
		dim := len(x) / len(t)
		out = append(out, f(x[r*dim:(r+1)*dim], t[r], y[r])...)
	}
	return out, nil
}

// A representation that is turned and scaled everywhere, but made of another pixel for label 1 at timestep 20, has
// drifted there alone.
func TestDriftIsWhereItIs(t *testing.T) {
	p := newProcess(t, 50, diffusion.PredictNoise, diffusion.FixedLarge)
	tasks := flatTasks([]uint8{10, 200}, 12, 2) // images of 4 values
	probe := newProbe(t, p, tasks, Options{Timesteps: []int{20, 40}, Batch: 7, Seed: 1})
	before := activations(t, probe, feature(func(x []float32, _, _ int32) []float32 { return x[:2] }))
	after := activations(t, probe, feature(func(x []float32, t, y int32) []float32 {
		if t == 20 && y == 1 {
			return []float32{x[2], x[3], 0}
		}
		return []float32{-2 * x[1], 5, 2 * x[0]}
	}))
	if before.Features != 2 || after.Features != 3 || len(after.Values) != 2*2*12*3 {
		t.Fatalf("%d and %d features, %d values", before.Features, after.Features, len(after.Values))
	}
	d, err := after.Drift(before)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 4 {
		same := math.Abs(d.CKA[i]-1) < 1e-9 && math.Abs(d.Unbiased[i]-1) < 1e-9
		if same == (i == 2) || (i == 2 && d.CKA[i] > 0.7) {
			t.Errorf("task %d at timestep %d: CKA %g, unbiased %g", i/2, probe.Timesteps[i%2], d.CKA[i], d.Unbiased[i])
		}
	}
	other := activations(t, newProbe(t, p, tasks, Options{Timesteps: []int{20, 40}, Batch: 7, Seed: 2}), feature(func(x []float32, _, _ int32) []float32 { return x }))
	if _, err := other.Drift(before); err == nil {
		t.Error("activations of different probes pass")
	}
	constant := activations(t, probe, feature(func([]float32, int32, int32) []float32 { return []float32{0.1} }))
	if _, err := constant.Drift(before); err == nil || !strings.Contains(err.Error(), "task 0 at timestep 20") {
		t.Errorf("a constant representation: error %v", err)
	}
	if _, err := probe.Activations(context.Background(), feature(func([]float32, int32, int32) []float32 { return nil })); err == nil {
		t.Error("no activations pass")
	}
}

// An untrained network predicts no noise at all: its loss is the noise's variance, 1 ± sqrt(2/16/images).
func TestUntrainedNetworkLosesTheNoise(t *testing.T) {
	p := newProcess(t, 50, diffusion.PredictNoise, diffusion.FixedLarge)
	u := unet.Config{ImageSize: 4, Channels: 1, OutChannels: 1, Base: 4, Mults: []int{1}, ResBlocks: 1, Heads: 1, Groups: 2}
	n, err := diffusion.NewNetwork(backendtest.Open(t), p, u, diffusion.TrainConfig{LearningRate: 1e-3}, 1)
	if err != nil {
		t.Fatal(err)
	}
	defer n.Close()
	const images = 200
	probe := newProbe(t, p, []Task{gaussianTask(images, 16, 0.3)}, Options{Timesteps: []int{5, 45}, Batch: 128})
	mean, se, err := measure(t, probe, n.Denoiser(false)).Mean(diffusion.PredictNoise)
	if err != nil {
		t.Fatal(err)
	}
	for k := range mean {
		if ratio := se[k] / math.Sqrt(2./16/images); math.Abs(mean[k]-1) > 4*se[k] || ratio < 0.8 || ratio > 1.2 {
			t.Errorf("timestep %d: %g ± %g (%g of its theory), want 1", probe.Timesteps[k], mean[k], se[k], ratio)
		}
	}
}

func TestDriftOfNetworks(t *testing.T) {
	p := newProcess(t, 50, diffusion.PredictNoise, diffusion.FixedLarge)
	u := unet.Config{ImageSize: 4, Channels: 1, OutChannels: 1, Base: 4, Mults: []int{1}, ResBlocks: 1, Heads: 1, Groups: 2}
	probe := newProbe(t, p, []Task{gaussianTask(8, 16, 0.3)}, Options{Timesteps: []int{5, 45}, Batch: 5})
	var all []*Activations
	for _, seed := range []uint64{1, 1, 2} {
		n, err := diffusion.NewNetwork(backendtest.Open(t), p, u, diffusion.TrainConfig{LearningRate: 1e-3}, seed)
		if err != nil {
			t.Fatal(err)
		}
		defer n.Close()
		m, err := n.MidBlock(false)
		if err != nil {
			t.Fatal(err)
		}
		defer m.Close()
		all = append(all, activations(t, probe, m))
	}
	if all[0].Features != 4*4*4 || !slices.Equal(all[0].Values, all[1].Values) {
		t.Errorf("%d features; a network of one seed differs from itself", all[0].Features)
	}
	same, err := all[1].Drift(all[0])
	if err != nil {
		t.Fatal(err)
	}
	drifted, err := all[2].Drift(all[0])
	if err != nil {
		t.Fatal(err)
	}
	for k := range 2 {
		if math.Abs(same.CKA[k]-1) > 1e-12 || drifted.CKA[k] > 0.999 || drifted.CKA[k] <= 0 {
			t.Errorf("CKA %g of itself and %g of another network", same.CKA[k], drifted.CKA[k])
		}
	}
}
