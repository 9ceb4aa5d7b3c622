package report

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"

	"github.com/pkg/errors"
	"gonum.org/v1/gonum/floats"
	"gonum.org/v1/gonum/stat"

	"palimpsest/pkg/results"
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
	Seeds []uint64 // those that have every λ
	// Best is the λ tried of the lowest mean FID over the seeds; its interval is of the bootstrap over seeds, which are drawn
	// with replacement for all λ alike: below two seeds there is none. Few seeds have few different draws, so that an
	// interval of one value says that all of them agree and no more.
	Best  Interval
	Share float64 // of draws with the same best λ; NaN below two seeds
	FID   Stat    // at the best λ

	// Reduced is the best λ below 1, Plain is λ = 1; NaN and zero where the line has none. The reduced λ is chosen by the same
	// FID that it is then compared by, which favours it the more, the more were tried.
	Reduced                         float64
	Tried                           int // λ below 1
	ReducedFID, PlainFID            Stat
	ReducedCopies, PlainCopies      Stat // of buffer images, in per cent
	DifferenceFID, DifferenceCopies Difference

	drawn []float64 // the best λ in every draw
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
			out.Left = append(out.Left, s.title(line))
			continue
		}
		out.Rows = append(out.Rows, newBestRow(line, b))
	}
	if len(out.Rows) == 0 {
		return nil, errors.Errorf("report: no seed has the FID of every λ under the same other settings (%s); let the sweep finish", list(out.Left))
	}
	return out, nil
}

// newBestRow finds the best λ of a line, whose FID b holds by λ.
func newBestRow(line SweepLine, b blocks) BestLambdaRow {
	r := BestLambdaRow{Line: line, Seeds: b.seeds, Share: math.NaN(), Reduced: math.NaN()}
	mean := make([][]float64, len(line.Lambdas)) // by λ and seed
	for k := range mean {
		for s := range b.seeds {
			mean[k] = append(mean[k], stat.Mean(b.values[k][s], nil))
		}
	}
	best := func(seeds []int) int {
		sums := make([]float64, len(mean))
		for k := range mean {
			for _, s := range seeds {
				sums[k] += mean[k][s]
			}
		}
		return floats.MinIdx(sums)
	}
	every := make([]int, len(b.seeds))
	for s := range every {
		every[s] = s
	}
	at := best(every)
	if len(b.seeds) > 1 {
		random := rand.New(rand.NewPCG(1, 0))
		same := 0
		for range resamples {
			seeds := make([]int, len(b.seeds))
			for s := range seeds {
				seeds[s] = random.IntN(len(seeds))
			}
			k := best(seeds)
			if k == at {
				same++
			}
			r.drawn = append(r.drawn, line.Lambdas[k])
		}
		r.Share = float64(same) / resamples
	}
	r.Best = percentiles(line.Lambdas[at], r.drawn)
	over := func(k int, of func(*results.Run) float64) Stat {
		var values []float64
		for _, run := range line.Methods[k].Runs {
			if slices.Contains(b.seeds, run.Seed) {
				values = append(values, of(run))
			}
		}
		return NewStat(values)
	}
	r.FID = over(at, FinalOf(FID).Of)
	reduced, plain := -1, -1
	for k, lambda := range line.Lambdas {
		switch {
		case lambda == 1:
			plain = k
		case lambda < 1:
			r.Tried++
			if reduced < 0 || floats.Sum(mean[k]) < floats.Sum(mean[reduced]) {
				reduced = k
			}
		}
	}
	if reduced >= 0 && plain >= 0 {
		r.Reduced = line.Lambdas[reduced]
		r.ReducedFID, r.PlainFID = over(reduced, FinalOf(FID).Of), over(plain, FinalOf(FID).Of)
		r.ReducedCopies, r.PlainCopies = over(reduced, copiesOf), over(plain, copiesOf)
		r.DifferenceFID, r.DifferenceCopies = Compare(r.ReducedFID, r.PlainFID), Compare(r.ReducedCopies, r.PlainCopies)
	}
	return r
}

// compared says whether the line has both a λ below 1 and λ = 1.
func (r BestLambdaRow) compared() bool { return !math.IsNaN(r.Reduced) }

// edge says at which end of those tried the best λ is: -1, 1, or 0 for neither.
func (r BestLambdaRow) edge() int {
	switch r.Best.Value {
	case r.Line.Lambdas[0]:
		return -1
	case r.Line.Lambdas[len(r.Line.Lambdas)-1]:
		return 1
	}
	return 0
}

// lambdaText writes a best λ with its interval and a mark where it is at an end of those tried: "≤0.1", "≥3".
func (r BestLambdaRow) lambdaText() string {
	mark := map[int]string{-1: "≤", 0: "", 1: "≥"}[r.edge()]
	text := mark + shortNumber(r.Best.Value)
	if !math.IsNaN(r.Best.Low) {
		text += fmt.Sprintf(" [%s, %s]", shortNumber(r.Best.Low), shortNumber(r.Best.High))
	}
	return text
}

// Table holds a row a line.
func (b *BestLambdas) Table() *Table {
	t := &Table{Head: "setting"}
	columns := []Column{
		{Head: "λ tried", Long: "Rehearsal coefficients above 0 that were run."},
		{Head: "best λ", Long: "The λ tried of the lowest final FID, with its interval over seeds."},
		{Head: "share of draws", Unit: "%", Long: "Draws of seeds in which that λ is the best."},
		{Head: "FID at it", Arrow: "↓", Long: "After the last task, averaged over all tasks."},
		{Head: "best λ < 1", Long: "The best of the reduced λ."},
		{Head: "its FID", Arrow: "↓", Long: "Final FID at the best reduced λ."},
		{Head: "FID at λ = 1", Arrow: "↓", Long: "Final FID of plain rehearsal."},
		{Head: "its copies", Unit: "%", Long: "Share of final samples that copy a buffer image, at the best reduced λ."},
		{Head: "copies at λ = 1", Unit: "%", Long: "Share of final samples that copy a buffer image, of plain rehearsal."},
		{Head: "rows a step", Long: "New images and replayed ones in a training step; their sum is what a step costs."},
	}
	for _, r := range b.Rows {
		t.Rows = append(t.Rows, b.Sweep.title(r.Line))
		tried := ""
		for k, lambda := range r.Line.Lambdas {
			if k > 0 {
				tried += " "
			}
			tried += shortNumber(lambda)
		}
		for k, c := range []Cell{
			{tried, float64(len(r.Line.Lambdas))}, {r.lambdaText(), r.Best.Value}, {number(100*r.Share, 0), r.Share},
			{r.FID.Format(1), r.FID.Mean}, {number(r.Reduced, 2), r.Reduced}, {r.ReducedFID.Format(1), r.ReducedFID.Mean},
			{r.PlainFID.Format(1), r.PlainFID.Mean}, {r.ReducedCopies.Format(1), r.ReducedCopies.Mean}, {r.PlainCopies.Format(1), r.PlainCopies.Mean},
			{fmt.Sprintf("%d + %d", r.Line.Fresh, r.Line.Rows), float64(r.Line.Fresh + r.Line.Rows)},
		} {
			columns[k].Cells = append(columns[k].Cells, c)
		}
	}
	t.Sections = []Section{{"The best λ of " + b.Sweep.Strategy, columns}}
	t.Notes = b.notes()
	return t
}

// notes says how best λ and intervals came about.
func (b *BestLambdas) notes() []string {
	most := 0
	for _, r := range b.Rows {
		most = max(most, len(r.Seeds))
	}
	out := []string{"≤ or ≥: the best λ is the least or the greatest tried, so a better one may lie beyond.",
		"The best reduced λ is chosen by the FID it is compared by, which favours it against λ = 1."}
	if most > 1 {
		out = append(out, fmt.Sprintf("Brackets: 95 %% percentile bootstrap over seeds, %d draws, the same seeds for every λ. ± is the sample standard deviation over %s. "+
			"So few seeds have few different draws: an interval of one value says that they agree, not that it is certain.", resamples, seeds(most)))
	} else {
		out = append(out, "One seed: the spread between seeds is unknown.")
	}
	if len(b.Left) > 0 {
		out = append(out, "Left out, as no seed has all their λ: "+list(b.Left)+".")
	}
	return out
}
