//go:build unix

package likelihood

import (
	"syscall"
	"testing"
	"time"

	"palimpsest/datasets"
	"palimpsest/pkg/backend/backendtest"
	"palimpsest/pkg/diffusion"
	"palimpsest/pkg/unet"
)

// free is a network that always answers the same.
type free []float32

func (f free) Output([]float32, []int32, []int32) ([]float32, error) { return f, nil }

// BenchmarkOverhead compares the bound of 256 test images at T = 1000 with as many evaluations of the network alone, at
// the same 256 rows a call: the default experiment's process, its tiny network, and Fashion-MNIST at 16×16.
//
//   - "strided" looks at every 25th timestep: 10,240 rows;
//   - "whole" looks at all of them, 256,000 rows, and sums each image's terms up. Ask for it by name, once:
//     go test -run '^$' -bench 'Overhead/whole' -benchtime 1x -timeout 1h ./pkg/likelihood
//
// In one iteration network and bound take eight turns, 32 images each and in changing order, so that both see the same
// load of the machine. "overhead" is the ratio of their times, at most 1.1. "host" is the time of the bound
// with a network that costs nothing, relative to the network alone: what would be added if nothing ran side by side.
// "cpu-overhead" is the ratio of the processor time of all cores, which others that keep the machine busy change less;
// where the network runs on those cores and fills them, times in peace have the same ratio.
func BenchmarkOverhead(b *testing.B) {
	set, err := datasets.Load("fashion-mnist-sample")
	if err != nil {
		b.Fatal(err)
	}
	images, err := datasets.Prep{Method: "area", Size: 16}.Apply(set.Test)
	if err != nil {
		b.Fatal(err)
	}
	p, err := diffusion.New(diffusion.Config{T: 1000, Schedule: "cosine", Prediction: diffusion.PredictVelocity, Variance: diffusion.FixedLarge})
	if err != nil {
		b.Fatal(err)
	}
	u, err := unet.Preset("tiny", 16, 16, 1, 10)
	if err != nil {
		b.Fatal(err)
	}
	n, err := diffusion.NewNetwork(backendtest.Open(b), p, u, diffusion.TrainConfig{LearningRate: 1}, 1)
	if err != nil {
		b.Fatal(err)
	}
	defer n.Close()
	var strided []int
	for t := 0; t < p.T; t += 25 {
		strided = append(strided, t)
	}
	b.Run("strided", func(b *testing.B) { benchmarkOverhead(b, p, n.Denoiser(true), images, strided, 32) })
	b.Run("whole", func(b *testing.B) { benchmarkOverhead(b, p, n.Denoiser(true), images, nil, 32) })
}

// benchmarkOverhead compares the bound of 256 images at some or, with nil, all timesteps, part images at a time.
func benchmarkOverhead(b *testing.B, p *diffusion.Process, d diffusion.Denoiser, images *datasets.Images, timesteps []int, part int) {
	o, dim, steps := DefaultOptions(), images.ImageSize(), len(timesteps)
	if timesteps == nil {
		steps = p.T
	}
	var parts []*Data
	for first := 0; first < 256; first += part {
		data := &Data{N: part, Dim: dim, Channels: images.C, Pixels: images.Pixels[first*dim : (first+part)*dim]}
		for i := range part {
			data.Labels = append(data.Labels, int32(images.Labels[first+i]))
			data.IDs = append(data.IDs, first+i)
		}
		parts = append(parts, data)
	}
	calls := part * steps / o.Batch
	if calls*o.Batch != part*steps {
		b.Fatalf("%d rows are no whole number of batches of %d", part*steps, o.Batch)
	}
	x, t, y := make([]float32, o.Batch*dim), make([]int32, o.Batch), make([]int32, o.Batch)
	alone := func() {
		for range calls {
			if _, err := d.Output(x, t, y); err != nil {
				b.Fatal(err)
			}
		}
	}
	bound := func(d diffusion.Denoiser, data *Data) {
		terms, err := Bound(b.Context(), p, d, data, timesteps, o)
		if err == nil && terms.Whole() {
			_, err = terms.TotalBPD()
		}
		if err != nil {
			b.Fatal(err)
		}
	}
	if _, err := d.Output(x, t, y); err != nil { // compiles
		b.Fatal(err)
	}
	type cost struct{ wall, cpu time.Duration }
	var network, whole, host cost
	timed := func(sum *cost, f func()) {
		start, cpu := time.Now(), processorTime(b)
		f()
		sum.wall, sum.cpu = sum.wall+time.Since(start), sum.cpu+processorTime(b)-cpu
	}
	turn := 0
	for b.Loop() {
		for _, data := range parts {
			turns := []func(){
				func() { timed(&network, alone) },
				func() { timed(&whole, func() { bound(d, data) }) },
			}
			for k := range turns {
				turns[(turn+k)%2]()
			}
			turn++
			timed(&host, func() { bound(free(x), data) })
		}
	}
	b.ReportMetric(network.wall.Seconds()/float64(turn*calls*o.Batch)*1e6, "µs-network/row")
	b.ReportMetric(host.wall.Seconds()/network.wall.Seconds(), "host")
	b.ReportMetric(whole.wall.Seconds()/network.wall.Seconds(), "overhead")
	b.ReportMetric(whole.cpu.Seconds()/network.cpu.Seconds(), "cpu-overhead")
}

// processorTime is what this process has had of all cores.
func processorTime(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
