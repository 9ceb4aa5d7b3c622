package memory

import "math/rand/v2"

// Draw returns the indices of n images drawn uniformly: distinct ones while n <= Len, and beyond that every image
// once before any is drawn again. It returns nil for an empty buffer.
func (b *Buffer) Draw(rng *rand.Rand, n int) []int {
	if b.Len() == 0 {
		return nil
	}
	d := deck{rng: rng, cards: make([]int, b.Len())}
	for i := range d.cards {
		d.cards[i] = i
	}
	index := make([]int, n)
	for i := range index {
		index[i] = d.next()
	}
	return index
}

// DrawBalanced returns the indices of n images drawn evenly over the classes kept: the classes' numbers of draws
// differ by 1 at most, which classes get the remainder is random, and within a class every image is drawn once before
// any is drawn again. It returns nil for an empty buffer.
func (b *Buffer) DrawBalanced(rng *rand.Rand, n int) []int {
	if b.Len() == 0 {
		return nil
	}
	place := map[int]int{}
	var decks []deck
	for i, item := range b.items {
		k, ok := place[item.Class]
		if !ok {
			k = len(decks)
			place[item.Class] = k
			decks = append(decks, deck{rng: rng})
		}
		decks[k].cards = append(decks[k].cards, i)
	}
	turn := deck{rng: rng, cards: make([]int, len(decks))}
	for k := range turn.cards {
		turn.cards[k] = k
	}
	index := make([]int, n)
	for i := range index {
		index[i] = decks[turn.next()].next()
	}
	return index
}

// deck deals its cards in random order and shuffles again when it runs out.
type deck struct {
	rng   *rand.Rand
	cards []int
	dealt int
}

func (d *deck) next() int {
	if d.dealt == len(d.cards) {
		d.dealt = 0
	}
	i := d.dealt + d.rng.IntN(len(d.cards)-d.dealt)
	d.cards[i], d.cards[d.dealt] = d.cards[d.dealt], d.cards[i]
	d.dealt++
	return d.cards[d.dealt-1]
}
