package likelihood

import (
	"context"
	"math"
	"sort"

	"github.com/pkg/errors"
	"gonum.org/v1/gonum/floats"
	"gonum.org/v1/gonum/stat"

	"palimpsest/pkg/diffusion"
)

// Differentiable is a network with products of its Jacobian, as package diffusion offers for its own.
type Differentiable interface {
	// OutputVJP evaluates B images x [B, D] at timesteps t with labels y and returns the prediction [B, D] (without
	// variances) and probe·∂prediction/∂x [B, D], each row with its own probe [B, D].
	OutputVJP(x []float32, t, y []int32, probe []float32) (prediction, product []float32, err error)
}

// ODEOptions say how the likelihood by the ODE is computed. Start from [DefaultODEOptions].
type ODEOptions struct {
	Batch int     `yaml:"batch" json:"batch"` // images solved together; the network sees 2·Batch rows a call
	Draws int     `yaml:"draws" json:"draws"` // draws of dequantisation noise and probe, an image each
	Seed  uint64  `yaml:"seed" json:"seed"`
	Exact bool    `yaml:"exact" json:"exact"` // the whole trace, D calls instead of one: for small D
	RTol  float64 `yaml:"rtol" json:"rtol"`   // relative tolerance of a step
	ATol  float64 `yaml:"atol" json:"atol"`   // absolute: of values, and of the log-density in nats per dimension
	// MaxSteps of one batch, accepted or not.
	MaxSteps int `yaml:"max_steps" json:"max_steps"`

	// Progress, where set, gets after every step the share done, from 0 to 1.
	Progress func(share float64) `yaml:"-" json:"-"`
}

// DefaultODEOptions are the tolerances of [sde], 1e-5, and one draw.
func DefaultODEOptions() ODEOptions {
	return ODEOptions{Batch: 64, Draws: 1, RTol: 1e-5, ATol: 1e-5, MaxSteps: 10000}
}

// Validate reports the first setting that makes no sense.
func (o ODEOptions) Validate() error {
	switch {
	case o.Batch < 1 || o.Draws < 1 || o.MaxSteps < 1:
		return errors.Errorf("likelihood: batch %d, draws %d, max_steps %d; need at least 1", o.Batch, o.Draws, o.MaxSteps)
	case !(o.RTol > 0) || !(o.ATol > 0) || math.IsInf(o.RTol, 0) || math.IsInf(o.ATol, 0):
		return errors.Errorf("likelihood: rtol %g, atol %g; need finite numbers > 0", o.RTol, o.ATol)
	}
	return nil
}

// ODELikelihood is the likelihood by the probability-flow ODE.
type ODELikelihood struct {
	BPD     []float64 // [N] mean over draws
	SE      []float64 // [N] standard error over draws, bits per dimension; NaN for one draw
	DrawBPD []float64 // [N, Draws]
	Rows    int64     // images the network saw, fillers of the last batch and rejected steps included
	Steps   int       // accepted, of all batches
}

// MeanBPD is the mean over images and its standard error over images.
func (l *ODELikelihood) MeanBPD() (bpd, se float64) {
	mean, deviation := stat.MeanStdDev(l.BPD, nil)
	return mean, stat.StdErr(deviation, float64(len(l.BPD)))
}

// ODE computes the likelihood of data under the probability-flow ODE of the network, [sde] section 4.3 and appendix D.2,
// with no bound's slack except for the dequantisation. In the coordinates of [ddim] eq. 14, x̄ = x/sqrt(ᾱ) and
// ς = sqrt((1-ᾱ)/ᾱ), it is
//
//	dx̄/dς = ε(x̄, ς),    d ln p/dς = -tr ∂ε/∂x̄
//
// solved in ln ς from timestep 0 to the last with β_t < 1/2 (T-1 on the linear schedule), where x is taken for N(0, 1),
// by the adaptive fifth-order method of [dopri]. The trace is Hutchinson's estimate with one Rademacher probe a draw,
// the same along the way ([ffjord]), or exact.
//
// What it is the exact likelihood of: a network is trained on whole timesteps, so ε between two of them is here their
// mean, linear in ς, each evaluated at its own x = sqrt(ᾱ)·x̄ (two rows a call). The flow ends at the noise of timestep
// 0 (0.01 on the linear schedule, where [sde] ends at its own small time): its density at x̄ = image is the model's.
// Of a flow ([diffusion.PredictFlow]) the equation is that of its own path,
//
//	dx/dτ = u(x, τ),    d ln p/dτ = -tr ∂u/∂x
//
// ([flow] appendix C), solved in τ from timestep 0 to the last, where x is N(0, 1), with u between two timesteps linear in τ, and
// from x = (1-τ_0)·image, whose density counts with the volume of that scaling.
//
// Levels become real numbers by uniform noise over their bins, so that the expected result bounds the discrete
// likelihood from above in bits. Estimates of x_0 are never clipped.
//
// All images of a batch share their steps, chosen by the worst of them: results depend on Batch within the tolerance.
func ODE(ctx context.Context, p *diffusion.Process, d Differentiable, data *Data, o ODEOptions) (*ODELikelihood, error) {
	if err := data.Validate(); err != nil {
		return nil, err
	}
	if err := o.Validate(); err != nil {
		return nil, err
	}
	f := newFlow(p, d, data.Dim, o.Batch, o.Exact)
	n := data.N * o.Draws
	l := &ODELikelihood{DrawBPD: make([]float64, n), BPD: make([]float64, data.N), SE: make([]float64, data.N)}
	from, to := f.place[0], f.place[f.last]
	for first := 0; first < n; first += o.Batch {
		for r := range o.Batch {
			i := min(first+r, n-1)
			f.start(r, data, i/o.Draws, i%o.Draws, o.Seed)
		}
		count, err := dormandPrince(ctx, f.slope, f.norm(o.RTol, o.ATol), f.y, from, to, o.MaxSteps, func(s float64) {
			if o.Progress != nil {
				done := min(float64(o.Batch), float64(n-first)) * (s - from) / (to - from)
				o.Progress((float64(first) + done) / float64(n))
			}
		})
		if err != nil {
			return nil, errors.WithMessagef(err, "images %d to %d", first/o.Draws, min(first+o.Batch, n)/o.Draws)
		}
		l.Steps += count.accepted
		for r := range min(o.Batch, n-first) {
			l.DrawBPD[first+r] = f.bpd(r)
		}
	}
	l.Rows = f.rows
	for i := range l.BPD {
		var deviation float64
		l.BPD[i], deviation = stat.MeanStdDev(l.DrawBPD[i*o.Draws:(i+1)*o.Draws], nil)
		l.SE[i] = stat.StdErr(deviation, float64(o.Draws))
	}
	return l, nil
}

// longestStep is the variance that a timestep may add where the flow passes. The cosine schedule ends in a few longer
// ones, between which the image grows by factors that no network was trained on; before them nothing of it is left.
const longestStep = 0.5

// flow is the ODE of one batch. Its state y holds x̄ of every row, [B, D], then the integral of the trace, divided by D,
// of every row, [B]. x̄ is x/scale, whose slope between two timesteps is, at place s,
//
//	dx̄/ds = rate(s)·(onX·x + onPrediction·prediction)
//
// linear in the timesteps' coordinate. Of a noise schedule scale is sqrt(ᾱ), the coordinate ς, s = ln ς and rate ς; of a flow
// scale is 1-τ_0 throughout, the coordinate and s are τ, and rate is 1/scale.
type flow struct {
	p          *diffusion.Process
	d          Differentiable
	dim, batch int
	exact      bool
	coordinate []float64 // ς or τ of every timestep
	place      []float64 // s of every timestep
	scale      []float64 // of every timestep
	straight   bool      // a flow's own path
	last       int       // the timestep where the flow ends
	y          []float64
	probe      []float32 // [2B, D], the second half repeats the first
	x          []float32 // [2B, D]
	t, labels  []int32   // [2B]
	rows       int64
}

func newFlow(p *diffusion.Process, d Differentiable, dim, batch int, exact bool) *flow {
	f := &flow{p: p, d: d, dim: dim, batch: batch, exact: exact, coordinate: make([]float64, p.T), place: make([]float64, p.T),
		scale: make([]float64, p.T), straight: p.Prediction == diffusion.PredictFlow, y: make([]float64, batch*(dim+1)),
		probe: make([]float32, 2*batch*dim), x: make([]float32, 2*batch*dim), t: make([]int32, 2*batch), labels: make([]int32, 2*batch)}
	for t := range f.coordinate {
		f.coordinate[t], f.scale[t] = p.Sigma[t]/p.Signal[t], p.Signal[t]
		f.place[t] = math.Log(f.coordinate[t])
		if f.straight {
			f.coordinate[t], f.place[t], f.scale[t] = p.Sigma[t], p.Sigma[t], p.Signal[0]
		}
		if p.Beta[t] < longestStep || f.straight {
			f.last = max(t, 1)
		}
	}
	return f
}

// start puts an image with fresh dequantisation noise and a fresh probe into row r.
func (f *flow) start(r int, data *Data, i, draw int, seed uint64) {
	random := generator(seed, data.id(i), draw, "ode")
	for j, level := range data.image(i) {
		f.y[r*f.dim+j] = levels[level] + 2*halfBin*(random.Float64()-0.5)
		sign := float32(1 - 2*int(random.Uint64()>>63))
		f.probe[r*f.dim+j], f.probe[(f.batch+r)*f.dim+j] = sign, sign
	}
	f.y[f.batch*f.dim+r] = 0
	f.labels[r], f.labels[f.batch+r] = data.Labels[i], data.Labels[i]
}

// slope is d/ds of the state.
func (f *flow) slope(s float64, y, slope []float64) error {
	at := math.Exp(s)
	rate := at
	if f.straight {
		at, rate = s, 1/f.scale[0]
	}
	low := min(max(sort.SearchFloat64s(f.coordinate, at)-1, 0), f.last-1)
	share := min(max((at-f.coordinate[low])/(f.coordinate[low+1]-f.coordinate[low]), 0), 1)
	size := f.batch * f.dim
	for half := range 2 {
		a := f.scale[low+half]
		for j, x := range y[:size] {
			f.x[half*size+j] = float32(a * x)
		}
		for r := range f.batch {
			f.t[half*f.batch+r] = int32(low + half)
		}
	}
	prediction, trace, err := f.trace()
	if err != nil {
		return err
	}
	clear(slope)
	for half, weight := range []float64{1 - share, share} {
		t := low + half
		// ε = onX·x + onPrediction·prediction, from the meaning of the prediction; a flow predicts the slope itself.
		onX := f.p.Noise(1, f.p.X0(1, 0, t), t)
		onPrediction := f.p.Noise(0, f.p.X0(0, 1, t), t)
		if f.straight {
			onX, onPrediction = 0, 1
		}
		for j := range size {
			k := half*size + j
			slope[j] += rate * weight * (onX*float64(f.x[k]) + onPrediction*float64(prediction[k]))
		}
		for r := range f.batch {
			divergence := f.scale[t] * (onX + onPrediction*trace[half*f.batch+r]/float64(f.dim))
			slope[size+r] += rate * weight * divergence
		}
	}
	return nil
}

// trace calls the network at f.x and f.t and returns its predictions and the traces of their Jacobians, [2B].
func (f *flow) trace() (prediction []float32, trace []float64, err error) {
	rows := 2 * f.batch
	trace = make([]float64, rows)
	call := func(probe []float32) error {
		var product []float32
		prediction, product, err = f.d.OutputVJP(f.x, f.t, f.labels, probe)
		if err != nil {
			return err
		}
		if len(prediction) != len(f.x) || len(product) != len(f.x) {
			return errors.Errorf("likelihood: the network returned %d predictions and %d products for %d values", len(prediction), len(product), len(f.x))
		}
		f.rows += int64(rows)
		for k := range product {
			trace[k/f.dim] += float64(product[k]) * float64(probe[k])
		}
		return nil
	}
	if !f.exact {
		err = call(f.probe)
		return prediction, trace, err
	}
	unit := make([]float32, len(f.x))
	for j := range f.dim {
		for r := range rows {
			unit[r*f.dim+j] = 1
		}
		if err := call(unit); err != nil {
			return nil, nil, err
		}
		for r := range rows {
			unit[r*f.dim+j] = 0
		}
	}
	return prediction, trace, nil
}

// norm is the largest over rows of the error relative to atol + rtol·|value|: root mean square over an image, and that
// of its log-density per dimension.
func (f *flow) norm(rtol, atol float64) func(before, after, err []float64) float64 {
	return func(before, after, err []float64) float64 {
		scaled := func(j int) float64 { return err[j] / (atol + rtol*max(math.Abs(before[j]), math.Abs(after[j]))) }
		worst := 0.0
		for r := range f.batch {
			sum := 0.0
			for j := r * f.dim; j < (r+1)*f.dim; j++ {
				sum += scaled(j) * scaled(j)
			}
			density := math.Abs(scaled(f.batch*f.dim + r))
			e := max(math.Sqrt(sum/float64(f.dim)), density)
			if math.IsNaN(e) {
				return e
			}
			worst = max(worst, e)
		}
		return worst
	}
}

// bpd is the likelihood of row r, solved to the last timestep: the density of x̄, N(0, 1) of x, the trace's integral, and the
// bin's width.
func (f *flow) bpd(r int) float64 {
	x, dim := f.y[r*f.dim:(r+1)*f.dim], float64(f.dim)
	variance := 1 / f.p.AlphaBar[f.last]
	if f.straight {
		variance = 1 / (f.scale[f.last] * f.scale[f.last])
	}
	logDensityNats := -0.5*floats.Dot(x, x)/variance - 0.5*dim*math.Log(2*math.Pi*variance) + dim*f.y[f.batch*f.dim+r]
	return bitsPerDim(-logDensityNats-dim*math.Log(2*halfBin), f.dim)
}
