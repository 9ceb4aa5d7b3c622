package dynamics

import (
	"context"

	"github.com/pkg/errors"

	"palimpsest/pkg/diffusion"
)

// Stitch is one network at large timesteps and another at small ones. Where Low has forgotten and High has not, samples
// against Threshold tell which timesteps carry the forgetting that is seen. Both must predict the same quantity with
// the same variance.
type Stitch struct {
	High, Low diffusion.Denoiser
	Threshold int // High answers at t >= Threshold: 0 is High alone, T Low alone
}

// Output implements [diffusion.Denoiser] for rows of one timestep, as [diffusion.Sample] calls it.
func (s Stitch) Output(x []float32, t, y []int32) ([]float32, error) {
	if len(t) == 0 {
		return nil, errors.New("dynamics: a stitched call has no rows; need at least one")
	}
	for i := range t {
		if t[i] != t[0] {
			return nil, errors.Errorf("dynamics: a stitched call has timesteps %d and %d; give all its rows one", t[0], t[i])
		}
	}
	if int(t[0]) >= s.Threshold {
		return s.High.Output(x, t, y)
	}
	return s.Low.Output(x, t, y)
}

// Sweep draws images from high and low stitched at each threshold, from the same noise, and hands them to each with
// their threshold, [len(labels), dim] flat; channels of the dim values make a pixel. The reverse stitch is a sweep with
// high and low exchanged. It fails on a threshold outside 0 .. T, as [diffusion.Sample] does, or with the error of each.
func Sweep(ctx context.Context, p *diffusion.Process, high, low diffusion.Denoiser, thresholds []int, channels, dim int, labels []int32,
	o diffusion.SamplerConfig, batch int, each func(threshold int, samples []float32) error) error {
	for _, threshold := range thresholds {
		if threshold < 0 || threshold > p.T {
			return errors.Errorf("dynamics: threshold %d; need 0 .. %d", threshold, p.T)
		}
	}
	for _, threshold := range thresholds {
		samples, err := diffusion.Sample(ctx, p, Stitch{high, low, threshold}, channels, dim, labels, o, batch, nil)
		if err != nil {
			return errors.WithMessagef(err, "dynamics: stitched at %d", threshold)
		}
		if err := each(threshold, samples); err != nil {
			return err
		}
	}
	return nil
}
