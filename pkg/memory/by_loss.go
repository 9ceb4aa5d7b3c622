package memory

import (
	"cmp"
	"math"
	"slices"

	"github.com/pkg/errors"

	"palimpsest/datasets"
)

// ByLoss gives every class offered so far an equal share (see the package comment for remainders) and keeps its images of highest or
// of lowest loss, of equals the first. A class that must shrink keeps those that came first in that order, so that no loss has to be
// remembered. Nothing is random.
//
// Losses is the denoising loss under the network as it stands when the images are offered. [hopfield] finds that images of high energy,
// the outliers, are forgotten most, and replays by energy. A diffusion model has no energy of its own, and the denoising loss stands for
// it here: but for the weights of the timesteps it is the bound on -log p, which of p ∝ exp(-E) is E and a constant. So the highest
// energy is the highest loss.
//
// A class offered again is ordered anew over the images kept and offered, all by the network as it stands.
type ByLoss struct {
	Highest bool // keep those of highest loss; else of lowest
	// Losses maps N images to N finite losses.
	Losses func(*datasets.Images) ([]float64, error)
}

// Name implements [Policy].
func (p ByLoss) Name() string {
	if p.Highest {
		return NameHighLoss
	}
	return NameLowLoss
}

// Choose implements [Policy]. It returns an error if the losses cannot be had or are not finite.
func (p ByLoss) Choose(c *Choice) ([]int, error) {
	groups := c.groups()
	var keep []int
	for k, share := range shares(c.Capacity, sizes(groups)) {
		if share > 0 && groups[k][len(groups[k])-1] >= c.Kept { // the class is among those offered now
			order, err := p.order(c, groups[k])
			if err != nil {
				return nil, errors.WithMessagef(err, "memory: losses of class %d", c.Classes[k])
			}
			groups[k] = order
		}
		keep = append(keep, groups[k][:share]...)
	}
	return keep, nil
}

// order sorts the items at indices group, which are of one class.
func (p ByLoss) order(c *Choice, group []int) ([]int, error) {
	losses, err := p.Losses(c.Images(group))
	if err != nil {
		return nil, err
	}
	if len(losses) != len(group) {
		return nil, errors.Errorf("%d losses for %d images", len(losses), len(group))
	}
	of := make(map[int]float64, len(group))
	for k, loss := range losses {
		if math.IsNaN(loss) || math.IsInf(loss, 0) {
			return nil, errors.Errorf("the loss of image %d of %d is %g; the network has diverged", k, len(group), loss)
		}
		if p.Highest {
			loss = -loss
		}
		of[group[k]] = loss
	}
	order := slices.Clone(group)
	slices.SortFunc(order, func(a, b int) int {
		return cmp.Or(cmp.Compare(of[a], of[b]), cmp.Compare(c.Items[a].Offer, c.Items[b].Offer))
	})
	return order, nil
}
