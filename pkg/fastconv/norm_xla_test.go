//go:build cgo && linux && (amd64 || arm64)

package fastconv_test

import (
	"math/rand/v2"
	"testing"

	"palimpsest/pkg/fastconv"

	. "github.com/gomlx/gomlx/core/graph"
)

// TestNormAgainstXLA compares GroupNorm and SiLU with what XLA makes of their definition in the network's words, values and
// gradients, and makes sure that both calls are replaced.
func TestNormAgainstXLA(t *testing.T) {
	b := open(t)
	rng := rand.New(rand.NewPCG(9, 10))
	for _, s := range [][5]int{{2, 8, 8, 32, 8}, {3, 5, 7, 24, 3}} {
		n, h, w, c, groups := s[0], s[1], s[2], s[3], s[4]
		build := func(norm func(x, gamma, beta *Node) *Node) *Exec {
			exec, err := NewExec(b, func(x, gamma, beta, r *Node) []*Node {
				y := norm(x, gamma, beta)
				return append(Gradient(ReduceAllSum(Mul(y, r)), x, gamma, beta), y)
			})
			if err != nil {
				t.Fatal(err)
			}
			return exec
		}
		in := []any{random(rng, n, h, w, c), random(rng, c), random(rng, c), random(rng, n, h, w, c)}
		before := fastconv.Replaced()
		plain := func(x, gamma, beta *Node) *Node {
			g := Reshape(x, n, h*w, groups, c/groups)
			centred := Sub(g, ReduceAndKeep(g, ReduceMean, 1, 3))
			deviation := Sqrt(AddScalar(ReduceAndKeep(Mul(centred, centred), ReduceMean, 1, 3), 1e-6))
			u := Add(Mul(Reshape(Div(centred, deviation), n, h, w, c), Reshape(gamma, 1, 1, 1, c)), Reshape(beta, 1, 1, 1, c))
			return Mul(u, Sigmoid(u))
		}
		got, err := build(func(x, gamma, beta *Node) *Node { return fastconv.NormSiLU(x, gamma, beta, groups, plain) }).Call(in...)
		if err != nil {
			t.Fatal(err)
		}
		if replaced := fastconv.Replaced() - before; replaced != 2 {
			t.Fatalf("%d calls were replaced, want the forward pass and the gradient", replaced)
		}
		want, err := build(plain).Call(in...)
		if err != nil {
			t.Fatal(err)
		}
		for i, name := range []string{"gradient of x", "gradient of gamma", "gradient of beta", "output"} {
			if e := relative(got[i], want[i]); !(e <= 2e-6) {
				t.Errorf("%v: %s is off by %.1e of its size", s, name, e)
			}
		}
	}
}
