package diffusion

import "math"

// Names of the samplers.
const (
	Ancestral = "ancestral" // draws from p(x_{t-1}|x_t), [ddpm] algorithm 2
	DDIM      = "ddim"      // [ddim] eq. 12
	DPMPP2M   = "dpm++2m"   // [dpm++] algorithm 2

	// Of flows ([PredictFlow]):
	Euler = "euler" // first order, one network call a step
	Heun  = "heun"  // second order, two network calls a step but the last
)

// samplers are all samplers there are.
var samplers = []sampler{
	{Ancestral, false, false, evenly, func(p *Process, _ SamplerConfig) solver { return &ancestral{p} }, nil},
	{DDIM, true, false, evenly, func(p *Process, c SamplerConfig) solver { return &ddim{p, c.Eta} }, ddimLinear},
	{DPMPP2M, false, false, (*Schedule).LogSNRTimesteps, func(p *Process, _ SamplerConfig) solver { return &dpmpp2m{Process: p} }, dpmpp2mLinear},
	{Euler, false, true, fromNoise, func(p *Process, _ SamplerConfig) solver { return &euler{p} }, eulerLinear},
	{Heun, false, true, fromNoise, func(p *Process, _ SamplerConfig) solver { return &heun{euler: euler{p}} }, nil},
}

// evenly is [EvenTimesteps] of a schedule.
func evenly(s *Schedule, n int) ([]int, error) { return EvenTimesteps(s.T, n) }

// fromNoise are n timesteps that end at the last and part the way from pure noise to the image into equal steps, where n
// divides T; the last step goes from the first of them to the image itself.
func fromNoise(s *Schedule, n int) ([]int, error) { return strides(s.T, n, true) }

// ancestral draws x_{t-1} from p(x_{t-1}|x_t) = N(mean, σ²), [ddpm] algorithm 2: the mean is that of
// q(x_{t-1}|x_t, x_0) at the estimate of x_0, the variance the process's own. The last step adds no noise.
type ancestral struct{ *Process }

func (a *ancestral) advance(k int, x, x0, v []float64, normal func(int) float64) {
	for i := range x {
		mean := a.PosteriorMean(x0[i], x[i], k)
		if k > 0 {
			mean += math.Exp(a.ReverseLogVar(k, v[i])/2) * normal(i)
		}
		x[i] = mean
	}
}

// ddim is [ddim] eq. 12, with σ² = η²·β̃ (eq. 16) and the noise that agrees with the estimate of x_0, clipped or not, which
// diffusers calls use_clipped_model_output=True:
//
//	x_{t-1} = sqrt(ᾱ_{t-1})·x_0 + sqrt(1-ᾱ_{t-1}-σ²)·ε + σ·noise
type ddim struct {
	*Process
	eta float64
}

func (d *ddim) advance(k int, x, x0, _ []float64, normal func(int) float64) {
	ab := d.AlphaBarPrev[k]
	variance := d.eta * d.eta * d.PosteriorVar[k]
	signal, direction, sigma := math.Sqrt(ab), math.Sqrt(max(1-ab-variance, 0)), math.Sqrt(variance)
	for i := range x {
		next := signal*x0[i] + direction*d.Noise(x[i], x0[i], k)
		if sigma > 0 {
			next += sigma * normal(i)
		}
		x[i] = next
	}
}

// ddimLinear is a step of [ddim] without noise.
func ddimLinear(p *Process, k int) (x, x0, before float64) {
	x = p.Sigma[k-1] / p.Sigma[k]
	return x, p.Signal[k-1] - x*p.Signal[k], 0
}

// dpmpp2m is the second-order multistep solver of [dpm++] algorithm 2. With λ half the log-SNR, h the step in λ, r
// the ratio of the step before to h, and D the extrapolated estimate of x_0:
//
//	D   = (1 + 1/(2r))·x0_k - 1/(2r)·x0_{k+1}
//	x'  = σ'/σ·x - α'·(exp(-h)-1)·D
//
// The first step has no past and takes D = x0_k. So does the last, to λ = ∞, whose result is the estimate itself.
type dpmpp2m struct {
	*Process
	before []float64 // estimates at the timestep before
}

func (s *dpmpp2m) advance(k int, x, x0, _ []float64, _ func(int) float64) {
	if k == 0 {
		copy(x, x0)
		return
	}
	lambda := func(k int) float64 { return s.LogSNR(k) / 2 }
	h := lambda(k-1) - lambda(k)
	shrink, grow := s.Sigma[k-1]/s.Sigma[k], -s.Signal[k-1]*math.Expm1(-h)
	past := 0.0
	if k < s.T-1 {
		past = h / (lambda(k) - lambda(k+1)) / 2
	} else {
		s.before = make([]float64, len(x))
	}
	for i := range x {
		x[i] = shrink*x[i] + grow*((1+past)*x0[i]-past*s.before[i])
	}
	copy(s.before, x0)
}

// dpmpp2mLinear is a step of [dpmpp2m].
func dpmpp2mLinear(p *Process, k int) (x, x0, before float64) {
	lambda := func(k int) float64 { return p.LogSNR(k) / 2 }
	h := lambda(k-1) - lambda(k)
	grow, past := -p.Signal[k-1]*math.Expm1(-h), 0.0
	if k < p.T-1 {
		past = h / (lambda(k) - lambda(k+1)) / 2
	}
	return p.Sigma[k-1] / p.Sigma[k], grow * (1 + past), -grow * past
}

// euler is Euler's method on the flow dx/dτ = u(x, τ), from kept timestep to kept timestep and from the first to τ = 0, u being
// the velocity that agrees with the estimate of x_0, clipped or not:
//
//	x' = x + (τ'-τ)·u,    u = (x - x_0)/τ
type euler struct{ *Process }

// velocity is u at kept timestep k.
func (e *euler) velocity(x, x0 float64, k int) float64 { return (x - x0) / e.Sigma[k] }

func (e *euler) advance(k int, x, x0, _ []float64, _ func(int) float64) {
	if k == 0 {
		copy(x, x0)
		return
	}
	for i := range x {
		x[i] += (e.Sigma[k-1] - e.Sigma[k]) * e.velocity(x[i], x0[i], k)
	}
}

// eulerLinear is a step of [euler].
func eulerLinear(p *Process, k int) (x, x0, before float64) {
	x = p.Sigma[k-1] / p.Sigma[k]
	return x, 1 - x, 0
}

// heun is Heun's method on the flow: a step of [euler], then the same step again by the mean of the velocities at its two ends.
// The last step, to the image, is Euler's, as in [edm] algorithm 1: the error of a single step, which leaves the whole of second
// order.
type heun struct {
	euler
	from, u []float64 // images and velocities where the step began
}

func (h *heun) advance(k int, x, x0, v []float64, normal func(int) float64) {
	if k > 0 {
		h.from = append(h.from[:0], x...)
		h.u = h.u[:0]
		for i := range x {
			h.u = append(h.u, h.velocity(x[i], x0[i], k))
		}
	}
	h.euler.advance(k, x, x0, v, normal)
}

func (h *heun) correct(k int, x, x0 []float64) {
	for i := range x {
		x[i] = h.from[i] + (h.Sigma[k-1]-h.Sigma[k])*(h.u[i]+h.velocity(x[i], x0[i], k-1))/2
	}
}
