package figure

import (
	"gonum.org/v1/plot"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// RowLayout sizes a figure of panels over common rows, in pixels.
type RowLayout struct {
	Margin      float64 // left of the names
	Left, Panel float64 // names at most, a panel each
	Base        float64 // besides names and panels
	Pad, Right  float64 // between panels, and beyond the last
	Top         float64 // above the rows, within the panels
}

// NamedRows is a figure of panels side by side that share their rows: names[i] is left of the row at height
// len(names)-1-i on the panels' y axes. Titles and names that are too wide are broken into lines or cut.
func NamedRows(title, caption string, names []string, panels []*plot.Plot, o RowLayout) Figure {
	label := TextStyle(TickSize, false, Ink, -1, -0.5)
	left := vg.Length(0)
	shown := make([]string, len(names))
	for i, name := range names {
		shown[i] = Shorten(label, name, vg.Length(o.Left))
		left = max(left, label.Width(shown[i]))
	}
	left += vg.Length(o.Margin)
	f := Figure{Title: title, Caption: caption, Width: o.Base + o.Panel*float64(len(panels)) + float64(left), Height: 62 + o.Top + 24*float64(len(names))}
	t := draw.Tiles{Rows: 1, Cols: len(panels), PadX: vg.Length(o.Pad), PadRight: vg.Length(o.Right)}
	f.Height += wrapTitles([][]*plot.Plot{panels}, t, f.Width-float64(left+4), f.Height)
	f.Paint = func(c draw.Canvas) {
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
