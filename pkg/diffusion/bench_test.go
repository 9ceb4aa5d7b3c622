package diffusion

import (
	"testing"

	"palimpsest/pkg/unet"
)

// tiny is the quick benchmark's network at 16×16, 10 classes, 32 rows a step.
func tiny(b *testing.B) *Network {
	u, err := unet.Preset("tiny", 16, 1, 10)
	if err != nil {
		b.Fatal(err)
	}
	p := newProcess(b, DefaultConfig())
	return newNetwork(b, p, u, TrainConfig{LearningRate: 1e-3, ClipNorm: 1, EMA: 0.99}, 0)
}

// BenchmarkStep times one training step of 32 rows, compiled before.
func BenchmarkStep(b *testing.B) {
	n := tiny(b)
	batch := exampleBatch(n, 32)
	step(b, n, batch, 0, 0)
	b.ResetTimer()
	for i := range b.N {
		step(b, n, batch, i, uint64(i))
	}
	b.ReportMetric(float64(b.Elapsed().Milliseconds())/float64(b.N), "ms/step")
	b.ReportMetric(float64(b.N*32)/b.Elapsed().Seconds(), "rows/s")
}

// BenchmarkForward times one call of the averaged network on 250 rows, compiled before.
func BenchmarkForward(b *testing.B) {
	n := tiny(b)
	batch := exampleBatch(n, 250)
	d := n.Denoiser(true)
	call := func() {
		if _, err := d.Output(batch.X, batch.T, batch.Y); err != nil {
			b.Fatal(err)
		}
	}
	call()
	b.ResetTimer()
	for range b.N {
		call()
	}
	b.ReportMetric(float64(b.Elapsed().Milliseconds())/float64(b.N), "ms/call")
	b.ReportMetric(float64(b.N*250)/b.Elapsed().Seconds(), "rows/s")
}
