package diffusion

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A closed network refuses whatever is asked of it, and a file that it saved before stays whole.
func TestClosed(t *testing.T) {
	n := newNetwork(t, newProcess(t, Config{T: 20, Schedule: "linear", Prediction: PredictVelocity, Variance: FixedSmall}), plain(), TrainConfig{LearningRate: 1e-3}, 1)
	dim, parameters, dir := n.Shape.Values(), n.Parameters(), t.TempDir()
	if err := n.Save(dir); err != nil {
		t.Fatal(err)
	}
	saved, err := os.ReadFile(filepath.Join(dir, StateFile))
	if err != nil {
		t.Fatal(err)
	}
	mid, err := n.MidBlock(false)
	if err != nil {
		t.Fatal(err)
	}
	gradient, err := n.LossGradient(false, 1)
	if err != nil {
		t.Fatal(err)
	}
	x, at, y := make([]float32, dim), []int32{1}, []int32{0}
	batch := Batch{X: x, Y: y, T: at, W: []float32{1}}
	prepared, err := n.Prepare(batch, 0, 1)
	if err != nil {
		t.Fatal(err)
	}
	denoiser := n.Denoiser(true)
	n.Close()
	n.Close() // a second time does nothing
	for name, ask := range map[string]func() error{
		"Save":           func() error { return n.Save(dir) },
		"Snapshot":       func() error { _, err := n.Snapshot(); return err },
		"Load":           func() error { return n.Load(dir) },
		"Weights":        func() error { _, err := n.Weights(false); return err },
		"SetWeights":     func() error { return n.SetWeights(make([]float32, parameters), true) },
		"Kernels":        func() error { _, err := n.Kernels(); return err },
		"Reset":          func() error { return n.Reset(2) },
		"ResetOptimizer": func() error { return n.ResetOptimizer() },
		"Extend":         func() error { return n.Extend(Extra{Teacher: true}) },
		"Hold":           func() error { return n.Hold(make([]uint8, dim), [256]float32{}) },
		"Spread":         func() error { return n.Spread(2) },
		"Step":           func() error { _, err := n.Step(batch, 0, 1); return err },
		"Do":             func() error { _, err := n.Do(prepared); return err },
		"Output":         func() error { _, err := denoiser.Output(x, at, y); return err },
		"MidBlock":       func() error { _, err := n.MidBlock(true); return err },
		"LossGradient":   func() error { _, err := n.LossGradient(true, 1); return err },
		"Differentiable": func() error { _, err := n.Differentiable(true); return err },
		"mid.Output":     func() error { _, err := mid.Output(x, at, y); return err },
		"gradient.Mean":  func() error { _, err := gradient.Mean(x, x, at, y); return err },
	} {
		if err := ask(); err == nil || !strings.Contains(err.Error(), "was closed") || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s after Close: error %v, want one line that says that the network was closed", name, err)
		}
	}
	if got := n.Parameters(); got != parameters {
		t.Errorf("%d parameters after Close, %d before", got, parameters)
	}
	if after, err := os.ReadFile(filepath.Join(dir, StateFile)); err != nil || string(after) != string(saved) {
		t.Errorf("the file that was saved changed: %d bytes (%v), want %d", len(after), err, len(saved))
	}
}
