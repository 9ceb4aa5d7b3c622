package figure

import (
	"math"
	"slices"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"

	"palimpsest/pkg/study"
)

// BestLambdas shows a row a line: the best λ and those not told apart from it, among those tried, and by how much FID and copies of
// the best λ below 1 differ from those of λ = 1.
func BestLambdas(b *study.BestLambdas) Figure {
	n := len(b.Rows)
	names, best := make([]string, n), make([]study.Interval, n)
	fids, copies := make([]study.Difference, n), make([]study.Difference, n)
	var tried []float64
	for i, r := range b.Rows {
		alike := append(slices.Clone(r.Level), r.Best)
		names[i], best[i] = b.Sweep.Title(r.Line), study.Interval{Value: r.Best, Low: slices.Min(alike), High: slices.Max(alike)}
		fids[i], copies[i] = study.NotDecided(math.NaN(), ""), study.NotDecided(math.NaN(), "")
		if r.Compared() {
			fids[i], copies[i] = r.DifferenceFID, r.DifferenceCopies
		}
		tried = append(tried, r.Line.Lambdas...)
	}
	first := NewPanel("best λ", "", "")
	for i, r := range b.Rows {
		for _, lambda := range r.Line.Lambdas {
			first.Add(&plotter.Scatter{XYs: plotter.XYs{{X: lambda, Y: float64(n - 1 - i)}}, GlyphStyle: draw.GlyphStyle{Color: Faint(0.35), Radius: 3, Shape: stroke{}}})
		}
	}
	l := make([]Look, n)
	for i := range l {
		l[i] = Look{Colour: Palette[0], Glyph: draw.CircleGlyph{}}
	}
	addIntervals(first, best, l)
	first.X.Scale, first.X.Tick.Marker, first.X.Min, first.X.Max = plot.LogScale{}, valueTicks(tried), slices.Min(tried)/1.4, slices.Max(tried)*1.4
	panels := []*plot.Plot{first}
	for _, c := range []struct {
		title  string
		values []study.Difference
	}{{"FID, less that of λ = 1", fids}, {"copies in points, less those of λ = 1", copies}} {
		p := NewPanel(c.title, "", "")
		intervals, colours := make([]study.Interval, n), make([]Look, n)
		known := false
		for i, d := range c.values {
			known = known || !math.IsNaN(d.Value)
			intervals[i] = d.Interval()
			colours[i] = Look{Colour: grey, Glyph: draw.CircleGlyph{}}
			switch d.Sign() {
			case -1:
				colours[i].Colour = Palette[0]
			case 1:
				colours[i].Colour = Vermilion
			}
		}
		if !known {
			continue
		}
		p.Add(&plotter.Line{XYs: plotter.XYs{{X: 0, Y: -0.5}, {X: 0, Y: float64(n) - 0.5}}, LineStyle: Look{Colour: Faint(0.5), Dash: []vg.Length{1.5, 3}}.Line(1)})
		low, high := addIntervals(p, intervals, colours)
		low, high = math.Min(low, 0), math.Max(high, 0)
		room := math.Max(0.08*(high-low), 1e-6)
		p.X.Min, p.X.Max, p.X.Tick.Marker = low-room, high+room, LinearTicks{}
		panels = append(panels, p)
	}
	for _, p := range panels {
		p.Y.Min, p.Y.Max = -0.5, float64(n)-0.5
	}
	caption := "Left: the λ of the lowest mean final FID among those tried (strokes), the bar reaching over those not told apart from it; at an end of them the best may lie beyond. " +
		"Right: the best λ below 1 against λ = 1 on the same seeds, with the 95 % interval of Student's t; blue is lower, orange higher, grey not told apart."
	return NamedRows("The best λ of "+b.Sweep.Strategy, caption, names, panels, RowLayout{Margin: 4, Left: 220, Panel: 240, Pad: 24, Right: 12})
}

// stroke is a short upright line.
type stroke struct{}

// DrawGlyph implements [draw.GlyphDrawer].
func (stroke) DrawGlyph(c *draw.Canvas, s draw.GlyphStyle, p vg.Point) {
	c.StrokeLine2(draw.LineStyle{Color: s.Color, Width: 1.4}, p.X, p.Y-s.Radius, p.X, p.Y+s.Radius)
}
