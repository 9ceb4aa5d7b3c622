package experiment

import (
	"context"
	"crypto/sha256"
	"fmt"
	"time"

	"github.com/pkg/errors"

	"palimpsest/datasets"
	"palimpsest/pkg/backend"
	"palimpsest/pkg/diffusion"
	"palimpsest/pkg/likelihood"
	"palimpsest/pkg/results"
)

// BPDConfig says which likelihoods a run measures, all by the variational bound estimated from some timesteps of each
// image, with the averaged weights where evaluate.ema says so.
type BPDConfig struct {
	Images   int      `yaml:"images"`   // test images (or validation ones) of each task, measured after every task; 0: none at all
	Terms    int      `yaml:"terms"`    // timesteps an image, odd
	Variants bool     `yaml:"variants"` // after the last task, also by other variances, without clipping and by the approximate decoder
	Outside  []string `yaml:"outside"`  // after the last task, also test images of these sets; needs an unconditional network
}

// validate reports settings no likelihood can be measured with.
func (c BPDConfig) validate(timesteps int, conditional bool) error {
	switch {
	case c.Images == 0 && (c.Variants || len(c.Outside) > 0):
		return errors.New("bpd.variants and bpd.outside need likelihoods; set bpd.images, for instance to 40")
	case c.Images == 0:
		return nil
	case c.Terms < 3 || c.Terms%2 == 0 || c.Terms > timesteps:
		return errors.Errorf("bpd.terms is %d; need an odd number from 3 to %d", c.Terms, timesteps)
	case len(c.Outside) > 0 && conditional:
		return errors.New("bpd.outside measures images that belong to no class; it needs network.conditional=false")
	}
	return nil
}

// rows is how many rows the likelihoods after one task, or all of the last, run through the network.
func (c BPDConfig) rows(tasks int) int { return c.Images * c.Terms * tasks }

// outside is how many images of each set of Outside are measured: as many as of the run's own tasks.
func (c BPDConfig) outside(tasks int) int { return c.Images * tasks }

// extraRows is how many rows the measurements after the last task alone need.
func (c BPDConfig) extraRows(tasks, variants int) int {
	n := c.outside(tasks) * c.Terms * len(c.Outside)
	if c.Variants {
		n += variants * c.rows(tasks)
	}
	return n
}

// estimate measures the bound of images under the run's network, seen as process p.
func (r *run) estimate(ctx context.Context, p *diffusion.Process, data *likelihood.Data, change func(*likelihood.Options)) (*likelihood.Estimate, error) {
	c := r.config
	o := likelihood.DefaultOptions()
	o.Batch, o.Seed = c.Evaluate.rows(), c.Seed
	if change != nil {
		change(&o)
	}
	r.report("measure", false)
	start := time.Now()
	e, err := likelihood.EstimateBPD(ctx, p, r.loop.Network.Denoiser(c.Evaluate.EMA), data, o,
		likelihood.EstimateOptions{Terms: c.BPD.Terms, Seed: c.Seed})
	if err != nil {
		return nil, err
	}
	r.clock.rows(e.Rows, time.Since(start).Seconds(), backend.Building())
	r.report("measure", false)
	return e, nil
}

// reference is the first images of task j that likelihoods are measured on.
func (r *run) reference(j int) *likelihood.Data {
	t := r.loop.Benchmark.Tasks[j]
	return firstImages(r.config.Evaluate.Images(t), t.Classes, r.config.BPD.Images)
}

// estimateTask is estimate on the reference images of task j, by the network that generates it.
func (r *run) estimateTask(ctx context.Context, j int, p *diffusion.Process, change func(*likelihood.Options)) (e *likelihood.Estimate, err error) {
	err = r.loop.AtTask(j, func() (err error) {
		e, err = r.estimate(ctx, p, r.reference(j), change)
		return err
	})
	return e, err
}

// measureBPD adds the likelihood of every task's images to an evaluation.
func (r *run) measureBPD(ctx context.Context, e *results.Evaluation) error {
	if r.config.BPD.Images == 0 {
		return nil
	}
	for j := range e.Tasks {
		estimate, err := r.estimateTask(ctx, j, r.loop.Network.Process, nil)
		if err != nil {
			return err
		}
		b := &results.BPD{Prior: estimate.PriorBPD, Decoder: estimate.DecoderBPD, Bins: estimate.StrideBPD}
		b.Mean, b.SE = estimate.MeanBPD()
		e.Tasks[j].BPD = b
		if r.state.BPD == nil {
			r.state.BPD = r.bpdProtocol(estimate.Edges)
		}
	}
	return nil
}

// bpdProtocol says how likelihoods are measured.
func (r *run) bpdProtocol(edges []int) *results.BPDProtocol {
	p, o := r.loop.Network.Process, likelihood.DefaultOptions()
	protocol := &results.BPDProtocol{Images: r.reference(0).N, Terms: r.config.BPD.Terms, T: p.T, Variance: p.Variance, Clip: o.Clip, Edges: edges}
	for i := range edges[1:] {
		sum := 0.0
		for t := edges[i]; t < edges[i+1]; t++ {
			sum += p.LogSNR(t)
		}
		protocol.LogSNR = append(protocol.LogSNR, sum/float64(edges[i+1]-edges[i]))
	}
	return protocol
}

// bpdWay is one way of computing the bound.
type bpdWay struct {
	name, variance, cdf string
	clip                bool
}

// bpdWays are the ways of computing the bound that do not need another network, the usual one first.
func bpdWays(variance string) []bpdWay {
	variances := []string{variance}
	for _, v := range []string{diffusion.FixedLarge, diffusion.FixedSmall} {
		// A learned variance is a part of the network, and only it can read that part.
		if variance != diffusion.LearnedRange && v != variance {
			variances = append(variances, v)
		}
	}
	var ways []bpdWay
	for _, v := range variances {
		ways = append(ways, bpdWay{v + ", clipped", v, likelihood.ExactCDF, true}, bpdWay{v + ", not clipped", v, likelihood.ExactCDF, false})
	}
	return append(ways, bpdWay{variance + ", clipped, tanh decoder", variance, likelihood.TanhCDF, true})
}

// measureSensitivity measures the likelihood of every task's images under the final network in other ways.
func (r *run) measureSensitivity(ctx context.Context) error {
	network := r.loop.Network
	if !r.config.BPD.Variants {
		return nil
	}
	var all []results.BPDVariant
	for _, way := range bpdWays(network.Process.Variance) {
		p, err := diffusion.NewProcess(network.Process.Schedule, network.Process.Prediction, way.variance)
		if err != nil {
			return err
		}
		v := results.BPDVariant{Name: way.name, Variance: way.variance, Clip: way.clip, CDF: way.cdf}
		for j := range r.loop.Benchmark.Tasks {
			e, err := r.estimateTask(ctx, j, p, func(o *likelihood.Options) { o.Clip, o.CDF = way.clip, way.cdf })
			if err != nil {
				return err
			}
			mean, se := e.MeanBPD()
			v.Tasks, v.SE = append(v.Tasks, mean), append(v.SE, se)
		}
		all = append(all, v)
	}
	r.state.Sensitivity = all
	return nil
}

// outside are the test images of another set as a network of a benchmark takes them, and the set's classes.
func (c Config) outside(name string, b *datasets.Benchmark) (*datasets.Images, []int, error) {
	d, err := datasets.Open(name)
	if err != nil {
		return nil, nil, errors.WithMessage(err, "bpd.outside")
	}
	if d, err = d.Prepared(c.Benchmark.Prep); err != nil {
		return nil, nil, errors.WithMessagef(err, "bpd.outside: %s", name)
	}
	images := d.Test
	if images.C != b.C || images.H != b.H || images.W != b.W {
		return nil, nil, errors.Errorf("bpd.outside: images of %s are %d×%d×%d, the network's %d×%d×%d; name a set of the same kind",
			name, images.H, images.W, images.C, b.H, b.W, b.C)
	}
	classes := make([]int, len(d.Classes))
	for i := range classes {
		classes[i] = i
	}
	return images, classes, nil
}

// measureOutside measures the likelihood of images of other sets, and for comparison of the run's own, under the final
// network.
func (r *run) measureOutside(ctx context.Context) error {
	c := r.config
	if len(c.BPD.Outside) == 0 {
		return nil
	}
	var all []results.OutsideBPD
	for _, name := range append(append([]string(nil), c.Benchmark.Datasets...), c.BPD.Outside...) {
		images, classes, err := c.outside(name, r.loop.Benchmark)
		if err != nil {
			return err
		}
		data := firstImages(images, classes, c.BPD.outside(len(r.loop.Benchmark.Tasks)))
		clear(data.Labels) // an unconditional network reads none
		e, err := r.estimate(ctx, r.loop.Network.Process, data, nil)
		if err != nil {
			return err
		}
		o := results.OutsideBPD{Dataset: name, Images: data.N, ByImage: e.BPD, PixelsSHA256: fmt.Sprintf("%x", sha256.Sum256(data.Pixels))}
		o.Mean, o.SE = e.MeanBPD()
		all = append(all, o)
	}
	r.state.Outside = all
	return nil
}
