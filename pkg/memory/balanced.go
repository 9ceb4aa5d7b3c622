package memory

import (
	"cmp"
	"slices"
)

// ClassBalanced gives every class offered so far an equal share (see the package comment for remainders) and keeps a
// uniform sample of each class in its share.
//
// Every image has a random key, a function of the seed and its number in the stream; a class keeps the images with
// the smallest keys ([bottom-k]). Shares only shrink while new classes arrive, so an image dropped would never have
// come back, and the sample is uniform over all images of the class ever offered.
type ClassBalanced struct{}

// Name implements [Policy].
func (ClassBalanced) Name() string { return NameClassBalanced }

// Choose implements [Policy].
func (ClassBalanced) Choose(c *Choice) ([]int, error) {
	keys := make([]uint64, len(c.Items))
	for i, item := range c.Items {
		keys[i] = random(c.Seed, item.Offer).Uint64()
	}
	groups := c.groups()
	var keep []int
	for k, share := range shares(c.Capacity, sizes(groups)) {
		slices.SortFunc(groups[k], func(a, b int) int {
			return cmp.Or(cmp.Compare(keys[a], keys[b]), cmp.Compare(c.Items[a].Offer, c.Items[b].Offer))
		})
		keep = append(keep, groups[k][:share]...)
	}
	return keep, nil
}
