package counterpart

import (
	"fmt"
	"math"
	"path/filepath"

	"github.com/gomlx/compute"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/pkg/errors"

	"palimpsest/pkg/diffusers"
	"palimpsest/pkg/diffusion"
	"palimpsest/pkg/network"
	"palimpsest/pkg/safetensors"
	"palimpsest/pkg/unet"
)

// How far our numbers may be from diffusers', whose sums run in another order: of one prediction, relative to 1 + its size, and
// of a pixel after some steps of DDIM. The first estimate of an image is a difference divided by sqrt(ᾱ_T), 0.006 on DDPM's linear
// schedule, which makes roundings 160 times as large: 6e-5 of an image there by a reckoning in float64, 4e-6 after 20 steps.
const (
	predictionTolerance = 1e-4
	ImageTolerance      = 1e-3
)

// Files beside a model, written by counterpart.py.
const (
	ioFile  = "io.safetensors"
	inFile  = "in.safetensors"
	outFile = "out.safetensors"
)

// io are inputs of a network, and what diffusers made of them: images flat in our order, [N, H, W, C].
type io struct {
	x, noise    []float32
	t, y        []int32
	steps       int
	out, images []float32
}

// Form compares a model that diffusers made, in the folder dir, with what we make of it: its prediction on given inputs and
// DDIM's images from given noise. It returns in one line how far they are apart.
func Form(back compute.Backend, dir string) (string, error) {
	m, _, err := diffusers.Read(dir, diffusers.Options{})
	if err != nil {
		return "", err
	}
	given, err := readIO(filepath.Join(dir, ioFile), m.Net)
	if err != nil {
		return "", err
	}
	return compare(back, m, given)
}

// compare computes what given tells of and says how far it is.
func compare(back compute.Backend, m *diffusers.Model, given *io) (string, error) {
	out, images, err := evaluated(back, m, given)
	if err != nil {
		return "", err
	}
	prediction, err := furthest(out, given.out, true)
	if err != nil {
		return "", err
	}
	image, err := furthest(images, given.images, false)
	if err != nil {
		return "", err
	}
	said := fmt.Sprintf("prediction within %.1e (need %.0e), images within %.1e (need %.0e)", prediction, predictionTolerance, image, ImageTolerance)
	if !(prediction <= predictionTolerance && image <= ImageTolerance) {
		return said, errors.Errorf("too far from diffusers: %s", said)
	}
	return said, nil
}

// evaluated is the network's output and DDIM's images on the inputs of given.
func evaluated(back compute.Backend, m *diffusers.Model, given *io) (out, images []float32, err error) {
	process, err := diffusion.New(m.Process)
	if err != nil {
		return nil, nil, err
	}
	n, err := diffusion.NewNetwork(back, process, m.Net, diffusion.TrainConfig{LearningRate: 1e-3, EMA: 0.99}, 0)
	if err != nil {
		return nil, nil, err
	}
	defer n.Close()
	err = n.StartFrom(func(name string, values []float32) error {
		if len(m.Weights[name]) != len(values) {
			return errors.Errorf("%d values, need %d", len(m.Weights[name]), len(values))
		}
		copy(values, m.Weights[name])
		return nil
	})
	if err != nil {
		return nil, nil, err
	}
	d := n.Denoiser(false)
	if out, err = d.Output(given.x, given.t, given.y); err != nil {
		return nil, nil, err
	}
	// As the model cards have it: DDIM, or Euler's method along a flow, whose estimates diffusers does not clip.
	sampler := diffusion.SamplerConfig{Name: diffusion.DDIM, Steps: given.steps, Clip: true, Spacing: diffusion.SpacingTrailing}
	if m.Process.Prediction == diffusion.PredictFlow {
		sampler = diffusion.SamplerConfig{Name: diffusion.Euler, Steps: given.steps}
	}
	steps, err := process.LinearSteps(sampler)
	if err != nil {
		return nil, nil, err
	}
	x, t := append([]float32{}, given.noise...), make([]int32, len(given.t))
	per := m.Net.OutChannels / m.Net.Channels // with the variance
	for _, s := range steps {
		for i := range t {
			t[i] = int32(s[0])
		}
		pred, err := d.Output(x, t, given.y)
		if err != nil {
			return nil, nil, err
		}
		for i := range x {
			at := i/m.Net.Channels*m.Net.Channels*per + i%m.Net.Channels
			x0 := s[1]*float64(x[i]) + s[2]*float64(pred[at])
			if sampler.Clip {
				x0 = min(max(x0, -1), 1)
			}
			x[i] = float32(s[3]*float64(x[i]) + s[4]*x0)
		}
	}
	return out, x, nil
}

// furthest is the largest distance of two lists of numbers, where relative of each over 1 + the size of the second.
func furthest(a, b []float32, relative bool) (float64, error) {
	if len(a) != len(b) {
		return 0, errors.Errorf("%d numbers, diffusers has %d", len(a), len(b))
	}
	most := 0.0
	for i := range a {
		d := math.Abs(float64(a[i]) - float64(b[i]))
		if relative {
			d /= 1 + math.Abs(float64(b[i]))
		}
		if !(d <= most) { // NaN too
			most = d
		}
	}
	return most, nil
}

// readIO reads what counterpart.py made of a network.
func readIO(path string, c unet.Config) (*io, error) {
	all, err := safetensors.ReadFileAll(path)
	if err != nil {
		return nil, err
	}
	given := new(io)
	for name, to := range map[string]*[]float32{"x": &given.x, "noise": &given.noise, "out": &given.out, "images": &given.images} {
		t, ok := all[name]
		if !ok {
			return nil, errors.Errorf("%s has no %s", path, name)
		}
		values, err := tensors.CopyFlatData[float32](t)
		if err != nil {
			return nil, err
		}
		d := t.Shape().Dimensions
		if len(d) != 4 {
			return nil, errors.Errorf("%s: %s is %s; need images", path, name, t.Shape())
		}
		*to = network.SwapAxes(values, d[0], d[1], d[2]*d[3])
	}
	for name, to := range map[string]*[]int32{"t": &given.t, "y": &given.y} {
		t, ok := all[name]
		if !ok {
			return nil, errors.Errorf("%s has no %s", path, name)
		}
		values, err := tensors.CopyFlatData[int64](t)
		if err != nil {
			return nil, err
		}
		for _, v := range values {
			*to = append(*to, int32(v))
		}
	}
	steps, ok := all["steps"]
	if !ok {
		return nil, errors.Errorf("%s has no steps", path)
	}
	given.steps = int(tensors.ToScalar[int64](steps))
	return given, nil
}
