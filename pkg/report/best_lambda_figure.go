package report

import (
	"math"
	"slices"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// Figure shows a row a line: the best λ with its interval over seeds, among those tried, and by how much FID and copies of
// the best λ below 1 differ from those of λ = 1.
func (b *BestLambdas) Figure() Figure {
	n := len(b.Rows)
	names, best := make([]string, n), make([]Interval, n)
	fids, copies := make([]Stat, n), make([]Stat, n)
	var tried []float64
	for i, r := range b.Rows {
		names[i], best[i] = b.Sweep.title(r.Line), r.Best
		fids[i], copies[i] = NewStat(nil), NewStat(nil)
		if r.compared() {
			fids[i], copies[i] = r.DifferenceFID.stat(), r.DifferenceCopies.stat()
		}
		tried = append(tried, r.Line.Lambdas...)
	}
	first := newPanel("best λ", "", "")
	for i, r := range b.Rows {
		for _, lambda := range r.Line.Lambdas {
			first.Add(&plotter.Scatter{XYs: plotter.XYs{{X: lambda, Y: float64(n - 1 - i)}}, GlyphStyle: draw.GlyphStyle{Color: faint(0.35), Radius: 3, Shape: stroke{}}})
		}
	}
	l := make([]look, n)
	for i := range l {
		l[i] = look{colour: others[0], glyph: draw.CircleGlyph{}}
	}
	addIntervals(first, best, l)
	first.X.Scale, first.X.Tick.Marker, first.X.Min, first.X.Max = plot.LogScale{}, valueTicks(tried), slices.Min(tried)/1.4, slices.Max(tried)*1.4
	panels := []*plot.Plot{first}
	for _, c := range []struct {
		title  string
		values []Stat
	}{{"FID, less that of λ = 1", fids}, {"copies in points, less those of λ = 1", copies}} {
		p := newPanel(c.title, "", "")
		intervals, colours := make([]Interval, n), make([]look, n)
		known := false
		for i, s := range c.values {
			known = known || s.Known()
			intervals[i] = Interval{s.Mean, s.Mean - s.Std, s.Mean + s.Std}
			colours[i] = look{colour: grey, glyph: draw.CircleGlyph{}}
			switch {
			case !s.HasSpread() || math.Abs(s.Mean) <= s.Std:
			case s.Mean < 0:
				colours[i].colour = others[0]
			default:
				colours[i].colour = vermilion
			}
		}
		if !known {
			continue
		}
		p.Add(&plotter.Line{XYs: plotter.XYs{{X: 0, Y: -0.5}, {X: 0, Y: float64(n) - 0.5}}, LineStyle: look{colour: faint(0.5), dash: []vg.Length{1.5, 3}}.line(1)})
		low, high := addIntervals(p, intervals, colours)
		low, high = math.Min(low, 0), math.Max(high, 0)
		room := math.Max(0.08*(high-low), 1e-6)
		p.X.Min, p.X.Max, p.X.Tick.Marker = low-room, high+room, linearTicks{}
		panels = append(panels, p)
	}
	for _, p := range panels {
		p.Y.Min, p.Y.Max = -0.5, float64(n)-0.5
	}
	caption := "Left: the λ of the lowest final FID, with its 95 % interval over seeds, among those tried (strokes); at an end of them the best may lie beyond. " +
		"Right: the best λ below 1 against λ = 1, ± the spread between single runs; blue is lower, orange higher, grey within the spread."
	return namedRows("The best λ of "+b.Sweep.Strategy, caption, names, panels, rowLayout{margin: 4, left: 220, panel: 240, pad: 24, right: 12})
}

// stat is a difference with its spread as a deviation; without a spread, one of a single seed.
func (d Difference) stat() Stat {
	if math.IsNaN(d.Value) {
		return NewStat(nil)
	}
	return Stat{d.Value, d.Spread, 2}
}

// stroke is a short upright line.
type stroke struct{}

// DrawGlyph implements [draw.GlyphDrawer].
func (stroke) DrawGlyph(c *draw.Canvas, s draw.GlyphStyle, p vg.Point) {
	c.StrokeLine2(draw.LineStyle{Color: s.Color, Width: 1.4}, p.X, p.Y-s.Radius, p.X, p.Y+s.Radius)
}
