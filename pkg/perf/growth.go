package perf

import (
	"fmt"
	"math/rand/v2"

	"palimpsest/datasets"
	"palimpsest/pkg/cl"
	"palimpsest/pkg/diffusion"
)

// grow makes a work of one step of a training loop, or of one with penalties.
func (w *work) grow(t Task) error {
	if t.Growth.Tasks == 0 {
		return w.penalised(t)
	}
	bench := synthetic(t)
	strategy := cl.NewER()
	strategy.Buffer = t.Growth.Buffer
	// The phase never ends: it has as many steps as anyone will ask for.
	config := cl.LoopConfig{FreshRows: (t.Rows + 1) / 2, ReplayRows: t.Rows / 2, StepsPerTask: 1 << 30}
	loop, err := cl.NewLoop(w.network, bench, strategy, config, cl.Setup{})
	if err != nil {
		return err
	}
	last := len(bench.Tasks) - 1
	for k := range last {
		if err := strategy.EndTask(k, bench.Tasks[k].Train); err != nil {
			return err
		}
	}
	loop.Position.Phase = last
	w.networkTime = func() float64 { return loop.NetworkTime.Seconds() }
	w.call = func() error {
		_, err := loop.Step()
		return err
	}
	w.close = func() {
		loop.Close()
		w.network.Close()
	}
	return nil
}

// penalised makes a work of one step with rank-1 penalties, or none.
func (w *work) penalised(t Task) error {
	n := w.network
	if err := n.Extend(diffusion.Extra{Directions: t.Growth.Penalties}); err != nil {
		return err
	}
	anchor, err := n.Weights(false)
	if err != nil {
		return err
	}
	rng, direction := rand.New(rand.NewPCG(0, 2)), make([]float32, len(anchor))
	for range t.Growth.Penalties {
		for i := range direction {
			direction[i] = float32(1e-3 * rng.NormFloat64())
		}
		if err := n.AddDirection(direction, anchor); err != nil {
			return err
		}
	}
	b := exampleBatch(t, t.Process.T, t.Rows)
	if t.Growth.Penalties > 0 {
		b.DirectionStrength = 1
	}
	call := stepper(n, b)
	inNetwork := 0.0
	w.networkTime = func() float64 { return inNetwork }
	w.call = func() error {
		seconds, err := timed(call)
		inNetwork += seconds
		return err
	}
	return nil
}

// imagesPerTask is how many images a made-up task has; the first of them has as many as the buffer holds, where that is more.
const imagesPerTask = 100

// synthetic makes tasks of two classes each, their images of noise.
func synthetic(t Task) *datasets.Benchmark {
	s := t.network().Shape()
	bench := &datasets.Benchmark{Name: "synthetic", H: s.H, W: s.W, C: s.Channels}
	noise := rand.NewChaCha8([32]byte{})
	for k := range t.Growth.Tasks {
		n := imagesPerTask
		if k == 0 && t.Growth.Tasks > 1 {
			n = max(n, t.Growth.Buffer)
		}
		im := &datasets.Images{N: n, H: s.H, W: s.W, C: s.Channels, Pixels: make([]uint8, n*s.Values()), Labels: make([]int32, n)}
		_, _ = noise.Read(im.Pixels) // never fails
		for i := range im.Labels {
			im.Labels[i] = int32(2*k + i%2)
		}
		bench.Tasks = append(bench.Tasks, datasets.Task{ID: k, Name: fmt.Sprint(k), Classes: []int{2 * k, 2*k + 1}, Train: im})
		bench.ClassNames = append(bench.ClassNames, fmt.Sprint(2*k), fmt.Sprint(2*k+1))
	}
	return bench
}
