package report

import (
	"gonum.org/v1/plot"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// rowLayout sizes a figure of panels over common rows, in pixels.
type rowLayout struct {
	margin      float64 // left of the names
	left, panel float64 // names at most, a panel each
	base        float64 // beside names and panels
	pad, right  float64 // between panels, and beyond the last
	top         float64 // above the rows, within the panels
}

// namedRows is a figure of panels side by side that share their rows: names[i] stands left of the row at height
// len(names)-1-i on the panels' y axes.
func namedRows(title, caption string, names []string, panels []*plot.Plot, o rowLayout) Figure {
	label := style(tickSize, false, ink, -1, -0.5)
	left := vg.Length(0)
	shown := make([]string, len(names))
	for i, name := range names {
		shown[i] = shorten(label, name, vg.Length(o.left))
		left = max(left, label.Width(shown[i]))
	}
	left += vg.Length(o.margin)
	f := Figure{Title: title, Caption: caption, Width: o.base + o.panel*float64(len(panels)) + float64(left), Height: 62 + o.top + 24*float64(len(names))}
	f.paint = func(c draw.Canvas) {
		t := draw.Tiles{Rows: 1, Cols: len(panels), PadX: vg.Length(o.pad), PadRight: vg.Length(o.right)}
		canvases := plot.Align([][]*plot.Plot{panels}, t, draw.Crop(c, left+4, 0, 0, 0))[0]
		for k, canvas := range canvases {
			panels[k].Draw(canvas)
		}
		rows := panels[0].DataCanvas(canvases[0])
		for i, name := range shown {
			y := rows.Y(panels[0].Y.Norm(float64(len(names) - 1 - i)))
			c.FillText(label, vg.Point{X: c.Min.X + left, Y: y}, name)
		}
	}
	return f
}
