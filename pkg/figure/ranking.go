package figure

import (
	"fmt"
	"math"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"

	"palimpsest/pkg/study"
	"palimpsest/pkg/words"
)

// Ranking is a critical-difference diagram, [demsar] figure 1, turned so that methods are rows and with
// intervals: mean ranks with the bootstrap's in the first panel, differences to the reference with Student's in the
// second. Upright bars join methods that the critical difference does not tell apart.
func Ranking(r *study.Ranking) Figure {
	n := len(r.Rows)
	names, colours := make([]string, n), make([]Look, n)
	ranks, differences := make([]study.Interval, n), make([]study.Interval, n)
	for i, row := range r.Rows {
		names[i], ranks[i], differences[i] = row.Method.Label, row.Rank, row.Difference.Interval()
		l := Look{Colour: grey, Glyph: draw.CircleGlyph{}}
		switch d := row.Difference; {
		case row.Method.Label == r.Reference:
			l = Look{Colour: Ink, Glyph: diamond{}}
		case d.Sign() == 0:
		case r.Number.Rankable(d.Value) < 0:
			l.Colour = Palette[0]
		default:
			l.Colour = Vermilion
		}
		colours[i] = l
	}
	first := NewPanel("mean rank (1 is best)", "", "")
	addIntervals(first, ranks, colours)
	// The bars of the critical difference are to the right of all ranks, its ruler is above them.
	right := float64(n)
	step := 0.022 * float64(n)
	for k, c := range r.Cliques {
		x := right + step*float64(k+2)
		first.Add(&plotter.Line{XYs: plotter.XYs{{X: x, Y: float64(n-1-c[0]) + 0.3}, {X: x, Y: float64(n-1-c[1]) - 0.3}},
			LineStyle: draw.LineStyle{Color: Faint(0.55), Width: 3}})
	}
	first.X.Min, first.X.Max = 1-0.03*float64(n), right+step*float64(len(r.Cliques)+2)
	first.X.Tick.Marker = rankTicks(n)
	top := float64(n) - 0.15
	if r.Critical < float64(n-1) {
		first.Add(ruler{1, 1 + r.Critical, top, "critical difference"})
	}
	second := NewPanel(r.Number.Name()+unitText(r.Number.Metric)+", less that of "+r.Reference, "", "")
	second.Add(&plotter.Line{XYs: plotter.XYs{{X: 0, Y: -0.5}, {X: 0, Y: float64(n) - 0.5}}, LineStyle: Look{Colour: Faint(0.5), Dash: []vg.Length{1.5, 3}}.Line(1)})
	low, high := addIntervals(second, differences, colours)
	low, high = math.Min(low, 0), math.Max(high, 0)
	room := math.Max(0.06*(high-low), 1e-6)
	second.X.Min, second.X.Max, second.X.Tick.Marker = low-room, high+room, LinearTicks{}
	panels := []*plot.Plot{first, second}
	for _, p := range panels {
		p.Y.Min, p.Y.Max = -0.5, float64(n)+0.35
	}
	caption := fmt.Sprintf("%s of %d methods over %s and %d tasks. ", words.UpperFirst(r.Title()), n, words.Seeds(len(r.Seeds)), r.Tasks)
	if len(r.Seeds) > 1 {
		caption += fmt.Sprintf("Bars: 95 %% intervals, of mean ranks by a hierarchical bootstrap of seeds and their tasks, of differences by Student's t on those seed by seed. "+
			"Blue: better than %s by p < 0.05, each comparison by itself; orange: worse; grey: not told apart. ", r.Reference)
	} else {
		caption += "One seed: no intervals. "
	}
	if len(r.Cliques) > 0 {
		caption += "Upright bars join methods within one critical difference. "
	}
	return NamedRows("Ranks and how sure they are", caption+r.TestNote(), names, panels, RowLayout{Margin: 4, Left: 190, Panel: 300, Pad: 26, Right: 10, Top: 20})
}

// unitText is a metric's unit after a comma, if it has one.
func unitText(m study.Metric) string {
	if m.Unit == "" {
		return ""
	}
	return ", " + m.Unit
}

// addIntervals draws a dot and a bar a row, the first on top, and returns the least and the greatest value drawn.
func addIntervals(p *plot.Plot, values []study.Interval, looks []Look) (low, high float64) {
	low, high = math.Inf(1), math.Inf(-1)
	for i, v := range values {
		if !v.Known() {
			continue
		}
		y := float64(len(values) - 1 - i)
		low, high = math.Min(low, v.Value), math.Max(high, v.Value)
		if !math.IsNaN(v.Low) {
			low, high = math.Min(low, v.Low), math.Max(high, v.High)
			p.Add(&plotter.Line{XYs: plotter.XYs{{X: v.Low, Y: y}, {X: v.High, Y: y}}, LineStyle: draw.LineStyle{Color: looks[i].Colour, Width: 2}})
		}
		p.Add(&plotter.Scatter{XYs: plotter.XYs{{X: v.Value, Y: y}}, GlyphStyle: looks[i].Marker(4)})
	}
	p.Y.Tick.Marker = RowTicks(len(values))
	p.Y.LineStyle.Width, p.Y.Tick.Length = 0, 0
	return low, high
}

// rankTicks labels the first rank, the last, and round ones between.
type rankTicks int

// Ticks implements [plot.Ticker].
func (n rankTicks) Ticks(low, high float64) []plot.Tick {
	every := 1
	for _, e := range []int{2, 5, 10, 20} {
		if int(n)/every > 7 {
			every = e
		}
	}
	out := []plot.Tick{{Value: 1, Label: "1"}}
	for k := every; k <= int(n); k += every {
		if k > 1 {
			out = append(out, plot.Tick{Value: float64(k), Label: words.Short(float64(k))})
		}
	}
	return out
}

// ruler is a length with its name, drawn from x = from to x = to.
type ruler struct {
	from, to, y float64
	name        string
}

// Plot implements [plot.Plotter].
func (r ruler) Plot(c draw.Canvas, p *plot.Plot) {
	x, y := p.Transforms(&c)
	a, b, at := x(r.from), x(r.to), y(r.y)
	l := draw.LineStyle{Color: Faint(0.8), Width: 1.2}
	c.StrokeLine2(l, a, at, b, at)
	for _, end := range []vg.Length{a, b} {
		c.StrokeLine2(l, end, at-3, end, at+3)
	}
	s := TextStyle(TickSize-1, false, Faint(0.8), 0, -0.5)
	if b+4+s.Width(r.name) <= c.Max.X {
		c.FillText(s, vg.Point{X: b + 4, Y: at}, r.name)
	} else {
		s.XAlign, s.YAlign = -0.5, 0
		c.FillText(s, vg.Point{X: (a + b) / 2, Y: at + 3}, r.name)
	}
}
