package dynamics

import (
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
