package diffusion

import (
	"context"
	"testing"
	"time"

	"palimpsest/pkg/unet"
)

// The benchmarks of one training step, one call of the averaged network and ten, in a sampler. On a quiet machine, with the convolutions of
// package fastconv, then with XLA's, for a network a time (compiling takes most of it):
//
//	go test ./pkg/diffusion -run ^$ -bench '(Step|Forward)/tiny16$' -benchtime 30x
//	PALIMPSEST_FASTCONV=off go test ./pkg/diffusion -run ^$ -bench '(Step|Forward)/tiny16$' -benchtime 30x
//
// and with taskset -c 0 before it for one thread, as the runs of a study have. cpu-ms is what the process took on all
// processors, which a busy machine changes less than the clock.
var benchmarks = []struct {
	name, preset string
	size         int
	rows         int // of a call; a step has 32
}{
	{"tiny16", "tiny", 16, 250},
	{"small16", "small", 16, 250},
	{"small32", "small", 32, 64},
	{"ddpm32", "ddpm", 32, 16},
}

// cpuTime returns the processor time this process has taken so far; nil where the system is not asked.
var cpuTime func() time.Duration

// benchmark times run, which prepare returns with everything compiled.
func benchmark(b *testing.B, rows int, prepare func(b *testing.B) (run func(i int))) {
	run := prepare(b)
	run(0)
	run(1)
	var before time.Duration
	if cpuTime != nil {
		before = cpuTime()
	}
	b.ResetTimer()
	for i := range b.N {
		run(2 + i)
	}
	b.ReportMetric(float64(b.Elapsed().Microseconds())/1e3/float64(b.N), "ms")
	b.ReportMetric(float64(b.N*rows)/b.Elapsed().Seconds(), "rows/s")
	if cpuTime != nil {
		b.ReportMetric(float64((cpuTime()-before).Microseconds())/1e3/float64(b.N), "cpu-ms")
	}
}

func benchmarkNetwork(b *testing.B, preset string, size int) *Network {
	u, err := unet.Preset(preset, size, size, 1, 10)
	if err != nil {
		b.Fatal(err)
	}
	return newNetwork(b, newProcess(b, Config{T: 1000, Schedule: "linear", Prediction: PredictNoise, Variance: FixedLarge}), u, TrainConfig{LearningRate: 1e-3, ClipNorm: 1, EMA: 0.99}, 0)
}

// BenchmarkStep times one training step of 32 rows.
func BenchmarkStep(b *testing.B) {
	for _, c := range benchmarks {
		b.Run(c.name, func(b *testing.B) {
			benchmark(b, 32, func(b *testing.B) func(int) {
				n := benchmarkNetwork(b, c.preset, c.size)
				batch := exampleBatch(n, 32)
				return func(i int) { step(b, n, batch, i, uint64(i)) }
			})
		})
	}
}

// BenchmarkForward times one call of the averaged network.
func BenchmarkForward(b *testing.B) {
	for _, c := range benchmarks {
		b.Run(c.name, func(b *testing.B) {
			benchmark(b, c.rows, func(b *testing.B) func(int) {
				n := benchmarkNetwork(b, c.preset, c.size)
				batch := exampleBatch(n, c.rows)
				d := n.Denoiser(true)
				return func(int) {
					if _, err := d.Output(batch.X, batch.T, batch.Y); err != nil {
						b.Fatal(err)
					}
				}
			})
		})
	}
}

// BenchmarkSample times a sampler of ten steps on the averaged network.
func BenchmarkSample(b *testing.B) {
	for _, c := range benchmarks {
		b.Run(c.name, func(b *testing.B) {
			benchmark(b, 1000, func(b *testing.B) func(int) {
				n := benchmarkNetwork(b, c.preset, c.size)
				d := n.Denoiser(true)
				labels := make([]int32, 100)
				for i := range labels {
					labels[i] = int32(i % 2)
				}
				return func(i int) {
					if _, err := Sample(context.Background(), n.Process, d, 1, c.size*c.size, labels, SamplerConfig{Name: DPMPP2M, Steps: 10, Clip: true, Seed: uint64(i)}, 100, nil); err != nil {
						b.Fatal(err)
					}
				}
			})
		})
	}
}
