package metrics

import (
	"testing"

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
