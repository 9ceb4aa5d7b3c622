package bits

import (
	"math"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"

	"palimpsest/pkg/figure"
	"palimpsest/pkg/study"
)

// Figure shows the table as dots, [cleveland]: a row a way, bits per dimension in the first panel and FID in the second, each dot
// the mean over seeds with a bar of ± one standard deviation; the dotted line is the base.
func (s *Sensitivity) Figure() figure.Figure {
	columns := []dotColumn{{title: "BPD, bits/dim"}, {title: "FID"}}
	var names []string
	var colours []figure.Look
	for i, r := range s.Rows {
		l := figure.Look{Colour: figure.Palette[0], Glyph: draw.CircleGlyph{}}
		switch {
		case i == 0:
			l = figure.Look{Colour: figure.Ink, Glyph: draw.BoxGlyph{}}
		case !r.Measured:
			l = figure.Look{Colour: figure.Vermilion, Glyph: draw.PyramidGlyph{}}
		}
		fid := r.FID
		if !r.DFID.Known() && !r.Measured && i > 0 {
			fid = study.NewStat(nil)
		}
		names, colours = append(names, r.Name), append(colours, l)
		columns[0].values, columns[1].values = append(columns[0].values, r.BPD), append(columns[1].values, fid)
	}
	return dots("How far bits move while samples do not",
		"Square: the base, "+s.Base.Label+". Circles: its networks and samples, measured in other ways. Triangles: trained in other ways. Dotted: the base's level. "+
			figure.BandNote([]study.Method{s.Base}), names, colours, columns)
}

// dotColumn is one panel of dots: a value a row.
type dotColumn struct {
	title  string
	values []study.Stat
}

// dots draws columns of dots over common rows, with a dotted line at the level of the first row.
func dots(title, caption string, names []string, looks []figure.Look, columns []dotColumn) figure.Figure {
	panels := make([]*plot.Plot, len(columns))
	for k, column := range columns {
		p := figure.NewPanel(column.title, "", "")
		low, high, ok := figure.Extent([]figure.Curve{{Y: column.values}})
		if !ok {
			low, high = 0, 1
		}
		if column.values[0].Known() {
			x := column.values[0].Mean
			p.Add(&plotter.Line{XYs: plotter.XYs{{X: x, Y: -0.5}, {X: x, Y: float64(len(names)) - 0.5}}, LineStyle: figure.Look{Colour: figure.Faint(0.5), Dash: []vg.Length{1.5, 3}}.Line(1)})
		}
		for i, s := range column.values {
			if !s.Known() {
				continue
			}
			y := float64(len(names) - 1 - i)
			if s.HasSpread() {
				p.Add(&plotter.Line{XYs: plotter.XYs{{X: s.Mean - s.Std, Y: y}, {X: s.Mean + s.Std, Y: y}}, LineStyle: draw.LineStyle{Color: looks[i].Colour, Width: 2}})
				low = math.Min(low, s.Mean-s.Std)
			}
			p.Add(&plotter.Scatter{XYs: plotter.XYs{{X: s.Mean, Y: y}}, GlyphStyle: looks[i].Marker(4)})
		}
		room := math.Max(0.06*(high-low), 1e-6)
		p.X.Min, p.X.Max = low-room, high+room
		p.Y.Min, p.Y.Max = -0.5, float64(len(names))-0.5
		p.X.Tick.Marker, p.Y.Tick.Marker = figure.FewTicks{}, figure.RowTicks(len(names))
		p.Y.LineStyle.Width, p.Y.Tick.Length = 0, 0
		panels[k] = p
	}
	return figure.NamedRows(title, caption, names, panels, figure.RowLayout{Left: 220, Panel: 230, Base: 60, Pad: 24, Right: 14})
}
