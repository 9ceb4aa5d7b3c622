package study

import (
	"math"
	"math/rand/v2"
	"testing"
)

// How often a 95 % interval holds the true difference, with as many seeds as the studies have: always, up to the error of counting,
// where differences are normal; up to three points less where they are uniform, and seven where they are as skewed as exponential ones,
// with ten seeds little better than with three.
func TestIntervalsCover(t *testing.T) {
	const draws = 4_000
	counting := 4 * math.Sqrt(0.95*0.05/draws)
	r := rand.New(rand.NewPCG(1, 2))
	exponential := func() float64 { return r.ExpFloat64() - 1 }
	kinds := []struct {
		name        string
		draw        func() float64 // its mean is 0
		least, most float64        // coverage, of 3 seeds to 10
	}{
		{"normal", r.NormFloat64, 0.95, 0.95},
		{"uniform", func() float64 { return r.Float64() - 0.5 }, 0.92, 0.95},
		{"of two tails", func() float64 { return exponential() - exponential() }, 0.95, 0.97},
		{"skewed", exponential, 0.88, 0.95},
	}
	for _, k := range kinds {
		for _, seeds := range []int{3, 5, 10} {
			held := 0
			for range draws {
				a, b := make([]float64, seeds), make([]float64, seeds)
				for i := range a {
					shared := 10 * r.NormFloat64() // what a seed does to both settings, which pairing takes away
					a[i], b[i] = shared+2+k.draw(), shared
				}
				if d := Compare(onSeeds(a...), onSeeds(b...)); d.Low <= 2 && 2 <= d.High {
					held++
				}
			}
			got := float64(held) / draws
			if got < k.least-counting || got > k.most+counting {
				t.Errorf("differences %s, %d seeds: the interval holds the true one in %.3f of draws, want %.2f to %.2f", k.name, seeds, got, k.least, k.most)
			}
		}
	}
}
