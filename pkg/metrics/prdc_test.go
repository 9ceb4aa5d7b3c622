package metrics

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"gonum.org/v1/gonum/floats"
	"gonum.org/v1/gonum/mat"
)

func TestPRDCOnALine(t *testing.T) {
	// Real at 0, 1, 2, 10 with k = 1 have radii 1, 1, 1, 8; generated at 0.5, 1.5, 30, 100 have
	// radii 1, 1, 28.5, 70.
	// Inside real balls: 0.5 lies in those of 0 and 1 (|10-0.5| > 8), 1.5 in those of 1 and 2 and
	// just outside that of 10 (8.5), the others in none: precision 2/4, density 4/4.
	// Covered real: 0, 1 and 2, not 10: 3/4. In generated balls: 0, 1, 2, and 10 (20 < 28.5; at 0
	// the ball of 30 does not matter): recall 4/4.
	real := mat.NewDense(4, 1, []float64{0, 1, 2, 10})
	generated := mat.NewDense(4, 1, []float64{0.5, 1.5, 30, 100})
	got, err := PRDC(real, generated, 1)
	if err != nil {
		t.Fatal(err)
	}
	want := PRDCResult{Precision: 0.5, Recall: 1, Density: 1, Coverage: 0.75, K: 1}
	if got != want {
		t.Errorf("PRDC = %+v, want %+v", got, want)
	}
}

func TestPRDCOfEqualAndDistantSets(t *testing.T) {
	r := loadReference(t)
	a, _ := r.pair("full")
	same, err := PRDC(a, a, 0)
	if err != nil {
		t.Fatal(err)
	}
	// Every image lies at the centre of its own ball.
	if same.Precision != 1 || same.Recall != 1 || same.Coverage != 1 || same.K != DefaultK {
		t.Errorf("a set against itself: %+v", same)
	}
	// Σ_i |{j : d_ij < radius_i}| counts each ball's centre and its k-1 images nearer than the k-th.
	near(t, "density of a set against itself", same.Density, 1, 1e-12)

	n, d := a.Dims()
	far := mat.NewDense(n, d, nil)
	far.Apply(func(_, _ int, v float64) float64 { return v + 1e4 }, a)
	apart, err := PRDC(a, far, 0)
	if err != nil {
		t.Fatal(err)
	}
	if want := (PRDCResult{K: DefaultK}); apart != want {
		t.Errorf("sets far apart: %+v, want all 0", apart)
	}
}

func TestPRDCRefusals(t *testing.T) {
	five, six := mat.NewDense(5, 2, nil), mat.NewDense(6, 2, nil)
	if _, err := PRDC(six, five, 5); err == nil {
		t.Error("5 generated images have no 5th nearest other image, but no error")
	}
	if _, err := PRDC(five, six, 5); err == nil {
		t.Error("5 real images have no 5th nearest other image, but no error")
	}
	if _, err := PRDC(six, six, -1); err == nil {
		t.Error("k = -1 gave no error")
	}
	if _, err := PRDC(six, mat.NewDense(6, 3, nil), 5); err == nil {
		t.Error("sets of 2 and 3 features gave no error")
	}
}

// exhaustivePRDC is PRDC by all distances.
func exhaustivePRDC(real, generated *mat.Dense, k int) PRDCResult {
	between := func(a, b *mat.Dense, i, j int) float64 { return floats.Distance(a.RawRowView(i), b.RawRowView(j), 2) }
	radius := func(x *mat.Dense) (out []float64) {
		n, _ := x.Dims()
		for i := range n {
			var all []float64
			for j := range n {
				if j != i {
					all = append(all, between(x, x, i, j))
				}
			}
			slices.Sort(all)
			out = append(out, all[k-1])
		}
		return out
	}
	r, g := radius(real), radius(generated)
	n, m := len(r), len(g)
	inReal, inGen, covered := make([]bool, m), make([]bool, n), make([]bool, n)
	p := PRDCResult{K: k}
	for i := range n {
		for j := range m {
			d := between(real, generated, i, j)
			if d < r[i] {
				covered[i], inReal[j] = true, true
				p.Density += 1 / float64(k*m)
			}
			inGen[i] = inGen[i] || d < g[j]
		}
	}
	share := func(of []bool) (s float64) {
		for _, is := range of {
			if is {
				s += 1 / float64(len(of))
			}
		}
		return s
	}
	p.Precision, p.Recall, p.Coverage = share(inReal), share(inGen), share(covered)
	return p
}

// TestPRDCDecidesAsDistancesDo: points on a lattice have many distances that tie, and those of a ball's surface must stay outside;
// squares of values near the ends of float64's range overflow or vanish.
func TestPRDCDecidesAsDistancesDo(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 3))
	for name, draw := range map[string]func() float64{
		"noise":      rng.NormFloat64,
		"lattice":    func() float64 { return float64(rng.IntN(3)) / 3 },
		"large":      func() float64 { return 1e160 * rng.NormFloat64() },
		"small":      func() float64 { return 1e-160 * float64(rng.IntN(4)) },
		"both":       func() float64 { return []float64{1e-170, 1, 1e150}[rng.IntN(3)] * rng.NormFloat64() },
		"far away":   func() float64 { return 1e9 + float64(rng.IntN(3)) },
		"duplicates": func() float64 { return 0.1 },
	} {
		for _, d := range []int{1, 2, 7} {
			real, generated := mat.NewDense(40, d, nil), mat.NewDense(33, d, nil)
			for _, x := range []*mat.Dense{real, generated} {
				x.Apply(func(int, int, float64) float64 { return draw() }, x)
			}
			for _, k := range []int{1, 5} {
				got, err := PRDC(real, generated, k)
				if err != nil {
					t.Fatal(err)
				}
				want := exhaustivePRDC(real, generated, k)
				for what, v := range map[string][2]float64{"precision": {got.Precision, want.Precision}, "recall": {got.Recall, want.Recall},
					"density": {got.Density, want.Density}, "coverage": {got.Coverage, want.Coverage}} {
					near(t, fmt.Sprintf("%s, %d features, k = %d: %s", name, d, k, what), v[0], v[1], 1e-12) // the order of the sums of shares
				}
			}
			for i, r := range kthDistances(real, 5) {
				var all []float64
				for j := range 40 {
					if j != i {
						all = append(all, floats.Distance(real.RawRowView(i), real.RawRowView(j), 2))
					}
				}
				slices.Sort(all)
				if r != all[4] {
					t.Fatalf("%s, %d features: the 5th distance of row %d is %g, want %g", name, d, i, r, all[4])
				}
			}
		}
	}
}

func BenchmarkPRDC(b *testing.B) {
	rng := rand.New(rand.NewPCG(1, 1))
	real, generated := mat.NewDense(200, 64, nil), mat.NewDense(100, 64, nil)
	for _, x := range []*mat.Dense{real, generated} {
		x.Apply(func(int, int, float64) float64 { return rng.NormFloat64() }, x)
	}
	m := &manifold{features: real, k: DefaultK}
	for b.Loop() {
		if _, err := m.prdc(generated, nil); err != nil {
			b.Fatal(err)
		}
	}
}
