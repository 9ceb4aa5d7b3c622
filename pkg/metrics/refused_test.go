package metrics

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"palimpsest/datasets"
	"palimpsest/pkg/backend/backendtest"

	"gonum.org/v1/gonum/mat"
)

// What no measure is defined for is one error that says what was found and what is needed: no panic, and no number.
func TestRefused(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	a, b := normals(rng, 20, 4), normals(rng, 20, 4)
	scaled := func(m *mat.Dense, by float64) *mat.Dense {
		var out mat.Dense
		out.Scale(by, m)
		return &out
	}
	twice := mat.NewDense(40, 4, nil)
	for i := range 40 {
		twice.SetRow(i, a.RawRowView(i%2))
	}
	stats, err := NewStats(a)
	if err != nil {
		t.Fatal(err)
	}
	weights := func(of ...float64) KIDOptions {
		w := make([]float64, 20)
		for i := range w {
			w[i] = of[i%len(of)]
		}
		return KIDOptions{Weights: w}
	}
	one := make([]float64, 20)
	one[7] = 20
	kid := func(a, b *mat.Dense, opt KIDOptions) func() (any, error) {
		return func() (any, error) { r, err := KID(a, b, opt); return r.Mean, err }
	}
	fid := func(a, b *Stats) func() (any, error) {
		return func() (any, error) { return Frechet(a, b, FIDOptions{AllowSmallN: true}) }
	}
	fld := func(train, test, generated *mat.Dense) func() (any, error) {
		return func() (any, error) { return FLD(train, test, generated, 0) }
	}
	set := func(pixels []float32, h, w, c int) func() (any, error) {
		return func() (any, error) { _, err := NewMirroredSet(pixels, h, w, c); return nil, err }
	}
	e, err := NewEvaluator(new(thirds), testTasks(), EvaluatorOptions{})
	if err != nil {
		t.Fatal(err)
	}
	judged, err := e.Judge(*samplesOf(testTasks()[0].Test))
	if err != nil {
		t.Fatal(err)
	}
	evaluator := func(x Extractor, opt EvaluatorOptions) func() (any, error) {
		return func() (any, error) { _, err := NewEvaluator(x, testTasks(), opt); return nil, err }
	}
	back := backendtest.Open(t)
	for name, tc := range map[string]struct {
		call func() (any, error)
		want string
	}{
		"weights that sum to 2M":       {kid(a, b, weights(2)), "all sum to 40"},
		"weights that sum to 0":        {kid(a, b, weights(0)), "all sum to 0"},
		"negative weights":             {kid(a, b, weights(-1, 3)), "image 0 is -1"},
		"weights that are NaN":         {kid(a, b, weights(math.NaN())), "image 0 is NaN"},
		"infinite weights":             {kid(a, b, weights(1, math.Inf(1))), "image 1 is +Inf"},
		"all weight on one":            {kid(a, b, KIDOptions{Weights: one}), "1 of 20 weights are above 0"},
		"a slip of the keyboard":       {kid(a, b, KIDOptions{Subsets: 1 << 50, SubsetSize: 5}), "1125899906842624 subsets"},
		"KID of huge features":         {kid(scaled(a, 1e60), b, KIDOptions{}), "overflow"},
		"KID of subsets of them":       {kid(scaled(a, 1e60), b, KIDOptions{Subsets: 2, SubsetSize: 5}), "overflow"},
		"no statistics":                {fid(nil, nil), "the first set has no mean"},
		"one without":                  {fid(stats, nil), "the second set has no mean"},
		"empty statistics":             {fid(new(Stats), new(Stats)), "the first set has no mean"},
		"no covariance":                {fid(stats, &Stats{N: 20, Mean: make([]float64, 4)}), "the second set has no mean"},
		"another's covariance":         {fid(stats, &Stats{N: 20, Mean: make([]float64, 4), Cov: mat.NewSymDense(3, nil)}), "the second set has no mean"},
		"a mean that is NaN":           {fid(stats, &Stats{N: 20, Mean: []float64{0, 0, 0, math.NaN()}, Cov: mat.NewSymDense(4, nil)}), "sum to NaN"},
		"FID of huge features":         {func() (any, error) { return FID(a, scaled(b, 1e200), FIDOptions{}) }, "overflow"},
		"a product that overflows":     {func() (any, error) { return FID(scaled(a, 1e110), scaled(b, 1e110), FIDOptions{}) }, "overflow"},
		"training images all alike":    {fld(mat.NewDense(20, 4, nil), b, a), "each of 10 training images is repeated"},
		"two training images 20 times": {fld(twice, b, a), "each of 20 training images is repeated"},
		"FLD of huge features":         {fld(scaled(a, 1e200), scaled(b, 1e200), scaled(a, 1e200)), "overflow"},
		"of huge samples":              {fld(a, b, scaled(b, 1e200)), "overflow"},
		"of large test images":         {fld(scaled(a, 1e154), scaled(b, 1e154), scaled(a, 1e154)), "overflow"},
		"too many classes":             {func() (any, error) { return LabelHistogram(nil, math.MaxInt) }, "need 1 to 1048576"},
		"counts that overflow":         {func() (any, error) { return LabelKL([]float64{1e308, 1e308}, []float64{1, 1}) }, "sums to +Inf"},
		"tasks that overflow":          {func() (any, error) { return TaskWeights([]int{math.MaxInt, math.MaxInt}) }, "task 1 has 9223372036854775807"},
		"an image of negative sides":   {set(make([]float32, 12), -2, -2, 3), "-2×-2 with 3 channels"},
		"images too large":             {set(nil, 1<<20, 1<<20, 3), "1048576×1048576"},
		"sides whose product is 0":     {set(make([]float32, 12), 1<<32, 1<<32, 1), "4294967296×4294967296"},
		"pixels far off":               {set([]float32{0, 1, 2, -1e30}, 1, 2, 2), "value 3 is -1e+30"},
		"no sets":                      {func() (any, error) { return JoinDatasets() }, "no sets"},
		"a set that is nil":            {func() (any, error) { return JoinDatasets(nil) }, "set 0: no set (nil)"},
		"no extractor":                 {evaluator(nil, EvaluatorOptions{}), "no extractor"},
		"negative k":                   {evaluator(new(thirds), EvaluatorOptions{K: -1}), "K is -1"},
		"a ratio that is NaN":          {evaluator(new(thirds), EvaluatorOptions{CopyRatio: math.NaN()}), "CopyRatio NaN"},
		"no protocol":                  {func() (any, error) { return nil, e.Describe(nil) }, "no protocol"},
		"samples of none":              {func() (any, error) { return e.Task(0, nil, nil) }, "not judged"},
		"samples not judged":           {func() (any, error) { return e.Task(0, new(Judged), nil) }, "not judged"},
		"a union of none":              {func() (any, error) { return e.Union([]*Judged{nil}, 0) }, "not judged"},
		"copy sets of one's own":       {func() (any, error) { return e.Task(0, judged, new(CopySets)) }, "Evaluator.CopySets"},
		"no backend": {func() (any, error) {
			return LoadClassifier(nil, "fashion-mnist", datasets.Prep{Size: 16, Method: "area"})
		}, "no backend"},
		"no name of a file":            {func() (any, error) { return LoadClassifierFile(back, "") }, "no name of a classifier"},
		"no folder":                    {func() (any, error) { return ReadClassifier(back, nil, "x") }, "no folder"},
		"no images to judge":           {func() (any, error) { _, err := new(Classifier).Accuracy(nil); return nil, err }, "no images"},
		"a classifier without weights": {func() (any, error) { return new(Classifier).Features(make([]float32, 4), 1) }, "no weights"},
		"nothing to train on": {func() (any, error) {
			return TrainClassifier(t.Context(), back, nil, datasets.Prep{}, DefaultTrainConfig("mnist", 16), nil)
		}, "without training or test images"},
		"no size of images": {func() (any, error) { return LoadONNX(back, "testdata/onnx-nchw.onnx", 0, 8, 3) }, "0×8"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := tc.call()
			if err == nil || !strings.Contains(err.Error(), tc.want) || strings.Contains(err.Error(), "\n") {
				t.Errorf("%v and error %v, want an error of one line with %q", got, err, tc.want)
			}
			if v, number := got.(float64); number && !math.IsNaN(v) {
				t.Errorf("%g beside an error, want NaN", v)
			}
			if errors.As(err, new(NotFinite)) != (tc.want == "overflow" || slices.Contains([]string{"a mean that is NaN", "pixels far off"}, name)) {
				t.Errorf("%v: is it of numbers that diverged?", err)
			}
		})
	}
	if got := panicOf(func() { NewMatrix("fid", LowerIsBetter, -1) }); !strings.Contains(got, "-1 tasks") {
		t.Errorf("a matrix of -1 tasks panics with %q", got)
	}
}

// panicOf is what f panics with.
func panicOf(f func()) (text string) {
	defer func() { text = fmt.Sprint(recover()) }()
	f()
	return ""
}

// A matrix of fewer cells than it needs, as a file may hold, has not measured them.
func TestMatrixOfShortRows(t *testing.T) {
	for _, text := range []string{`{"direction":"lower","r":[[],[]]}`, `{"direction":"lower","r":[[1],[2]]}`} {
		var m Matrix
		if err := json.Unmarshal([]byte(text), &m); err != nil {
			t.Fatal(err)
		}
		if got := []float64{m.Final(), m.AverageIncremental()}; !math.IsNaN(got[0]) || !math.IsNaN(got[1]) {
			t.Errorf("%s: final and average are %g, want NaN", text, got)
		}
		if f := m.Forgetting().SinceLearned; len(m.R[0]) == 1 && f != 1 {
			t.Errorf("%s: forgetting of task 0 is %g, want 1", text, f)
		}
	}
}

// FLD of training images that are all alike is null, not a number without meaning; everything else is measured.
func TestEvaluatorOfTrainingImagesAllAlike(t *testing.T) {
	tasks := testTasks()
	for j := range tasks {
		same := *tasks[j].Test
		same.Rows, same.Pixels = nil, slices.Repeat(same.Image(0), same.N)
		tasks[j].Train = &same
	}
	e, err := NewEvaluator(struct{ Extractor }{new(thirds)}, // which names no classes
		tasks, EvaluatorOptions{})
	if err != nil {
		t.Fatal(err)
	}
	judged, err := e.Judge(*samplesOf(tasks[0].Test))
	if err != nil {
		t.Fatal(err)
	}
	m, err := e.Task(0, judged, nil)
	if err != nil {
		t.Fatal(err)
	}
	if m.FLD != nil || m.FID == nil || m.Vendi == nil {
		t.Errorf("FLD %v, FID %v and Vendi score %v; want the first alone null", m.FLD, m.FID, m.Vendi)
	}
}
