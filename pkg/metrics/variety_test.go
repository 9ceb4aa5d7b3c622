package metrics

import (
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"testing"

	"palimpsest/datasets"
	"palimpsest/pkg/results"

	"gonum.org/v1/gonum/mat"
)

// baseline is C for m samples.
func baseline(t *testing.T, l *likeness, m int) float64 {
	t.Helper()
	c, err := l.baseline(m)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// normals is a matrix of standard normal numbers.
func normals(rng *rand.Rand, n, d int) *mat.Dense {
	m := mat.NewDense(n, d, nil)
	m.Apply(func(_, _ int, _ float64) float64 { return rng.NormFloat64() }, m)
	return m
}

func TestVendiClosedForms(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	alike := mat.NewDense(7, 5, nil)
	for i := range 7 {
		for j := range 5 {
			alike.Set(i, j, float64((i+1)*(j+1))) // one direction, any length
		}
	}
	orthogonal := mat.NewDense(4, 6, nil)
	for i := range 4 {
		orthogonal.Set(i, i, float64(i)+0.5)
	}
	// Two directions with shares p and 1-p: the matrix has the eigenvalues p and 1-p.
	twoThirds := mat.NewDense(3, 2, []float64{1, 0, 5, 0, 0, 2})
	// Two unit vectors of cosine c: eigenvalues (1 ± c)/2.
	const c = 0.6
	angle := mat.NewDense(2, 2, []float64{1, 0, c, 0.8})
	entropy := func(p ...float64) float64 {
		sum := 0.0
		for _, v := range p {
			sum -= v * math.Log(v)
		}
		return math.Exp(sum)
	}
	x := normals(rng, 30, 4)
	doubled := stack([]*mat.Dense{x, x})
	of := func(m *mat.Dense) float64 {
		v, err := Vendi(m)
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	near(t, "alike", of(alike), 1, 1e-12)
	near(t, "orthogonal", of(orthogonal), 4, 1e-12)
	near(t, "the same, more rows than features", of(stack([]*mat.Dense{orthogonal, orthogonal, orthogonal})), 4, 1e-12)
	near(t, "two thirds one way", of(twoThirds), entropy(2.0/3, 1.0/3), 1e-12)
	near(t, "an angle", of(angle), entropy((1+c)/2, (1-c)/2), 1e-12)
	near(t, "each twice", of(doubled), of(x), 1e-12)
	if v := of(x); v > 4 {
		t.Errorf("the score of 30 images with 4 features is %g; it cannot exceed 4", v)
	}
	// A row of weight 2 is two rows.
	weighted, err := weightedVendi(mat.NewDense(2, 2, []float64{1, 0, 0, 2}), []float64{2, 1})
	if err != nil {
		t.Fatal(err)
	}
	near(t, "weighted", weighted, entropy(2.0/3, 1.0/3), 1e-12)
	if _, err := Vendi(mat.NewDense(1, 2, []float64{1, math.NaN()})); err == nil {
		t.Error("a feature that is no number passes")
	}
}

// The authors' own programs on the same features; testdata/variety.py holds the commands.
func TestVarietyAgainstTheAuthors(t *testing.T) {
	data, err := os.ReadFile("testdata/variety.json")
	if err != nil {
		t.Fatal(err)
	}
	var want struct {
		Train, Test [][]float64
		Cases       map[string]struct {
			Features      [][]float64
			FLD, Baseline float64
			Vendi         float64
			Weights       []float64
			Weighted      float64 `json:"weighted_vendi"`
		}
	}
	if err := json.Unmarshal(data, &want); err != nil {
		t.Fatal(err)
	}
	if len(want.Cases) < 7 {
		t.Fatalf("%d cases", len(want.Cases))
	}
	for name, w := range want.Cases {
		t.Run(name, func(t *testing.T) {
			x := dense(w.Features)
			vendi, err := Vendi(x)
			if err != nil {
				t.Fatal(err)
			}
			near(t, "Vendi", vendi, w.Vendi, 1e-10)
			weighted, err := weightedVendi(x, w.Weights)
			if err != nil {
				t.Fatal(err)
			}
			near(t, "weighted Vendi", weighted, w.Weighted, 1e-10)
			l, err := newLikeness(dense(want.Train), dense(want.Test), inOrder)
			if err != nil {
				t.Fatal(err)
			}
			fld, err := l.fld(x, nil)
			if err != nil {
				t.Fatal(err)
			}
			// Rounding errors, which 50 steps magnify. Theirs takes distances from products, which tell exact copies from others to
			// rounding errors only; there the width is that error.
			tolerance := 1e-6
			if name == "copies" {
				tolerance = 1e-2
			}
			near(t, "FLD", fld, w.FLD, tolerance)
			near(t, "its baseline", baseline(t, l, len(w.Features)), w.Baseline, 1e-8)
		})
	}
}

func inOrder(n int) []int {
	order := make([]int, n)
	for i := range order {
		order[i] = i
	}
	return order
}

func TestFLDProperties(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	const n, d = 120, 5
	// Two clusters, of which a model may lose one.
	of := func(n int, clusters ...float64) *mat.Dense {
		m := normals(rng, n, d)
		for i := range n {
			m.Set(i, 0, m.At(i, 0)+clusters[i%len(clusters)])
		}
		return m
	}
	both := []float64{-4, 4}
	train, test, fresh := of(2*n, both...), of(n, both...), of(n, both...)
	l, err := newLikeness(train, test, inOrder)
	if err != nil {
		t.Fatal(err)
	}
	fld := func(generated *mat.Dense, weights []float64) float64 {
		v, err := l.fld(generated, weights)
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	real := fld(fresh, nil)
	// Fresh real images are as good as half of the training images, but for chance: here a tenth of a nat a dimension.
	if math.Abs(real) > 10 {
		t.Errorf("FLD of fresh real images is %g, want about 0", real)
	}
	noisy := mat.DenseCopyOf(fresh)
	noisy.Add(noisy, mat.DenseCopyOf(normals(rng, n, d)))
	for name, worse := range map[string]*mat.Dense{"noisy": noisy, "one cluster lost": of(n, -4), "copies": takeRows(train, inOrder(n)), "one image": takeRows(fresh, make([]int, n))} {
		if got := fld(worse, nil); got < real+5 {
			t.Errorf("%s: FLD is %g, of fresh images %g; it must be worse", name, got, real)
		}
	}
	// A change of scale and origin of any feature, and the order of samples, change nothing.
	change := func(m *mat.Dense) *mat.Dense {
		out := mat.DenseCopyOf(m)
		out.Apply(func(_, j int, v float64) float64 { return v*float64(j+1) - 3 }, out)
		return out
	}
	moved, err := newLikeness(change(train), change(test), inOrder)
	if err != nil {
		t.Fatal(err)
	}
	got, err := moved.fld(change(fresh), nil)
	if err != nil {
		t.Fatal(err)
	}
	near(t, "moved and stretched", got, real, 1e-6)
	near(t, "in another order", fld(takeRows(fresh, rng.Perm(n)), nil), real, 1e-6)
	// A constant feature says nothing, a sample of weight 2 is two.
	near(t, "with a constant feature", func() float64 {
		with := func(m *mat.Dense) *mat.Dense { return m.Grow(0, 1).(*mat.Dense) }
		l, err := newLikeness(with(train), with(test), inOrder)
		if err != nil {
			t.Fatal(err)
		}
		v, err := l.fld(with(fresh), nil)
		if err != nil {
			t.Fatal(err)
		}
		return v
	}(), real, 1e-9)
	few := takeRows(fresh, inOrder(n/2))
	weights, twice := make([]float64, n/2), inOrder(n/2)
	for i := range weights {
		weights[i] = 1
		if i%3 == 0 {
			weights[i], twice = 2, append(twice, i)
		}
	}
	l.baselines[len(weights)] = baseline(t, l, len(twice)) // of unequal numbers of Gaussians
	near(t, "weights", fld(few, weights), fld(takeRows(few, twice), nil), 1e-4)

	for name, bad := range map[string][3]*mat.Dense{
		"few training images": {of(3, 0), test, fresh},
		"one test image":      {train, of(1, 0), fresh},
		"one sample":          {train, test, of(1, 0)},
		"other features":      {train, test, normals(rng, 9, d+1)},
		"constant":            {train, mat.NewDense(4, d, nil), fresh},
		"not finite":          {train, test, mat.NewDense(2, d, []float64{0, 0, 0, 0, 0, 0, 0, 0, 0, math.Inf(1)})},
	} {
		if v, err := FLD(bad[0], bad[1], bad[2], 0); err == nil || !math.IsNaN(v) {
			t.Errorf("%s: FLD is %g without an error", name, v)
		}
	}
}

// A single Gaussian of variance v on a point at squared distance s from one datum has the likelihood of the textbook.
func TestMixtureIsGaussian(t *testing.T) {
	x := &mixture{means: mat.NewDense(1, 2, nil), logShare: []float64{0}, logVariance: []float64{math.Log(4)}}
	got := x.nll(mat.NewDense(1, 2, []float64{3, 1}))
	near(t, "nll", got, (math.Log(2*math.Pi*4)+10.0/8)/2, 1e-12) // N(x; 0, 4·I) in two dimensions: ln = -ln(2π·4) - 10/8
}

// The derivatives of the fit against differences.
func TestMixtureGradient(t *testing.T) {
	rng := rand.New(rand.NewPCG(7, 7))
	const n, m, d = 9, 4, 3
	distance, share, variance := mat.NewDense(n, m, nil), make([]float64, m), make([]float64, m)
	distance.Apply(func(_, _ int, _ float64) float64 { return 5 * rng.Float64() }, distance)
	for j := range m {
		share[j], variance[j] = rng.NormFloat64(), rng.NormFloat64()
	}
	got, ignored := make([]float64, m), make([]float64, m)
	mixtureLoss(got, distance, share, variance, d)
	const step = 1e-5
	for j := range m {
		at := variance[j]
		variance[j] = at + step
		above := mixtureLoss(ignored, distance, share, variance, d)
		variance[j] = at - step
		below := mixtureLoss(ignored, distance, share, variance, d)
		variance[j] = at
		near(t, fmt.Sprintf("derivative %d", j), got[j], (above-below)/(2*step), 1e-6) // central differences err by step²
	}
}

// BenchmarkVariety is what an evaluation of a task of the quick benchmark takes: 100 samples, 500 training and 200 test images.
func BenchmarkVariety(b *testing.B) {
	rng := rand.New(rand.NewPCG(9, 9))
	l, err := newLikeness(normals(rng, 500, 64), normals(rng, 200, 64), inOrder)
	if err != nil {
		b.Fatal(err)
	}
	samples := normals(rng, 100, 64)
	b.Run("fld", func(b *testing.B) {
		for b.Loop() {
			if _, err := l.fld(samples, nil); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("vendi", func(b *testing.B) {
		for b.Loop() {
			if _, err := Vendi(samples); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// What an evaluator stores is what [Vendi] and [FLD] say of the same features, for tasks and for all together, whether the
// extractor names classes or another network does.
func TestEvaluatorMeasuresVariety(t *testing.T) {
	tasks := testTasks()
	rng := rand.New(rand.NewPCG(11, 12))
	for j := range tasks {
		tasks[j].Train = threeClasses(rng, 30, tasks[j].Classes...)
	}
	samples := []*Samples{samplesOf(threeClasses(rng, 25, 0, 1)), samplesOf(threeClasses(rng, 25, 2))}
	features := func(of ...[]float32) *mat.Dense {
		var all []*mat.Dense
		for _, pixels := range of {
			f, err := new(thirds).Features(pixels, len(pixels)/4)
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, f)
		}
		return stack(all)
	}
	for name, labeller := range map[string]Labeller{"one network": nil, "two networks": new(otherThirds)} {
		t.Run(name, func(t *testing.T) {
			e, err := NewEvaluator(new(thirds), tasks, EvaluatorOptions{Labeller: labeller})
			if err != nil {
				t.Fatal(err)
			}
			got, union, err := e.Evaluate(1, samples, nil)
			if err != nil {
				t.Fatal(err)
			}
			check := func(of [2]int, vendi, real, fld *float64, train, test, generated *mat.Dense) {
				t.Helper()
				what := fmt.Sprintf("tasks %d: ", of)
				for kind, pair := range map[*float64]*mat.Dense{vendi: generated, real: test} {
					want, err := Vendi(pair)
					if err != nil {
						t.Fatal(err)
					}
					near(t, what+"Vendi", *kind, want, 1e-12)
				}
				l, err := newLikeness(train, test, inOrder)
				if err != nil {
					t.Fatal(err)
				}
				want, err := l.fld(generated, nil)
				if err != nil {
					t.Fatal(err)
				}
				// Without the baseline, whose halves are drawn. The order of images moves rounding errors, which 50 steps magnify.
				n, _ := generated.Dims()
				near(t, what+"FLD", *fld+100*baseline(t, e.likely[of], n), want+100*baseline(t, l, n), 1e-6)
			}
			for j, m := range got {
				check([2]int{j, j + 1}, m.Vendi, m.RealVendi, m.FLD, features(tasks[j].Train.Scaled()), features(tasks[j].Test.Scaled()), features(samples[j].Images))
			}
			check([2]int{0, 2}, union.Vendi, union.RealVendi, union.FLD, features(tasks[0].Train.Scaled(), tasks[1].Train.Scaled()),
				features(tasks[0].Test.Scaled(), tasks[1].Test.Scaled()), features(samples[0].Images, samples[1].Images))
			var p results.Protocol
			if err := e.Describe(&p); err != nil || p.FLDImages != FLDImages {
				t.Errorf("the protocol says %d images (%v)", p.FLDImages, err)
			}
		})
	}
	// Without training images, or where all test images look alike, there is no FLD, and the rest stands.
	bare := testTasks()
	alike := testTasks()
	for j := range alike {
		alike[j].Train = alike[j].Test
		for i := range alike[j].Test.N {
			copy(alike[j].Test.Image(i), alike[j].Test.Image(0))
		}
	}
	for name, tasks := range map[string][]datasets.Task{"no training images": bare, "test images alike": alike} {
		e, err := NewEvaluator(new(thirds), tasks, EvaluatorOptions{})
		if err != nil {
			t.Fatal(err)
		}
		got, _, err := e.Evaluate(0, []*Samples{samples[0], nil}, nil)
		if err != nil || got[0].FLD != nil || got[0].Vendi == nil || got[0].FID == nil {
			t.Errorf("%s: %+v, %v", name, got[0], err)
		}
	}
}

// Where an earlier task has every training image of a task, FLD has nothing to compare that task with, and is not measured; the
// rest is.
func TestTaskOfAnothersImages(t *testing.T) {
	tasks := testTasks()
	rng := rand.New(rand.NewPCG(11, 12))
	tasks[0].Train = threeClasses(rng, 30, tasks[0].Classes...)
	twin := *tasks[0].Train
	tasks[1].Train = &twin
	samples := []*Samples{samplesOf(threeClasses(rng, 25, 0, 1)), samplesOf(threeClasses(rng, 25, 2))}
	e, err := NewEvaluator(new(thirds), tasks, EvaluatorOptions{})
	if err != nil {
		t.Fatal(err)
	}
	got, union, err := e.Evaluate(1, samples, nil)
	if err != nil {
		t.Fatal(err)
	}
	if got[1].FLD != nil || got[1].Vendi == nil || got[0].FLD == nil || union.FLD == nil {
		t.Errorf("FLD of the tasks is %v and %v, of both %v; Vendi of the second %v", got[0].FLD, got[1].FLD, union.FLD, got[1].Vendi)
	}
}
