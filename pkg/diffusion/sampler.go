package diffusion

import (
	"context"
	"encoding/binary"
	"math"
	"math/rand/v2"

	"github.com/pkg/errors"
)

// SamplerConfig says how images are drawn from a network. Start from [DefaultSampler]. The package's documentation says where
// other codes' samplers differ.
type SamplerConfig struct {
	Name  string  `yaml:"name" json:"name"`   // "ancestral", "ddim" or "dpm++2m"; "euler" or "heun" for a flow
	Steps int     `yaml:"steps" json:"steps"` // timesteps visited, one network call each, or two but for the last with heun; at most T
	Eta   float64 `yaml:"eta" json:"eta"`     // ddim alone: 0 is deterministic, 1 has the ancestral sampler's fixed-small variance
	Clip  bool    `yaml:"clip" json:"clip"`   // clip every estimate of x_0 to [-1, 1]; ddim derives ε again from it
	Seed  uint64  `yaml:"seed" json:"seed"`   // of all noise

	// Spacing says which timesteps ancestral and ddim visit: "" even ones with both ends ([EvenTimesteps]), "leading" or
	// "trailing" those of diffusers' timestep_spacing.
	Spacing string `yaml:"spacing,omitempty" json:"spacing,omitempty"`

	// OnEstimate, where set, is shown the estimates of x_0 made at timestep t for images first, first+1, ...: x0 is
	// [n, dim] flat, clipped if Clip is set, and overwritten after the call.
	OnEstimate func(t, first int, x0 []float32) `yaml:"-" json:"-"`
}

// DefaultSampler is 25 steps of deterministic DDIM with clipping.
func DefaultSampler() SamplerConfig { return SamplerConfig{Name: DDIM, Steps: 25, Clip: true} }

// Validate reports the first setting that makes no sense.
func (c SamplerConfig) Validate() error {
	s, err := c.sampler()
	if err != nil {
		return err
	}
	if c.Steps < 1 {
		return errors.Errorf("diffusion: sampler steps is %d; need at least 1", c.Steps)
	}
	if !(c.Eta >= 0 && c.Eta <= 1) {
		return errors.Errorf("diffusion: sampler eta is %g; need 0 <= eta <= 1", c.Eta)
	}
	if c.Spacing != "" && (c.Spacing != SpacingLeading && c.Spacing != SpacingTrailing || c.Name == DPMPP2M || s.flow) {
		return errors.Errorf("diffusion: sampler spacing is %.100q with %q; need \"\", %q or %q, the latter with ddim or ancestral", c.Spacing, c.Name, SpacingLeading, SpacingTrailing)
	}
	if c.Eta != 0 && !s.eta {
		return errors.Errorf("diffusion: sampler eta is %g, but %q has none; set it to 0 or choose \"ddim\"", c.Eta, c.Name)
	}
	return nil
}

// ValidateFor is [SamplerConfig.Validate] and whether the sampler draws from process p, its number of steps aside ([SamplerConfig.Timesteps]).
func (c SamplerConfig) ValidateFor(p *Process) error {
	if err := c.Validate(); err != nil {
		return err
	}
	if err := p.check(); err != nil {
		return err
	}
	s, err := c.sampler()
	if err != nil {
		return err
	}
	if flow := p.Prediction == PredictFlow; s.flow != flow {
		var fitting []string
		for _, of := range samplers {
			if of.flow == flow {
				fitting = append(fitting, of.name)
			}
		}
		return errors.Errorf("diffusion: sampler %q does not draw from prediction %q; choose one of %q", c.Name, p.Prediction, fitting)
	}
	return nil
}

// Calls is how many network calls one image takes, guidance aside.
func (c SamplerConfig) Calls() int {
	if c.Name == Heun {
		return 2*c.Steps - 1
	}
	return c.Steps
}

// EvenSampler is the deterministic sampler of first order, at evenly spaced timesteps: DDIM, or a flow's Euler.
func (p *Process) EvenSampler() string {
	if p.Prediction == PredictFlow {
		return Euler
	}
	return DDIM
}

// sampler is one way of drawing images.
type sampler struct {
	name      string
	eta       bool // it has one
	flow      bool // it draws from flows, and from nothing else
	timesteps func(s *Schedule, n int) ([]int, error)
	solver    func(p *Process, c SamplerConfig) solver

	// linear gives, for a step without noise from kept timestep k > 0 of p, what the next images have of x, of the estimate x_0
	// and of the estimate before. nil: a step has noise always, or looks at the network twice.
	linear func(p *Process, k int) (x, x0, before float64)
}

// sampler is the one that c names.
func (c SamplerConfig) sampler() (sampler, error) {
	for _, s := range samplers {
		if s.name == c.Name {
			return s, nil
		}
	}
	return sampler{}, errors.Errorf("diffusion: no sampler is named %q; choose one of %q", c.Name, Samplers())
}

// Samplers are the names of the samplers.
func Samplers() (names []string) {
	for _, s := range samplers {
		names = append(names, s.name)
	}
	return names
}

// Timesteps returns the timesteps c visits on schedule s, ascending: even in t for ancestral and DDIM
// ([EvenTimesteps], or by its Spacing), even in log-SNR for DPM-Solver++ ([Schedule.LogSNRTimesteps]); for Euler and Heun
// those that part the way from pure noise to the image evenly.
func (c SamplerConfig) Timesteps(s *Schedule) ([]int, error) {
	of, err := c.sampler()
	if err != nil {
		return nil, err
	}
	if err := s.check(); err != nil {
		return nil, err
	}
	if c.Spacing != "" {
		return strides(s.T, c.Steps, c.Spacing == SpacingTrailing)
	}
	return of.timesteps(s, c.Steps)
}

// solver takes one batch from one kept timestep to the one below it.
type solver interface {
	// advance replaces x, the images at kept timestep k, by those at k-1, or by finished images at k = 0. x0 are the
	// estimates of the finished images, v the network's variance outputs (zeros where it has none), all of one
	// length. normal draws the next of the batch's standard normal numbers for place i of x. k falls by one from
	// call to call and starts again with every batch.
	advance(k int, x, x0, v []float64, normal func(i int) float64)
}

// corrector is a solver whose steps, but for the last, look at the network a second time, where they have come to.
type corrector interface {
	// correct makes x, the images at kept timestep k-1 by advance, better ones by x0, the estimates of finished images there.
	correct(k int, x, x0 []float64)
}

// solver returns the method c names on the schedule p reduced to the kept timesteps.
func (c SamplerConfig) solver(p *Process) (solver, error) {
	s, err := c.sampler()
	if err != nil {
		return nil, err
	}
	return s.solver(p, c), nil
}

// Sample draws one image of dim values, channels of them a pixel, for each label and returns them flat,
// [len(labels), dim]. They are made batch at a time, the last batch filled up, so that the network compiles for one
// size; all rows of one call of d share one timestep. The noise of image i is a function of o.Seed, i and the
// timestep, so that the result does not depend on batch, except for the last bits of the network's own sums. Arithmetic
// is float64, the network sees float32; on a GPU a deterministic sampler that nobody watches is one program there, in float32. progress, where not nil, gets the steps done of all batches and their
// total. It fails on a setting out of range, an error of d, when ctx ends, and, as [Diverged], where an image has a value that is no finite
// number.
func Sample(ctx context.Context, p *Process, d Denoiser, channels, dim int, labels []int32, o SamplerConfig, batch int,
	progress func(done, total int)) ([]float32, error) {
	if err := o.ValidateFor(p); err != nil {
		return nil, err
	}
	if batch < 1 || channels < 1 || dim < 1 || dim%channels != 0 || batch > maxBatchValues/dim {
		return nil, errors.Errorf("diffusion: sampling %d images a batch of %d values in %d channels; need positive numbers, whole pixels and at most %d values a batch",
			batch, dim, channels, maxBatchValues)
	}
	if d == nil {
		return nil, errors.New("diffusion: sampling without a denoiser (nil); take one by Network.Denoiser")
	}
	if g, guided := d.(Guided); guided {
		if err := g.check(); err != nil {
			return nil, err
		}
	}
	kept, err := o.Timesteps(p.Schedule)
	if err != nil {
		return nil, err
	}
	respaced, err := p.Respace(kept)
	if err != nil {
		return nil, err
	}
	s := &sampling{p: &Process{respaced, p.Prediction, p.Variance}, d: d, kept: kept, T: p.T, o: o, channels: channels, dim: dim,
		x: make([]float64, batch*dim), x0: make([]float64, batch*dim), v: make([]float64, batch*dim),
		seen: make([]float32, batch*dim), t: make([]int32, batch), y: make([]int32, batch)}
	if s.solver, err = o.solver(s.p); err != nil {
		return nil, err
	}

	if l, ok := d.(looper); ok && l.loops() && o.linear() {
		if s.steps, err = p.LinearSteps(o); err != nil {
			return nil, err
		}
		s.looper = l
	}
	images := make([]float32, len(labels)*dim)
	total := (len(labels) + batch - 1) / batch * len(kept)
	done := 0
	for first := 0; first < len(labels); first += batch {
		rows := min(batch, len(labels)-first)
		for r := range s.y {
			s.y[r] = labels[first+r%rows]
		}
		err := s.run(ctx, first, rows, func() {
			done++
			if progress != nil {
				progress(done, total)
			}
		})
		if err != nil {
			return nil, err
		}
		for i, x := range s.x[:rows*dim] {
			v := float32(x)
			if !(v >= -math.MaxFloat32 && v <= math.MaxFloat32) {
				return nil, Divergedf("diffusion: image %d was drawn with the value %g, which is no pixel's: lower the guidance, clip estimates (sampler.clip), or take another network or sampler", first+i/dim, v)
			}
			images[first*dim+i] = v
		}
	}
	return images, nil
}

// maxBatchValues is far more than any device computes at once; a slip of the keyboard is not to fill the memory.
const maxBatchValues = 1 << 31

// sampling holds what a batch needs, reused by the next.
type sampling struct {
	p             *Process // on the kept timesteps
	d             Denoiser
	solver        solver
	kept          []int
	looper        looper       // d, where it is to take a batch to the end in one call
	steps         [][6]float64 // what it is to do then
	T             int          // timesteps of the whole process
	o             SamplerConfig
	channels, dim int

	x, x0, v []float64
	seen     []float32
	t, y     []int32
}

// run takes one batch, of which rows are wanted, from noise to images in s.x.
func (s *sampling) run(ctx context.Context, first, rows int, step func()) error {
	batch := len(s.t)
	draws := make([]*rand.Rand, batch)
	at := s.T // the timestep whose noise is drawn
	normal := func(i int) float64 {
		r := i / s.dim
		if draws[r] == nil {
			draws[r] = rand.New(rand.NewChaCha8(noiseKey(s.o.Seed, first+r, at)))
		}
		return draws[r].NormFloat64()
	}
	for i := range s.x {
		s.x[i] = normal(i)
	}
	if s.looper != nil {
		if err := ctx.Err(); err != nil {
			return errors.WithMessagef(err, "diffusion: sampling stopped before images %d to %d", first, first+rows-1)
		}
		if err := s.runLoop(); err != nil {
			return err
		}
		for range s.kept {
			step()
		}
		return nil
	}
	for k := len(s.kept) - 1; k >= 0; k-- {
		if err := ctx.Err(); err != nil {
			return errors.WithMessagef(err, "diffusion: sampling stopped at timestep %d of images %d to %d", s.kept[k], first, first+rows-1)
		}
		if err := s.estimate(k); err != nil {
			return err
		}
		if s.o.OnEstimate != nil {
			for i, x := range s.x0[:rows*s.dim] {
				s.seen[i] = float32(x)
			}
			s.o.OnEstimate(s.kept[k], first, s.seen[:rows*s.dim])
		}
		clear(draws)
		at = s.kept[k]
		s.solver.advance(k, s.x, s.x0, s.v, normal)
		if c, ok := s.solver.(corrector); ok && k > 0 {
			if err := s.estimate(k - 1); err != nil {
				return err
			}
			c.correct(k, s.x, s.x0)
		}
		step()
	}
	return nil
}

// estimate calls the network at kept timestep k and fills x0 and v.
func (s *sampling) estimate(k int) error {
	for i, x := range s.x {
		s.seen[i] = float32(x)
	}
	for r := range s.t {
		s.t[r] = int32(s.kept[k])
	}
	out, err := s.d.Output(s.seen, s.t, s.y)
	if err != nil {
		return err
	}
	width := s.p.OutChannels(s.channels) * (s.dim / s.channels)
	if len(out) != len(s.t)*width {
		return errors.Errorf("diffusion: the network returned %d values for %d images; variance %q needs %d an image",
			len(out), len(s.t), s.p.Variance, width)
	}
	if s.p.learned() {
		for i := range s.x {
			pred, v := s.p.split(out[i/s.dim*width:], s.channels, i%s.dim)
			s.x0[i], s.v[i] = float64(pred), float64(v)
		}
	} else { // v are zeros
		for i, pred := range out {
			s.x0[i] = float64(pred)
		}
	}
	s.p.toX0(s.x0, s.x, k)
	if s.o.Clip {
		for i, x0 := range s.x0 {
			s.x0[i] = min(max(x0, -1), 1)
		}
	}
	return nil
}

// noiseKey keys the generator of the noise image i meets at timestep t.
func noiseKey(seed uint64, i, t int) [32]byte {
	var key [32]byte
	binary.LittleEndian.PutUint64(key[0:], seed)
	binary.LittleEndian.PutUint64(key[8:], uint64(i))
	binary.LittleEndian.PutUint64(key[16:], uint64(t))
	copy(key[24:], "sampling")
	return key
}
