package memory

// Reservoir keeps a uniform sample of the stream, whatever the classes: after n images each has been kept with
// probability min(1, Capacity/n). [vitter] algorithm R: image n (from 0) fills the next free place, or, where none is
// left, takes place j drawn uniformly from 0 .. n if j < Capacity and is dropped otherwise.
type Reservoir struct{}

// Name implements [Policy].
func (Reservoir) Name() string { return NameReservoir }

// Choose implements [Policy].
func (r Reservoir) Choose(c *Choice) ([]int, error) {
	keep := make([]int, c.Kept, c.Capacity)
	for i := range keep {
		keep[i] = i
	}
	for i := c.Kept; i < len(c.Items); i++ {
		switch at := r.placeOf(c.Seed, c.Items[i].Offer, len(keep), c.Capacity); {
		case at == len(keep):
			keep = append(keep, i)
		case at >= 0:
			keep[at] = i
		}
	}
	return keep, nil
}

// placeOf implements placer.
func (Reservoir) placeOf(seed, offer uint64, kept, capacity int) int {
	if kept < capacity {
		return kept
	}
	if at := random(seed, offer).Uint64N(offer + 1); at < uint64(capacity) {
		return int(at)
	}
	return -1
}
