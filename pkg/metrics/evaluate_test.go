package metrics

import (
	"bytes"
	"encoding/json"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"palimpsest/datasets"
	"palimpsest/pkg/results"

	"gonum.org/v1/gonum/mat"
)

// thirds is an extractor whose two features are an image's first two pixels, and whose label is
// 0, 1 or 2 by the third of [-1, 1] that the first pixel lies in.
type thirds struct{ calls int }

func (*thirds) Name() string              { return "thirds" }
func (*thirds) Identity() string          { return "3" }
func (*thirds) Dim() int                  { return 2 }
func (*thirds) ImageShape() (h, w, c int) { return 2, 2, 1 }
func (*thirds) Classes() int              { return 3 }
func (t *thirds) Features(images []float32, n int) (*mat.Dense, error) {
	f, _, err := t.Judge(images, n)
	return f, err
}

func (t *thirds) Judge(images []float32, n int) (*mat.Dense, []int, error) {
	t.calls++
	f, labels := mat.NewDense(n, 2, nil), make([]int, n)
	for i := range n {
		x := float64(images[4*i])
		f.SetRow(i, []float64{x, float64(images[4*i+1])})
		labels[i] = min(2, int((x+1)/2*3))
	}
	return f, labels, nil
}

// threeClasses makes n images of each of the given classes, as thirds sees them.
func threeClasses(rng *rand.Rand, n int, classes ...int) *datasets.Images {
	im := &datasets.Images{N: n * len(classes), H: 2, W: 2, C: 1}
	for _, c := range classes {
		for range n {
			im.Pixels = append(im.Pixels, uint8(85*c+1+rng.IntN(83)), uint8(rng.IntN(256)), uint8(rng.IntN(256)), uint8(rng.IntN(256)))
			im.Labels = append(im.Labels, int32(c))
		}
	}
	return im
}

func samplesOf(im *datasets.Images) *Samples {
	s := &Samples{Images: im.Scaled()}
	for _, l := range im.Labels {
		s.Labels = append(s.Labels, int(l))
	}
	return s
}

func testTasks() []datasets.Task {
	rng := rand.New(rand.NewPCG(3, 4))
	return []datasets.Task{
		{ID: 0, Classes: []int{0, 1}, Test: threeClasses(rng, 20, 0, 1)},
		{ID: 1, Classes: []int{2}, Test: threeClasses(rng, 20, 2)},
	}
}

// TestEvaluateLongTailed: tasks of one training image, and classes of one test image, are measured like others; what is not defined of
// them is null.
func TestEvaluateLongTailed(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	many, one := threeClasses(rng, 9, 0, 1), threeClasses(rng, 1, 2)
	rare, err := datasets.Concat(threeClasses(rng, 6, 2), threeClasses(rng, 1, 1))
	if err != nil {
		t.Fatal(err)
	}
	tasks := []datasets.Task{
		{ID: 0, Classes: []int{0}, Train: many, Test: many.Select([]int{0, 1, 2, 3, 4, 5, 6})},
		{ID: 1, Classes: []int{2, 1}, Train: one, Test: rare},
	}
	e, err := NewEvaluator(&thirds{}, tasks, EvaluatorOptions{AllowSmallN: true})
	if err != nil {
		t.Fatal(err)
	}
	for after := range tasks {
		copies, err := e.CopySets(after, one)
		if err != nil {
			t.Fatal(err)
		}
		measured, union, err := e.Evaluate(after, []*Samples{samplesOf(threeClasses(rng, 12, 0)), samplesOf(threeClasses(rng, 6, 2, 1))}, copies)
		if err != nil {
			t.Fatal(err)
		}
		for j, m := range measured {
			if m.FID == nil || math.IsNaN(*m.FID) || m.Recall == nil || m.ClassAccuracy == nil || *m.ClassAccuracy != 1 || m.Copies == nil {
				t.Errorf("after task %d, task %d measures %+v", after, j, m)
			}
		}
		if union.FID == nil || math.IsNaN(*union.FID) {
			t.Errorf("after task %d all tasks together measure %+v", after, union)
		}
	}
}

func TestEvaluatePerfectAndForgetful(t *testing.T) {
	tasks := testTasks()
	for j := range tasks {
		tasks[j].Train = tasks[j].Test // so that each is a copy of itself
	}
	ext := new(thirds)
	e, err := NewEvaluator(ext, tasks, EvaluatorOptions{})
	if err != nil {
		t.Fatal(err)
	}
	// The test images themselves: no distance, all classes right, and each a copy of itself.
	perfect := []*Samples{samplesOf(tasks[0].Test), samplesOf(tasks[1].Test)}
	copies, err := e.CopySets(1, tasks[0].Test.Select([]int{0}))
	if err != nil {
		t.Fatal(err)
	}
	got, union, err := e.Evaluate(1, perfect, copies)
	if err != nil {
		t.Fatal(err)
	}
	for j, m := range got {
		want := map[string][2]float64{"fid": {*m.FID, 0}, "precision": {*m.Precision, 1}, "recall": {*m.Recall, 1}, "coverage": {*m.Coverage, 1},
			"density": {*m.Density, 1}, "class accuracy": {*m.ClassAccuracy, 1}, "copies": {*m.MemorisedTrain, 1}}
		for name, v := range want {
			if math.Abs(v[0]-v[1]) > 1e-12 {
				t.Errorf("task %d: %s = %g, want %g", j, name, v[0], v[1])
			}
		}
		if m.MemorisedBuffer != nil {
			t.Errorf("task %d: memorised share %g of a buffer of one image; it is not defined", j, *m.MemorisedBuffer)
		}
		if m.Task != j || m.N != tasks[j].Test.N {
			t.Errorf("task %d: %d samples of task %d", j, m.N, m.Task)
		}
	}
	if *union.FID > 1e-12 || *union.LabelKL != 0 || *union.LabelARD != 0 || *union.ClassAccuracy != 1 || union.N != 60 {
		t.Errorf("union %+v", union)
	}

	// A model that has forgotten task 0 and answers every class with class 2.
	rng := rand.New(rand.NewPCG(8, 8))
	forgetful := samplesOf(threeClasses(rng, 40, 2))
	forgetful.Labels = perfect[0].Labels
	got, union, err = e.Evaluate(1, []*Samples{forgetful, perfect[1]}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if *got[0].ClassAccuracy != 0 || *got[0].Coverage > 0.5 || *got[0].FID < 0.5 || got[0].MemorisedTrain != nil {
		t.Errorf("task 0 forgotten: %+v", got[0])
	}
	// All of 60 samples are class 2 where a third should be: two thirds would have to change.
	if math.Abs(*union.LabelARD-2.0/3) > 1e-12 || *union.LabelKL < 1 || math.Abs(*union.ClassAccuracy-1.0/3) > 1e-12 {
		t.Errorf("union of a forgetful model: %+v", union)
	}
	// Two references, training images and the buffer, then one call an evaluation: the test images, of which those held out
	// are some, were seen once, and the samples of all tasks together.
	if ext.calls != 2+2+2 {
		t.Errorf("the extractor ran %d times, want 6", ext.calls)
	}
}

func TestEvaluateNotMeasured(t *testing.T) {
	tasks := testTasks()
	e, err := NewEvaluator(new(thirds), tasks, EvaluatorOptions{})
	if err != nil {
		t.Fatal(err)
	}
	s := samplesOf(tasks[0].Test)
	got, union, err := e.Evaluate(1, []*Samples{s, nil}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if got[1].N != 0 || got[1].FID != nil || union.N != 0 || union.FID != nil {
		t.Errorf("without samples of task 1: %+v, union %+v", got[1], union)
	}
	text, err := json.Marshal(got[1])
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(text), `"fid":null`) {
		t.Errorf("JSON %s, want null for what was not measured", text)
	}
	// After task 0 the union is of task 0 alone.
	if _, union, err = e.Evaluate(0, []*Samples{s, samplesOf(tasks[1].Test)}, nil); err != nil || *union.FID > 1e-12 || union.N != 40 {
		t.Errorf("union after task 0: %+v, error %v", union, err)
	}
	// An unconditional model has no wanted labels.
	judged, err := e.Judge(Samples{Images: s.Images})
	if err != nil {
		t.Fatal(err)
	}
	union, err = e.Union([]*Judged{judged}, 1)
	if err != nil || union.ClassAccuracy != nil || *union.LabelKL != 0 {
		t.Errorf("unconditional: %+v, error %v", union, err)
	}
}

func TestEvaluateSharedLabels(t *testing.T) {
	// Two domains share the label 0; the labeller calls it 0 in one and 1 in the other.
	rng := rand.New(rand.NewPCG(5, 5))
	second := threeClasses(rng, 20, 1)
	clear(second.Labels)
	tasks := []datasets.Task{{Classes: []int{0}, Test: threeClasses(rng, 20, 0)}, {ID: 1, Classes: []int{0}, Test: second}}
	for shared, want := range map[int]float64{0: 0, 1: 1} {
		e, err := NewEvaluator(new(thirds), tasks, EvaluatorOptions{SharedClasses: shared})
		if err != nil {
			t.Fatal(err)
		}
		judged, err := e.Judge(*samplesOf(second))
		if err != nil {
			t.Fatal(err)
		}
		m, err := e.Task(1, judged, nil)
		if err != nil {
			t.Fatal(err)
		}
		if *m.ClassAccuracy != want {
			t.Errorf("SharedClasses %d: class accuracy %g, want %g", shared, *m.ClassAccuracy, want)
		}
	}
}

// features2 is an extractor with a feature of its own, the last pixel.
type features2 struct{ thirds }

func (*features2) Identity() string { return "2" }
func (*features2) Features(images []float32, n int) (*mat.Dense, error) {
	f := mat.NewDense(n, 1, nil)
	for i := range n {
		f.Set(i, 0, float64(images[4*i+3]))
	}
	return f, nil
}

// sameAlways is an extractor that sees the same in all images.
type sameAlways struct{ thirds }

func (*sameAlways) Identity() string { return "same" }
func (*sameAlways) Features(_ []float32, n int) (*mat.Dense, error) {
	f := mat.NewDense(n, 2, nil)
	for i := range n {
		f.SetRow(i, []float64{0.1, 0.7})
	}
	return f, nil
}

// TestEvaluatorSameFeatures: an extractor that tells no images apart is refused, unless there are none to tell apart.
func TestEvaluatorSameFeatures(t *testing.T) {
	tasks := testTasks()
	if _, err := NewEvaluator(onlyExtractor{new(sameAlways)}, tasks, EvaluatorOptions{}); err == nil || !strings.Contains(err.Error(), "gives the same 2 features for all test images") {
		t.Errorf("features of all images the same: %v", err)
	}
	for i := range tasks {
		im := *tasks[i].Test
		im.Pixels = bytes.Repeat([]byte{9, 9, 9, 9}, im.N)
		tasks[i].Test = &im
	}
	if _, err := NewEvaluator(onlyExtractor{new(sameAlways)}, tasks, EvaluatorOptions{}); err != nil {
		t.Errorf("images all the same: %v", err)
	}
}

// onlyExtractor hides that a Labeller is one.
type onlyExtractor struct{ Extractor }

func TestEvaluateWithLabellerBesideExtractor(t *testing.T) {
	tasks := testTasks()
	ext := onlyExtractor{new(features2)}
	s := samplesOf(tasks[0].Test)
	for _, tc := range []struct {
		labeller Labeller
		labelled bool
	}{{nil, false}, {new(thirds), true}} {
		e, err := NewEvaluator(ext, tasks, EvaluatorOptions{Labeller: tc.labeller})
		if err != nil {
			t.Fatal(err)
		}
		judged, err := e.Judge(*s)
		if err != nil {
			t.Fatal(err)
		}
		if _, d := judged.features.Dims(); d != 1 {
			t.Errorf("%d features, want the extractor's one", d)
		}
		m, err := e.Task(0, judged, nil)
		if err != nil {
			t.Fatal(err)
		}
		u, err := e.Union([]*Judged{judged}, 0)
		if err != nil {
			t.Fatal(err)
		}
		if (m.ClassAccuracy != nil) != tc.labelled || (u.LabelKL != nil) != tc.labelled || u.FID == nil {
			t.Errorf("labeller %v: task %+v, union %+v", tc.labeller, m, u)
		}
	}
}

func TestEvaluateQuantises(t *testing.T) {
	// Within half a level of a real image a sample is that image; beyond [-1, 1] it is clamped.
	tasks := testTasks()
	e, err := NewEvaluator(new(thirds), tasks, EvaluatorOptions{})
	if err != nil {
		t.Fatal(err)
	}
	s := samplesOf(tasks[0].Test)
	for i := range s.Images {
		s.Images[i] += 0.4 / 127.5
	}
	m, err := e.Judge(*s)
	if err != nil {
		t.Fatal(err)
	}
	got, err := e.Task(0, m, nil)
	if err != nil {
		t.Fatal(err)
	}
	if *got.FID > 1e-12 {
		t.Errorf("FID of images off by 0.4 levels is %g, want 0", *got.FID)
	}
}

func TestEvaluateErrors(t *testing.T) {
	tasks := testTasks()
	e, err := NewEvaluator(new(thirds), tasks, EvaluatorOptions{})
	if err != nil {
		t.Fatal(err)
	}
	bad := samplesOf(tasks[0].Test)
	bad.Images[5] = float32(math.NaN())
	if _, err := e.Judge(*bad); err == nil || !strings.Contains(err.Error(), "image 1") {
		t.Errorf("NaN in image 1: error %v", err)
	}
	if _, err := e.Judge(Samples{Images: make([]float32, 9)}); err == nil {
		t.Error("2¼ images gave no error")
	}
	if _, err := e.Judge(Samples{Images: make([]float32, 8), Labels: []int{1}}); err == nil {
		t.Error("1 label for 2 images gave no error")
	}
	few := samplesOf(threeClasses(rand.New(rand.NewPCG(1, 1)), 5, 0))
	judged, err := e.Judge(*few)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := e.Task(0, judged, nil); err == nil || !strings.Contains(err.Error(), "more than k") {
		t.Errorf("5 samples for k = 5: error %v", err)
	}
	if _, _, err := e.Evaluate(2, make([]*Samples, 2), nil); err == nil {
		t.Error("after task 2 of 2 gave no error")
	}
	tasks[1].Classes = []int{3}
	if _, err := NewEvaluator(new(thirds), tasks, EvaluatorOptions{}); err == nil || !strings.Contains(err.Error(), "class 3") {
		t.Errorf("a class the labeller does not know: error %v", err)
	}
	tasks[1].Classes = []int{2, 0}
	if _, err := NewEvaluator(new(thirds), tasks, EvaluatorOptions{}); err == nil || !strings.Contains(err.Error(), "no reference images of its class 0") {
		t.Errorf("a class without test images: error %v", err)
	}
	tasks[1].Test = &datasets.Images{N: 1, H: 3, W: 2, C: 1, Pixels: make([]uint8, 6), Labels: []int32{2}}
	if _, err := NewEvaluator(new(thirds), tasks, EvaluatorOptions{}); err == nil || !strings.Contains(err.Error(), "3×2") {
		t.Errorf("images of another size: error %v", err)
	}
}

func TestDescribe(t *testing.T) {
	var p results.Protocol
	e, err := NewEvaluator(new(thirds), testTasks(), EvaluatorOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if err := e.Describe(&p); err != nil {
		t.Fatal(err)
	}
	if p.ReferenceSplit != "test" || p.ReferenceImages != 20 || p.Extractor != "thirds" || p.ExtractorSHA256 != "3" ||
		p.FeatureDim != 2 || p.NearestK != 5 || p.MemorisedRatio != 1.0/3 {
		t.Errorf("protocol %+v", p)
	}
}
