package cl

import (
	"math/rand/v2"

	"palimpsest/pkg/diffusion"
)

// normals are count values of standard Gaussian noise.
func normals(rng *rand.Rand, count int) []float32 {
	noise := make([]float32, count)
	for i := range noise {
		noise[i] = float32(rng.NormFloat64())
	}
	return noise
}

// predict noises prepared images x, one after the other, to timesteps t, and returns what the network predicts for them
// under labels y, in x's shape: a learned variance, which lies next to the prediction of each pixel, is left out.
func (s Setup) predict(d diffusion.Denoiser, x, noise []float32, t, y []int32) ([]float32, error) {
	size, xt := len(x)/len(t), make([]float32, len(x))
	for i, t := range t {
		s.Network.Process.QSample(xt[i*size:(i+1)*size], x[i*size:(i+1)*size], noise[i*size:(i+1)*size], int(t))
	}
	out, err := d.Output(xt, t, y)
	if err != nil || len(out) == len(x) {
		return out, err
	}
	for i := range xt {
		xt[i] = out[i/s.C*2*s.C+i%s.C]
	}
	return xt, nil
}

// losses are the mean squared errors of what the trained weights predict for noised images, an image each: see predict.
func (s Setup) losses(x, noise []float32, t, y []int32) ([]float64, error) {
	out, err := s.predict(s.Network.Denoiser(false), x, noise, t, y)
	if err != nil {
		return nil, err
	}
	size, losses := len(x)/len(t), make([]float64, len(t))
	for i := range x {
		row := i / size
		d := float64(out[i]) - s.Network.Process.Target(float64(x[i]), float64(noise[i]), int(t[row]))
		losses[row] += d * d / float64(size)
	}
	return losses, nil
}

// interference is how much the losses of noised images rise by a step of plain gradient descent along g, of length rate. The
// weights are as before when it returns.
func (s Setup) interference(g []float32, rate float64, x, noise []float32, t, y []int32) ([]float64, error) {
	n := s.Network
	theta, err := n.Weights(false)
	if err != nil {
		return nil, err
	}
	moved := make([]float32, len(theta))
	for i := range moved {
		moved[i] = theta[i] - float32(rate*float64(g[i]))
	}
	before, err := s.losses(x, noise, t, y)
	if err != nil {
		return nil, err
	}
	if err := n.SetWeights(moved, false); err != nil {
		return nil, err
	}
	after, err := s.losses(x, noise, t, y)
	if err := firstError(err, n.SetWeights(theta, false)); err != nil {
		return nil, err
	}
	for i := range after {
		after[i] -= before[i]
	}
	return after, nil
}
