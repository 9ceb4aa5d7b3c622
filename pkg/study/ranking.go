package study

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/pkg/errors"

	"palimpsest/pkg/table"
	"palimpsest/pkg/words"
)

// Ranking orders methods by their mean rank over blocks, a block being one seed and task, and says how sure the order is.
type Ranking struct {
	Number    Number
	Rows      []RankedMethod // the best mean rank first
	Reference string         // label of the method that differences are to
	Seeds     []uint64       // those all methods have
	Tasks     int            // a seed
	// Overall takes every block for independent, as [demsar] does of data sets. The tasks of a seed share one network,
	// so they are not, and Overall is surer than it should be. BySeed ranks the means over a seed's tasks: few blocks,
	// but independent ones.
	Overall, BySeed Friedman
	Critical        float64  // the critical difference of mean ranks, were all blocks independent: CriticalDifference
	Cliques         [][2]int // rows from … to that Critical joins
	Pairs           int      // of methods
	Apart, Held     int      // pairs with p < 0.05, and those of them that hold with Holm's correction for all pairs
	Left            []string // labels of methods left out, as they did not measure the number
	Alone           []string // labels and seeds of methods left out, as they have no seed in common with those that most have in common
}

// RankedMethod is one row of a [Ranking].
type RankedMethod struct {
	Method     Method
	Rank       Interval   // mean over blocks; 1 is best; the interval is the bootstrap's
	Value      Stat       // the number, over all seeds of the method
	Difference Difference // less the reference's, on the seeds all methods have; 0 for the reference itself
	Corrected  float64    // p of Difference with Holm's correction for all comparisons with the reference; NaN where there is none
	Level      int        // how many other methods it is not told apart from, each pair by itself
	LevelHolm  int        // the same with Holm's correction for its comparisons with all others
}

// DefaultReference is the method that others are compared with unless one asks for another: plain experience replay (er
// with λ = 1, or else any er), else finetune, else the first. It is "" without methods.
func DefaultReference(methods []Method) string {
	best, label := -1, ""
	for _, g := range methods {
		score := 0
		lambda, known := setting(g.Runs[0], "lambda")
		switch {
		case g.Name() == "er" && known && lambda == 1:
			score = 3
		case g.Name() == "er":
			score = 2
		case g.Name() == Finetune:
			score = 1
		}
		if score > best {
			best, label = score, g.Label
		}
	}
	return label
}

// NewRanking ranks methods by number n on the seeds they have in common. reference is the label of the method that
// differences are to; "" for [DefaultReference]. Methods are told apart by the rule of [Difference]; with one seed by
// none. Where no seed is common to all, those of the seed that most methods have are ranked, and the others named. It is an error if fewer
// than two methods measured n, if no two have a seed in common, if they are of different benchmarks, or if there is no such reference.
func NewRanking(methods []Method, n Number, reference string) (*Ranking, error) {
	together, alone := sharing(methods, n)
	b, left, err := newBlocks(together, n)
	if err != nil {
		return nil, err
	}
	if reference == "" {
		reference = DefaultReference(b.methods)
	}
	to := slices.IndexFunc(b.methods, func(g Method) bool { return g.Label == reference })
	if to < 0 {
		var labels []string
		for _, g := range b.methods {
			labels = append(labels, g.Label)
		}
		return nil, errors.Errorf("study: no method labelled %q has %s to compare with on the seeds of the others; there are %s", reference, n.Name(), words.List(labels))
	}
	r := &Ranking{Number: n, Reference: reference, Seeds: b.seeds, Tasks: b.tasks, Left: left, Alone: alone}
	ranks := map[block][]float64{}
	var rankings [][]float64
	for _, at := range b.all() {
		values := make([]float64, len(b.methods))
		for m := range values {
			values[m] = n.Rankable(b.value(m, at))
		}
		ranks[at] = averageRanks(values)
		rankings = append(rankings, ranks[at])
	}
	rank := func(m int, at block) float64 { return ranks[at][m] }
	r.Overall, r.BySeed = newFriedman(rankings), newFriedman(seedRanks(b, n.Rankable))
	r.Critical = CriticalDifference(len(b.methods), len(rankings))

	meanRanks := b.means(b.all(), rank)
	drawnRanks, _ := b.resample(rank)
	values := make([]Stat, len(b.methods))
	for m := range values {
		values[m] = b.bySeed(m)
	}
	var every []float64 // p of each pair, once
	for m, g := range b.methods {
		row := RankedMethod{Method: g, Value: g.Over(n.Of), Corrected: math.NaN(),
			Rank:       percentiles(meanRanks[m], drawnOf(drawnRanks, func(d []float64) float64 { return d[m] })),
			Difference: Compare(values[m], values[to])}
		var own []float64
		for other := range b.methods {
			if other == m {
				continue
			}
			p := Compare(values[m], values[other]).P
			own = append(own, p)
			if other > m {
				every = append(every, p)
			}
		}
		row.Level, row.LevelHolm = len(own)-apart(own), len(own)-apart(holm(own))
		r.Rows = append(r.Rows, row)
	}
	r.Pairs, r.Apart, r.Held = len(every), apart(every), apart(holm(every))
	p := make([]float64, len(r.Rows))
	for m, row := range r.Rows {
		p[m] = row.Difference.P
	}
	p[to] = math.NaN() // the reference is not compared with itself
	for m, corrected := range holm(p) {
		r.Rows[m].Corrected = corrected
	}
	slices.SortStableFunc(r.Rows, func(x, y RankedMethod) int { return cmp.Compare(x.Rank.Value, y.Rank.Value) })
	sorted := make([]float64, len(r.Rows))
	for i, row := range r.Rows {
		sorted[i] = row.Rank.Value
	}
	r.Cliques = cliques(sorted, r.Critical)
	return r, nil
}

// apart counts the p-values of methods told apart.
func apart(p []float64) int {
	n := 0
	for _, v := range p {
		if v < significance {
			n++
		}
	}
	return n
}

// Table holds the ranking in rows, the best first.
func (r *Ranking) Table() *table.Table {
	t := &table.Table{Head: "strategy"}
	rank := table.Column{Head: "mean rank", Arrow: "↓", Long: "Rank among the methods, 1 the best, averaged over seeds and tasks."}
	value := table.Column{Head: r.Number.Name(), Unit: r.Number.Metric.Unit, Arrow: r.Number.arrow(), Long: "Mean ± standard deviation over the seeds of the method."}
	difference := table.Column{Head: "minus that of " + r.Reference, Unit: r.Number.Metric.Unit, Long: "Mean difference on the same seeds, with its 95 % t interval."}
	p := table.Column{Head: "p", Long: "Of that difference, by Student's t on the differences seed by seed."}
	corrected := table.Column{Head: "p, Holm", Long: "The same, corrected for the number of comparisons with the reference."}
	level := table.Column{Head: "not told apart from", Long: "How many other methods have p ≥ 0.05 against this one, each pair by itself."}
	decimals := r.Number.decimals()
	var methods []Method
	for _, row := range r.Rows {
		methods = append(methods, row.Method)
		t.Rows = append(t.Rows, row.Method.Label+marks(row.Method))
		rank.Cells = append(rank.Cells, table.Cell{Text: row.Rank.Format(1), Sort: row.Rank.Value})
		value.Cells = append(value.Cells, table.Cell{Text: row.Value.Format(decimals), Sort: row.Value.Mean})
		d := table.Cell{Text: row.Difference.Format(decimals), Sort: row.Difference.Value}
		alone := table.Cell{Text: bareProbability(row.Difference.P), Sort: row.Difference.P}
		if row.Method.Label == r.Reference {
			d.Text, alone = "(reference)", table.Cell{Text: words.Missing, Sort: math.NaN()}
		}
		difference.Cells, p.Cells = append(difference.Cells, d), append(p.Cells, alone)
		corrected.Cells = append(corrected.Cells, table.Cell{Text: bareProbability(row.Corrected), Sort: row.Corrected})
		l := table.Cell{Text: fmt.Sprintf("%d of %d", row.Level, len(r.Rows)-1), Sort: float64(row.Level)}
		if len(r.Seeds) < 2 {
			l = table.Cell{Text: words.Missing, Sort: math.NaN()}
		}
		level.Cells = append(level.Cells, l)
	}
	t.Sections = []table.Section{{Title: "How sure the order is, by " + r.Title(), Columns: []table.Column{rank, value, difference, p, corrected, level}}}
	t.Notes, t.Warnings, t.Alarms = withRepeatNotes(r.notes(), methods), Warnings(methods), Alarms(methods)
	return t
}

// Title is what is ranked: "FID after the last task".
func (r *Ranking) Title() string {
	if r.Number.Forgetting() {
		return r.Number.Name()
	}
	return r.Number.Name() + " " + r.Number.What
}

// notes says how ranks and intervals came about.
func (r *Ranking) notes() []string {
	blocks := len(r.Seeds) * r.Tasks
	out := []string{fmt.Sprintf("Ranks are over %d blocks, %s (%s) × %d tasks; equal values share the mean of their ranks.", blocks, words.Seeds(len(r.Seeds)), words.SeedList(r.Seeds), r.Tasks)}
	if len(r.Seeds) > 1 {
		out = append(out, RuleNote,
			fmt.Sprintf("Many comparisons: p is of each alone; \"p, Holm\" is corrected for the %d comparisons with %s, so that by it even one wrong verdict among them has a chance of 5 %%. "+
				"Of all %d pairs of methods %d have p < 0.05 alone, and %d of these hold with Holm's correction for all pairs.",
				len(r.Rows)-1, r.Reference, r.Pairs, r.Apart, r.Held),
			fmt.Sprintf("Brackets of a mean rank: 95 %% percentile interval of a paired hierarchical bootstrap, %d draws of seeds and, within each, of tasks. Over few seeds it covers less than it says, "+
				"and tells nothing apart.", Resamples))
	} else {
		out = append(out, "One seed tells nothing of others: there are no intervals.")
	}
	out = append(out, r.TestNote())
	var methods []Method
	for _, row := range r.Rows {
		methods = append(methods, row.Method)
	}
	out = append(out, TunedNotes(methods)...)
	if len(r.Left) > 0 {
		out = append(out, fmt.Sprintf("Left out, as %s was not measured for every task: %s.", r.Number.Name(), words.List(r.Left)))
	}
	if len(r.Alone) > 0 {
		out = append(out, fmt.Sprintf("Left out, as no seed is common to all methods, and these do not have the one that most have: %s.", words.List(r.Alone)))
	}
	return out
}

// TestNote says what Friedman's test finds and what the critical difference is.
func (r *Ranking) TestNote() string {
	text := fmt.Sprintf("Friedman's test of all methods being alike: χ² = %s, %s over all blocks", words.Number(r.Overall.ChiSquared, 1), probability(r.Overall.P))
	if len(r.Seeds) > 1 {
		text += fmt.Sprintf("; %s over the %d seeds alone", probability(r.BySeed.P), len(r.Seeds))
	}
	return text + fmt.Sprintf(". Nemenyi's critical difference is %s ranks. Test and critical difference take the blocks for independent; the tasks of a seed share one network and are not, so over all blocks both claim more than they should.",
		words.Number(r.Critical, 1))
}

// Sentences sums up the ranking: which methods are not told apart from the best, and how each compares with the reference.
func (r *Ranking) Sentences() []string {
	best := r.Rows[0]
	if len(r.Seeds) < 2 {
		return []string{fmt.Sprintf("By %s, %s has the best mean rank (%s of %d), but one seed does not say how sure that is.",
			r.Title(), best.Method.Label, best.Rank.Format(1), len(r.Rows))}
	}
	text := fmt.Sprintf("By %s, %s has the best mean rank, %s of %d", r.Title(), best.Method.Label, best.Rank.Format(1), len(r.Rows))
	others := len(r.Rows) - 1
	text += fmt.Sprintf("; the paired t over %d seeds tells it apart from %d of the %d others, with Holm's correction for them from %d.",
		len(r.Seeds), others-best.Level, others, others-best.LevelHolm)
	// By themselves told apart, and also with the correction.
	parts := []struct {
		how    string
		labels []string
	}{{"better", nil}, {"better by its own p, not with Holm's correction", nil}, {"not told apart", nil},
		{"worse by its own p, not with Holm's correction", nil}, {"worse", nil}}
	for _, row := range r.Rows {
		if row.Method.Label == r.Reference {
			continue
		}
		k := 2
		if sign := row.Difference.Sign(); sign != 0 {
			k = 2 + int(r.Number.Rankable(float64(sign)))
			if row.Corrected < significance {
				k = 2 + 2*int(r.Number.Rankable(float64(sign)))
			}
		}
		parts[k].labels = append(parts[k].labels, row.Method.Label)
	}
	var against []string
	for _, part := range parts {
		switch {
		case len(part.labels) > 0:
			against = append(against, part.how+": "+words.List(part.labels))
		case !strings.Contains(part.how, "Holm"):
			against = append(against, part.how+": none")
		}
	}
	return []string{text, fmt.Sprintf("Against %s by the paired t, with Holm's correction for %d comparisons. %s.", r.Reference, others, words.UpperFirst(strings.Join(against, "; ")))}
}

// EnoughMethods is how many make a ranking or a front worth showing unasked.
const EnoughMethods = 3

// Rankings ranks methods by final FID, once a benchmark, where there are at least three methods with two seeds in
// common: fewer need no ranks, or cannot say how sure they are.
func Rankings(methods []Method) []*Ranking {
	var out []*Ranking
	for _, part := range ByBenchmark(methods) {
		r, err := NewRanking(part, FinalOf(FID), "")
		if err == nil && len(r.Rows) >= EnoughMethods && len(r.Seeds) > 1 {
			out = append(out, r)
		}
	}
	return out
}
