package diffusion

import (
	"math"

	"github.com/pkg/errors"
)

// TrainConfig holds the settings of the optimiser, GoMLX's Adam (arXiv:1412.6980) with β1 = 0.9, β2 = 0.999 and ε = 1e-7; PyTorch's
// ε is 1e-8 unless told otherwise.
type TrainConfig struct {
	LearningRate float64 `yaml:"learning_rate" json:"learning_rate"`
	WarmUp       int     `yaml:"warm_up" json:"warm_up"`           // steps over which the learning rate rises linearly from 0
	WeightDecay  float64 `yaml:"weight_decay" json:"weight_decay"` // above 0: AdamW
	ClipNorm     float64 `yaml:"clip_norm" json:"clip_norm"`       // largest norm of the whole gradient; 0: no clipping
	EMA          float64 `yaml:"ema" json:"ema"`                   // decay of the averaged weights, reached as min(EMA, (1+n)/(10+n)) at step n
	LossWeight   string  `yaml:"loss_weight" json:"loss_weight"`   // weight of L_simple by timestep, as [Process.LossWeights] names it; "": uniform
	VLBWeight    float64 `yaml:"vlb_weight" json:"vlb_weight"`     // weight of the variational bound added to L_simple, for learned variances ([iddpm]: 0.001)

	// Objective is what a row's loss is: "simple" (or nothing), the mean squared error of the prediction, or "vlb", T
	// times the term of the variational bound at the row's timestep in bits per dimension, mean and variance trained by
	// it alike: averaged over uniform timesteps, the bound itself except for its prior ([iddpm]'s L_vlb).
	Objective string `yaml:"objective,omitempty" json:"objective,omitempty"`
}

// What a row's loss is.
const (
	ObjectiveSimple = "simple" // L_simple, [ddpm] eq. 14, with the bound added to it where vlb_weight is above 0
	ObjectiveVLB    = "vlb"    // T·L_t in bits per dimension, [iddpm] section 3.3
)

// Beyond these a step leaves nothing of a network: Adam moves each weight by the learning rate, and weights are 0.1 or so.
const (
	mostLearningRate = 100
	mostVLBWeight    = 1e6
)

// Validate reports the first setting that makes no sense.
func (c TrainConfig) Validate() error {
	switch {
	case !(c.LearningRate > 0 && c.LearningRate <= mostLearningRate):
		return errors.Errorf("diffusion: learning_rate is %g; need more than 0 and at most %d, usually below 0.01", c.LearningRate, mostLearningRate)
	case c.WarmUp < 0 || !finite(c.WeightDecay) || !finite(c.ClipNorm) || !finite(c.VLBWeight):
		return errors.Errorf("diffusion: warm_up %d, weight_decay %g, clip_norm %g, vlb_weight %g; need finite numbers >= 0",
			c.WarmUp, c.WeightDecay, c.ClipNorm, c.VLBWeight)
	case c.VLBWeight > mostVLBWeight:
		return errors.Errorf("diffusion: vlb_weight is %g; need 0 to %g, usually 0.001", c.VLBWeight, mostVLBWeight)
	case c.WeightDecay*c.LearningRate > 1:
		return errors.Errorf("diffusion: weight_decay is %g, of which a step takes as much as learning_rate says, %g: more than all of a weight; need at most %.3g", c.WeightDecay, c.LearningRate, 1/c.LearningRate)
	case !(c.EMA >= 0 && c.EMA < 1):
		return errors.Errorf("diffusion: ema is %g; need 0 <= ema < 1", c.EMA)
	case c.Objective != "" && c.Objective != ObjectiveSimple && c.Objective != ObjectiveVLB:
		return noObjective(c.Objective)
	case c.Objective == ObjectiveVLB && c.VLBWeight > 0:
		return errors.Errorf("diffusion: objective \"vlb\" with vlb_weight %g; vlb_weight adds the bound to \"simple\", so set it to 0 or choose \"simple\"",
			c.VLBWeight)
	case c.Objective == ObjectiveVLB && c.LossWeight != "" && c.LossWeight != "uniform":
		return errors.Errorf("diffusion: objective \"vlb\" with loss_weight %q; the bound weighs timesteps itself, so leave loss_weight empty or choose \"simple\"",
			c.LossWeight)
	}
	return nil
}

// ValidateFor is [TrainConfig.Validate] and whether a network of process p can be trained so.
func (c TrainConfig) ValidateFor(p *Process) error {
	if err := c.Validate(); err != nil {
		return err
	}
	if err := p.check(); err != nil {
		return err
	}
	if c.Objective == ObjectiveVLB && !p.HasBound() {
		return errors.New("diffusion: objective \"vlb\" with prediction \"flow\", which has no variational bound by parts; set objective to \"simple\"")
	}
	return nil
}

// noObjective is the error of an objective that there is none of.
func noObjective(name string) error {
	return errors.Errorf("diffusion: objective is %q; choose \"simple\" or \"vlb\"", name)
}

// finite says whether x is a number of 0 or more, and not infinite.
func finite(x float64) bool { return x >= 0 && !math.IsInf(x, 0) }
