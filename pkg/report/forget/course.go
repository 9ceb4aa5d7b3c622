package forget

import (
	"fmt"
	"math"

	"github.com/pkg/errors"
	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"

	"palimpsest/pkg/diffusion"
	"palimpsest/pkg/dynamics"
	"palimpsest/pkg/figure"
	"palimpsest/pkg/metrics"
	"palimpsest/pkg/words"
)

// ForgettingCourse shows when along training a task was forgotten: the increase of its loss over the level just learned
// at every probe since then, a line for each of a number of ranges of timesteps, over optimiser steps.
func (d *Dynamics) ForgettingCourse(strategy string, task, ranges int) (figure.Figure, error) {
	runs, err := d.seriesOf(strategy)
	if err != nil {
		return figure.Figure{}, err
	}
	if task == AllOld {
		return figure.Figure{}, errors.Errorf("the course of forgetting is one task's; need a task, counted from 0, that another follows")
	}
	if err := d.old(task); err != nil {
		return figure.Figure{}, err
	}
	first := runs[0]
	if ranges < 1 || ranges > len(first.Timesteps) {
		return figure.Figure{}, errors.Errorf("%d ranges of %d timesteps; need 1 or more, and a timestep in each", ranges, len(first.Timesteps))
	}
	spans := split(first.Timesteps, ranges)
	learned := first.LearnedAt(task)
	moments := len(first.Checkpoints) - learned
	y, err := overSeeds(runs, func(s *dynamics.Series) ([]float64, error) {
		if fmt.Sprint(s.Checkpoints) != fmt.Sprint(first.Checkpoints) {
			return nil, errors.Errorf("the seeds of %s were probed at different steps; compare runs of one study", strategy)
		}
		return courseOf(s, task, spans)
	})
	if err != nil {
		return figure.Figure{}, err
	}
	x := make([]float64, moments)
	for i := range x {
		x[i] = float64(first.Checkpoints[learned+i].Step)
	}
	looks := graded(len(spans))
	var curves []figure.Curve
	var items []figure.Entry
	for r, s := range spans {
		curves = append(curves, figure.Curve{Look: looks[r], X: x, Y: percentOf(y[r*moments : (r+1)*moments])})
		items = append(items, figure.Entry{Label: s.name, Look: looks[r]})
	}
	p := figure.NewPanel("", "optimiser steps", "loss above its level just learned, %")
	low, high, _ := figure.Extent(curves)
	figure.SetRange(p, math.Min(low, 0), high)
	room := 0.02 * (x[len(x)-1] - x[0])
	p.X.Min, p.X.Max = x[0]-room, x[len(x)-1]+room
	addZero(p)
	names := plotter.XYLabels{}
	for after := task; after < len(first.Tasks)-1; after++ {
		end := float64(first.Checkpoints[first.LearnedAt(after)].Step)
		if after > task {
			p.Add(&plotter.Line{XYs: plotter.XYs{{X: end, Y: p.Y.Min}, {X: end, Y: p.Y.Max}}, LineStyle: figure.Look{Colour: figure.Faint(0.35), Dash: []vg.Length{1.5, 3}}.Line(1)})
		}
		names.XYs = append(names.XYs, plotter.XY{X: end, Y: p.Y.Max})
		names.Labels = append(names.Labels, words.Task(after+1)+" →")
	}
	for _, c := range curves {
		figure.AddCurve(p, c, 1.8, 2.6)
	}
	labels, err := plotter.NewLabels(names)
	if err != nil {
		return figure.Figure{}, errors.Wrap(err, "forget")
	}
	labels.Offset = vg.Point{X: 4, Y: -11}
	for i := range labels.TextStyle {
		labels.TextStyle[i] = figure.TextStyle(figure.TickSize, false, figure.Faint(0.7), 0, 0)
	}
	p.Y.Max += 0.08 * (p.Y.Max - p.Y.Min)
	for i := range labels.XYs {
		labels.XYs[i].Y = p.Y.Max
	}
	p.Add(labels)
	return figure.Chart(fmt.Sprintf("%s: when %s is forgotten", strategy, d.title(task)),
		"Increase of the noise-prediction loss over its level just learned, averaged over each range of timesteps; a new task begins at each dotted line. "+seedsBand(len(runs)),
		620, 300, items, [][]*plot.Plot{{p}}), nil
}

// courseOf is the relative increase of a task's loss from the moment it was learned on, [range, checkpoint].
func courseOf(s *dynamics.Series, task int, spans []span) ([]float64, error) {
	if _, err := finalMap(s); err != nil {
		return nil, err
	}
	mean, _, err := s.Mean(diffusion.PredictNoise)
	if err != nil {
		return nil, err
	}
	learned, n := s.LearnedAt(task), len(s.Timesteps)
	at := func(checkpoint int) []float64 { return mean[(checkpoint*len(s.Tasks)+task)*n:][:n] }
	moments := len(s.Checkpoints) - learned
	out := make([]float64, len(spans)*moments)
	for i := range moments {
		relative := make([]float64, n)
		for k, before := range at(learned) {
			relative[k] = math.NaN()
			if before > 0 {
				relative[k] = at(learned + i)[k]/before - 1
			}
		}
		for r, v := range averages(relative, spans) {
			out[r*moments+i] = v
		}
	}
	return out, nil
}

// CourseFindings says, for each strategy, how soon after a task was learned half of what is forgotten of it is gone, and
// how much of the worst came back by the end.
func (d *Dynamics) CourseFindings() ([]string, error) {
	if _, err := d.anySeries(); err != nil {
		return nil, err
	}
	var out []string
	for _, label := range d.Strategies() {
		runs, err := d.seriesOf(label)
		if err != nil {
			return nil, err
		}
		// Of one seed: steps until half is reached, steps of a task, and the share of the largest increase that is gone.
		all, err := overSeeds(runs, func(s *dynamics.Series) ([]float64, error) {
			if _, err := finalMap(s); err != nil {
				return nil, err
			}
			c, err := s.Course(diffusion.PredictNoise, s.LearnedAt(len(s.Tasks)-1))
			if err != nil {
				return nil, err
			}
			n := len(s.Timesteps)
			for i, v := range c.Recovered {
				c.Recovered[i] = math.Min(v, 1) // below its level just learned, all of it is gone; NaN stays
			}
			var wait, length, risen, weights []float64
			for i, half := range c.HalfStep {
				if c.Map.Weights != nil {
					weights = append(weights, c.Map.Weights[i/n])
				}
				start := s.Checkpoints[c.Map.Learned[i/n]].Step
				next := s.Checkpoints[s.LearnedAt(c.Map.Old[i/n]+1)].Step
				ever, taken := 0.0, math.NaN()
				if !math.IsNaN(half) {
					ever, taken = 1, float64(next-start)
				}
				risen, wait, length = append(risen, ever), append(wait, half-float64(start)), append(length, taken)
			}
			mean := func(values []float64) float64 { return metrics.WeightedMeanOfKnown(values, weights) }
			return []float64{mean(wait), mean(length), mean(risen), mean(c.Recovered)}, nil
		})
		if err != nil {
			return nil, err
		}
		wait, length, risen, recovered := all[0], all[1], all[2], all[3]
		text := fmt.Sprintf("%s: at the end the loss is above its level just learned at %s %% of old tasks' timesteps", label, risen.Times(100).Format(0))
		if wait.Known() {
			text += fmt.Sprintf("; half of that increase is there %s steps after the task ended, a task being %s steps", wait.Format(0), stepText(length.Mean))
		}
		if recovered.Known() {
			text += fmt.Sprintf("; on average %s %% of the largest increase seen on the way is gone at the end", recovered.Times(100).Format(0))
		}
		out = append(out, text+".")
	}
	return out, nil
}
