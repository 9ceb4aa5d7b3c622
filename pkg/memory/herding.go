package memory

import (
	"math"
	"slices"

	"github.com/pkg/errors"
	"gonum.org/v1/gonum/floats"
	"gonum.org/v1/gonum/mat"

	"palimpsest/datasets"
)

// Herding gives every class offered so far an equal share (see the package comment for remainders) and keeps images
// whose mean feature is near that of the whole class, [icarl] algorithm 4: the k-th image is
//
//	p_k = argmin_x ‖ μ - (φ(x) + Σ_{j<k} φ(p_j))/k ‖
//
// over the images not yet taken, the first of equals. φ are the features scaled to unit length, μ is their mean; the
// means are not scaled again. A class that must shrink keeps the first images it took ([icarl] algorithm 5). Nothing
// is random.
//
// A class offered again, which [icarl] does not know, is herded again over the images kept and offered. Its μ counts
// the images that were offered before by the mean of those kept, which herding made near it.
type Herding struct {
	// Features maps N images to [N, F] finite features.
	Features func(*datasets.Images) (*mat.Dense, error)
}

// Name implements [Policy].
func (Herding) Name() string { return NameHerding }

// Choose implements [Policy]. It returns an error if the features cannot be had or are not finite.
func (h Herding) Choose(c *Choice) ([]int, error) {
	groups := c.groups()
	var keep []int
	for k, share := range shares(c.Capacity, sizes(groups)) {
		if share > 0 && groups[k][len(groups[k])-1] >= c.Kept { // the class is among those offered now
			order, err := h.order(c, k, groups[k], share)
			if err != nil {
				return nil, err
			}
			groups[k] = order
		}
		keep = append(keep, groups[k][:share]...)
	}
	return keep, nil
}

// order herds the images of class k, at indices group, down to n.
func (h Herding) order(c *Choice, k int, group []int, n int) ([]int, error) {
	features, err := h.Features(c.Images(group))
	if err != nil {
		return nil, errors.WithMessagef(err, "memory: features of class %d", c.Classes[k])
	}
	if rows, _ := features.Dims(); rows != len(group) {
		return nil, errors.Errorf("memory: the extractor returned %d rows of features for %d images", rows, len(group))
	}
	kept := 0
	for _, i := range group {
		if i < c.Kept {
			kept++
		}
	}
	// Of the class's Seen images, those no longer here are represented by the kept ones.
	weights := make([]float64, len(group))
	for i := range weights {
		weights[i] = 1
		if i < kept {
			weights[i] = float64(c.Seen[k]-(len(group)-kept)) / float64(kept)
		}
	}
	order, err := herd(features, weights, n)
	if err != nil {
		return nil, errors.WithMessagef(err, "memory: class %d", c.Classes[k])
	}
	for i, j := range order {
		order[i] = group[j]
	}
	return order, nil
}

// herd returns the indices of n rows of features [N, F] in the order in which greedy mean matching takes them. The
// mean to match weighs row i by weights[i].
func herd(features *mat.Dense, weights []float64, n int) ([]int, error) {
	rows, dim := features.Dims()
	phi := make([][]float64, rows)
	mean := make([]float64, dim)
	for i := range phi {
		phi[i] = slices.Clone(features.RawRowView(i))
		norm := floats.Norm(phi[i], 2)
		if math.IsNaN(norm) || math.IsInf(norm, 0) {
			return nil, errors.Errorf("the features of image %d of %d are not finite; check the extractor's weights", i, rows)
		}
		if norm > 0 { // an image without any active feature stays at the origin
			floats.Scale(1/norm, phi[i])
		}
		floats.AddScaled(mean, weights[i], phi[i])
	}
	floats.Scale(1/floats.Sum(weights), mean)

	order, taken := make([]int, 0, n), make([]bool, rows)
	sum, candidate := make([]float64, dim), make([]float64, dim)
	for k := 1; k <= n; k++ {
		best, nearest := -1, math.Inf(1)
		for i := range phi {
			if taken[i] {
				continue
			}
			floats.AddTo(candidate, sum, phi[i])
			floats.Scale(1/float64(k), candidate)
			if d := floats.Distance(candidate, mean, 2); d < nearest {
				best, nearest = i, d
			}
		}
		taken[best] = true
		floats.Add(sum, phi[best])
		order = append(order, best)
	}
	return order, nil
}
