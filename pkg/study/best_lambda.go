package study

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/pkg/errors"
	"gonum.org/v1/gonum/floats"

	"palimpsest/pkg/results"
	"palimpsest/pkg/table"
	"palimpsest/pkg/words"
)

// BestLambdas says, for every line of a sweep, which λ ends at the lowest FID, whether a reduced one (below 1) is better than
// plain rehearsal (1), and whether it copies less.
type BestLambdas struct {
	Sweep *Sweep
	Rows  []BestLambdaRow
	Left  []string // lines left out, as no seed has all their λ
}

// BestLambdaRow is one line of a sweep.
type BestLambdaRow struct {
	Line  SweepLine
	Seeds []uint64  // those that have every λ
	Best  float64   // the λ tried of the lowest mean FID over the seeds
	Level []float64 // the other λ, increasing, that are not told apart from it by their FID ([Difference]); none below two seeds
	FID   Stat      // at the best λ

	// Reduced is the best λ below 1, Plain is λ = 1; NaN and zero where the line has none. The reduced λ is chosen by the same
	// FID that it is then compared by, which favours it the more, the more were tried.
	Reduced                         float64
	Tried                           int // λ below 1
	ReducedFID, PlainFID            Stat
	ReducedCopies, PlainCopies      Stat // of buffer images, in per cent
	DifferenceFID, DifferenceCopies Difference

	fids []Stat // final FID at each λ
}

// BestLambda finds the best λ of every line of a sweep ([NewSweep]). It is an error if no line has a seed with all its λ.
func BestLambda(runs []*results.Run, strategy string) (*BestLambdas, error) {
	s, err := NewSweep(runs, strategy)
	if err != nil {
		return nil, err
	}
	out := &BestLambdas{Sweep: s}
	for _, line := range s.Lines {
		b, _, err := newBlocks(line.Methods, FinalOf(FID))
		if err != nil || len(b.methods) < len(line.Methods) {
			out.Left = append(out.Left, s.Title(line))
			continue
		}
		out.Rows = append(out.Rows, newBestRow(line, b, s.CopiesOf()))
	}
	if len(out.Rows) == 0 {
		return nil, errors.Errorf("study: no seed has the FID of every λ under the same other settings (%s); let the sweep finish", words.List(out.Left))
	}
	return out, nil
}

// newBestRow finds the best λ of a line, whose FID b holds by λ; copied is the share of copies.
func newBestRow(line SweepLine, b blocks, copied func(*results.Run) float64) BestLambdaRow {
	r := BestLambdaRow{Line: line, Seeds: b.seeds, Reduced: math.NaN()}
	var means []float64
	for k := range line.Lambdas {
		fid := b.bySeed(k)
		r.fids, means = append(r.fids, fid), append(means, fid.Mean)
	}
	at := floats.MinIdx(means)
	r.Best, r.FID = line.Lambdas[at], r.fids[at]
	copies := func(k int) Stat {
		return overRuns(slices.DeleteFunc(slices.Clone(line.Methods[k].Runs), func(run *results.Run) bool { return !slices.Contains(b.seeds, run.Seed) }), copied)
	}
	reduced, plain := -1, -1
	for k, lambda := range line.Lambdas {
		if d := Compare(r.fids[k], r.FID); k != at && d.Tested() && d.Sign() == 0 {
			r.Level = append(r.Level, lambda)
		}
		switch {
		case lambda == 1:
			plain = k
		case lambda < 1:
			r.Tried++
			if reduced < 0 || r.fids[k].Mean < r.fids[reduced].Mean {
				reduced = k
			}
		}
	}
	if reduced >= 0 && plain >= 0 {
		r.Reduced = line.Lambdas[reduced]
		r.ReducedFID, r.PlainFID, r.ReducedCopies, r.PlainCopies = r.fids[reduced], r.fids[plain], copies(reduced), copies(plain)
		r.DifferenceFID, r.DifferenceCopies = Compare(r.ReducedFID, r.PlainFID), Compare(r.ReducedCopies, r.PlainCopies)
	}
	return r
}

// Compared says whether the line has both a λ below 1 and λ = 1.
func (r BestLambdaRow) Compared() bool { return !math.IsNaN(r.Reduced) }

// edge says at which end of those tried the best λ is: -1, 1, or 0 for neither.
func (r BestLambdaRow) edge() int {
	switch r.Best {
	case r.Line.Lambdas[0]:
		return -1
	case r.Line.Lambdas[len(r.Line.Lambdas)-1]:
		return 1
	}
	return 0
}

// lambdaText writes a best λ with a mark where it is at an end of those tried: "≤0.1", "≥3".
func (r BestLambdaRow) lambdaText() string {
	return map[int]string{-1: "≤", 0: "", 1: "≥"}[r.edge()] + words.Short(r.Best)
}

// levelText lists the λ that are not told apart from the best.
func (r BestLambdaRow) levelText() string {
	switch {
	case len(r.Seeds) < 2:
		return words.Missing
	case len(r.Level) == 0:
		return "none"
	}
	return lambdaList(r.Level)
}

// lambdaList writes coefficients with blanks between them.
func lambdaList(lambdas []float64) string {
	parts := make([]string, len(lambdas))
	for i, l := range lambdas {
		parts[i] = words.Short(l)
	}
	return strings.Join(parts, " ")
}

// Table holds a row a line.
func (b *BestLambdas) Table() *table.Table {
	t := &table.Table{Head: "setting", Alarms: Alarms(b.methods())}
	_, criterion := b.Sweep.Copies()
	columns := []table.Column{
		{Head: "λ tried", Long: "Rehearsal coefficients above 0 that were run."},
		{Head: "best λ", Long: "The λ tried of the lowest mean final FID."},
		{Head: "not told apart from it", Long: "Other λ whose final FID the seeds do not tell apart from the best one's."},
		{Head: "FID at it", Arrow: "↓", Long: "After the last task, averaged over all tasks."},
		{Head: "best λ < 1", Long: "The best of the reduced λ."},
		{Head: "its FID", Arrow: "↓", Long: "Final FID at the best reduced λ."},
		{Head: "FID at λ = 1", Arrow: "↓", Long: "Final FID of plain rehearsal."},
		{Head: "difference", Long: "FID of the best reduced λ less that of λ = 1 on the same seeds, with its 95 % t interval."},
		{Head: "p", Long: "Of that difference, by Student's t on the differences seed by seed."},
		{Head: "its copies", Unit: "%", Long: "Share of final samples that copy a buffer image by " + criterion + ", at the best reduced λ."},
		{Head: "copies at λ = 1", Unit: "%", Long: "Share of final samples that copy a buffer image by " + criterion + ", of plain rehearsal."},
		{Head: "rows a step", Long: "New images and replayed ones in a training step; their sum is what a step costs."},
	}
	for _, r := range b.Rows {
		t.Rows = append(t.Rows, b.Sweep.Title(r.Line))
		difference, p := table.Cell{Text: words.Missing, Sort: math.NaN()}, table.Cell{Text: words.Missing, Sort: math.NaN()}
		if r.Compared() {
			difference, p = table.Cell{Text: r.DifferenceFID.Format(1), Sort: r.DifferenceFID.Value}, table.Cell{Text: bareProbability(r.DifferenceFID.P), Sort: r.DifferenceFID.P}
		}
		for k, c := range []table.Cell{
			{Text: lambdaList(r.Line.Lambdas), Sort: float64(len(r.Line.Lambdas))}, {Text: r.lambdaText(), Sort: r.Best}, {Text: r.levelText(), Sort: float64(len(r.Level))},
			{Text: r.FID.Format(1), Sort: r.FID.Mean}, {Text: words.Number(r.Reduced, 2), Sort: r.Reduced}, {Text: r.ReducedFID.Format(1), Sort: r.ReducedFID.Mean},
			{Text: r.PlainFID.Format(1), Sort: r.PlainFID.Mean}, difference, p, {Text: r.ReducedCopies.Format(1), Sort: r.ReducedCopies.Mean}, {Text: r.PlainCopies.Format(1), Sort: r.PlainCopies.Mean},
			{Text: fmt.Sprintf("%d + %d", r.Line.Fresh, r.Line.Rows), Sort: float64(r.Line.Fresh + r.Line.Rows)},
		} {
			columns[k].Cells = append(columns[k].Cells, c)
		}
	}
	t.Sections = []table.Section{{Title: "The best λ of " + b.Sweep.Strategy, Columns: columns}}
	t.Notes = append(withRepeatNotes(b.notes(), b.methods()), append([]string{"Copies here are told by " + criterion + "."}, CopyNotes(b.methods())...)...)
	return t
}

// methods are those of all lines.
func (b *BestLambdas) methods() []Method {
	var out []Method
	for _, r := range b.Rows {
		out = append(out, r.Line.Methods...)
	}
	return out
}

// notes says how best λ and intervals came about.
func (b *BestLambdas) notes() []string {
	var seeds []int
	for _, r := range b.Rows {
		seeds = append(seeds, len(r.Seeds))
	}
	most := slices.Max(append(seeds, 0))
	spread := words.Seeds(most)
	if least := slices.Min(append(seeds, most)); least < most {
		spread = fmt.Sprintf("%d to %s, as many as the setting has", least, spread)
	}
	out := []string{"≤ or ≥: the best λ is the least or the greatest tried, so a better one may lie beyond.",
		"The best reduced λ is chosen by the FID it is compared by, which favours it against λ = 1."}
	if most > 1 {
		out = append(out, fmt.Sprintf("± is the sample standard deviation over %s.", spread), RuleNote,
			fmt.Sprintf("Each of the %d settings is judged by itself: were no λ better than another, about one verdict in twenty would still be decided, by chance.", len(b.Rows)))
	} else {
		out = append(out, "One seed: the spread between seeds is unknown and nothing is decided.")
	}
	if slices.ContainsFunc(b.Rows, func(r BestLambdaRow) bool { return r.Line.Steps != b.Rows[0].Line.Steps }) {
		out = append(out, "Settings are separate runs: one of more steps is not one of fewer carried on.")
	}
	if len(b.Left) > 0 {
		out = append(out, "Left out, as no seed has all their λ: "+words.List(b.Left)+".")
	}
	return out
}
