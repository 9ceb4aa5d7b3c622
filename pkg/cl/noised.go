package cl

import (
	"math/rand/v2"

	"palimpsest/datasets"
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

// losses are the errors of the trained weights.
func (s Setup) losses(x, noise []float32, t, y []int32) ([]float64, error) {
	return s.errors(s.Network.Denoiser(false), x, noise, t, y)
}

// errors are the mean squared errors of what a network predicts for noised images, an image each: see predict.
func (s Setup) errors(d diffusion.Denoiser, x, noise []float32, t, y []int32) ([]float64, error) {
	out, err := s.predict(d, x, noise, t, y)
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

// How [Setup.imageLosses] looks at an image.
const (
	lossTimesteps = 8   // at which it is noised
	lossBatch     = 100 // rows of a call, as an evaluation has by default: one compiled network serves both
)

// imageLosses are the denoising losses of images under d with their labels: for each the mean over [lossTimesteps] timesteps, from the
// middle of as many equal parts of 0 .. T-1, of the mean squared error of the prediction. Each timestep has one noise, drawn by the
// seed, which all images meet at all times: losses then differ by images and network alone. rows is how many rows d evaluated.
func (s Setup) imageLosses(d diffusion.Denoiser, im *datasets.Images) (losses []float64, rows int, err error) {
	size, rng := im.ImageSize(), rand.New(rand.NewPCG(s.Seed, drawLosses))
	losses = make([]float64, im.N)
	x, noise := make([]float32, lossBatch*size), make([]float32, lossBatch*size)
	t, y := make([]int32, lossBatch), make([]int32, lossBatch)
	for k := range lossTimesteps {
		at, drawn := int32((2*k+1)*s.Timesteps/(2*lossTimesteps)), normals(rng, size)
		for i := range t {
			t[i] = at
			copy(noise[i*size:(i+1)*size], drawn)
		}
		for first := 0; first < im.N; first += lossBatch {
			for i := range t {
				j := min(first+i, im.N-1) // the last call is filled up by the last image
				datasets.Scale(x[i*size:(i+1)*size], im.Image(j))
				y[i] = im.Labels[j]
			}
			of, err := s.errors(d, x, noise, t, y)
			if err != nil {
				return nil, rows, err
			}
			for i := range min(lossBatch, im.N-first) {
				losses[first+i] += of[i] / lossTimesteps
			}
			rows += lossBatch
		}
	}
	return losses, rows, nil
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
