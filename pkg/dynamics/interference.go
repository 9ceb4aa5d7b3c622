package dynamics

import (
	"cmp"
	"context"
	"math"
	"math/rand/v2"
	"slices"

	"github.com/pkg/errors"
	"gonum.org/v1/gonum/floats"

	"palimpsest/pkg/diffusion"
	"palimpsest/pkg/likelihood"
	"palimpsest/pkg/parallel"
)

// Gradienter is a network as interference sees it: [diffusion.LossGradient] is one.
type Gradienter interface {
	// Mean is the gradient with respect to P weights, [P], of the mean loss of images x0 [N, D] in [-1, 1] with their
	// noise [N, D] at timesteps t [N] with labels y [N].
	Mean(x0, noise []float32, t, y []int32) ([]float32, error)
}

// MeasureInterference compares the gradients of an old and a new task's losses, one at every timestep given, as
// [Interference] stores them:
//
//	cosine(t)    = <g_old, g_new> / (|g_old|·|g_new|)
//	halvesOld(t) = <a, b> / (|a|·|b|)    with g_old = (n_a·a + n_b·b)/(n_a + n_b)
//
// where g is the mean gradient over a task's images and a, b those over its n_a and n_b images in either half; halvesNew(t)
// likewise. The whole follows from its halves, so they cost nothing. Seed splits the images at random, but every label's
// evenly, and at all timesteps alike.
//
// Finitely many images and draws of noise turn both gradients away from their expectations, and cosine toward 0. Where
// the errors of images are independent, h being the cosine of a task's halves, r = 2h/(1+h) (Spearman and Brown) is that
// of two whole sets of its images, and cosine/sqrt(r_old·r_new) estimates that of the expectations.
//
// The noise of an image is a function of seed, its ID and the timestep, as a [Probe]'s is. Images that share an ID, such
// as those of two tasks without IDs, share their noise, and this part of their gradients pulls cosine up: give all images
// IDs of their own. Each task needs two images. It fails on an error of g, a gradient that is zero or not finite, or when
// ctx ends.
func MeasureInterference(ctx context.Context, p *diffusion.Process, g Gradienter, old, fresh *likelihood.Data, timesteps []int,
	seed uint64) (cosine, halvesOld, halvesNew []float64, err error) {
	for _, d := range []*likelihood.Data{old, fresh} {
		if err := d.Validate(); err != nil {
			return nil, nil, nil, errors.WithMessage(err, "dynamics: interference")
		}
		if d.N < 2 {
			return nil, nil, nil, errors.Errorf("dynamics: interference of %d and %d images; need at least two of each for its halves", old.N, fresh.N)
		}
	}
	if old.Dim != fresh.Dim {
		return nil, nil, nil, errors.Errorf("dynamics: interference of images of %d and %d values; need one size", old.Dim, fresh.Dim)
	}
	for _, t := range timesteps {
		if t < 0 || t >= p.T {
			return nil, nil, nil, errors.Errorf("dynamics: timestep %d; need 0 .. %d", t, p.T-1)
		}
	}
	probe := &Probe{process: p, seed: seed}
	for _, t := range timesteps {
		gOld, hOld, err := probe.halves(ctx, g, old, t)
		if err != nil {
			return nil, nil, nil, errors.WithMessagef(err, "dynamics: gradient of the old task at timestep %d", t)
		}
		gNew, hNew, err := probe.halves(ctx, g, fresh, t)
		if err != nil {
			return nil, nil, nil, errors.WithMessagef(err, "dynamics: gradient of the new task at timestep %d", t)
		}
		c, err := cosineOf(gOld, gNew)
		if err != nil {
			return nil, nil, nil, errors.WithMessagef(err, "dynamics: old and new task at timestep %d", t)
		}
		cosine, halvesOld, halvesNew = append(cosine, c), append(halvesOld, hOld), append(halvesNew, hNew)
	}
	return cosine, halvesOld, halvesNew, nil
}

// split deals a task's images into two halves, each label's evenly, at random within a label.
func split(data *likelihood.Data, seed uint64) (halves [2][]int) {
	order := rand.New(rand.NewPCG(seed, 2)).Perm(data.N)
	slices.SortStableFunc(order, func(i, j int) int { return cmp.Compare(data.Labels[i], data.Labels[j]) })
	for k, i := range order {
		halves[k%2] = append(halves[k%2], i)
	}
	return halves
}

// halves is the mean gradient over all images at timestep t, [P], and the cosine of those over its two halves.
func (p *Probe) halves(ctx context.Context, g Gradienter, data *likelihood.Data, t int) (whole []float64, cosine float64, err error) {
	var parts [2][]float64
	for half, images := range split(data, p.seed) {
		if err := ctx.Err(); err != nil {
			return nil, 0, err
		}
		n := len(images)
		x0, noise := make([]float32, n*data.Dim), make([]float32, n*data.Dim)
		steps, labels := make([]int32, n), make([]int32, n)
		parallel.For(n, func(r int) {
			i := images[r]
			steps[r], labels[r] = int32(t), data.Labels[i]
			eps := p.noise(data, i, t)
			for j, level := range image(data, i) {
				x0[r*data.Dim+j], noise[r*data.Dim+j] = float32(value(level)), float32(eps[j])
			}
		})
		mean, err := g.Mean(x0, noise, steps, labels)
		if err != nil {
			return nil, 0, err
		}
		for _, v := range mean {
			parts[half] = append(parts[half], float64(v))
		}
	}
	if cosine, err = cosineOf(parts[0], parts[1]); err != nil {
		return nil, 0, errors.WithMessage(err, "halves of the images")
	}
	share := float64(data.N/2) / float64(data.N) // of the second half
	whole = parts[0]
	floats.Scale(1-share, whole)
	floats.AddScaled(whole, share, parts[1])
	return whole, cosine, nil
}

// cosineOf is <a, b>/(|a|·|b|) of two gradients.
func cosineOf(a, b []float64) (float64, error) {
	if len(a) != len(b) {
		return 0, errors.Errorf("gradients of %d and %d weights; need one network's", len(a), len(b))
	}
	normA, normB := floats.Norm(a, 2), floats.Norm(b, 2)
	c := floats.Dot(a, b) / normA / normB
	if math.IsNaN(c) || math.IsInf(c, 0) || math.IsInf(normA, 0) || math.IsInf(normB, 0) {
		return 0, errors.Errorf("gradients of norms %g and %g have no cosine; need finite ones above 0 (has training diverged?)", normA, normB)
	}
	return max(-1, min(1, c)), nil // rounding
}
