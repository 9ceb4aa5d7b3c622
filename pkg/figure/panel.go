package figure

import (
	"image/color"
	"math"
	"slices"
	"strconv"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"

	"palimpsest/pkg/study"
	"palimpsest/pkg/words"
)

// Sizes of text in figures, in pixels.
const (
	titleSize = 12.5
	LabelSize = 12
	TickSize  = 11
)

// NewPanel is an empty plot in the common style with faint horizontal lines.
func NewPanel(title, x, y string) *plot.Plot {
	p := plot.New()
	p.BackgroundColor = color.Transparent
	p.Title.Text, p.Title.Padding = title, 5
	p.Title.TextStyle = TextStyle(titleSize, true, Ink, -0.5, -1)
	for _, a := range []*plot.Axis{&p.X, &p.Y} {
		a.Label.TextStyle = TextStyle(LabelSize, false, Ink, -0.5, 0)
		a.Label.Padding = 3
		a.LineStyle = draw.LineStyle{Color: Faint(0.55), Width: 0.8}
		a.Tick.LineStyle = a.LineStyle
		a.Tick.Length = 4
		a.Padding = 3
	}
	p.X.Label.Text, p.Y.Label.Text = x, y
	p.X.Tick.Label = TextStyle(TickSize, false, Ink, -0.5, -1)
	p.Y.Tick.Label = TextStyle(TickSize, false, Ink, -1, -0.5)
	p.Y.Tick.Marker, p.X.Tick.Marker = LinearTicks{}, LinearTicks{}
	grid := plotter.NewGrid()
	grid.Vertical.Width = 0
	grid.Horizontal = draw.LineStyle{Color: Faint(0.12), Width: 0.8}
	p.Add(grid)
	return p
}

// LinearTicks labels about five round numbers, written as short as they can be.
type LinearTicks struct{}

// Ticks implements [plot.Ticker].
func (LinearTicks) Ticks(low, high float64) []plot.Tick {
	step := math.Pow(10, math.Floor(math.Log10((high-low)/3)))
	if !steppable(low, high, step) {
		return nil
	}
	for _, factor := range []float64{5, 2} {
		if (high-low)/(step*factor) >= 2.5 {
			step *= factor
			break
		}
	}
	var out []plot.Tick
	for k := math.Ceil(low/step - 1e-9); k*step <= high+1e-9*step; k++ {
		out = append(out, plot.Tick{Value: k * step, Label: words.Short(k * step)})
	}
	return out
}

// steppable says whether steps from low reach high: a step too small to change a number of that size never would, nor
// would any pass the greatest numbers there are.
func steppable(low, high, step float64) bool {
	const least, most = 1e-300, 1e300
	return step > least && math.Abs(low) < most && math.Abs(high) < most && low+step/8 > low && high-step/8 < high && high-low < 1e3*step
}

// logTicks labels 1, 2 and 5 times powers of ten.
type logTicks struct{}

// Ticks implements [plot.Ticker].
func (logTicks) Ticks(low, high float64) []plot.Tick {
	if !(low > 1e-300 && high < 1e300) {
		return nil
	}
	multiples := []float64{1, 2, 5}
	if high/low > 300 {
		multiples = []float64{1}
	}
	decades := math.Log10(high) - math.Log10(low)
	every := math.Max(1, math.Ceil(decades/9)) // decades between labels
	var out []plot.Tick
	for e := every * math.Floor(math.Log10(low)/every); e <= math.Ceil(math.Log10(high)); e += every {
		for _, m := range multiples {
			if v := m * math.Pow(10, e); v >= low*(1-1e-9) && v <= high*(1+1e-9) {
				out = append(out, plot.Tick{Value: v, Label: words.Short(v)})
			}
		}
	}
	return out
}

// wholeTicks labels 1 .. N, thinned out where there are many.
type wholeTicks int

// Ticks implements [plot.Ticker].
func (n wholeTicks) Ticks(low, high float64) []plot.Tick {
	every := (int(n) + 9) / 10
	var out []plot.Tick
	for k := 1; k <= int(n); k += every {
		out = append(out, plot.Tick{Value: float64(k), Label: strconv.Itoa(k)})
	}
	return out
}

// SetRange gives a panel's y axis room for values from low to high, logarithmic where they span more than a factor
// of 8. It reports whether the axis is logarithmic.
func SetRange(p *plot.Plot, low, high float64) bool {
	switch {
	case low > 0 && high > 8*low:
		p.Y.Scale, p.Y.Tick.Marker = plot.LogScale{}, logTicks{}
		p.Y.Min, p.Y.Max = low/1.15, high*1.15
		return true
	case low == high:
		room := math.Max(math.Abs(low)*0.1, 0.5)
		p.Y.Min, p.Y.Max = low-room, high+room
	default:
		if low > 0 && low < 0.6*high { // near enough to zero to show it
			low = 0
		}
		room := 0.05 * (high - low)
		p.Y.Max = high + room
		p.Y.Min = low
		if low != 0 {
			p.Y.Min -= room
		}
	}
	return false
}

// SetMetricRange gives a panel's y axis room for values of a metric from low to high. A share has a linear axis from none to
// all of it, on which equal lengths are equal parts; another metric has that of [SetRange].
func SetMetricRange(p *plot.Plot, m study.Metric, low, high float64) {
	least, most, bounded := m.Bounds()
	if !bounded {
		SetRange(p, low, high)
		return
	}
	room := 0.02 * (most - least)
	p.Y.Min, p.Y.Max = math.Min(least-room, low), math.Max(most+room, high)
}

// setNumberRange is [SetMetricRange] for a number made from a metric: how much of a share was lost has a linear axis, too, but may
// be less than none.
func setNumberRange(p *plot.Plot, n study.Number, low, high float64) {
	if _, _, share := n.Metric.Bounds(); share && n.Forgetting() {
		SetRange(p, math.Min(low, 0), high)
		return
	}
	SetMetricRange(p, n.Metric, low, high)
}

// Entry is one line of a legend.
type Entry struct {
	Label string
	Look  Look
}

// Entries names every method.
func Entries(methods []study.Method, l []Look) []Entry {
	out := make([]Entry, len(methods))
	for i, g := range methods {
		out[i] = Entry{g.Label, l[i]}
	}
	return out
}

const (
	legendLine   = 18 // height of a line
	legendSample = 26 // width of a line sample
)

// place finds where each legend entry goes in the given width: lines from the top, offsets from the left.
func place(items []Entry, width vg.Length) (x []vg.Length, line []int, lines int) {
	s := TextStyle(LabelSize, false, Ink, 0, -0.5)
	at, n := vg.Length(0), 0
	for _, e := range items {
		w := legendSample + 5 + s.Width(e.Label) + 18
		if at > 0 && at+w-18 > width {
			at, n = 0, n+1
		}
		x, line = append(x, at), append(line, n)
		at += w
	}
	return x, line, n + 1
}

// drawLegend draws entries into the top of c and returns the rest of c.
func drawLegend(c draw.Canvas, items []Entry) draw.Canvas {
	x, line, lines := place(items, c.Max.X-c.Min.X)
	for i, e := range items {
		left, y := c.Min.X+x[i], c.Max.Y-vg.Length(legendLine*line[i])-legendLine/2
		c.StrokeLine2(e.Look.Line(2), left, y, left+legendSample, y)
		c.DrawGlyph(e.Look.Marker(3.6), vg.Point{X: left + legendSample/2, Y: y})
		c.FillText(TextStyle(LabelSize, false, Ink, 0, -0.5), vg.Point{X: left + legendSample + 5, Y: y}, e.Label)
	}
	return draw.Crop(c, 0, 0, 0, -vg.Length(legendLine*lines+6))
}

// legendHeight is what drawLegend takes.
func legendHeight(items []Entry, width float64) float64 {
	_, _, lines := place(items, vg.Length(width))
	return float64(legendLine*lines + 6)
}

// wrapTitles breaks titles of panels, in tiles of an area of the given size, that are wider than their panels into lines, and returns
// the height that this adds.
func wrapTitles(panels [][]*plot.Plot, t draw.Tiles, width, height float64) float64 {
	more := vg.Length(0)
	area := draw.Canvas{Rectangle: vg.Rectangle{Max: vg.Point{X: vg.Length(width), Y: vg.Length(height)}}}
	for j, row := range plot.Align(panels, t, area) {
		for i, canvas := range row {
			if p := panels[j][i]; p != nil {
				s := p.Title.TextStyle
				p.Title.Text = wrap(s, p.Title.Text, canvas.Size().X)
				more = max(more, s.Height(p.Title.Text)-s.Height("one"))
			}
		}
	}
	return math.Ceil(float64(more)) * float64(len(panels))
}

// Chart is a figure of panels in rows, all of one size, below a common legend. Missing panels at the end of the
// last row are nil. Titles and labels that are too wide are broken into lines or cut.
func Chart(title, caption string, width, rowHeight float64, items []Entry, panels [][]*plot.Plot) Figure {
	items = slices.Clone(items)
	for i := range items {
		items[i].Label = Shorten(TextStyle(LabelSize, false, Ink, 0, -0.5), items[i].Label, vg.Length(width-8)-legendSample-5)
	}
	t := draw.Tiles{Rows: len(panels), Cols: len(panels[0]), PadX: 12, PadY: 10, PadRight: 6}
	height := rowHeight * float64(len(panels))
	height += wrapTitles(panels, t, width-8, height)
	f := Figure{Title: title, Caption: caption, Width: width, Height: legendHeight(items, width-8) + height}
	f.Paint = func(c draw.Canvas) {
		c = drawLegend(draw.Crop(c, 4, -4, 0, 0), items)
		for j, row := range plot.Align(panels, t, c) {
			for i, canvas := range row {
				if panels[j][i] != nil {
					panels[j][i].Draw(canvas)
				}
			}
		}
	}
	return f
}
