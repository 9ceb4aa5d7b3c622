package memory

import (
	"math/rand/v2"

	"github.com/pkg/errors"
)

// Draw returns the indices of n images drawn uniformly: distinct ones while n <= Len, and beyond that every image
// once before any is drawn again. It returns nil for an empty buffer. Its cost grows with n alone, however many
// images the buffer holds. It panics if n is negative.
func (b *Buffer) Draw(rng *rand.Rand, n int) []int {
	needDraws(n)
	if b.Len() == 0 {
		return nil
	}
	d := newDeck(rng, b.Len())
	index := make([]int, n)
	for i := range index {
		index[i] = d.next()
	}
	return index
}

// DrawBalanced returns the indices of n images drawn evenly over the classes kept: the classes' numbers of draws
// differ by 1 at most, which classes get the remainder is random, and within a class every image is drawn once before
// any is drawn again. It returns nil for an empty buffer. Its cost grows with n alone, however many images or classes the
// buffer holds. It panics if n is negative.
func (b *Buffer) DrawBalanced(rng *rand.Rand, n int) []int {
	needDraws(n)
	if b.Len() == 0 {
		return nil
	}
	if b.byClass == nil {
		b.byClass = indicesByClass(b.items)
	}
	decks := map[int]*deck{} // of the classes drawn from
	turn := newDeck(rng, len(b.byClass))
	index := make([]int, n)
	for i := range index {
		k := turn.next()
		if decks[k] == nil {
			decks[k] = newDeck(rng, len(b.byClass[k]))
		}
		index[i] = b.byClass[k][decks[k].next()]
	}
	return index
}

// needDraws panics where no such number is drawn.
func needDraws(n int) {
	if n < 0 {
		panic(errors.Errorf("memory: drawing %d images; need 0 or more", n))
	}
}

// indicesByClass are the indices of the items of each class, the classes in the order of their first item.
func indicesByClass(items []Item) [][]int {
	var groups [][]int
	place := map[int]int{}
	for i, item := range items {
		k, ok := place[item.Class]
		if !ok {
			k = len(groups)
			place[item.Class] = k
			groups = append(groups, nil)
		}
		groups[k] = append(groups[k], i)
	}
	return groups
}

// deck deals the cards 0 .. n-1 in random order and shuffles again when it runs out. Laying out a card for every image
// of a large buffer would take longer than a training step, so only those are noted that are not in their own place.
type deck struct {
	rng   *rand.Rand
	n     int
	moved map[int]int // the card in a place, where it is another than the place's number
	dealt int
}

func newDeck(rng *rand.Rand, n int) *deck { return &deck{rng: rng, n: n, moved: map[int]int{}} }

func (d *deck) next() int {
	if d.dealt == d.n {
		d.dealt = 0
	}
	i := d.dealt + d.rng.IntN(d.n-d.dealt)
	card := d.at(i)
	d.moved[i], d.moved[d.dealt] = d.at(d.dealt), card
	d.dealt++
	return card
}

// at is the card in place i.
func (d *deck) at(i int) int {
	if card, ok := d.moved[i]; ok {
		return card
	}
	return i
}
