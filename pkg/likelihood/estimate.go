package likelihood

import (
	"context"
	"math"
	"slices"

	"github.com/pkg/errors"
	"gonum.org/v1/gonum/floats"

	"palimpsest/pkg/diffusion"
)

// Ways to choose the timesteps of an estimate.
const (
	Stratified   = "stratified" // two timesteps from each of (Terms-1)/2 strides
	ByImportance = "importance" // Terms-1 timesteps with replacement by Weights
)

// EstimateOptions say which terms an estimate looks at.
type EstimateOptions struct {
	Method  string    // "stratified" or "importance"
	Terms   int       // network rows an image; the decoder's term, t = 0, is always one of them
	Weights []float64 // [T] for "importance": see [WeightsOf] and [Importance.Weights]
	Seed    uint64    // of the choice of timesteps, drawn anew for every image
}

// Estimate is an estimate of [Terms.TotalBPD] from few terms.
type Estimate struct {
	BPD []float64 // [N]
	SE  []float64 // [N] standard error against the full sum of the same image and noise, bits per dimension
	// Rows is how many images the network saw.
	Rows int

	PriorBPD, DecoderBPD float64 // L_T and L_0, means over images
	// StrideBPD, for "stratified", is the mean over images of the sum of the terms in each stride, that is of the
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

// EstimateBPD estimates the bound of every image from q.Terms rows an image instead of T. Both methods are unbiased over
// the choice of timesteps. The strides of "stratified" are finer toward t = 0, where terms are larger and change faster:
// stride s of S covers about 1+(T-1)·(s/S)² to 1+(T-1)·((s+1)/S)². Two terms a stride make the standard error known
// without assumptions on the terms' smoothness.
func EstimateBPD(ctx context.Context, p *diffusion.Process, d diffusion.Denoiser, data *Data, o Options, q EstimateOptions) (*Estimate, error) {
	if err := check(data, o); err != nil {
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

// EstimateOf makes the estimate from a whole bound that is already known, to see what few terms would have told. Images
// are numbered 0 .. N-1.
func EstimateOf(b *Terms, q EstimateOptions) (*Estimate, error) {
	if !b.Whole() {
		return nil, errors.Errorf("likelihood: %d of %d timesteps; need all", len(b.Timesteps), b.T)
	}
	plan, err := q.plan(b.T, b.N, func(i int) int { return i })
	if err != nil {
		return nil, err
	}
	values, prior := make([]float64, b.N*q.Terms), make([]float64, b.N)
	for k, t := range plan.t {
		values[k] = float64(b.row(k / q.Terms)[t])
	}
	for i := range prior {
		prior[i] = float64(b.PriorBPD[i])
	}
	return plan.combine(prior, values), nil
}

// plan is the choice of timesteps for every image: first t = 0, then the drawn ones, stride by stride.
type plan struct {
	terms  int
	t      []int     // [N·terms]
	edges  []int     // stratified: of the strides
	size   []float64 // stratified: timesteps of each stride
	weight []float64 // importance: probability of each of t, 0 at t = 0
}

func (q EstimateOptions) plan(T, n int, id func(int) int) (*plan, error) {
	pl := &plan{terms: q.Terms, t: make([]int, 0, n*q.Terms)}
	switch q.Method {
	case Stratified:
		strides := (q.Terms - 1) / 2
		if q.Terms%2 == 0 || strides < 1 || 2*strides > T-1 {
			return nil, errors.Errorf("likelihood: %d terms of %d; \"stratified\" needs an odd number from 3 to %d", q.Terms, T, (T-1)/2*2+1)
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
	case ByImportance:
		if q.Terms < 3 {
			return nil, errors.Errorf("likelihood: %d terms; \"importance\" needs at least 3", q.Terms)
		}
		if len(q.Weights) != T {
			return nil, errors.Errorf("likelihood: %d weights for %d timesteps; \"importance\" needs one each (see WeightsOf)", len(q.Weights), T)
		}
		if i := slices.IndexFunc(q.Weights, func(w float64) bool { return !(w > 0) || math.IsInf(w, 0) }); i >= 0 {
			return nil, errors.Errorf("likelihood: weight %g at timestep %d; need positive numbers, or the estimate would be biased", q.Weights[i], i)
		}
		draw := diffusion.NewTimestepDraw(q.Weights[1:])
		sum := draw[T-2]
		for i := range n {
			random := generator(q.Seed, id(i), 0, "weights")
			pl.t, pl.weight = append(pl.t, 0), append(pl.weight, 0)
			for range q.Terms - 1 {
				t := 1 + draw.Draw(random)
				pl.t, pl.weight = append(pl.t, t), append(pl.weight, q.Weights[t]/sum)
			}
		}
	default:
		return nil, errors.Errorf("likelihood: no estimate is named %q; choose \"stratified\" or \"importance\"", q.Method)
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
		if pl.weight == nil {
			// Two of size without replacement: variance size²·(1 - 2/size)·s²/2, with s² = (a-b)²/2.
			for s, size := range pl.size {
				a, b := row[1+2*s], row[2+2*s]
				total += size * (a + b) / 2
				e.StrideBPD[s] += size * (a + b) / 2 / n
				variance += size * (size - 2) * (a - b) * (a - b) / 4
			}
		} else {
			n := float64(pl.terms - 1)
			sum, squares := 0.0, 0.0
			for k, l := range row[1:] {
				share := l / pl.weight[i*pl.terms+1+k]
				sum += share
				squares += share * share
			}
			total += sum / n
			variance = max(squares/n-sum/n*sum/n, 0) / (n - 1)
		}
		e.BPD[i], e.SE[i] = total, math.Sqrt(variance)
	}
	return e
}

// WeightsOf are probabilities in proportion to the root mean square over images of a whole bound's terms, [T], mixed
// with the uniform: where to look when a similar model's bound is estimated from few terms.
func WeightsOf(b *Terms) ([]float64, error) {
	if !b.Whole() {
		return nil, errors.Errorf("likelihood: %d of %d timesteps; weights need all", len(b.Timesteps), b.T)
	}
	m, err := diffusion.NewLossHistory(b.T, b.N)
	if err != nil {
		return nil, err
	}
	for i := range b.N {
		for t, l := range b.row(i) {
			if err := m.Update(t, float64(l)); err != nil {
				return nil, err
			}
		}
	}
	return m.Weights(), nil
}
