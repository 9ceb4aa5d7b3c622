package study

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"github.com/pkg/errors"

	"palimpsest/pkg/results"
)

// Names of the strategies that comparisons treat as reference points.
const (
	Finetune = "finetune" // nothing done against forgetting: the floor
	Joint    = "joint"    // all data at once, from scratch: the reference
)

// Method is one strategy with one setting: its runs over seeds.
type Method struct {
	Label string
	Runs  []*results.Run // at least one, by seed
}

// Group collects runs of equal label into methods, apart where their numbers do not compare ([Warnings]) or their settings
// differ. Finetune comes first, joint training last, in between methods are in the order of their names and settings (numbers
// in a label compare as numbers). It panics if a run is nil; so does whatever else here takes runs.
func Group(runs []*results.Run) []Method {
	var methods []Method
	for i, r := range runs {
		if r == nil {
			panic(errors.Errorf("study: run %d of %d is nil; read runs by study.Open or results.Load", i, len(runs)))
		}
	}
	for _, r := range runs {
		i := slices.IndexFunc(methods, func(g Method) bool { return g.Label == r.Strategy.Label })
		if i < 0 {
			i = len(methods)
			methods = append(methods, Method{Label: r.Strategy.Label})
		}
		methods[i].Runs = append(methods[i].Runs, r)
	}
	var parts []Method
	for _, g := range methods {
		parts = append(parts, comparable(g, runs)...)
	}
	methods = parts
	for _, g := range methods {
		slices.SortStableFunc(g.Runs, func(a, b *results.Run) int { return cmp.Compare(a.Seed, b.Seed) })
	}
	slices.SortStableFunc(methods, func(a, b Method) int {
		return cmp.Or(cmp.Compare(a.rank(), b.rank()), naturalCompare(a.Label, b.Label))
	})
	return methods
}

// Name returns the strategy's name, "er".
func (g Method) Name() string { return g.Runs[0].Strategy.Name }

// Tasks returns the number of tasks.
func (g Method) Tasks() int { return len(g.Runs[0].Benchmark.Tasks) }

// Seeds is the number of seeds that the method ran with, each counted once.
func (g Method) Seeds() int {
	seeds := map[uint64]bool{}
	for _, r := range g.Runs {
		seeds[r.Seed] = true
	}
	return len(seeds)
}

// rank orders the kinds of strategies in tables.
func (g Method) rank() int {
	switch g.Name() {
	case Finetune:
		return 0
	case "cumulative":
		return 2
	case Joint:
		return 3
	}
	return 1
}

// Rereads says whether the strategy reads all data of other tasks again, as cumulative and joint training do.
func (g Method) Rereads() bool { return g.rank() >= 2 }

// naturalCompare compares texts with the numbers in them as numbers: "λ=0.3" < "λ=1" < "λ=10".
func naturalCompare(a, b string) int {
	for a != "" && b != "" {
		x, restA := token(a)
		y, restB := token(b)
		u, errU := strconv.ParseFloat(x, 64)
		v, errV := strconv.ParseFloat(y, 64)
		c := strings.Compare(x, y)
		if errU == nil && errV == nil {
			c = cmp.Or(cmp.Compare(u, v), c)
		}
		if c != 0 {
			return c
		}
		a, b = restA, restB
	}
	return cmp.Compare(len(a), len(b))
}

// token splits off a text's first number or its first stretch without digits.
func token(text string) (first, rest string) {
	isNumber := func(r rune) bool { return unicode.IsDigit(r) || r == '.' }
	numeric := isNumber([]rune(text)[0])
	end := strings.IndexFunc(text, func(r rune) bool { return isNumber(r) != numeric })
	if end < 0 {
		return text, ""
	}
	return text[:end], text[end:]
}

// Over summarises f over the method's runs.
func (g Method) Over(f func(*results.Run) float64) Stat {
	return overRuns(g.Runs, f)
}

// overRuns summarises f over runs of one setting.
func overRuns(runs []*results.Run, f func(*results.Run) float64) Stat {
	seeds, values := make([]uint64, len(runs)), make([]float64, len(runs))
	for i, r := range runs {
		seeds[i], values[i] = r.Seed, f(r)
	}
	return SeedStat(seeds, values)
}

// Matrix returns R[i][j] of the method: metric m after task i on task j, over seeds.
func (g Method) Matrix(m Metric) [][]Stat {
	matrices := make([][][]float64, len(g.Runs))
	for k, r := range g.Runs {
		matrices[k] = Matrix(r, m).R
	}
	tasks := g.Tasks()
	out := make([][]Stat, tasks)
	for i := range out {
		out[i] = make([]Stat, tasks)
		for j := range out[i] {
			var seeds []uint64
			var values []float64
			for k, r := range matrices {
				if i < len(r) && j < len(r) {
					seeds, values = append(seeds, g.Runs[k].Seed), append(values, r[i][j])
				}
			}
			out[i][j] = SeedStat(seeds, values)
		}
	}
	return out
}

// Measured says whether any run of any method measured m.
func Measured(methods []Method, m Metric) bool {
	for _, g := range methods {
		for _, row := range g.Matrix(m) {
			for _, s := range row {
				if s.Known() {
					return true
				}
			}
		}
	}
	return false
}

// Find returns the first method of the strategy called name.
func Find(methods []Method, name string) (Method, bool) {
	i := slices.IndexFunc(methods, func(g Method) bool { return g.Name() == name })
	if i < 0 {
		return Method{}, false
	}
	return methods[i], true
}

// Labelled returns the method of the label.
func Labelled(methods []Method, label string) (Method, bool) {
	i := slices.IndexFunc(methods, func(g Method) bool { return g.Label == label })
	if i < 0 {
		return Method{}, false
	}
	return methods[i], true
}
