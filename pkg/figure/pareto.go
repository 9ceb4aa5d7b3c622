package figure

import (
	"math"
	"slices"
	"strconv"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"

	"palimpsest/pkg/study"
)

// Pareto sets quality against what it costs, a panel a price and a numbered point a method; without prices, against the
// bytes stored and against compute. The stairs join the methods on the front ([study.ParetoFront]), below which no method
// reaches; finetune and joint are levels. It is an error if methods are of different benchmarks.
func Pareto(methods []study.Method, quality study.Number, prices ...study.Price) (Figure, error) {
	const title = "Quality against its price"
	if err := study.SameBenchmark(methods); err != nil {
		return Figure{}, err
	}
	var row []*plot.Plot
	var items []numberedItem
	var levels []level
	for _, name := range []string{study.Finetune, study.Joint} {
		if g, ok := study.Find(methods, name); ok {
			if s := g.Over(quality.Of); s.Known() {
				levels = append(levels, level{g.Label, s.Mean, Looks([]study.Method{g})[0]})
			}
		}
	}
	for _, price := range study.PricesOrUsual(prices) {
		all := study.ParetoFront(methods, quality, price)
		if len(all) == 0 {
			return Absent(title, quality.Name()+" was not measured for every task of a method that competes."), nil
		}
		if items == nil {
			items = make([]numberedItem, len(all))
		}
		for i, m := range all {
			items[i].label, items[i].bold = m.Method.Label, items[i].bold || m.Front
		}
		row = append(row, pricePanel(all, quality, price, levels, len(row) == 0))
	}
	caption := "Numbers are methods, below; blue squares and bold names are on a front: none is both as cheap and as good. " +
		BandNote(methods) + "Fronts are of means: neighbours on one need not be told apart by these seeds."
	if slices.ContainsFunc(study.PricesOrUsual(prices), func(p study.Price) bool { return p.Name == study.PriceCompute.Name }) {
		caption += " Compute: all rows put through a network while learning, a training row counting three, as multiples of fine-tuning on the fresh rows."
	}
	width := math.Max(60+330*float64(len(row)), 560)
	f := Figure{Title: title, Caption: caption, Width: width, Height: 340 + numberedHeight(items, width-8)}
	f.Paint = func(c draw.Canvas) {
		below := vg.Length(numberedHeight(items, width-8))
		t := draw.Tiles{Rows: 1, Cols: len(row), PadX: 18, PadRight: 8}
		for k, canvas := range plot.Align([][]*plot.Plot{row}, t, draw.Crop(c, 4, 0, below, 0))[0] {
			row[k].Draw(canvas)
		}
		drawNumbered(draw.Crop(c, 4, -4, 0, 0), below, items)
	}
	return f, nil
}

// level is a reference as a line across a panel.
type level struct {
	label string
	at    float64
	look  Look
}

// pricePanel is one panel of Pareto.
func pricePanel(all []study.PricedMethod, quality study.Number, price study.Price, levels []level, first bool) *plot.Plot {
	least, most := math.Inf(1), 0.0
	curves := make([]Curve, 0, len(all)+len(levels))
	for _, m := range all {
		if m.Price.Mean > 0 {
			least = math.Min(least, m.Price.Mean)
		}
		most = math.Max(most, m.Price.Mean)
		curves = append(curves, Curve{Y: []study.Stat{m.Quality}})
	}
	for _, l := range levels {
		curves = append(curves, Curve{Y: []study.Stat{{Mean: l.at, Std: math.NaN(), N: 1}}})
	}
	unit, size := price.Unit(most)
	y := ""
	if first {
		y = quality.Axis()
	}
	p := NewPanel("", price.Axis(unit), y)
	low, high, _ := Extent(curves)
	setNumberRange(p, quality, low, high)
	setPriceAxis(p, all, least/size, most/size)
	for _, l := range levels {
		p.Add(levelLine{l})
	}
	var stairs plotter.XYs
	sign := quality.Rankable(1)
	for _, m := range study.OnFront(all, quality) {
		x := m.Price.Mean / size
		if n := len(stairs); n > 0 {
			stairs = append(stairs, plotter.XY{X: x, Y: stairs[n-1].Y})
		} else if sign > 0 {
			stairs = append(stairs, plotter.XY{X: x, Y: p.Y.Max})
		} else {
			stairs = append(stairs, plotter.XY{X: x, Y: p.Y.Min})
		}
		stairs = append(stairs, plotter.XY{X: x, Y: m.Quality.Mean})
	}
	stairs = append(stairs, plotter.XY{X: p.X.Max, Y: stairs[len(stairs)-1].Y})
	p.Add(&plotter.Line{XYs: stairs, LineStyle: draw.LineStyle{Color: Look{Colour: Palette[0]}.Band(), Width: 3}})
	points := numberedPoints{}
	for _, m := range all {
		x := m.Price.Mean / size
		colour := Faint(0.3)
		if m.Front {
			colour = Palette[0]
		}
		if q := m.Quality; q.HasSpread() {
			p.Add(&plotter.Line{XYs: plotter.XYs{{X: x, Y: math.Max(q.Mean-q.Std, p.Y.Min)}, {X: x, Y: q.Mean + q.Std}}, LineStyle: draw.LineStyle{Color: colour, Width: 1}})
		}
		points.at, points.front = append(points.at, plotter.XY{X: x, Y: m.Quality.Mean}), append(points.front, m.Front)
	}
	p.Add(points)
	return p
}

// setPriceAxis makes the price axis logarithmic where prices above zero span more than a factor of 8, with a place for
// zero if any method costs nothing.
func setPriceAxis(p *plot.Plot, all []study.PricedMethod, least, most float64) {
	free := slices.ContainsFunc(all, func(m study.PricedMethod) bool { return m.Price.Mean == 0 })
	switch {
	case most > 8*least && free:
		z := zeroLog{least / 1.1}
		p.X.Scale, p.X.Tick.Marker, p.X.Min, p.X.Max = z, z, 0, most*math.Pow(most/least, 0.08)
	case most > 8*least:
		room := math.Pow(most/least, 0.05)
		p.X.Scale, p.X.Tick.Marker, p.X.Min, p.X.Max = plot.LogScale{}, logTicks{}, least/room, most*room
	default:
		low, room := 0.0, math.Max(0.08*most, 1e-3)
		if !free && least > 0.3*most && least < most {
			low = least
			room = 0.08 * (most - least)
		}
		p.X.Min, p.X.Max, p.X.Tick.Marker = low-room, math.Max(most, 1e-3)+room, LinearTicks{}
	}
}

// levelLine draws a level with its name at its right end.
type levelLine struct{ level }

// Plot implements [plot.Plotter].
func (l levelLine) Plot(c draw.Canvas, p *plot.Plot) {
	_, y := p.Transforms(&c)
	at := y(l.at)
	c.StrokeLine2(l.look.Line(1.2), c.Min.X, at, c.Max.X, at)
	// Off the points, which mostly lie between the levels.
	s := TextStyle(TickSize-1, false, l.look.Colour, -1, 0)
	if at+13 > c.Max.Y || at < (c.Min.Y+c.Max.Y)/2 && at-13 > c.Min.Y {
		s.YAlign = -1
		at -= 5
	}
	c.FillText(s, vg.Point{X: c.Max.X - 2, Y: at + 2}, Shorten(s, l.label, c.Size().X-4))
}

// numberedPoints are points with their numbers next to them, from 1.
type numberedPoints struct {
	at    plotter.XYs
	front []bool
}

// Plot implements [plot.Plotter].
func (n numberedPoints) Plot(c draw.Canvas, p *plot.Plot) {
	x, y := p.Transforms(&c)
	points, sizes := make([]vg.Point, len(n.at)), make([]vg.Point, len(n.at))
	text := func(k int) draw.TextStyle { return TextStyle(TickSize-1, n.front[k], Ink, -0.5, -0.5) }
	for k, at := range n.at {
		points[k] = vg.Point{X: x(at.X), Y: y(at.Y)}
		sizes[k] = vg.Point{X: text(k).Width(strconv.Itoa(k+1)) + 2, Y: TickSize}
	}
	bounds := c.Rectangle
	for k, place := range placeLabels(points, sizes, 4.5, bounds) {
		centre := vg.Point{X: (place.Min.X + place.Max.X) / 2, Y: (place.Min.Y + place.Max.Y) / 2}
		if away := centre.Sub(points[k]); math.Hypot(float64(away.X), float64(away.Y)) > 16 {
			// A leader from the marker to the label's border.
			share := vg.Length(math.Min(float64(sizes[k].X/2)/math.Max(math.Abs(float64(away.X)), 1e-9), float64(sizes[k].Y/2)/math.Max(math.Abs(float64(away.Y)), 1e-9)))
			c.StrokeLine2(draw.LineStyle{Color: Faint(0.35), Width: 0.7}, points[k].X, points[k].Y, centre.X-away.X*share, centre.Y-away.Y*share)
		}
		c.FillText(text(k), centre, strconv.Itoa(k+1))
	}
	for _, front := range []bool{false, true} { // the front on top
		for k, at := range points {
			if n.front[k] != front {
				continue
			}
			l := Look{Colour: grey, Glyph: draw.CircleGlyph{}}
			radius := 3.2
			if front {
				l, radius = Look{Colour: Palette[0], Glyph: draw.BoxGlyph{}}, 4
			}
			c.DrawGlyph(l.Marker(radius), at)
		}
	}
}

// numberedItem is one name of the list below the panels.
type numberedItem struct {
	label string
	bold  bool
}

const (
	numberedLine  = 17 // height of a line
	numberedAbove = 12 // between panels and list
)

// numberedColumns is how many columns of items fit, and how wide they are.
func numberedColumns(items []numberedItem, width float64) (columns int, wide vg.Length) {
	for _, item := range items {
		wide = max(wide, TextStyle(TickSize, true, Ink, 0, -0.5).Width(item.label)+44)
	}
	wide = min(wide, vg.Length(width))
	return max(1, int(vg.Length(width)/wide)), wide
}

// numberedHeight is what drawNumbered takes.
func numberedHeight(items []numberedItem, width float64) float64 {
	columns, _ := numberedColumns(items, width)
	return numberedAbove + numberedLine*math.Ceil(float64(len(items))/float64(columns))
}

// drawNumbered draws the list into the lowest part of c, of the given height, down one column after the other.
func drawNumbered(c draw.Canvas, height vg.Length, items []numberedItem) {
	columns, wide := numberedColumns(items, float64(c.Max.X-c.Min.X))
	lines := (len(items) + columns - 1) / columns
	for i, item := range items {
		x := c.Min.X + wide*vg.Length(i/lines)
		y := c.Min.Y + height - numberedAbove - numberedLine*(vg.Length(i%lines)+0.5)
		c.FillText(TextStyle(TickSize, item.bold, Ink, -1, -0.5), vg.Point{X: x + 22, Y: y}, strconv.Itoa(i+1))
		c.FillText(TextStyle(TickSize, item.bold, Ink, 0, -0.5), vg.Point{X: x + 28, Y: y}, Shorten(TextStyle(TickSize, true, Ink, 0, -0.5), item.label, wide-28))
	}
}
