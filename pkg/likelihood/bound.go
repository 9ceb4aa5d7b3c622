package likelihood

import (
	"context"
	"slices"

	"github.com/pkg/errors"

	"palimpsest/pkg/diffusion"
)

// Terms are the variational bound of images, term by term.
type Terms struct {
	Info
	Timesteps []int32   // [K] ascending; K = T where the bound is whole
	LogSNR    []float32 // [K] ln(ᾱ/(1-ᾱ)) of each timestep, in nats
	TermBPD   []float32 // [N, K] L_t, the decoder's at t = 0
	MSEImage  []float32 // [N, K] mean of (x_0's estimate - x_0)², on the scale of [-1, 1]
	PriorBPD  []float32 // [N] L_T
	Labels    []int32   // [N] labels the network was given
}

// Info says of what and how terms were computed.
type Info struct {
	N, Dim     int
	T          int    // timesteps of the process
	Schedule   string // its name
	Prediction string
	Variance   string
	Clip       bool
	CDF        string
	Seed       uint64
}

// Bound computes the terms of the variational bound of data under the process p with network d at the given timesteps,
// ascending; nil means all. The network sees len(timesteps)·data.N rows, in batches of o.Batch that mix images and
// timesteps, so that only the last of all batches can be part empty (it is filled up with repeats). What d returns is
// read while its next call runs: it must not be overwritten by that. It fails on settings out of range, an error of d, or when ctx ends.
//
// Total, terms and their order are those of [iddpm]'s calc_bpd_loop.
func Bound(ctx context.Context, p *diffusion.Process, d diffusion.Denoiser, data *Data, timesteps []int, o Options) (*Terms, error) {
	if err := check(p, data, o); err != nil {
		return nil, err
	}
	if timesteps == nil {
		timesteps = make([]int, p.T)
		for t := range timesteps {
			timesteps[t] = t
		}
	}
	for k, t := range timesteps {
		if t < 0 || t >= p.T || (k > 0 && t <= timesteps[k-1]) {
			return nil, errors.Errorf("likelihood: timestep %d at place %d; need ascending values in 0 .. %d", t, k, p.T-1)
		}
	}
	n, steps := data.N, len(timesteps)
	if steps == 0 {
		return nil, errors.New("likelihood: no timesteps; give nil for all")
	}
	terms := &Terms{
		Info: Info{N: n, Dim: data.Dim, T: p.T, Schedule: p.Name, Prediction: p.Prediction, Variance: p.Variance,
			Clip: o.Clip, CDF: o.CDF, Seed: o.Seed},
		Timesteps: make([]int32, steps), LogSNR: make([]float32, steps),
		TermBPD: make([]float32, n*steps), MSEImage: make([]float32, n*steps),
		PriorBPD: make([]float32, n), Labels: slices.Clone(data.Labels),
	}
	for k, t := range timesteps {
		terms.Timesteps[k], terms.LogSNR[k] = int32(t), float32(p.LogSNR(t))
	}
	for i := range n {
		terms.PriorBPD[i] = float32(priorBPD(p.Schedule, data.image(i)))
	}
	e := &evaluator{p, d, data, o}
	err := e.run(ctx, n*steps,
		func(k int) (int, int) { return k / steps, timesteps[k%steps] },
		func(k int, r term) { terms.TermBPD[k], terms.MSEImage[k] = float32(r.bpd), float32(r.mseImage) })
	if err != nil {
		return nil, err
	}
	return terms, nil
}

func check(p *diffusion.Process, data *Data, o Options) error {
	if !p.HasBound() {
		return errors.Errorf("likelihood: prediction %q has no variational bound by parts; measure its likelihood by the ODE", p.Prediction)
	}
	if err := data.Validate(); err != nil {
		return err
	}
	return o.Validate()
}

// Whole says whether every timestep is there, so that the terms add up to the bound.
func (b *Terms) Whole() bool { return len(b.Timesteps) == b.T }

// TotalBPD is the bound of every image: its prior and all its terms. It fails where timesteps are missing.
func (b *Terms) TotalBPD() ([]float64, error) {
	if !b.Whole() {
		return nil, errors.Errorf("likelihood: %d of %d timesteps; the bound needs all (for few, see EstimateBPD)", len(b.Timesteps), b.T)
	}
	total := make([]float64, b.N)
	for i := range total {
		total[i] = float64(b.PriorBPD[i])
		for _, l := range b.row(i) {
			total[i] += float64(l)
		}
	}
	return total, nil
}

// row is the terms of image i.
func (b *Terms) row(i int) []float32 {
	return b.TermBPD[i*len(b.Timesteps) : (i+1)*len(b.Timesteps)]
}
