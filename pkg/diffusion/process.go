package diffusion

import (
	"math"
	"slices"

	"github.com/pkg/errors"
)

// What a network predicts.
const (
	PredictNoise    = "eps" // ε of x_t = sqrt(ᾱ)·x_0 + sqrt(1-ᾱ)·ε, [ddpm]
	PredictImage    = "x0"  // x_0
	PredictVelocity = "v"   // sqrt(ᾱ)·ε - sqrt(1-ᾱ)·x_0, [progressive]

	// PredictFlow is ε - x_0, the velocity dx/dτ of the straight path x = (1-τ)·x_0 + τ·ε ([FlowSchedule]): flow matching. It is
	// minus the velocity of [flow] and [rectified], whose time runs from noise to image.
	PredictFlow = "flow"
)

// Which variance a reverse step has.
const (
	FixedLarge   = "fixed-large"   // β_t (and β̃_1 at t = 0, where β_0 would be the decoder's), [ddpm]
	FixedSmall   = "fixed-small"   // β̃_t
	LearnedRange = "learned-range" // exp(v·ln β_t + (1-v)·ln β̃_t) with v predicted per pixel, [iddpm] eq. 15
)

// Config is everything that defines a diffusion process besides its network.
type Config struct {
	T          int    `yaml:"timesteps" json:"timesteps"`
	Schedule   string `yaml:"schedule" json:"schedule"`     // "linear" or "cosine"; "flow" with prediction "flow"
	Prediction string `yaml:"prediction" json:"prediction"` // "eps", "x0", "v" or "flow"
	Variance   string `yaml:"variance" json:"variance"`     // "fixed-large", "fixed-small" or "learned-range"; a flow reads none
}

// Process is a forward process with the meaning given to a network's output.
type Process struct {
	*Schedule
	Prediction string
	Variance   string
}

// New returns the process c describes.
func New(c Config) (*Process, error) {
	s, err := NewSchedule(c.Schedule, c.T)
	if err != nil {
		return nil, err
	}
	return NewProcess(s, c.Prediction, c.Variance)
}

// NewProcess gives a network's output on schedule s its meaning.
func NewProcess(s *Schedule, prediction, variance string) (*Process, error) {
	if err := s.check(); err != nil {
		return nil, err
	}
	switch prediction {
	case PredictNoise, PredictImage, PredictVelocity:
		if s.Name == FlowSchedule {
			return nil, errors.Errorf("diffusion: schedule \"flow\" with prediction %q; the straight path is that of prediction \"flow\", so set prediction to \"flow\" or choose schedule \"linear\" or \"cosine\"", prediction)
		}
	case PredictFlow:
		if s.Name != FlowSchedule {
			return nil, errors.Errorf("diffusion: prediction \"flow\" with schedule %.100q; a flow goes along a straight path and has no noise schedule, so set schedule to \"flow\" (and draw samples by \"euler\" or \"heun\")", s.Name)
		}
		if variance == LearnedRange {
			return nil, errors.New("diffusion: prediction \"flow\" with variance \"learned-range\"; a flow is deterministic and has no variance to learn, so set variance to \"fixed-large\"")
		}
	default:
		return nil, noPrediction(prediction)
	}
	switch variance {
	case FixedLarge, FixedSmall, LearnedRange:
	default:
		return nil, noVariance(variance)
	}
	return &Process{Schedule: s, Prediction: prediction, Variance: variance}, nil
}

// noPrediction is the error of a prediction that there is none of. The methods of a [Process] that [NewProcess] has not made
// panic with it, and with noVariance.
func noPrediction(name string) error {
	return errors.Errorf("diffusion: prediction is %q; choose \"eps\", \"x0\", \"v\" or \"flow\"", name)
}

// noVariance is the error of a variance that there is none of.
func noVariance(name string) error {
	return errors.Errorf("diffusion: variance is %q; choose \"fixed-large\", \"fixed-small\" or \"learned-range\"", name)
}

// learned says whether the network returns a variance with its prediction.
func (p *Process) learned() bool {
	switch p.Variance {
	case FixedLarge, FixedSmall:
		return false
	case LearnedRange:
		return true
	}
	panic(noVariance(p.Variance))
}

// timestepsInRange reports the first timestep that the process has not.
func (p *Process) timestepsInRange(t []int32) error {
	if i := slices.IndexFunc(t, func(t int32) bool { return t < 0 || int(t) >= p.T }); i >= 0 {
		return errors.Errorf("diffusion: timestep %d of row %d is outside 0 .. %d", t[i], i, p.T-1)
	}
	return nil
}

// check reports a process that [NewProcess] has not made.
func (p *Process) check() error {
	if p == nil || p.Schedule == nil {
		return errors.New("diffusion: no process (nil, or one without a schedule); make it by diffusion.New or NewProcess")
	}
	_, err := NewProcess(p.Schedule, p.Prediction, p.Variance)
	return err
}

// HasBound says whether the process has a variational bound by parts. A flow has none: its likelihood is that of its ODE.
func (p *Process) HasBound() bool { return p.Prediction != PredictFlow }

// OutChannels is how many channels a network must return for images of the given channels: twice as many where the
// variance is learned, the second half being v.
func (p *Process) OutChannels(channels int) int {
	if p.learned() {
		return 2 * channels
	}
	return channels
}

// split returns one pixel's prediction and variance parameter from a network's output laid out [pixels, OutChannels].
func (p *Process) split(out []float32, channels, i int) (pred, v float32) {
	if !p.learned() {
		return out[i], 0
	}
	pixel, c := i/channels, i%channels
	return out[pixel*2*channels+c], out[pixel*2*channels+channels+c]
}

// X0 turns one prediction at timestep t into an estimate of x_0, given the noisy value xt.
func (p *Process) X0(xt, pred float64, t int) float64 {
	one := []float64{pred}
	p.toX0(one, []float64{xt}, t)
	return one[0]
}

// toX0 is [Process.X0] of many predictions, in their place.
func (p *Process) toX0(preds, xt []float64, t int) {
	a, b := p.Signal[t], p.Sigma[t]
	switch p.Prediction {
	case PredictNoise:
		for i, pred := range preds {
			preds[i] = (xt[i] - b*pred) / a
		}
	case PredictImage:
	case PredictVelocity:
		for i, pred := range preds {
			preds[i] = a*xt[i] - b*pred
		}
	case PredictFlow:
		for i, pred := range preds {
			preds[i] = xt[i] - b*pred
		}
	default:
		panic(noPrediction(p.Prediction))
	}
}

// Noise is the ε consistent with an estimate x0 of the image and the noisy value xt at timestep t.
func (p *Process) Noise(xt, x0 float64, t int) float64 {
	return (xt - p.Signal[t]*x0) / p.Sigma[t]
}

// Target is what the network should predict at timestep t for the image value x0 and the noise value eps.
func (p *Process) Target(x0, eps float64, t int) float64 {
	switch p.Prediction {
	case PredictNoise:
		return eps
	case PredictImage:
		return x0
	case PredictVelocity:
		return p.Signal[t]*eps - p.Sigma[t]*x0
	case PredictFlow:
		return eps - x0
	}
	panic(noPrediction(p.Prediction))
}

// ReverseLogVar is ln σ²_t of p(x_{t-1}|x_t) in the process's variance; v is the network's variance output in [-1, 1]
// at this pixel and matters to [LearnedRange] alone.
func (p *Process) ReverseLogVar(t int, v float64) float64 {
	switch p.Variance {
	case FixedSmall:
		return p.PosteriorLogVar[t]
	case FixedLarge:
		if t == 0 {
			return p.PosteriorLogVar[0]
		}
		return math.Log(p.Beta[t])
	case LearnedRange:
		frac := (v + 1) / 2
		return frac*math.Log(p.Beta[t]) + (1-frac)*p.PosteriorLogVar[t]
	}
	panic(noVariance(p.Variance))
}

// PosteriorMean is the mean of q(x_{t-1} | x_t, x_0), [ddpm] eq. 7.
func (p *Process) PosteriorMean(x0, xt float64, t int) float64 {
	return p.PosteriorMeanX0[t]*x0 + p.PosteriorMeanXt[t]*xt
}
