package network

import (
	"hash/fnv"
	"math"
	"math/rand/v2"

	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
)

// Draw returns the initial values of a weight of the given path: uniform with variance scale/((fanIn+fanOut)/2), which [ddpm] calls
// "fan_avg"; scale 0 gives zeros. They depend on the seed and on the path alone.
func Draw(seed uint64, path string, fanIn, fanOut int, scale float64, size int) []float32 {
	values := make([]float32, size)
	if scale > 0 {
		rng := generator(seed, path)
		limit := math.Sqrt(3 * scale / (float64(fanIn+fanOut) / 2))
		for i := range values {
			values[i] = float32((2*rng.Float64() - 1) * limit)
		}
	}
	return values
}

// DrawNormal is [Draw] of normal values with mean 0 and the given deviation.
func DrawNormal(seed uint64, path string, deviation float64, size int) []float32 {
	rng := generator(seed, path)
	values := make([]float32, size)
	for i := range values {
		values[i] = float32(deviation * rng.NormFloat64())
	}
	return values
}

// generator is a function of seed and path alone.
func generator(seed uint64, path string) *rand.Rand {
	h := fnv.New64a()
	h.Write([]byte(path))
	return rand.New(rand.NewPCG(seed, h.Sum64()))
}

// RandomRows draws values of a shape in a graph for as many of its rows as [Inputs].Rows says, which thus are what they would be
// without the rest; the rest are zero.
func RandomRows(draw func(rng *Node, shape shapes.Shape) (next, values *Node), rng *Node, shape shapes.Shape, rows int) (next, values *Node) {
	more := shape.Dimensions[0] - rows
	if rows == 0 || more == 0 {
		return draw(rng, shape)
	}
	shape = shape.Clone()
	shape.Dimensions[0] = rows
	next, values = draw(rng, shape)
	shape.Dimensions[0] = more
	return next, Concatenate([]*Node{values, Zeros(rng.Graph(), shape)}, 0)
}
