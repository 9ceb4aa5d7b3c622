package experiment

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/pkg/errors"
	"gonum.org/v1/gonum/floats"

	"palimpsest/datasets"
	"palimpsest/pkg/diffusion"
	"palimpsest/pkg/likelihood"
)

// BPDOptions say how the bits per dimension of a trained network are measured.
type BPDOptions struct {
	Images int    // test images a task, the first of them
	Terms  int    // timesteps an image of a stratified estimate, odd; 0: all of them, that is the whole bound; of no meaning to a flow, which has none
	Batch  int    // rows a network call
	Seed   uint64 // of the noise
	ODE    int    // images a task, the first of them, whose likelihood by the probability-flow ODE is measured too; 0: none

	// Progress, where set, gets the rows done of the task at hand and their total.
	Progress func(task, done, total int)
}

// TaskBPD is the variational bound of one task's test images in bits per dimension, by the network with its labels; a flow's
// has the likelihood by the ODE alone, and no images of a bound.
type TaskBPD struct {
	Task   int
	Name   string
	Images int
	BPD    float64           // mean over images
	SE     float64           // standard error: of an estimate against the whole bound on the same images; of the whole bound over images
	Parts  *likelihood.Parts // of the whole bound; nil for an estimate

	// By the ODE, where asked for: mean over the first ODEImages of the images with its standard error over them, and the
	// bound on the same ones.
	ODEImages                int
	ODEBPD, ODESE, SameBound float64
}

// Validate reports the first setting that makes no sense.
func (o BPDOptions) Validate() error {
	switch {
	case o.Images < 1 || o.ODE < 0 || o.ODE > o.Images:
		return errors.Errorf("%d images a task, %d of them by the ODE; need at least 1, and 0 to all of them", o.Images, o.ODE)
	case o.Terms != 0 && (o.Terms < 3 || o.Terms%2 == 0):
		return errors.Errorf("%d timesteps an image (terms); need an odd number of at least 3, or 0 for all", o.Terms)
	case o.Batch < 1:
		return errors.Errorf("%d rows a network call (batch); need at least 1", o.Batch)
	}
	return nil
}

// ValidateFor is Validate and whether a network of process p can be measured so.
func (o BPDOptions) ValidateFor(p *diffusion.Process) error {
	switch err := o.Validate(); {
	case err != nil:
		return refuse(err)
	case !p.HasBound() && o.ODE == 0:
		return Refusef("prediction %q has no variational bound by parts; its likelihood is that of the ODE: ask for that of some images of each task (ode), such as 4", p.Prediction)
	case p.HasBound() && o.Terms > (p.T-1)/2*2+1:
		return Refusef("%d timesteps an image (terms) of the model's %d; need an odd number from 3 to %d, or 0 for all", o.Terms, p.T, (p.T-1)/2*2+1)
	case p.HasBound() && o.ODE > 0 && o.Terms > 0:
		return Refusef("the likelihood by the ODE is set beside the whole bound; ask for that with 0 timesteps an image (terms), which are all")
	}
	return nil
}

// BPD measures the bound on every task's test images, with x_0 clipped and the exact decoder. A whole bound's terms are
// also stored, as DIR/likelihood/task_K.safetensors where dir is not empty.
func (t *Trained) BPD(ctx context.Context, dir string, o BPDOptions) ([]TaskBPD, error) {
	if err := o.ValidateFor(t.Network.Process); err != nil {
		return nil, err
	}
	if err := t.withoutImages(); err != nil {
		return nil, err
	}
	var ode likelihood.Differentiable
	if o.ODE > 0 {
		d, err := t.Network.Differentiable(t.Config.Evaluate.EMA)
		if err != nil {
			return nil, err
		}
		defer d.Close()
		ode = d
	}
	var out []TaskBPD
	for k := range t.Benchmark.Tasks {
		err := t.AtTask(k, func() error {
			r, err := t.taskBPD(ctx, k, ode, dir, o)
			out = append(out, r)
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	return out, nil
}

// taskBPD measures one task's test images; ode is nil where it is not asked for.
func (t *Trained) taskBPD(ctx context.Context, k int, ode likelihood.Differentiable, dir string, o BPDOptions) (TaskBPD, error) {
	task := t.Benchmark.Tasks[k]
	data := firstImages(task.Test, task.Classes, o.Images)
	settings := likelihood.DefaultOptions()
	settings.Batch, settings.Seed = o.Batch, o.Seed
	if o.Progress != nil {
		settings.Progress = func(done, total int) { o.Progress(k, done, total) }
	}
	r := TaskBPD{Task: k, Name: task.Name, Images: data.N}
	if !t.Network.Process.HasBound() {
		r.Images = 0
		return r, t.odeBPD(ctx, ode, data, nil, o, &r)
	}
	if o.Terms > 0 {
		e, err := likelihood.EstimateBPD(ctx, t.Network.Process, t.Denoiser(0), data, settings,
			likelihood.EstimateOptions{Terms: o.Terms, Seed: o.Seed})
		if err != nil {
			return r, err
		}
		r.BPD, r.SE = e.MeanBPD()
		return r, nil
	}
	terms, err := likelihood.Bound(ctx, t.Network.Process, t.Denoiser(0), data, nil, settings)
	if err != nil {
		return r, err
	}
	parts, err := terms.Parts()
	if err != nil {
		return r, err
	}
	r.BPD, r.SE, r.Parts = parts.TotalBPD, parts.SE, &parts
	if ode != nil {
		if err := t.odeBPD(ctx, ode, data, terms, o, &r); err != nil {
			return r, err
		}
	}
	if dir == "" {
		return r, nil
	}
	folder := filepath.Join(dir, "likelihood")
	if err := os.Mkdir(folder, 0o755); err != nil && !os.IsExist(err) { // never the run folder itself
		return r, err
	}
	return r, terms.Save(filepath.Join(folder, fmt.Sprintf("task_%d.safetensors", k)))
}

// odeBPD adds the likelihood by the ODE of the first images, at the default tolerances, and the bound on them where there are terms.
func (t *Trained) odeBPD(ctx context.Context, d likelihood.Differentiable, data *likelihood.Data, terms *likelihood.Terms, o BPDOptions, r *TaskBPD) error {
	first := *data
	first.N = min(o.ODE, data.N)
	first.Pixels, first.Labels, first.IDs = data.Pixels[:first.N*data.Dim], data.Labels[:first.N], data.IDs[:first.N]
	settings := likelihood.DefaultODEOptions()
	settings.Batch, settings.Seed = first.N, o.Seed
	exact, err := likelihood.ODE(ctx, t.Network.Process, d, &first, settings)
	if err != nil {
		return err
	}
	r.ODEImages = first.N
	r.ODEBPD, r.ODESE = exact.MeanBPD()
	if terms == nil {
		return nil
	}
	bounds, err := terms.TotalBPD()
	if err != nil {
		return err
	}
	r.SameBound = floats.Sum(bounds[:first.N]) / float64(first.N)
	return nil
}

// firstImages are the first n of a task's images of the given classes, evenly over these; all where there are fewer.
func firstImages(from *datasets.Images, classes []int, n int) *likelihood.Data {
	of := map[int][]int{} // by class, the first n
	for _, class := range classes {
		of[class] = nil
	}
	for i, label := range from.Labels {
		if found, wanted := of[int(label)]; wanted && len(found) < n {
			of[int(label)] = append(found, i)
		}
	}
	var chosen []int
	for round, more := 0, true; more && len(chosen) < n; round++ {
		more = false
		for _, class := range classes {
			if round < len(of[class]) && len(chosen) < n {
				chosen, more = append(chosen, of[class][round]), true
			}
		}
	}
	images := from.Select(chosen)
	data := &likelihood.Data{N: images.N, Dim: images.ImageSize(), Channels: images.C, Pixels: images.Flat(), IDs: chosen, Labels: images.Labels}
	return data
}
