package study

import (
	"math"
	"testing"

	"palimpsest/pkg/results"
	"palimpsest/pkg/results/resultstest"
)

// twoSeeds is one method on two tasks with the matrices of FID (lower is better) and class accuracy below.
func twoSeeds() Method {
	make := func(seed uint64, fid, accuracy [3]float64, buffer float64) *results.Run { // R[0][0], R[1][0], R[1][1]
		r := resultstest.NewRun("er", "er", seed, 2)
		r.Evaluations = []results.Evaluation{
			{AfterTask: 0, Step: 10, Tasks: []results.TaskMetrics{{Task: 0, FID: resultstest.Float(fid[0]), ClassAccuracy: resultstest.Float(accuracy[0])}}},
			{AfterTask: 1, Step: 20, Tasks: []results.TaskMetrics{
				{Task: 0, FID: resultstest.Float(fid[1]), ClassAccuracy: resultstest.Float(accuracy[1]), MemorisedBuffer: resultstest.Float(buffer)},
				{Task: 1, FID: resultstest.Float(fid[2]), ClassAccuracy: resultstest.Float(accuracy[2])},
			}, Union: results.UnionMetrics{LabelKL: resultstest.Float(float64(seed))}},
		}
		return r
	}
	return Group([]*results.Run{
		make(1, [3]float64{12, 36, 28}, [3]float64{0.8, 0.2, 0.9}, 0.3),
		make(0, [3]float64{10, 30, 20}, [3]float64{0.9, 0.4, 0.8}, 0.5),
	})[0]
}

// near compares a Stat with a mean and the difference of two seeds, whose sample deviation is |a-b|/sqrt(2).
func near(t *testing.T, name string, s Stat, a, b float64) {
	t.Helper()
	mean, std := (a+b)/2, math.Abs(a-b)/math.Sqrt2
	if s.N != 2 || math.Abs(s.Mean-mean) > 1e-12 || math.Abs(s.Std-std) > 1e-12 {
		t.Errorf("%s is %g ± %g over %d seeds, want %g ± %g over 2", name, s.Mean, s.Std, s.N, mean, std)
	}
}

func TestSummaryByHand(t *testing.T) {
	s := twoSeeds().Summary()
	near(t, "final FID", s.FID, (30+20)/2.0, (36+28)/2.0)
	near(t, "FID forgetting", s.FIDForgetting, 30-10, 36-12)
	near(t, "FID of the last task", s.LastTaskFID, 20, 28)
	near(t, "average incremental FID", s.IncrementalFID, (10+25)/2.0, (12+32)/2.0)
	near(t, "class accuracy", s.ClassAccuracy, 0.6, 0.55)
	near(t, "class accuracy forgotten", s.AccuracyForgetting, 0.9-0.4, 0.8-0.2) // positive: higher is better and it fell
	near(t, "buffer copies over the tasks in the buffer", s.MemorisedBuffer, 0.5, 0.3)
	near(t, "label KL", s.LabelKL, 0, 1)
	if s.Coverage.Known() || !math.IsNaN(s.Coverage.Mean) {
		t.Errorf("coverage is %+v although no run measured it", s.Coverage)
	}
}

func TestSummaryWeighsTasks(t *testing.T) {
	// The first task has a quarter of the reference images.
	m := twoSeeds()
	for _, r := range m.Runs {
		r.Protocol.TaskWeights = []float64{0.25, 0.75}
	}
	s := m.Summary()
	near(t, "final FID", s.FID, 30*0.25+20*0.75, 36*0.25+28*0.75)
	near(t, "FID forgetting, of one old task", s.FIDForgetting, 30-10, 36-12)
	near(t, "average incremental FID", s.IncrementalFID, (10+22.5)/2, (12+30)/2.0)
	near(t, "class accuracy", s.ClassAccuracy, 0.4*0.25+0.8*0.75, 0.2*0.25+0.9*0.75)
	near(t, "buffer copies over the tasks in the buffer", s.MemorisedBuffer, 0.5, 0.3)
	// What is told apart, and ranked, is what the table shows.
	other := twoSeeds()
	other.Label = "other"
	for _, r := range other.Runs {
		r.Strategy.Label, r.Protocol.TaskWeights = "other", []float64{0.25, 0.75}
	}
	b, _, err := newBlocks([]Method{m, other}, FinalOf(FID))
	if err != nil {
		t.Fatal(err)
	}
	near(t, "mean of a block's tasks", b.bySeed(0), 30*0.25+20*0.75, 36*0.25+28*0.75)
	// Results from before tasks were weighed are told from those that are, unless tasks are equal.
	if w := Warnings([]Method{m, twoSeeds()}); len(w) != 1 {
		t.Errorf("warnings %q, want one about what tasks count", w)
	}
	for _, r := range m.Runs {
		r.Protocol.TaskWeights = []float64{0.5, 0.5}
	}
	if w := Warnings([]Method{m, twoSeeds()}); len(w) != 0 {
		t.Errorf("equal tasks: warnings %q", w)
	}
}

func TestSummaryOfMissingCells(t *testing.T) {
	m := twoSeeds()
	m.Runs[1].Evaluations[1].Tasks[0].FID = nil
	s := m.Summary()
	if s.FID.N != 1 || s.FID.Mean != 25 || s.FID.HasSpread() {
		t.Errorf("final FID is %+v, want the one complete seed's 25", s.FID)
	}
	if s.LastTaskFID.N != 2 {
		t.Errorf("FID of the last task is over %d seeds, want 2: its cell is there", s.LastTaskFID.N)
	}
}

func TestJointHasNoForgetting(t *testing.T) {
	m := twoSeeds()
	for _, r := range m.Runs {
		r.Evaluations = r.Evaluations[1:]
	}
	s := m.Summary()
	if s.FIDForgetting.Known() || s.IncrementalFID.Known() || s.FID.N != 2 {
		t.Errorf("measured at the end only: forgetting %+v, average incremental %+v, final %+v", s.FIDForgetting, s.IncrementalFID, s.FID)
	}
}

func TestStatFormat(t *testing.T) {
	for _, tc := range []struct {
		values []float64
		want   string
	}{
		{nil, "–"},
		{[]float64{math.NaN()}, "–"},
		{[]float64{2.25}, "2.2"},
		{[]float64{1, 3}, "2.0 ± 1.4"},
		{[]float64{-1, -3, math.NaN()}, "−2.0 ± 1.4"},
		{[]float64{-0.01}, "0.0"}, // no "−0.0"
	} {
		if got := NewStat(tc.values).Format(1); got != tc.want {
			t.Errorf("%v shows as %q, want %q", tc.values, got, tc.want)
		}
	}
}

func TestGroupOrder(t *testing.T) {
	var runs []*results.Run
	for _, m := range [][2]string{{"joint", "joint"}, {"er", "er λ=10"}, {"er", "er λ=0.3"}, {"cumulative", "cumulative"}, {"er", "er λ=1"}, {"finetune", "finetune"}, {"er", "er λ=1"}} {
		runs = append(runs, resultstest.NewRun(m[0], m[1], uint64(10-len(runs)), 2))
	}
	methods := Group(runs)
	want := []string{"finetune", "er λ=0.3", "er λ=1", "er λ=10", "cumulative", "joint"}
	if len(methods) != len(want) {
		t.Fatalf("%d methods, want %d", len(methods), len(want))
	}
	for i, m := range methods {
		if m.Label != want[i] {
			t.Errorf("method %d is %q, want %q", i, m.Label, want[i])
		}
	}
	if two := methods[2].Runs; len(two) != 2 || two[0].Seed > two[1].Seed {
		t.Errorf("er λ=1 should have its two runs in the order of their seeds")
	}
}

// The column of a metric is its final average, in per cent where it is a share; of copies of the buffer over the tasks in it.
func TestColumnOf(t *testing.T) {
	m := twoSeeds()
	near(t, "buffer copies, of the one task in the buffer", m.ColumnOf(MemorisedBuffer), 50, 30)
	if s := m.ColumnOf(MemorisedTrain); s.Known() {
		t.Errorf("copies of training images are %+v, though no run measured them", s)
	}
	for _, metric := range Metrics() {
		c := metric.InTable
		if (c.Section == "") != (c.Head == "") || c.Section != "" && (c.Long == "" || c.Least > c.Most || c.Section != Quality && c.Section != Variety) {
			t.Errorf("the column of %s is %+v", metric.Name, c)
		}
		if metric.Qualifies != (metric.Arrow() == "") {
			t.Errorf("%s has the arrow %q", metric.Name, metric.Arrow())
		}
	}
}
