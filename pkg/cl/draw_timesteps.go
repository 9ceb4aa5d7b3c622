package cl

import (
	"math"
	"slices"

	"github.com/pkg/errors"

	"palimpsest/pkg/diffusion"
)

// How the loop draws the timesteps of a step's rows, [LoopConfig].TimestepSampler.
const (
	SampleUniform = "uniform"

	// SampleImportance is what [iddpm] section 3.3 does: timestep t is drawn with probability p_t in proportion to
	// the root mean square of its last ten losses ([diffusion.LossHistory]), and a row drawn by it weighs 1/(T·p_t)
	// times what the strategy gave it. Expectations are those of uniform timesteps; the variance of the loss is lower
	// where losses differ between timesteps more than within one.
	//
	// Fresh and replay rows alike are drawn and weighed so, after BeforeStep: a strategy sets the weights it would set
	// with uniform timesteps. A row whose timestep the strategy chose itself ([Step.SetTimestep]) is neither weighed
	// nor remembered. What is remembered of the others is l_i times the training's own weight of the timestep, the
	// function of t whose mean is estimated, without the weight of the row; rows of weight 0 are not remembered, so
	// they change nothing. Draws stay uniform until every timestep has ten losses, which takes about 23,000 rows at
	// T = 1000. The memory is kept from task to task.
	SampleImportance = "importance"
)

var timestepSamplers = []string{SampleUniform, SampleImportance}

// lossHistory is how many losses of a timestep are remembered, as in [iddpm].
const lossHistory = 10

// openTimesteps prepares the drawing of timesteps at its beginning.
func (l *Loop) openTimesteps() (err error) {
	switch l.Config.TimestepSampler {
	case "", SampleUniform:
		return nil
	case SampleImportance:
	default:
		return oneOf("timestep_sampler", l.Config.TimestepSampler, timestepSamplers)
	}
	if l.losses, err = diffusion.NewLossHistory(l.Network.Process.T, lossHistory); err != nil {
		return err
	}
	l.lossWeights, err = l.Network.Process.LossWeights(l.Network.Train.LossWeight)
	return err
}

// TimestepState is what the drawing of timesteps has learned so far, for a checkpoint: nil where timesteps are uniform.
func (l *Loop) TimestepState() ([]byte, error) {
	if l.losses == nil {
		return nil, nil
	}
	return l.losses.MarshalBinary()
}

// RestoreTimesteps goes on from what TimestepState returned in a loop of the same configuration. Anything else is an error
// and changes nothing.
func (l *Loop) RestoreTimesteps(state []byte) error {
	if l.losses == nil {
		if len(state) > 0 {
			return errors.Errorf("cl: %d bytes of state for timesteps drawn uniformly; they belong to a run with timestep_sampler %q",
				len(state), SampleImportance)
		}
		return nil
	}
	return l.losses.UnmarshalBinary(state)
}

// sampleTimesteps draws the timesteps of all rows.
func (l *Loop) sampleTimesteps(s *Step) {
	random, t := l.rng(drawTimesteps), s.Batch.T
	if l.losses == nil {
		for i := range t {
			t[i] = random.Int32N(int32(l.Network.Process.T))
		}
	} else {
		var drawn []int32
		drawn, s.factor = l.losses.Draw(random, len(t))
		copy(t, drawn)
	}
	s.drawn, s.chosen, s.filled, s.noisy = slices.Clone(t), make([]bool, len(t)), make([]bool, len(t)), make([]bool, len(t))
}

// weighTimesteps multiplies all weights of drawn rows by what makes up for their timesteps' probabilities.
func (s *Step) weighTimesteps() error {
	for i, t := range s.Batch.T {
		if t != s.drawn[i] {
			return errors.Errorf("cl: the timestep of row %d was changed from %d to %d in the batch; use Step.SetTimestep, so that the row's weight is right",
				i, s.drawn[i], t)
		}
		if s.factor != nil && !s.chosen[i] {
			for _, weights := range [][]float32{s.Batch.W, s.Batch.Distil, s.Batch.TargetW} {
				if weights != nil {
					weights[i] = float32(float64(weights[i]) * s.factor[i])
				}
			}
		}
	}
	return nil
}

// learnTimesteps remembers the losses of the rows that were drawn and counted.
func (l *Loop) learnTimesteps(s *Step, losses []float32) error {
	if l.losses == nil {
		return nil
	}
	for i, t := range s.Batch.T {
		if s.Batch.W[i] == 0 || s.chosen[i] {
			continue
		}
		loss := l.lossWeights[t] * float64(losses[i])
		if math.IsNaN(loss) || math.IsInf(loss, 0) {
			return diffusion.Divergedf("cl: the loss of row %d of step %d is %g at timestep %d: training has diverged; lower the learning rate or clip the gradient",
				i, s.Index, loss, t)
		}
		if err := l.losses.Update(int(t), loss); err != nil {
			return err
		}
	}
	return nil
}
