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

// refuses implements refuser: the buffer is full, no class is new, no share changes, and no image has a key below the largest that its
// class keeps, which is that of the class's last image.
func (ClassBalanced) refuses(b *Buffer, labels []int32) bool {
	if len(b.items) < b.capacity {
		return false
	}
	if b.byClass == nil {
		b.byClass = indicesByClass(b.items)
	}
	kept, last := make([]int, len(b.classes)), make([]Item, len(b.classes))
	for _, group := range b.byClass {
		item := b.items[group[len(group)-1]]
		k := b.place[item.Class]
		kept[k], last[k] = len(group), item
	}
	available := slices.Clone(kept)
	for i, label := range labels {
		k, known := b.place[int(label)]
		if !known || kept[k] > 0 && random(b.seed, b.offered+uint64(i)).Uint64() < random(b.seed, last[k].Offer).Uint64() {
			return false
		}
		available[k]++
	}
	return slices.Equal(shares(b.capacity, available), kept)
}

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
