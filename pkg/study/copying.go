package study

import (
	"cmp"
	"fmt"
	"math"
	"slices"

	"github.com/pkg/errors"

	"palimpsest/pkg/results"
	"palimpsest/pkg/table"
	"palimpsest/pkg/words"
)

// bearable is how much weight, in draws of weight 1, an image of the buffer bears by the rule of [Copying] before the network copies it.
const bearable = 300

// Copyings holds against each other how often images of a buffer were drawn, with which weight, and how many samples copy one.
type Copyings struct {
	Rows  []CopyingRow // by weighted draws
	Rules []RuleRow    // a line of the sweep each that has two λ of at most 1

	sweep *Sweep
}

// CopyingRow is one λ of one line of a sweep.
type CopyingRow struct {
	Line   SweepLine
	Lambda float64
	Draws  float64 // of an image of the first task, from the end of that task to the end
	Oldest Stat    // share of samples of the first task that copy a buffer image at the end, in per cent
	Copies Stat    // the same, of all tasks but the last
	FID    Stat    // at the end, over all tasks
}

// Weighted is λ times the draws.
func (r CopyingRow) Weighted() float64 { return r.Lambda * r.Draws }

// RuleRow says how the rule fares in one line of a sweep: the largest λ tried, at most 1, that the images bear, or the smallest tried.
type RuleRow struct {
	Line         SweepLine
	Draws        float64
	Lambda, Best float64 // the rule's λ; that of the lowest FID
	FID, BestFID Stat
	Behind       Difference // FID at the rule's λ less that at the best
	FromPlain    Difference // FID at the rule's λ less that at λ = 1
}

// Copying relates the copies of the runs of a strategy to how often an image of the buffer was drawn, each time with weight λ. Only
// runs with plain settings count, whose rows are drawn alike from all of the buffer: an image of the first task is drawn
// rows · steps / min(buffer, images seen) times in each later task. It is an error if there is no sweep over λ ([NewSweep]) or no copies were measured.
func Copying(runs []*results.Run, strategy string) (*Copyings, error) {
	var plain []*results.Run
	for _, r := range runs {
		if r.Strategy.Name == strategy && plainSettings(r) {
			plain = append(plain, r)
		}
	}
	best, err := BestLambda(plain, strategy)
	if err != nil {
		return nil, err
	}
	c := &Copyings{sweep: best.Sweep}
	metric := CopiesBufferPixels // that by ratio depends on the size of the buffer
	for _, row := range best.Rows {
		rule := RuleRow{Line: row.Line, Draws: oldestDraws(row.Line.Methods[0].Runs[0]), Lambda: math.NaN(), Best: row.Best, BestFID: row.FID}
		plainFID, reduced := Stat{}, 0
		for k, g := range row.Line.Methods {
			r := CopyingRow{Line: row.Line, Lambda: row.Line.Lambdas[k], Draws: rule.Draws, FID: row.fids[k],
				Oldest: g.Over(func(r *results.Run) float64 { return copiesOfEarlier(r, metric, true) }).Times(100),
				Copies: g.Over(func(r *results.Run) float64 { return copiesOfEarlier(r, metric, false) }).Times(100)}
			if r.Lambda <= 1 && (r.Weighted() < bearable || math.IsNaN(rule.Lambda)) { // increasing
				rule.Lambda, rule.FID = r.Lambda, r.FID
			}
			if r.Lambda == 1 {
				plainFID = r.FID
			}
			if r.Lambda <= 1 {
				reduced++
			}
			if r.Copies.Known() {
				c.Rows = append(c.Rows, r)
			}
		}
		if reduced > 1 {
			rule.Behind, rule.FromPlain = Compare(rule.FID, rule.BestFID), Compare(rule.FID, plainFID)
			c.Rules = append(c.Rules, rule)
		}
	}
	if len(c.Rows) == 0 {
		return nil, errors.Errorf("study: no run of %q has copies of the buffer by the fixed yardstick; runs made by this version have", strategy)
	}
	slices.SortStableFunc(c.Rows, func(a, b CopyingRow) int {
		return cmp.Or(cmp.Compare(a.Weighted(), b.Weighted()), cmp.Compare(a.Lambda, b.Lambda))
	})
	return c, nil
}

// oldestDraws is how often each image that a run keeps of its first task was drawn, on average, by the end; all tasks take as many steps.
func oldestDraws(r *results.Run) float64 {
	tasks := r.Benchmark.Tasks
	draws, seen := 0.0, 0
	for _, t := range tasks[:len(tasks)-1] {
		seen += t.Train
		draws += float64(r.Cost.ReplayRows) * float64(r.Cost.Steps) / float64(len(tasks)) / float64(min(bufferImages(r), seen))
	}
	return draws
}

// copiesOfEarlier is a share of copies after the last task, of the first task or averaged over all but the last; NaN where it was not measured.
func copiesOfEarlier(r *results.Run, m Metric, first bool) float64 {
	e := r.Evaluations[len(r.Evaluations)-1]
	sum, n := 0.0, 0
	for i := range e.Tasks {
		t := &e.Tasks[i]
		if v := m.Read(t); v != nil && t.Task < len(r.Benchmark.Tasks)-1 && (t.Task == 0 || !first) {
			sum, n = sum+*v, n+1
		}
	}
	return sum / float64(n)
}

// Sentences say from where on images are copied, what tells it, and how the rule fares.
func (c *Copyings) Sentences() []string {
	var below, above, heavy []CopyingRow
	for _, r := range c.Rows {
		switch {
		case r.Lambda > 1:
			heavy = append(heavy, r)
		case r.Weighted() < bearable:
			below = append(below, r)
		default:
			above = append(above, r)
		}
	}
	var out []string
	for _, part := range []struct {
		rows []CopyingRow
		head string
	}{
		{below, fmt.Sprintf("λ ≤ 1, and λ × draws of the oldest images below %d", bearable)}, {above, fmt.Sprintf("λ ≤ 1, and λ × draws of %d or more", bearable)}, {heavy, "λ above 1"},
	} {
		if len(part.rows) == 0 {
			continue
		}
		first, last := part.rows[0], part.rows[len(part.rows)-1]
		least, most := first.Copies.Mean, first.Copies.Mean
		for _, r := range part.rows {
			least, most = min(least, r.Copies.Mean), max(most, r.Copies.Mean)
		}
		out = append(out, fmt.Sprintf("%s (%s, %.0f to %.0f): %s to %s %% of the samples of earlier tasks copy a buffer image.",
			part.head, words.Count(len(part.rows), "setting"), first.Weighted(), last.Weighted(), words.Number(least, 1), words.Number(most, 1)))
	}
	light := append(below, above...)
	if len(light) > 2 {
		by := func(of func(CopyingRow) float64) string {
			var x, y []float64
			for _, r := range light {
				x, y = append(x, of(r)), append(y, r.Copies.Mean)
			}
			return words.Number(spearman(x, y), 2)
		}
		out = append(out, fmt.Sprintf("Over the %d settings with λ ≤ 1 the share of copies goes with λ × draws by a Spearman's ρ of %s, with the draws alone of %s, with λ alone of %s.",
			len(light), by(CopyingRow.Weighted), by(func(r CopyingRow) float64 { return r.Draws }), by(func(r CopyingRow) float64 { return r.Lambda })))
	}
	var level, worse, open int
	for _, r := range c.Rules {
		switch {
		case r.Lambda == r.Best || r.Behind.Tested() && r.Behind.Sign() == 0:
			level++
		case r.Behind.Tested():
			worse++
		default:
			open++
		}
	}
	if len(c.Rules) > 0 {
		text := fmt.Sprintf("The rule, the largest λ tried, at most 1, for which λ × draws stays below %d, gives the λ of the best FID or one not told apart from it (paired t, p < 0.05) in %d of %s",
			bearable, level, words.Count(len(c.Rules), "sweep"))
		if worse > 0 {
			text += fmt.Sprintf(", a worse one in %d", worse)
		}
		if open > 0 {
			text += fmt.Sprintf("; the seeds do not decide %d", open)
		}
		out = append(out, text+".")
	}
	return out
}

// Tables are the rule's, a row a sweep, and that of all settings, a row each, by weighted draws.
func (c *Copyings) Tables() []*table.Table {
	var methods []Method
	for _, l := range c.sweep.Lines {
		methods = append(methods, l.Methods...)
	}
	number := func(v float64, decimals int) table.Cell {
		return table.Cell{Text: words.Number(v, decimals), Sort: v}
	}
	stat := func(s Stat) table.Cell { return table.Cell{Text: s.Format(1), Sort: s.Mean} }
	of := func(d Difference) table.Cell { return table.Cell{Text: d.Format(1), Sort: d.Value} }
	rule := &table.Table{Head: "setting"}
	columns := []table.Column{
		{Head: "draws", Long: "How often an image of the first task was drawn by the end."},
		{Head: "the rule's λ", Long: fmt.Sprintf("The largest λ tried, at most 1, for which λ × draws is below %d, else the smallest tried.", bearable)},
		{Head: "FID at it", Arrow: "↓"}, {Head: "best λ", Long: "Of those tried, by the FID after the last task averaged over all tasks."}, {Head: "FID there", Arrow: "↓"},
		{Head: "behind the best by", Long: "FID at the rule's λ less that at the best, seed by seed, with its 95 % t interval."},
		{Head: "p"},
		{Head: "less λ = 1's", Long: "FID at the rule's λ less that at λ = 1."},
	}
	for _, r := range c.Rules {
		rule.Rows = append(rule.Rows, c.sweep.Title(r.Line))
		behind, p := table.Cell{Text: "(best)", Sort: 0}, table.Cell{Text: words.Missing, Sort: math.NaN()}
		if r.Lambda != r.Best {
			behind, p = of(r.Behind), table.Cell{Text: bareProbability(r.Behind.P), Sort: r.Behind.P}
		}
		from := table.Cell{Text: "(λ = 1)", Sort: 0}
		if r.Lambda != 1 {
			from = of(r.FromPlain)
		}
		for k, cell := range []table.Cell{number(r.Draws, 0), {Text: words.Short(r.Lambda), Sort: r.Lambda}, stat(r.FID), {Text: words.Short(r.Best), Sort: r.Best}, stat(r.BestFID), behind, p, from} {
			columns[k].Cells = append(columns[k].Cells, cell)
		}
	}
	rule.Sections = []table.Section{{Title: "What the rule chooses", Columns: columns}}
	rule.Notes = []string{RuleNote}

	all := &table.Table{Head: "setting", Alarms: Alarms(methods)}
	columns = []table.Column{
		{Head: "λ"}, {Head: "draws", Long: "How often an image of the first task was drawn by the end: rows × steps / images in the buffer, over the tasks that came after."}, {Head: "λ × draws"},
		{Head: "copies of the oldest", Unit: "%", Long: "Share of final samples of the first task that copy an image of the buffer by the fixed yardstick in pixels."},
		{Head: "copies", Unit: "%", Long: "The same, of all tasks but the last."}, {Head: "FID", Arrow: "↓", Long: "After the last task, averaged over all tasks."},
	}
	for _, r := range c.Rows {
		all.Rows = append(all.Rows, c.sweep.Title(r.Line))
		for k, cell := range []table.Cell{{Text: words.Short(r.Lambda), Sort: r.Lambda}, number(r.Draws, 0), number(r.Weighted(), 0), stat(r.Oldest), stat(r.Copies), stat(r.FID)} {
			columns[k].Cells = append(columns[k].Cells, cell)
		}
	}
	all.Sections = []table.Section{{Title: "Copies by how often an image was drawn", Columns: columns}}
	all.Notes = withRepeatNotes(yardstickNotes(methods), methods)
	return []*table.Table{rule, all}
}
