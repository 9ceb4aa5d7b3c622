package report

import (
	"image/color"
	"math"

	xfont "golang.org/x/image/font"
	"gonum.org/v1/plot"
	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// look is how one method is drawn in every figure of a report.
type look struct {
	colour color.NRGBA
	dash   []vg.Length
	glyph  draw.GlyphDrawer
}

// Colours of [okabe] without yellow, which is too light for lines. Finetune and joint have their own.
var (
	vermilion = color.NRGBA{0xd5, 0x5e, 0x00, 0xff}
	grey      = color.NRGBA{0x8a, 0x87, 0x84, 0xff} // of what is to stay behind
	others    = []color.NRGBA{
		{0x00, 0x72, 0xb2, 0xff}, // blue
		{0xe6, 0x9f, 0x00, 0xff}, // orange
		{0x00, 0x9e, 0x73, 0xff}, // bluish green
		{0xcc, 0x79, 0xa7, 0xff}, // reddish purple
		{0x56, 0xb4, 0xe9, 0xff}, // sky blue
	}
	otherGlyphs = []draw.GlyphDrawer{draw.BoxGlyph{}, draw.PyramidGlyph{}, diamond{}, ring{}, cross{upright: true}}
	otherDashes = [][]vg.Length{nil, {8, 3}, {8, 3, 2, 3}, {2, 3}}
)

// looks gives every method its look: the same method looks the same in all figures made from the same methods.
func looks(methods []Method) []look {
	out := make([]look, len(methods))
	k := 0
	for i, g := range methods {
		switch g.Name() {
		case Finetune:
			out[i] = look{vermilion, nil, cross{}}
		case Joint:
			out[i] = look{ink, []vg.Length{5, 4}, draw.CircleGlyph{}}
		default:
			// A sixth method repeats the first colour with another dash and another marker.
			round := k / len(others)
			out[i] = look{others[k%len(others)], otherDashes[round%len(otherDashes)], otherGlyphs[(k+round)%len(otherGlyphs)]}
			k++
		}
	}
	return out
}

// line is the look's line style.
func (l look) line(width float64) draw.LineStyle {
	return draw.LineStyle{Color: l.colour, Width: vg.Length(width), Dashes: l.dash}
}

// marker is the look's glyph style.
func (l look) marker(radius float64) draw.GlyphStyle {
	return draw.GlyphStyle{Color: l.colour, Radius: vg.Length(radius), Shape: l.glyph}
}

// band is the look's colour for an area behind its line.
func (l look) band() color.NRGBA {
	c := l.colour
	c.A = 0x2e
	return c
}

// diamond is a filled square on its corner.
type diamond struct{}

// DrawGlyph implements [draw.GlyphDrawer].
func (diamond) DrawGlyph(c *draw.Canvas, s draw.GlyphStyle, p vg.Point) {
	c.SetColor(s.Color)
	r := s.Radius * 1.2
	var path vg.Path
	path.Move(vg.Point{X: p.X - r, Y: p.Y})
	path.Line(vg.Point{X: p.X, Y: p.Y + r})
	path.Line(vg.Point{X: p.X + r, Y: p.Y})
	path.Line(vg.Point{X: p.X, Y: p.Y - r})
	path.Close()
	c.Fill(path)
}

// ring is a circle in strong strokes, hollow.
type ring struct{}

// DrawGlyph implements [draw.GlyphDrawer].
func (ring) DrawGlyph(c *draw.Canvas, s draw.GlyphStyle, p vg.Point) {
	var path vg.Path
	path.Move(vg.Point{X: p.X + s.Radius, Y: p.Y})
	path.Arc(p, s.Radius, 0, 2*math.Pi)
	path.Close()
	c.SetLineStyle(draw.LineStyle{Color: s.Color, Width: 2})
	c.Stroke(path)
}

// cross is two strong strokes, diagonal or upright.
type cross struct{ upright bool }

// DrawGlyph implements [draw.GlyphDrawer].
func (x cross) DrawGlyph(c *draw.Canvas, s draw.GlyphStyle, p vg.Point) {
	r := s.Radius
	a, b := vg.Point{X: r, Y: r}, vg.Point{X: r, Y: -r}
	if x.upright {
		a, b = vg.Point{X: r * 1.3}, vg.Point{Y: r * 1.3}
	}
	l := draw.LineStyle{Color: s.Color, Width: 2.2}
	c.StrokeLine2(l, p.X-a.X, p.Y-a.Y, p.X+a.X, p.Y+a.Y)
	c.StrokeLine2(l, p.X-b.X, p.Y-b.Y, p.X+b.X, p.Y+b.Y)
}

// style is text of the given size. x and y are 0, -0.5 or -1: the point it is drawn at is at its left or bottom,
// middle, right or top.
func style(size float64, bold bool, c color.Color, x, y float64) draw.TextStyle {
	f := font.Font{Typeface: plot.DefaultFont.Typeface, Variant: "Sans", Size: vg.Length(size)}
	if bold {
		f.Weight = xfont.WeightBold
	}
	return draw.TextStyle{Color: c, Font: f, XAlign: draw.XAlignment(x), YAlign: draw.YAlignment(y), Handler: plot.DefaultTextHandler}
}

// shorten cuts text with an ellipsis until it fits in width.
func shorten(s draw.TextStyle, words string, width vg.Length) string {
	if s.Width(words) <= width {
		return words
	}
	runes := []rune(words)
	for len(runes) > 1 && s.Width(string(runes)+"…") > width {
		runes = runes[:len(runes)-1]
	}
	return string(runes) + "…"
}
