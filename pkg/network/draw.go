package network

import (
	"hash/fnv"
	"math"
	"math/rand/v2"
)

// Draw returns the initial values of a weight of the given path: uniform with variance scale/((fanIn+fanOut)/2), which [ddpm] calls
// "fan_avg"; scale 0 gives zeros. They depend on the seed and on the path alone.
func Draw(seed uint64, path string, fanIn, fanOut int, scale float64, size int) []float32 {
	values := make([]float32, size)
	if scale > 0 {
		h := fnv.New64a()
		h.Write([]byte(path))
		rng := rand.New(rand.NewPCG(seed, h.Sum64()))
		limit := math.Sqrt(3 * scale / (float64(fanIn+fanOut) / 2))
		for i := range values {
			values[i] = float32((2*rng.Float64() - 1) * limit)
		}
	}
	return values
}
