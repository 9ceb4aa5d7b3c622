package memory

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"gonum.org/v1/gonum/floats"
	"gonum.org/v1/gonum/mat"

	"palimpsest/datasets"
)

// table gives image number n the n-th row.
func table(rows ...[]float64) func(*datasets.Images) (*mat.Dense, error) {
	return func(im *datasets.Images) (*mat.Dense, error) {
		m := mat.NewDense(im.N, len(rows[0]), nil)
		for i := range im.N {
			m.SetRow(i, rows[number(im, i)])
		}
		return m, nil
	}
}

// TestHerdingByHand: unit features a=(1,0), b=(0,1) and twice c=(0.6,0.8) have the mean μ=(0.55, 0.65). Squared
// distances of k·μ from the sum of what is taken and a candidate:
//
//	k=1: |μ-a|²=0.625, |μ-b|²=0.425, |μ-c|²=0.025: the first c.
//	k=2: 2μ-c=(0.5, 0.5): a 0.5, b 0.5, c 0.1: the second c.
//	k=3: 3μ-2c=(0.45, 0.35): a 0.425, b 0.625: a. Then b.
//
// Lengths are not 1 below, because only directions count.
func TestHerdingByHand(t *testing.T) {
	features := table([]float64{2, 0}, []float64{0, 1}, []float64{6, 8}, []float64{3, 4})
	want := []int{2, 3, 0, 1}
	for capacity := 1; capacity <= 4; capacity++ {
		b := newBuffer(t, capacity, Herding{Features: features}, 0)
		add(t, b, 0, stream(0, 5, 5, 5, 5))
		if got := offers(b); !slices.Equal(got, want[:capacity]) {
			t.Errorf("capacity %d: kept %v, want %v", capacity, got, want[:capacity])
		}
	}
}

// TestHerdingTies: of equal images the first is taken, and an image without features sits at the origin.
func TestHerdingTies(t *testing.T) {
	b := newBuffer(t, 3, Herding{Features: table([]float64{0, 0}, []float64{1, 0}, []float64{1, 0}, []float64{1, 0})}, 0)
	add(t, b, 0, stream(0, 0, 0, 0, 0))
	// μ = (0.75, 0): k=1 takes image 1 (distance 0.25), k=2 image 2 (0.25, against 0.25 for the origin, which is
	// image 0 and comes first), so: 1, then 0 at |0.75-0.5| = 0.25 before 2 at |0.75-1| = 0.25, then 2.
	if got, want := offers(b), []int{1, 0, 2}; !slices.Equal(got, want) {
		t.Errorf("kept %v, want %v", got, want)
	}
}

// TestHerdingShrinks: a class that makes room for another keeps the first images of its order.
func TestHerdingShrinks(t *testing.T) {
	b := newBuffer(t, 12, Herding{Features: angles}, 0)
	add(t, b, 0, stream(0, repeat(50, 0)...))
	first := offers(b)
	for class := 1; class < 4; class++ {
		add(t, b, class, stream(50*class, repeat(50, int32(class))...))
		n := 12 / (class + 1)
		if got := offers(b)[:n]; !slices.Equal(got, first[:n]) {
			t.Errorf("with %d classes the first keeps %v, want %v", class+1, got, first[:n])
		}
	}
}

// TestHerdingMean: the mean of what herding keeps lies nearer to the class mean than that of any of 100 random
// choices of the same size, on Gaussian features.
func TestHerdingMean(t *testing.T) {
	const n, dim, keep = 300, 8, 10
	rng := rand.New(rand.NewPCG(4, 4))
	features := mat.NewDense(n, dim, nil)
	for i := range n {
		for j := range dim {
			features.Set(i, j, rng.NormFloat64()+1)
		}
		row := features.RawRowView(i)
		floats.Scale(1/floats.Norm(row, 2), row)
	}
	distance := func(index []int) float64 {
		difference := make([]float64, dim)
		for i := range n {
			floats.AddScaled(difference, -1.0/n, features.RawRowView(i))
		}
		for _, i := range index {
			floats.AddScaled(difference, 1/float64(len(index)), features.RawRowView(i))
		}
		return floats.Norm(difference, 2)
	}
	order, err := herd(features, slices.Repeat([]float64{1}, n), keep)
	if err != nil {
		t.Fatal(err)
	}
	got, best := distance(order), math.Inf(1)
	for range 100 {
		best = min(best, distance(rng.Perm(n)[:keep]))
	}
	if got >= best {
		t.Errorf("herding's mean is %.4f away, the best of 100 random choices %.4f", got, best)
	}
}

// TestHerdingClassAgain: a class offered in two portions is herded over both, and its target weighs the earlier
// portion by its size: 90 images at angle 0 and 10 at 90° have their mean at (0.9, 0.1), so of ten kept images nine
// or more lie at 0.
func TestHerdingClassAgain(t *testing.T) {
	features := func(im *datasets.Images) (*mat.Dense, error) {
		m := mat.NewDense(im.N, 2, nil)
		for i := range im.N {
			if number(im, i) < 90 {
				m.Set(i, 0, 1)
			} else {
				m.Set(i, 1, 1)
			}
		}
		return m, nil
	}
	b := newBuffer(t, 10, Herding{Features: features}, 0)
	add(t, b, 0, stream(0, repeat(90, 0)...))
	add(t, b, 1, stream(90, repeat(10, 0)...))
	late := 0
	for _, n := range offers(b) {
		if n >= 90 {
			late++
		}
	}
	if late != 1 {
		t.Errorf("%d of 10 images kept are from the second portion, want 1 as in the stream", late)
	}
}

func TestHerdingRefuses(t *testing.T) {
	nan := newBuffer(t, 3, Herding{Features: table([]float64{math.NaN()})}, 0)
	if err := nan.Add(0, stream(0, 0)); err == nil {
		t.Error("features that are not a number were accepted")
	}
	short := newBuffer(t, 3, Herding{Features: func(*datasets.Images) (*mat.Dense, error) { return mat.NewDense(1, 1, nil), nil }}, 0)
	if err := short.Add(0, stream(0, 0, 0)); err == nil {
		t.Error("one row of features for two images was accepted")
	}
}
