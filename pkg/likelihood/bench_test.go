package likelihood

import (
	"testing"
	"time"

	"palimpsest/pkg/backend/backendtest"
	"palimpsest/pkg/diffusion"
	"palimpsest/pkg/unet"
)

// free is a network that always answers the same.
type free []float32

func (f free) Output([]float32, []int32, []int32) ([]float32, error) { return f, nil }

// BenchmarkOverhead compares the bound of images with the same number of network rows alone, at the same batch. The
// two take turns, so that both see the same load of the machine; "overhead" is the ratio of their times, at most 1.1.
// "host" is the time of the bound with a network that costs nothing, relative to the network alone: what would be added
// if nothing ran side by side.
func BenchmarkOverhead(b *testing.B) {
	p := newProcess(b, 100, diffusion.PredictNoise, diffusion.FixedLarge)
	u, err := unet.Preset("tiny", 16, 1, 0)
	if err != nil {
		b.Fatal(err)
	}
	n, err := diffusion.NewNetwork(backendtest.Open(b), p, u, diffusion.TrainConfig{LearningRate: 1}, 1)
	if err != nil {
		b.Fatal(err)
	}
	d := n.Denoiser(false)
	data := gaussianData(8, 256, deviation)
	o := DefaultOptions()
	o.Batch = 100
	x, t, y := make([]float32, o.Batch*data.Dim), make([]int32, o.Batch), make([]int32, o.Batch)
	alone := func() {
		for range data.N * p.T / o.Batch {
			if _, err := d.Output(x, t, y); err != nil {
				b.Fatal(err)
			}
		}
	}
	alone()
	var network, whole, host time.Duration
	for b.Loop() {
		start := time.Now()
		alone()
		network += time.Since(start)
		start = time.Now()
		if _, err := Bound(b.Context(), p, d, data, nil, o); err != nil {
			b.Fatal(err)
		}
		whole += time.Since(start)
		start = time.Now()
		if _, err := Bound(b.Context(), p, free(x), data, nil, o); err != nil {
			b.Fatal(err)
		}
		host += time.Since(start)
	}
	b.ReportMetric(host.Seconds()/network.Seconds(), "host")
	b.ReportMetric(whole.Seconds()/network.Seconds(), "overhead")
}
