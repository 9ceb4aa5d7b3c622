package memory

import (
	"fmt"
	"math"
	"math/rand/v2"
	"runtime"
	"slices"
	"testing"
)

func counts(index []int, n int) []int {
	c := make([]int, n)
	for _, i := range index {
		c[i]++
	}
	return c
}

func TestDraw(t *testing.T) {
	b := newBuffer(t, 12, Reservoir{}, 0)
	rng := rand.New(rand.NewPCG(1, 1))
	if b.Draw(rng, 3) != nil || b.DrawBalanced(rng, 3) != nil {
		t.Error("an empty buffer gave images")
	}
	add(t, b, 0, stream(0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 2))
	for n := range 45 {
		// Every image floor or ceil(n/10) times.
		for i, c := range counts(b.Draw(rng, n), 10) {
			if c < n/10 || c > (n+9)/10 {
				t.Errorf("%d draws: image %d came %d times", n, i, c)
			}
		}
		balanced := counts(b.DrawBalanced(rng, n), 10)
		class := make([]int, 3)
		for i, c := range balanced {
			class[b.Items()[i].Class] += c
		}
		for k, c := range class {
			if c < n/3 || c > (n+2)/3 {
				t.Errorf("%d balanced draws: class %d came %d times", n, k, c)
			}
		}
		if slices.Max(balanced[:7])-slices.Min(balanced[:7]) > 1 {
			t.Errorf("%d balanced draws: images of one class came %v times", n, balanced[:7])
		}
	}
}

// TestDrawUniform: over S draws of 3 of 10, each image comes S·0.3 times with standard deviation sqrt(S·0.3·0.7).
func TestDrawUniform(t *testing.T) {
	b := newBuffer(t, 10, Reservoir{}, 0)
	add(t, b, 0, stream(0, repeat(5, 0, 1)...))
	const draws = 20000
	for name, draw := range map[string]func(*rand.Rand, int) []int{"Draw": b.Draw, "DrawBalanced": b.DrawBalanced} {
		rng := rand.New(rand.NewPCG(2, 2))
		total := make([]int, 10)
		for range draws {
			for i, c := range counts(draw(rng, 3), 10) {
				total[i] += c
			}
		}
		for i, c := range total {
			if math.Abs(float64(c)-0.3*draws) > 5*math.Sqrt(0.21*draws) {
				t.Errorf("%s: image %d came %d times, want %g ± %.0f", name, i, c, 0.3*draws, math.Sqrt(0.21*draws))
			}
		}
	}
}

// laidOut is a deck with a card for every image: the shuffle of Fisher and Yates as it is written down.
type laidOut struct {
	rng   *rand.Rand
	cards []int
	dealt int
}

func (d *laidOut) next() int {
	if d.dealt == len(d.cards) {
		d.dealt = 0
	}
	i := d.dealt + d.rng.IntN(len(d.cards)-d.dealt)
	d.cards[i], d.cards[d.dealt] = d.cards[d.dealt], d.cards[i]
	d.dealt++
	return d.cards[d.dealt-1]
}

// TestDeckIsTheWholeShuffle: noting only the cards out of place deals the same ones from the same random numbers, also
// when the deck runs out several times.
func TestDeckIsTheWholeShuffle(t *testing.T) {
	for _, n := range []int{1, 2, 7, 100} {
		cards := make([]int, n)
		for i := range cards {
			cards[i] = i
		}
		whole := &laidOut{rng: rand.New(rand.NewPCG(3, uint64(n))), cards: cards}
		d := newDeck(rand.New(rand.NewPCG(3, uint64(n))), n)
		for i := range 3*n + 2 {
			if got, want := d.next(), whole.next(); got != want {
				t.Fatalf("card %d of a deck of %d is %d, want %d", i, n, got, want)
			}
		}
	}
}

// large is a buffer of n tiny images in ten classes.
func large(t testing.TB, n int) *Buffer {
	labels := make([]int32, n)
	for i := range labels {
		labels[i] = int32(i % 10)
	}
	b, err := New(n, Reservoir{}, 0)
	if err == nil {
		err = b.Add(0, stream(0, labels...))
	}
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestDrawTakesNoMoreMemoryOfALargeBuffer: an index of 8 bytes an image would be 800 kB a draw.
func TestDrawTakesNoMoreMemoryOfALargeBuffer(t *testing.T) {
	b, rng := large(t, 100_000), rand.New(rand.NewPCG(4, 4))
	for name, draw := range map[string]func(*rand.Rand, int) []int{"Draw": b.Draw, "DrawBalanced": b.DrawBalanced} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		for range 100 {
			draw(rng, 16)
		}
		runtime.ReadMemStats(&after)
		if bytes := (after.TotalAlloc - before.TotalAlloc) / 100; bytes > 50_000 {
			t.Errorf("%s of 16 images allocates %d bytes", name, bytes)
		}
	}
}

// BenchmarkDraw draws the images of a step from buffers of 10³ to 10⁶ images:
//
//	go test ./pkg/memory -run '^$' -bench Draw
func BenchmarkDraw(b *testing.B) {
	for _, n := range []int{1_000, 10_000, 100_000, 1_000_000} {
		buffer, rng := large(b, n), rand.New(rand.NewPCG(5, 5))
		for name, draw := range map[string]func(*rand.Rand, int) []int{"any": buffer.Draw, "balanced": buffer.DrawBalanced} {
			b.Run(fmt.Sprintf("%s/%d", name, n), func(b *testing.B) {
				for b.Loop() {
					draw(rng, 16)
				}
			})
		}
	}
}
