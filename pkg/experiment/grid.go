package experiment

import (
	"context"

	"github.com/pkg/errors"

	"palimpsest/pkg/atomicfile"
	"palimpsest/pkg/diffusion"
	"palimpsest/pkg/report"
)

// Draw samples count images of each class and returns them flat, [len(classes)·count, H, W, C] in [-1, 1], class by
// class. Without classes it draws all of the benchmark's. An unconditional network is drawn from once a class asked for.
func (t *Trained) Draw(ctx context.Context, classes []int, count int, sampler diffusion.SamplerConfig, guidance float64) ([]float32, error) {
	if len(classes) == 0 {
		for _, task := range t.Benchmark.Tasks {
			classes = append(classes, task.Classes...)
		}
	}
	if count < 1 {
		return nil, errors.Errorf("%d images of each class; need at least 1", count)
	}
	if guidance < 0 || guidance > 0 && t.Config.Loop.LabelDropout == 0 {
		return nil, errors.Errorf("guidance is %g; it needs 0 or more, and a network trained with loop.label_dropout above 0", guidance)
	}
	var labels []int32
	for _, class := range classes {
		if class < 0 || class >= len(t.Benchmark.ClassNames) {
			return nil, errors.Errorf("class %d; need 0 to %d: %v", class, len(t.Benchmark.ClassNames)-1, t.Benchmark.ClassNames)
		}
		for range count {
			labels = append(labels, int32(class))
		}
	}
	b := t.Benchmark
	return diffusion.Sample(ctx, t.Network.Process, t.Denoiser(guidance), b.C, b.H*b.W*b.C, labels, sampler, min(100, len(labels)), nil)
}

// DrawGrid is [Trained.Draw] written to path as a PNG, a row a class.
func (t *Trained) DrawGrid(ctx context.Context, path string, classes []int, count int, sampler diffusion.SamplerConfig, guidance float64) error {
	images, err := t.Draw(ctx, classes, count, sampler, guidance)
	if err != nil {
		return err
	}
	b := t.Benchmark
	sheet, err := report.Grid(images, len(images)/(count*b.H*b.W*b.C), count, b.H, b.W, b.C, 2)
	if err != nil {
		return err
	}
	picture, err := report.PNG(sheet)
	if err != nil {
		return err
	}
	return atomicfile.Write(path, picture)
}
