package figure

import (
	"math"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg/draw"

	"palimpsest/pkg/study"
)

// TargetedRehearsal sets final FID against the rows replayed a step, a point a strategy: does rehearsing only, or more,
// at chosen timesteps match full rehearsal with fewer rows? Joint and cumulative training, which read all data again, are levels. Methods of several studies
// can be shown together where [study.Warnings] finds nothing against it.
func TargetedRehearsal(methods []study.Method) Figure {
	const title = "Rehearsal: rows replayed and FID"
	l := Looks(methods)
	var fids []Curve
	for _, g := range methods {
		fids = append(fids, Curve{Y: []study.Stat{g.Summary().FID}})
	}
	low, high, ok := Extent(fids)
	if !ok {
		return Absent(title, "FID was not measured.")
	}
	p := NewPanel("", "images replayed a step", "final FID")
	SetRange(p, low, high)
	most := 1.0
	for _, g := range methods {
		most = math.Max(most, study.ReplayedRows(g).Mean)
	}
	p.X.Min, p.X.Max = -0.08*most, 1.08*most
	place := besideEachOther(methods, 0.018*most)
	for i, g := range methods {
		f := fids[i].Y[0]
		if !f.Known() {
			continue
		}
		if g.Rereads() {
			f.Std = math.NaN()
			AddCurve(p, Curve{Look: l[i], X: []float64{p.X.Min, p.X.Max}, Y: []study.Stat{f, f}, Level: true}, 1.6, 0)
			continue
		}
		x := place[i]
		if f.HasSpread() {
			p.Add(&plotter.Line{XYs: plotter.XYs{{X: x, Y: math.Max(f.Mean-f.Std, p.Y.Min)}, {X: x, Y: f.Mean + f.Std}}, LineStyle: draw.LineStyle{Color: l[i].Colour, Width: 1.4}})
		}
		p.Add(&plotter.Scatter{XYs: plotter.XYs{{X: x, Y: f.Mean}}, GlyphStyle: l[i].Marker(5)})
	}
	return Chart(title, "FID over all tasks at the end (lower is better) against how many old images each training step looks at; t=… names the timesteps they are rehearsed at. "+
		"Points of one number of images stand a little apart. "+BandNote(methods),
		600, 320, Entries(methods, l), [][]*plot.Plot{{p}})
}

// besideEachOther is where the points of methods go: those of one number of rows side by side, a step apart.
func besideEachOther(methods []study.Method, step float64) []float64 {
	out := make([]float64, len(methods))
	groups := map[float64][]int{}
	for i, g := range methods {
		if g.Rereads() {
			continue
		}
		rows := study.ReplayedRows(g).Mean
		groups[rows] = append(groups[rows], i)
	}
	for rows, members := range groups {
		for k, i := range members {
			out[i] = rows + step*(float64(k)-float64(len(members)-1)/2)
		}
	}
	return out
}
