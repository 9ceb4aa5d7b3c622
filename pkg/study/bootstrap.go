package study

import (
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"slices"

	"github.com/pkg/errors"
	"gonum.org/v1/gonum/stat"

	"palimpsest/pkg/metrics"
	"palimpsest/pkg/results"
	"palimpsest/pkg/words"
)

// blocks holds one number of several methods on the same seeds and tasks: values[m][s][j] of method m, seed s, task j,
// all of them measured. A block is one seed and task, on which all methods are compared.
type blocks struct {
	methods []Method
	seeds   []uint64
	tasks   int
	values  [][][]float64
	weights [][][]float64 // of the tasks of method m and seed s in a mean over them; nil: all alike
}

// newBlocks collects the seeds that all methods measured number n on. Methods that no seed measured are left out, and
// named. Methods of different benchmarks, or without a seed in common, are an error.
func newBlocks(methods []Method, n Number) (b blocks, left []string, err error) {
	if err := SameBenchmark(methods); err != nil {
		return b, nil, err
	}
	var measured, weights []map[uint64][]float64
	for _, g := range methods {
		bySeed, weightsOf := map[uint64][]float64{}, map[uint64][]float64{}
		for _, r := range g.Runs {
			if v := n.ofAllTasks(r); v != nil {
				bySeed[r.Seed], weightsOf[r.Seed] = v, r.Protocol.TaskWeights
			}
		}
		if len(bySeed) == 0 {
			left = append(left, g.Label)
			continue
		}
		for _, v := range bySeed {
			b.tasks = len(v)
		}
		b.methods, measured, weights = append(b.methods, g), append(measured, bySeed), append(weights, weightsOf)
	}
	if len(b.methods) < 2 {
		return b, left, errors.Errorf("study: %d of %d methods have %s for every task; need at least 2 to compare", len(b.methods), len(methods), n.Name())
	}
	for seed := range measured[0] {
		if !slices.ContainsFunc(measured, func(m map[uint64][]float64) bool { return m[seed] == nil }) {
			b.seeds = append(b.seeds, seed)
		}
	}
	if len(b.seeds) == 0 {
		var each []string
		for m, g := range b.methods {
			each = append(each, fmt.Sprintf("%s has seed %s", g.Label, words.SeedList(slices.Sorted(maps.Keys(measured[m])))))
		}
		return b, left, errors.Errorf("study: no seed has %s of all %d methods (%s); run them on the same seeds", n.Name(), len(b.methods), words.Some(each, 10))
	}
	slices.Sort(b.seeds)
	for m, bySeed := range measured {
		var values, counts [][]float64
		for _, seed := range b.seeds {
			values, counts = append(values, bySeed[seed]), append(counts, weights[m][seed])
		}
		b.values, b.weights = append(b.values, values), append(b.weights, counts)
	}
	return b, left, nil
}

// ofAllTasks are a run's numbers by task, nil where one was not measured.
func (n Number) ofAllTasks(r *results.Run) []float64 {
	if v := n.byTask(r); len(v) > 0 && !slices.ContainsFunc(v, math.IsNaN) {
		return v
	}
	return nil
}

// sharing parts methods that have no seed with number n in common: those that measured it on the seed on which most did, of several such
// seeds the lowest, and the labels of the others that measured it, with their seeds. Where all share a seed, or no two do, nothing is parted.
func sharing(methods []Method, n Number) (together []Method, alone []string) {
	seeds := make([][]uint64, len(methods)) // of each method
	having := map[uint64]int{}
	known := 0
	for m, g := range methods {
		for _, r := range g.Runs {
			if n.ofAllTasks(r) != nil && !slices.Contains(seeds[m], r.Seed) {
				seeds[m] = append(seeds[m], r.Seed)
				having[r.Seed]++
			}
		}
		if len(seeds[m]) > 0 {
			known++
		}
	}
	var most uint64
	for _, seed := range slices.Sorted(maps.Keys(having)) {
		if having[seed] > having[most] {
			most = seed
		}
	}
	if having[most] < 2 || having[most] == known {
		return methods, nil
	}
	for m, g := range methods {
		if len(seeds[m]) == 0 || slices.Contains(seeds[m], most) {
			together = append(together, g)
		} else {
			alone = append(alone, fmt.Sprintf("%s (seed %s)", g.Label, words.SeedList(seeds[m])))
		}
	}
	return together, alone
}

// block is a seed and a task, by their places.
type block struct{ seed, task int }

// all lists every block once.
func (b blocks) all() []block {
	var out []block
	for s := range b.seeds {
		for j := range b.tasks {
			out = append(out, block{s, j})
		}
	}
	return out
}

// draw is the hierarchical bootstrap: as many seeds as there are, with replacement, and for each of them as many of its
// tasks, with replacement. All methods are compared on the same draw, so that effects of a seed or a task that all of them
// share cancel in their differences. It draws into the memory of into.
func (b blocks) draw(random *rand.Rand, into []block) []block {
	out := into[:0]
	for range b.seeds {
		s := random.IntN(len(b.seeds))
		for range b.tasks {
			out = append(out, block{s, random.IntN(b.tasks)})
		}
	}
	return out
}

// means is the mean over chosen blocks of cell, a value a method and block, for every method.
func (b blocks) means(chosen []block, cell func(method int, at block) float64) []float64 {
	out := make([]float64, len(b.methods))
	for m := range out {
		for _, at := range chosen {
			out[m] += cell(m, at)
		}
		out[m] /= float64(len(chosen))
	}
	return out
}

// value is the number of a method in a block.
func (b blocks) value(method int, at block) float64 { return b.values[method][at.seed][at.task] }

// percentiles is value with the percentile interval of 95 % of what resampling gave; without any, with no interval. Over few
// seeds it covers less than it says: it is for mean ranks and rank correlations, which have no t, and decides nothing.
func percentiles(value float64, drawn []float64) Interval {
	i := Interval{value, math.NaN(), math.NaN()}
	if len(drawn) > 0 {
		sorted := slices.Sorted(slices.Values(drawn))
		i.Low = stat.Quantile(0.025, stat.Empirical, sorted, nil)
		i.High = stat.Quantile(0.975, stat.Empirical, sorted, nil)
	}
	return i
}

// resample draws and returns the methods' means over blocks of cells in every draw, and whether there was anything to
// draw: one seed says nothing about others.
func (b blocks) resample(cell func(method int, at block) float64) (drawn [][]float64, ok bool) {
	if len(b.seeds) < 2 {
		return nil, false
	}
	random := rand.New(rand.NewPCG(1, 0))
	var chosen []block
	for range Resamples {
		chosen = b.draw(random, chosen)
		drawn = append(drawn, b.means(chosen, cell))
	}
	return drawn, true
}

// mean is the mean of a method over the tasks of a seed, by their weights.
func (b blocks) mean(method, seed int) float64 {
	return metrics.WeightedMean(b.values[method][seed], b.weights[method][seed])
}

// bySeed is each method's mean over the tasks of a seed.
func (b blocks) bySeed(method int) Stat {
	means := make([]float64, len(b.seeds))
	for s := range means {
		means[s] = b.mean(method, s)
	}
	return SeedStat(b.seeds, means)
}

// drawnOf is of in every draw.
func drawnOf(drawn [][]float64, of func([]float64) float64) []float64 {
	out := make([]float64, len(drawn))
	for k, d := range drawn {
		out[k] = of(d)
	}
	return out
}
