package study

import (
	"fmt"
	"math"
	"slices"

	"palimpsest/pkg/words"
)

// Sentences answers, from the numbers alone: is a reduced λ better than plain rehearsal, does it copy less, and how does the
// best λ move with the size of the buffer, the rows, the number of tasks and of steps? [Difference] has the rule for what counts as different.
func (b *BestLambdas) Sentences() []string {
	out := append([]string{b.betterSentence()}, b.lines(BestLambdaRow.betterWords)...)
	out = append(out, b.copiesSentence())
	out = append(out, b.lines(BestLambdaRow.copiesWords)...)
	return append(out, b.moves()...)
}

// lines are the words of every line that can be compared, after its name.
func (b *BestLambdas) lines(say func(BestLambdaRow) string) []string {
	var out []string
	for _, r := range b.Rows {
		if text := say(r); text != "" {
			title := b.Sweep.Title(r.Line)
			if r.Line.Name != "" { // names of strategies and data sets stay as they are
				title = words.UpperFirst(title)
			}
			out = append(out, title+": "+text)
		}
	}
	return out
}

// counts counts differences: below 0, above 0, not told apart from 0, and those that the seeds cannot decide.
type counts struct{ below, level, above, open int }

func (c *counts) add(d Difference) {
	switch {
	case math.IsNaN(d.Value):
	case !d.Tested():
		c.open++
	case d.Sign() == 0:
		c.level++
	case d.Value < 0:
		c.below++
	default:
		c.above++
	}
}

func (c counts) all() int { return c.below + c.level + c.above + c.open }

// answer turns the counts into an answer to a yes-or-no question.
func (c counts) answer() string {
	switch {
	case c.below > 0 && c.above == 0 && c.level == 0:
		return "yes"
	case c.below > 0 && c.above == 0:
		return "in part"
	case c.below > 0:
		return "it depends"
	case c.above > 0:
		return "no"
	}
	return "not told apart"
}

// shares writes in how many settings a difference was which way, after "is lower".
func (c counts) shares() string {
	text := fmt.Sprintf("in %d of %d settings, higher in %d and not told apart in %d", c.below, c.all(), c.above, c.level)
	if c.open > 0 {
		text += fmt.Sprintf("; %d are not decided", c.open)
	}
	return text
}

// betterSentence answers whether a reduced λ is better.
func (b *BestLambdas) betterSentence() string {
	var c counts
	for _, r := range b.Rows {
		if r.Compared() {
			c.add(r.DifferenceFID)
		}
	}
	if c.all() == 0 {
		return "Is a reduced λ better? No setting was run with both λ = 1 and one below, so that cannot be said."
	}
	if c.open == c.all() {
		return "Is a reduced λ better? Not decided by these seeds."
	}
	return fmt.Sprintf("Is a reduced λ better than λ = 1? %s: by the paired t (p < 0.05) the FID of the best λ below 1 is lower %s.",
		words.UpperFirst(c.answer()), c.shares())
}

// copiesSentence answers whether a reduced λ copies less.
func (b *BestLambdas) copiesSentence() string {
	var c counts
	for _, r := range b.Rows {
		if r.Compared() {
			c.add(r.DifferenceCopies)
		}
	}
	if c.all() == 0 {
		return "Does a reduced λ copy less? Copies of buffer images were not measured at both λ = 1 and one below, so that cannot be said."
	}
	if c.open == c.all() {
		return "Does a reduced λ copy less? Not decided by these seeds."
	}
	_, criterion := b.Sweep.Copies()
	return fmt.Sprintf("Does a reduced λ copy less than λ = 1? %s: by the paired t (p < 0.05) the share of samples that copy a buffer image, told by %s, is lower %s.",
		words.UpperFirst(c.answer()), criterion, c.shares())
}

// betterWords compares the FID of reduced and plain rehearsal in one line.
func (r BestLambdaRow) betterWords() string {
	if !r.Compared() {
		return ""
	}
	text := fmt.Sprintf("λ = %s ends at a FID of %s, λ = 1 at %s; it is %s.", words.Short(r.Reduced), r.ReducedFID.Format(1), r.PlainFID.Format(1), BetterWorse(r.DifferenceFID))
	if r.Tried > 1 {
		text = fmt.Sprintf("of the %d λ below 1 the best, ", r.Tried) + text
	}
	return text
}

// copiesWords compares the copies of reduced and plain rehearsal in one line.
func (r BestLambdaRow) copiesWords() string {
	d := r.DifferenceCopies
	if !r.Compared() || math.IsNaN(d.Value) {
		return ""
	}
	fewer := d.Words("fewer", "more", " points", 1)
	if d.Low == 0 && d.High == 0 {
		fewer = "the same in every seed"
	}
	return fmt.Sprintf("%s %% of the samples at λ = %s copy a buffer image, %s %% at λ = 1: %s.",
		r.ReducedCopies.Format(1), words.Short(r.Reduced), r.PlainCopies.Format(1), fewer)
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

// move compares the best λ of two lines: whether what FID gains from the one λ to the other changes between them. Both λ are
// chosen by the same FID, which favours a change.
func (b *BestLambdas) move(low, high BestLambdaRow) string {
	text := fmt.Sprintf("From %s to %s the best λ ", b.Sweep.Title(low.Line), b.Sweep.Title(high.Line))
	if low.Best == high.Best {
		return text + "stays at " + words.Short(low.Best) + "."
	}
	text += fmt.Sprintf("goes from %s to %s", low.lambdaText(), high.lambdaText())
	gain := func(r BestLambdaRow) (Stat, bool) { // from the λ best in low to the one best in high
		from, to := slices.Index(r.Line.Lambdas, low.Best), slices.Index(r.Line.Lambdas, high.Best)
		if from < 0 || to < 0 {
			return Stat{}, false
		}
		return r.fids[to].minus(r.fids[from]), true
	}
	atLow, both := gain(low)
	atHigh, also := gain(high)
	if !both || !also {
		return text + "; not both of these were tried in both, so that is not tested."
	}
	d := Compare(atHigh, atLow)
	switch {
	case !d.Tested():
		return text + "; " + d.Rule() + "."
	case d.Sign() == 0:
		return fmt.Sprintf("%s, not told apart from staying (%s).", text, d.Rule())
	}
	word := "rises"
	if high.Best < low.Best {
		word = "falls"
	}
	return fmt.Sprintf("%s: it %s, the FID of the second less that of the first going from %s to %s (%s).", text, word, atLow.on(atHigh).Format(1), atHigh.on(atLow).Format(1), d.Rule())
}
