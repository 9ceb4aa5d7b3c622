package likelihood

import (
	"context"
	"math"

	"github.com/pkg/errors"
	"gonum.org/v1/gonum/floats"

	"palimpsest/pkg/diffusion"
)

// EstimateOptions say which terms an estimate looks at.
type EstimateOptions struct {
	Terms int    // network rows an image: the decoder's term, t = 0, and two timesteps from each of (Terms-1)/2 strides
	Seed  uint64 // of the choice of timesteps, drawn again for every image
}

// Estimate is an estimate of [Terms.TotalBPD] from few terms.
type Estimate struct {
	BPD []float64 // [N]
	SE  []float64 // [N] standard error against the full sum of the same image and noise, bits per dimension
	// Rows is how many images the network saw.
	Rows int

	PriorBPD, DecoderBPD float64 // L_T and L_0, means over images
	// StrideBPD is the mean over images of the sum of the terms in each stride, that is of the
	// timesteps Edges[s] <= t < Edges[s+1]. With the two numbers above it adds up to the mean of BPD.
	Edges     []int
	StrideBPD []float64
}

// MeanBPD is the mean over images and its standard error against the mean of the full sums of the same images: the
// choice of timesteps is its only source, images and noise being the same. (The error against other images of the same
// distribution is the spread of BPD, see [Parts].)
func (e *Estimate) MeanBPD() (bpd, se float64) {
	n := float64(len(e.BPD))
	return floats.Sum(e.BPD) / n, floats.Norm(e.SE, 2) / n
}

// EstimateBPD estimates the bound of every image from q.Terms rows an image instead of T. It is unbiased over
// the choice of timesteps. The strides are finer toward t = 0, where terms are larger and change faster:
// stride s of S covers about 1+(T-1)·(s/S)² to 1+(T-1)·((s+1)/S)². Two terms a stride make the standard error known
// without assumptions on the terms' smoothness.
func EstimateBPD(ctx context.Context, p *diffusion.Process, d diffusion.Denoiser, data *Data, o Options, q EstimateOptions) (*Estimate, error) {
	if err := check(p, data, o); err != nil {
		return nil, err
	}
	plan, err := q.plan(p.T, data.N, data.id)
	if err != nil {
		return nil, err
	}
	values := make([]float64, data.N*q.Terms)
	e := &evaluator{p, d, data, o}
	err = e.run(ctx, len(values),
		func(k int) (int, int) { return k / q.Terms, plan.t[k] },
		func(k int, r term) { values[k] = r.bpd })
	if err != nil {
		return nil, err
	}
	prior := make([]float64, data.N)
	for i := range prior {
		prior[i] = priorBPD(p.Schedule, data.image(i))
	}
	return plan.combine(prior, values), nil
}

// plan is the choice of timesteps for every image: first t = 0, then the drawn ones, stride by stride.
type plan struct {
	terms int
	t     []int     // [N·terms]
	edges []int     // of the strides
	size  []float64 // timesteps of each stride
}

func (q EstimateOptions) plan(T, n int, id func(int) int) (*plan, error) {
	pl := &plan{terms: q.Terms, t: make([]int, 0, n*q.Terms)}
	strides := (q.Terms - 1) / 2
	if q.Terms%2 == 0 || strides < 1 || 2*strides > T-1 {
		return nil, errors.Errorf("likelihood: %d terms of %d; need an odd number from 3 to %d", q.Terms, T, (T-1)/2*2+1)
	}
	edges := strideEdges(T, strides)
	pl.edges = edges
	for s := range strides {
		pl.size = append(pl.size, float64(edges[s+1]-edges[s]))
	}
	for i := range n {
		random := generator(q.Seed, id(i), 0, "strides")
		pl.t = append(pl.t, 0)
		for s := range strides {
			size := edges[s+1] - edges[s]
			a, b := random.IntN(size), random.IntN(size-1)
			if b >= a {
				b++
			}
			pl.t = append(pl.t, edges[s]+a, edges[s]+b)
		}
	}
	return pl, nil
}

// strideEdges splits 1 .. T-1 into strides of at least two timesteps, quadratically growing where there is room.
func strideEdges(T, strides int) []int {
	edges := make([]int, strides+1)
	edges[0] = 1
	for s := 1; s <= strides; s++ {
		u := float64(s) / float64(strides)
		want := 1 + int(math.Round(float64(T-1)*u*u))
		edges[s] = min(max(want, edges[s-1]+2), T-2*(strides-s))
	}
	return edges
}

// combine turns the terms at the plan's timesteps, [N, terms], into estimates.
func (pl *plan) combine(prior, values []float64) *Estimate {
	n := float64(len(prior))
	e := &Estimate{BPD: make([]float64, len(prior)), SE: make([]float64, len(prior)), Rows: len(values),
		Edges: pl.edges, StrideBPD: make([]float64, len(pl.size))}
	for i := range prior {
		row := values[i*pl.terms : (i+1)*pl.terms]
		total, variance := prior[i]+row[0], 0.0
		e.PriorBPD += prior[i] / n
		e.DecoderBPD += row[0] / n
		// Two of size without replacement: variance size²·(1 - 2/size)·s²/2, with s² = (a-b)²/2.
		for s, size := range pl.size {
			a, b := row[1+2*s], row[2+2*s]
			total += size * (a + b) / 2
			e.StrideBPD[s] += size * (a + b) / 2 / n
			variance += size * (size - 2) * (a - b) * (a - b) / 4
		}
		e.BPD[i], e.SE[i] = total, math.Sqrt(variance)
	}
	return e
}
