package metrics

import (
	"math"
	"math/rand/v2"
	"sync/atomic"
	"testing"

	"gonum.org/v1/gonum/floats"
	"gonum.org/v1/gonum/mat"
)

// sets draw features [n, d] that are hard to tell apart in one way or another.
var featureDraws = map[string]func(rng *rand.Rand) func(i, j int) float64{
	"noise": func(rng *rand.Rand) func(i, j int) float64 {
		return func(int, int) float64 { return rng.NormFloat64() }
	},
	"lattice": func(rng *rand.Rand) func(i, j int) float64 {
		return func(int, int) float64 { return float64(rng.IntN(2)) }
	},
	"duplicates": func(rng *rand.Rand) func(i, j int) float64 {
		return func(i, j int) float64 { return float64(i%3*j) / 7 }
	},
	"a line": func(rng *rand.Rand) func(i, j int) float64 {
		return func(i, j int) float64 { return float64(i) * float64(j+1) / 3 }
	},
	"zeros": func(rng *rand.Rand) func(i, j int) float64 { return func(int, int) float64 { return 0 } },
	"far away": func(rng *rand.Rand) func(i, j int) float64 {
		return func(i, j int) float64 { return 1e4 + 1e-4*rng.Float64() }
	},
	"rounded": func(rng *rand.Rand) func(i, j int) float64 {
		return func(i, j int) float64 { return 1 + 0x1p-50*float64(rng.IntN(3)) }
	},
	"large": func(rng *rand.Rand) func(i, j int) float64 {
		return func(int, int) float64 { return 1e14 * rng.NormFloat64() }
	},
	"huge": func(rng *rand.Rand) func(i, j int) float64 {
		return func(int, int) float64 { return 1e160 * rng.NormFloat64() }
	},
	"small": func(rng *rand.Rand) func(i, j int) float64 {
		return func(int, int) float64 { return 1e-30 * rng.NormFloat64() }
	},
	"clusters": func(rng *rand.Rand) func(i, j int) float64 {
		return func(i, j int) float64 { return float64(10*((i%5+j)%5)) + rng.NormFloat64() }
	},
}

// nearestByDifference is what [featureSet.distances] is to return: the least distance to a row.
func nearestByDifference(x, set *mat.Dense) []float64 {
	n, _ := x.Dims()
	m, _ := set.Dims()
	out := make([]float64, n)
	for i := range n {
		out[i] = math.Inf(1)
		for j := range m {
			out[i] = min(out[i], floats.Distance(x.RawRowView(i), set.RawRowView(j), 2))
		}
	}
	return out
}

func TestFeatureSetEqualsExhaustiveSearch(t *testing.T) {
	for name, draw := range featureDraws {
		for _, d := range []int{1, 3, 20, 64, 300} {
			rng := rand.New(rand.NewPCG(5, uint64(d)))
			value := draw(rng)
			set, x := mat.NewDense(300, d, nil), mat.NewDense(70, d, nil)
			set.Apply(func(i, j int, _ float64) float64 { return value(i, j) }, set)
			x.Apply(func(i, j int, _ float64) float64 { return value(i+1, j) }, x)
			for i := range 20 { // exact and near copies
				for j := range d {
					x.Set(i, j, set.At(7*i, j)*(1+float64(i%2)*0x1p-52))
				}
			}
			sketched := newFeatureSet(set, directionsOf(set))
			if plain := name == "zeros" || name == "huge"; (sketched.directions == nil) != plain && (name != "duplicates" || d > 1) && (name != "large" || d <= 64) {
				t.Errorf("%s, %d features: no sketches: %v, want %v", name, d, sketched.directions == nil, plain)
			}
			of := directionsOf(x) // of other features
			for what, tc := range map[string]struct {
				set  *featureSet
				rows *mat.Dense
			}{
				"all":              {sketched, set},
				"a part":           {sketched.between(17, 219), rowsBetween(set, 17, 219)},
				"one":              {sketched.between(299, 300), rowsBetween(set, 299, 300)},
				"other directions": {newFeatureSet(set, of), set},
				"no sketches":      {newFeatureSet(set, nil), set},
			} {
				got := tc.set.distances(x)
				for i, want := range nearestByDifference(x, tc.rows) {
					if got[i] != want {
						t.Fatalf("%s, %d features, %s: row %d is %g from the nearest, want %g", name, d, what, i, got[i], want)
					}
				}
			}
		}
	}
	for _, v := range (*featureSet)(nil).distances(mat.NewDense(3, 2, nil)) {
		if !math.IsInf(v, 1) {
			t.Errorf("a set of none is %g away", v)
		}
	}
}

// TestSketchesRuleOutNothingNear: with a pair's own squared distance as the bound, none is ruled out; with a tenth of it, most are
// where directions hold much of what there is.
func TestSketchesRuleOutNothingNear(t *testing.T) {
	for name, draw := range featureDraws {
		rng := rand.New(rand.NewPCG(6, 6))
		value := draw(rng)
		set, x := mat.NewDense(200, 40, nil), mat.NewDense(50, 40, nil)
		for _, m := range []*mat.Dense{set, x} {
			m.Apply(func(i, j int, _ float64) float64 { return value(i, j) }, m)
		}
		directions := directionsOf(set)
		if directions == nil {
			continue
		}
		s := newFeatureSet(set, directions).sketches
		var ruledOut atomic.Int32
		s.compare(50, alongDirections(x, directions), func(i int, of sketched) {
			if len(of.closeness) != 200 {
				t.Errorf("%s: compared with %d of 200", name, len(of.closeness))
			}
			for j, c := range of.closeness {
				away := floats.Distance(x.RawRowView(i), set.RawRowView(j), 2)
				if least := s.least(of, away*away); c < least {
					t.Errorf("%s: rows %d and %d, %g apart, are ruled out: closeness %g, least %g", name, i, j, away, c, least)
				}
				if i%10 == 0 && c < s.least(of, away*away/10) {
					ruledOut.Add(1)
				}
			}
		})
		if name == "clusters" && ruledOut.Load() < 500 {
			t.Errorf("%s: only %d of 1000 are ruled out", name, ruledOut.Load())
		}
	}
}

func BenchmarkFeatureDistances(b *testing.B) {
	value := featureDraws["clusters"](rand.New(rand.NewPCG(1, 1)))
	set, x := mat.NewDense(6000, 64, nil), mat.NewDense(100, 64, nil)
	for _, m := range []*mat.Dense{set, x} {
		m.Apply(func(i, j int, _ float64) float64 { return value(i, j) }, m)
	}
	s := newFeatureSet(set, directionsOf(set))
	for b.Loop() {
		s.distances(x)
	}
}
