package figure

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"

	"palimpsest/pkg/metrics"
	"palimpsest/pkg/results"
	"palimpsest/pkg/study"
	"palimpsest/pkg/words"
)

// Curve is one method's line: mean and spread at increasing x. NaN means are left out of the line.
type Curve struct {
	Look  Look
	X     []float64
	Y     []study.Stat
	Level bool // a level to compare with, not measurements at these places: no markers
}

// Extent returns the least and the greatest of what the curves show, bands included; false if nothing is shown. A
// band that reaches below zero does not keep positive values from a logarithmic axis.
func Extent(curves []Curve) (low, high float64, ok bool) {
	low, high = math.Inf(1), math.Inf(-1)
	for _, c := range curves {
		for _, s := range c.Y {
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

// AddCurve draws a curve: band, line and, where radius is above 0, markers.
func AddCurve(p *plot.Plot, c Curve, width, radius float64) {
	var line, upper, lower plotter.XYs
	for i, s := range c.Y {
		if !s.Known() {
			continue
		}
		spread := 0.0
		if s.HasSpread() {
			spread = s.Std
		}
		line = append(line, plotter.XY{X: c.X[i], Y: s.Mean})
		upper = append(upper, plotter.XY{X: c.X[i], Y: s.Mean + spread})
		lower = append(lower, plotter.XY{X: c.X[i], Y: math.Max(s.Mean-spread, p.Y.Min)})
	}
	if len(line) == 0 {
		return
	}
	if len(line) > 1 && !samePoints(upper, lower) {
		outline := upper
		for i := len(lower) - 1; i >= 0; i-- {
			outline = append(outline, lower[i])
		}
		p.Add(&plotter.Polygon{XYs: []plotter.XYs{outline}, Color: c.Look.Band()})
	}
	p.Add(&plotter.Line{XYs: line, LineStyle: c.Look.Line(width)})
	if radius > 0 && !c.Level {
		p.Add(&plotter.Scatter{XYs: line, GlyphStyle: c.Look.Marker(radius)})
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

// maxPanels is how many panels of tasks a figure has at most.
const maxPanels = 12

// someOf are at most most of the numbers 0 .. n-1, evenly from all, the first and the last among them.
func someOf(n, most int) []int {
	out := make([]int, min(n, most))
	for k := range out {
		out[k] = k
		if n > most {
			out[k] = k * (n - 1) / (most - 1)
		}
	}
	return out
}

// ForgettingCurves shows metric m of every task but the last after every task from its own on, a panel a task, of many tasks
// some, and a line a method; a flat line forgets nothing. Joint training, which has no order, is a dashed line at its final value.
func ForgettingCurves(methods []study.Method, m study.Metric) Figure {
	const title = "Forgetting of each task"
	tasks := 0
	for _, g := range methods {
		tasks = max(tasks, g.Tasks())
	}
	if tasks < 2 {
		return Absent(title, "There is one task, which nothing follows.")
	}
	l := Looks(methods)
	all := make([][]Curve, tasks-1)
	var every []Curve
	for k, g := range methods {
		r := g.Matrix(m)
		for j := range len(r) - 1 {
			c := Curve{Look: l[k]}
			for i := j; i < len(r); i++ {
				c.X, c.Y = append(c.X, float64(i+1)), append(c.Y, r[i][j].Times(m.Factor()))
			}
			if final := r[len(r)-1][j]; g.Name() == study.Joint && final.Known() {
				final = final.Times(m.Factor())
				c.X, c.Y, c.Level = []float64{0.7, float64(tasks) + 0.3}, []study.Stat{final, final}, true
			}
			all[j] = append(all[j], c)
			every = append(every, c)
		}
	}
	low, high, ok := Extent(every)
	if !ok {
		return Absent(title, m.Name+" was not measured.")
	}
	shown := someOf(len(all), maxPanels)
	columns := min(3, len(shown))
	if len(shown) == 4 {
		columns = 2
	}
	var panels [][]*plot.Plot
	for k, j := range shown {
		y := ""
		if k%columns == 0 {
			panels = append(panels, make([]*plot.Plot, columns))
			y = m.Title()
		}
		p := NewPanel(words.Task(j), "tasks learned", y)
		SetMetricRange(p, m, low, high)
		p.X.Min, p.X.Max, p.X.Tick.Marker = 0.7, float64(tasks)+0.3, wholeTicks(tasks)
		for _, c := range all[j] {
			AddCurve(p, c, 1.8, 3.4)
		}
		panels[len(panels)-1][k%columns] = p
	}
	some := ""
	if len(shown) < len(all) {
		some = fmt.Sprintf("%d of the %d tasks before the last, evenly from all. ", len(shown), len(all))
	}
	caption := fmt.Sprintf("%s of each task's samples from the moment it was learned; %s. %s%s",
		words.UpperFirst(m.Name), m.Direction, some+BandNote(methods), taskKey(methods))
	width := map[int]float64{1: 400, 2: 640, 3: 700}[columns]
	return Chart(title, caption, width, 220, Entries(methods, l), panels)
}

// ForgettingCurve is the panel of one task of [ForgettingCurves], larger.
func ForgettingCurve(methods []study.Method, m study.Metric, task int) Figure {
	l := Looks(methods)
	var curves []Curve
	tasks := 0
	for k, g := range methods {
		r := g.Matrix(m)
		tasks = max(tasks, len(r))
		c := Curve{Look: l[k]}
		for i := max(task, 0); i < len(r) && task >= 0; i++ {
			c.X, c.Y = append(c.X, float64(i+1)), append(c.Y, r[i][task].Times(m.Factor()))
		}
		curves = append(curves, c)
	}
	title := "Forgetting of " + words.Task(task)
	low, high, ok := Extent(curves)
	if !ok {
		return Absent(title, m.Name+" was not measured.")
	}
	p := NewPanel("", "tasks learned", m.Label())
	SetMetricRange(p, m, low, high)
	p.X.Min, p.X.Max, p.X.Tick.Marker = 0.7, float64(tasks)+0.3, wholeTicks(tasks)
	for _, c := range curves {
		AddCurve(p, c, 2, 4)
	}
	caption := fmt.Sprintf("%s of the samples of %s after each learned task; %s. %s",
		words.UpperFirst(m.Name), words.Task(task), m.Direction, BandNote(methods))
	return Chart(title, caption, 520, 300, Entries(methods, l), [][]*plot.Plot{{p}})
}

// AverageCurve shows metric m averaged over the tasks seen so far, over the optimiser steps done.
func AverageCurve(methods []study.Method, m study.Metric) Figure {
	l := Looks(methods)
	var curves []Curve
	for k, g := range methods {
		c := Curve{Look: l[k]}
		for i := range g.Tasks() {
			step := g.Over(func(r *results.Run) float64 { return stepAfter(r, i) })
			average := g.Over(func(r *results.Run) float64 {
				x := study.Matrix(r, m)
				return metrics.WeightedMean(x.R[i][:i+1], x.Weights)
			})
			if step.Known() {
				c.X, c.Y = append(c.X, step.Mean), append(c.Y, average.Times(m.Factor()))
			}
		}
		curves = append(curves, c)
	}
	title := "Average over the tasks seen so far"
	low, high, ok := Extent(curves)
	if !ok {
		return Absent(title, m.Name+" was not measured.")
	}
	p := NewPanel("", "optimiser steps", m.Label())
	SetMetricRange(p, m, low, high)
	p.X.Min = 0
	for _, c := range curves {
		AddCurve(p, c, 2, 4)
	}
	p.X.Max *= 1.03
	caption := fmt.Sprintf("%s averaged over the tasks seen so far; %s. %sA strategy measured only at the end is a single marker.",
		words.UpperFirst(m.Name), m.Direction, BandNote(methods))
	return Chart(title, caption, 520, 300, Entries(methods, l), [][]*plot.Plot{{p}})
}

// LossCurve shows the training loss over optimiser steps, mean over seeds, with the ends of tasks marked.
func LossCurve(methods []study.Method) Figure {
	l := Looks(methods)
	var curves []Curve
	for k, g := range methods {
		c := Curve{Look: l[k]}
		for i, point := range g.Runs[0].Losses {
			values := make([]float64, 0, len(g.Runs))
			for _, r := range g.Runs {
				if i < len(r.Losses) && r.Losses[i].Step == point.Step {
					values = append(values, r.Losses[i].Loss)
				}
			}
			c.X, c.Y = append(c.X, float64(point.Step)), append(c.Y, study.Stat{Mean: study.NewStat(values).Mean, Std: math.NaN(), N: 1})
		}
		curves = append(curves, c)
	}
	low, high, ok := Extent(curves)
	if !ok {
		return Absent("Training loss", "No losses were stored.")
	}
	p := NewPanel("", "optimiser steps", "training loss")
	SetRange(p, low, high)
	p.X.Min = 0
	for _, end := range taskEnds(methods) {
		p.Add(&plotter.Line{XYs: plotter.XYs{{X: end, Y: p.Y.Min}, {X: end, Y: p.Y.Max}}, LineStyle: Look{Colour: Faint(0.35), Dash: []vg.Length{1.5, 3}}.Line(1)})
	}
	for _, c := range curves {
		AddCurve(p, c, 1.6, 0)
	}
	averaged := "between points"
	if manySeeds(methods) {
		averaged += " and over seeds"
	}
	return Chart("Training loss", "Loss of the training step, averaged "+averaged+"; a new task begins at each dotted line. "+
		"Strategies weigh their rows differently, so levels do not compare between them.",
		640, 280, Entries(methods, l), [][]*plot.Plot{{p}})
}

// taskEnds are the steps at which the tasks but the last end, from the first run that has them.
func taskEnds(methods []study.Method) []float64 {
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

// BandNote says what bands and bars are, and ends with a blank.
func BandNote(methods []study.Method) string {
	if manySeeds(methods) {
		return "Bands and bars: ± one standard deviation over seeds. "
	}
	return "One seed. "
}

// manySeeds says whether any method has more than one run.
func manySeeds(methods []study.Method) bool {
	return slices.ContainsFunc(methods, func(m study.Method) bool { return len(m.Runs) > 1 })
}

// taskKey says which classes the tasks have.
func taskKey(methods []study.Method) string {
	const most = 12 // of which there is a line each before a reader looks for a table
	b := &methods[0].Runs[0].Benchmark
	var names []string
	for i := range b.Tasks {
		if len(b.Tasks) > most && i >= most/2 && i < len(b.Tasks)-1 {
			if i == most/2 {
				names = append(names, "…")
			}
			continue
		}
		names = append(names, fmt.Sprintf("%d: %s", i+1, b.TaskTitle(i)))
	}
	return "Tasks: " + strings.Join(names, "; ") + "."
}
