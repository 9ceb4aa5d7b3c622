package experiment

import (
	"context"
	"math"
	"slices"

	"github.com/pkg/errors"

	"palimpsest/pkg/atomicfile"
	"palimpsest/pkg/diffusion"
	"palimpsest/pkg/report"
)

// Draw samples count images of each class and returns them flat, [len(classes)·count, H, W, C] in [-1, 1], class by
// class. Without classes it draws all of the benchmark's, task by task. An unconditional network is drawn from once a class
// asked for. Where the network depends on the task at sampling ([cl.Switcher]) the class says which task is meant; it is
// an error to name one that is in several tasks.
func (t *Trained) Draw(ctx context.Context, classes []int, count int, sampler diffusion.SamplerConfig, guidance float64) ([]float32, error) {
	if count < 1 || count > mostRows {
		return nil, errors.Errorf("%d images of each class; need 1 to %d", count, mostRows)
	}
	if _, err := sampler.Timesteps(t.Network.Process.Schedule); err != nil {
		return nil, err
	}
	if !(guidance >= 0) || math.IsInf(guidance, 0) || guidance > 0 && t.Config.Loop.LabelDropout == 0 {
		return nil, errors.Errorf("guidance is %g; it needs 0 or more, and a network trained with loop.label_dropout above 0", guidance)
	}
	var labels []int32
	var of []int // the task of each label
	add := func(class, task int) {
		for range count {
			labels, of = append(labels, int32(class)), append(of, task)
		}
	}
	for _, class := range classes {
		task, err := t.taskOf(class)
		if err != nil {
			return nil, err
		}
		add(class, task)
	}
	if len(classes) == 0 {
		for k, task := range t.Benchmark.Tasks {
			for _, class := range task.Classes {
				add(class, k)
			}
		}
	}
	b := t.Benchmark
	if !t.loop.Switches() {
		return diffusion.Sample(ctx, t.Network.Process, t.Denoiser(guidance), b.C, b.H*b.W*b.C, labels, sampler, min(100, len(labels)), nil)
	}
	var all []float32
	for from := 0; from < len(labels); from += count {
		err := t.AtTask(of[from], func() error {
			seeded := sampler
			seeded.Seed += uint64(from) // rows of one class after another, each from noise of its own
			images, err := diffusion.Sample(ctx, t.Network.Process, t.Denoiser(guidance), b.C, b.H*b.W*b.C, labels[from:from+count], seeded, min(100, count), nil)
			all = append(all, images...)
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	return all, nil
}

// taskOf is the task that a class belongs to; of several it is the first, unless the network depends on which.
func (t *Trained) taskOf(class int) (int, error) {
	if class < 0 || class >= len(t.Benchmark.ClassNames) {
		return 0, errors.Errorf("class %d; need 0 to %d: %v", class, len(t.Benchmark.ClassNames)-1, t.Benchmark.ClassNames)
	}
	task, found := 0, 0
	for k := len(t.Benchmark.Tasks) - 1; k >= 0; k-- {
		if slices.Contains(t.Benchmark.Tasks[k].Classes, class) {
			task, found = k, found+1
		}
	}
	if t.loop.Switches() && found != 1 {
		return 0, errors.Errorf("class %d is in %d tasks, and the network of %s depends on the task; name no classes to draw those of every task",
			class, found, t.Config.Strategy.Name)
	}
	return task, nil
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
