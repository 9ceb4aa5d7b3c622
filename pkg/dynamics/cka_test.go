package dynamics

import (
	"encoding/json"
	"math"
	"math/rand/v2"
	"os"
	"testing"

	"gonum.org/v1/gonum/mat"
)

var estimates = map[string]func(x, y mat.Matrix) (float64, error){"plain": CKA, "unbiased": UnbiasedCKA}

func alignment(t *testing.T, name string, x, y mat.Matrix) float64 {
	t.Helper()
	v, err := estimates[name](x, y)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func normal(random *rand.Rand, n, p int) *mat.Dense {
	m := mat.NewDense(n, p, nil)
	m.Apply(func(int, int, float64) float64 { return random.NormFloat64() }, m)
	return m
}

// Centred, x is (-1, 0, 0, 1) and y is (-1, 1, -1, 1): CKA is their squared correlation, (2/sqrt(2·4))² = ½. Without
// their diagonals the Gram matrices of x have -1 at (0, 3) and (3, 0), those of y ±1 everywhere:
// for n = 4, Σ K∘L = 2, ΣK = -2, ΣL = -4, rows of K (-1, 0, 0, -1), of L -1 each. Then xy: 2 + 8/6 - 2 = 4/3,
// xx: 2 + 4/6 - 2 = 2/3, yy: 12 + 16/6 - 4 = 32/3, and the ratio is (4/3)/sqrt(64/9) = ½.
func TestCKAByHand(t *testing.T) {
	x, y := mat.NewDense(4, 1, []float64{4, 5, 5, 6}), mat.NewDense(4, 1, []float64{0, 2, 0, 2})
	for name := range estimates {
		if got := alignment(t, name, x, y); math.Abs(got-0.5) > 1e-12 {
			t.Errorf("%s is %g, want 0.5", name, got)
		}
	}
}

func TestCKAInvariances(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 1))
	x, y := normal(random, 12, 5), normal(random, 12, 7)
	var qr mat.QR
	qr.Factorize(normal(random, 5, 5))
	var orthogonal, moved, skewed mat.Dense
	qr.QTo(&orthogonal)
	moved.Mul(x, &orthogonal)
	moved.Apply(func(_, j int, v float64) float64 { return -3*v + 100*float64(j) }, &moved)
	skewed.Apply(func(_, j int, v float64) float64 { return v * float64(1+3*j) }, x)
	for name := range estimates {
		if v := alignment(t, name, x, x); math.Abs(v-1) > 1e-12 {
			t.Errorf("%s of itself is %g", name, v)
		}
		if v := alignment(t, name, x, &moved); math.Abs(v-1) > 1e-12 {
			t.Errorf("%s of an orthogonal map, scaled and shifted, is %g", name, v)
		}
		a, b, c := alignment(t, name, x, y), alignment(t, name, &moved, y), alignment(t, name, y, x)
		if math.Abs(a-b) > 1e-12 || math.Abs(a-c) > 1e-12 {
			t.Errorf("%s is %g, %g after an orthogonal map and %g the other way round", name, a, b, c)
		}
		if v := alignment(t, name, x, &skewed); v > 0.99 {
			t.Errorf("%s of a map that is not orthogonal is %g", name, v)
		}
	}
}

// Unrelated representations of many features look alike to the plain estimate alone.
func TestBiasOfManyFeatures(t *testing.T) {
	random := rand.New(rand.NewPCG(2, 1))
	x, y := normal(random, 16, 2000), normal(random, 16, 2000)
	if plain, unbiased := alignment(t, "plain", x, y), alignment(t, "unbiased", x, y); plain < 0.9 || math.Abs(unbiased) > 0.3 {
		t.Errorf("plain %g, unbiased %g; want near 1 and near 0", plain, unbiased)
	}
}

func TestCKAAgainstNumPy(t *testing.T) {
	text, err := os.ReadFile("testdata/cka.json")
	if err != nil {
		t.Fatal(err)
	}
	var cases []struct {
		X, Y            [][]float64
		Plain, Unbiased float64
	}
	if err := json.Unmarshal(text, &cases); err != nil || len(cases) != 3 {
		t.Fatalf("%d cases, %v", len(cases), err)
	}
	dense := func(rows [][]float64) *mat.Dense {
		m := mat.NewDense(len(rows), len(rows[0]), nil)
		for i, row := range rows {
			m.SetRow(i, row)
		}
		return m
	}
	for i, c := range cases {
		for name, want := range map[string]float64{"plain": c.Plain, "unbiased": c.Unbiased} {
			if got := alignment(t, name, dense(c.X), dense(c.Y)); math.Abs(got-want) > 1e-12 {
				t.Errorf("case %d: %s is %.15g, NumPy has %.15g", i, name, got, want)
			}
		}
	}
}

func TestCKARefuses(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 1))
	good, bad := normal(random, 5, 2), normal(random, 5, 2)
	bad.Set(1, 1, math.NaN())
	constant := mat.NewDense(5, 2, nil)
	constant.Apply(func(_, j int, _ float64) float64 { return 0.1 + float64(j) }, constant)
	for name, y := range map[string]mat.Matrix{"fewer examples": normal(random, 4, 2), "NaN": bad, "a constant": constant} {
		for estimate, f := range estimates {
			if v, err := f(good, y); err == nil {
				t.Errorf("%s: %s is %g", name, estimate, v)
			}
		}
	}
	if _, err := UnbiasedCKA(normal(random, 3, 2), normal(random, 3, 2)); err == nil {
		t.Error("unbiased with 3 examples passes")
	}
	if _, err := CKA(normal(random, 1, 2), normal(random, 1, 2)); err == nil {
		t.Error("one example passes")
	}
}
