package report

import (
	"fmt"
	"math"
)

// Sentences answers from the numbers alone: is a reduced λ better than plain rehearsal, does it copy less, and how does the
// best λ move with buffer, rows, number of tasks and of steps? Differences within the spread over seeds decide nothing.
func (b *BestLambdas) Sentences() []string {
	out := append([]string{b.betterSentence()}, b.lines(BestLambdaRow.betterWords)...)
	out = append(out, b.copiesSentence())
	out = append(out, b.lines(BestLambdaRow.copiesWords)...)
	return append(out, b.moves()...)
}

// lines are the words of every line that can be compared, after its name.
func (b *BestLambdas) lines(words func(BestLambdaRow) string) []string {
	var out []string
	for _, r := range b.Rows {
		if text := words(r); text != "" {
			title := b.Sweep.title(r.Line)
			if r.Line.Name != "" { // names of strategies and data sets stay as they are
				title = upperFirst(title)
			}
			out = append(out, title+": "+text)
		}
	}
	return out
}

// counts sorts differences into those below and above 0 by more than the spread, those level, and those that a single
// seed leaves open.
type counts struct{ below, level, above, open int }

func (c *counts) add(d Difference) {
	switch {
	case math.IsNaN(d.Value):
	case math.IsNaN(d.Spread):
		c.open++
	case d.Level():
		c.level++
	case d.Value < 0:
		c.below++
	default:
		c.above++
	}
}

func (c counts) all() int { return c.below + c.level + c.above + c.open }

// answer is what the counts say of a yes-or-no question.
func (c counts) answer() string {
	switch {
	case c.open == c.all():
		return "one seed does not say"
	case c.below > 0 && c.above == 0 && c.level == 0:
		return "yes"
	case c.below > 0 && c.above == 0:
		return "in part"
	case c.below > 0:
		return "it depends"
	}
	return "no"
}

// shares writes in how many settings a difference was which way, after "is lower".
func (c counts) shares() string {
	text := fmt.Sprintf("in %d of %d settings, higher in %d and level in %d", c.below, c.all(), c.above, c.level)
	if c.open > 0 {
		text += fmt.Sprintf("; %d of one seed are open", c.open)
	}
	return text
}

// betterSentence answers whether a reduced λ is better.
func (b *BestLambdas) betterSentence() string {
	var c counts
	for _, r := range b.Rows {
		if r.compared() {
			c.add(r.DifferenceFID)
		}
	}
	if c.all() == 0 {
		return "Is a reduced λ better? No setting was run with both λ = 1 and one below, so that cannot be said."
	}
	if c.open == c.all() {
		return "Is a reduced λ better? One seed does not say: the spread between seeds is unknown."
	}
	return fmt.Sprintf("Is a reduced λ better than λ = 1? %s: by more than the spread over seeds, the FID of the best λ below 1 is lower %s.",
		upperFirst(c.answer()), c.shares())
}

// copiesSentence answers whether a reduced λ copies less.
func (b *BestLambdas) copiesSentence() string {
	var c counts
	for _, r := range b.Rows {
		if r.compared() {
			c.add(r.DifferenceCopies)
		}
	}
	if c.all() == 0 {
		return "Does a reduced λ copy less? Copies of buffer images were not measured at both λ = 1 and one below, so that cannot be said."
	}
	if c.open == c.all() {
		return "Does a reduced λ copy less? One seed does not say: the spread between seeds is unknown."
	}
	return fmt.Sprintf("Does a reduced λ copy less than λ = 1? %s: by more than the spread over seeds, the share of samples that copy a buffer image is lower %s.",
		upperFirst(c.answer()), c.shares())
}

// betterWords compares the FID of reduced and plain rehearsal in one line.
func (r BestLambdaRow) betterWords() string {
	if !r.compared() {
		return ""
	}
	text := fmt.Sprintf("λ = %s ends at a FID of %s, λ = 1 at %s; it is %s.", shortNumber(r.Reduced), fid(r.ReducedFID), fid(r.PlainFID), betterWorse(r.DifferenceFID))
	if r.Tried > 1 {
		text = fmt.Sprintf("of the %d λ below 1 the best, ", r.Tried) + text
	}
	return text
}

// copiesWords compares the copies of reduced and plain rehearsal in one line.
func (r BestLambdaRow) copiesWords() string {
	d := r.DifferenceCopies
	if !r.compared() || math.IsNaN(d.Value) {
		return ""
	}
	word := "more by "
	if d.Value < 0 {
		word = "fewer by "
	}
	word += size(d.Value) + " points"
	if d.Level() {
		word = "level"
	}
	return fmt.Sprintf("%s %% of the samples at λ = %s copy a buffer image, %s %% at λ = 1: %s, %s.",
		r.ReducedCopies.Format(1), shortNumber(r.Reduced), r.PlainCopies.Format(1), word, d.Grade(1))
}

// moves says how the best λ changes between lines that differ in one thing alone, neighbours in it.
func (b *BestLambdas) moves() []string {
	var out []string
	for _, of := range []func(SweepLine) int{
		func(l SweepLine) int { return l.Buffer }, func(l SweepLine) int { return l.Rows }, func(l SweepLine) int { return l.Tasks },
		func(l SweepLine) int { return l.Steps },
	} {
		for i, low := range b.Rows {
			next := -1
			for j, high := range b.Rows {
				if of(high.Line) > of(low.Line) && differInOne(low.Line, high.Line) && (next < 0 || of(high.Line) < of(b.Rows[next].Line)) {
					next = j
				}
			}
			if next >= 0 {
				out = append(out, b.move(b.Rows[i], b.Rows[next]))
			}
		}
	}
	return out
}

// differInOne says whether two lines differ in just one of buffer, replay rows, number of tasks and of steps. Variants go with
// tasks, rows or steps, which name them; fresh rows may make up for the replayed ones.
func differInOne(a, b SweepLine) bool {
	n := 0
	for _, differ := range []bool{a.Buffer != b.Buffer, a.Rows != b.Rows, a.Tasks != b.Tasks, a.Steps != b.Steps} {
		if differ {
			n++
		}
	}
	a.bench.tasks = b.bench.tasks
	return n == 1 && a.other == b.other && a.bench == b.bench && (a.Fresh == b.Fresh || a.Fresh+a.Rows == b.Fresh+b.Rows) &&
		(a.Variant == b.Variant || a.Buffer == b.Buffer)
}

// move compares the best λ of two lines. Their draws are of the same seeds, in the same order, where both have as many.
func (b *BestLambdas) move(low, high BestLambdaRow) string {
	text := fmt.Sprintf("From %s to %s the best λ ", b.Sweep.title(low.Line), b.Sweep.title(high.Line))
	if low.Best.Value == high.Best.Value {
		text += "stays at " + shortNumber(low.Best.Value)
	} else {
		text += fmt.Sprintf("goes from %s to %s", low.lambdaText(), high.lambdaText())
	}
	if len(low.drawn) == 0 || len(high.drawn) == 0 {
		return text + "; one seed does not say how sure that is."
	}
	ratios := make([]float64, len(low.drawn))
	for k := range ratios {
		ratios[k] = math.Log(high.drawn[k] / low.drawn[k])
	}
	ratio := percentiles(math.Log(high.Best.Value/low.Best.Value), ratios)
	switch {
	case !ratio.Excludes(0) && low.Best.Value == high.Best.Value:
		return text + "."
	case !ratio.Excludes(0):
		return text + ", which these seeds do not tell apart from staying."
	case ratio.Value > 0:
		return text + ": it rises in at least 95 % of draws of the seeds."
	}
	return text + ": it falls in at least 95 % of draws of the seeds."
}
