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
	if rows == 0 || len(x) != rows*u.Values() || len(y) != rows {
		return nil, errors.Errorf("diffusion: %d timesteps, %d labels and %d pixels; need %d pixels and one label a timestep",
			rows, len(y), len(x), rows*u.Values())
	}
	if err := n.labelsInRange(y); err != nil {
		return nil, err
	}
	if err := n.build(); err != nil {
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
	Scale   float64
	NoLabel int32
	// Channels of the OutChannels of each pixel are guided; the rest, learned variances, are the plain network's.
	Channels, OutChannels int
}

// Output implements [Denoiser].
func (g Guided) Output(x []float32, t, y []int32) ([]float32, error) {
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
	w := float32(g.Scale)
	for i := range cond {
		if i%g.OutChannels < g.Channels {
			cond[i] += w * (cond[i] - free[i])
		}
	}
	return cond, nil
}
