package dynamics

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"

	"github.com/pkg/errors"

	"palimpsest/pkg/diffusion"
	"palimpsest/pkg/likelihood"
	"palimpsest/pkg/parallel"
)

// Task is a task's images that a probe looks at; every task of a probe has as many, at least two.
type Task struct {
	Name string
	Data *likelihood.Data
}

// Options say where and how a probe measures.
type Options struct {
	Timesteps []int  // ascending; [Strata] or [diffusion.Schedule.LogSNRTimesteps] choose some
	Batch     int    // rows of every network call, the last filled up, so that a network compiles once
	Seed      uint64 // of the noise
}

// Probe measures networks on the same noisy images again and again.
type Probe struct {
	Axes
	process *diffusion.Process
	tasks   []Task
	batch   int
	seed    uint64
}

// NewProbe prepares measurements on the tasks' images. It keeps them; they must not change.
func NewProbe(p *diffusion.Process, tasks []Task, o Options) (*Probe, error) {
	probe := &Probe{process: p, tasks: slices.Clone(tasks), batch: o.Batch, seed: o.Seed}
	g := &probe.Axes
	g.Timesteps, g.Prediction = slices.Clone(o.Timesteps), p.Prediction
	if o.Batch < 1 {
		return nil, errors.Errorf("dynamics: batch is %d; need at least 1", o.Batch)
	}
	for i, t := range tasks {
		if err := t.Data.Validate(); err != nil {
			return nil, errors.WithMessagef(err, "dynamics: task %d (%s)", i, t.Name)
		}
		first := tasks[0].Data
		if t.Data.N != first.N || t.Data.Dim != first.Dim || t.Data.Channels != first.Channels {
			return nil, errors.Errorf("dynamics: task %d (%s) has %d images of %d values, task 0 %d of %d; need as many of one size",
				i, t.Name, t.Data.N, t.Data.Dim, first.N, first.Dim)
		}
		g.Tasks, g.Images = append(g.Tasks, t.Name), t.Data.N
	}
	for _, t := range g.Timesteps {
		if t < 0 || t >= p.T {
			return nil, errors.Errorf("dynamics: timestep %d; need 0 .. %d", t, p.T-1)
		}
		g.LogSNR = append(g.LogSNR, p.LogSNR(t))
	}
	if err := g.validate(); err != nil {
		return nil, err
	}
	g.Probe = probe.identity()
	return probe, nil
}

// identity is a hash of all that sets the noisy images and their labels.
func (p *Probe) identity() string {
	h := sha256.New()
	fmt.Fprintln(h, "palimpsest-probe-1", p.seed, p.Prediction, p.Timesteps, p.LogSNR)
	for _, t := range p.tasks {
		fmt.Fprintln(h, t.Data.N, t.Data.Dim, t.Data.Channels, t.Data.Labels)
		for i := range t.Data.N {
			fmt.Fprintln(h, imageID(t.Data, i))
		}
		h.Write(t.Data.Pixels)
	}
	return hex.EncodeToString(h.Sum(nil)[:8])
}

// Snapshot is one network's losses.
type Snapshot struct {
	Axes
	Rows []float64 // [task, t, image] mean square error, over an image's values, of what the network predicts
}

// Mean is the loss in what ("eps", "x0" or "v") averaged over images, [task, t], with its standard error over images.
func (s *Snapshot) Mean(what string) (mean, se []float64, err error) {
	mean, se = meanSE(s.Rows, s.Images)
	if mean, err = s.Convert(mean, what); err != nil {
		return nil, nil, err
	}
	se, err = s.Convert(se, what)
	return mean, se, err
}

// meanSE averages every n values and gives the standard error of the mean.
func meanSE(rows []float64, n int) (mean, se []float64) {
	for group := range slices.Chunk(rows, n) {
		m, square := 0.0, 0.0
		for _, v := range group {
			m += v / float64(n)
		}
		for _, v := range group {
			square += (v - m) * (v - m)
		}
		mean, se = append(mean, m), append(se, math.Sqrt(square/float64(n-1)/float64(n)))
	}
	return mean, se
}

// Measure returns a network's losses. Each task is measured in a call of at, which calls what it is given while d answers for that
// task; where at is nil, d answers for all tasks alike. It fails on an error of d, an answer of the wrong size or that is not
// finite, or when ctx ends.
func (p *Probe) Measure(ctx context.Context, d diffusion.Denoiser, at func(task int, measure func() error) error) (*Snapshot, error) {
	s := &Snapshot{p.Axes, make([]float64, len(p.Tasks)*len(p.Timesteps)*p.Images)}
	if at == nil {
		return s, p.measure(ctx, d, s, 0, len(p.Tasks))
	}
	for task := range p.Tasks {
		if err := at(task, func() error { return p.measure(ctx, d, s, task, task+1) }); err != nil {
			return s, err
		}
	}
	return s, nil
}

// measure puts the losses of the tasks from .. to-1 into s.
func (p *Probe) measure(ctx context.Context, d diffusion.Denoiser, s *Snapshot, from, to int) error {
	channels := p.tasks[0].Data.Channels
	outChannels := p.process.OutChannels(channels)
	return p.run(ctx, from, to, d.Output, func(b *rows, out []float32) error {
		pixels := b.dim / channels
		if len(out) != len(b.t)*pixels*outChannels {
			return errors.Errorf("dynamics: the network returned %d values for %d images; variance %q needs %d an image",
				len(out), len(b.t), p.process.Variance, pixels*outChannels)
		}
		parallel.For(b.n, func(r int) {
			data, i, t := p.row(b.first + r)
			noise := p.noise(data, i, t)
			square := 0.0
			for j, level := range image(data, i) {
				k := (r*pixels+j/channels)*outChannels + j%channels
				e := float64(out[k]) - p.process.Target(value(level), noise[j], t)
				square += e * e
			}
			s.Rows[b.first+r] = square / float64(b.dim)
		})
		for r := range b.n {
			if v := s.Rows[b.first+r]; math.IsNaN(v) || math.IsInf(v, 0) {
				return diffusion.Divergedf("dynamics: the loss at timestep %d is %g; has training diverged?", b.t[r], v)
			}
		}
		return nil
	})
}

// rows is one batch: rows first, first+1, ... of [task, t, image], n of them wanted, the rest repeating the last.
type rows struct {
	first, n, dim int
	x             []float32
	t, y          []int32
}

// run shows every noisy image of the tasks from .. to-1 to network, batch by batch, and what it answers to keep.
func (p *Probe) run(ctx context.Context, from, to int, network func(x []float32, t, y []int32) ([]float32, error), keep func(b *rows, out []float32) error) error {
	perTask, dim := len(p.Timesteps)*p.Images, p.tasks[0].Data.Dim
	first, total := from*perTask, to*perTask
	b := &rows{dim: dim, x: make([]float32, p.batch*dim), t: make([]int32, p.batch), y: make([]int32, p.batch)}
	for b.first = first; b.first < total; b.first += p.batch {
		if err := ctx.Err(); err != nil {
			return errors.WithMessagef(err, "dynamics: stopped after %d of %d rows", b.first-first, total-first)
		}
		b.n = min(p.batch, total-b.first)
		parallel.For(p.batch, func(r int) {
			data, i, t := p.row(b.first + min(r, b.n-1))
			b.t[r], b.y[r] = int32(t), data.Labels[i]
			signal, sigma := p.process.Signal[t], p.process.Sigma[t]
			noise := p.noise(data, i, t)
			for j, level := range image(data, i) {
				b.x[r*dim+j] = float32(signal*value(level) + sigma*noise[j]) // [ddpm] eq. 4
			}
		})
		out, err := network(b.x, b.t, b.y)
		if err != nil {
			return err
		}
		if err := keep(b, out); err != nil {
			return err
		}
	}
	return nil
}

// row is the image and the timestep of a row of [task, t, image].
func (p *Probe) row(k int) (data *likelihood.Data, i, t int) {
	return p.tasks[k/p.Images/len(p.Timesteps)].Data, k % p.Images, p.Timesteps[k/p.Images%len(p.Timesteps)]
}

// noise is the noise of an image at a timestep, [dim].
func (p *Probe) noise(data *likelihood.Data, i, t int) []float64 {
	var key [32]byte
	binary.LittleEndian.PutUint64(key[0:], p.seed)
	binary.LittleEndian.PutUint64(key[8:], uint64(imageID(data, i)))
	binary.LittleEndian.PutUint64(key[16:], uint64(t))
	copy(key[24:], "probe")
	draw := rand.New(rand.NewChaCha8(key))
	noise := make([]float64, data.Dim)
	for j := range noise {
		noise[j] = draw.NormFloat64()
	}
	return noise
}

func imageID(data *likelihood.Data, i int) int {
	if data.IDs == nil {
		return i
	}
	return data.IDs[i]
}

func image(data *likelihood.Data, i int) []uint8 { return data.Pixels[i*data.Dim : (i+1)*data.Dim] }

// value is an 8-bit level on [-1, 1].
func value(level uint8) float64 { return float64(level)/127.5 - 1 }
