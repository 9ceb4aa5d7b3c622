package perf

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/gomlx/compute"
	"github.com/pkg/errors"

	"palimpsest/pkg/atomicfile"
	"palimpsest/pkg/backend"
	"palimpsest/pkg/diffusion"
)

// Numbers are what a backend computes in a few training steps and one sampling call from given weights, images and seeds:
// those of one backend are held against those of another.
type Numbers struct {
	Schema   int              `json:"schema"`
	Origin   Origin           `json:"origin"`
	Backend  string           `json:"backend"`
	Networks []NetworkNumbers `json:"networks"`
}

// NetworkNumbers are those of one network.
type NetworkNumbers struct {
	Network string    `json:"network"`
	Size    int       `json:"size"`
	Rows    int       `json:"rows"`
	Images  []float32 `json:"images"`   // drawn by 10 steps of DDIM, flat
	Loss    []float64 `json:"loss"`     // of each step
	First   []float32 `json:"row_loss"` // of each row, in the first step
	Norms   []float64 `json:"gradient_norm"`
	// How far the first step and all of them have moved some of the weights, evenly spread.
	Moved1 []float32 `json:"moved_by_first"`
	Moved  []float32 `json:"moved_by_all"`
}

// tolerances of a device's numbers: the norm of their difference from those expected, as a share of the norm of these. With
// XLA's own convolutions in place of package fastconv's, numbers differ by a tenth of these at most; TF32 and bfloat16, which
// round each factor to 2^-11 and 2^-9, exceed them. Adam's first step moves every weight by the learning
// rate whichever way its gradient points, so that weights whose gradient is nearly zero may move the other way.
var tolerances = struct{ images, first, loss, norm, moved1, moved float64 }{
	images: 1e-4, first: 1e-5, loss: 1e-4, norm: 1e-3, moved1: 2e-3, moved: 2e-3,
}

// checkSteps is how many training steps are compared.
const checkSteps = 10

// CheckNetworks refuses networks of which [ComputeNumbers] knows nothing.
func CheckNetworks(networks []string) error {
	if len(networks) == 0 {
		return errors.Errorf("--networks names nothing; choose of %q", Networks())
	}
	for _, name := range networks {
		if !slices.Contains(Networks(), name) {
			return errors.Errorf("--networks has %q; choose of %q", name, Networks())
		}
	}
	return nil
}

// ComputeNumbers computes the numbers of some networks on the backend that opens.
func ComputeNumbers(ctx context.Context, networks []string, origin Origin, log io.Writer) (*Numbers, error) {
	b, choice, err := backend.Shared()
	if err == nil {
		err = notAsked(choice)
	}
	if err != nil {
		return nil, err
	}
	fmt.Fprintln(log, choice)
	r := &Numbers{Schema: Schema, Origin: origin, Backend: choice.Portable()}
	for _, name := range networks {
		start := time.Now()
		n, err := numbersOf(ctx, b, name)
		if err != nil {
			return nil, errors.WithMessage(err, name)
		}
		fmt.Fprintf(log, "%s: %d steps and one sampling call in %.0f s\n", name, checkSteps, time.Since(start).Seconds())
		r.Networks = append(r.Networks, *n)
	}
	return r, nil
}

// notAsked fails where another backend was opened than the one that was to be measured: pure Go in place of a GPU would take
// hours to say little.
func notAsked(c backend.Choice) error {
	if len(c.Failed) == 0 {
		return nil
	}
	return errors.Errorf("%s; %s would compute in its place, which nobody asked for", strings.Join(c.Failed, "; "), c.Config)
}

func numbersOf(ctx context.Context, b compute.Backend, name string) (*NetworkNumbers, error) {
	const spread = 4096 // of how many weights the movement is kept, at most
	r := &NetworkNumbers{Network: name, Size: deviceSize(name), Rows: 16}
	if name == "ddpm" {
		r.Rows = 4 // minutes on a processor
	}
	t, err := taskOf(name, r.Size)
	if err != nil {
		return nil, err
	}
	p, err := diffusion.New(quickProcess)
	if err != nil {
		return nil, err
	}
	n, err := diffusion.NewNetwork(b, p, t.network(), quickTrain, 0)
	if err != nil {
		return nil, err
	}
	defer n.Close()
	// Fresh weights have zeros, behind which nothing shows.
	weights, err := n.Weights(false)
	if err != nil {
		return nil, err
	}
	rng := rand.New(rand.NewPCG(0, 1))
	for i := range weights {
		weights[i] += float32(0.02 * rng.NormFloat64())
	}
	for _, averaged := range []bool{false, true} {
		if err := n.SetWeights(weights, averaged); err != nil {
			return nil, err
		}
	}
	batch := exampleBatch(t, p.T, r.Rows)
	sampler := diffusion.SamplerConfig{Name: diffusion.DDIM, Steps: 10, Clip: true}
	const images = 4
	r.Images, err = diffusion.Sample(ctx, p, n.Denoiser(true), n.Shape.Channels, len(batch.X)/r.Rows, batch.Y[:images], sampler, images, nil)
	if err != nil {
		return nil, err
	}
	moved := func() ([]float32, error) {
		now, err := n.Weights(false)
		if err != nil {
			return nil, err
		}
		by := make([]float32, min(spread, len(now)))
		for i := range by {
			k := i * len(now) / len(by)
			by[i] = now[k] - weights[k]
		}
		return by, nil
	}
	for i := range checkSteps {
		res, err := n.Step(batch, i, uint64(i))
		if err != nil {
			return nil, err
		}
		r.Loss, r.Norms = append(r.Loss, res.Loss), append(r.Norms, res.GradNorm)
		if i == 0 {
			r.First = res.Rows
			if r.Moved1, err = moved(); err != nil {
				return nil, err
			}
		}
	}
	r.Moved, err = moved()
	return r, err
}

// Against compares numbers with those expected, writes how far each is away, and fails where one is further than tolerated.
func (r *Numbers) Against(expected *Numbers, log io.Writer) error {
	if ours, theirs := isGo(r.Backend), isGo(expected.Backend); ours != theirs {
		return errors.Errorf("%s and %s draw other noise from one seed, so that nothing compares; XLA compares with XLA, pure Go with pure Go", r.Backend, expected.Backend)
	}
	bad, compared := 0, 0
	for _, want := range expected.Networks {
		for _, got := range r.Networks {
			if got.Network != want.Network {
				continue
			}
			compared++
			for _, c := range []struct {
				what      string
				got, want []float64
				tolerance float64
			}{
				{"images drawn", wide(got.Images), wide(want.Images), tolerances.images},
				{"loss by row, step 1", wide(got.First), wide(want.First), tolerances.first},
				{"losses of 10 steps", got.Loss, want.Loss, tolerances.loss},
				{"norms of 10 gradients", got.Norms, want.Norms, tolerances.norm},
				{"movement, step 1", wide(got.Moved1), wide(want.Moved1), tolerances.moved1},
				{"movement, 10 steps", wide(got.Moved), wide(want.Moved), tolerances.moved},
			} {
				d := distance(c.got, c.want)
				verdict := "ok"
				if !(d <= c.tolerance) {
					verdict = "TOO FAR"
					bad++
				}
				fmt.Fprintf(log, "%-8s %-22s %.2g away, tolerated %.2g: %s\n", got.Network, c.what, d, c.tolerance, verdict)
			}
		}
	}
	if compared < len(r.Networks) || compared == 0 {
		return errors.Errorf("%d of %d networks have no numbers that they could be held to; make them anew with perf check --write", len(r.Networks)-compared, len(r.Networks))
	}
	if bad > 0 {
		return errors.Errorf("%d numbers of %s are further from those of %s than float32 explains", bad, r.Backend, expected.Backend)
	}
	return nil
}

// isGo says whether a backend is GoMLX's own.
func isGo(config string) bool { return config == "go" || strings.HasPrefix(config, "go:") }

// distance is |got - want| / |want|; infinite where their lengths differ.
func distance(got, want []float64) float64 {
	if len(got) != len(want) || len(want) == 0 {
		return math.Inf(1)
	}
	var difference, size float64
	for i := range want {
		d := got[i] - want[i]
		difference += d * d
		size += want[i] * want[i]
	}
	return math.Sqrt(difference / size)
}

func wide(values []float32) []float64 {
	all := make([]float64, len(values))
	for i, v := range values {
		all[i] = float64(v)
	}
	return all
}

// Save writes numbers to a file.
func (r *Numbers) Save(path string) error {
	data, err := json.Marshal(r)
	if err != nil {
		return errors.WithStack(err)
	}
	return atomicfile.Write(path, append(data, '\n'))
}

// LoadNumbers reads numbers from a file.
func LoadNumbers(path string) (*Numbers, error) {
	data, err := atomicfile.Read(path, 64<<20)
	if err != nil {
		return nil, err
	}
	r := new(Numbers)
	if err := json.Unmarshal(data, r); err != nil || r.Schema != Schema || len(r.Networks) == 0 {
		return nil, errors.Errorf("%s holds no numbers of a backend that this version reads (%v); make them anew with perf check --write", path, err)
	}
	return r, nil
}
