package forget

import (
	"fmt"
	"math"

	"github.com/pkg/errors"
	"gonum.org/v1/plot"

	"palimpsest/pkg/dynamics"
	"palimpsest/pkg/figure"
	"palimpsest/pkg/study"
)

// driftOf is the similarity of the representations of a task's images, or of the old tasks on average ([AllOld]).
func driftOf(a *dynamics.Autopsy, task int) ([]float64, error) {
	var values []float64
	var tasks []int
	for _, t := range a.Drifts {
		if task == AllOld || t.Task == task {
			values, tasks = append(values, t.Unbiased...), append(tasks, t.Task)
		}
	}
	if len(values) == 0 {
		return nil, errors.Errorf("no drift was measured of the task asked for (%d, counted from 0; %d is all old ones)", task, AllOld)
	}
	if task != AllOld {
		task = 0
	}
	return ofTask(values, task, len(a.Timesteps), a.Weights(tasks)), nil
}

// Drift shows how alike each network's middle-block representations of a task's noisy images are just after the task was
// learned and at the end, by timestep: linear CKA from unbiased estimates ([dynamics.UnbiasedCKA]), of a task or of the
// old tasks on average ([AllOld]), a line a strategy. 1 is unchanged up to rotation and scale.
func (d *Dynamics) Drift(task int, axis string) (figure.Figure, error) {
	if err := d.old(task); err != nil {
		return figure.Figure{}, err
	}
	var x timeAxis
	var curves []figure.Curve
	var items []figure.Entry
	most := 0
	err := d.eachDissected(func(label string, runs []*dynamics.Autopsy) (err error) {
		if x, err = newTimeAxis(axis, runs[0].Timesteps, runs[0].LogSNR); err != nil {
			return err
		}
		y, err := overSeeds(runs, func(a *dynamics.Autopsy) ([]float64, error) { return driftOf(a, task) })
		if err != nil {
			return err
		}
		most = max(most, len(runs))
		curves = append(curves, figure.Curve{Look: d.look(label), X: x.x, Y: y})
		items = append(items, figure.Entry{Label: label, Look: d.look(label)})
		return nil
	})
	if err != nil {
		return figure.Figure{}, err
	}
	p := figure.NewPanel("", x.label, "CKA, just learned against final")
	low, high, _ := figure.Extent(curves)
	figure.SetRange(p, math.Min(low, 0), math.Max(high, 1)) // from unrelated to unchanged
	x.apply(p)
	addZero(p)
	for _, c := range curves {
		figure.AddCurve(p, c, 1.8, 2.6)
	}
	return figure.Chart("Representation drift, "+d.title(task),
		"Linear CKA (unbiased) of the middle block's activations on the same noisy images of a task, just after it was learned and at the end: 1 is unchanged up to rotation and scale, 0 unrelated. "+seedsBand(most),
		560, 300, items, [][]*plot.Plot{{p}}), nil
}

// DriftFindings says, for each strategy, at which timesteps the representations of the old tasks moved most.
func (d *Dynamics) DriftFindings() ([]string, error) {
	return d.findings(func(label string, runs []*dynamics.Autopsy) (string, error) {
		ranges := thirds(runs[0].Timesteps)
		by, err := byRange(runs, ranges, func(a *dynamics.Autopsy) ([]float64, error) { return driftOf(a, AllOld) })
		if err != nil {
			return "", err
		}
		least, most := lowestHighest(by)
		difference := study.Compare(by[least], by[most])
		return fmt.Sprintf("%s: representations of the old tasks moved most at %s (CKA %s) and least at %s (%s); the two ranges: %s.",
			label, ranges[least].name, by[least].Format(2), ranges[most].name, by[most].Format(2), difference.Words("apart", "apart", "", 2)), nil
	})
}

// lowestHighest are the places of the least and of the greatest mean.
func lowestHighest(stats []study.Stat) (lowest, highest int) {
	for i, s := range stats {
		if s.Mean < stats[lowest].Mean {
			lowest = i
		}
		if s.Mean > stats[highest].Mean {
			highest = i
		}
	}
	return lowest, highest
}
