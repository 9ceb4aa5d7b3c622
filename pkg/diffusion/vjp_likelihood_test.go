package diffusion

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// The product of probe and Jacobian, applied to a direction, is the probed change of the prediction along it, by central
// differences. float32 leaves those about 1e-3 of their size.
func TestVectorJacobianProduct(t *testing.T) {
	p := newProcess(t, Config{T: 50, Schedule: "linear", Prediction: PredictNoise, Variance: LearnedRange})
	u := plain()
	u.OutChannels, u.Classes = 2, 3
	n := newNetwork(t, p, u, TrainConfig{LearningRate: 1e-3}, 1)
	if err := n.build(); err != nil {
		t.Fatal(err)
	}
	random := rand.New(rand.NewPCG(1, 1))
	normal := func(size int) []float32 {
		x := make([]float32, size)
		for i := range x {
			x[i] = float32(random.NormFloat64())
		}
		return x
	}
	// An untrained network's last convolution is zero, and with it the Jacobian: weights are drawn anew.
	values := normal(n.Parameters())
	for i := range values {
		values[i] *= 0.3
	}
	check(t, n.SetWeights(values, false))
	d, err := n.Differentiable(false)
	if err != nil {
		t.Fatal(err)
	}
	const rows, dim = 2, 16
	x, probe, direction := normal(rows*dim), normal(rows*dim), normal(rows*dim)
	steps, y := []int32{3, 40}, []int32{0, 3}
	prediction, product, err := d.OutputVJP(x, steps, y, probe)
	if err != nil {
		t.Fatal(err)
	}
	output := func(x []float32) []float32 {
		out, err := d.Output(x, steps, y)
		if err != nil {
			t.Fatal(err)
		}
		var first []float32 // of every pixel's prediction and variance
		for i := 0; i < len(out); i += 2 {
			first = append(first, out[i])
		}
		return first
	}
	for i, want := range output(x) {
		if math.Abs(float64(prediction[i]-want)) > 1e-4 {
			t.Errorf("prediction %d is %g; the denoiser says %g", i, prediction[i], want)
		}
	}
	const h = 1e-2
	up, down := slices.Clone(x), slices.Clone(x)
	for i := range x {
		up[i] += h * direction[i]
		down[i] -= h * direction[i]
	}
	high, low := output(up), output(down)
	for r := range rows {
		var got, want, size float64
		for i := r * dim; i < (r+1)*dim; i++ {
			got += float64(product[i]) * float64(direction[i])
			want += float64(probe[i]) * float64(high[i]-low[i]) / (2 * h)
			size += math.Abs(float64(product[i]) * float64(direction[i]))
		}
		t.Logf("row %d: %g by product, %g by differences", r, got, want)
		if math.Abs(got-want) > 0.01*size || size < 0.1 {
			t.Errorf("row %d: %g by product, %g by differences", r, got, want)
		}
	}
	if calls := n.PredictionCalls(); calls != 4*rows {
		t.Errorf("%d rows counted; want %d", calls, 4*rows)
	}
	if _, _, err := d.OutputVJP(x, steps, y, probe[1:]); err == nil {
		t.Error("a short probe passes")
	}
	if _, _, err := d.OutputVJP(x, steps, []int32{0, 4}, probe); err == nil {
		t.Error("label 4 of 3 classes passes")
	}
	// Closed, it leaves the network to others.
	before := output(x)
	d.Close()
	if !slices.Equal(output(x), before) {
		t.Error("the network's output is another once its products are closed")
	}
	out, err := n.Denoiser(false).Output(x, steps, y)
	if err != nil || out[0] != before[0] {
		t.Errorf("the network gives %v (%v) once its products are closed", out, err)
	}
	if _, _, err := d.OutputVJP(x, steps, y, probe); err == nil {
		t.Error("products are given after Close")
	}
}
