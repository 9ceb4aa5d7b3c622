package experiment

import (
	"bytes"
	"context"
	"image"
	"image/color"
	"image/png"

	"github.com/pkg/errors"

	"palimpsest/datasets"
	"palimpsest/pkg/diffusion"
	"palimpsest/pkg/results"
)

// drawGrid arranges images, each [h, w, c] in [-1, 1], as a PNG with a pixel between them. rows holds the images of
// each row; rows may differ in length.
func drawGrid(rows [][][]float32, h, w, c int) ([]byte, error) {
	const gap = 1
	columns := 0
	for _, row := range rows {
		columns = max(columns, len(row))
	}
	picture := image.NewRGBA(image.Rect(0, 0, columns*(w+gap)-gap, len(rows)*(h+gap)-gap))
	levels := make([]uint8, h*w*c)
	for y, row := range rows {
		for x, im := range row {
			datasets.Unscale(levels, im)
			for p := range h * w {
				red, green, blue := levels[p*c], levels[p*c], levels[p*c]
				if c == 3 {
					green, blue = levels[p*c+1], levels[p*c+2]
				}
				picture.SetRGBA(x*(w+gap)+p%w, y*(h+gap)+p/w, color.RGBA{red, green, blue, 255})
			}
		}
	}
	var out bytes.Buffer
	err := png.Encode(&out, picture)
	return out.Bytes(), err
}

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
	dim := b.H * b.W * b.C
	var rows [][][]float32
	for start := 0; start < len(images); start += count * dim {
		var row [][]float32
		for i := range count {
			row = append(row, images[start+i*dim:start+(i+1)*dim])
		}
		rows = append(rows, row)
	}
	picture, err := drawGrid(rows, b.H, b.W, b.C)
	if err != nil {
		return err
	}
	return results.WriteFile(path, picture)
}
