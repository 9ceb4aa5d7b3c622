package forget

import (
	"fmt"
	"math"

	"github.com/pkg/errors"
	"gonum.org/v1/plot"

	"palimpsest/pkg/dynamics"
	"palimpsest/pkg/figure"
	"palimpsest/pkg/study"
	"palimpsest/pkg/words"
)

// interferences averages one array over the transitions of an autopsy, by timestep.
func interferences(a *dynamics.Autopsy, of func(*dynamics.Interference) []float64) ([]float64, error) {
	if len(a.Interference) == 0 {
		return nil, errors.Errorf("the gradients' interference was not measured; %s does", autopsyCommand)
	}
	var values []float64
	for i := range a.Interference {
		values = append(values, of(&a.Interference[i])...)
	}
	return ofTask(values, AllOld, len(a.Timesteps), nil), nil
}

func cosineOf(g *dynamics.Interference) []float64 { return g.Cosine }

func halvesOldOf(g *dynamics.Interference) []float64 { return g.HalvesOld }

func halvesNewOf(g *dynamics.Interference) []float64 { return g.HalvesNew }

// Interference shows the cosine between the gradients of a strategy's old tasks and of the task about to be learned, by
// timestep: a thin line for each new task, a strong one for their mean, and dashed what the cosine of two halves of the
// same images is, which noise leaves of 1. Below 0 a step for the new task undoes the old ones.
func (d *Dynamics) Interference(strategy, axis string) (figure.Figure, error) {
	runs, err := d.autopsiesOf(strategy)
	if err != nil {
		return figure.Figure{}, err
	}
	first := runs[0]
	x, err := newTimeAxis(axis, first.Timesteps, first.LogSNR)
	if err != nil {
		return figure.Figure{}, err
	}
	var curves []figure.Curve
	var items []figure.Entry
	add := func(label string, l figure.Look, level bool, of func(*dynamics.Autopsy) ([]float64, error)) error {
		y, err := overSeeds(runs, of)
		if err != nil {
			return err
		}
		curves, items = append(curves, figure.Curve{Look: l, X: x.x, Y: y, Level: level}), append(items, figure.Entry{Label: label, Look: l})
		return nil
	}
	mean := func(of func(*dynamics.Interference) []float64) func(*dynamics.Autopsy) ([]float64, error) {
		return func(a *dynamics.Autopsy) ([]float64, error) { return interferences(a, of) }
	}
	if err := add("mean", figure.Look{Colour: figure.Ink, Dash: nil, Glyph: noGlyph{}}, true, mean(cosineOf)); err != nil {
		return figure.Figure{}, err
	}
	looks := graded(len(first.Interference))
	for i, g := range first.Interference {
		err := add("→ "+words.Task(g.Task), looks[i], false, func(a *dynamics.Autopsy) ([]float64, error) {
			if i >= len(a.Interference) || a.Interference[i].Task != g.Task {
				return nil, errors.Errorf("the seeds of %s have gradients of different tasks; compare runs of one study", strategy)
			}
			return a.Interference[i].Cosine, nil
		})
		if err != nil {
			return figure.Figure{}, err
		}
	}
	if err := add("halves of the old tasks", beforeLook, true, mean(halvesOldOf)); err != nil {
		return figure.Figure{}, err
	}
	if err := add("halves of the new task", afterLook, true, mean(halvesNewOf)); err != nil {
		return figure.Figure{}, err
	}
	for i := 1; i <= len(first.Interference); i++ { // bands of thin lines would hide the mean's
		for k := range curves[i].Y {
			curves[i].Y[k].Std = math.NaN()
		}
	}
	p := figure.NewPanel("", x.label, "cosine of gradients, old and new")
	low, high, _ := figure.Extent(curves)
	p.Y.Min, p.Y.Max = math.Min(low, 0)-0.05, math.Max(high, 0)+0.05
	x.apply(p)
	addZero(p)
	for i, c := range curves {
		width := 1.1
		if i == 0 {
			width = 2.6
		}
		figure.AddCurve(p, c, width, 2.4)
	}
	return figure.Chart(strategy+": interference of gradients",
		"Cosine between the loss gradients of all old tasks and of the task about to be learned, at the network that has learned the old ones; below 0, a step for the new task undoes them. "+
			"Dashed and dotted: two halves of the same images, what noise alone leaves of 1. "+seedsBand(len(runs)),
		600, 310, items, [][]*plot.Plot{{p}}), nil
}

// InterferenceFindings says, for each strategy, where the gradients of old and new tasks agree least, compared with what noise
// leaves of agreement there.
func (d *Dynamics) InterferenceFindings() ([]string, error) {
	return d.findings(func(label string, runs []*dynamics.Autopsy) (string, error) {
		ranges := thirds(runs[0].Timesteps)
		mean := func(of func(*dynamics.Interference) []float64) ([]study.Stat, error) {
			return byRange(runs, ranges, func(a *dynamics.Autopsy) ([]float64, error) { return interferences(a, of) })
		}
		cosine, err := mean(cosineOf)
		if err != nil {
			return "", err
		}
		old, err := mean(halvesOldOf)
		if err != nil {
			return "", err
		}
		young, err := mean(halvesNewOf)
		if err != nil {
			return "", err
		}
		least, most := lowestHighest(cosine)
		c := cosine[least]
		test := c.FromZero()
		word := "not told apart from 0"
		switch {
		case test.Tested() && test.Sign() == 0:
		case c.Mean < 0:
			word = "they conflict: a small step for the new raises the loss of the old"
		case c.Mean > 0:
			word = "they still agree"
		}
		word += "; " + test.Rule()
		return fmt.Sprintf("%s: gradients of old and new tasks agree least at %s, with a cosine of %s (%s), where halves of the same images reach %s and %s; most at %s, with %s.",
			label, ranges[least].name, c.Format(2), word, old[least].Format(2), young[least].Format(2), ranges[most].name, cosine[most].Format(2)), nil
	})
}
