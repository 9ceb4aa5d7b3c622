package experiment

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/pkg/errors"

	"palimpsest/datasets"
	"palimpsest/pkg/likelihood"
)

// BPDOptions say how the bits per dimension of a trained network are measured.
type BPDOptions struct {
	Images int    // test images a task, the first of them
	Terms  int    // timesteps an image of a stratified estimate, odd; 0: all of them, that is the whole bound
	Batch  int    // rows a network call
	Seed   uint64 // of the noise

	// Progress, where set, is told the rows done of the task at hand and their total.
	Progress func(task, done, total int)
}

// TaskBPD is the variational bound of one task's test images in bits per dimension, by the network with its labels.
type TaskBPD struct {
	Task   int
	Name   string
	Images int
	BPD    float64           // mean over images
	SE     float64           // standard error: of an estimate against the whole bound on the same images; of the whole bound over images
	Parts  *likelihood.Parts // of the whole bound; nil for an estimate
}

// BPD measures the bound on every task's test images, with x_0 clipped and the exact decoder. A whole bound's terms are
// also stored, as DIR/likelihood/task_K.safetensors where dir is not empty.
func (t *Trained) BPD(ctx context.Context, dir string, o BPDOptions) ([]TaskBPD, error) {
	if o.Images < 1 {
		return nil, errors.Errorf("%d images a task; need at least 1", o.Images)
	}
	var out []TaskBPD
	for k, task := range t.Benchmark.Tasks {
		data := firstImages(task.Test, task.Classes, o.Images)
		settings := likelihood.DefaultOptions()
		settings.Batch, settings.Seed = o.Batch, o.Seed
		if o.Progress != nil {
			settings.Progress = func(done, total int) { o.Progress(k, done, total) }
		}
		r := TaskBPD{Task: k, Name: task.Name, Images: data.N}
		if o.Terms > 0 {
			e, err := likelihood.EstimateBPD(ctx, t.Network.Process, t.Denoiser(0), data, settings,
				likelihood.EstimateOptions{Method: likelihood.Stratified, Terms: o.Terms, Seed: o.Seed})
			if err != nil {
				return nil, err
			}
			r.BPD, r.SE = e.MeanBPD()
			out = append(out, r)
			continue
		}
		terms, err := likelihood.Bound(ctx, t.Network.Process, t.Denoiser(0), data, nil, settings)
		if err != nil {
			return nil, err
		}
		parts, err := terms.Parts()
		if err != nil {
			return nil, err
		}
		r.BPD, r.SE, r.Parts = parts.TotalBPD, parts.SE, &parts
		out = append(out, r)
		if dir == "" {
			continue
		}
		folder := filepath.Join(dir, "likelihood")
		if err := os.MkdirAll(folder, 0o755); err != nil {
			return nil, err
		}
		if err := terms.Save(filepath.Join(folder, fmt.Sprintf("task_%d.safetensors", k))); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// firstImages are the first n of a task's images, evenly over its classes.
func firstImages(from *datasets.Images, classes []int, n int) *likelihood.Data {
	var byClass [][]int
	for _, class := range classes {
		byClass = append(byClass, from.IndicesOf(class))
	}
	var chosen []int
	for round := 0; len(chosen) < min(n, from.N); round++ {
		for _, of := range byClass {
			if round < len(of) && len(chosen) < n {
				chosen = append(chosen, of[round])
			}
		}
	}
	images := from.Select(chosen)
	data := &likelihood.Data{N: images.N, Dim: images.ImageSize(), Channels: images.C, Pixels: images.Pixels, IDs: chosen}
	for _, label := range images.Labels {
		data.Labels = append(data.Labels, int32(label))
	}
	return data
}
