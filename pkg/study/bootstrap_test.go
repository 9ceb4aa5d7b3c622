package study

import (
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"gonum.org/v1/gonum/stat"

	"palimpsest/pkg/metrics"
	"palimpsest/pkg/results"
	"palimpsest/pkg/results/resultstest"
)

// blocksOf makes blocks of values[method][seed][task], all tasks weighing alike.
func blocksOf(values [][][]float64) blocks {
	b := blocks{tasks: len(values[0][0]), values: values}
	for s := range values[0] {
		b.seeds = append(b.seeds, uint64(s))
	}
	for range values {
		b.methods, b.weights = append(b.methods, Method{}), append(b.weights, make([][]float64, len(b.seeds)))
	}
	return b
}

// normals are values of methods, seeds and tasks: what a seed does to all its tasks and methods, and noise.
func normals(methods, seeds, tasks int) [][][]float64 {
	random := rand.New(rand.NewPCG(11, 12))
	level := make([]float64, seeds)
	for s := range level {
		level[s] = 3 * random.NormFloat64()
	}
	out := make([][][]float64, methods)
	for m := range out {
		for s := range seeds {
			row := make([]float64, tasks)
			for j := range row {
				row[j] = level[s] + float64(m) + random.NormFloat64()
			}
			out[m] = append(out[m], row)
		}
	}
	return out
}

// A draw of the hierarchical bootstrap has as many seeds as there are, and of each as many tasks. Its mean over S seeds of J
// tasks is a mean of S independent terms, each the mean of J values of one seed, so with variances over the values that there
// are, not over those that there might be,
//
//	E = mean,  Var = (Var_s(mean of seed s) + mean_s(Var within s)/J)/S.
//
// Over n draws a variance has a relative standard error of sqrt(2/n) = 3.2 %, and five of them are allowed.
func TestBootstrapDrawsSeedsThenTasks(t *testing.T) {
	const seeds, tasks = 4, 5
	values := normals(1, seeds, tasks)
	b := blocksOf(values)
	drawn, ok := b.resample(b.value)
	if !ok || len(drawn) != Resamples {
		t.Fatalf("%d draws, %t; want %d", len(drawn), ok, Resamples)
	}
	means := drawnOf(drawn, func(d []float64) float64 { return d[0] })
	var ofSeeds, within []float64
	for _, row := range values[0] {
		mean, variance := stat.PopMeanVariance(row, nil)
		ofSeeds, within = append(ofSeeds, mean), append(within, variance)
	}
	mean, between := stat.PopMeanVariance(ofSeeds, nil)
	variance := (between + stat.Mean(within, nil)/tasks) / seeds
	gotMean, gotVariance := stat.PopMeanVariance(means, nil)
	if math.Abs(gotMean-mean) > 5*math.Sqrt(variance/Resamples) {
		t.Errorf("the draws' mean is %g, want %g ± %g", gotMean, mean, math.Sqrt(variance/Resamples))
	}
	if math.Abs(gotVariance/variance-1) > 5*math.Sqrt(2.0/Resamples) {
		t.Errorf("the draws' variance is %g, want %g", gotVariance, variance)
	}
	// The tasks of a drawn seed stand together.
	random, counts := rand.New(rand.NewPCG(3, 3)), map[block]int{}
	for range 2000 {
		chosen := b.draw(random, nil)
		if len(chosen) != seeds*tasks {
			t.Fatalf("%d blocks, want %d", len(chosen), seeds*tasks)
		}
		for i, at := range chosen {
			counts[at]++
			if at.seed != chosen[i-i%tasks].seed {
				t.Fatalf("the blocks %v mix seeds", chosen)
			}
		}
	}
	if len(counts) != seeds*tasks {
		t.Errorf("%d of %d blocks were ever drawn", len(counts), seeds*tasks)
	}
}

// All methods are compared on the same draw: a difference that is the same in every block is the same in every draw.
func TestBootstrapIsPaired(t *testing.T) {
	values := normals(1, 3, 4)
	shifted := make([][]float64, len(values[0]))
	for s, row := range values[0] {
		for _, v := range row {
			shifted[s] = append(shifted[s], v+2.5)
		}
	}
	b := blocksOf(append(values, shifted))
	drawn, _ := b.resample(b.value)
	for k, d := range drawn {
		if math.Abs(d[1]-d[0]-2.5) > 1e-12 {
			t.Fatalf("draw %d has a difference of %g, want 2.5", k, d[1]-d[0])
		}
	}
	again, _ := b.resample(b.value)
	for k := range drawn {
		if !slices.Equal(drawn[k], again[k]) {
			t.Fatal("the same blocks are drawn differently another time")
		}
	}
	one := blocksOf([][][]float64{values[0][:1]})
	if _, ok := one.resample(one.value); ok {
		t.Error("one seed is resampled, though it says nothing of others")
	}
}

// Of 1 … 1000 in any order the interval of 95 % is from 25 to 975, by the inverse of the empirical distribution.
func TestPercentiles(t *testing.T) {
	var values []float64
	for _, k := range rand.New(rand.NewPCG(1, 1)).Perm(1000) {
		values = append(values, float64(k+1))
	}
	before := slices.Clone(values)
	if got := percentiles(7, values); got != (Interval{7, 25, 975}) {
		t.Errorf("%+v, want 7 [25, 975]", got)
	}
	if !slices.Equal(values, before) {
		t.Error("what was drawn is in another order now")
	}
	if got := percentiles(7, nil); got.Value != 7 || !math.IsNaN(got.Low) || !math.IsNaN(got.High) {
		t.Errorf("without draws %+v, want no interval", got)
	}
}

// Blocks are of the seeds that all methods have, in order. Averages over tasks take their weights.
func TestBlocksOfCommonSeeds(t *testing.T) {
	var runs []*results.Run
	for _, seed := range []uint64{5, 1, 3} {
		runs = append(runs, resultstest.Finals("a", "a", seed, 1+float64(seed), 2+float64(seed)))
	}
	for _, seed := range []uint64{9, 3, 5} {
		runs = append(runs, resultstest.Finals("b", "b", seed, 10, 20))
	}
	gap := resultstest.Finals("b", "b", 1, 10, 20) // a cell of seed 1 was not measured
	gap.Evaluations[1].Tasks[0].FID = nil
	runs = append(runs, gap, resultstest.Finals("c", "c", 5, 10, 20))
	runs[len(runs)-1].Evaluations = nil
	runs[0].Protocol.TaskWeights = []float64{1, 3}
	b, left, err := newBlocks(Group(runs), FinalOf(FID))
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(b.seeds, []uint64{3, 5}) || b.tasks != 2 || len(b.methods) != 2 || !slices.Equal(left, []string{"c"}) {
		t.Fatalf("seeds %v, %d tasks, %d methods, left out %v", b.seeds, b.tasks, len(b.methods), left)
	}
	if got := b.value(0, block{1, 0}); got != 6 {
		t.Errorf("task 1 of a with seed 5 is %g, want 6", got)
	}
	if got := b.mean(0, 1); got != (1*6+3*7)/4.0 {
		t.Errorf("the mean of seed 5 is %g, want the weighted 6.75", got)
	}
	if got := b.mean(0, 0); got != 4.5 {
		t.Errorf("the mean of seed 3 is %g, want 4.5", got)
	}
	if got := len(b.all()); got != 4 {
		t.Errorf("%d blocks, want 4", got)
	}
	if got := b.means(b.all(), b.value); got[0] != (4+5+6+7)/4.0 || got[1] != 15 {
		t.Errorf("means over all blocks %v, want 5.5 and 15", got)
	}
}

func TestBlocksErrors(t *testing.T) {
	a, b := resultstest.Finals("a", "a", 0, 1, 2), resultstest.Finals("b", "b", 1, 1, 2)
	for want, runs := range map[string][]*results.Run{
		"no seed has FID of all 2 methods":         {a, b},
		"1 of 1 methods have FID for every task":   {a},
		"b is of another benchmark (3 tasks) than": {a, resultstest.Finals("b", "b", 0, 1, 2, 3)},
	} {
		if _, _, err := newBlocks(Group(runs), FinalOf(FID)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %q", err, want)
		}
	}
}

// The seeds of blocks ascend, however many there are and in whatever order runs come.
func TestBlocksAreInTheOrderOfSeeds(t *testing.T) {
	var runs []*results.Run
	var want []uint64
	for k := range uint64(12) {
		seed := (7*k + 3) % 12
		runs = append(runs, resultstest.Finals("a", "a", seed, 1, 2), resultstest.Finals("b", "b", 11-seed, 1, 2))
		want = append(want, k)
	}
	if b, _, err := newBlocks(Group(runs), FinalOf(FID)); err != nil || !slices.Equal(b.seeds, want) {
		t.Errorf("seeds %v, %v", b.seeds, err)
	}
}

// A number averaged by its tasks is the number: byTask and Of agree for every metric, with and without weights.
func TestByTaskAveragesToTheNumber(t *testing.T) {
	for _, r := range resultstest.Likely(2, false) {
		for _, weights := range [][]float64{nil, {0.5, 0.2, 0.3}} {
			r.Protocol.TaskWeights = weights
			for _, m := range Metrics() {
				for _, n := range []Number{FinalOf(m), ForgettingOf(m)} {
					w := weights
					if n.Forgetting() && w != nil {
						w = w[:2]
					}
					want, got := n.Of(r), math.NaN()
					if v := n.byTask(r); len(v) > 0 {
						got = metrics.WeightedMean(v, w)
					}
					if math.Abs(got-want) > 1e-9*math.Abs(want) || math.IsNaN(got) != math.IsNaN(want) {
						t.Errorf("%s of %s: the mean over tasks is %g, the number %g", n.Name(), r.Name, got, want)
					}
				}
			}
		}
	}
}
