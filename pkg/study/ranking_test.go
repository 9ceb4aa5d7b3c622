package study

import (
	"math"
	"slices"
	"strings"
	"testing"

	"palimpsest/pkg/results"
	"palimpsest/pkg/results/resultstest"
)

func TestByTask(t *testing.T) {
	r := resultstest.Finals("er", "er", 0, 10, 20, 30)
	if got := FinalOf(FID).byTask(r); !slices.Equal(got, []float64{10, 20, 30}) {
		t.Errorf("final FID by task is %v", got)
	}
	if got := ForgettingOf(FID).byTask(r); !slices.Equal(got, []float64{1, 2}) {
		t.Errorf("forgetting by task is %v, want 1 and 2", got)
	}
}

// Numbers of methods pair by seed: what a seed does to both alike falls out.
func TestMethodsPairBySeed(t *testing.T) {
	var a, b Method
	for seed := range uint64(3) {
		base, off := 10*float64(seed), 0.1*float64(seed)
		a.Runs = append(a.Runs, resultstest.Finals("er", "a", seed, base+2, base+52, base+102+off))
		b.Runs = append(b.Runs, resultstest.Finals("er", "b", seed, base, base+50, base+100))
	}
	n := FinalOf(FID)
	if d := Compare(a.Over(n.Of), b.Over(n.Of)); math.Abs(d.Value-2-0.1/3) > 1e-9 || d.Sign() != 1 || !strings.HasPrefix(d.Rule(), "paired t over 3 seeds") {
		t.Errorf("%+v by %s; want 2.03 by the paired t", d, d.Rule())
	}
	for i, r := range a.Runs {
		r.Seed = uint64(7 + i)
	}
	if d := Compare(a.Over(n.Of), b.Over(n.Of)); d.Sign() != 0 || !strings.HasPrefix(d.Rule(), "Welch's t over 3 and 3 seeds") {
		t.Errorf("other seeds: %+v by %s; want nothing told apart, by Welch's t", d, d.Rule())
	}
}

func TestRanking(t *testing.T) {
	var runs []*results.Run
	for seed := range uint64(3) {
		d := float64(seed)
		off := []float64{0.3, -0.6, 0.3}[seed] // so that differences have a spread
		runs = append(runs,
			resultstest.Finals("finetune", "finetune", seed, 90+d, 80+d, 20+d+off),
			resultstest.Finals("er", "er λ=1", seed, 30+d, 30+d, 25+d),
			resultstest.Finals("ewc", "ewc", seed, 31+d, 28+d, 26+d), // better on one task of three, worse on the other two
			resultstest.Finals("joint", "joint", seed, 10+d, 10+d, 10+d-off))
	}
	runs[1].Strategy.Settings = map[string]any{"lambda": 1}
	r, err := NewRanking(Group(runs), FinalOf(FID), "")
	if err != nil {
		t.Fatal(err)
	}
	// Ranks by hand, tasks 1 to 3: joint 1 1 1; er 2 3 3; ewc 3 2 4; finetune 4 4 2.
	want := []struct {
		label            string
		rank, difference float64
	}{{"joint", 1, -18.333333}, {"er λ=1", 8.0 / 3, 0}, {"ewc", 3, 0}, {"finetune", 10.0 / 3, 35}}
	if r.Reference != "er λ=1" || len(r.Rows) != len(want) || r.Tasks != 3 || len(r.Seeds) != 3 {
		t.Fatalf("%+v", r)
	}
	for i, w := range want {
		got := r.Rows[i]
		if got.Method.Label != w.label || math.Abs(got.Rank.Value-w.rank) > 1e-9 || math.Abs(got.Difference.Value-w.difference) > 1e-5 {
			t.Errorf("row %d is %s, rank %+v, difference %+v; want %+v", i, got.Method.Label, got.Rank, got.Difference, w)
		}
	}
	if joint := r.Rows[0]; joint.Rank.Low != 1 || joint.Rank.High != 1 || joint.Level != 0 || joint.Difference.Sign() != -1 {
		t.Errorf("joint is first in every block: %+v", joint)
	}
	if ewc := r.Rows[2]; ewc.Difference.Sign() != 0 || !math.IsNaN(r.Rows[1].Corrected) {
		t.Errorf("ewc is not told apart from er: %+v; the reference is not compared with itself: %g", ewc.Difference, r.Rows[1].Corrected)
	}
	if r.Overall.Blocks != 9 || r.BySeed.Blocks != 3 {
		t.Errorf("%d blocks and %d seeds, want 9 and 3", r.Overall.Blocks, r.BySeed.Blocks)
	}
	text := strings.Join(r.Sentences(), "\n")
	for _, want := range []string{"joint has the best mean rank, 1.0 [1.0, 1.0] of 4; the paired t over 3 seeds tells it apart from 3 of the 3 others, with Holm's correction for them from 3.",
		"Against er λ=1 by the paired t, with Holm's correction for 3 comparisons. Better: joint; not told apart: ewc; worse: finetune."} {
		if !strings.Contains(text, want) {
			t.Errorf("missing %q in:\n%s", want, text)
		}
	}
	// Accuracy is turned: the highest ranks first.
	for _, run := range runs {
		for i := range run.Evaluations {
			for j := range run.Evaluations[i].Tasks {
				m := &run.Evaluations[i].Tasks[j]
				m.ClassAccuracy = resultstest.Float(*m.FID / 100)
			}
		}
	}
	if r, err = NewRanking(Group(runs), FinalOf(ClassAccuracy), "joint"); err != nil || r.Rows[3].Method.Label != "joint" || r.Reference != "joint" {
		t.Errorf("by accuracy: %+v, %v; want joint last", r, err)
	}
	if _, err = NewRanking(Group(runs), FinalOf(FID), "mas"); err == nil || !strings.Contains(err.Error(), `no method labelled "mas"`) {
		t.Errorf("an unknown reference gives %v", err)
	}
}

// Told apart alone but not with the correction is said so: of three comparisons with er, one by p = 0.03 alone.
func TestRankingCorrects(t *testing.T) {
	var runs []*results.Run
	for seed := range uint64(3) {
		d := float64(seed)
		off := []float64{0, 0.4, 0.9}[seed]
		runs = append(runs, resultstest.Finals("er", "er", seed, 30+d, 30+d), resultstest.Finals("ewc", "ewc", seed, 31+d+off, 31+d+off),
			resultstest.Finals("si", "si", seed, 30+d-off, 30+d+off), resultstest.Finals("mas", "mas", seed, 29.8+d+off, 30+d))
	}
	r, err := NewRanking(Group(runs), FinalOf(FID), "er")
	if err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(r.Rows, func(m RankedMethod) bool { return m.Method.Label == "ewc" })
	// Differences 1, 1.4, 1.9.
	mean, statistic := 4.3/3, 4.3/3/(math.Sqrt((math.Pow(1-4.3/3, 2)+math.Pow(1.4-4.3/3, 2)+math.Pow(1.9-4.3/3, 2))/2)/math.Sqrt(3))
	p := 1 - statistic/math.Sqrt(statistic*statistic+2)
	if row := r.Rows[i]; math.Abs(row.Difference.Value-mean) > 1e-9 || math.Abs(row.Difference.P-p) > 1e-9 || math.Abs(row.Corrected-3*p) > 1e-9 {
		t.Errorf("%+v; want a difference of %g, p = %g, %g corrected for three", row, mean, p, 3*p)
	}
	text := r.Sentences()[1]
	for _, want := range []string{"not told apart: mas and si", "worse by its own p, not with Holm's correction: ewc", "worse: none"} {
		if !strings.Contains(text, want) {
			t.Errorf("missing %q in %q", want, text)
		}
	}
	table := r.Table()
	for _, want := range []string{RuleNote, "Of all 6 pairs of methods"} {
		if !strings.Contains(table.Markdown(), want) {
			t.Errorf("the table lacks %q", want)
		}
	}
}

// Joint training has no forgetting: it is left out and named.
func TestRankingLeavesOut(t *testing.T) {
	r, err := NewRanking(Group(resultstest.MadeUp(2)), ForgettingOf(FID), "finetune")
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(r.Left, []string{"joint"}) || len(r.Rows) != 3 {
		t.Errorf("left out %v of %d rows; want joint", r.Left, len(r.Rows))
	}
	if !strings.Contains(r.Table().Markdown(), "was not measured for every task: joint.") {
		t.Error("the table does not say who is left out")
	}
	one, err := NewRanking(Group(resultstest.MadeUp(1)), FinalOf(FID), "")
	if err != nil {
		t.Fatal(err)
	}
	if !math.IsNaN(one.Rows[0].Rank.Low) || !strings.Contains(one.Sentences()[0], "one seed does not say") {
		t.Errorf("one seed gives an interval: %+v, %v", one.Rows[0], one.Sentences())
	}
}

func TestByBenchmark(t *testing.T) {
	parts := ByBenchmark(Group([]*results.Run{resultstest.Finals("er", "long", 0, 1, 2, 3), resultstest.Finals("er", "b", 0, 1, 2), resultstest.Finals("er", "a", 0, 1, 2)}))
	if len(parts) != 2 || len(parts[0]) != 2 || parts[1][0].Label != "long" {
		t.Errorf("%v", parts)
	}
	// As many tasks of another data set, or in another order, are another benchmark.
	other, order, same := resultstest.Finals("er", "c", 0, 1, 2), resultstest.Finals("er", "d", 0, 1, 2), resultstest.Finals("er", "e", 0, 1, 2)
	other.Benchmark.Dataset = "mnist, 2 tasks of 2 classes"
	order.Config["benchmark"] = map[string]any{"class_order": "seeded", "order_seed": 3.0}
	same.Config["benchmark"] = map[string]any{"class_order": "natural", "order_seed": 0.0}
	methods := Group([]*results.Run{resultstest.Finals("er", "a", 0, 1, 2), other, order, same})
	parts = ByBenchmark(methods)
	var keys []benchmarkKey
	for _, p := range parts {
		keys = append(keys, benchmarkOf(p[0].Runs[0]))
	}
	if len(parts) != 3 || len(parts[0]) != 2 {
		t.Fatalf("%d benchmarks; want three, the first of two methods", len(parts))
	}
	if got := []string{keys[0].difference(keys), keys[1].difference(keys), keys[2].difference(keys)}; !slices.Equal(got,
		[]string{"fashion-mnist-sample", "fashion-mnist-sample, seeded order 3", "mnist"}) {
		t.Errorf("they are called %q", got)
	}
}

// A method without a seed in common does not keep the others from being compared; it is named with its seeds.
func TestRankingLeavesOutOtherSeeds(t *testing.T) {
	runs := []*results.Run{resultstest.Finals("er", "er λ=1", 0, 12, 14),
		resultstest.Finals("finetune", "finetune", 1, 40, 20), resultstest.Finals("finetune", "finetune", 2, 42, 21),
		resultstest.Finals("joint", "joint", 1, 10, 10), resultstest.Finals("joint", "joint", 2, 11, 10)}
	r, err := NewRanking(Group(runs), FinalOf(FID), "")
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Rows) != 2 || !slices.Equal(r.Seeds, []uint64{1, 2}) || !slices.Equal(r.Alone, []string{"er λ=1 (seed 0)"}) {
		t.Errorf("%d rows, seeds %v, left out %q; want finetune and joint on seeds 1 and 2 without er", len(r.Rows), r.Seeds, r.Alone)
	}
	if notes := strings.Join(r.Table().Notes, "\n"); !strings.Contains(notes, "these do not have the one that most have: er λ=1 (seed 0).") {
		t.Errorf("er is not named in:\n%s", notes)
	}
	if _, err := NewRanking(Group(runs), FinalOf(FID), "er λ=1"); err == nil || !strings.Contains(err.Error(), "on the seeds of the others") {
		t.Errorf("a reference that is left out gives %v", err)
	}
	if _, err := NewRanking(Group(runs[:2]), FinalOf(FID), ""); err == nil || !strings.Contains(err.Error(), "finetune has seed 1") || !strings.Contains(err.Error(), "er λ=1 has seed 0") {
		t.Errorf("no seed in common gives %v; want each method's", err)
	}
}
