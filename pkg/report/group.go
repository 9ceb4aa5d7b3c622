package report

import (
	"cmp"
	"math"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"palimpsest/pkg/results"
)

// Names of the strategies that a report treats as reference points.
const (
	Finetune = "finetune" // nothing done against forgetting: the floor
	Joint    = "joint"    // all data at once, from scratch: the reference
)

// Group is the runs of one strategy with one setting, over seeds.
type Group struct {
	Label string
	Runs  []*results.Run // at least one, by seed
}

// Groups collects runs of equal label. Finetune comes first, joint training last, in between groups are in the
// order of their names and settings (numbers in a label compare as numbers).
func Groups(runs []*results.Run) []Group {
	var groups []Group
	for _, r := range runs {
		i := slices.IndexFunc(groups, func(g Group) bool { return g.Label == r.Strategy.Label })
		if i < 0 {
			i = len(groups)
			groups = append(groups, Group{Label: r.Strategy.Label})
		}
		groups[i].Runs = append(groups[i].Runs, r)
	}
	for _, g := range groups {
		slices.SortStableFunc(g.Runs, func(a, b *results.Run) int { return cmp.Compare(a.Seed, b.Seed) })
	}
	slices.SortStableFunc(groups, func(a, b Group) int {
		return cmp.Or(cmp.Compare(a.rank(), b.rank()), naturalCompare(a.Label, b.Label))
	})
	return groups
}

// Name returns the strategy's name, "er".
func (g Group) Name() string { return g.Runs[0].Strategy.Name }

// Tasks returns the number of tasks.
func (g Group) Tasks() int { return len(g.Runs[0].Benchmark.Tasks) }

// rank orders the kinds of strategies in tables.
func (g Group) rank() int {
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

// Over summarises f over the group's runs.
func (g Group) Over(f func(*results.Run) float64) Stat {
	values := make([]float64, len(g.Runs))
	for i, r := range g.Runs {
		values[i] = f(r)
	}
	return NewStat(values)
}

// Matrix returns R[i][j] of the group: metric m after task i on task j, over seeds.
func (g Group) Matrix(m Metric) [][]Stat {
	matrices := make([][][]float64, len(g.Runs))
	for k, r := range g.Runs {
		matrices[k] = Matrix(r, m).R
	}
	tasks := g.Tasks()
	out := make([][]Stat, tasks)
	for i := range out {
		out[i] = make([]Stat, tasks)
		for j := range out[i] {
			values := make([]float64, 0, len(g.Runs))
			for _, r := range matrices {
				if i < len(r) && j < len(r) {
					values = append(values, r[i][j])
				}
			}
			out[i][j] = NewStat(values)
		}
	}
	return out
}

// measured says whether any run of any group measured m.
func measured(groups []Group, m Metric) bool {
	for _, g := range groups {
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

// find returns the first group of the strategy called name.
func find(groups []Group, name string) (Group, bool) {
	i := slices.IndexFunc(groups, func(g Group) bool { return g.Name() == name })
	if i < 0 {
		return Group{}, false
	}
	return groups[i], true
}

// meanOfKnown averages what is not NaN; NaN if nothing is left.
func meanOfKnown(values []float64) float64 {
	sum, n := 0.0, 0
	for _, v := range values {
		if !math.IsNaN(v) {
			sum += v
			n++
		}
	}
	return sum / float64(n)
}
