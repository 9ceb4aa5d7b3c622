package figure

import (
	"math"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg/draw"

	"palimpsest/pkg/study"
	"palimpsest/pkg/words"
)

// CostQuality shows quality and its price side by side: a row a method, a panel a number, a dot the mean over seeds with a bar
// of ± one standard deviation, [cleveland].
func CostQuality(methods []study.Method) Figure {
	summaries := make([]study.Summary, len(methods))
	most := 0.0
	for i, g := range methods {
		summaries[i] = g.Summary()
		most = math.Max(most, summaries[i].StoredBytes.Mean)
	}
	unit, bytes := words.ByteUnit(most)
	columns := []struct {
		title string
		of    func(study.Summary) study.Stat
	}{
		{"final FID", func(s study.Summary) study.Stat { return s.FID }},
		{"FID forgetting", func(s study.Summary) study.Stat { return s.FIDForgetting }},
		{"stored images", func(s study.Summary) study.Stat { return s.StoredImages }},
		{"stored, " + unit, func(s study.Summary) study.Stat { return s.StoredBytes.Times(1 / bytes) }},
		{"training, s", func(s study.Summary) study.Stat { return s.TrainSeconds }},
	}
	l := Looks(methods)
	panels := make([]*plot.Plot, len(columns))
	for k, column := range columns {
		p := NewPanel(column.title, "", "")
		low, high := 0.0, 0.0
		for i := range methods {
			s := column.of(summaries[i])
			y := float64(len(methods) - 1 - i)
			if !s.Known() {
				continue
			}
			end := s.Mean
			if s.HasSpread() {
				end += s.Std
				p.Add(&plotter.Line{XYs: plotter.XYs{{X: s.Mean - s.Std, Y: y}, {X: s.Mean + s.Std, Y: y}}, LineStyle: draw.LineStyle{Color: l[i].Colour, Width: 2}})
				low = math.Min(low, s.Mean-s.Std)
			}
			low, high = math.Min(low, s.Mean), math.Max(high, end)
			p.Add(&plotter.Scatter{XYs: plotter.XYs{{X: s.Mean, Y: y}}, GlyphStyle: l[i].Marker(4)})
		}
		if high == low {
			high = low + 1
		}
		room := 0.06 * (high - low)
		p.X.Min, p.X.Max = low-room, high+room
		p.Y.Min, p.Y.Max = -0.5, float64(len(methods))-0.5
		p.X.Tick.Marker = FewTicks{}
		p.Y.Tick.Marker = RowTicks(len(methods))
		p.Y.LineStyle.Width, p.Y.Tick.Length = 0, 0
		panels[k] = p
	}
	names := make([]string, len(methods))
	for i, g := range methods {
		names[i] = g.Label
	}
	return NamedRows("Quality and its price",
		BandNote(methods)+"FID over all tasks after the last one, and by how much it rose since each was learned; lower is better.",
		names, panels, RowLayout{Left: 150, Panel: 116, Pad: 16, Right: 8})
}

// RowTicks rules a line for each of a number of rows.
type RowTicks int

// Ticks implements [plot.Ticker].
func (n RowTicks) Ticks(low, high float64) []plot.Tick {
	out := make([]plot.Tick, n)
	for i := range out {
		out[i] = plot.Tick{Value: float64(i), Label: " "} // an empty label is a minor tick, without a grid line
	}
	return out
}

// FewTicks labels two or three round numbers: for narrow panels.
type FewTicks struct{}

// Ticks implements [plot.Ticker].
func (FewTicks) Ticks(low, high float64) []plot.Tick {
	step := math.Pow(10, math.Floor(math.Log10(high-low)))
	if !steppable(low, high, step/16) {
		return nil
	}
	for (high-low)/step < 1.9 {
		step /= 2
	}
	for (high-low)/step > 3.2 {
		step *= 2
	}
	var out []plot.Tick
	for k := math.Ceil(low / step); k*step <= high; k++ {
		out = append(out, plot.Tick{Value: k * step, Label: words.Short(k * step)})
	}
	return out
}

// CopiesScatter sets the share of copies against FID over all tasks at the end: who is low and far to the right has
// bought its FID by copying. One panel for copies of training images, and one for copies of buffer images where any
// method has a buffer.
func CopiesScatter(methods []study.Method) Figure {
	l := Looks(methods)
	summaries := make([]study.Summary, len(methods))
	var fids []Curve
	for i, g := range methods {
		summaries[i] = g.Summary()
		fids = append(fids, Curve{Y: []study.Stat{summaries[i].FID}})
	}
	title := "Copies and FID"
	low, high, ok := Extent(fids)
	if !ok {
		return Absent(title, "FID was not measured.")
	}
	var row []*plot.Plot
	train, buffer, criterion := study.CopyMetrics(methods)
	for _, m := range []study.Metric{train, buffer} {
		y := ""
		if len(row) == 0 {
			y = "final FID (lower is better)"
		}
		p := NewPanel("", m.Title(), y)
		SetRange(p, low, high)
		right, any := 1.0, false
		for i := range methods {
			x, f := methods[i].FinalShare(m).Times(100), summaries[i].FID
			if !x.Known() || !f.Known() {
				continue
			}
			any = true
			bar := draw.LineStyle{Color: l[i].Colour, Width: 1.2}
			right = math.Max(right, x.Mean)
			if x.HasSpread() {
				right = math.Max(right, x.Mean+x.Std)
				p.Add(&plotter.Line{XYs: plotter.XYs{{X: math.Max(0, x.Mean-x.Std), Y: f.Mean}, {X: x.Mean + x.Std, Y: f.Mean}}, LineStyle: bar})
			}
			if f.HasSpread() {
				p.Add(&plotter.Line{XYs: plotter.XYs{{X: x.Mean, Y: math.Max(f.Mean-f.Std, p.Y.Min)}, {X: x.Mean, Y: f.Mean + f.Std}}, LineStyle: bar})
			}
			p.Add(&plotter.Scatter{XYs: plotter.XYs{{X: x.Mean, Y: f.Mean}}, GlyphStyle: l[i].Marker(5)})
		}
		if !any {
			continue
		}
		p.X.Min, p.X.Max = -0.03*right, 1.05*right
		row = append(row, p)
	}
	if len(row) == 0 {
		return Absent(title, "Copies were not measured.")
	}
	return Chart(title, "Copies are told by "+criterion+". "+BandNote(methods),
		60+310*float64(len(row)), 290, Entries(methods, l), [][]*plot.Plot{row})
}
