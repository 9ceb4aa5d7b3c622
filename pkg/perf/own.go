package perf

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"github.com/gomlx/compute"
	"github.com/pkg/errors"

	"palimpsest/pkg/backend"
	"palimpsest/pkg/diffusion"
	"palimpsest/pkg/host"
	"palimpsest/pkg/likelihood"
)

// Serve is our side of a measurement: it answers the task and the requests that it reads, until they end.
func Serve(ctx context.Context, in io.Reader, out io.Writer) error {
	requests, answers := json.NewDecoder(in), json.NewEncoder(out)
	err := serve(ctx, requests, answers)
	if err != nil {
		_ = answers.Encode(ready{Error: err.Error()})
	}
	return err
}

func serve(ctx context.Context, requests *json.Decoder, answers *json.Encoder) error {
	start := time.Now()
	var t Task
	if err := requests.Decode(&t); err != nil {
		return errors.Wrap(err, "reading the task")
	}
	back, choice, err := backend.Open()
	if err != nil {
		return err
	}
	w, err := newWork(ctx, back, t)
	if err != nil {
		return err
	}
	defer w.close()
	if err := w.call(); err != nil { // compiles
		return err
	}
	r := ready{Parameters: w.network.Parameters(), Prepare: time.Since(start).Seconds(),
		Versions: map[string]string{"go": runtime.Version(), "backend": choice.Portable()}}
	if choice.Convolutions != "" {
		r.Versions["convolutions"] = choice.Convolutions
	}
	start = time.Now()
	if t.What != example {
		if err := w.call(); err != nil {
			return err
		}
	}
	r.Call, r.Peak = time.Since(start).Seconds(), host.PeakMemory()
	if err := answers.Encode(r); err != nil {
		return err
	}
	for {
		var q request
		if err := requests.Decode(&q); err == io.EOF {
			return nil
		} else if err != nil {
			return errors.Wrap(err, "reading a request")
		}
		var s sample
		inNetwork, cpu, start := w.networkTime(), processorTime(), time.Now()
		for range q.Calls {
			if err := w.call(); err != nil {
				return err
			}
		}
		s.Wall, s.CPU, s.Peak = time.Since(start).Seconds(), processorTime()-cpu, host.PeakMemory()
		if t.Growth != nil {
			s.Outside = s.Wall - (w.networkTime() - inNetwork)
		}
		if err := answers.Encode(s); err != nil {
			return err
		}
	}
}

// work is one thing to be done again and again.
type work struct {
	network     *diffusion.Network
	call        func() error
	networkTime func() float64 // seconds spent in the network's steps so far
	close       func()
}

func newWork(ctx context.Context, back compute.Backend, t Task) (*work, error) {
	process, err := diffusion.New(t.Process)
	if err != nil {
		return nil, err
	}
	n, err := diffusion.NewNetwork(back, process, t.network(), t.Train, 0)
	if err != nil {
		return nil, err
	}
	if t.Rows < 1 {
		return nil, errors.Errorf("perf: %d rows; need at least 1", t.Rows)
	}
	w := &work{network: n, networkTime: func() float64 { return 0 }, close: n.Close}
	if t.Growth != nil {
		return w, w.grow(t)
	}
	b := exampleBatch(t, process.T, t.Rows)
	averaged, dim := n.Denoiser(true), len(b.X)/t.Rows
	switch t.What {
	case Step:
		w.call = stepper(n, b)
	case Forward:
		w.call = func() error {
			_, err := averaged.Output(b.X, b.T, b.Y)
			return err
		}
	case Bound:
		data := &likelihood.Data{N: max(1, t.Rows/boundTerms), Dim: dim, Channels: n.Shape.Channels}
		data.Pixels, data.Labels = make([]uint8, data.N*dim), b.Y[:data.N]
		for i := range data.Pixels {
			data.Pixels[i] = uint8(127.5 * (1 + b.X[i]))
		}
		terms, err := diffusion.EvenTimesteps(process.T, min(boundTerms, t.Rows))
		if err != nil {
			return nil, err
		}
		o := likelihood.DefaultOptions()
		o.Batch = data.N * len(terms)
		w.call = func() error {
			_, err := likelihood.Bound(ctx, process, averaged, data, terms, o)
			return err
		}
	case example:
		w.call = func() error { return writeExample(n, t) }
	default:
		sampler, any := t.sampler()
		if !any {
			return nil, errors.Errorf("perf: nothing is called %q; choose of %v", t.What, Whats())
		}
		w.call = func() error {
			sampler.Seed++
			_, err := diffusion.Sample(ctx, process, averaged, n.Shape.Channels, dim, b.Y, sampler, t.Rows, nil)
			return err
		}
	}
	return w, nil
}

// boundTerms is how many timesteps of an image are in a batch of the bound.
const boundTerms = 8

// stepper does one step after another on the same images; noise and dropout differ each time.
func stepper(n *diffusion.Network, b diffusion.Batch) func() error {
	index := 0
	return func() error {
		_, err := n.Step(b, index, uint64(index))
		index++
		return err
	}
}

// exampleBatch makes images of noise in [-1, 1], with all labels and timesteps.
func exampleBatch(t Task, timesteps, rows int) diffusion.Batch {
	s, rng := t.network().Shape(), rand.New(rand.NewPCG(0, 0))
	b := diffusion.Batch{X: make([]float32, rows*s.Values()), Y: make([]int32, rows), T: make([]int32, rows), W: make([]float32, rows)}
	for i := range b.X {
		b.X[i] = float32(2*rng.Float64() - 1)
	}
	for i := range rows {
		b.Y[i], b.T[i], b.W[i] = int32(i%max(1, s.Classes)), int32(rng.IntN(timesteps)), 1/float32(rows)
	}
	return b
}

// writeExample gives the network weights of which none are zero, and writes them to the task's folder, with its output for
// two images, the second without a label.
func writeExample(n *diffusion.Network, t Task) error {
	weights, err := n.Weights(true)
	if err != nil {
		return err
	}
	rng := rand.New(rand.NewPCG(0, 1))
	for i := range weights {
		weights[i] += float32(0.05 * rng.NormFloat64())
	}
	if err := n.SetWeights(weights, true); err != nil {
		return err
	}
	b := exampleBatch(t, t.Process.T, 2)
	b.Y[1] = int32(n.Shape.Classes)
	out, err := n.Denoiser(true).Output(b.X, b.T, b.Y)
	if err != nil {
		return err
	}
	for name, values := range map[string][]float32{"weights.f32": weights, "x.f32": b.X, "output.f32": out} {
		data, err := binary.Append(nil, binary.LittleEndian, values)
		if err == nil {
			err = os.WriteFile(filepath.Join(t.Example, name), data, 0o644)
		}
		if err != nil {
			return errors.WithStack(err)
		}
	}
	data, err := json.Marshal(map[string][]int32{"t": b.T, "y": b.Y})
	if err != nil {
		return err
	}
	return errors.WithStack(os.WriteFile(filepath.Join(t.Example, "example.json"), data, 0o644))
}
