//go:build cgo && linux && amd64 && !amd64.v3

package metrics

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"gonum.org/v1/gonum/mat"
)

// Vectors give what one number at a time gives, bit by bit, whatever is left over of rows, columns and features; with terms that count
// and that do not, copies among the images, distances that overflow and widths without end.
func TestVectorsOfFLD(t *testing.T) { forLanes(t, testVectorsOfFLD) }

// forLanes tests every length of vectors that this processor has.
func forLanes(t *testing.T, test func(t *testing.T)) {
	longest := lanes
	defer func() { lanes = longest }()
	if longest == 0 {
		t.Skip("this processor has no vectors that serve")
	}
	for lanes = 4; lanes <= longest; lanes += 4 {
		t.Run(fmt.Sprint(lanes), test)
	}
}

func testVectorsOfFLD(t *testing.T) {
	same := func(a, b float64) bool {
		return math.Float64bits(a) == math.Float64bits(b) || math.IsNaN(a) && math.IsNaN(b)
	}
	r := rand.New(rand.NewPCG(1, 2))
	for _, n := range []int{1, 3, 4, 5, 63, 64} {
		for _, m := range []int{1, 2, 4, 7, 15, 16, 17, 101, 500} {
			for _, spread := range []float64{0.1, 1, 30} {
				a, b := mat.NewDense(n, 9, nil), mat.NewDense(m, 9, nil)
				for _, x := range []*mat.Dense{a, b} {
					x.Apply(func(_, _ int, _ float64) float64 { return spread * r.NormFloat64() }, x)
				}
				a.SetRow(0, b.RawRowView(m-1))
				if n > 3 {
					a.Set(2, 0, 1e200)
				}
				// Of matrices that are parts of wider ones.
				want, got := mat.NewDense(n, m+1, nil), mat.NewDense(n, m+1, nil)
				for i := range n {
					squaredDistancesOf(want.RawRowView(i)[:m], a.RawRowView(i), b)
				}
				vectorDistances(got.Slice(0, n, 0, m).(*mat.Dense), a, b)
				if !slices.EqualFunc(want.RawMatrix().Data, got.RawMatrix().Data, same) {
					t.Errorf("%d×%d, spread %g: distances differ", n, m, spread)
				}
				g := newGaussians(m, 9)
				for j := range m {
					g.half[j], g.offset[j] = math.Exp(r.NormFloat64()), 10*r.NormFloat64()
				}
				g.half[m/2] = math.Exp(fitMostLog)
				of := want.Slice(0, n, 0, m).(*mat.Dense)
				wantTotal, wantGradient := g.part(of)
				total, gradient := vectorPart(g, of)
				if !same(total, wantTotal) || !slices.EqualFunc(gradient, wantGradient, same) {
					t.Errorf("%d×%d, spread %g: total %v, want %v; gradient %v, want %v", n, m, spread, total, wantTotal, gradient, wantGradient)
				}
			}
		}
	}
}

// Of a million arguments, and of those at which its parts begin and end, e^x by vectors is Go's.
func TestExponentialOfFLD(t *testing.T) { forLanes(t, testExponentialOfFLD) }

func testExponentialOfFLD(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for range 1000 {
		g, distance := newGaussians(1000, 2), mat.NewDense(1, 1000, nil)
		for j := 1; j < 1000; j++ {
			g.offset[j] = -37 * r.Float64()
			if j%3 == 0 {
				g.offset[j] = -math.Round(-g.offset[j]*2) / 2 * math.Ln2
			}
		}
		_, want := g.part(distance) // every term's share
		if _, got := vectorPart(g, distance); !slices.Equal(got, want) {
			t.Fatalf("%v, want %v", got, want)
		}
	}
}
