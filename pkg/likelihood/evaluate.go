package likelihood

import (
	"context"
	"math"
	"sync"

	"github.com/pkg/errors"

	"palimpsest/pkg/diffusion"
	"palimpsest/pkg/parallel"
)

// Options say how terms of the bound are computed. Start from [DefaultOptions].
type Options struct {
	Batch int    `yaml:"batch" json:"batch"` // rows of every network call
	Seed  uint64 `yaml:"seed" json:"seed"`   // of all noise
	Clip  bool   `yaml:"clip" json:"clip"`   // clip estimates of x_0 to [-1, 1]; [ddpm] and [iddpm] report with clipping
	CDF   string `yaml:"cdf" json:"cdf"`     // the decoder's: "exact" or "tanh"

	// Noise, where set, fills dst with the noise of an image at a timestep in place of draws from Seed. It is called
	// from several goroutines.
	Noise func(dst []float32, id, t int) `yaml:"-" json:"-"`
	// Progress, where set, gets the rows done and their total after every network call.
	Progress func(done, total int) `yaml:"-" json:"-"`
}

// DefaultOptions are 256 rows a call, clipping, and the exact normal distribution.
func DefaultOptions() Options { return Options{Batch: 256, Clip: true, CDF: ExactCDF} }

// Validate reports the first setting that makes no sense.
func (o Options) Validate() error {
	if o.Batch < 1 {
		return errors.Errorf("likelihood: batch is %d; need at least 1", o.Batch)
	}
	if o.CDF != ExactCDF && o.CDF != TanhCDF {
		return noCDF(o.CDF)
	}
	return nil
}

// term is one row's result.
type term struct {
	bpd      float64 // KL divergence, or the decoder's bits at t = 0
	mseImage float64 // mean of (x_0's estimate - x_0)²
}

// evaluator computes terms for pairs of image and timestep, any mixture of them a batch.
type evaluator struct {
	p    *diffusion.Process
	d    diffusion.Denoiser
	data *Data
	o    Options
}

// slot holds one batch between its noise and its result.
type slot struct {
	first int // number of its first pair
	rows  int // pairs in it; what is left of the batch repeats the first
	x     []float32
	t, y  []int32
	image []int
}

// run evaluates n pairs, the k-th given by pair, and hands each result to keep, from several goroutines but once for
// each k. While the network computes one batch, the noise of the next is drawn and the one before is scored, so that a
// device is not kept waiting for the host.
func (e *evaluator) run(ctx context.Context, n int, pair func(k int) (image, t int), keep func(k int, r term)) error {
	batch, dim := e.o.Batch, e.data.Dim
	width := e.p.OutChannels(e.data.Channels) * (dim / e.data.Channels)
	slots := make([]*slot, 3)
	for i := range slots {
		slots[i] = &slot{x: make([]float32, batch*dim), t: make([]int32, batch), y: make([]int32, batch), image: make([]int, batch)}
	}
	fill := func(s *slot, first int) {
		s.first, s.rows = first, min(batch, n-first)
		parallel.For(batch, func(r int) {
			k := first
			if r < s.rows {
				k += r
			}
			i, t := pair(k)
			s.image[r], s.t[r], s.y[r] = i, int32(t), e.data.Labels[i]
			e.noisy(s.x[r*dim:(r+1)*dim], i, t)
		})
	}
	var filling, scoring sync.WaitGroup
	defer filling.Wait()
	defer scoring.Wait()
	fill(slots[0], 0)
	for b, first := 0, 0; first < n; b, first = b+1, first+batch {
		if err := ctx.Err(); err != nil {
			return errors.WithMessagef(err, "likelihood: stopped after %d of %d rows", first, n)
		}
		filling.Wait()
		s, next := slots[b%3], slots[(b+1)%3]
		if first+batch < n {
			filling.Go(func() { fill(next, first+batch) })
		}
		out, err := e.d.Output(s.x, s.t, s.y)
		if err != nil {
			return err
		}
		if len(out) != batch*width {
			return errors.Errorf("likelihood: the network returned %d values for %d images; variance %q needs %d an image",
				len(out), batch, e.p.Variance, width)
		}
		scoring.Wait()
		scoring.Go(func() {
			parallel.For(s.rows, func(r int) {
				keep(s.first+r, e.score(s.image[r], int(s.t[r]), s.x[r*dim:(r+1)*dim], out[r*width:(r+1)*width]))
			})
		})
		if e.o.Progress != nil {
			e.o.Progress(min(first+batch, n), n)
		}
	}
	return nil
}

// noisy writes x_t of image i, [ddpm] eq. 4.
func (e *evaluator) noisy(x []float32, i, t int) {
	if e.o.Noise != nil {
		e.o.Noise(x, e.data.id(i), t)
	} else {
		draw := generator(e.o.Seed, e.data.id(i), t, "bound")
		for j := range x {
			x[j] = float32(draw.NormFloat64())
		}
	}
	a, b := e.p.Signal[t], e.p.Sigma[t]
	for j, level := range e.data.image(i) {
		x[j] = float32(a*levels[level] + b*float64(x[j]))
	}
}

// score compares what the network made of x_t with the image: at t > 0
//
//	L_t = KL(q(x_{t-1}|x_t,x_0) ‖ p(x_{t-1}|x_t)) = ½·(ln σ²/β̃ + (β̃ + (μ̃-μ)²)/σ² - 1) per value,
//
// at t = 0 the decoder's bits ([ddpm] eq. 5 and 13). Both means share the term in x_t, which cancels.
func (e *evaluator) score(i, t int, x, out []float32) term {
	p, channels := e.p, e.data.Channels
	learned := p.Variance == diffusion.LearnedRange
	logPosterior := p.PosteriorLogVar[t]
	logVar := p.ReverseLogVar(t, -1)
	shrink, precision := math.Exp(logPosterior-logVar), math.Exp(-logVar)
	weight := p.PosteriorMeanX0[t]
	var nats, square float64
	for j, level := range e.data.image(i) {
		k := j
		if learned {
			k = j/channels*2*channels + j%channels
		}
		estimate := p.X0(float64(x[j]), float64(out[k]), t)
		if e.o.Clip {
			estimate = min(max(estimate, -1), 1)
		}
		difference := levels[level] - estimate
		square += difference * difference
		if learned {
			logVar = p.ReverseLogVar(t, float64(out[k+channels]))
			if t > 0 {
				shrink, precision = math.Exp(logPosterior-logVar), math.Exp(-logVar)
			}
		}
		switch {
		case t == 0:
			nats -= LogBinNats(level, p.PosteriorMean(estimate, float64(x[j]), 0), logVar/2, e.o.CDF)
		case learned:
			difference *= weight
			nats += 0.5 * (logVar - logPosterior - 1 + shrink + difference*difference*precision)
		}
	}
	if t > 0 && !learned {
		nats = 0.5 * (float64(len(x))*(logVar-logPosterior-1+shrink) + weight*weight*square*precision)
	}
	return term{bitsPerDim(nats, len(x)), square / float64(len(x))}
}

// priorBPD is KL(q(x_T|x_0) ‖ N(0, 1)) of an image in bits per dimension, ½·(ᾱ·x_0² - ᾱ - ln(1-ᾱ)) nats a value at the
// last timestep's ᾱ.
func priorBPD(s *diffusion.Schedule, image []uint8) float64 {
	ab := s.AlphaBar[s.T-1]
	square := 0.0
	for _, level := range image {
		square += levels[level] * levels[level]
	}
	nats := 0.5 * (ab*square - float64(len(image))*(ab+math.Log1p(-ab)))
	return bitsPerDim(nats, len(image))
}
