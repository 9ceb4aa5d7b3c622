package cl

import (
	"math/rand/v2"
	"testing"
	"time"

	"palimpsest/datasets"
	"palimpsest/pkg/backend/backendtest"
	"palimpsest/pkg/diffusion"
	"palimpsest/pkg/unet"
)

// BenchmarkLoopOverhead times steps of replay on 16×16 images with the tiny network, 16 fresh and 16 replay rows, and
// reports what the loop and the strategy add to the network's own step: drawing, replaying, weighing and dropping.
func BenchmarkLoopOverhead(b *testing.B) {
	const side, classes = 16, 4
	bench := &datasets.Benchmark{H: side, W: side, C: 1, ClassNames: make([]string, classes), Prep: datasets.Prep{Flip: true}}
	rng := rand.New(rand.NewPCG(1, 1))
	for task := range 2 {
		im := &datasets.Images{N: 1000, H: side, W: side, C: 1}
		for i := range im.N {
			im.Labels = append(im.Labels, uint8(2*task+i%2))
			for range side * side {
				im.Pixels = append(im.Pixels, uint8(rng.IntN(256)))
			}
		}
		bench.Tasks = append(bench.Tasks, datasets.Task{ID: task, Train: im})
	}
	u, err := unet.Preset("tiny", side, 1, classes)
	if err != nil {
		b.Fatal(err)
	}
	p, err := diffusion.New(diffusion.DefaultConfig())
	if err != nil {
		b.Fatal(err)
	}
	n, err := diffusion.NewNetwork(backendtest.Open(b), p, u, diffusion.TrainConfig{LearningRate: 1e-3, ClipNorm: 1, EMA: 0.99}, 1)
	if err != nil {
		b.Fatal(err)
	}
	c := LoopConfig{FreshRows: 16, ReplayRows: 16, StepsPerTask: 1 << 30, LabelDropout: 0.1}
	l, err := NewLoop(n, bench, NewER(), c, Setup{Seed: 1})
	if err != nil {
		b.Fatal(err)
	}
	if err := l.Strategy.EndTask(0, bench.Tasks[0].Train); err != nil {
		b.Fatal(err)
	}
	l.Position.Phase = 1
	if _, err := l.Step(); err != nil { // compiles
		b.Fatal(err)
	}
	var batches time.Duration
	for b.Loop() {
		start := time.Now()
		if _, err := l.batch(); err != nil {
			b.Fatal(err)
		}
		batches += time.Since(start)
		if _, err := l.Step(); err != nil { // which makes the same batch again
			b.Fatal(err)
		}
	}
	step := b.Elapsed() - batches
	b.ReportMetric(float64(batches.Microseconds())/float64(b.N), "µs-batch/op")
	b.ReportMetric(100*float64(batches)/float64(step-batches), "%-of-network-step")
}
