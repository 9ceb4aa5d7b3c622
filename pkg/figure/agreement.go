package figure

import (
	"fmt"
	"math"

	"github.com/pkg/errors"
	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"

	"palimpsest/pkg/results"
	"palimpsest/pkg/study"
)

// AgreementScatter sets number a against number b: a point a run, in its method's look. Were the two of one mind, all
// points would climb from the best corner to the worst. Dotted lines join the means of two methods that the numbers
// order differently, both telling them apart ([study.Disagreements]).
func AgreementScatter(runs []*results.Run, a, b study.Number) (Figure, error) {
	methods := study.Group(runs)
	l := Looks(methods)
	var points []plotter.XYs
	var xs, ys []Curve
	for _, g := range methods {
		var own plotter.XYs
		for _, r := range g.Runs {
			if x, y := b.Of(r), a.Of(r); !math.IsNaN(x) && !math.IsNaN(y) {
				own = append(own, plotter.XY{X: x, Y: y})
				xs, ys = append(xs, Curve{Y: []study.Stat{study.NewStat([]float64{x})}}), append(ys, Curve{Y: []study.Stat{study.NewStat([]float64{y})}})
			}
		}
		points = append(points, own)
	}
	lowX, highX, ok := Extent(xs)
	if !ok {
		return Figure{}, errors.Errorf("figure: no run has both %s and %s for every task; runs of %s measure likelihoods", a.Name(), b.Name(), study.BPDCommand)
	}
	p := NewPanel("", b.Axis(), a.Axis())
	// The horizontal range comes by way of a vertical one, which knows when to be logarithmic.
	helper := NewPanel("", "", "")
	setNumberRange(helper, b, lowX, highX)
	p.X.Min, p.X.Max, p.X.Scale, p.X.Tick.Marker = helper.Y.Min, helper.Y.Max, helper.Y.Scale, helper.Y.Tick.Marker
	lowY, highY, _ := Extent(ys)
	room := math.Max(0.08*(highY-lowY), 1e-9)
	p.Y.Min, p.Y.Max = lowY-room, highY+room // bits never begin at zero
	crossed := 0
	if list, err := study.Disagreements(runs, a, b); err == nil {
		crossed = len(list)
		for _, d := range list {
			p.Add(&plotter.Line{XYs: plotter.XYs{{X: d.BOfByA.Mean, Y: d.AOfByA.Mean}, {X: d.BOfByB.Mean, Y: d.AOfByB.Mean}},
				LineStyle: Look{Colour: Faint(0.55), Dash: []vg.Length{1.5, 3}}.Line(1.3)})
		}
	}
	for i, own := range points {
		if len(own) > 0 {
			p.Add(&plotter.Scatter{XYs: own, GlyphStyle: l[i].Marker(4.5)})
		}
	}
	caption := fmt.Sprintf("A point is a run: %s against %s, %s. ", a.Name(), b.Name(), a.What)
	if a.Forgetting() {
		caption = fmt.Sprintf("A point is a run: %s against %s. ", a.Name(), b.Name())
	}
	switch crossed {
	case 0:
		caption += "No two methods are told apart by both numbers in opposite orders (paired t)."
	case 1:
		caption += "The dotted line joins the two methods (means) that the numbers tell apart in opposite orders (paired t)."
	default:
		caption += fmt.Sprintf("Dotted lines join the %d pairs of methods (means) that the numbers tell apart in opposite orders (paired t).", crossed)
	}
	if ranks, err := study.Agreement(runs, a, b); err == nil {
		caption += " " + ranks.Sentence()
	}
	return Chart(a.Name()+" against "+b.Name(), caption, 560, 330, Entries(methods, l), [][]*plot.Plot{{p}}), nil
}
