package forget

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/pkg/errors"
	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"

	"palimpsest/pkg/dynamics"
	"palimpsest/pkg/figure"
	"palimpsest/pkg/study"
)

// Thresholds names the timesteps τ at which samples were stitched, in ascending order: the positions of
// [Dynamics.StitchedAt].
func (d *Dynamics) Thresholds() ([]string, error) {
	labels, err := d.dissected()
	if err != nil {
		return nil, err
	}
	runs, err := d.autopsiesOf(labels[0])
	if err != nil {
		return nil, err
	}
	s, err := stitchingOf(runs[0], AllOld, study.FID)
	if err != nil {
		return nil, err
	}
	names := make([]string, len(s.thresholds))
	for i, t := range s.thresholds {
		names[i] = "t = " + strconv.Itoa(t)
	}
	return names, nil
}

// StitchedAt shows what the samples of each old task are worth where the network before forgetting and the final one
// change over at the i-th threshold, in either order, between what each of the two is worth alone: FID and class
// accuracy, a place a task and the last one their mean.
func (d *Dynamics) StitchedAt(strategy string, i int) (figure.Figure, error) {
	runs, err := d.autopsiesOf(strategy)
	if err != nil {
		return figure.Figure{}, err
	}
	names, err := d.Thresholds()
	if err != nil {
		return figure.Figure{}, err
	}
	if i < 0 || i >= len(names) {
		return figure.Figure{}, errors.Errorf("threshold %d of %d; count from 0", i, len(names))
	}
	items := []figure.Entry{{Label: "before alone", Look: beforeLook}, {Label: "final alone", Look: afterLook}, {Label: "before above τ, final below", Look: highLook}, {Label: "final above τ, before below", Look: lowLook}}
	old := len(d.OldTasks())
	var panels []*plot.Plot
	for _, m := range []study.Metric{study.FID, study.ClassAccuracy} {
		var curves, all []figure.Curve
		for k, item := range items {
			c := figure.Curve{Look: item.Look, Level: k < 2}
			for place := range old + 1 {
				task := place
				if place == old {
					task = AllOld
				}
				y, err := overSeeds(runs, func(a *dynamics.Autopsy) ([]float64, error) {
					s, err := stitchingOf(a, task, m)
					if err != nil {
						return nil, err
					}
					// Whatever i is, the scale is that of all thresholds.
					return append([]float64{[]float64{s.before(), s.final(), s.high[i], s.low[i]}[k]}, append(s.high, s.low...)...), nil
				})
				if err != nil {
					return figure.Figure{}, err
				}
				for n := range y {
					y[n] = y[n].Times(m.Factor())
				}
				c.X, c.Y = append(c.X, float64(place)), append(c.Y, y[0])
				all = append(all, figure.Curve{Y: y[1:]})
			}
			curves = append(curves, c)
		}
		p := figure.NewPanel("", "", m.Label())
		low, high, _ := figure.Extent(all)
		if _, _, share := m.Bounds(); !share && high > 8*low {
			p.Y.Label.Text = m.Title()
		}
		figure.SetMetricRange(p, m, low, high)
		p.X.Min, p.X.Max = -0.5, float64(old)+0.5
		ticks := make(plot.ConstantTicks, old+1)
		for place := range ticks {
			ticks[place] = plot.Tick{Value: float64(place), Label: "task " + strconv.Itoa(place+1)}
		}
		ticks[old].Label = "mean"
		p.X.Tick.Marker = ticks
		for k, c := range curves {
			for n := range c.X {
				at := c.X[n] + 0.13*(float64(k)-1.5)
				if s := c.Y[n]; s.HasSpread() {
					p.Add(&plotter.Line{XYs: plotter.XYs{{X: at, Y: math.Max(s.Mean-s.Std, p.Y.Min)}, {X: at, Y: s.Mean + s.Std}}, LineStyle: c.Look.Line(1.4)})
				}
				if c.Level { // the networks alone are short levels, the stitched ones points
					p.Add(&plotter.Line{XYs: plotter.XYs{{X: c.X[n] - 0.4, Y: c.Y[n].Mean}, {X: c.X[n] + 0.4, Y: c.Y[n].Mean}}, LineStyle: c.Look.Line(1.6)})
				} else {
					p.Add(&plotter.Scatter{XYs: plotter.XYs{{X: at, Y: c.Y[n].Mean}}, GlyphStyle: c.Look.Marker(4.5)})
				}
			}
		}
		panels = append(panels, p)
	}
	return figure.Chart(fmt.Sprintf("%s: networks change over at %s", strategy, names[i]),
		"Levels: the network just after the task was learned, and the one at the end of training. Points: samples made by one above τ and the other below. "+strings.ReplaceAll(seedsBand(len(runs)), "bands", "bars"),
		680, 290, items, [][]*plot.Plot{panels}), nil
}

// Timesteps names the timesteps that probes looked at, in ascending order: the positions of [Dynamics.CourseAt].
func (d *Dynamics) Timesteps() ([]string, error) {
	s, err := d.anySeries()
	if err != nil {
		return nil, err
	}
	names := make([]string, len(s.Timesteps))
	for i, t := range s.Timesteps {
		names[i] = fmt.Sprintf("t = %d (log-SNR %.1f)", t, s.LogSNR[i])
	}
	return names, nil
}

// CourseAt shows how the loss of a task at the i-th probed timestep went on after the task was learned, against its level
// then, a line a strategy over optimiser steps.
func (d *Dynamics) CourseAt(task, i int) (figure.Figure, error) {
	names, err := d.Timesteps()
	if err != nil {
		return figure.Figure{}, err
	}
	if task == AllOld {
		return figure.Figure{}, errors.New("the course of a loss is one task's; need a task, counted from 0, that another follows")
	}
	if err := d.old(task); err != nil {
		return figure.Figure{}, err
	}
	if i < 0 || i >= len(names) {
		return figure.Figure{}, errors.Errorf("timestep %d of the %d probed; count from 0", i, len(names))
	}
	var curves []figure.Curve
	var items []figure.Entry
	most := 0
	for _, label := range d.Strategies() {
		runs, err := d.seriesOf(label)
		if err != nil {
			return figure.Figure{}, err
		}
		first := runs[0]
		learned := first.LearnedAt(task)
		if learned < 0 || learned == len(first.Checkpoints)-1 {
			continue // nothing followed, as in joint training
		}
		y, err := overSeeds(runs, func(s *dynamics.Series) ([]float64, error) {
			return courseOf(s, task, []span{{from: i, to: i + 1}})
		})
		if err != nil {
			return figure.Figure{}, err
		}
		x := make([]float64, len(y))
		for k := range x {
			x[k] = float64(first.Checkpoints[learned+k].Step)
		}
		most = max(most, len(runs))
		curves = append(curves, figure.Curve{Look: d.look(label), X: x, Y: percentOf(y)})
		items = append(items, figure.Entry{Label: label, Look: d.look(label)})
	}
	if len(curves) == 0 {
		return figure.Figure{}, errors.Errorf("no run in %s learned another task after %s", d.from, d.title(task))
	}
	p := figure.NewPanel("", "optimiser steps", "loss above its level just learned, %")
	low, high, _ := figure.Extent(curves)
	figure.SetRange(p, math.Min(low, 0), high)
	x := curves[0].X
	room := 0.02 * (x[len(x)-1] - x[0])
	p.X.Min, p.X.Max = x[0]-room, x[len(x)-1]+room
	addZero(p)
	for _, c := range curves {
		figure.AddCurve(p, c, 1.8, 2.6)
	}
	return figure.Chart(fmt.Sprintf("%s at %s", d.title(task), names[i]),
		"Noise-prediction loss of the task's test images at this timestep, against its level when the task had just been learned. "+seedsBand(most),
		620, 290, items, [][]*plot.Plot{{p}}), nil
}
