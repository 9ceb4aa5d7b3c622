package forget

import (
	"fmt"
	"math"

	"github.com/pkg/errors"
	"gonum.org/v1/plot"

	"palimpsest/pkg/diffusion"
	"palimpsest/pkg/dynamics"
	"palimpsest/pkg/figure"
	"palimpsest/pkg/metrics"
	"palimpsest/pkg/study"
	"palimpsest/pkg/words"
)

// LossByTimestep shows the loss of one task's images at each timestep, just after the strategy had learned the task and
// after each later task. The axis is [dynamics.AxisT] or [dynamics.AxisLogSNR].
func (d *Dynamics) LossByTimestep(strategy string, task int, axis string) (figure.Figure, error) {
	runs, err := d.seriesOf(strategy)
	if err != nil {
		return figure.Figure{}, err
	}
	first := runs[0]
	if task < 0 || task >= len(first.Tasks) {
		return figure.Figure{}, errors.Errorf("task %d (counted from 0) of %d; need 0 .. %d", task, len(first.Tasks), len(first.Tasks)-1)
	}
	x, err := newTimeAxis(axis, first.Timesteps, first.LogSNR)
	if err != nil {
		return figure.Figure{}, err
	}
	var curves []figure.Curve
	var items []figure.Entry
	later := graded(len(first.Tasks) - 1 - task)
	for after := task; after < len(first.Tasks); after++ {
		y, err := overSeeds(runs, func(s *dynamics.Series) ([]float64, error) { return lossAfter(s, after, task) })
		if err != nil {
			return figure.Figure{}, err
		}
		c := figure.Curve{Look: figure.Look{Colour: figure.Ink, Dash: figure.Dashes[1], Glyph: noGlyph{}}, X: x.x, Y: y, Level: true}
		label := "just learned"
		if after > task {
			c.Look, c.Level, label = later[after-task-1], false, "after "+words.Task(after)
		}
		curves, items = append(curves, c), append(items, figure.Entry{Label: label, Look: c.Look})
	}
	p := figure.NewPanel("", x.label, "loss") // gonum reserves room above a logarithmic axis for a longer label
	low, high, _ := figure.Extent(curves)
	figure.SetRange(p, low, high)
	x.apply(p)
	for _, c := range curves {
		figure.AddCurve(p, c, 1.8, 2.6)
	}
	return figure.Chart(fmt.Sprintf("%s: noise-prediction loss of %s", strategy, d.title(task)),
		"Mean square error of the predicted noise on the task's images, the same images and noise at every moment. "+seedsBand(len(runs)),
		560, 300, items, [][]*plot.Plot{{p}}), nil
}

// lossAfter is the noise loss of a task, by timestep, when task after had been learned.
func lossAfter(s *dynamics.Series, after, task int) ([]float64, error) {
	if _, err := mapAfter(s, after); err != nil {
		return nil, err
	}
	mean, _, err := s.Mean(diffusion.PredictNoise)
	if err != nil {
		return nil, err
	}
	n := len(s.Timesteps)
	at := (s.LearnedAt(after)*len(s.Tasks) + task) * n
	return mean[at : at+n], nil
}

// relative is the increase over the level just learned of a task or [AllOld] at the end of training, as a share of that
// level, by timestep.
func (d *Dynamics) relative(strategy string, task int) ([]study.Stat, int, error) {
	if err := d.old(task); err != nil {
		return nil, 0, err
	}
	runs, err := d.seriesOf(strategy)
	if err != nil {
		return nil, 0, err
	}
	y, err := overSeeds(runs, func(s *dynamics.Series) ([]float64, error) {
		m, err := finalMap(s)
		if err != nil {
			return nil, err
		}
		return ofTask(m.Relative, task, len(s.Timesteps), m.Weights), nil
	})
	return y, len(runs), err
}

// ForgettingByTimestep compares the strategies: by how much the loss of a task, or of the old tasks on average
// ([AllOld]), lies above its level just learned at the end of training, by timestep, a line a strategy.
func (d *Dynamics) ForgettingByTimestep(task int, axis string) (figure.Figure, error) {
	s, err := d.anySeries()
	if err != nil {
		return figure.Figure{}, err
	}
	x, err := newTimeAxis(axis, s.Timesteps, s.LogSNR)
	if err != nil {
		return figure.Figure{}, err
	}
	var curves, all []figure.Curve // all are those of the studies drawn alike too
	var items []figure.Entry
	most := 0
	for _, o := range d.together() {
		for _, label := range o.Strategies() {
			y, n, err := o.relative(label, task)
			if err != nil {
				return figure.Figure{}, err
			}
			c := figure.Curve{Look: d.look(label), X: x.x, Y: percentOf(y)}
			all = append(all, c)
			if o == d {
				most = max(most, n)
				curves, items = append(curves, c), append(items, figure.Entry{Label: label, Look: c.Look})
			}
		}
	}
	p := figure.NewPanel("", x.label, "loss above its level just learned, %")
	low, high, _ := figure.Extent(all)
	figure.SetRange(p, math.Min(low, 0), high)
	x.apply(p)
	addZero(p)
	for _, c := range curves {
		figure.AddCurve(p, c, 1.8, 2.6)
	}
	return figure.Chart("Forgetting by timestep, "+d.title(task),
		"Increase of the noise-prediction loss from just after a task was learned to the end of training, relative to the former: 0 forgets nothing. "+seedsBand(most),
		560, 300, items, [][]*plot.Plot{{p}}), nil
}

// ForgettingFindings says, for each strategy, at which timesteps the loss of the old tasks rose most and least.
func (d *Dynamics) ForgettingFindings() ([]string, error) {
	s, err := d.anySeries()
	if err != nil {
		return nil, err
	}
	ranges := thirds(s.Timesteps)
	var out []string
	for _, label := range d.Strategies() {
		runs, err := d.seriesOf(label)
		if err != nil {
			return nil, err
		}
		by, err := overSeeds(runs, func(s *dynamics.Series) ([]float64, error) {
			m, err := finalMap(s)
			if err != nil {
				return nil, err
			}
			return averages(ofTask(m.Relative, AllOld, len(s.Timesteps), m.Weights), ranges), nil
		})
		if err != nil {
			return nil, err
		}
		least, worst := lowestHighest(by)
		text := fmt.Sprintf("%s: against its level just learned, the loss of the old tasks ends at %s for %s, the most, and at %s for %s, the least",
			label, signed(by[worst]), ranges[worst].name, signed(by[least]), ranges[least].name)
		difference := study.Compare(by[worst].Times(100), by[least].Times(100))
		out = append(out, fmt.Sprintf("%s; the two ranges: %s.", text, difference.Words("apart", "apart", " points", 0)))
	}
	return out, nil
}

// span is a range of the timesteps measured, by index.
type span struct {
	from, to int // to is not in it
	name     string
}

// thirds splits the timesteps into three ranges, as evenly as can be, or fewer where there are fewer timesteps.
func thirds(timesteps []int) []span { return split(timesteps, 3) }

// split makes n ranges of the timesteps, as evenly as can be.
func split(timesteps []int, n int) []span {
	n = min(n, len(timesteps))
	out := make([]span, n)
	for i := range out {
		from, to := i*len(timesteps)/n, (i+1)*len(timesteps)/n
		name := fmt.Sprintf("t = %d–%d", timesteps[from], timesteps[to-1])
		if to == from+1 {
			name = fmt.Sprintf("t = %d", timesteps[from])
		}
		out[i] = span{from, to, name}
	}
	return out
}

// byRange averages, over seeds, what of gives by timestep: its means within each range.
func byRange[T any](seeds []T, ranges []span, of func(T) ([]float64, error)) ([]study.Stat, error) {
	return overSeeds(seeds, func(s T) ([]float64, error) {
		values, err := of(s)
		if err != nil {
			return nil, err
		}
		return averages(values, ranges), nil
	})
}

// averages are the means of values within each range, of what is known.
func averages(values []float64, ranges []span) []float64 {
	out := make([]float64, len(ranges))
	for i, r := range ranges {
		out[i] = metrics.WeightedMeanOfKnown(values[r.from:r.to], nil)
	}
	return out
}
