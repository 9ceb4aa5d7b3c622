package diffusion

import (
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/pkg/errors"
)

// Denoiser is a network as samplers and likelihoods see it.
type Denoiser interface {
	// Output evaluates the network on B noisy images x, [B, D] flat, at timesteps t [B] with labels y [B], and
	// returns [B, D] predictions, or [B, 2·D] with variances where they are learned (pixel by pixel, channels last).
	Output(x []float32, t, y []int32) ([]float32, error)
}

// Denoiser returns the network's trained weights, or their moving average, as a [Denoiser]. Each batch size compiles
// once: keep it fixed.
func (n *Network) Denoiser(ema bool) Denoiser {
	if ema {
		return networkDenoiser{n, 1}
	}
	return networkDenoiser{n, 0}
}

// networkDenoiser does not embed the network: what holds one could then close it, load it or train it by mistake.
type networkDenoiser struct {
	network *Network
	which   int // of Network.outputs
}

func (d networkDenoiser) Output(x []float32, t, y []int32) ([]float32, error) {
	n := d.network
	u, rows := n.Shape, len(t)
	if err := n.ready(x, t, y); err != nil {
		return nil, err
	}
	n.predicted.Add(int64(rows))
	out, err := n.outputs[d.which].Call1(tensors.FromFlatDataAndDimensions(x, rows, u.H, u.W, u.Channels),
		tensors.FromFlatDataAndDimensions(t, rows), tensors.FromFlatDataAndDimensions(y, rows))
	if err != nil {
		return nil, errors.WithMessage(err, "diffusion: network call")
	}
	defer out.MustFinalizeAll()
	return tensors.CopyFlatData[float32](out)
}

// Guided is classifier-free guidance, [cfg] eq. 6:
//
//	output = (1+Scale)·output(x, y) - Scale·output(x, no label)
//
// at twice the cost of the plain network. Scale 0 is the plain network. NoLabel is the network's number of classes.
// The network must have been trained with labels dropped at random.
type Guided struct {
	Denoiser
	Scale   float64 // 0 to [MostGuidance]
	NoLabel int32
	// Channels of the OutChannels of each pixel are guided, from 1 to all; the rest, learned variances, are the plain network's.
	Channels, OutChannels int
}

// MostGuidance is the largest scale of guidance: the images of any above it are black and white spots.
const MostGuidance = 100

// check reports what cannot guide.
func (g Guided) check() error {
	switch {
	case g.Denoiser == nil:
		return errors.New("diffusion: Guided without a Denoiser; take one by Network.Denoiser")
	case !(g.Scale >= 0 && g.Scale <= MostGuidance):
		return errors.Errorf("diffusion: the scale of guidance is %g; need 0 to %d, usually below 10", g.Scale, MostGuidance)
	case g.Scale > 0 && (g.Channels < 1 || g.Channels > g.OutChannels):
		return errors.Errorf("diffusion: Guided has %d Channels of %d OutChannels; need 1 to all: those of the network's Shape", g.Channels, g.OutChannels)
	}
	return nil
}

// Output implements [Denoiser].
func (g Guided) Output(x []float32, t, y []int32) ([]float32, error) {
	if err := g.check(); err != nil {
		return nil, err
	}
	cond, err := g.Denoiser.Output(x, t, y)
	if err != nil || g.Scale == 0 {
		return cond, err
	}
	none := make([]int32, len(y))
	for i := range none {
		none[i] = g.NoLabel
	}
	free, err := g.Denoiser.Output(x, t, none)
	if err != nil {
		return nil, err
	}
	if len(cond) != len(free) || len(cond)%g.OutChannels != 0 {
		return nil, errors.Errorf("diffusion: guidance of %d values by %d, %d a pixel; need as many of both, and whole pixels", len(cond), len(free), g.OutChannels)
	}
	w := float32(g.Scale)
	for i := range cond {
		if i%g.OutChannels < g.Channels {
			cond[i] += w * (cond[i] - free[i])
		}
	}
	return cond, nil
}
