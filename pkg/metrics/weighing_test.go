package metrics

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"palimpsest/datasets"

	"gonum.org/v1/gonum/mat"
)

func TestTaskWeights(t *testing.T) {
	w, err := TaskWeights([]int{300, 300, 300, 100})
	if err != nil || !slices.Equal(w, []float64{0.3, 0.3, 0.3, 0.1}) {
		t.Errorf("%v, error %v", w, err)
	}
	for _, bad := range [][]int{nil, {3, 0}} {
		if _, err := TaskWeights(bad); err == nil {
			t.Errorf("tasks of %v images gave no error", bad)
		}
	}
}

func TestWeightedMean(t *testing.T) {
	rng := rand.New(rand.NewPCG(4, 4))
	values := make([]float64, 7)
	for i := range values {
		values[i] = rng.NormFloat64()
	}
	// Equal weights are the plain mean to the last bit, whatever they are.
	plain := WeightedMean(values, nil)
	for _, w := range []float64{1, 1.0 / 7, 0.2} {
		if got := WeightedMean(values, slices.Repeat([]float64{w}, 9)); got != plain {
			t.Errorf("weights of %g: %g, want %g exactly", w, got, plain)
		}
	}
	near(t, "weighted", WeightedMean([]float64{10, 20}, []float64{0.25, 0.75}), 17.5, 1e-15)
	near(t, "of known", WeightedMeanOfKnown([]float64{10, nan, 20}, []float64{1, 5, 3}), 17.5, 1e-15)
	near(t, "of known, unweighted", WeightedMeanOfKnown([]float64{10, nan, 20}, nil), 15, 1e-15)
	for name, v := range map[string]float64{"none": WeightedMean(nil, nil), "few weights": WeightedMean(values, []float64{1}),
		"negative": WeightedMean([]float64{1, 2}, []float64{2, -1}), "zero": WeightedMean([]float64{1, 2}, []float64{0, 0}),
		"infinite": WeightedMean([]float64{1, 2}, []float64{math.Inf(1), 1}), "not a number": WeightedMean([]float64{1, 2}, []float64{nan, 1}),
		"none known": WeightedMeanOfKnown([]float64{nan}, []float64{1}), "empty weights": WeightedMean([]float64{1}, []float64{})} {
		if !math.IsNaN(v) {
			t.Errorf("%s: %g, want NaN", name, v)
		}
	}
}

func TestMatrixWeights(t *testing.T) {
	// Tasks of 1, 1 and 2 parts of the images; the numbers of triangle.
	m := triangle()
	m.Weights = []float64{0.25, 0.25, 0.5}
	near(t, "final", m.Final(), 20*0.25+13*0.25+9*0.5, 1e-12)
	near(t, "average incremental", m.AverageIncremental(), (10+(8+12)/2.0+12.75)/3, 1e-12)
	m.Weights = []float64{0.6, 0.2, 0.2}
	near(t, "forgetting", m.Forgetting().SinceLearned, (10*0.6+1*0.2)/0.8, 1e-12)
	near(t, "forgetting since best", m.Forgetting().SinceBest, (12*0.6+1*0.2)/0.8, 1e-12)
	m.Weights = []float64{0.5, 0.5}
	if !math.IsNaN(m.Final()) {
		t.Error("two weights for three tasks gave an average")
	}
}

func TestRowWeights(t *testing.T) {
	for _, tc := range []struct {
		name   string
		images []map[int]int
		wanted [][]int
		want   []float64 // nil: all 1
	}{
		{"balanced", []map[int]int{{0: 10, 1: 10}, {2: 10, 3: 10}}, [][]int{{0, 1}, {2, 3}}, nil},
		{"balanced thirds", []map[int]int{{0: 7, 1: 7, 2: 7}}, [][]int{{0, 1, 2, 0, 1, 2}}, nil},
		// Two classes and one, equally many samples: class 2 is a third of the images and half of the samples.
		{"tasks", []map[int]int{{0: 10, 1: 10}, {2: 10}}, [][]int{{0, 1}, {2, 2}}, []float64{4. / 3, 4. / 3, 2. / 3, 2. / 3}},
		{"classes", []map[int]int{{0: 30, 1: 10}}, [][]int{{0, 1}}, []float64{1.5, 0.5}},
		{"remainder", []map[int]int{{0: 10, 1: 10}}, [][]int{{0, 1, 0}}, []float64{0.75, 1.5, 0.75}},
		{"number of samples", []map[int]int{{0: 10}, {1: 10}}, [][]int{{0}, {1, 1, 1}}, []float64{2, 2. / 3, 2. / 3, 2. / 3}},
		// A class that nobody asked for: the others stand for the whole task.
		{"not asked", []map[int]int{{0: 10, 1: 10}, {2: 20}}, [][]int{{0}, {2}}, nil},
		// The same class in two domains counts in each by itself.
		{"shared", []map[int]int{{0: 10}, {0: 30}}, [][]int{{0}, {0}}, []float64{0.5, 1.5}},
	} {
		got, err := rowWeights(tc.images, tc.wanted)
		if err != nil || len(got) != len(tc.want) {
			t.Errorf("%s: %v, error %v; want %v", tc.name, got, err, tc.want)
			continue
		}
		for i, w := range tc.want {
			near(t, fmt.Sprintf("%s: weight %d", tc.name, i), got[i], w, 1e-14)
		}
	}
	for name, wanted := range map[string][]int{"another class": {0, 1}, "no samples": {}} {
		if _, err := rowWeights([]map[int]int{{0: 10}}, [][]int{wanted}); err == nil {
			t.Errorf("%s gave no error", name)
		}
	}
}

func TestRowWeightsAreTheSharesOfTheReference(t *testing.T) {
	// Whatever is drawn, the samples of a class in a task together weigh its share of the reference images.
	rng := rand.New(rand.NewPCG(17, 5))
	for range 200 {
		var images []map[int]int
		var wanted [][]int
		total, samples := 0, 0
		for j := range 1 + rng.IntN(4) {
			counts, of := map[int]int{}, []int{}
			for k := range 1 + rng.IntN(5) {
				counts[10*j+k] = 1 + rng.IntN(3)*rng.IntN(2000)
				total += counts[10*j+k]
				for range 1 + rng.IntN(7) {
					of = append(of, 10*j+k)
				}
			}
			samples += len(of)
			rng.Shuffle(len(of), func(a, b int) { of[a], of[b] = of[b], of[a] })
			images, wanted = append(images, counts), append(wanted, of)
		}
		weights, err := rowWeights(images, wanted)
		if err != nil {
			t.Fatal(err)
		}
		sums := map[int]float64{}
		for i, c := range slices.Concat(wanted...) {
			sums[c] += weightOf(weights, i)
		}
		for j, counts := range images {
			for c, n := range counts {
				near(t, fmt.Sprintf("weight of class %d in task %d", c, j), sums[c], float64(n)/float64(total)*float64(samples), 1e-12)
			}
		}
	}
}

func TestWeightedStats(t *testing.T) {
	// Of two values 0 and 3 the unbiased variance is 3²/2 whatever their weights; the mean is weighted.
	s, err := newWeightedStats(dense([][]float64{{0}, {3}}), []float64{1.5, 0.5})
	if err != nil {
		t.Fatal(err)
	}
	near(t, "mean", s.Mean[0], 0.75, 1e-14)
	near(t, "variance", s.Cov.At(0, 0), 4.5, 1e-14)
	// Three values: Σ s·(x-μ)² / (1 - Σ s²) with shares of a half and two quarters.
	if s, err = newWeightedStats(dense([][]float64{{0}, {4}, {8}}), []float64{1.5, 0.75, 0.75}); err != nil {
		t.Fatal(err)
	}
	near(t, "mean", s.Mean[0], 3, 1e-14)
	near(t, "variance", s.Cov.At(0, 0), (9*0.5+1*0.25+25*0.25)/(1-0.375), 1e-14)
	if _, err := newWeightedStats(dense([][]float64{{0}, {3}}), []float64{2, 0}); err == nil {
		t.Error("all weight on one image gave no error")
	}
}

func TestWeightsOfOneChangeNothing(t *testing.T) {
	rng := rand.New(rand.NewPCG(6, 6))
	random := func(n int) *mat.Dense {
		m := mat.NewDense(n, 3, nil)
		m.Apply(func(int, int, float64) float64 { return rng.NormFloat64() }, m)
		return m
	}
	a, b, ones := random(40), random(30), slices.Repeat([]float64{1}, 30)
	kid, err := KID(a, b, KIDOptions{})
	if err != nil {
		t.Fatal(err)
	}
	weighted, err := KID(a, b, KIDOptions{Weights: ones})
	if err != nil || weighted != kid {
		t.Errorf("KID %v, want %v exactly (%v)", weighted, kid, err)
	}
	prdc, err := PRDC(a, b, 5)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := weightedPRDC(a, b, 5, ones); err != nil || got != prdc {
		t.Errorf("PRDC %v, want %v exactly (%v)", got, prdc, err)
	}
}

func TestWeightedKID(t *testing.T) {
	// Against the double sum of the definition.
	rng := rand.New(rand.NewPCG(9, 1))
	var rows [2][][]float64
	for s := range rows {
		for range 8 {
			rows[s] = append(rows[s], []float64{rng.NormFloat64(), rng.NormFloat64()})
		}
	}
	weights, total := make([]float64, 8), 0.0
	for i := range weights {
		weights[i] = 0.1 + rng.Float64()
		total += weights[i]
	}
	for i := range weights {
		weights[i] *= 8 / total
	}
	k := func(x, y []float64) float64 { return math.Pow((x[0]*y[0]+x[1]*y[1])/2+1, 3) }
	var aa, bb, ab, pairs float64
	for i := range 8 {
		for j := range 8 {
			ab += weights[j] * k(rows[0][i], rows[1][j]) / 64
			if i != j {
				aa += k(rows[0][i], rows[0][j]) / 56
				bb += weights[i] * weights[j] * k(rows[1][i], rows[1][j])
				pairs += weights[i] * weights[j]
			}
		}
	}
	got, err := KID(dense(rows[0]), dense(rows[1]), KIDOptions{Weights: weights})
	if err != nil {
		t.Fatal(err)
	}
	near(t, "KID", got.Mean, aa+bb/pairs-2*ab, 1e-12)
	if _, err := KID(dense(rows[0]), dense(rows[1]), KIDOptions{Weights: weights[1:]}); err == nil {
		t.Error("7 weights for 8 images gave no error")
	}
	if _, err := KID(dense(rows[0]), dense(rows[1]), KIDOptions{Weights: weights, Subsets: 3, SubsetSize: 4}); err == nil {
		t.Error("weights of subsets gave no error")
	}
}

func TestWeightedPRDC(t *testing.T) {
	// Three of four generated images lie among the real ones; the one far away has half of all weight.
	real := dense([][]float64{{0}, {1}, {2}, {3}})
	generated := dense([][]float64{{0.1}, {1.1}, {2.1}, {90}})
	got, err := weightedPRDC(real, generated, 1, []float64{2. / 3, 2. / 3, 2. / 3, 2})
	if err != nil {
		t.Fatal(err)
	}
	plain, err := PRDC(real, generated, 1)
	if err != nil {
		t.Fatal(err)
	}
	near(t, "precision", got.Precision, 0.5, 1e-14)
	near(t, "density", got.Density, plain.Density*(0.5/0.75), 1e-14)
	if got.Recall != plain.Recall || got.Coverage != plain.Coverage {
		t.Errorf("%+v, want recall and coverage of %+v", got, plain)
	}
}

// asked draws n samples of a task as a run does, its classes in turn, and answers each with an image of the task that has the
// class: a perfect generator.
func asked(task datasets.Task, n int) *Samples {
	var rows []int
	next := map[int]int{}
	for i := range n {
		c := task.Classes[i%len(task.Classes)]
		of := task.Test.IndicesOf(c)
		rows = append(rows, of[next[c]%len(of)])
		next[c]++
	}
	return samplesOf(task.Test.Select(rows))
}

func TestPerfectGeneratorOverUnequalTasks(t *testing.T) {
	rng := rand.New(rand.NewPCG(12, 7))
	images := func(counts ...int) *datasets.Images { // of classes 0, 1, 2
		var sets []*datasets.Images
		for c, n := range counts {
			if n > 0 {
				sets = append(sets, threeClasses(rng, n, c))
			}
		}
		all, err := datasets.Concat(sets...)
		if err != nil {
			t.Fatal(err)
		}
		return all
	}
	for _, tc := range []struct {
		name  string
		tasks []datasets.Task
		n     int
	}{
		{"equal", []datasets.Task{{Classes: []int{0}, Test: images(60)}, {Classes: []int{1}, Test: images(0, 60)}, {Classes: []int{2}, Test: images(0, 0, 60)}}, 60},
		{"two classes and one", []datasets.Task{{Classes: []int{0, 1}, Test: images(60, 60)}, {Classes: []int{2}, Test: images(0, 0, 60)}}, 120},
		{"one domain twice as large", []datasets.Task{{Classes: []int{0, 1, 2}, Test: images(30, 30, 30)}, {Classes: []int{0, 1, 2}, Test: images(60, 60, 60)}}, 90},
		{"N not divisible", []datasets.Task{{Classes: []int{0, 1, 2}, Test: images(50, 50, 50)}}, 100},
		{"classes of unequal size", []datasets.Task{{Classes: []int{0, 1}, Test: images(90, 30)}, {Classes: []int{2}, Test: images(0, 0, 80)}}, 100},
	} {
		t.Run(tc.name, func(t *testing.T) {
			e, err := NewEvaluator(new(thirds), tc.tasks, EvaluatorOptions{})
			if err != nil {
				t.Fatal(err)
			}
			var samples []*Samples
			for _, task := range tc.tasks {
				samples = append(samples, asked(task, tc.n))
			}
			tasks, union, err := e.Evaluate(len(tc.tasks)-1, samples, nil)
			if err != nil {
				t.Fatal(err)
			}
			// Exactly the shares of the reference images: nothing is left but rounding.
			if *union.LabelKL > 1e-12 || *union.LabelARD > 1e-12 {
				t.Errorf("label KL %g, ARD %g; want 0", *union.LabelKL, *union.LabelARD)
			}
			// Every feature is in [-1, 1]; between 30 of 60 images and all of them the means differ by 0.1 or so.
			if *union.FID > 0.02 {
				t.Errorf("union FID %g", *union.FID)
			}
			for j, m := range tasks {
				if *m.FID > 0.02 || *m.ClassAccuracy != 1 {
					t.Errorf("task %d: FID %g, accuracy %g", j, *m.FID, *m.ClassAccuracy)
				}
			}
		})
	}
}

func TestPooledSamplesOfUnequalTasksWouldBeWrong(t *testing.T) {
	// Ten classes as 3+3+3+1 with N samples a task: pooled as they are, nine classes have a share of 1/12 each and the last
	// one 3/12, where each is 1/10 of the images. 0.9·ln(12/10) + 0.1·ln(4/10) is 0.0725 nats, ½·(9/60 + 3/20) is 0.15.
	p, q := slices.Repeat([]float64{0.1}, 10), slices.Repeat([]float64{1. / 12}, 10)
	q[9] = 3. / 12
	kl, err := LabelKL(p, q)
	if err != nil {
		t.Fatal(err)
	}
	near(t, "KL", kl, 0.9*math.Log(1.2)+0.1*math.Log(0.4), 1e-6)
	if math.Abs(kl-0.0725) > 5e-5 {
		t.Errorf("KL = %g nats, want 0.0725", kl)
	}
	ard, err := LabelARD(p, q)
	if err != nil {
		t.Fatal(err)
	}
	near(t, "ARD", ard, 0.15, 1e-12)
	// The weights of these samples, which undo it: 12/10 and 4/10.
	images, wanted := []map[int]int{}, [][]int{}
	for _, classes := range [][]int{{0, 1, 2}, {3, 4, 5}, {6, 7, 8}, {9}} {
		counts, of := map[int]int{}, []int{}
		for i := range 30 {
			counts[classes[i%len(classes)]] = 100
			of = append(of, classes[i%len(classes)])
		}
		images, wanted = append(images, counts), append(wanted, of)
	}
	w, err := rowWeights(images, wanted)
	if err != nil {
		t.Fatal(err)
	}
	near(t, "weight of a class in three", w[0], 1.2, 1e-14)
	near(t, "weight of the class alone", w[len(w)-1], 0.4, 1e-14)
	h, err := weightedHistogram(slices.Concat(wanted...), 10, w)
	if err != nil {
		t.Fatal(err)
	}
	if kl, err = LabelKL(p, h); err != nil || kl > 1e-12 {
		t.Errorf("weighted KL = %g, error %v; want 0", kl, err)
	}
}
