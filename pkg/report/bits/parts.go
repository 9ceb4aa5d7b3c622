package bits

import (
	"fmt"
	"math"
	"slices"

	"github.com/pkg/errors"

	"palimpsest/pkg/metrics"
	"palimpsest/pkg/results"
	"palimpsest/pkg/study"
	"palimpsest/pkg/table"
)

// Parts says where along the diffusion a method's bits per dimension are, and what forgetting moved. Parts are in
// bits per dimension of one image set: prior + decoder + bins = total.
type Parts struct {
	Method study.Method
	T      int
	Parts  []Part // decoder (t = 0), bins by t, prior
	Total  Part

	runs []bitRun
}

// Part is one part of the bound, or a sum of them. Learned, Rise and Moves are over the tasks but the last, and
// unknown for joint training, which forgets nothing; Share is then of the bits after the last task over all tasks.
type Part struct {
	Name      string
	Low, High int        // timesteps Low <= t < High; T, T for the prior
	LogSNR    float64    // nats, mean of the bin; NaN for decoder, prior and total
	Learned   study.Stat // bits/dim just after each task was learned
	Final     study.Stat // bits/dim of the same tasks after the last
	Share     study.Stat // of the total just after learning
	Rise      study.Stat // Final / Learned: how many-fold the loss there is, weighted as the bound weighs it
	Moves     study.Stat // (Final − Learned) / total Learned: by how much of itself the rise moves the total
}

// bitRun are the parts of one run in the order of [Parts.Parts].
type bitRun struct{ learned, final []float64 }

// NewParts splits the bits of a method's runs that measured likelihoods. It is an error if there are none or if their
// bins differ.
func NewParts(g study.Method) (*Parts, error) {
	runs, err := withBPD(g.Runs)
	if err != nil {
		return nil, errors.WithMessage(err, g.Label)
	}
	p := runs[0].Protocol.BPD
	for _, r := range runs {
		if q := r.Protocol.BPD; !slices.Equal(q.Edges, p.Edges) || q.T != p.T {
			return nil, errors.Errorf("bits: runs %s and %s divide the timesteps differently (T = %d and %d, %d and %d edges); need one protocol",
				runs[0].Name, r.Name, p.T, q.T, len(p.Edges), len(q.Edges))
		}
	}
	b := &Parts{Method: study.Method{Label: g.Label, Runs: runs}, T: p.T, Total: Part{Name: "total", High: p.T, LogSNR: math.NaN()}}
	b.Parts = append(b.Parts, Part{Name: "t = 0 (decoder)", Low: 0, High: 1, LogSNR: math.NaN()})
	for i := range len(p.Edges) - 1 {
		part := Part{Name: timesteps(p.Edges[i], p.Edges[i+1]), Low: p.Edges[i], High: p.Edges[i+1], LogSNR: math.NaN()}
		if i < len(p.LogSNR) {
			part.LogSNR = p.LogSNR[i]
		}
		b.Parts = append(b.Parts, part)
	}
	b.Parts = append(b.Parts, Part{Name: "prior", Low: p.T, High: p.T, LogSNR: math.NaN()})
	for _, r := range runs {
		one, err := bitsOf(r, len(b.Parts))
		if err != nil {
			return nil, err
		}
		b.runs = append(b.runs, one)
	}
	for i := range b.Parts {
		b.fill(&b.Parts[i], func(k int) bool { return k == i })
	}
	b.fill(&b.Total, func(int) bool { return true })
	if !b.Total.Final.Known() {
		return nil, errors.Errorf("bits: no run of %s has the BPD of every task after the last one; let the runs finish", g.Label)
	}
	return b, nil
}

// timesteps names a bin.
func timesteps(low, high int) string {
	if high == low+1 {
		return fmt.Sprintf("t = %d", low)
	}
	return fmt.Sprintf("%d ≤ t < %d", low, high)
}

// bitsOf averages a run's parts over its tasks but the last, just learned and at the end; where nothing was measured
// just after learning, learned is NaN and final is over all tasks.
func bitsOf(r *results.Run, parts int) (bitRun, error) {
	at := func(after, task int) (*results.BPD, bool) {
		var found *results.BPD
		for _, e := range r.Evaluations {
			for i := range e.Tasks {
				if e.AfterTask == after && e.Tasks[i].Task == task {
					found = e.Tasks[i].BPD
				}
			}
		}
		return found, found != nil
	}
	mean := func(tasks int, after func(task int) int) ([]float64, error) {
		byPart := make([][]float64, parts)
		for task := range tasks {
			v, ok := at(after(task), task)
			if !ok {
				return nil, nil
			}
			if len(v.Bins) != parts-2 {
				return nil, errors.Errorf("bits: run %s has %d bins of bits and a protocol of %d; it was not written by one version", r.Name, len(v.Bins), parts-2)
			}
			for i, bits := range append(append([]float64{v.Decoder}, v.Bins...), v.Prior) {
				byPart[i] = append(byPart[i], bits)
			}
		}
		out := make([]float64, parts)
		for i, byTask := range byPart {
			out[i] = metrics.WeightedMean(byTask, r.Protocol.TaskWeights)
		}
		return out, nil
	}
	unknown := slices.Repeat([]float64{math.NaN()}, parts)
	tasks := len(r.Benchmark.Tasks)
	end := func(int) int { return tasks - 1 }
	var learned, final []float64
	var err error
	if tasks > 1 {
		if learned, err = mean(tasks-1, func(task int) int { return task }); err != nil {
			return bitRun{}, err
		}
	}
	if learned == nil {
		learned = unknown
		final, err = mean(tasks, end)
	} else {
		final, err = mean(tasks-1, end)
	}
	if final == nil {
		final = unknown
	}
	return bitRun{learned, final}, err
}

// fill computes a part as the sum of those that are in it.
func (b *Parts) fill(part *Part, in func(int) bool) {
	sum := func(values []float64, in func(int) bool) float64 {
		s := 0.0
		for k, v := range values {
			if in(k) {
				s += v
			}
		}
		return s
	}
	everything := func(int) bool { return true }
	over := func(f func(learned, final, total, totalFinal float64) float64) study.Stat {
		values := make([]float64, len(b.runs))
		for i, r := range b.runs {
			values[i] = f(sum(r.learned, in), sum(r.final, in), sum(r.learned, everything), sum(r.final, everything))
		}
		return study.NewStat(values)
	}
	part.Learned = over(func(l, _, _, _ float64) float64 { return l })
	part.Final = over(func(_, f, _, _ float64) float64 { return f })
	part.Share = over(func(l, f, t, tf float64) float64 {
		if math.IsNaN(t) {
			return f / tf
		}
		return l / t
	})
	part.Rise = over(func(l, f, _, _ float64) float64 { return f / l })
	part.Moves = over(func(l, f, t, _ float64) float64 { return (f - l) / t })
}

// Between sums up the bins of the timesteps low <= t < high that lie in it as a whole; the decoder is t = 0, the prior
// is never in it.
func (b *Parts) Between(low, high int) Part {
	part := Part{Name: timesteps(low, high), Low: low, High: high, LogSNR: math.NaN()}
	b.fill(&part, func(k int) bool { return k < len(b.Parts)-1 && b.Parts[k].Low >= low && b.Parts[k].High <= high })
	return part
}

// Half is the first edge of a bin at or above half of the timesteps.
func (b *Parts) Half() int {
	for _, p := range b.Parts[:len(b.Parts)-1] {
		if 2*p.Low >= b.T {
			return p.Low
		}
	}
	return b.T
}

// bitsOfAll splits every method that measured likelihoods.
func bitsOfAll(methods []study.Method) ([]*Parts, error) {
	var out []*Parts
	for _, g := range methods {
		if !slices.ContainsFunc(g.Runs, hasBPD) {
			continue
		}
		b, err := NewParts(g)
		if err != nil {
			return nil, err
		}
		out = append(out, b)
	}
	if len(out) == 0 {
		_, err := withBPD(allRuns(methods))
		return nil, err
	}
	return out, nil
}

// Table holds the parts in rows.
func (b *Parts) Table() *table.Table {
	t := &table.Table{Head: "part", Notes: Notes([]study.Method{b.Method}), Warnings: Warnings([]study.Method{b.Method})}
	var learned, final, share, rise, moves []study.Stat
	for _, p := range append(append([]Part(nil), b.Parts...), b.Total) {
		t.Rows = append(t.Rows, p.Name)
		learned, final, share = append(learned, p.Learned), append(final, p.Final), append(share, p.Share.Times(100))
		rise, moves = append(rise, p.Rise), append(moves, p.Moves.Times(100))
	}
	t.Sections = []table.Section{{Title: "Where the bits of " + b.Method.Label + " are", Columns: []table.Column{
		study.StatColumn("just learned", "", "bits/dim", "Mean over the tasks but the last, each just after it was learned.", 4, 4, learned),
		study.StatColumn("at the end", "", "bits/dim", "The same tasks after the last one; all tasks where there is no order.", 4, 4, final),
		study.StatColumn("share", "", "%", "Of the total just after learning; of that at the end where there is no order.", 2, 2, share),
		study.StatColumn("at the end / just learned", "", "", "How many-fold the loss is there, weighted as the bound weighs it.", 2, 2, rise),
		study.StatColumn("moves the total by", "", "%", "The part's rise, of the total just after learning.", 2, 2, moves),
	}}}
	return t
}

// PartsSentences says where the bits are, and how far forgetting at large timesteps moves their sum, for every method.
func PartsSentences(methods []study.Method) ([]string, error) {
	list, err := bitsOfAll(methods)
	if err != nil {
		return nil, err
	}
	var out []string
	for i, b := range list {
		half := b.Half()
		high, low := b.Between(half, b.T), b.Between(0, half)
		if half == b.T {
			return nil, errors.Errorf("bits: no bin of %s begins at or above t = %d; measure with more timesteps an image (--set bpd.terms)", b.Method.Label, b.T/2)
		}
		if i == 0 {
			first := b.Parts[0]
			for _, p := range b.Parts[:len(b.Parts)-1] {
				if p.Share.Mean > first.Share.Mean {
					first = p
				}
			}
			out = append(out, fmt.Sprintf("Timesteps t ≥ %d of %d hold %s of the bits of %s, the half below them %s; the largest part, %s, holds %s.",
				half, b.T, high.Share.Percent(1), b.Method.Label, low.Share.Percent(1), first.Name, first.Share.Percent(1)))
		}
		if !high.Rise.Known() {
			continue
		}
		verb := "rises"
		if high.Rise.Mean < 1 {
			verb = "changes"
		}
		hardly := ""
		if math.Abs(high.Moves.Mean) < 0.01 {
			hardly = ", less than a hundredth"
		}
		out = append(out, fmt.Sprintf("%s: the loss of old tasks at t ≥ %d %s %s-fold by the end, which moves their BPD by %s%s; below, it becomes %s-fold and moves it by %s. Their total goes from %s to %s bits/dim.",
			b.Method.Label, half, verb, high.Rise.Format(2), high.Moves.Percent(1), hardly, low.Rise.Format(2), low.Moves.Percent(1),
			b.Total.Learned.Format(3), b.Total.Final.Format(3)))
	}
	return out, nil
}
