package report

import (
	"fmt"
	"math"
	"strings"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"

	"palimpsest/pkg/metrics"
	"palimpsest/pkg/results"
)

// curve is one method's line: mean and spread at increasing x. NaN means are left out of the line.
type curve struct {
	look  look
	x     []float64
	y     []Stat
	level bool // a level to compare with, not measurements at these places: no markers
}

// extent returns the least and the greatest of what the curves show, bands included; false if nothing is shown. A
// band that reaches below zero does not keep positive values from a logarithmic axis.
func extent(curves []curve) (low, high float64, ok bool) {
	low, high = math.Inf(1), math.Inf(-1)
	for _, c := range curves {
		for _, s := range c.y {
			if !s.Known() {
				continue
			}
			low, high = math.Min(low, s.Mean), math.Max(high, s.Mean)
			if s.HasSpread() {
				high = math.Max(high, s.Mean+s.Std)
				if b := s.Mean - s.Std; b > 0 || s.Mean <= 0 {
					low = math.Min(low, b)
				}
			}
		}
	}
	return low, high, low <= high
}

// addCurve draws a curve: band, line and, where radius is above 0, markers.
func addCurve(p *plot.Plot, c curve, width, radius float64) {
	var line, upper, lower plotter.XYs
	for i, s := range c.y {
		if !s.Known() {
			continue
		}
		spread := 0.0
		if s.HasSpread() {
			spread = s.Std
		}
		line = append(line, plotter.XY{X: c.x[i], Y: s.Mean})
		upper = append(upper, plotter.XY{X: c.x[i], Y: s.Mean + spread})
		lower = append(lower, plotter.XY{X: c.x[i], Y: math.Max(s.Mean-spread, p.Y.Min)})
	}
	if len(line) == 0 {
		return
	}
	if len(line) > 1 && !samePoints(upper, lower) {
		outline := upper
		for i := len(lower) - 1; i >= 0; i-- {
			outline = append(outline, lower[i])
		}
		p.Add(&plotter.Polygon{XYs: []plotter.XYs{outline}, Color: c.look.band()})
	}
	p.Add(&plotter.Line{XYs: line, LineStyle: c.look.line(width)})
	if radius > 0 && !c.level {
		p.Add(&plotter.Scatter{XYs: line, GlyphStyle: c.look.marker(radius)})
	}
}

func samePoints(a, b plotter.XYs) bool {
	for i := range a {
		if a[i] != b[i] {
			return false
		}
	}
	return true
}

// ForgettingCurves shows metric m of every task but the last after every task from its own on, a panel a task and a
// line a method; a flat line forgets nothing. Joint training, which has no order, is a dashed line at its final value.
func ForgettingCurves(methods []Method, m Metric) Figure {
	const title = "Forgetting of each task"
	tasks := 0
	for _, g := range methods {
		tasks = max(tasks, g.Tasks())
	}
	if tasks < 2 {
		return absent(title, "There is one task, which nothing follows.")
	}
	l := looks(methods)
	all := make([][]curve, tasks-1)
	var every []curve
	for k, g := range methods {
		r := g.Matrix(m)
		for j := range len(r) - 1 {
			c := curve{look: l[k]}
			for i := j; i < len(r); i++ {
				c.x, c.y = append(c.x, float64(i+1)), append(c.y, r[i][j].Times(m.factor()))
			}
			if final := r[len(r)-1][j]; g.Name() == Joint && final.Known() {
				final = final.Times(m.factor())
				c.x, c.y, c.level = []float64{0.7, float64(tasks) + 0.3}, []Stat{final, final}, true
			}
			all[j] = append(all[j], c)
			every = append(every, c)
		}
	}
	low, high, ok := extent(every)
	if !ok {
		return absent(title, m.Name+" was not measured.")
	}
	columns := min(3, len(all))
	if len(all) == 4 {
		columns = 2
	}
	var panels [][]*plot.Plot
	for j := range all {
		y := ""
		if j%columns == 0 {
			panels = append(panels, make([]*plot.Plot, columns))
			y = m.title()
		}
		p := newPanel(taskTitle(j), "tasks learned", y)
		setRange(p, low, high)
		p.X.Min, p.X.Max, p.X.Tick.Marker = 0.7, float64(tasks)+0.3, wholeTicks(tasks)
		for _, c := range all[j] {
			addCurve(p, c, 1.8, 3.4)
		}
		panels[len(panels)-1][j%columns] = p
	}
	caption := fmt.Sprintf("%s of each task's samples from the moment it was learned; %s. %s%s",
		upperFirst(m.Name), m.Direction, bandNote(methods), taskKey(methods))
	width := map[int]float64{1: 400, 2: 640, 3: 700}[columns]
	return chart(title, caption, width, 220, entries(methods, l), panels)
}

// ForgettingCurve is the panel of one task of [ForgettingCurves], larger.
func ForgettingCurve(methods []Method, m Metric, task int) Figure {
	l := looks(methods)
	var curves []curve
	tasks := 0
	for k, g := range methods {
		r := g.Matrix(m)
		tasks = max(tasks, len(r))
		c := curve{look: l[k]}
		for i := max(task, 0); i < len(r) && task >= 0; i++ {
			c.x, c.y = append(c.x, float64(i+1)), append(c.y, r[i][task].Times(m.factor()))
		}
		curves = append(curves, c)
	}
	title := "Forgetting of " + taskTitle(task)
	low, high, ok := extent(curves)
	if !ok {
		return absent(title, m.Name+" was not measured.")
	}
	p := newPanel("", "tasks learned", m.Label())
	setRange(p, low, high)
	p.X.Min, p.X.Max, p.X.Tick.Marker = 0.7, float64(tasks)+0.3, wholeTicks(tasks)
	for _, c := range curves {
		addCurve(p, c, 2, 4)
	}
	caption := fmt.Sprintf("%s of the samples of %s after each learned task; %s. %s",
		upperFirst(m.Name), taskTitle(task), m.Direction, bandNote(methods))
	return chart(title, caption, 520, 300, entries(methods, l), [][]*plot.Plot{{p}})
}

// AverageCurve shows metric m averaged over the tasks seen so far, over the optimiser steps done.
func AverageCurve(methods []Method, m Metric) Figure {
	l := looks(methods)
	var curves []curve
	for k, g := range methods {
		c := curve{look: l[k]}
		for i := range g.Tasks() {
			step := g.Over(func(r *results.Run) float64 { return stepAfter(r, i) })
			average := g.Over(func(r *results.Run) float64 {
				x := Matrix(r, m)
				return metrics.WeightedMean(x.R[i][:i+1], x.Weights)
			})
			if step.Known() {
				c.x, c.y = append(c.x, step.Mean), append(c.y, average.Times(m.factor()))
			}
		}
		curves = append(curves, c)
	}
	title := "Average over the tasks seen so far"
	low, high, ok := extent(curves)
	if !ok {
		return absent(title, m.Name+" was not measured.")
	}
	p := newPanel("", "optimiser steps", m.Label())
	setRange(p, low, high)
	p.X.Min = 0
	for _, c := range curves {
		addCurve(p, c, 2, 4)
	}
	p.X.Max *= 1.03
	caption := fmt.Sprintf("%s averaged over the tasks seen so far; %s. %sA strategy measured only at the end is a single marker.",
		upperFirst(m.Name), m.Direction, bandNote(methods))
	return chart(title, caption, 520, 300, entries(methods, l), [][]*plot.Plot{{p}})
}

// LossCurve shows the training loss over optimiser steps, mean over seeds, with the ends of tasks marked.
func LossCurve(methods []Method) Figure {
	l := looks(methods)
	var curves []curve
	for k, g := range methods {
		c := curve{look: l[k]}
		for i, point := range g.Runs[0].Losses {
			values := make([]float64, 0, len(g.Runs))
			for _, r := range g.Runs {
				if i < len(r.Losses) && r.Losses[i].Step == point.Step {
					values = append(values, r.Losses[i].Loss)
				}
			}
			c.x, c.y = append(c.x, float64(point.Step)), append(c.y, Stat{Mean: NewStat(values).Mean, Std: math.NaN(), N: 1})
		}
		curves = append(curves, c)
	}
	low, high, ok := extent(curves)
	if !ok {
		return absent("Training loss", "No losses were stored.")
	}
	p := newPanel("", "optimiser steps", "training loss")
	setRange(p, low, high)
	p.X.Min = 0
	for _, end := range taskEnds(methods) {
		p.Add(&plotter.Line{XYs: plotter.XYs{{X: end, Y: p.Y.Min}, {X: end, Y: p.Y.Max}}, LineStyle: look{colour: faint(0.35), dash: []vg.Length{1.5, 3}}.line(1)})
	}
	for _, c := range curves {
		addCurve(p, c, 1.6, 0)
	}
	return chart("Training loss", "Loss of the training step, averaged between points and over seeds; a new task begins at each dotted line. "+
		"Strategies weigh their rows differently, so levels do not compare between them.",
		640, 280, entries(methods, l), [][]*plot.Plot{{p}})
}

// taskEnds are the steps at which the tasks but the last end, from the first run that has them.
func taskEnds(methods []Method) []float64 {
	for _, g := range methods {
		var ends []float64
		for i := range g.Tasks() - 1 {
			if s := stepAfter(g.Runs[0], i); !math.IsNaN(s) {
				ends = append(ends, s)
			}
		}
		if len(ends) > 0 {
			return ends
		}
	}
	return nil
}

// stepAfter is the optimiser step of the evaluation after task i, NaN if there is none.
func stepAfter(r *results.Run, i int) float64 {
	for k := len(r.Evaluations) - 1; k >= 0; k-- {
		if r.Evaluations[k].AfterTask == i {
			return float64(r.Evaluations[k].Step)
		}
	}
	return math.NaN()
}

// bandNote says what bands and bars are, and ends with a blank.
func bandNote(methods []Method) string {
	for _, m := range methods {
		if len(m.Runs) > 1 {
			return "Bands and bars: ± one standard deviation over seeds. "
		}
	}
	return "One seed. "
}

// taskTitle names task j, from 1.
func taskTitle(j int) string { return fmt.Sprintf("task %d", j+1) }

// taskKey says which classes the tasks have.
func taskKey(methods []Method) string {
	tasks := methods[0].Runs[0].Benchmark.Tasks
	names := make([]string, len(tasks))
	for i, t := range tasks {
		names[i] = fmt.Sprintf("%d: %s", i+1, t.Name)
	}
	return "Tasks: " + strings.Join(names, "; ") + "."
}

func upperFirst(text string) string { return strings.ToUpper(text[:1]) + text[1:] }
