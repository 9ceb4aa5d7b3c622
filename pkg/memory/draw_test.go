package memory

import (
	"math"
	"math/rand/v2"
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
