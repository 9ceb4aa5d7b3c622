package diffusion

import (
	"context"
	"math"
	"slices"
	"testing"
)

// TestOblongImages: a network of 8×16 pixels trains, samples, is saved and loaded, and gives gradients, products, importances and
// inner activations of its images' shape, as squares do. Package unet holds its own network to that.
func TestOblongImages(t *testing.T) {
	p := newProcess(t, Config{T: 20, Schedule: "cosine", Prediction: PredictNoise, Variance: FixedLarge})
	u := plain()
	u.H, u.W, u.Channels, u.OutChannels = 8, 16, 3, 3
	n := newNetwork(t, p, u, TrainConfig{LearningRate: 1e-3, EMA: 0.9}, 1)
	defer n.Close()
	const rows, dim = 2, 8 * 16 * 3
	b := exampleBatch(n, rows)
	if len(b.X) != rows*dim {
		t.Fatalf("%d values of %d images; the network says %d an image", len(b.X), rows, n.Shape.Values())
	}
	first, last := step(t, n, b, 0, 1), StepResult{}
	for i := range 30 {
		last = step(t, n, b, i+1, 1)
	}
	if !(last.Loss < first.Loss) {
		t.Errorf("31 steps on one batch took the loss from %g to %g", first.Loss, last.Loss)
	}
	dir := t.TempDir()
	check(t, n.Save(dir))
	other := newNetwork(t, p, u, TrainConfig{LearningRate: 1e-3, EMA: 0.9}, 2)
	defer other.Close()
	check(t, other.Load(dir))
	sampled := func(n *Network) []float32 {
		x, err := Sample(context.Background(), p, n.Denoiser(true), 3, dim, []int32{0, 0, 0}, SamplerConfig{Name: DDIM, Steps: 3, Clip: true}, rows, nil)
		if err != nil || len(x) != 3*dim || slices.ContainsFunc(x, func(v float32) bool { return math.IsNaN(float64(v)) }) {
			t.Fatalf("%d values of 3 samples, %v", len(x), err)
		}
		return x
	}
	if !slices.Equal(sampled(n), sampled(other)) {
		t.Error("a loaded network draws other images")
	}
	noise := make([]float32, rows*dim)
	for i := range noise {
		noise[i] = float32(math.Cos(float64(i)))
	}
	g, err := n.LossGradient(false, rows)
	check(t, err)
	defer g.Close()
	if mean, err := g.Mean(b.X, noise, b.T, b.Y); err != nil || len(mean) != n.Parameters() {
		t.Errorf("a gradient of %d of %d weights, %v", len(mean), n.Parameters(), err)
	}
	d, err := n.Differentiable(false)
	check(t, err)
	if prediction, product, err := d.OutputVJP(b.X, b.T, b.Y, noise); err != nil || len(prediction) != rows*dim || len(product) != rows*dim {
		t.Errorf("%d predicted values and a product of %d, %v", len(prediction), len(product), err)
	}
	if f, err := n.Fisher(context.Background(), slices.Values([]Batch{b}), 1); err != nil || len(f.Mean) != n.Parameters() {
		t.Errorf("importances: %v", err)
	}
	m, err := n.MidBlock(false)
	check(t, err)
	defer m.Close()
	if out, err := m.Output(b.X, b.T, b.Y); err != nil || len(out) != rows*8*16*u.Hidden {
		t.Errorf("%d inner activations of 8×16 pixels, %v", len(out), err)
	}
}
