package diffusion

import (
	"context"
	"math"
	"slices"
	"strings"
	"testing"
)

// Moments of single rows' gradients against the gradient of batches of one row.
func TestFisherByHand(t *testing.T) {
	n := extendedNetwork(t)
	b := exampleBatch(n, 4)
	noise, _ := noiseOf(t, n, b, 5)
	b.Noise, b.GivenNoise, b.W = noise, []bool{true, true, true, true}, []float32{1, 2, 0, 0.5}
	of, err := n.LossGradient(false, 1)
	check(t, err)
	defer of.Close()
	size, dim := n.Parameters(), len(b.X)/4
	mean, square, absolute := make([]float32, size), make([]float32, size), make([]float32, size)
	for r, w := range b.W {
		g, err := of.Mean(b.X[r*dim:(r+1)*dim], noise[r*dim:(r+1)*dim], b.T[r:r+1], b.Y[r:r+1])
		check(t, err)
		for i, x := range g {
			mean[i] += w * x / 3.5
			square[i] += w * x * x / 3.5
			absolute[i] += w * float32(math.Abs(float64(x))) / 3.5
		}
	}
	got, err := n.Fisher(context.Background(), slices.Values([]Batch{b}), 1)
	check(t, err)
	for name, pair := range map[string][2][]float32{"mean": {got.Mean, mean}, "square": {got.Square, square}, "absolute": {got.Absolute, absolute}} {
		if d := distance(pair[0], pair[1]); d > 1e-5 {
			t.Errorf("%s is off by %g of its largest value", name, d)
		}
	}
	squareOfMean := 0.0
	for i := range mean {
		squareOfMean = max(squareOfMean, math.Abs(float64(square[i])-float64(mean[i])*float64(mean[i])))
	}
	if got.Rows != 3 || squareOfMean < 1e-3 {
		t.Errorf("%d rows, want 3; the square differs from the mean's by %g", got.Rows, squareOfMean)
	}

	// Noise belongs to a seed and a row's place, not to batches.
	b.GivenNoise, b.W = nil, nil
	whole, err := n.Fisher(context.Background(), slices.Values([]Batch{b}), 1)
	check(t, err)
	part := func(from, to int) Batch {
		return Batch{X: b.X[from*dim : to*dim], T: b.T[from:to], Y: b.Y[from:to]}
	}
	parts, err := n.Fisher(context.Background(), slices.Values([]Batch{part(0, 1), part(1, 4)}), 1)
	check(t, err)
	other, err := n.Fisher(context.Background(), slices.Values([]Batch{b}), 2)
	check(t, err)
	if !slices.Equal(whole.Square, parts.Square) || slices.Equal(whole.Square, other.Square) {
		t.Error("the noise of rows depends on batches, or not on the seed")
	}
}

func TestMASByHand(t *testing.T) {
	n := extendedNetwork(t)
	b := exampleBatch(n, 2)
	_, xt := noiseOf(t, n, b, 5)
	noise, _ := noiseOf(t, n, b, 5)
	dim := len(b.X) / 2
	one := Batch{X: b.X[dim:], T: b.T[1:], Y: b.Y[1:], Noise: noise[dim:], GivenNoise: []bool{true}}
	got, err := n.MAS(context.Background(), slices.Values([]Batch{one}), 1)
	check(t, err)
	for i, g := range got.Mean {
		if got.Absolute[i] != float32(math.Abs(float64(g))) {
			t.Fatalf("weight %d: gradient %g, absolute %g", i, g, got.Absolute[i])
		}
	}
	theta, line := flatWeights(t, n), slices.Clone(got.Mean)
	for i, x := range wave(n, float64(slices.Max(got.Mean))/10, 5.1) {
		line[i] += x
	}
	length := math.Sqrt(dot(line, line))
	squared := func(h float64) float64 {
		moved := slices.Clone(theta)
		for i := range moved {
			moved[i] += float32(h * float64(line[i]) / length)
		}
		check(t, n.SetWeights(moved, false))
		out, err := n.Denoiser(false).Output(xt[dim:], b.T[1:], b.Y[1:])
		check(t, err)
		return dot(out, out)
	}
	const h = 3e-3
	if slope, want := (squared(h)-squared(-h))/(2*h), dot(got.Mean, line)/length; math.Abs(slope/want-1) > 0.01 {
		t.Errorf("slope of the squared output %g, the gradient says %g", slope, want)
	}
	check(t, n.SetWeights(theta, false))
	both, err := n.MAS(context.Background(), slices.Values([]Batch{b}), 1)
	check(t, err)
	if dot(both.Absolute, both.Absolute) <= dot(both.Mean, both.Mean) {
		t.Error("absolute values of two rows' gradients average to no more than their mean")
	}
}

func TestImportanceRefuses(t *testing.T) {
	n := extendedNetwork(t)
	ctx, cancel := context.WithCancel(context.Background())
	try := func(want string, spoil func(*Batch)) {
		t.Helper()
		b := exampleBatch(n, 2)
		spoil(&b)
		if _, err := n.Fisher(ctx, slices.Values([]Batch{b}), 1); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("want an error with %q, have %v", want, err)
		}
	}
	try("no rows", func(b *Batch) { b.W = []float32{0, 0} })
	try("weight -1", func(b *Batch) { b.W[1] = -1 })
	try("31 pixels", func(b *Batch) { b.X = b.X[1:] })
	try("timestep 50", func(b *Batch) { b.T[1] = 50 })
	try("label 4", func(b *Batch) { b.Y[1] = 4 })
	try("GivenNoise", func(b *Batch) { b.GivenNoise = []bool{true, true} })
	cancel()
	try("stopped after 0 rows", func(*Batch) {})
}
