package figure

import (
	"fmt"
	"image"
	"image/color"
	"math"
	"strconv"

	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"

	"palimpsest/pkg/metrics"
	"palimpsest/pkg/study"
	"palimpsest/pkg/words"
)

// Heatmaps draws R[i][j] of metric m, after task i on task j, mean over seeds: one figure a method, in one common
// colour scale from light, better, to dark, worse. The cells of tasks just learned are framed; hatched cells were
// not measured. A method that was measured once only, as joint training is, has that one row.
func Heatmaps(methods []study.Method, m study.Metric) []Figure {
	scale := newShade(methods, m)
	figures := make([]Figure, len(methods))
	for k, g := range methods {
		figures[k] = heatmap(g, m, scale)
	}
	return figures
}

// Heatmap is [Heatmaps] of all methods side by side in lines of at most width pixels.
func Heatmap(methods []study.Method, m study.Metric, width float64) Figure {
	if !study.Measured(methods, m) {
		return Absent("R of "+m.Name, m.Name+" was not measured.")
	}
	return SideBySide(words.UpperFirst(m.Name)+" after each task (rows) on each task (columns)", HeatmapCaption(methods, m), width, Heatmaps(methods, m)...)
}

// HeatmapCaption says how to read the heat maps of m; where it was not measured it says so.
func HeatmapCaption(methods []study.Method, m study.Metric) string {
	if !study.Measured(methods, m) {
		return m.Name + " was not measured."
	}
	better := m.Direction.String()
	if m.Qualifies {
		better = "dark is more"
	} else {
		better += ", light is better"
	}
	scale := newShade(methods, m)
	text := "One seed; "
	if manySeeds(methods) {
		text = "Mean over seeds; "
	}
	text += fmt.Sprintf("%s, one scale from %s to %s", better, cellNumber(scale.low), cellNumber(scale.high))
	if scale.logarithmic {
		text += " (logarithmic)"
	}
	if methods[0].Tasks() > numberedTasks {
		text += "; too many tasks for a number in each cell"
	}
	return text + ". Framed: the task just learned. Hatched: not measured. " + taskKey(methods)
}

// shade maps shown values to colours.
type shade struct {
	low, high   float64 // shown values
	logarithmic bool
	better      metrics.Direction
}

// newShade spans all cells of all methods. Shares always span all there can be.
func newShade(methods []study.Method, m study.Metric) shade {
	s := shade{low: math.Inf(1), high: math.Inf(-1), better: m.Direction}
	for _, g := range methods {
		for _, row := range g.Matrix(m) {
			for _, cell := range row {
				if v := cell.Mean * m.Factor(); cell.Known() {
					s.low, s.high = math.Min(s.low, v), math.Max(s.high, v)
				}
			}
		}
	}
	if low, high, share := m.Bounds(); share {
		s.low, s.high = low, high
	}
	s.logarithmic = s.low > 0 && s.high > 8*s.low
	return s
}

// sequential is ColorBrewer's YlGnBu: one path from light to dark that is safe for colour-blind readers and prints.
var sequential = []color.NRGBA{
	{0xff, 0xff, 0xd9, 0xff}, {0xed, 0xf8, 0xb1, 0xff}, {0xc7, 0xe9, 0xb4, 0xff}, {0x7f, 0xcd, 0xbb, 0xff}, {0x41, 0xb6, 0xc4, 0xff},
	{0x1d, 0x91, 0xc0, 0xff}, {0x22, 0x5e, 0xa8, 0xff}, {0x25, 0x34, 0x94, 0xff}, {0x08, 0x1d, 0x58, 0xff},
}

// colour returns the fill for a shown value, and the colour of text on it.
func (s shade) colour(v float64) (fill, words color.NRGBA) {
	at := 0.0
	switch {
	case s.logarithmic:
		at = math.Log(v/s.low) / math.Log(s.high/s.low)
	case s.high > s.low:
		at = (v - s.low) / (s.high - s.low)
	}
	if s.better == metrics.HigherIsBetter {
		at = 1 - at
	}
	at = min(max(at, 0), 1) * float64(len(sequential)-1)
	k := min(int(at), len(sequential)-2)
	mix := func(a, b uint8) uint8 { return uint8(math.Round(float64(a) + (float64(b)-float64(a))*(at-float64(k)))) }
	a, b := sequential[k], sequential[k+1]
	fill = color.NRGBA{mix(a.R, b.R), mix(a.G, b.G), mix(a.B, b.B), 0xff}
	// Black and white have the same contrast with a luminance of sqrt(1.05·0.05) - 0.05, 4.58, where WCAG asks for 4.5.
	// Not quite black: an SVG leaves black out, and a page would give such words its own colour of text.
	words = color.NRGBA{0x01, 0x01, 0x01, 0xff}
	if luminance(fill) < 0.179 {
		words = color.NRGBA{0xff, 0xff, 0xff, 0xff}
	}
	return fill, words
}

// luminance is WCAG's relative luminance.
func luminance(c color.NRGBA) float64 {
	linear := func(v uint8) float64 {
		x := float64(v) / 255
		if x <= 0.04045 {
			return x / 12.92
		}
		return math.Pow((x+0.055)/1.055, 2.4)
	}
	return 0.2126*linear(c.R) + 0.7152*linear(c.G) + 0.0722*linear(c.B)
}

// cellNumber writes v with three significant digits at most.
func cellNumber(v float64) string {
	v = math.Round(v*1e9) / 1e9 // a share of 0.58 is 57.999… % in binary, and a whole number all the same
	switch size := math.Abs(v); {
	case v == math.Trunc(v) && size < 1000:
		return words.Number(v, 0)
	case size >= 100:
		return words.Number(v, 0)
	case size >= 10:
		return words.Number(v, 1)
	case size >= 0.1:
		return words.Number(v, 2)
	}
	return words.Number(v, 3)
}

// heatmap draws one method.
func heatmap(g study.Method, m study.Metric, scale shade) Figure {
	r := g.Matrix(m)
	first := firstRow(r)
	rows, columns := len(r)-first, len(r)
	cellW, cellH := 46.0, 30.0
	switch {
	case columns > numberedTasks: // as wide as a page, without numbers
		cellW = max(1, math.Floor(700/float64(columns)))
		cellH = cellW
	case columns > 7:
		cellW, cellH = 38, 26
	}
	const left, top, below = 46.0, 22.0, 36.0
	width := left + cellW*float64(columns) + 4
	label := TextStyle(titleSize, true, Ink, 0, -1)
	width = math.Max(width, math.Min(float64(label.Width(g.Label))+4, 240))
	f := Figure{
		Title:   g.Label + ": " + m.Label(),
		Caption: "After task (rows) on task (columns), mean over " + words.Seeds(g.Seeds()) + ".",
		Width:   width, Height: top + cellH*float64(rows) + below,
	}
	f.Paint = func(c draw.Canvas) {
		x := func(v float64) vg.Length { return c.Min.X + vg.Length(v) }
		y := func(v float64) vg.Length { return c.Max.Y - vg.Length(v) }
		c.FillText(label, vg.Point{X: x(0), Y: y(1)}, Shorten(label, g.Label, vg.Length(f.Width)))
		if columns > numberedTasks {
			cells := vg.Rectangle{Min: vg.Point{X: x(left), Y: y(top + cellH*float64(rows))}, Max: vg.Point{X: x(left + cellW*float64(columns)), Y: y(top)}}
			c.DrawImage(cells, cellImage(r[first:], m, scale, int(max(2, 2*cellW))))
		}
		for i := range rows {
			for j := range columns {
				if columns > numberedTasks {
					break
				}
				box := vg.Rectangle{
					Min: vg.Point{X: x(left + cellW*float64(j)), Y: y(top + cellH*float64(i+1))},
					Max: vg.Point{X: x(left + cellW*float64(j+1)), Y: y(top + cellH*float64(i))},
				}
				drawCell(c, box, r[first+i][j].Times(m.Factor()), scale)
			}
		}
		if inset := min(1, cellW/12); rows == columns && cellW >= 4 {
			for i := range rows {
				frame := vg.Rectangle{
					Min: vg.Point{X: x(left + cellW*float64(i) + inset), Y: y(top + cellH*float64(i+1) - inset)},
					Max: vg.Point{X: x(left + cellW*float64(i+1) - inset), Y: y(top + cellH*float64(i) + inset)},
				}
				c.SetLineStyle(draw.LineStyle{Color: Vermilion, Width: vg.Length(min(2, cellW/6))})
				c.Stroke(frame.Path())
			}
		}
		tick := TextStyle(TickSize, false, Ink, -1, -0.5)
		every := 1
		if columns > numberedTasks {
			every = (columns + 9) / 10
		}
		for i := range rows {
			if (first+i)%every != 0 {
				continue
			}
			c.FillText(tick, vg.Point{X: x(left - 5), Y: y(top + cellH*(float64(i)+0.5))}, strconv.Itoa(first+i+1))
		}
		tick = TextStyle(TickSize, false, Ink, -0.5, -1)
		for j := range columns {
			if j%every != 0 {
				continue
			}
			c.FillText(tick, vg.Point{X: x(left + cellW*(float64(j)+0.5)), Y: y(top + cellH*float64(rows) + 4)}, strconv.Itoa(j+1))
		}
		axis := TextStyle(TickSize, false, Faint(0.8), -0.5, -1)
		c.FillText(axis, vg.Point{X: x(left + cellW*float64(columns)/2), Y: y(top + cellH*float64(rows) + 18)}, "on task")
		if rows > 1 {
			axis.Rotation = math.Pi / 2
			c.FillText(axis, vg.Point{X: x(8), Y: y(top + cellH*float64(rows)/2)}, "after task")
		} else {
			axis.XAlign, axis.YAlign = 0, draw.YCenter
			c.FillText(axis, vg.Point{X: x(0), Y: y(top + cellH/2)}, "after")
		}
	}
	return f
}

// numberedTasks is how many tasks a heat map writes numbers for; the cells of more are too small.
const numberedTasks = 18

// cellImage draws a dot × dot square a cell: one image takes a page far less than thousands of shapes.
func cellImage(r [][]study.Stat, m study.Metric, scale shade, dot int) image.Image {
	out := image.NewNRGBA(image.Rect(0, 0, len(r[0])*dot, len(r)*dot))
	for i, row := range r {
		for j, cell := range row {
			fill := color.NRGBA{0xe4, 0xe4, 0xe4, 0xff}
			if cell.Known() {
				fill, _ = scale.colour(cell.Times(m.Factor()).Mean)
			}
			for y := range dot {
				for x := range dot {
					if !cell.Known() && (x+y)%4 == 0 {
						out.SetNRGBA(j*dot+x, i*dot+y, color.NRGBA{0xb0, 0xb0, 0xb0, 0xff})
						continue
					}
					out.SetNRGBA(j*dot+x, i*dot+y, fill)
				}
			}
		}
	}
	return out
}

// firstRow is 0, or the last row's index where nothing was measured before it.
func firstRow(r [][]study.Stat) int {
	for _, row := range r[:len(r)-1] {
		for _, s := range row {
			if s.Known() {
				return 0
			}
		}
	}
	return len(r) - 1
}

// drawCell draws a number on its colour, or hatching.
func drawCell(c draw.Canvas, box vg.Rectangle, s study.Stat, scale shade) {
	if !s.Known() {
		c.SetLineStyle(draw.LineStyle{Color: Faint(0.22), Width: 0.8})
		c.Stroke(box.Path())
		size := box.Size()
		for at := vg.Length(6); at < size.X+size.Y; at += 6 { // lines from the left and bottom edges, upwards to the left
			from := vg.Point{X: box.Min.X + min(at, size.X), Y: box.Min.Y + max(0, at-size.X)}
			to := vg.Point{X: box.Min.X + max(0, at-size.Y), Y: box.Min.Y + min(at, size.Y)}
			c.StrokeLine2(draw.LineStyle{Color: Faint(0.22), Width: 0.8}, from.X, from.Y, to.X, to.Y)
		}
		return
	}
	fill, words := scale.colour(s.Mean)
	c.SetColor(fill)
	c.Fill(box.Path())
	text := TextStyle(LabelSize, false, words, -0.5, -0.5)
	c.FillText(text, vg.Point{X: (box.Min.X + box.Max.X) / 2, Y: (box.Min.Y+box.Max.Y)/2 + 1}, cellNumber(s.Mean))
}
