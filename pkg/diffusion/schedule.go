package diffusion

import (
	"math"
	"strconv"
	"strings"

	"github.com/pkg/errors"
)

// Schedule holds the tables of a forward process q, all float64 and indexed by timestep 0 .. T-1:
//
//	x_t = Signal_t·x_0 + Sigma_t·ε
//
// Signal² + Sigma² is 1, but on the straight path of [FlowSchedule]; there the tables of β, ᾱ and the posterior are those of
// x_t / sqrt(Signal² + Sigma²), the process of the same signal-to-noise ratio that keeps its variance.
type Schedule struct {
	Name            string
	T               int
	Beta            []float64 // variance added at a step, β_t
	AlphaBar        []float64 // ᾱ_t = Π_{s<=t} (1-β_s), [ddpm] eq. 4
	AlphaBarPrev    []float64 // ᾱ_{t-1}, 1 at t = 0
	PosteriorVar    []float64 // β̃_t, variance of q(x_{t-1}|x_t,x_0), [ddpm] eq. 7; 0 at t = 0
	PosteriorLogVar []float64 // ln β̃_t, with β̃_0 replaced by β̃_1 as [iddpm] does
	PosteriorMeanX0 []float64 // weight of x_0 in the posterior mean
	PosteriorMeanXt []float64 // weight of x_t in the posterior mean
	Signal          []float64 // what x_t has of x_0: sqrt(ᾱ_t), or 1-τ_t
	Sigma           []float64 // what it has of the noise: sqrt(1-ᾱ_t), or τ_t
}

// FlowSchedule is the straight path from image to noise of flow matching ([flow] eq. 22 with σ_min = 0, [rectified] eq. 1),
// for [PredictFlow] alone: Signal = 1-τ and Sigma = τ at τ_t = (t+1)/T. The papers count time the other way, from noise at 0 to
// the image at 1. At the last timestep, where τ is 1, a thousandth of a timestep's signal is left, so that every timestep has
// a finite log-SNR.
const FlowSchedule = "flow"

// maxTimesteps is far more than any process has; a slip of the keyboard is not to fill the memory.
const maxTimesteps = 1 << 20

// NewSchedule returns the "linear" schedule of [ddpm] or the "cosine" schedule of [iddpm] with steps timesteps.
// The linear one runs from 1e-4 to 0.02 at T = 1000 and is rescaled by 1000/T for any other T, so that ᾱ_T stays
// near zero: without it T = 100 would leave ᾱ_T = 0.36. Networks trained elsewhere bring schedules with ends of their own:
// "linear:0.0001:0.02" has those β at any T, and "scaled-linear:0.00085:0.012" is linear in sqrt(β), diffusers' beta_start and
// beta_end of either.
func NewSchedule(name string, steps int) (*Schedule, error) {
	if steps < 2 || steps > maxTimesteps {
		return nil, errors.Errorf("diffusion: timesteps is %d; need 2 to %d", steps, maxTimesteps)
	}
	beta := make([]float64, steps)
	switch name {
	case "linear":
		scale := 1000 / float64(steps)
		first, last := scale*1e-4, scale*0.02
		for t := range beta {
			beta[t] = min(first+(last-first)*float64(t)/float64(steps-1), 0.999)
		}
	case FlowSchedule:
		signal, sigma := make([]float64, steps), make([]float64, steps)
		for t := range signal {
			signal[t] = max(float64(steps-1-t), 1e-3) / float64(steps)
			sigma[t] = 1 - signal[t]
		}
		return straight(signal, sigma)
	case "cosine":
		f := func(u float64) float64 { c := math.Cos((u + 0.008) / 1.008 * math.Pi / 2); return c * c }
		for t := range beta {
			beta[t] = min(1-f(float64(t+1)/float64(steps))/f(float64(t)/float64(steps)), 0.999)
		}
	default:
		kind, ends, found := strings.Cut(name, ":")
		if !found || kind != "linear" && kind != "scaled-linear" {
			return nil, errors.Errorf("diffusion: no schedule is named %q; choose \"linear\" or \"cosine\", or \"flow\" with prediction \"flow\"", name)
		}
		first, last, err := parseEnds(ends)
		if err != nil {
			return nil, errors.WithMessagef(err, "diffusion: schedule %.100q", name)
		}
		for t := range beta {
			at := float64(t) / float64(steps-1)
			if kind == "linear" {
				beta[t] = first + (last-first)*at
			} else {
				root := math.Sqrt(first) + (math.Sqrt(last)-math.Sqrt(first))*at
				beta[t] = root * root
			}
		}
	}
	return FromBetas(name, beta)
}

// parseEnds reads "FIRST:LAST", the β at either end of a schedule.
func parseEnds(text string) (first, last float64, err error) {
	a, b, _ := strings.Cut(text, ":")
	if first, err = strconv.ParseFloat(a, 64); err == nil {
		last, err = strconv.ParseFloat(b, 64)
	}
	if err != nil || !(first > 0 && first < 1 && last > 0 && last < 1) {
		return 0, 0, errors.New("need two variances within 0 and 1, for instance \"linear:0.0001:0.02\"")
	}
	return first, last, nil
}

// FromBetas returns the schedule with the given variances, each in (0, 1), of which there must be at least two. It is an error if
// ᾱ rounds to 0 or 1 with them. The name is the caller's, but for that of [FlowSchedule].
func FromBetas(name string, beta []float64) (*Schedule, error) {
	if name == FlowSchedule {
		return nil, errors.Errorf("diffusion: variances named %q, which is the straight path and has none; take NewSchedule(%q, T), or another name", name, name)
	}
	if len(beta) < 2 {
		return nil, errors.Errorf("diffusion: %d timesteps; need at least 2", len(beta))
	}
	alphaBar, product := make([]float64, len(beta)), 1.0
	for t, b := range beta {
		product *= 1 - b
		alphaBar[t] = product
	}
	return newSchedule(name, beta, alphaBar)
}

// straight is [FlowSchedule] at the timesteps of these signals and noises.
func straight(signal, sigma []float64) (*Schedule, error) {
	beta, alphaBar, prev := make([]float64, len(signal)), make([]float64, len(signal)), 1.0
	for t, a := range signal {
		alphaBar[t] = a * a / (a*a + sigma[t]*sigma[t])
		beta[t] = 1 - alphaBar[t]/prev
		prev = alphaBar[t]
	}
	s, err := newSchedule(FlowSchedule, beta, alphaBar)
	if err == nil {
		s.Signal, s.Sigma = signal, sigma
	}
	return s, err
}

// check reports a schedule that [NewSchedule] and [FromBetas] have not made.
func (s *Schedule) check() error {
	if s == nil {
		return errors.New("diffusion: no schedule (nil); make it by diffusion.NewSchedule or FromBetas")
	}
	for _, table := range [][]float64{s.Beta, s.AlphaBar, s.AlphaBarPrev, s.PosteriorVar, s.PosteriorLogVar, s.PosteriorMeanX0, s.PosteriorMeanXt, s.Signal, s.Sigma} {
		if s.T < 1 || len(table) != s.T {
			return errors.Errorf("diffusion: a schedule of %d timesteps with a table of %d; need one or more, and as many in every table: make it by diffusion.NewSchedule or FromBetas", s.T, len(table))
		}
	}
	return nil
}

// newSchedule fills the tables that follow from β and ᾱ.
func newSchedule(name string, beta, alphaBar []float64) (*Schedule, error) {
	n := len(beta)
	s := &Schedule{Name: name, T: n, Beta: beta, AlphaBar: alphaBar}
	for _, table := range []*[]float64{&s.AlphaBarPrev, &s.PosteriorVar, &s.PosteriorLogVar,
		&s.PosteriorMeanX0, &s.PosteriorMeanXt, &s.Signal, &s.Sigma} {
		*table = make([]float64, n)
	}
	prev := 1.0
	for t, b := range beta {
		if !(b > 0 && b < 1) {
			return nil, errors.Errorf("diffusion: beta[%d] is %g; need 0 < beta < 1", t, b)
		}
		ab := alphaBar[t]
		if !(ab > 0 && ab < 1) {
			return nil, errors.Errorf("diffusion: with beta[%d] = %g ᾱ rounds to %g, which leaves nothing of the image or of the noise; need 0 < ᾱ < 1: take fewer or other variances", t, b, ab)
		}
		s.AlphaBarPrev[t] = prev
		s.Signal[t], s.Sigma[t] = math.Sqrt(ab), math.Sqrt(1-ab)
		s.PosteriorVar[t] = b * (1 - prev) / (1 - ab)
		s.PosteriorMeanX0[t] = b * math.Sqrt(prev) / (1 - ab)
		s.PosteriorMeanXt[t] = (1 - prev) * math.Sqrt(1-b) / (1 - ab)
		prev = ab
	}
	for t := range beta {
		s.PosteriorLogVar[t] = math.Log(s.PosteriorVar[min(max(t, 1), n-1)])
	}
	return s, nil
}

// LogSNR is ln(ᾱ_t / (1-ᾱ_t)) in nats: the signal-to-noise ratio that makes timesteps of different schedules comparable.
func (s *Schedule) LogSNR(t int) float64 {
	if s.Name == FlowSchedule {
		return 2 * math.Log(s.Signal[t]/s.Sigma[t])
	}
	return math.Log(s.AlphaBar[t]) - math.Log1p(-s.AlphaBar[t])
}

// QSample writes a draw of q(x_t | x_0) into dst, [ddpm] eq. 4:
//
//	x_t = sqrt(ᾱ_t)·x_0 + sqrt(1-ᾱ_t)·noise
//
// or, on [FlowSchedule], (1-τ)·x_0 + τ·noise. dst, x0 and noise hold one image each; dst may be x0. It panics unless they have the
// same length.
func (s *Schedule) QSample(dst, x0, noise []float32, t int) {
	if len(x0) != len(dst) || len(noise) != len(dst) {
		panic(errors.Errorf("diffusion.QSample: an image of %d values and noise of %d into %d; need one length", len(x0), len(noise), len(dst)))
	}
	a, b := float32(s.Signal[t]), float32(s.Sigma[t])
	for i := range dst {
		dst[i] = a*x0[i] + b*noise[i]
	}
}
