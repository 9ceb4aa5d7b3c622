package memory

// Reservoir keeps a uniform sample of the stream, whatever the classes: after n images each has been kept with
// probability min(1, Capacity/n). [vitter] algorithm R: image n (from 0) fills the next free place, or, where none is
// left, takes place j drawn uniformly from 0 .. n if j < Capacity and is dropped otherwise.
type Reservoir struct{}

// Name implements [Policy].
func (Reservoir) Name() string { return NameReservoir }

// Choose implements [Policy].
func (Reservoir) Choose(c *Choice) ([]int, error) {
	keep := make([]int, c.Kept, c.Capacity)
	for i := range keep {
		keep[i] = i
	}
	for i := c.Kept; i < len(c.Items); i++ {
		if len(keep) < c.Capacity {
			keep = append(keep, i)
			continue
		}
		n := c.Items[i].Offer
		if j := random(c.Seed, n).Uint64N(n + 1); j < uint64(c.Capacity) {
			keep[j] = i
		}
	}
	return keep, nil
}
